"""Our Contact: a user part that nobody can guess or read, at the place where the registrar sees us."""

import re

import pytest

pytestmark = pytest.mark.e2e

ROUTER = """
import itertools

class Router:
    # Answers every REGISTER as a registrar behind a router does: it says from where it came, and lists what it has.

    def __init__(self, driver, peer, ports):
        self.driver, self.peer, self.ports, self.bound, self.said = driver, peer, ports, {}, []

    def answer(self, request):
        for contact in re.findall(rb"^Contact: *(.*?)\\r$", request, re.MULTILINE):
            uri, parameters = re.match(rb"<([^>]+)>(.*)", contact).groups()
            gone = head(request, b"Expires") == b"0" or b"expires=0" in parameters
            self.bound.pop(uri.decode(), None) if gone else self.bound.update({uri.decode(): 60})
        self.said.append((head(request, b"Expires").decode(), head(request, b"Contact").decode()))
        seen = request.replace(b";rport;", b";rport=%d;received=127.0.0.9;" % next(self.ports), 1)
        self.peer.answer(seen, b"200 OK", more=b"".join(
            b"Contact: <%s>;expires=%d\\r\\n" % (uri.encode(), left) for uri, left in self.bound.items()
        ))

    def serve(self, quiet_ms=700):
        # Until no more REGISTERs come; how many came.
        before = len(self.said)
        while request := self.peer.receive(b"REGISTER", quiet_ms):
            self.answer(request)
        return len(self.said) - before

    def order(self):
        # One order of the Switch: how many REGISTERs it makes.
        self.driver.stack.perform(actions.Register("1001"))
        return self.serve()

def place_of(uri):
    return re.search(r"@([^;>]+)", uri)[1]
"""


def test_behind_a_router_one_binding_is_left_and_it_leads_to_where_we_are_seen(script):
    result = script(
        ROUTER
        + """
driver, peer = with_peer()
router = Router(driver, peer, itertools.repeat(4711))
counts = [router.order()]
first = list(router.bound)
driver.wait(events.Registered)
counts.append(router.order())
told = [type(event).__name__ for event in driver.seen]
say("done", port=driver.port, counts=counts, said=router.said, told=told, bound=[first, list(router.bound)])
driver.stack.close()
"""
    )
    local, public = f"127.0.0.1:{result['port']}", "127.0.0.9:4711"
    assert [(expires, re.search(r"@([^;]+)", contact)[1]) for expires, contact in result["said"]] == [
        ("300", local), ("0", local), ("300", public), ("300", public),
    ]  # fmt: skip
    assert result["counts"] == [3, 1], "what is right is only refreshed"
    assert result["told"] == ["Registered"], "one outcome for each order, and the first is taken"
    ((one,), (same,)) = result["bound"]
    assert one == same
    assert f"@{public};line=" in one
    assert "1001" not in one


def test_a_router_that_shows_us_at_another_port_each_time_makes_no_loop_of_registers(script):
    result = script(
        ROUTER
        + """
driver, peer = with_peer()
router = Router(driver, peer, itertools.count(20000))
counts = [router.order() for _ in range(4)]
bound, codes = list(router.bound), [type(event).__name__ for event in driver.seen]
driver.stack.close()
say("done", counts=counts, bound=bound, codes=codes)
"""
    )
    # At first twice anew, each with its unregistration; then a refresh is a refresh.
    assert result["counts"] == [5, 1, 1, 1]
    assert len(result["bound"]) == 1
    assert result["codes"] == ["Registered"] * 4


def test_a_mailbox_is_asked_once_and_from_where_its_answers_reach_us(script):
    result = script(
        ROUTER
        + """
driver, peer = with_peer(mailbox=True)
router = Router(driver, peer, itertools.repeat(4711))
router.order()
asked = {head(one, b"Call-ID").decode(): place_of(head(one, b"Contact").decode())
         for one in peer.past if one.startswith(b"SUBSCRIBE")}
subscribe = next(one for one in peer.past if one.startswith(b"SUBSCRIBE"))
peer.answer(subscribe, b"200 OK", more=b"Expires: 3600\\r\\n")
driver.stack.poll(100)
peer.past.clear()
# The router has another port for us.
router.ports = itertools.repeat(4712)
router.order()
moved = {head(one, b"Expires").decode(): place_of(head(one, b"Contact").decode())
         for one in peer.past if one.startswith(b"SUBSCRIBE")}
driver.stack.close()
say("done", asked=list(asked.values()), moved=moved, bound=[place_of(uri) for uri in router.bound])
"""
    )
    assert result["asked"] == ["127.0.0.9:4711"]
    assert result["bound"] == ["127.0.0.9:4712"]
    assert result["moved"] == {"0": "127.0.0.9:4711", "3600": "127.0.0.9:4712"}, "the old one is given up"


def test_after_a_restart_and_after_an_update_no_binding_of_before_is_left(script):
    result = script(
        ROUTER
        + """
driver, peer = with_peer()
router = Router(driver, peer, itertools.repeat(4711))
router.order()
(ours,) = router.bound
# What a process before this one has left, at another port; what an earlier version has, with its user part.
user = ours.partition("@")[0]
router.bound |= {f"{user}@127.0.0.9:4000;line=0;p=4000": 9, ours.replace(user, "sip:1001"): 9,
                 "sip:softphone@127.0.0.9:4711": 9}
router.order()
left = list(router.bound)
driver.stack.close()
say("done", ours=ours, left=left)
"""
    )
    assert sorted(result["left"]) == sorted([result["ours"], "sip:softphone@127.0.0.9:4711"])


def test_an_invite_is_known_by_the_user_part_or_the_parameter_and_gets_its_own_account(script):
    result = script("""
driver, peer = with_peer()
driver.stack.configure([account(name, targets=[peer.place + ";transport=udp"]) for name in ("1001", "1002")])
contacts = {}
for name in ("1001", "1002"):
    driver.stack.perform(actions.Register(name))
    register = peer.receive(b"REGISTER")
    contacts[name] = re.search(rb"<([^>]+)>", head(register, b"Contact"))[1]
    peer.answer(register, b"200 OK", more=b"Contact: <" + contacts[name] + b">;expires=60\\r\\n")
    driver.wait(events.Registered)
numbers = iter(range(100))
def call(uri, to=b"<sip:+4721000009@lab.example>"):
    peer.request(b"INVITE " + uri, b"<sip:+4790000000@lab.example>;tag=s", to, b"c%d" % next(numbers), sdp=SDP)
    event = driver.wait(events.IncomingInvite)
    driver.stack.perform(actions.Ringing(event.call_id))
    ringing = peer.receive(b"SIP/2.0 180")
    driver.stack.perform(actions.Reject(event.call_id, 480))
    driver.wait(events.CallOver)
    told = re.search(rb"<([^>]+)>", head(ringing, b"Contact"))[1]
    return [event.account, event.bound, event.called, event.addressed, told == contacts[event.account]]
whole = contacts["1002"]
bare = whole.partition(b";")[0]
user = bare.partition(b"@")[0]
host = bare.partition(b"@")[2]
calls = dict(
    whole=call(whole), bare=call(bare), number=call(whole.replace(user, b"sip:+4721000009")),
    aor=call(whole.replace(user, b"sip:1002")), plain=call(b"sip:1002@" + host),
    wrong=call(user + b"0@" + host), odd=call(b"sip:%C3%B8%FF@" + host), first=call(contacts["1001"]),
)
driver.stack.close()
say("done", calls=calls, failures=driver.stack.callback_failures)
""")
    calls = result["calls"]
    assert result["failures"] == 0
    # The number comes from To where the Request-URI only says which registration it is.
    ours = ["1002", True, "", "+4721000009", True]
    assert [calls[name] for name in ("whole", "bare", "aor")] == [ours] * 3
    assert calls["number"] == ["1002", True, "+4721000009", "+4721000009", True]
    assert calls["first"] == ["1001", True, "", "+4721000009", True]
    # From the operator's address, and to nothing that we have told him: the numbers decide.
    assert [calls[name][1] for name in ("plain", "wrong", "odd")] == [False] * 3
    assert calls["plain"][2] == "1002"


def test_a_stranger_is_refused_whichever_user_he_asks_for(script):
    result = script("""
driver, peer = with_peer()
driver.stack.perform(actions.Register("1001"))
register = peer.receive(b"REGISTER")
contact = re.search(rb"<([^>]+)>", head(register, b"Contact"))[1]
peer.answer(register, b"200 OK", more=b"Contact: <" + contact + b">;expires=60\\r\\n")
driver.wait(events.Registered)
stranger = Peer(driver, "127.0.0.2")
answers = []
for at, uri in enumerate((b"sip:1001@127.0.0.1:%d" % driver.port, b"sip:100@127.0.0.1", contact)):
    stranger.request(b"INVITE " + uri, b"<sip:100@127.0.0.1>;tag=s", b"<" + uri + b">", b"s%d" % at, sdp=SDP)
    answers.append(stranger.receive(b"SIP/2.0 4", 1500).split(b"\\r\\n")[0].decode())
rang = [event for event in driver.seen if isinstance(event, events.IncomingInvite)]
driver.stack.close()
say("done", answers=answers, rang=len(rang))
""")
    assert result == result | {"answers": ["SIP/2.0 403 Forbidden"] * 3, "rang": 0}


@pytest.mark.parametrize("registered", [True, False])
def test_a_withheld_call_names_us_to_the_operator_alone(script, registered):
    result = script(
        ROUTER
        + f"registered = {registered}\n"
        + """
driver, peer = with_peer(id="kari-line", user="4721000001")
if registered:
    driver.stack.perform(actions.Register("kari-line"))
    Router(driver, peer, itertools.repeat(4711)).serve()
driver.stack.perform(actions.Invite("out", "kari-line", "22334455", 0, withhold=True, own_user="+4721000001"))
invite = peer.receive(b"INVITE")
peer.answer(invite, b"486 Busy Here")
driver.wait(events.CallOver)
driver.stack.close()
say("done", invite=invite.decode(), port=driver.port)
"""
    )
    identity = "P-Preferred-Identity: <sip:+4721000001@lab.example>\r\n"
    assert result["invite"].count(identity) == 1
    rest = result["invite"].replace(identity, "")
    assert "1000001" not in rest
    assert "kari" not in rest
    place = "127.0.0.9:4711" if registered else f"127.0.0.1:{result['port']}"
    assert re.search(rf"^Contact: <sip:x[0-9a-f]{{20}}@{re.escape(place)};", rest, re.MULTILINE), rest


def test_a_call_without_a_registration_can_be_answered_where_its_contact_leads(script):
    result = script("""
driver, peer = with_peer()
invite = talk(driver, peer)
peer.inside(invite, b"BYE", number=2)
over = driver.wait(events.CallOver)
driver.stack.close()
say("done", contact=head(invite, b"Contact").decode(), port=driver.port, remote=over.remote)
""")
    assert f"@127.0.0.1:{result['port']};" in result["contact"]
    assert "1001" not in result["contact"].partition("@")[0]
    assert result["remote"]
