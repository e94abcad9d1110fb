"""Messages that cross on the wire, come twice, or not at all: one call, one end, and nothing left over."""

import pytest

pytestmark = pytest.mark.e2e

LOOK = """
def told(driver, kind):
    driver.stack.poll(50)
    return sum(isinstance(event, kind) for event in driver.seen)

def ring(driver, peer):
    driver.stack.perform(actions.Invite("out", "1001", "1002", 0))
    invite = peer.receive(b"INVITE")
    peer.answer(invite, b"180 Ringing")
    driver.wait(events.Progress)
    return invite

def settle(driver, peer, timeout_ms=1500):
    # Everything that still comes, by method.
    found = []
    while (message := peer.receive(timeout_ms=timeout_ms)) is not None:
        found.append(message.split()[0].decode())
        if message.startswith(b"BYE"):
            peer.answer(message, b"200 OK")
    return found
"""


def test_of_two_legs_that_answer_the_second_gets_a_bye(script):
    result = script(
        LOOK
        + """
driver, peer = with_peer()
invite = ring(driver, peer)
peer.answer(invite, b"200 OK", SDP, tag=b"first")
driver.wait(events.CallAnswered)
peer.answer(invite, b"200 OK", SDP, tag=b"second")
byes = []
while (message := peer.receive(timeout_ms=1500)) is not None:
    if message.startswith(b"BYE"):
        byes.append(head(message, b"To").split(b"tag=")[1].decode())
        peer.answer(message, b"200 OK")
acked = sorted({head(one, b"To").split(b"tag=")[1].decode() for one in peer.past if one.startswith(b"ACK")})
up, answers = not told(driver, events.CallOver), told(driver, events.CallAnswered)
driver.stack.perform(actions.HangUp("out"))
last = peer.receive(b"BYE")
driver.stack.close()
say("done", byes=byes, acked=acked, up=up, answers=answers, last=head(last, b"To").split(b"tag=")[1].decode())
"""
    )
    assert result == result | {"byes": ["second"], "acked": ["first", "second"], "up": True, "answers": 0,
                               "last": "first"}  # fmt: skip


def test_a_cancel_that_is_accepted_but_brings_no_487_ends_the_call_all_the_same(script):
    """After 64 times T1 (RFC 3261 §9.1), which is 50 ms here instead of 500."""
    result = script(
        LOOK
        + """
import ctypes
from agent.gateway.daemon.sip.native import Native

driver, peer = with_peer()
words = (ctypes.c_uint32 * 64).in_dll(Native().library, "pjsip_sip_cfg_var")
at = [place for place in range(62) if words[place:place + 3] == [500, 4000, 5000]]
words[at[0]] = 50
invite = ring(driver, peer)
driver.stack.perform(actions.HangUp("out"))
peer.answer(peer.receive(b"CANCEL"), b"200 OK")
over = driver.wait(events.CallOver)
deadline = boot_ms() + 20000
while driver.stack.free_slots() < 4 and boot_ms() < deadline:
    driver.stack.poll(200)
free = driver.stack.free_slots()
driver.stack.close()
say("done", remote=over.remote, more=told(driver, events.CallOver), free=free)
"""
    )
    assert (result["remote"], result["more"], result["free"]) == (False, 0, 4)


def test_two_byes_that_cross_end_the_call_once(script):
    result = script(
        LOOK
        + """
driver, peer = with_peer()
invite = talk(driver, peer)
peer.receive(b"ACK")
driver.stack.perform(actions.HangUp("out"))
bye = peer.receive(b"BYE")
peer.inside(invite, b"BYE")
theirs = peer.final()
peer.answer(bye, b"200 OK")
came = settle(driver, peer)
over = told(driver, events.CallOver)
free = driver.stack.free_slots()
driver.stack.close()
say("done", theirs=int(theirs.split()[1]), came=came, over=over, free=free)
"""
    )
    assert result["theirs"] in (200, 481)
    assert (result["came"], result["over"], result["free"]) == ([], 1, 4)


def test_a_cancel_that_comes_after_our_answer_changes_nothing(script):
    result = script(
        LOOK
        + """
driver, peer = with_peer()
peer.invite(b"late")
call = driver.wait(events.IncomingInvite)
driver.stack.perform(actions.Answer(call.call_id, 0))
answer = peer.receive(b"SIP/2.0 200")
line = b"CANCEL sip:1001@127.0.0.1:%d" % driver.port
sender = b"<sip:+4790000000@lab.example>;tag=s"
branch = head(answer, b"Via").split(b"branch=")[1].split(b";")[0]
message = (line + b" SIP/2.0\\r\\nVia: SIP/2.0/UDP " + peer.place.encode() + b";branch=" + branch
           + b"\\r\\nMax-Forwards: 70\\r\\nFrom: " + sender + b"\\r\\nTo: <sip:1001@lab.example>\\r\\n"
           + b"Call-ID: late\\r\\nCSeq: 1 CANCEL\\r\\nContent-Length: 0\\r\\n\\r\\n")
peer.send(message)
peer.request(b"ACK" + line[6:], sender, head(answer, b"To"), b"late")
driver.wait(events.CallAnswered)
up = not told(driver, events.CallOver)
driver.stack.perform(actions.HangUp(call.call_id))
bye = peer.receive(b"BYE")
peer.answer(bye, b"200 OK")
driver.wait(events.CallOver)
driver.stack.close()
say("done", up=up, bye=bye is not None)
"""
    )
    assert (result["up"], result["bye"]) == (True, True)


def test_an_answer_without_any_sdp_is_ended_at_once(script):
    result = script(
        LOOK
        + """
driver, peer = with_peer()
invite = ring(driver, peer)
peer.answer(invite, b"200 OK")
came = settle(driver, peer)
over = [event for event in driver.seen if isinstance(event, events.CallOver)]
answered = told(driver, events.CallAnswered)
driver.stack.close()
say("done", came=came, over=[[one.code, one.remote] for one in over], answered=answered)
"""
    )
    assert (result["came"][:2], result["answered"]) == (["ACK", "BYE"], 0)
    assert len(result["over"]) == 1
    assert result["over"] == [[406, False]], "it is we who end it"


def test_early_media_then_ringing_then_another_early_media_are_told_in_their_order(script):
    result = script(
        LOOK
        + """
driver, peer = with_peer()
driver.stack.perform(actions.Invite("out", "1001", "1002", 0))
invite = peer.receive(b"INVITE")
for status, sdp in ((b"100 Trying", b""), (b"181 Forwarded", b""), (b"182 Queued", b""), (b"183 Progress", SDP),
                    (b"180 Ringing", b""), (b"183 Progress", b"")):
    peer.answer(invite, status, sdp)
    driver.stack.poll(100)
    driver.stack.poll(100)
peer.answer(invite, b"200 OK", SDP)
driver.wait(events.CallAnswered)
steps = [[event.code, event.early_media] for event in driver.seen if isinstance(event, events.Progress)]
driver.stack.close()
say("done", steps=steps)
"""
    )
    assert result["steps"] == [
        [100, False], [181, False], [182, False], [183, False], [183, True], [180, True], [183, True],
    ]  # fmt: skip


@pytest.mark.parametrize("trusted", [True, False])
def test_what_the_operator_asserts_of_the_caller_is_believed_where_it_is_trusted(script, trusted):
    result = script(
        """
driver, peer = with_peer(trust_identity=TRUSTED)
more = (b'P-Asserted-Identity: "Kari" <sip:+4791111111@lab.example>\\r\\n'
        b"Diversion: <sip:+4722000009@lab.example>;reason=unconditional\\r\\n")
peer.invite(b"one", more=more)
known = driver.wait(events.IncomingInvite)
driver.stack.perform(actions.Reject(known.call_id, 486))
peer.invite(b"two", more=more + b"Privacy: id\\r\\n")
hidden = driver.wait(events.IncomingInvite)
driver.stack.perform(actions.Reject(hidden.call_id, 486))
driver.wait(events.CallOver)
driver.wait(events.CallOver)
driver.stack.close()
say("done", number=known.caller.number, name=known.caller.shown_name, diverted=known.diverted_from,
    hidden=hidden.caller.presentation.value, shown=hidden.caller.shown_number)
""".replace("TRUSTED", repr(trusted))
    )
    expected = ("+4791111111", "Kari", "+4722000009") if trusted else ("+4790000000", "", "")
    assert (result["number"], result["name"], result["diverted"]) == expected
    assert (result["hidden"], result["shown"]) == ("withheld", "")


@pytest.mark.slow
def test_a_hundred_calls_on_each_line_leave_nothing_behind(script):
    """Both ways in turn, ended by each side in turn: slots, sockets, threads as before."""
    result = script(LOOK + """
def outgoing(name, line, ours):
    driver.stack.perform(actions.Invite(name, "1001", "1002", line))
    invite = peer.receive(b"INVITE")
    peer.answer(invite, b"200 OK", SDP)
    driver.wait(events.CallAnswered)
    peer.receive(b"ACK")
    end(name, ours, lambda: peer.inside(invite, b"BYE"))

def incoming(name, line, ours):
    call_id = name.encode()
    peer.invite(call_id)
    call = driver.wait(events.IncomingInvite)
    driver.stack.perform(actions.Answer(call.call_id, line))
    answer = peer.receive(b"SIP/2.0 200")
    to, sender = head(answer, b"To"), b"<sip:+4790000000@lab.example>;tag=s"
    contact = re.search(rb"<([^>]+)>", head(answer, b"Contact"))[1]
    peer.request(b"ACK " + contact, sender, to, call_id)
    driver.wait(events.CallAnswered)
    end(call.call_id, ours, lambda: peer.request(b"BYE " + contact, sender, to, call_id, number=2))

def end(name, ours, theirs):
    if ours:
        driver.stack.perform(actions.HangUp(name))
        peer.answer(peer.receive(b"BYE"), b"200 OK")
    else:
        theirs()
        peer.final()
    over = driver.wait(events.CallOver)
    ends.append([over.call_id == name, over.remote is not ours])
    driver.seen.clear()
    peer.past.clear()

def look():
    deadline = boot_ms() + 40000
    while driver.stack.free_slots() < 4 and boot_ms() < deadline:
        driver.stack.poll(100)
    for _ in range(20):
        driver.stack.poll(100)
    return [driver.stack.free_slots(), usage()[0], len(os.listdir("/proc/self/task"))]

driver, peer = with_peer()
ends = []
for number in range(4):
    (outgoing if number % 2 else incoming)(f"warm{number}", 0, number < 2)
before, ends = look(), []
for line in (0, 1):
    for number in range(100):
        (outgoing if number % 2 else incoming)(f"c{line}x{number}", line, number % 4 < 2)
after = look()
failures, logs = driver.stack.callback_failures, [log for log in driver.logs if log[1] != "sip_library"]
driver.stack.close()
say("done", before=before, after=after, ends=ends, failures=failures, logs=logs)
""", 280)  # fmt: skip
    assert len(result["ends"]) == 200
    assert all(named and told for named, told in result["ends"])
    assert result["after"] == result["before"]
    assert (result["failures"], result["logs"]) == (0, [])


@pytest.mark.parametrize("dead", ["refuses", "closes"])
def test_a_dead_connection_ends_an_invite_at_once_as_nobodys_decision(script, dead):
    result = script(
        """
import threading

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
place = "127.0.0.1:%d" % listener.getsockname()[1]
if DEAD == "refuses":
    listener.close()
else:
    listener.listen()

    def close_what_comes():
        connection, _ = listener.accept()
        connection.recv(100)
        connection.close()

    threading.Thread(target=close_what_comes, daemon=True).start()
driver = Driver()
driver.stack.configure([account(targets=[place + ";transport=tcp"])])
driver.stack.perform(actions.Invite("out", "1001", "1002", 0))
over = driver.wait(events.CallOver, 10000)
driver.stack.close()
say("done", call=over.call_id, remote=over.remote, on_wire=over.on_wire)
""".replace("DEAD", repr(dead))
    )
    assert (result["call"], result["remote"], result["on_wire"]) == ("out", False, False)
