"""Where the operator has told his ranges, the kernel drops what others send to the SIP sockets: nobody parses it."""

import os
import shutil
import socket

import pytest

from agent.core.ranges import parse_ranges
from agent.core.source_filter import take_from
from agent.gateway.daemon.sip.own_sockets import attach, detach

pytestmark = [pytest.mark.e2e, pytest.mark.peer("ip")]

HOUSE = """
import ctypes, subprocess
assert ctypes.CDLL(None).unshare(0x40000000) == 0
ADDRESSES = {"ours": "10.9.0.1", "target": "10.9.0.2", "operator": "192.0.2.10", "stranger": "198.51.100.10"}
for words in ("link set lo up", *(f"addr add {one}/32 dev lo" for one in ADDRESSES.values())):
    subprocess.run(["ip", *words.split()], check=True)
from agent.core.ranges import Ranges, parse_ranges

class There(Peer):
    def __init__(self, driver, who):
        super().__init__(driver, ADDRESSES[who])

    def send(self, message):
        self.socket.sendto(message, (ADDRESSES["ours"], self.driver.port))

numbers = itertools.count(1)

def hears(who, port=None):
    # What an OPTIONS and an INVITE from there are answered, while anything is.
    peer = There(driver, who)
    driver.port = port or main
    number = next(numbers)
    peer.request(b"OPTIONS sip:1001@10.9.0.1", b"<sip:x@peer.example>;tag=s", b"<sip:1001@lab.example>",
                 b"o%d" % number)
    answer = peer.receive(b"SIP/2.0", 700)
    return answer and answer.split(b"\\r\\n")[0].decode()

driver = Driver(bind=ADDRESSES["ours"])
main = driver.port = driver.wait(events.SipReady).local_port
target = There(driver, "target")
driver.stack.configure([account(targets=[target.place + ";transport=udp"])])
"""


@pytest.fixture
def house(script):
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces are made by root")
    return lambda code: script(HOUSE + code)


def test_only_the_operator_and_the_targets_reach_the_library(house):
    result = house("""
without = {who: hears(who) for who in ADDRESSES}
driver.stack.use_ranges(Ranges(parse_ranges(["192.0.2.0/24"])))
with_ranges = {who: hears(who) for who in ADDRESSES}
stranger = There(driver, "stranger")
driver.port = main
stranger.invite(b"knock")
operator = There(driver, "operator")
operator.invite(b"ring")
arrived = driver.wait(events.IncomingInvite)
driver.stack.perform(actions.Reject(arrived.call_id, 480))
driver.wait(events.CallOver)
driver.stack.use_ranges(Ranges())
after = {who: hears(who) for who in ADDRESSES}
refused = [log for log in driver.logs if log[1] == "sip_stranger_refused"]
driver.stack.close()
say("done", without=without, with_ranges=with_ranges, after=after, refused=refused, source=arrived.source)
""")
    ok = "SIP/2.0 200 OK"
    everybody = dict.fromkeys(("ours", "target", "operator", "stranger"), ok)
    assert result["without"] == result["after"] == everybody
    assert result["with_ranges"] == everybody | {"stranger": None}
    assert result["source"].startswith("192.0.2.10:")
    assert result["refused"] == []


def test_a_new_port_takes_no_strangers_either(house):
    result = house("""
driver.stack.use_ranges(Ranges(parse_ranges(["192.0.2.0/24"])))
driver.stack.perform(actions.NewPort("1001"))
new = next(port for port in driver.stack.ports() if port != main)
heard = hears("operator", new), hears("stranger", new), hears("stranger", main)
driver.stack.close()
say("done", heard=heard)
""")
    assert result["heard"] == ["SIP/2.0 200 OK", None, None]


@pytest.mark.parametrize(
    ("family", "near", "wide"), [(socket.AF_INET, "127.0.0.1", "127.0.0.2"), (socket.AF_INET6, "::1", "")]
)
def test_the_kernel_agrees_too(family, near, wide):
    with (
        socket.socket(family, socket.SOCK_DGRAM) as here,
        socket.socket(family, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        here.bind((near, 0))
        here.settimeout(5)
        one.bind((near, 0))
        attach(here, take_from(parse_ranges([near])))
        if wide:
            other.bind((wide, 0))
            other.sendto(b"stranger", here.getsockname())
        one.sendto(b"operator", here.getsockname())
        assert here.recv(100) == b"operator"
        attach(here, take_from(parse_ranges(["192.0.2.0/24"])))
        one.sendto(b"stranger", here.getsockname())
        detach(here)
        detach(here)
        one.sendto(b"anybody", here.getsockname())
        assert here.recv(100) == b"anybody"
