"""The ways out: OPTIONS as the REGISTERs go, another source port, and an orderly end in the middle of it."""

import pytest

pytestmark = pytest.mark.e2e


def test_an_options_goes_the_registers_way_and_any_answer_says_that_it_lives(script):
    result = script("""
driver, peer = with_peer()
ends = []
for status in (b"200 OK", b"404 Not Found", b"503 Service Unavailable", None):
    driver.stack.perform(events.ProbePath("1001"))
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
driver.stack.perform(events.Register("1001"))
first = peer.receive(b"REGISTER")
answer_200(first)
driver.wait(events.Registered)
driver.stack.perform(events.NewPort("1001"))
driver.stack.perform(events.ProbePath("1001"))
options = peer.receive(b"OPTIONS")
driver.stack.perform(events.Register("1001"))
gone = peer.receive(b"REGISTER")
answer_200(gone)
second = peer.receive(b"REGISTER")
answer_200(second)
driver.wait(events.Registered)
driver.stack.perform(events.Invite("one", "1001", "112", 0, True))
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
driver.stack.perform(events.ProbePath("1001"))
assert peer.receive(b"OPTIONS")
driver.stack.close()
say("done")
""")


def test_an_account_that_is_gone_waits_for_its_options(script):
    script("""
driver, peer = with_peer()
driver.stack.perform(events.ProbePath("1001"))
assert peer.receive(b"OPTIONS")
driver.stack.configure([])
assert not driver.wait(events.PathProbed).alive
driver.stack.configure([account(targets=[peer.place])])
driver.stack.perform(events.Register("1001"))
assert peer.receive(b"REGISTER")
driver.stack.close()
say("done")
""")


def test_an_unusable_account_is_a_dead_way(script):
    script("""
driver, peer = with_peer()
driver.stack.perform(events.ProbePath("nobody"))
assert not driver.wait(events.PathProbed).alive
driver.stack.perform(events.NewPort("nobody"))
driver.stack.close()
say("done")
""")
