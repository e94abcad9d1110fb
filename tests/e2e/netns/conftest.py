"""A house behind a router, and the operator beyond it: three network namespaces that the test makes.

    house 192.168.77.2 ── 192.168.77.1 router 203.0.113.2 ── 203.0.113.1 operator

The real gateway runs in the house, Kamailio and SIPp at the operator; card and agent are reached by files, which
no namespace divides. Only root can make them.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.core.registration import Status
from agent.core.terms import CallPhase, Direction
from agent.gateway.protocol import CallState
from tests.e2e.peers.conftest import Adapter, Kamailio, Sipp, Subscriber, end, eventually

HERE = Path(__file__).resolve().parent
HOUSE, GATEWAY = "192.168.77.2", "192.168.77.1"
PUBLIC, OPERATOR = "203.0.113.2", "203.0.113.1"
VOICE_HZ = 900

_numbers = itertools.count(1)


class Namespace:
    """A network of its own, for as long as a process sleeps in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], start_new_session=True)
        self.pid = self._holder.pid
        ours = Path("/proc/self/ns/net").readlink()
        assert eventually(lambda: self.path.readlink() != ours), "no network namespace was made"
        self.run("ip", "link", "set", "lo", "up")

    @property
    def path(self) -> Path:
        """The file that stands for it."""
        return Path(f"/proc/{self.pid}/ns/net")

    @property
    def inside(self) -> tuple[str, ...]:
        """The words before a command that let it run there."""
        return ("nsenter", f"--net={self.path}")

    def run(self, *words: str, script: str | None = None) -> str:
        """Run a command there, which must succeed; what it says."""
        ran = subprocess.run([*self.inside, *words], input=script, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{self.name}: {' '.join(words)}: {ran.stderr}"
        return ran.stdout

    def ip(self, words: str) -> None:
        """`ip` with these words."""
        self.run("ip", *words.split())

    def nft(self, script: str) -> None:
        """Load rules."""
        self.run("nft", "-f", "-", script=script)

    def close(self) -> None:
        """Everything in it is gone."""
        end(self._holder)


class Neighbourhood:
    """House, router and operator, and what may befall the ways between them."""

    def __init__(self, wire: Wire | None = None) -> None:
        self.house, self.router, self.operator = (Namespace(name) for name in ("house", "router", "operator"))
        self.wire = wire
        _join(self.router, "lan", f"{GATEWAY}/24", self.house, "eth0", f"{HOUSE}/24")
        if wire is None:
            _join(self.router, "wan", f"{PUBLIC}/24", self.operator, "wan", f"{OPERATOR}/24")
        else:
            wire.lay(self.router, f"{PUBLIC}/24", self.operator, f"{OPERATOR}/24")
        self.house.ip(f"route add default via {GATEWAY}")
        self.router.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        self.nat()

    def nat(self, masquerade: str = "masquerade", helper_port: int = 0) -> None:
        """Let the router translate, as it says; `helper_port`: with the kernel's own SIP helper at this port."""
        helper = f'udp dport {helper_port} ct helper set "sip"' if helper_port else ""
        self.router.nft(f"""
            table ip nat
            delete table ip nat
            table ip nat {{
                ct helper sip {{
                    type "sip" protocol udp
                    l3proto ip
                }}
                chain helped {{
                    type filter hook prerouting priority -150
                    {helper}
                }}
                chain out {{
                    type nat hook postrouting priority 100
                    iifname "lan" {masquerade}
                }}
            }}
        """)

    def forward(self, first: int, last: int) -> None:
        """Let what comes to these UDP ports of the router into the house, whoever sends it."""
        self.router.nft(f"""
            table ip nat {{
                chain in {{
                    type nat hook prerouting priority -100
                    iifname "wan" udp dport {first}-{last} dnat to {HOUSE}
                }}
            }}
        """)

    def forget(self) -> None:
        """Let the router forget every binding."""
        self.router.run("conntrack", "-F")

    def rules(self, *rules: str) -> None:
        """Let only pass what these rules leave; without any, everything."""
        self.router.nft(f"""
            table ip faults
            delete table ip faults
            table ip faults {{
                chain forward {{
                    type filter hook forward priority 0
                    {"; ".join(rules)}
                }}
            }}
        """)

    def dropped(self) -> int:
        """How many packets the counter of the rules has seen."""
        words = self.router.run("nft", "list", "table", "ip", "faults").split()
        return int(words[words.index("packets") + 1])

    def has_dropped(self, count: int) -> bool:
        """Wait until so many packets have been lost."""
        return bool(eventually(lambda: self.dropped() >= count))

    def close(self) -> None:
        """Take it down."""
        if self.wire is not None:
            self.wire.close()
        for one in (self.house, self.router, self.operator):
            one.close()


class Wire:
    """The slow wire in a process of its own."""

    def __init__(self, delay_ms: int, jitter_ms: int) -> None:
        self._times = str(delay_ms), str(jitter_ms)
        self._process: subprocess.Popen[str] | None = None

    def lay(self, one: Namespace, address: str, other: Namespace, other_address: str) -> None:
        """Between two namespaces."""
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "wire.py"), str(one.path), address, str(other.path), other_address,
             *self._times],
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def close(self) -> None:
        """Cut it."""
        if self._process is not None:
            end(self._process)
            assert self._process.stdout is not None
            self._process.stdout.close()


def _join(one: Namespace, name: str, address: str, other: Namespace, other_name: str, other_address: str) -> None:
    one.ip(f"link add {name} type veth peer name {other_name} netns {other.pid}")
    for namespace, interface, at in ((one, name, address), (other, other_name, other_address)):
        namespace.ip(f"addr add {at} dev {interface}")
        namespace.ip(f"link set {interface} up")


class Village:
    """A neighbourhood with an operator that works and a house that telephones.

    `helped`: by the kernel's SIP helper in the router. `scattered`: its router gives every way out a port by chance.
    """

    def __init__(
        self, folder: Path, wire: Wire | None = None, *, helped: bool = False, scattered: bool = False, **fields: int
    ) -> None:
        self._folder = folder
        self._sipps: list[Sipp] = []
        self.net = Neighbourhood(wire)
        (folder / "operator").mkdir()
        self.operator = Kamailio(folder / "operator", OPERATOR, self.net.operator.inside)
        if helped:
            self.net.nat(helper_port=self.operator.port)
        if scattered:
            self.net.nat("masquerade random,fully-random")
        numbers = [f"+4721{next(_numbers):06d}" for _ in range(2)]
        subscribers = [Subscriber(number.strip("+"), f"secret {number[-3:]}", number) for number in numbers]
        for one in subscribers:
            self.operator.know(one.user, one.password)
            self.operator.route(one.number, f"aor:{one.user}")
        self.adapter = Adapter(folder, self.operator, subscribers, bind="0.0.0.0", inside=self.net.house.inside,
                               **{"expires_s": 60, **fields})  # fmt: skip
        self.user = subscribers[0].user
        self.number = subscribers[0].number

    def sipp(self, scenario: str, *arguments: str, echo: bool = True) -> Sipp:
        """A SIPp at the operator."""
        made = Sipp(self._folder, scenario, *arguments, address=OPERATOR, inside=self.net.operator.inside, echo=echo)
        self._sipps.append(made)
        return made

    def callee(self, scenario: str, dialled: str, *, echo: bool = True) -> Sipp:
        """Somebody who has this number."""
        made = self.sipp(scenario, echo=echo)
        self.operator.route(f"+47{dialled}", made.uri)
        return made

    def caller(self, scenario: str = "call") -> Sipp:
        """Somebody who calls the first line."""
        return self.sipp(scenario, "-s", self.number, f"{OPERATOR}:{self.operator.port}")

    def calls(self, dialled: str = "22000101", scenario: str = "answer") -> tuple[Sipp, CallState]:
        """The first telephone calls somebody who answers, and hears its own voice come back."""
        peer = self.callee(scenario, dialled)
        phone = self.adapter.dial(dialled)
        call = self.adapter.agent.call(number=f"+47{dialled}", phase=CallPhase.ANSWERED)
        phone.speak(VOICE_HZ)
        assert self.adapter.hears(VOICE_HZ), self.adapter.story()
        return peer, call

    def hangs_up(self, peer: Sipp, call: CallState) -> CallState:
        """The first telephone ends its call; the record."""
        self.replaces()
        peer.finish()
        return self.adapter.agent.call(call_id=call.call_id, phase=CallPhase.ENDED)

    def replaces(self) -> None:
        """The handset of the first telephone is put down."""
        phone = self.adapter.phones[0]
        phone.speak(None)
        phone.on_hook()
        assert self.adapter.agent.wait(lambda: not self.adapter.agent.lines[0].off_hook)

    def is_called(self) -> CallState:
        """Somebody calls the first telephone, which is lifted, spoken into and replaced; the record."""
        peer = self.caller()
        phone = self.adapter.phones[0]
        assert phone.wait_for(lambda: phone.ringing, 10), f"{peer.story()}\n{self.adapter.story()}"
        phone.off_hook()
        call = self.adapter.agent.call(direction=Direction.INCOMING, phase=CallPhase.ANSWERED)
        phone.speak(VOICE_HZ)
        assert self.adapter.hears(VOICE_HZ), self.adapter.story()
        return self.hangs_up(peer, call)

    def registered(self, timeout: float = 10) -> bool:
        """Wait until both lines say that they are registered."""
        return self.adapter.agent.registered(timeout)

    def unregistered(self, timeout: float = 30) -> bool:
        """Wait until no line is."""
        agent = self.adapter.agent
        return agent.wait(lambda: not any(one.registered for one in agent.accounts.values()), timeout)

    def says(self, status: Status, timeout: float = 20) -> bool:
        """Wait until both lines are in this state."""
        agent = self.adapter.agent
        return agent.wait(lambda: all(one.status is status for one in agent.accounts.values()), timeout)

    def renewed(self, since: int, user: str = "", timeout: float = 10) -> bool:
        """Wait for a REGISTER with the right digest, after line `since` of the operator's log."""
        return self.operator.log.wait(f"digest of {user or self.user} is right", since=since, timeout=timeout)

    def answered(self) -> bool:
        """Wait until an OPTIONS of each line has been answered."""
        agent = self.adapter.agent
        return agent.wait(lambda: all(one.alive_ms is not None for one in agent.accounts.values()))

    def answered_again(self) -> bool:
        """Wait until a newer OPTIONS of each line than those so far has been answered."""
        agent = self.adapter.agent
        before = {name: one.alive_ms or 0 for name, one in agent.accounts.items()}
        return agent.wait(lambda: all((one.alive_ms or 0) > before[name] for name, one in agent.accounts.items()))

    def only_another(self, before: list[str]) -> bool:
        """Wait until the operator has one binding of the first line, which is none of these."""
        return self.operator.only_another(self.user, before)

    def alone(self) -> bool:
        """Wait until the operator has one binding of the first line, and no dead one beside it."""
        return bool(eventually(lambda: len(self.operator.contacts(self.user)) == 1))

    def logged(self, event: str, timeout: float = 10) -> bool:
        """Wait for a line of the gateway's log."""
        return self.adapter.agent.wait(lambda: any(log.event == event for log in self.adapter.agent.logs), timeout)

    def close(self) -> None:
        """End everything."""
        for process in self._sipps:
            process.close()
        try:
            self.adapter.close()
        finally:
            self.operator.close()
            self.net.close()


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Callable[..., Village]]:
    """Make a village: its first registrations stand."""
    if os.geteuid() != 0:
        pytest.skip("only root can make network namespaces")
    made: list[Village] = []

    def make(wire: Wire | None = None, *, helped: bool = False, scattered: bool = False, **fields: int) -> Village:
        made.append(Village(tmp_path, wire, helped=helped, scattered=scattered, **fields))
        made[-1].adapter.ready()
        return made[-1]

    yield make
    for one in made:
        one.close()
