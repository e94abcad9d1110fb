"""Real SIP peers on loopback: Kamailio as the operator, SIPp as everybody else, the real gateway process between."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.core.srtp import Srtp
from agent.core.terms import CallPhase, Tone
from agent.data import load_numbering, load_tones
from agent.gateway import sip_trace
from agent.gateway.client import GatewayClient
from agent.gateway.protocol import (
    Account,
    AccountState,
    CallQuality,
    CallState,
    CardState,
    Configure,
    Decide,
    End,
    GatewayRecord,
    Hello,
    Line,
    LineState,
    Log,
    Release,
    Route,
)
from firmware_bridge.simulator import PtyCard, SimulatedPhone

HERE = Path(__file__).resolve().parent
DOMAIN = "peers.example"
PATIENCE_S = 10.0
_START_S = 30.0
"""For a gateway that has just been started to be found by its agent and to register, on a busy machine."""
TONE_HZ = 425
"""Dial, ringback, busy and congestion tone in Norway."""
_POLL_S = 0.02

_serial = itertools.count(1)
# A range for each of the processes that share the tests, of ports that neither the kernel gives to whoever wants any,
# nor the gateway draws (20000 to 29999), nor the lab and the integration tests have for speech.
_EACH = 520
_first = 12_100 + _EACH * int(os.environ.get("PYTEST_XDIST_WORKER", "gw7").removeprefix("gw"))
_ports = itertools.cycle(range(_first, _first + _EACH, 4))


def free_port(span: int = 1) -> int:
    """The first of `span` UDP ports of loopback that nobody uses; even, as RTP wants it."""
    for port in _ports:
        if port + span > _first + _EACH:
            continue
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for at in range(span):
                probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                probe.bind(("127.0.0.1", port + at))
            for _ in range(span // 4):
                next(_ports)
            return port
    raise AssertionError


def eventually(predicate: Callable[[], Any], timeout: float = PATIENCE_S) -> Any:
    """What `predicate` says once it is true, or its last word: for processes that announce nothing."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (found := predicate()) and time.monotonic() < deadline:
        pause.wait(_POLL_S)
    return found


class Lines:
    """The lines that a process writes to a pipe, kept, and waited for."""

    def __init__(self, pipe: Any) -> None:
        self.lines: list[str] = []
        self._pipe = pipe
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._pipe:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()

    def holding(self, *texts: str, since: int = 0) -> list[str]:
        return [line for line in self.lines[since:] if all(text in line for text in texts)]

    def wait(self, *texts: str, count: int = 1, since: int = 0, timeout: float = PATIENCE_S) -> bool:
        """Wait for `count` lines that hold all of these texts; false where they do not come."""
        with self._news:
            return self._news.wait_for(lambda: len(self.holding(*texts, since=since)) >= count, timeout)

    def close(self) -> None:
        self._reader.join(PATIENCE_S)
        self._pipe.close()


def end(process: subprocess.Popen[Any], timeout: float = PATIENCE_S) -> int:
    """SIGTERM, and SIGKILL to its whole session where that is not enough; the exit code."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


class Kamailio:
    """The operator: a registrar with digest, and a proxy whose tables are written by RPC.

    `inside`: the words before a command that let it run in another network namespace. With a `certificate` (and its
    key, in one file) it speaks TCP and TLS as well. `algorithm`: of its digest (RFC 7616), in place of MD5.
    """

    def __init__(
        self,
        folder: Path,
        address: str = "127.0.0.1",
        inside: Sequence[str] = (),
        certificate: Path | None = None,
        algorithm: str = "",
    ) -> None:
        self.folder = folder
        self.tls_port = free_port()
        self._more = ["-A", f'ALGORITHM="{algorithm}"'] if algorithm else []
        if certificate is not None:
            self._more += [
                "-l", f"tcp:{address}:{{port}}", "-l", f"tls:{address}:{self.tls_port}",
                "-A", f'CERTIFICATE="{certificate}"',
            ]  # fmt: skip
        self.address = address
        self.port, self.other_port = free_port(), free_port()
        self.target, self.other_target = (
            f"{address}:{port};transport=udp" for port in (self.port, self.other_port)
        )  # fmt: skip
        self._inside = inside
        self._rpc = folder / "rpc.sock"
        self._client = folder / "client.sock"
        self.start()

    def start(self) -> None:
        """Begin, without any binding or table; also again after `kill`.

        One process for each port: two would turn the order of messages round.
        """
        self._process = subprocess.Popen(
            [*self._inside, "kamailio", "-DD", "-E", "-f", str(HERE / "kamailio.cfg"),
             "-l", f"udp:{self.address}:{self.port}", "-l", f"udp:{self.address}:{self.other_port}",
             "-A", f'DOMAIN="{DOMAIN}"', "-A", f'RPC_SOCKET="{self._rpc}"',
             "-Y", str(self.folder), "-w", str(self.folder), "-n", "1", "-m", "16", "-M", "4",
             *(word.format(port=self.port) for word in self._more)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.log = Lines(self._process.stderr)
        if not eventually(self._answers):
            self.close()
            raise AssertionError("\n".join(self.log.lines))

    @property
    def lives(self) -> bool:
        """Whether it has not been killed."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Let it die with all its processes, so that even its port is silent or refuses."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.log.close()

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log.lines
        with contextlib.suppress(OSError):
            return bool(self.call("core.uptime"))
        return False

    def call(self, method: str, *params: str | int) -> Any:
        """One RPC: its result, or None where Kamailio answers with an error."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            self._client.unlink(missing_ok=True)
            client.bind(str(self._client))
            client.settimeout(PATIENCE_S)
            request = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}
            client.sendto(json.dumps(request).encode(), str(self._rpc))
            return json.loads(client.recv(65_536)).get("result")

    def know(self, user: str, password: str) -> None:
        """Let `user` register and call with this password."""
        self.call("htable.sets", "credentials", user, password)

    def route(self, number: str, hop: str) -> None:
        """Send calls to `number` to a SIP URI, to `aor:USER`, or nowhere (`drop`)."""
        self.call("htable.sets", "routes", number, hop)

    def feels(self, mood: str | None, port: int | None = None) -> None:
        """What one of its two ports does with new calls (see kamailio.cfg); None: puts them through again."""
        name = str(self.port if port is None else port)
        if mood is None:
            self.call("htable.delete", "moods", name)
        else:
            self.call("htable.sets", "moods", name, mood)

    def offers(self, *, before: str = "", after: str = "", nonces: str = "") -> None:
        """Challenge a REGISTER in two ways: also by an algorithm that it cannot check, before or after its own."""
        for name, value in (("before", before), ("after", after), ("nonces", nonces)):
            if value:
                self.call("htable.sets", "offers", name, value)
            else:
                self.call("htable.delete", "offers", name)

    def contacts(self, user: str) -> list[str]:
        """The bindings of an AOR that have not expired."""
        found = self.call("ul.lookup", "location", f"{user}") or {}
        contacts = [entry["Contact"] for entry in found.get("Contacts", [])]
        return [contact["Address"] for contact in contacts if contact["Expires"] not in ("deleted", "expired")]

    def only_another(self, user: str, before: list[str]) -> bool:
        """Wait until an AOR has one binding, which is none of `before`."""

        def alone() -> bool:
            now = self.contacts(user)
            return len(now) == 1 and now[0] not in before

        return bool(eventually(alone))

    def registers(self, user: str) -> list[str]:
        """The REGISTERs of a user, as logged."""
        return self.log.holding("REGISTER", f"from={user} ")

    def close(self) -> None:
        code = end(self._process)
        self.log.close()
        assert code == 0, self.log.lines[-20:]


class Sipp:
    """One SIPp process that plays one scenario once; its exit code says whether the scenario went as written."""

    def __init__(
        self,
        folder: Path,
        scenario: str,
        *arguments: str,
        address: str = "127.0.0.1",
        inside: Sequence[str] = (),
        echo: bool = True,
    ) -> None:
        self.address, self.port, self.media_port = address, free_port(), free_port(4)
        self._messages = folder / f"{scenario}-{self.port}-messages.log"
        self._errors = folder / f"{scenario}-{self.port}-errors.log"
        self._process = subprocess.Popen(
            [*inside, "sipp", "-sf", str(HERE / "sipp" / f"{scenario}.xml"), "-m", "1", "-nostdin", "-skip_rlimit",
             "-i", address, "-mi", address, "-p", str(self.port), "-mp", str(self.media_port),
             *(["-rtp_echo"] if echo else []),
             "-cp", str(free_port()), "-timeout", "30s", "-timeout_error",
             "-trace_msg", "-message_file", str(self._messages), "-trace_err", "-error_file", str(self._errors),
             *arguments],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "TERM": "dumb"},
        )  # fmt: skip
        if not eventually(lambda: self._listens() or self._process.poll() is not None):
            raise AssertionError(f"SIPp does not listen: {self.story()}")

    @property
    def uri(self) -> str:
        return f"sip:{self.address}:{self.port}"

    def _listens(self) -> bool:
        octets = bytes(reversed(socket.inet_aton(self.address))).hex().upper()
        with contextlib.suppress(OSError):
            return f"{octets}:{self.port:04X}" in Path(f"/proc/{self._process.pid}/net/udp").read_text()
        return False

    def messages(self) -> str:
        """Everything sent and received so far."""
        return self._messages.read_text() if self._messages.exists() else ""

    def story(self) -> str:
        errors = self._errors.read_text() if self._errors.exists() else ""
        return f"{errors}\n{self.messages()}"

    def sees(self, text: str, timeout: float = PATIENCE_S) -> bool:
        return bool(eventually(lambda: text in self.messages(), timeout))

    def finish(self, timeout: float = PATIENCE_S) -> None:
        """Wait for the end of the scenario, which must have gone as written."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"SIPp still waits: {self.story()}") from None
        assert code == 0, self.story()

    def close(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class ConsentingAgent:
    """The least agent there is: it configures, grants every call without limit, and releases every ended one."""

    def __init__(self, socket_path: Path, configuration: Configure) -> None:
        self.configuration = configuration
        self.hello: Hello | None = None
        self.accounts: dict[str, AccountState] = {}
        self.lines: dict[int, LineState] = {}
        self.card = CardState(up=False)
        self.calls: dict[str, CallState] = {}
        self.quality: dict[str, CallQuality] = {}
        self.logs: list[Log] = []
        self._news = threading.Condition()
        self._client = GatewayClient(socket_path, on_record=self._hear, on_lost=lambda _reason: None)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._task = self._loop.create_task(self._client.run())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(PATIENCE_S)

    def _hear(self, record: GatewayRecord) -> None:
        with self._news:
            match record:
                case Hello():
                    self.hello = record
                    # What the process before it said of itself is no longer true.
                    self.accounts.clear()
                    self.lines.clear()
                    self.card = CardState(up=False)
                    self._client.send(self.configuration)
                case AccountState():
                    self.accounts[record.account] = record
                case LineState():
                    self.lines[record.line] = record
                case CardState():
                    self.card = record
                case CallState():
                    self._hear_call(record)
                case CallQuality():
                    self.quality[record.call_id] = record
                case Log():
                    self.logs.append(record)
            self._news.notify_all()

    def _hear_call(self, call: CallState) -> None:
        self.calls[call.call_id] = call
        if call.phase is CallPhase.ASKED:
            self._client.send(Decide(call_id=call.call_id, granted=True))
        elif call.phase is CallPhase.ENDED:
            self._client.send(Release(call_id=call.call_id))

    def wait(self, predicate: Callable[[], Any], timeout: float = PATIENCE_S) -> bool:
        """Wait until a record makes `predicate` true; false where none does."""
        with self._news:
            return bool(self._news.wait_for(predicate, timeout))

    def registered(self, timeout: float = PATIENCE_S) -> bool:
        wanted = [account.id for account in self.configuration.accounts]
        return self.wait(lambda: all(name in self.accounts and self.accounts[name].registered for name in wanted),
                         timeout)  # fmt: skip

    def configure(self, configuration: Configure) -> None:
        """Send another configuration."""
        self.configuration = configuration
        self._loop.call_soon_threadsafe(self._client.send, configuration)

    def end(self, call_id: str) -> None:
        """End a call."""
        self._loop.call_soon_threadsafe(self._client.send, End(call_id=call_id))

    def call(self, timeout: float = PATIENCE_S, **fields: Any) -> CallState:
        """A call whose record has these fields, as soon as there is one."""

        def found() -> CallState | None:
            matching = [call for call in self.calls.values()
                        if all(getattr(call, name) == value for name, value in fields.items())]  # fmt: skip
            return matching[-1] if matching else None

        assert self.wait(found, timeout), f"no call {fields}; there are {list(self.calls.values())}, {self.logs[-5:]}"
        call = found()
        assert call is not None
        return call


@dataclass(frozen=True)
class Subscriber:
    """A registration and the line that calls with it."""

    user: str
    password: str
    number: str


class Adapter:
    """The gateway process, the card with two telephones, and the agent. `fields`: of its configuration."""

    def __init__(
        self, folder: Path, operator: Kamailio, subscribers: list[Subscriber], *,
        bind: str = "127.0.0.1", inside: Sequence[str] = (), options: Sequence[str] = (), target: str = "",
        srtp: Srtp = Srtp.OFF, **fields: int,
    ) -> None:  # fmt: skip
        self._options = options
        self.subscribers = subscribers
        self._bind, self._inside = bind, inside
        self.folder = folder
        self._errors = (folder / "gateway.log").open("w")
        self._rtp_port = free_port(64)
        self.card = PtyCard(lines=2, link_path=folder / "card").start()
        self.process = self._start()
        wanted = configuration(operator, subscribers, **fields)
        accounts = [
            msgspec.structs.replace(one, srtp=srtp, targets=[target or operator.target]) for one in wanted.accounts
        ]
        wanted = msgspec.structs.replace(wanted, accounts=accounts)
        self.agent = ConsentingAgent(folder / "agent.sock", wanted)

    def _start(self) -> subprocess.Popen[Any]:
        return subprocess.Popen(
            [*self._inside, sys.executable, "-m", "agent", "gateway", "--socket", str(self.folder / "agent.sock"),
             "--card", self.card.path, "--state", str(self.folder / "state"), "--bind", self._bind,
             "--rtp-port", str(self._rtp_port), *self._options],
            stdout=subprocess.DEVNULL, stderr=self._errors, start_new_session=True,
        )  # fmt: skip

    @property
    def phones(self) -> list[SimulatedPhone]:
        return self.card.phones

    @property
    def rtp_ports(self) -> tuple[int, int]:
        """The first and the last port that speech may use."""
        return self._rtp_port, self._rtp_port + 63

    def messages(self) -> list[sip_trace.Message]:
        """The last SIP messages, as `iplink-agent sip trace` has them."""
        trace = self.folder / "state" / sip_trace.FILE
        trace.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        assert eventually(trace.exists)
        return msgspec.json.decode(trace.read_bytes(), type=sip_trace.Trace).messages

    def crash_and_restart(self) -> None:
        """`kill -9`, and what an init system does about it."""
        assert self.agent.hello is not None
        gone = self.agent.hello.instance
        self.process.kill()
        self.process.wait()
        self.process = self._start()
        assert self.agent.wait(lambda: self.agent.hello.instance != gone), self.story()

    def forget_port(self) -> None:
        """Let the next start draw another SIP port."""
        (self.folder / "state" / "sip-port").unlink()

    def story(self) -> str:
        self._errors.flush()
        return (self.folder / "gateway.log").read_text()

    def ready(self) -> Adapter:
        """Wait until both telephones have dial tone to give and both registrations stand."""
        assert self.agent.registered(_START_S), (self.agent.accounts, self.story())
        assert self.agent.wait(lambda: self.agent.card.up and len(self.agent.lines) == 2), self.story()
        return self

    def dial(self, digits: str, line: int = 0) -> SimulatedPhone:
        """Lift a handset, wait for the dial tone, press the keys."""
        phone = self.phones[line]
        phone.off_hook()
        assert self.hears(TONE_HZ, line, 100), "no dial tone"
        phone.dial(digits, 50, 50)
        return phone

    def hears(self, hz: int, line: int = 0, ms: int = 300) -> bool:
        """Wait until a telephone hears a frequency well over the last `ms`."""
        phone = self.phones[line]
        return phone.wait_for(lambda: phone.hears(hz, ms) > -20, PATIENCE_S)

    def hears_no(self, hz: int, line: int = 0) -> bool:
        """Wait until a telephone does not hear a frequency any more."""
        phone = self.phones[line]
        return phone.wait_for(lambda: phone.hears(hz) < -40, PATIENCE_S)

    def plays(self, tone: Tone, line: int = 0) -> bool:
        """Wait until the gateway says that a line plays this tone."""
        return self.agent.wait(lambda: self.agent.lines[line].tone is tone)

    def replace(self, line: int = 0) -> None:
        """Put a handset down, and wait until the gateway has seen it."""
        self.phones[line].on_hook()
        assert self.agent.wait(lambda: not self.agent.lines[line].off_hook)

    def rest(self) -> None:
        """Replace the handsets and wait until no call is left; the process must be the one that began."""
        for phone in self.phones:
            phone.speak(None)
            phone.on_hook()
        assert self.agent.wait(lambda: all(call.phase is CallPhase.ENDED for call in self.agent.calls.values()), 15)
        assert self.agent.wait(lambda: not any(line.off_hook or line.ringing for line in self.agent.lines.values()))
        assert self.process.poll() is None, self.story()
        self.agent.calls.clear()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return end(self.process)

    def close(self) -> None:
        code = self.stop()
        self.agent.close()
        self.card.stop()
        self._errors.close()
        assert code == 0, self.story()


def configuration(
    operator: Kamailio, subscribers: list[Subscriber], *, expires_s: int = 60, options_s: int = 0
) -> Configure:
    """Each subscriber on a line of its own, with the shipped numbering and tones."""
    numbering, tones = load_numbering(), load_tones()
    return Configure(
        revision="peers", options_s=options_s,
        accounts=[
            Account(id=one.user, user=one.user, domain=DOMAIN, auth_user=one.user, password=one.password,
                    targets=[operator.target], expires_s=expires_s)
            for one in subscribers
        ],
        lines=[Line(line=at, account=one.user, number=one.number) for at, one in enumerate(subscribers)],
        routes=[Route(number=one.number, account=one.user, lines=[at]) for at, one in enumerate(subscribers)],
        digit_map=numbering.digit_map, numbers=numbering.numbers,
        tones=tones.tones, ring_cadence_ms=list(tones.ring_cadence_ms), analogue=tones.analogue,
    )  # fmt: skip


@pytest.fixture(scope="session")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    """One Kamailio for all tests; each test brings its own subscribers and numbers."""
    made = Kamailio(tmp_path_factory.mktemp("kamailio"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def household(operator: Kamailio) -> Callable[[], list[Subscriber]]:
    """Two subscribers whom the operator has never seen before."""

    def make() -> list[Subscriber]:
        numbers = [f"+47210{next(_serial):05d}" for _ in range(2)]
        made = [Subscriber(number.strip("+"), f"secret {number[-3:]}", number) for number in numbers]
        for one in made:
            operator.know(one.user, one.password)
            operator.route(one.number, f"aor:{one.user}")
        return made

    return make


@pytest.fixture
def new_adapter(
    operator: Kamailio, household: Callable[[], list[Subscriber]], tmp_path: Path
) -> Iterator[Callable[..., Adapter]]:
    """Start an adapter of its own, for tests that crash, stop or misconfigure it."""
    made: list[Adapter] = []

    def start(subscribers: list[Subscriber] | None = None) -> Adapter:
        folder = tmp_path / f"adapter-{len(made)}"
        folder.mkdir()
        made.append(Adapter(folder, operator, subscribers or household()))
        return made[-1]

    yield start
    for adapter in made:
        adapter.close()


@pytest.fixture(scope="module")
def shared_adapter(
    operator: Kamailio, household: Callable[[], list[Subscriber]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Adapter]:
    """One adapter for all tests of a module."""
    made = Adapter(tmp_path_factory.mktemp("adapter"), operator, household())
    yield made.ready()
    made.close()


@pytest.fixture
def adapter(shared_adapter: Adapter) -> Iterator[Adapter]:
    """The module's adapter at rest, and at rest again after the test."""
    shared_adapter.rest()
    yield shared_adapter
    shared_adapter.rest()


@pytest.fixture
def sipp(tmp_path: Path) -> Iterator[Callable[..., Sipp]]:
    """Start a SIPp with a scenario."""
    made: list[Sipp] = []

    def start(scenario: str, *arguments: str, address: str = "127.0.0.1", echo: bool = True) -> Sipp:
        made.append(Sipp(tmp_path, scenario, *arguments, address=address, echo=echo))
        return made[-1]

    yield start
    for process in made:
        process.close()


@pytest.fixture
def callee(operator: Kamailio, sipp: Callable[..., Sipp]) -> Callable[[str, str], Sipp]:
    """A SIPp that plays a scenario where the operator routes a dialled national number (or 112)."""

    def start(scenario: str, dialled: str) -> Sipp:
        made = sipp(scenario)
        operator.route(dialled if len(dialled) < 8 else f"+47{dialled}", made.uri)
        return made

    return start


@pytest.fixture
def caller(operator: Kamailio, sipp: Callable[..., Sipp]) -> Callable[..., Sipp]:
    """A SIPp that calls a number through the operator."""
    return lambda scenario, number, *arguments: sipp(
        scenario, "-s", number, *arguments, f"127.0.0.1:{operator.port}"
    )  # fmt: skip
