"""Hold and resume, from either end: what goes over SIP, in which order, and what is told of it."""

import pytest

pytestmark = pytest.mark.e2e

OFFERS = """
def offered(peer, answer, word=b"recvonly", timeout_ms=3000):
    # The next re-INVITE, answered like this.
    invite = peer.receive(b"INVITE", timeout_ms)
    if invite is None:
        return None
    peer.answer(invite, answer, way_of_sdp(word) if answer.startswith(b"2") else b"")
    peer.receive(b"ACK")
    return way(invite)

def told(driver, kind):
    driver.stack.poll(50)
    return [event for event in driver.seen if isinstance(event, kind)]
"""


@pytest.mark.parametrize("word", ["recvonly", "inactive", ""])
def test_hold_and_resume_are_offered_once_each_whatever_the_far_end_calls_it(script, word):
    result = script(OFFERS + """
driver, peer = with_peer()
talk(driver, peer)
peer.receive(b"ACK")
driver.stack.perform(actions.Hold("out"))
ways = [offered(peer, b"200 OK", WORD)]
held = driver.wait(events.HoldDone)
driver.stack.perform(actions.Resume("out"))
ways.append(offered(peer, b"200 OK", b"sendrecv"))
resumed = driver.wait(events.HoldDone)
late = peer.receive(b"INVITE", 1000)
driver.stack.close()
say("done", ways=ways, held=[held.held, held.ok], resumed=[resumed.held, resumed.ok], late=late is not None,
    remote=[event.held for event in told(driver, events.RemoteHold)])
""".replace("WORD", repr(word.encode())))  # fmt: skip
    assert result == result | {
        "ways": ["sendonly", "sendrecv"], "held": [True, True], "resumed": [False, True], "late": False, "remote": [],
    }  # fmt: skip


def test_a_hold_that_the_far_end_refuses_is_told_and_nobody_is_asked_to_come_back(script):
    result = script(
        OFFERS
        + """
driver, peer = with_peer()
talk(driver, peer)
peer.receive(b"ACK")
driver.stack.perform(actions.Hold("out"))
ways = [offered(peer, b"488 Not Acceptable Here")]
refused = driver.wait(events.HoldDone)
driver.stack.perform(actions.Resume("out"))
resumed = driver.wait(events.HoldDone)
asked = [one for one in peer.past if one.startswith(b"INVITE")]
up = not told(driver, events.CallOver)
driver.stack.perform(actions.HangUp("out"))
bye = peer.receive(b"BYE")
driver.stack.close()
say("done", ways=ways, refused=[refused.held, refused.ok], resumed=[resumed.held, resumed.ok], asked=len(asked),
    up=up, bye=bye is not None)
"""
    )
    assert result == result | {
        "ways": ["sendonly"], "refused": [True, False], "resumed": [False, True], "asked": 2, "up": True, "bye": True,
    }  # fmt: skip


def test_a_far_end_that_says_nothing_at_all_to_hold_is_gone(script):
    result = script(
        OFFERS
        + """
driver, peer = with_peer()
talk(driver, peer)
peer.receive(b"ACK")
driver.stack.perform(actions.Hold("out"))
peer.answer(peer.receive(b"BYE", 15000), b"200 OK")
over = driver.wait(events.CallOver)
driver.stack.close()
say("done", over=[over.code, over.remote])
"""
    )
    assert result["over"] == [408, False]


def test_a_resume_that_follows_at_once_waits_for_the_end_of_the_hold(script):
    result = script(
        OFFERS
        + """
driver, peer = with_peer()
talk(driver, peer)
peer.receive(b"ACK")
driver.stack.perform(actions.Hold("out"))
driver.stack.perform(actions.Resume("out"))
ways = [offered(peer, b"200 OK"), offered(peer, b"200 OK", b"sendrecv")]
done = [driver.wait(events.HoldDone) for _ in ways]
driver.stack.close()
say("done", ways=ways, done=[[one.held, one.ok] for one in done])
"""
    )
    assert result == result | {"ways": ["sendonly", "sendrecv"], "done": [[True, True], [False, True]]}


@pytest.mark.parametrize(
    ("method", "word", "address", "answer"),
    [
        ("INVITE", "sendonly", "127.0.0.1", "recvonly"),
        ("INVITE", "inactive", "127.0.0.1", "inactive"),
        ("INVITE", "", "0.0.0.0", "sendrecv"),  # the hold of RFC 2543 §B.5
        ("UPDATE", "sendonly", "127.0.0.1", "recvonly"),
    ],
)
def test_the_far_end_holds_and_resumes(script, method, word, address, answer):
    result = script(OFFERS + """
driver, peer = with_peer()
invite = talk(driver, peer)
peer.receive(b"ACK")
answers = []
for number, sdp in enumerate((way_of_sdp(WORD, ADDRESS, 2), way_of_sdp(b"sendrecv", version=3)), 1):
    peer.inside(invite, METHOD, sdp=sdp, number=number)
    answers.append(peer.final())
    if METHOD == b"INVITE":
        peer.inside(invite, b"ACK", number=number)
    driver.stack.poll(200)
remote = [event.held for event in told(driver, events.RemoteHold)]
up = not told(driver, events.CallOver)
driver.stack.close()
say("done", answers=[one.split(b"\\r\\n")[0].decode() for one in answers], ways=[way(one) for one in answers],
    remote=remote, up=up)
""".replace("METHOD", repr(method.encode())).replace("WORD", repr(word.encode())).replace(
        "ADDRESS", repr(address.encode())))  # fmt: skip
    assert result["answers"] == ["SIP/2.0 200 OK"] * 2
    assert (result["ways"], result["remote"], result["up"]) == ([answer, "sendrecv"], [True, False], True)
