"""What a far end or a stranger tries: it moves no call, makes none, and the stack stops in order afterwards."""

import pytest

pytestmark = pytest.mark.e2e


def test_the_far_end_cannot_make_the_adapter_dial(script):
    result = script("""
driver, peer = with_peer()
invite = talk(driver, peer)
ours, call_id = head(invite, b"From"), head(invite, b"Call-ID")
contact = re.search(rb"<([^>]+)>", head(invite, b"Contact"))[1]
peer.request(b"REFER " + contact, head(invite, b"To") + b";tag=zz", ours, call_id,
             b"Refer-To: <sip:82912345@lab.example>\\r\\n", number=7)
refused = peer.receive(b"SIP/2.0")
second = peer.receive(b"INVITE", 1500)
up = not any(isinstance(event, events.CallOver) for event in driver.seen)
driver.stack.close()
say("done", answer=refused.split(b"\\r\\n")[0].decode(), dialled=second is not None, up=up)
""")
    assert result == result | {"answer": "SIP/2.0 603 Decline", "dialled": False, "up": True}


def test_a_stranger_cannot_take_over_a_call(script):
    result = script("""
driver, peer = with_peer()
invite = talk(driver, peer)
stranger = Peer(driver, "127.0.0.2")
tag = head(invite, b"From").split(b"tag=")[1]
stranger.invite(b"take", more=b"Replaces: " + head(invite, b"Call-ID") + b";to-tag=" + tag + b";from-tag=zz\\r\\n")
answer = b"SIP/2.0 100"
while answer and answer.startswith(b"SIP/2.0 100"):
    answer = stranger.receive(b"SIP/2.0")
bye = peer.receive(b"BYE", 1000)
up = not any(isinstance(event, events.CallOver) for event in driver.seen)
driver.stack.close()
say("done", code=int((answer or b"SIP/2.0 0").split()[1]), bye=bye is not None, up=up)
""")
    assert result["code"] >= 400
    assert (result["bye"], result["up"]) == (False, True)
