"""The packet filter in a network namespace of its own: who reaches which port, and what a change leaves open."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from agent.core.packet_filter import PacketFilter
from agent.core.ranges import parse_ranges
from agent.filter_file import FilterState, decode_state, encode_request

pytestmark = [pytest.mark.e2e, pytest.mark.peer("nft", "ip")]

SIP, RTP, OTHER, SSH = 20_001, 16_384, 5353, 22
HERE = {4: "10.9.0.1", 6: "fd09::1"}
OPERATOR = {4: "192.0.2.10", 6: "2001:db8:1::10"}
STRANGER = {4: "198.51.100.10", 6: "2001:db8:2::10"}
WANTED = PacketFilter(
    sip_udp=(SIP,), rtp=(RTP, RTP + 65),
    signalling=parse_ranges(["192.0.2.0/24", "2001:db8:1::/48"]),
    media=parse_ranges(["192.0.2.0/25", "2001:db8:1::/64"]),
)  # fmt: skip
_CLONE_NEWNET = 0x4000_0000


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True)


class Net:
    """Two namespaces joined by a cable: `house`, where the adapter is, and `world`, with operator and stranger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.house, self.world = f"house-{os.getpid()}", f"world-{os.getpid()}"
        self.sockets: list[socket.socket] = []
        for name in (self.house, self.world):
            ip(f"netns add {name}")
        ip(f"-n {self.house} link add cable type veth peer name plug netns {self.world}")
        for name, device in ((self.house, "cable"), (self.world, "plug")):
            ip(f"-n {name} link set lo up")
            ip(f"-n {name} link set {device} up")
        ip(f"-n {self.house} addr add {HERE[4]}/24 dev cable")
        ip(f"-n {self.house} addr add {HERE[6]}/64 dev cable nodad")
        ip(f"-n {self.world} addr add 10.9.0.2/24 dev plug")
        ip(f"-n {self.world} addr add fd09::2/64 dev plug nodad")
        for address in (*OPERATOR.values(), *STRANGER.values()):
            ip(f"-n {self.world} addr add {address}/{128 if ':' in address else 32} dev plug nodad")
        ip(f"-n {self.house} route add default via 10.9.0.2")
        ip(f"-n {self.house} -6 route add default via fd09::2")

    def close(self) -> None:
        for one in self.sockets:
            one.close()
        for name in (self.house, self.world):
            ip(f"netns delete {name}")

    def socket(self, name: str, address: str, port: int, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        """A bound socket in a namespace: it stays there, the thread that made it does not."""
        made: list[socket.socket] = []

        def make() -> None:
            with Path(f"/run/netns/{name}").open("rb") as namespace:
                assert ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET) == 0
            one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            one.settimeout(5)
            one.bind((address, port))
            made.append(one)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        self.sockets += made
        return made[0]

    @property
    def request(self) -> Path:
        return self.folder / "packet-filter.json"

    @property
    def state(self) -> FilterState:
        found = decode_state((self.folder / "run/state.json").read_bytes())
        assert found is not None
        return found

    def apply(self, wanted: PacketFilter | bytes) -> subprocess.CompletedProcess[str]:
        """Ask for a filter and let the helper do it, as systemd would."""
        self.request.write_bytes(wanted if isinstance(wanted, bytes) else encode_request(wanted))
        return self.run("apply", str(self.request), "--state", str(self.folder / "run/state.json"))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", self.house, sys.executable, "-m", "agent", "packet-filter", *words],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces are made by root")
    made = Net(tmp_path)
    yield made
    made.close()


def gets_through(net: Net, version: int, port: int, source: str) -> bool:
    """Whether a datagram from `source` arrives; one that certainly does, sent after it by loopback, ends the wait."""
    listener = net.socket(net.house, HERE[version], port)
    sender = net.socket(net.world, source, 0)
    sender.sendto(b"knock", (HERE[version], port))
    if sender.getsockname()[0] == STRANGER[version]:
        # Let the cable be empty before the end is called.
        probe, echo = net.socket(net.world, source, 0), net.socket(net.house, HERE[version], OTHER + 1)
        probe.sendto(b"after", (HERE[version], OTHER + 1))
        assert echo.recv(100) == b"after"
        for one in (probe, echo):
            one.close()
    end = net.socket(net.house, HERE[version], 0)
    end.sendto(b"end", (HERE[version], port))
    arrived = []
    while not arrived or arrived[-1] != b"end":
        arrived.append(listener.recv(100))
    for one in (listener, sender, end):
        one.close()
    return b"knock" in arrived


@pytest.mark.parametrize("version", [4, 6])
def test_the_operator_gets_through_and_a_stranger_does_not(net: Net, version: int) -> None:
    assert gets_through(net, version, SIP, STRANGER[version])
    done = net.apply(WANTED)
    assert (done.returncode, done.stdout) == (0, "in force: 2 ranges for signalling, 2 for speech\n"), done.stderr
    assert {
        (who, port): gets_through(net, version, port, address[version])
        for who, address in (("operator", OPERATOR), ("stranger", STRANGER))
        for port in (SIP, RTP, RTP + 65, RTP + 66, OTHER)
    } == {
        ("operator", SIP): True, ("operator", RTP): True, ("operator", RTP + 65): True,
        ("operator", RTP + 66): True, ("operator", OTHER): True,
        ("stranger", SIP): False, ("stranger", RTP): False, ("stranger", RTP + 65): False,
        ("stranger", RTP + 66): True, ("stranger", OTHER): True,
    }  # fmt: skip


def test_a_technician_is_never_shut_out(net: Net) -> None:
    assert net.apply(WANTED).returncode == 0
    for port in (SIP, SSH):
        net.socket(net.house, HERE[4], port, socket.SOCK_STREAM).listen()
        for source in (OPERATOR, STRANGER):
            net.socket(net.world, source[4], 0, socket.SOCK_STREAM).connect((HERE[4], port))


def test_who_is_spoken_to_may_answer_although_no_range_holds_him(net: Net) -> None:
    assert net.apply(WANTED).returncode == 0
    adapter, server = net.socket(net.house, HERE[4], SIP), net.socket(net.world, STRANGER[4], 5060)
    server.sendto(b"too early", (HERE[4], SIP))
    adapter.sendto(b"INVITE", (STRANGER[4], 5060))
    assert server.recv(100) == b"INVITE"
    server.sendto(b"200 OK", (HERE[4], SIP))
    assert adapter.recv(100) == b"200 OK"


def test_a_stun_server_may_answer_a_speech_port_that_has_asked_it_and_no_other(net: Net) -> None:
    assert net.apply(WANTED).returncode == 0
    asking, other = (net.socket(net.house, HERE[4], port) for port in (RTP, RTP + 2))
    server, neighbour = (net.socket(net.world, STRANGER[4], port) for port in (3478, 3479))
    server.sendto(b"too early", (HERE[4], RTP))
    asking.sendto(b"Binding", (STRANGER[4], 3478))
    assert server.recv(100) == b"Binding"
    neighbour.sendto(b"by another port", (HERE[4], RTP))
    server.sendto(b"to another port", (HERE[4], RTP + 2))
    server.sendto(b"mapped", (HERE[4], RTP))
    operator = net.socket(net.world, OPERATOR[4], 0)
    operator.sendto(b"speech", (HERE[4], RTP + 2))
    assert (asking.recv(100), other.recv(100)) == (b"mapped", b"speech")


def test_a_change_lets_nothing_fall_and_nobody_in(net: Net) -> None:
    assert net.apply(WANTED).returncode == 0
    adapter = net.socket(net.house, HERE[4], SIP)
    adapter.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    operator, stranger = net.socket(net.world, OPERATOR[4], 0), net.socket(net.world, STRANGER[4], 0)
    sent, over = 0, threading.Event()

    def speak() -> None:
        nonlocal sent
        while not over.wait(0.001):
            stranger.sendto(b"stranger", (HERE[4], SIP))
            operator.sendto(b"%d" % sent, (HERE[4], SIP))
            sent += 1

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        more = structs.replace(WANTED, signalling=parse_ranges(["192.0.2.0/24", "203.0.113.0/24"]), media=())
        outcomes = [net.apply(wanted).returncode for wanted in (more, WANTED, more)]
    finally:
        over.set()
        speaker.join()
    assert outcomes == [0, 0, 0]
    assert net.state.media == 0
    assert sent > 100
    assert [adapter.recv(100) for _ in range(sent)] == [b"%d" % number for number in range(sent)]


def test_a_stranger_who_was_the_operator_is_one_at_once(net: Net) -> None:
    assert net.apply(structs.replace(WANTED, signalling=parse_ranges(["198.51.100.0/24"]))).returncode == 0
    adapter = net.socket(net.house, HERE[4], SIP)
    former, operator = net.socket(net.world, STRANGER[4], 0), net.socket(net.world, OPERATOR[4], 0)
    former.sendto(b"INVITE", (HERE[4], SIP))
    data, source = adapter.recvfrom(100)
    adapter.sendto(b"200 OK", source)
    assert (data, former.recv(100)) == (b"INVITE", b"200 OK")
    assert net.apply(WANTED).returncode == 0
    former.sendto(b"BYE", (HERE[4], SIP))
    operator.sendto(b"OPTIONS", (HERE[4], SIP))
    assert adapter.recv(100) == b"OPTIONS"


def _link(request: Path) -> None:
    target = request.with_name("elsewhere.json")
    request.rename(target)
    request.symlink_to(target)


def _pipe(request: Path) -> None:
    request.unlink()
    os.mkfifo(request)


SPOILED: list[tuple[str, Callable[[Path], Any], str]] = [
    ("wide", lambda file: file.write_bytes(file.read_bytes().replace(b"192.0.2.0/24", b"0.0.0.0/0")), "far too wide"),
    ("dns", lambda file: file.write_bytes(file.read_bytes().replace(b'"sip_udp":[20001]', b'"sip_udp":[53]')), "53"),
    ("script", lambda file: file.write_bytes(b"flush ruleset"), "it cannot be read"),
    ("gone", lambda file: file.unlink(), "No such file"),
    ("link", _link, "symbolic links"),
    ("pipe", _pipe, "no ordinary file"),
]


@pytest.mark.parametrize(("spoil", "complaint"), [one[1:] for one in SPOILED], ids=[one[0] for one in SPOILED])
def test_a_bad_file_leaves_the_earlier_filter(net: Net, spoil: Callable[[Path], Any], complaint: str) -> None:
    assert net.apply(WANTED).returncode == 0
    spoil(net.request)
    done = net.run("apply", str(net.request), "--state", str(net.folder / "run/state.json"))
    assert done.returncode == 1
    assert complaint in done.stderr
    assert done.stderr.endswith("an earlier filter stays in force\n")
    assert (net.state.in_force, net.state.signalling, net.state.media) == (True, 2, 2)
    assert complaint in net.state.error
    assert not gets_through(net, 4, SIP, STRANGER[4])
    assert gets_through(net, 4, SIP, OPERATOR[4])
    shown = net.run("show", "--state", str(net.folder / "run/state.json"))
    assert (shown.returncode, shown.stdout[:30]) == (1, "in force: 2 ranges for signall")


def test_a_first_bad_file_leaves_no_filter_and_says_so(net: Net) -> None:
    done = net.apply(b"{}")
    assert done.returncode == 1
    assert done.stderr.endswith("no filter is in force\n")
    assert (net.state.in_force, net.state.signalling) == (False, 0)
    assert gets_through(net, 4, SIP, STRANGER[4])


def test_everybody_may_read_what_is_in_force(net: Net) -> None:
    assert net.apply(WANTED).returncode == 0
    state = net.folder / "run/state.json"
    assert state.stat().st_mode & 0o777 == 0o644
    assert state.parent.stat().st_mode & 0o005 == 0o005
    shown = net.run("show", "--state", str(state))
    assert shown.stdout.startswith("in force: 2 ranges for signalling, 2 for speech (looked ")
    assert shown.returncode == 0
