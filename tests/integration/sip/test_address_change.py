"""Our own address changes, in a network namespace that the test makes: seen at once, and moved to."""

import os
import shutil

import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _own_network():
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("only root with iproute2 can make a network namespace")


NAMESPACE = """
import ctypes, subprocess
assert ctypes.CDLL(None).unshare(0x40000000) == 0
def ip(words):
    subprocess.run(["ip", *words.split()], check=True)
ip("link set lo up")
ip("addr add 10.9.0.2/24 dev lo")
"""


def test_a_changed_address_and_a_link_that_comes_back_are_seen(script):
    result = script(
        NAMESPACE
        + """
import queue
from agent.gateway.daemon.link_watch import LinkWatch, own_address
from agent.core.target import Target
news = queue.Queue()
watch = LinkWatch(news.put)
target = Target("10.9.0.1", 5060)
watch.watch([target])
watch.start()
said = []
ip("addr add 10.8.0.1/24 dev lo")
ip("addr del 10.9.0.2/24 dev lo")
assert own_address(target) == ""
ip("addr add 10.9.0.3/24 dev lo")
said.append(news.get(timeout=10).change.value)
ip("addr del 10.9.0.3/24 dev lo")
try:
    said.append(news.get(timeout=1).change.value)
except queue.Empty:
    said.append("nothing")
ip("addr add 10.9.0.3/24 dev lo")
said.append(news.get(timeout=10).change.value)
watch.stop()
say("done", said=said)
"""
    )
    assert result["said"] == ["address", "nothing", "link_up"]


TWO_NAMESPACES = """
import ctypes, subprocess
libc = ctypes.CDLL(None)
def ip(words):
    subprocess.run(["ip", *words.split()], check=True)
assert libc.unshare(0x40000000) == 0
house = os.open("/proc/self/ns/net", os.O_RDONLY)
assert libc.unshare(0x40000000) == 0
ip("link add operator type veth peer name house")
ip(f"link set house netns /proc/{os.getpid()}/fd/{house}")
ip("addr add 10.9.0.1/24 dev operator")
ip("link set operator up")
operator = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
operator.bind(("10.9.0.1", 0))
operator.setblocking(False)
assert libc.setns(house, 0x40000000) == 0
ip("link set lo up")
ip("link set house up")
ip("addr add 10.9.0.2/24 dev house")
"""


MOVE = (
    TWO_NAMESPACES
    + """
driver = Driver("0.0.0.0")
driver.port = driver.wait(events.SipReady).local_port
peer = Peer(driver)
peer.socket.close()
router = b""

class Remembering:
    # Answers go to where the last request came from, as RFC 3581 says.
    def recv(self, size):
        message, self.source = operator.recvfrom(size)
        return message

peer.socket, peer.place = Remembering(), "%s:%d" % operator.getsockname()
peer.send = lambda message: operator.sendto(message, peer.socket.source)
driver.stack.configure([account(targets=[peer.place + ";transport=udp"])])

contacts = []
def answer(request):
    request = request.replace(b";rport;", router, 1) if router else request
    keep = b"".join(n + b": " + head(request, n) + b"\\r\\n" for n in (b"Via", b"From", b"Call-ID", b"CSeq"))
    bound = b""
    if head(request, b"Expires") != b"0":
        contacts.append(head(request, b"Contact").decode())
        bound = b"Contact: " + head(request, b"Contact") + b";expires=60\\r\\n"
    peer.send(b"SIP/2.0 200 OK\\r\\n" + keep + b"To: " + head(request, b"To") + b";tag=zz\\r\\n" + bound
              + b"Content-Length: 0\\r\\n\\r\\n")

def serve(wanted, timeout_ms=15_000):
    # Answers every REGISTER until a request of the wanted kind, or a new binding, has come.
    deadline, known = boot_ms() + timeout_ms, len(contacts)
    while boot_ms() < deadline and (wanted or len(contacts) == known):
        request = peer.receive(timeout_ms=200)
        if request is not None and request.startswith(b"REGISTER"):
            answer(request)
        elif request is not None and wanted and request.startswith(wanted):
            return request
    return None

driver.stack.perform(actions.Register("1001"))
serve(b"")
driver.wait(events.Registered)
talk(driver, peer)
ip("addr del 10.9.0.2/24 dev house")
ip("addr add 10.9.0.3/24 dev house")
driver.stack.perform(actions.MoveAddress())
again = serve(b"INVITE")
if again:
    peer.answer(again, b"200 OK", SDP.replace(b"127.0.0.1", b"10.9.0.1"))
"""
)


def test_calls_and_registrations_move_to_the_new_address(script):
    result = script(
        MOVE
        + """
place = re.search(rb"^c=IN IP4 (\\S+)\\r$", again, re.MULTILINE)[1].decode() if again else ""
driver.stack.perform(actions.Register("1001"))
serve(b"")
driver.wait(events.Registered)
more = serve(b"INVITE", 500)
up = not any(isinstance(event, events.CallOver) for event in driver.seen)
driver.stack.perform(actions.HangUp("out"))
driver.stack.close()
say("done", contacts=contacts, place=place, up=up, told=head(again, b"Contact").decode(), more=more is not None,
    logs=driver.logs)
"""
    )
    assert "10.9.0.2" in result["contacts"][0]
    assert "10.9.0.3" in result["contacts"][-1], result
    assert result["told"].split(";")[:-1] == result["contacts"][-1].split(";")[:-1]
    assert (result["place"], result["up"], result["more"]) == ("10.9.0.3", True, False), result


def test_behind_a_router_the_far_end_of_a_call_is_told_where_we_are_seen_as_soon_as_that_is_known(script):
    result = script(
        MOVE
        + """
router = b";rport=4711;received=10.9.0.77;"
driver.stack.perform(actions.Register("1001"))
told = serve(b"INVITE")
peer.answer(told, b"200 OK", SDP.replace(b"127.0.0.1", b"10.9.0.1"))
driver.wait(events.Registered)
more = serve(b"INVITE", 500)
up = not any(isinstance(event, events.CallOver) for event in driver.seen)
driver.stack.perform(actions.HangUp("out"))
driver.stack.close()
say("done", contacts=[head(one, b"Contact").decode() for one in (again, told)], more=more is not None, up=up,
    bound=contacts[-1], logs=driver.logs)
"""
    )
    first, second = result["contacts"]
    assert "@10.9.0.3:" in first
    assert "@10.9.0.77:4711;" in second
    assert "@10.9.0.77:4711;" in result["bound"]
    assert (result["more"], result["up"]) == (False, True), result


OBSERVED = """
from agent.core.place import Place

class Seen:
    # What a STUN server would say of each call's sockets: another address each time that it is asked.
    answers, asked = True, 0
    def ask_from(self, sockets):
        self.asked += 1
        return tuple(Place(f"198.51.100.{self.asked}", one.getsockname()[1]) for one in sockets)

observer = Seen()
"""


def test_a_call_that_moves_asks_anew_where_it_is_seen_from_outside(script):
    result = script(
        OBSERVED
        + MOVE.replace('Driver("0.0.0.0")', 'Driver("0.0.0.0", observer=observer)')
        + """
offers = [message for message in peer.past if message.startswith(b"INVITE")]
places = [re.search(rb"^c=IN IP4 (\\S+)\\r$", message, re.MULTILINE)[1].decode() for message in offers]
driver.stack.perform(actions.HangUp("out"))
driver.wait(events.CallOver)
driver.stack.close()
say("done", places=list(dict.fromkeys(places)), asked=observer.asked)
"""
    )
    assert (result["places"], result["asked"]) == (["198.51.100.1", "198.51.100.2"], 2)
