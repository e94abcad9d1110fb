"""The ways out: OPTIONS as the REGISTERs go, another source port, and an orderly end in the middle of it."""

import pytest

pytestmark = pytest.mark.e2e


def test_an_options_goes_the_registers_way_and_any_answer_says_that_it_lives(script):
    result = script("""
driver, peer = with_peer()
ends = []
for status in (b"200 OK", b"404 Not Found", b"503 Service Unavailable", None):
    driver.stack.perform(actions.ProbePath("1001"))
    request = peer.receive(b"OPTIONS")
    if status:
        peer.answer(request, status)
    ends.append(driver.wait(events.PathProbed).alive)
    while peer.receive(b"OPTIONS", 300):
        pass
driver.stack.close()
say("done", ends=ends, line=request.split(b"\\r\\n")[0].decode(), port=driver.port,
    via=head(request, b"Via").decode())
""")
    assert result["ends"] == [True, True, True, False]
    assert result["line"] == "OPTIONS sip:lab.example SIP/2.0"
    assert f":{result['port']};" in result["via"]


def test_an_account_on_another_port_registers_there_and_the_old_binding_is_given_up(script):
    result = script("""
driver, peer = with_peer()
def answer_200(request):
    contact, expires = head(request, b"Contact"), head(request, b"Expires")
    keep = b"".join(n + b": " + head(request, n) + b"\\r\\n" for n in (b"Via", b"From", b"Call-ID", b"CSeq"))
    bound = b"" if expires == b"0" else b"Contact: " + contact + b";expires=60\\r\\n"
    peer.socket.sendto(b"SIP/2.0 200 OK\\r\\n" + keep + b"To: " + head(request, b"To") + b";tag=zz\\r\\n" + bound
                       + b"Content-Length: 0\\r\\n\\r\\n", ("127.0.0.1", port_of(request)))
def port_of(request):
    return int(re.search(rb":(\\d+)", head(request, b"Via").split(b";")[0])[1])
driver.stack.perform(actions.Register("1001"))
first = peer.receive(b"REGISTER")
answer_200(first)
driver.wait(events.Registered)
driver.stack.perform(actions.NewPort("1001"))
driver.stack.perform(actions.ProbePath("1001"))
options = peer.receive(b"OPTIONS")
driver.stack.perform(actions.Register("1001"))
gone = peer.receive(b"REGISTER")
answer_200(gone)
second = peer.receive(b"REGISTER")
answer_200(second)
driver.wait(events.Registered)
driver.stack.perform(actions.Invite("one", "1001", "112", 0, True))
invite = peer.receive(b"INVITE")
driver.stack.close()
say("done", ports=[port_of(one) for one in (first, options, gone, second, invite)], port=driver.port,
    expires=[head(one, b"Expires").decode() for one in (gone, second)], contact=head(gone, b"Contact").decode())
""")
    first, options, gone, second, invite = result["ports"]
    assert first == result["port"]
    assert options == gone == second == invite != first
    assert f":{first};" in result["contact"]
    assert result["expires"] == ["0", "300"]


def test_the_stack_ends_in_order_while_an_options_is_unanswered(script):
    script("""
driver, peer = with_peer()
driver.stack.perform(actions.ProbePath("1001"))
assert peer.receive(b"OPTIONS")
driver.stack.close()
say("done")
""")


def test_an_account_that_is_gone_waits_for_its_options(script):
    script("""
driver, peer = with_peer()
driver.stack.perform(actions.ProbePath("1001"))
assert peer.receive(b"OPTIONS")
driver.stack.configure([])
assert not driver.wait(events.PathProbed).alive
driver.stack.configure([account(targets=[peer.place])])
driver.stack.perform(actions.Register("1001"))
assert peer.receive(b"REGISTER")
driver.stack.close()
say("done")
""")


def test_an_unusable_account_is_a_dead_way(script):
    script("""
driver, peer = with_peer()
driver.stack.perform(actions.ProbePath("nobody"))
assert not driver.wait(events.PathProbed).alive
driver.stack.perform(actions.NewPort("nobody"))
driver.stack.close()
say("done")
""")


def test_a_request_to_our_contact_shows_that_the_operator_reaches_us_and_one_to_anything_else_does_not(script):
    result = script("""
driver, peer = with_peer()
driver.stack.perform(actions.Register("1001"))
register = peer.receive(b"REGISTER")
peer.answer(register, b"200 OK", more=b"Contact: " + head(register, b"Contact") + b";expires=60\\r\\n")
driver.wait(events.Registered)
contact = re.search(rb"<([^>]+)>", head(register, b"Contact"))[1]

def ask(uri, branch):
    lines = (
        b"OPTIONS " + uri + b" SIP/2.0", b"Via: SIP/2.0/UDP " + peer.place.encode() + b";branch=z9hG4bK" + branch,
        b"From: <sip:op@lab.example>;tag=" + branch, b"To: <" + uri + b">", b"Call-ID: " + branch, b"CSeq: 1 OPTIONS",
        b"Max-Forwards: 70", b"Content-Length: 0", b"", b"",
    )
    peer.socket.sendto(b"\\r\\n".join(lines), ("127.0.0.1", driver.port))
    return peer.receive(b"SIP/2.0 200") is not None

seen = lambda: [event.account for event in driver.seen if isinstance(event, events.RequestSeen)]
guessed = contact.replace(b"line=", b"line=0").replace(b"sip:x", b"sip:x0")
answered = [ask(b"sip:1001@127.0.0.1:%d" % driver.port, b"a"), ask(guessed, b"b")]
before = seen()
answered += [ask(contact, b"c"), ask(contact, b"d")]
driver.stack.poll(50)
say("done", answered=answered, before=before, after=seen())
driver.stack.close()
""")
    assert all(result["answered"])
    assert result["before"] == []
    assert result["after"] == ["1001"], "and it is told now and then, not each time"
