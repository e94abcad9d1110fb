"""What the library sends and gets, as the trace has it."""

import pytest

pytestmark = pytest.mark.e2e


def test_a_registration_and_a_call_are_traced_without_the_password(script, endpoint):
    endpoint({"1002": {}}).wait("ready")
    result = script("""
driver = Driver()
driver.stack.configure([account()])
driver.register()
driver.call()
local, messages = driver.stack.trace()
driver.stack.close()
say("done", local=local, sent=[m.text.split()[0] for m in messages if m.sent],
    got=[m.text.split()[1] for m in messages if not m.sent], cut=[m.cut for m in messages],
    secrets=[m.text for m in messages if "response=" in m.text or "nonce=" in m.text])
""")
    assert result["sent"][:2] == ["REGISTER", "REGISTER"]
    assert result["got"][:2] == ["401", "200"]
    assert "INVITE" in result["sent"]
    assert "BYE" in result["sent"]
    assert result["secrets"] == []
    assert not any(result["cut"])
    assert result["local"].startswith("127.0.0.1:")


def test_a_message_near_the_librarys_limit_is_whole_and_a_larger_one_says_that_it_was_cut(script):
    result = script("""
driver, peer = with_peer()
sent, send = [], peer.send
peer.send = lambda message: (sent.append(message), send(message))
for size in (3530, 3700, 4300):
    peer.request(b"OPTIONS sip:1001@127.0.0.1:%d" % driver.port, b"<sip:a@lab.example>;tag=s",
                 b"<sip:1001@lab.example>", b"long%d" % size, b"X-Long: " + b"y" * size + b"\\r\\n")
    peer.receive(b"SIP/2.0")
got = [m for m in driver.stack.trace()[1] if not m.sent]
driver.stack.close()
same = [theirs.decode().replace("\\r\\n", "\\n").startswith(ours.text.replace("\\r\\n", "\\n").rstrip("\\n"))
        for ours, theirs in zip(got, sent)]
say("done", cut=[m.cut for m in got], kept=[len(m.text) for m in got], sent=[len(m) for m in sent], same=same)
""")
    whole, cut, cut_too = result["kept"]
    assert result["cut"] == [False, True, True]
    assert result["same"] == [True, True, True]
    # The library writes log lines of at most 4000 characters, their beginning and end included; a whole INVITE of a
    # platform with many headers is within that.
    assert 3800 <= whole == result["sent"][0]
    assert min(cut, cut_too) > 3800


def test_an_invite_as_long_as_the_library_can_read_is_whole(script):
    result = script("""
driver, peer = with_peer()
sent, send = [], peer.send
peer.send = sent.append
secret = b"Authorization: Digest response=\\"secret\\"\\r\\n"
peer.invite(b"long", more=secret + b"X-Long: \\r\\n")
peer.send = lambda message: (sent.append(message), send(message))
peer.invite(b"long", more=secret + b"X-Long: " + b"y" * (3990 - len(sent[0])) + b"\\r\\n")
driver.wait(events.IncomingInvite)
got = [m for m in driver.stack.trace()[1] if m.text.startswith("INVITE")]
driver.stack.close()
say("done", length=len(sent[1]), cut=[m.cut for m in got], whole=[m.text for m in got], sent=sent[1].decode())
""")
    (whole,) = result["whole"]
    assert (result["length"], result["cut"]) == (3990, [False])
    assert "secret" not in whole
    assert result["sent"].replace('Digest response="secret"', "(removed)") == whole


def test_a_warning_of_the_library_reaches_the_log(script):
    result = script("""
driver, peer = with_peer()
driver.stack.perform(actions.Register("1001", 0))
peer.answer(peer.receive(b"REGISTER"), b"503 Service Unavailable")
deadline = boot_ms() + 5000
while boot_ms() < deadline and not any(line[1] == "sip_library" for line in driver.logs):
    driver.stack.poll(50)
driver.stack.close()
say("done", heard=[line[2] for line in driver.logs if line[1] == "sip_library"])
""")
    assert result["heard"]
