"""What an INVITE shows of a caller who withholds his number."""


def test_a_withheld_number_goes_to_the_operator_only(script):
    result = script("""
driver, peer = with_peer()
seen = []
for at, fields in enumerate((
    {"withhold": True, "own_user": "+4722000001"}, {"withhold": True}, {}, {"emergency": True, "withhold": True},
    {"own_user": "+4722000002"},
)):
    driver.stack.perform(actions.Invite(f"out{at}", "1001", "22334455", 0, **fields))
    invite = peer.receive(b"INVITE")
    peer.answer(invite, b"486 Busy Here")
    driver.wait(events.CallOver)
    names = (b"From", b"Privacy", b"P-Preferred-Identity", b"Contact")
    seen.append([head(invite, name).decode() if b"\\r\\n" + name + b":" in invite else "" for name in names])
driver.stack.close()
say("done", seen=seen)
""")
    hidden, hidden_account, shown, emergency, one_of_several = result["seen"]
    # From is the registration's own for all its numbers: the operator learns beside it which one calls.
    assert one_of_several[0].startswith("sip:1001@lab.example;tag=")
    assert one_of_several[1:3] == ["", "<sip:+4722000002@lab.example>"]
    for from_, privacy, identity, _ in (hidden, hidden_account):
        assert from_.startswith('"Anonymous" <sip:anonymous@anonymous.invalid>;tag=')
        assert privacy == "id"
        assert "1001" not in from_ + identity.replace("sip:1001@lab.example", "")
    assert hidden[2] == "<sip:+4722000001@lab.example>"
    assert hidden_account[2] == "<sip:1001@lab.example>"
    for from_, privacy, identity, _ in (shown, emergency):
        assert from_.startswith("sip:1001@lab.example;tag=")
        assert (privacy, identity) == ("", "")


def test_the_operator_asks_a_withheld_call_for_its_password_all_the_same(script):
    result = script("""
driver, peer = with_peer()
driver.stack.perform(actions.Invite("out", "1001", "22334455", 0, withhold=True))
first = peer.receive(b"INVITE")
peer.answer(first, b'407 Proxy Authentication Required\\r\\nProxy-Authenticate: Digest realm="x", nonce="n"')
second = peer.receive(b"INVITE")
peer.answer(second, b"486 Busy Here")
over = driver.wait(events.CallOver)
driver.stack.close()
say("done", who=head(second, b"Proxy-Authorization").decode(), privacy=head(second, b"Privacy").decode(),
    sender=head(second, b"From").decode(), code=over.code)
""")
    assert 'username="1001"' in result["who"]
    assert result["privacy"] == "id"
    assert "anonymous.invalid" in result["sender"]
    assert result["code"] == 486
