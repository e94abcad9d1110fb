"""The gateway process: one loop around the pure Switch, with SIP, line card and agent as its edges.

The loop runs on the thread that owns pjsua2, the process's main thread. The card's thread and the socket's thread only
post to its inbox. Nothing here decides anything about a call.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import random
import signal
import socket
import sys
import threading
import typing
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

from msgspec import Struct

from agent import __version__, clock
from agent.core import actions, events
from agent.core.codecs import G711
from agent.core.ranges import Ranges, parse_ranges
from agent.core.services import LineServices
from agent.core.target import usable
from agent.files import write_whole
from agent.gateway import sip_trace
from agent.gateway.control import SOCKET_NAME
from agent.gateway.daemon.actions import (
    Action,
    AgentDown,
    AgentUp,
    Finished,
    KeepCallbacks,
    KeepRests,
    KeepServices,
    Publish,
    Stop,
    SwitchEvent,
    UseConfiguration,
)
from agent.gateway.daemon.announcer import Announcer
from agent.gateway.daemon.audio import LineAudio
from agent.gateway.daemon.binding import family_of
from agent.gateway.daemon.card import Card
from agent.gateway.daemon.control import ControlServer
from agent.gateway.daemon.filter_request import FilterRequests
from agent.gateway.daemon.keep import KeepError, Kept
from agent.gateway.daemon.line_trace import LineTrace
from agent.gateway.daemon.link_watch import LinkWatch
from agent.gateway.daemon.log_lines import LogLines
from agent.gateway.daemon.prober import Prober
from agent.gateway.daemon.server import AgentServer, own_uids
from agent.gateway.daemon.sip import MAX_ACCOUNTS, SipError, SipStack
from agent.gateway.daemon.sip.capacity import UNPROBED_ACCOUNTS, CapacityError, probe
from agent.gateway.daemon.sip.engine import RTP_PORTS
from agent.gateway.daemon.starts import Starts
from agent.gateway.daemon.stun import Stun
from agent.gateway.daemon.switch import Switch
from agent.gateway.protocol import PROTOCOL_VERSION, Configure, Hello, Log, StunState
from agent.gateway.sip_trace import Trace
from agent.notify import notify
from agent.paths import data_dir

_LONGEST_WAIT_MS = 500
"""Signals and the watchdog are served at least this often."""
_SWITCH_INTERVAL_S = 0.001
"""Python's default of 5 ms stretches the 20 ms speech tick under load; 1 ms keeps its p99 below 22 ms."""
_WATCHDOG_MS = 5000
_KEEP_AGAIN_MS = 60_000
_HIGHEST_PORT = 65_535

_CARD_ACTIONS = typing.get_args(actions.CardAction)
_ADAPTER_ACTIONS = typing.get_args(actions.AdapterAction)
_SIP_ACTIONS = typing.get_args(actions.SipAction)

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2


class Options(Struct, frozen=True):
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
    sip_ca_file: Path | None = None
    """Roots that the operator's TLS certificates must lead to; None: those that the system trusts."""
    announcements: Path | None = None
    """Folder of the shipped recordings; None: beside the other data."""


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
        self._max_accounts = UNPROBED_ACCOUNTS
        self._capacity_known = False
        self._finished = False
        self._trace_wanted = False
        self._trace_writer: threading.Thread | None = None
        self._port = port = options.sip_port or self._kept.sip_port(*options.sip_ports)
        audio = tuple(LineAudio(clock.boot_us) for _ in range(options.lines))
        self._starts = Starts(options.state)
        beginning = self._starts.begin(clock.boot_id(), clock.boot_ms())
        self._unkept_services: Mapping[int, LineServices] | None = None
        services, self._services_trouble = self._kept_services()
        self._switch = Switch(uuid7, random.SystemRandom().random, options.lines, beginning, services)
        self._stun = Stun(options.bind, self._tell_agent, self._log)
        self._sip = SipStack(
            bind=options.bind, port=port, rtp_port=options.rtp_port, audio=audio,
            post=self._inbox.append, new_call_id=uuid7, clock=clock.boot_ms, log=self._log, ca_file=options.sip_ca_file,
            contact_seed=self._contact_seed(), observer=self._stun.watch,
        )  # fmt: skip
        rtp_ports = (options.rtp_port, min(options.rtp_port + RTP_PORTS + 1, _HIGHEST_PORT))
        self._filter = FilterRequests(options.state, rtp_ports, self._log)
        self._targets: dict[str, list[str]] = {}
        self._prober = Prober(options.bind, self._post, options.sip_ca_file)
        self._link_watch = LinkWatch(self._post)
        self._announcer = Announcer(options.announcements or data_dir() / "announcements", self._log)
        self._card = Card(options.card, audio, self._post, LineTrace(options.state).write, self._log, self._announcer)
        self._server = AgentServer(
            options.socket, allowed_uids=own_uids(options.agent_uid), log=self._log, received=self._post,
            connected=lambda: self._post(AgentUp()), lost=lambda: self._post(AgentDown()),
        )  # fmt: skip

        self._control = ControlServer(
            options.socket.with_name(SOCKET_NAME), allowed_uids=own_uids(None), keys=options.firmware_keys,
            post=self._post, offer=self._card.offer, log=self._log,
        )  # fmt: skip

    def _kept_services(self) -> tuple[Mapping[int, LineServices], str]:
        """What users had set, and what is wrong with the file where it cannot be read."""
        try:
            return self._kept.services(), ""
        except KeepError as error:
            return {}, str(error)

    def _contact_seed(self) -> bytes:
        try:
            return self._kept.contact_seed()
        except KeepError as error:
            self._lines.write(
                Log(level="error", event="contact_seed_not_kept", at_ms=clock.boot_ms(), detail=str(error)[:1000])
            )
            return b""

    def _post(self, event: SwitchEvent) -> None:
        self._inbox.append(event)
        self._sip.wake()

    def _log(self, level: str, event: str, detail: str) -> None:
        record = Log(level=level, event=event, at_ms=clock.boot_ms(), detail=detail[:1000])
        self._lines.write(record)
        self._server.publish(record)

    def _tell_agent(self, state: StunState) -> None:
        self._server.publish(state)

    def run(self) -> int:
        """Be the telephone until SIGTERM or SIGINT; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGUSR1, self._on_trace_wanted)
        self._start_sip()
        try:
            self._server.start()
            self._control.start()
            self._recall_capacity()
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
            self._announcer.stop()
            self._link_watch.stop()
            self._prober.stop()
            self._stun.watch.stop()
            self._sip.close()
            self._drain()
            self._keep(clock.boot_ms())
            self._server.stop()
            self._control.stop()
            self._kept.release()
        self._starts.ended()
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
            self._filter.tend(now, self._sip.ports)
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

    def _recall_capacity(self) -> None:
        kept = self._kept.capacity(self._sip.library)
        self._capacity_known = kept is not None
        self._max_accounts = kept or UNPROBED_ACCOUNTS
        self._sip.carry(self._max_accounts)

    def _make_room(self, accounts: int) -> None:
        """See that so many accounts are no more than the SIP library carries; they are tried out where that is unknown.

        Once for each library, and only for more than any library is dared without: no other start waits for it.
        """
        if accounts <= self._max_accounts or self._capacity_known:
            return
        try:
            self._max_accounts, self._capacity_known = probe(), True
            self._kept.keep_capacity(self._sip.library, self._max_accounts)
        except CapacityError as error:
            self._log("error", "sip_capacity_unknown", f"{error}; at most {self._max_accounts} registrations")
        except KeepError as error:
            self._log("error", "sip_capacity_not_kept", str(error))
        self._sip.carry(self._max_accounts)

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
        if self._services_trouble:
            self._log("error", "line_settings_unusable", self._services_trouble)
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
            elif isinstance(event, events.OffHook) or (isinstance(event, events.CardUp) and event.off_hook):
                self._stun.watch.look()
            self._handle(event)

    def _handle(self, event: SwitchEvent) -> None:
        for action in self._switch.handle(event, clock.boot_ms()):
            self._perform(action)

    def _greet(self) -> None:
        ready = self._sip_ready
        hello = Hello(
            protocol=PROTOCOL_VERSION, instance=self._instance, boot_id=clock.boot_id(), version=__version__,
            sip_version=ready.version if ready else "", max_calls=ready.max_calls if ready else 0,
            configuration=self._revision, max_accounts=self._max_accounts if self._capacity_known else MAX_ACCOUNTS,
            codecs=list(ready.codecs) if ready else list(G711),
        )  # fmt: skip
        self._server.begin([hello, *self._switch.records(), *self._stun.records])

    def _perform(self, action: Action) -> None:
        if isinstance(action, _CARD_ACTIONS):
            self._card.perform(action)
        elif isinstance(action, _ADAPTER_ACTIONS):
            self._card.perform_for_adapter(action)
        elif isinstance(action, actions.ProbeTarget):
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
        elif isinstance(action, KeepRests):
            self._starts.rest(action.rests)
        elif isinstance(action, KeepCallbacks):
            self._starts.keep_callbacks(action.called_for_help)
        elif isinstance(action, KeepServices):
            self._unkept_services, self._keep_again_ms = action.settings, clock.boot_ms()
        elif isinstance(action, Finished):
            self._finished = True

    def _probe(self, action: actions.ProbeTarget) -> None:
        targets = self._targets.get(action.account, [])
        target = usable(targets[action.target]) if action.target < len(targets) else None
        if target is not None:
            self._prober.probe(target, events.TargetAnswered(action.call_id, action.account, action.target))

    def _use(self, configuration: Configure) -> None:
        self._card.use(configuration)
        self._make_room(len(configuration.accounts))
        self._sip.configure(configuration.accounts)
        self._sip.use_ranges(Ranges(parse_ranges(configuration.signalling_ranges)))
        texts = (text for account in configuration.accounts for text in account.targets)
        targets = [target for target in map(usable, texts) if target is not None]
        self._filter.use(configuration, (target.address for target in targets))
        self._targets = {account.id: account.targets for account in configuration.accounts}
        self._link_watch.watch(targets)
        self._stun.use(configuration.stun_server, self._sip.out_of_reach)
        self._sip.tell_quality(wanted=configuration.rtp_stat)
        self._sip.use_lines({entry.line: entry.profile for entry in configuration.lines})
        if configuration.revision != self._revision:
            self._revision = configuration.revision
            self._unkept = configuration
            self._keep_again_ms = clock.boot_ms()

    def _keep(self, now: int) -> None:
        """Write what is not yet kept; a disk that fails is tried again."""
        if now < self._keep_again_ms:
            return
        try:
            if self._unkept is not None:
                self._kept.keep(self._unkept)
                self._unkept = None
            if self._unkept_services is not None:
                self._kept.keep_services(self._unkept_services)
                self._unkept_services = None
        except KeepError as error:
            self._keep_again_ms = now + _KEEP_AGAIN_MS
            self._log("error", "configuration_not_kept", str(error))


def _port_taken(bind: str, port: int) -> bool:
    with socket.socket(family_of(bind), socket.SOCK_DGRAM) as probe:
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
