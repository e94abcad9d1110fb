"""The gateway process: one loop around the pure Switch, with SIP, line card and agent as its edges.

The loop runs on the thread that owns pjsua2, the process's main thread. The card's thread and the socket's thread only
post to its inbox. Nothing here decides anything about a call.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import random
import signal
import socket
import sys
import threading
import typing
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

from agent import __version__, clock
from agent.core import events
from agent.files import write_whole
from agent.gateway import sip_trace
from agent.gateway.control import SOCKET_NAME
from agent.gateway.daemon.actions import (
    Action,
    AgentDown,
    AgentUp,
    Finished,
    Publish,
    Stop,
    SwitchEvent,
    UseConfiguration,
)
from agent.gateway.daemon.audio import LineAudio
from agent.gateway.daemon.card import Card
from agent.gateway.daemon.control import ControlServer
from agent.gateway.daemon.keep import KeepError, Kept
from agent.gateway.daemon.line_trace import LineTrace
from agent.gateway.daemon.link_watch import LinkWatch
from agent.gateway.daemon.log_lines import LogLines
from agent.gateway.daemon.prober import Prober
from agent.gateway.daemon.server import AgentServer, own_uids
from agent.gateway.daemon.sip import SipError, SipStack
from agent.gateway.daemon.sip.uri import Target, TargetError, parse_target
from agent.gateway.daemon.starts import Starts
from agent.gateway.daemon.switch import Switch
from agent.gateway.protocol import PROTOCOL_VERSION, Configure, Hello, Log
from agent.gateway.sip_trace import Trace
from agent.notify import notify

_LONGEST_WAIT_MS = 500
"""Signals and the watchdog are served at least this often."""
_SWITCH_INTERVAL_S = 0.001
"""Python's default of 5 ms stretches the 20 ms speech tick under load; 1 ms keeps its p99 below 22 ms."""
_WATCHDOG_MS = 5000
_KEEP_AGAIN_MS = 60_000

_CARD_ACTIONS = typing.get_args(events.CardAction)
_ADAPTER_ACTIONS = typing.get_args(events.AdapterAction)
_SIP_ACTIONS = typing.get_args(events.SipAction)

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What the gateway is told on its command line; it reads no configuration file but its own last good one."""

    socket: Path
    card: str
    state: Path
    bind: str = "0.0.0.0"  # noqa: S104  a telephone must be reachable; the packet filter decides from where
    sip_port: int = 0
    """0: drawn once from `sip_ports` and kept."""
    sip_ports: tuple[int, int] = (20_000, 29_999)
    rtp_port: int = 16_384
    lines: int = 2
    agent_uid: int | None = None
    firmware_keys: Path = Path("/etc/iplink-agent/firmware-keys")


def uuid7() -> str:
    """A time-ordered random id (RFC 9562 §5.7); without a clock it is still unique, only not ordered."""
    milliseconds = int(clock.wall().timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    tail = random.SystemRandom().getrandbits(74)
    value = milliseconds << 80 | 0x7 << 76 | (tail >> 62) << 64 | 0b10 << 62 | tail & (1 << 62) - 1
    return str(uuid.UUID(int=value))


class Gateway:
    """Wires the Switch to its edges and runs until told to stop."""

    def __init__(self, options: Options) -> None:
        self._inbox: collections.deque[SwitchEvent] = collections.deque()
        self._lines = LogLines(sys.stderr)
        self._instance = uuid.uuid4().hex
        self._kept = Kept(options.state)
        # Before the socket and the port, which belong to the gateway that is running already.
        self._kept.claim()
        self._options = options
        self._revision = ""
        self._unkept: Configure | None = None
        self._keep_again_ms = 0
        self._sip_ready: events.SipReady | None = None
        self._finished = False
        self._trace_wanted = False
        self._trace_writer: threading.Thread | None = None
        self._port = port = options.sip_port or self._kept.sip_port(*options.sip_ports)
        audio = tuple(LineAudio(clock.boot_us) for _ in range(options.lines))
        self._starts = Starts(options.state)
        beginning = self._starts.begin(clock.boot_id(), clock.boot_ms())
        self._switch = Switch(uuid7, random.SystemRandom().random, options.lines, beginning)
        self._sip = SipStack(
            bind=options.bind, port=port, rtp_port=options.rtp_port, audio=audio,
            post=self._inbox.append, new_call_id=uuid7, clock=clock.boot_ms, log=self._log,
        )  # fmt: skip
        self._targets: dict[str, list[str]] = {}
        self._prober = Prober(options.bind, self._post)
        self._link_watch = LinkWatch(self._post)
        self._card = Card(options.card, audio, self._post, LineTrace(options.state).write, self._log)
        self._server = AgentServer(
            options.socket, allowed_uids=own_uids(options.agent_uid), log=self._log, received=self._post,
            connected=lambda: self._post(AgentUp()), lost=lambda: self._post(AgentDown()),
        )  # fmt: skip

        self._control = ControlServer(
            options.socket.with_name(SOCKET_NAME), allowed_uids=own_uids(None), keys=options.firmware_keys,
            post=self._post, offer=self._card.offer, log=self._log,
        )  # fmt: skip

    def _post(self, event: SwitchEvent) -> None:
        self._inbox.append(event)
        self._sip.wake()

    def _log(self, level: str, event: str, detail: str) -> None:
        record = Log(level=level, event=event, at_ms=clock.boot_ms(), detail=detail[:1000])
        self._lines.write(record)
        self._server.publish(record)

    def run(self) -> int:
        """Be the telephone until SIGTERM or SIGINT; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGUSR1, self._on_trace_wanted)
        self._start_sip()
        try:
            self._server.start()
            self._control.start()
            self._use_kept()
            self._prober.start()
            self._link_watch.start()
            self._card.start()
            notify("READY=1")
            self._loop()
            notify("STOPPING=1")
        finally:
            # Also after an error of ours: without an orderly end the library aborts the interpreter's own.
            self._card.stop()
            self._link_watch.stop()
            self._prober.stop()
            self._sip.close()
            self._drain()
            self._keep(clock.boot_ms())
            self._server.stop()
            self._control.stop()
            self._kept.release()
        self._starts.ended(clock.boot_id())
        return EXIT_OK

    def _loop(self) -> None:
        watchdog = clock.boot_ms()
        while not self._finished:
            self._sip.poll(self._wait())
            self._drain()
            self._dump_trace()
            now = clock.boot_ms()
            deadline = self._switch.deadline()
            if deadline is not None and deadline <= now:
                self._handle(events.Tick())
            self._keep(now)
            if now - watchdog >= _WATCHDOG_MS:
                watchdog = now
                notify("WATCHDOG=1")

    def _start_sip(self) -> None:
        try:
            self._sip.start()
        except SipError:
            if _port_taken(self._options.bind, self._port):
                # To try the same port again for ever would leave the house without 112.
                self._kept.forget_sip_port()
            raise
        if not self._options.sip_port:
            try:
                self._kept.keep_sip_port(self._port)
            except KeepError as error:
                self._log("error", "sip_port_not_kept", str(error))

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        del number
        self._post(Stop())

    def _on_trace_wanted(self, number: int, _frame: FrameType | None) -> None:
        # A handler interrupts whatever holds a lock, perhaps itself: it only notes.
        del number
        self._trace_wanted = True
        self._sip.wake()

    def _dump_trace(self) -> None:
        """On a thread of its own, one at a time: the disk may be slow."""
        writer = self._trace_writer
        if not self._trace_wanted or (writer is not None and writer.is_alive()):
            return
        self._trace_wanted = False
        local, messages = self._sip.trace()
        trace = Trace(
            wall=clock.wall().isoformat(timespec="milliseconds"),
            boot_ms=clock.boot_ms(),
            local=local,
            messages=messages,
        )
        self._trace_writer = threading.Thread(target=self._write_traces, args=(trace,), name="trace", daemon=True)
        self._trace_writer.start()

    def _write_traces(self, trace: Trace) -> None:
        self._card.dump_trace("asked for by signal")
        try:
            write_whole(self._options.state / sip_trace.FILE, sip_trace.encode(trace), mode=0o640, durable=False)
        except OSError as error:
            self._log("warning", "sip_trace_not_written", str(error.strerror))

    def _wait(self) -> int:
        if self._inbox:
            return 0
        deadline = self._switch.deadline()
        if deadline is None:
            return _LONGEST_WAIT_MS
        return min(_LONGEST_WAIT_MS, max(0, deadline - clock.boot_ms()))

    def _use_kept(self) -> None:
        try:
            configuration = self._kept.configuration()
        except KeepError as error:
            self._log("error", "last_good_configuration_unusable", str(error))
            return
        if configuration is not None:
            self._handle(configuration)
            self._unkept = None

    def _drain(self) -> None:
        while self._inbox:
            event = self._inbox.popleft()
            if isinstance(event, AgentUp):
                self._greet()
            elif isinstance(event, events.SipReady):
                self._sip_ready = event
            self._handle(event)

    def _handle(self, event: SwitchEvent) -> None:
        for action in self._switch.handle(event, clock.boot_ms()):
            self._perform(action)

    def _greet(self) -> None:
        ready = self._sip_ready
        hello = Hello(
            protocol=PROTOCOL_VERSION, instance=self._instance, boot_id=clock.boot_id(), version=__version__,
            sip_version=ready.version if ready else "", max_calls=ready.max_calls if ready else 0,
            configuration=self._revision,
        )  # fmt: skip
        self._server.begin([hello, *self._switch.records()])

    def _perform(self, action: Action) -> None:
        if isinstance(action, _CARD_ACTIONS):
            self._card.perform(action)
        elif isinstance(action, _ADAPTER_ACTIONS):
            self._card.perform_for_adapter(action)
        elif isinstance(action, events.ProbeTarget):
            self._probe(action)
        elif isinstance(action, _SIP_ACTIONS):
            self._sip.perform(action)
        elif isinstance(action, Publish):
            if isinstance(action.record, Log):
                self._lines.write(action.record)
            self._server.publish(action.record)
            self._control.publish(action.record)
        elif isinstance(action, UseConfiguration):
            self._use(action.configuration)
        elif isinstance(action, Finished):
            self._finished = True

    def _probe(self, action: events.ProbeTarget) -> None:
        targets = self._targets.get(action.account, [])
        with contextlib.suppress(TargetError, IndexError):
            target = parse_target(targets[action.target])
            self._prober.probe(target, events.TargetAnswered(action.call_id, action.account, action.target))

    def _use(self, configuration: Configure) -> None:
        self._card.use(configuration)
        self._sip.configure(configuration.accounts)
        self._targets = {account.id: account.targets for account in configuration.accounts}
        self._link_watch.watch(_usable(text for texts in self._targets.values() for text in texts))
        self._sip.use_lines({entry.line: entry.profile for entry in configuration.lines})
        if configuration.revision != self._revision:
            self._revision = configuration.revision
            self._unkept = configuration
            self._keep_again_ms = clock.boot_ms()

    def _keep(self, now: int) -> None:
        """Write what is not yet kept; a disk that fails is tried again."""
        if self._unkept is None or now < self._keep_again_ms:
            return
        try:
            self._kept.keep(self._unkept)
        except KeepError as error:
            self._keep_again_ms = now + _KEEP_AGAIN_MS
            self._log("error", "configuration_not_kept", str(error))
        else:
            self._unkept = None


def _usable(texts: Iterable[str]) -> list[Target]:
    found = []
    for text in texts:
        with contextlib.suppress(TargetError):
            found.append(parse_target(text))
    return found


def _port_taken(bind: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((bind, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _complain(sentence: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"iplink-agent gateway: {sentence}", file=sys.stderr, flush=True)  # noqa: T201


def main(options: Options, complain: Callable[[str], None] | None = None) -> int:
    """Run the gateway process; returns its exit code: 0 stopped, 1 SIP could not start, 2 a path or port is wrong."""
    say = complain or _complain
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        gateway = Gateway(options)
    except KeepError as error:
        say(str(error))
        return EXIT_BAD_INPUT
    try:
        return gateway.run()
    except (KeepError, SipError) as error:
        say(str(error))
        return EXIT_FAILED
