"""Transfers that we ask for, and calls that wait or are sent elsewhere: what goes over SIP, and what is told of it."""

import pytest

pytestmark = pytest.mark.e2e

REFERS = """
FRAG = b"message/sipfrag;version=2.0"

def notify(peer, invite, number, state, status=b""):
    more = b"Event: refer\\r\\nSubscription-State: " + state + b"\\r\\n"
    body = b"SIP/2.0 " + status + b"\\r\\n" if status else b""
    peer.inside(invite, b"NOTIFY", more, body, number, FRAG)
    return peer.final()

def progress(driver):
    driver.stack.poll(50)
    return [[one.call_id, one.code, one.final] for one in driver.seen if isinstance(one, events.TransferProgress)]

def over(driver):
    return sum(isinstance(event, events.CallOver) for event in driver.seen)
"""


def test_a_blind_transfer_is_told_step_by_step(script):
    result = script(
        REFERS
        + """
driver, peer = with_peer()
invite = talk(driver, peer)
driver.stack.perform(actions.Transfer("out", "+4722000001"))
refer = peer.receive(b"REFER")
peer.answer(refer, b"202 Accepted")
for number, (state, status) in enumerate((
    (b"active;expires=60", b"100 Trying"), (b"active;expires=60", b"180 Ringing"),
    (b"terminated;reason=noresource", b"200 OK"),
), 1):
    notify(peer, invite, number, state, status)
told, up = progress(driver), not over(driver)
driver.stack.close()
say("done", to=head(refer, b"Refer-To").decode(), told=told, up=up)
"""
    )
    assert result["to"].strip("<>") == "sip:+4722000001@lab.example"
    assert result["told"] == [["out", 100, False], ["out", 100, False], ["out", 180, False], ["out", 200, True]]
    assert result["up"], "whoever asked for the transfer hangs up"


@pytest.mark.parametrize("refusal", ["603 Decline", "405 Method Not Allowed", "503 Service Unavailable"])
def test_a_refused_transfer_is_told_and_the_call_goes_on(script, refusal):
    result = script(
        REFERS
        + """
driver, peer = with_peer()
talk(driver, peer)
driver.stack.perform(actions.Transfer("out", "+4722000001"))
peer.answer(peer.receive(b"REFER"), REFUSAL)
driver.wait(events.TransferProgress) if not progress(driver) else None
told, up = progress(driver), not over(driver)
driver.stack.perform(actions.Transfer("out", "+4722000002"))
again = peer.receive(b"REFER")
driver.stack.close()
say("done", told=told, up=up, again=again is not None)
""".replace("REFUSAL", repr(refusal.encode()))
    )
    assert (result["told"], result["up"]) == ([["out", int(refusal[:3]), True]], True)
    assert result["again"], "another one may be asked for"


def test_a_subscription_that_ends_without_a_word_ends_the_transfer(script):
    result = script(
        REFERS
        + """
driver, peer = with_peer()
invite = talk(driver, peer)
driver.stack.perform(actions.Transfer("out", "+4722000001"))
peer.answer(peer.receive(b"REFER"), b"202 Accepted")
notify(peer, invite, 1, b"terminated;reason=noresource")
told, up = progress(driver), not over(driver)
driver.stack.close()
say("done", told=told, up=up)
"""
    )
    assert (result["told"], result["up"]) == ([["out", 100, False], ["out", 0, True]], True)


def test_an_attended_transfer_names_the_dialog_whose_place_is_to_be_taken(script):
    result = script(
        REFERS
        + """
driver, peer = with_peer()
talk(driver, peer, "one")
other = talk(driver, peer, "two")
driver.stack.perform(actions.TransferTo("one", "two"))
refer = peer.receive(b"REFER")
peer.answer(refer, b"202 Accepted")
told = progress(driver)
driver.stack.close()
say("done", to=head(refer, b"Refer-To").decode(), call=head(other, b"Call-ID").decode(),
    ours=head(other, b"From").split(b"tag=")[1].decode(), told=told)
"""
    )
    assert f"Replaces={result['call']}" in result["to"].replace("%40", "@")
    assert f"from-tag%3D{result['ours']}" in result["to"]
    assert "to-tag%3Dzz" in result["to"]
    assert result["told"] == [["one", 100, False]]


def test_a_transfer_that_cannot_be_is_told_and_sends_nothing(script):
    result = script(
        REFERS
        + """
driver, peer = with_peer()
talk(driver, peer)
for action in (actions.Transfer("out", ""), actions.TransferTo("out", "none"), actions.TransferTo("out", "out")):
    driver.stack.perform(action)
refer = peer.receive(b"REFER", 500)
told, up = progress(driver), not over(driver)
driver.stack.close()
say("done", refer=refer is not None, told=told, up=up)
"""
    )
    assert (result["refer"], result["told"], result["up"]) == (False, [["out", 0, True]] * 3, True)


def test_a_caller_who_waits_is_told_so(script):
    result = script("""
driver, peer = with_peer()
peer.invite(b"waits")
call = driver.wait(events.IncomingInvite)
driver.stack.perform(actions.Ringing(call.call_id, waiting=True))
queued, ringing = peer.receive(b"SIP/2.0 182"), peer.receive(b"SIP/2.0 180")
driver.stack.close()
say("done", queued=queued is not None, alert=head(ringing, b"Alert-Info").decode())
""")
    assert (result["queued"], result["alert"]) == (True, "<urn:alert:service:call-waiting>")


def test_a_redirected_caller_is_given_one_contact(script):
    result = script("""
driver, peer = with_peer()
peer.invite(b"goes-on")
call = driver.wait(events.IncomingInvite)
driver.stack.perform(actions.Redirect(call.call_id, "+4722000001"))
moved = peer.final()
over = driver.wait(events.CallOver)
driver.stack.close()
say("done", status=moved.split(b"\\r\\n")[0].decode(), remote=over.remote, code=over.code,
    contacts=[one.decode() for one in re.findall(rb"^Contact: *(.*?)\\r$", moved, re.MULTILINE)])
""")
    assert (result["status"], result["remote"], result["code"]) == ("SIP/2.0 302 Moved Temporarily", False, 302)
    assert [one.strip("<>") for one in result["contacts"]] == ["sip:+4722000001@lab.example"]


def test_nobody_takes_over_a_call_not_even_from_the_operators_own_address(script):
    result = script(
        REFERS
        + """
driver, peer = with_peer()
invite = talk(driver, peer)
peer.receive(b"ACK")
tag = head(invite, b"From").split(b"tag=")[1]
peer.invite(b"takes", more=b"Replaces: " + head(invite, b"Call-ID") + b";to-tag=" + tag + b";from-tag=zz\\r\\n")
answer = peer.final()
bye = peer.receive(b"BYE", 1000)
rang = any(isinstance(event, events.IncomingInvite) for event in driver.seen)
up = not over(driver)
driver.stack.close()
say("done", answer=answer.split(b"\\r\\n")[0].decode(), bye=bye is not None, rang=rang, up=up)
"""
    )
    assert result == result | {"answer": "SIP/2.0 603 Decline", "bye": False, "rang": False, "up": True}


def test_a_resumed_call_can_be_held_and_transferred_while_the_other_one_goes_on(script):
    """What a person does who asks first: hold, call, ask, and put the two together."""
    result = script(
        REFERS
        + """
driver, peer = with_peer()
first = talk(driver, peer, "one")
peer.receive(b"ACK")
driver.stack.perform(actions.Hold("one"))
peer.answer(peer.receive(b"INVITE"), b"200 OK", way_of_sdp(b"recvonly"))
held = driver.wait(events.HoldDone)
peer.receive(b"ACK")
other = talk(driver, peer, "two")
peer.receive(b"ACK")
driver.stack.perform(actions.TransferTo("one", "two"))
peer.answer(peer.receive(b"REFER"), b"202 Accepted")
notify(peer, first, 1, b"terminated;reason=noresource", b"200 OK")
told, up = progress(driver), not over(driver)
for call in ("one", "two"):
    driver.stack.perform(actions.HangUp(call))
    peer.answer(peer.receive(b"BYE"), b"200 OK")
ends = [driver.wait(events.CallOver).call_id for _ in range(2)]
deadline = boot_ms() + 9000
while (free := driver.stack.free_slots()) < 4 and boot_ms() < deadline:
    driver.stack.poll(100)
driver.stack.close()
say("done", held=[held.held, held.ok], told=told, up=up, ends=ends, free=free)
"""
    )
    assert result == result | {"held": [True, True], "told": [["one", 100, False], ["one", 200, True]], "up": True,
                               "ends": ["one", "two"], "free": 4}  # fmt: skip
