"""A gateway without telephone and network, for tests of the agent: the real Switch, fake SIP and card, virtual time.

A test lifts handsets, dials, lets the far end answer, and moves the clock; the agent's records go in by `send`, the
gateway's come out by `on_record` while an agent is connected. Nothing happens by itself, nothing sleeps, and the same
script gives the same records every time.
"""

from __future__ import annotations

import enum
import random
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.core import events
from agent.core.beginning import Beginning
from agent.core.events import MediaStats, Tone
from agent.core.linetest import LineTestEnding, LineTestKind, Measure
from agent.core.update import UpdatePhase, UpdateProgress
from agent.gateway.daemon.actions import (
    AgentDown,
    AgentUp,
    Finished,
    Publish,
    Stop,
    SwitchEvent,
    UpdateAbandoned,
    UpdateOrdered,
    UseConfiguration,
)
from agent.gateway.daemon.switch import Switch
from agent.gateway.protocol import PROTOCOL_VERSION, AgentRecord, CallState, Configure, GatewayRecord, Hello

_MAX_TICKS = 10_000
"""A Switch that wants this many ticks at one moment would turn a real gateway into a busy loop."""

DEFAULT_STATS = MediaStats(rx_packets=500, tx_packets=500, codec="PCMA")


class RegistrarMood(enum.Enum):
    """How the fake registrar treats a REGISTER."""

    ACCEPTS = enum.auto()
    REFUSES = enum.auto()
    SILENT = enum.auto()


@dataclass(slots=True)
class FakePhone:
    """What a person with the handset of one line sees and hears."""

    off_hook: bool = False
    ringing: bool = False
    caller: str = ""
    tone: Tone | None = None
    speech: bool = False
    lamp: events.Lamp = events.Lamp.OFF
    warnings: int = 0
    """Tones of limited length that were played into a conversation."""
    keys: str = ""
    """Keys of the far end, as they were heard."""
    testing: LineTestKind | None = None
    """What is being measured on the wires."""


@dataclass(slots=True)
class FakeLeg:
    """One SIP call as the far end sees it."""

    call_id: str
    user: str
    account: str
    outgoing: bool
    emergency: bool = False
    target: int = 0
    answered: bool = False
    over: bool = False
    digits: str = ""
    """DTMF that has arrived."""


@dataclass(slots=True)
class _Process:
    """What a crash takes with it."""

    switch: Switch
    instance: str
    inbox: deque[SwitchEvent] = field(default_factory=deque)
    legs: dict[str, FakeLeg] = field(default_factory=dict)
    finished: bool = False


class FakeGateway:
    """One gateway process, its line card, its operator. Times are milliseconds of a virtual boot clock.

    `on_record` gets what a connected agent would get, in order; `records` keeps everything for the test to look at.
    """

    def __init__(
        self,
        *,
        lines: int = 2,
        seed: int = 1,
        start_ms: int = 1_000_000,
        max_calls: int = 4,
        boot_id: str = "00000000-0000-4000-8000-000000000001",
        on_record: Callable[[GatewayRecord], None] | None = None,
        beginning: Beginning | None = None,
    ) -> None:
        self.now = start_ms
        self.registrar = RegistrarMood.ACCEPTS
        self.refused: set[str] = set()
        """Accounts that the registrar refuses, whatever its mood."""
        self.mute_targets: set[tuple[str, int]] = set()
        """Targets that answer no OPTIONS: account and number."""
        self.path_dead = False
        """Whether OPTIONS on the registrations' own ways stay unanswered."""
        self.new_ports: list[str] = []
        """Accounts that were given another source port."""
        self.moves = 0
        """How often our own address has changed."""
        self.registers: list[tuple[int, str]] = []
        """Every REGISTER there has been: when, and of which account."""
        self._beginning = beginning
        self.stats = DEFAULT_STATS
        """What an answered call reports of itself at its end."""
        self.dead_slots = 0
        """Call slots that transactions with silent peers still hold."""
        self.records: list[GatewayRecord] = []
        self.kept: Configure | None = None
        """The last good configuration: what a restarted process begins with."""
        self.legs: list[FakeLeg] = []
        """Every SIP call there has been, oldest first."""
        self.lamp = events.Lamp.OFF
        """The adapter's own."""
        self.update_orders: list[events.StartUpdate | events.AbortUpdate] = []
        """What the Switch has wanted of the card's firmware, oldest first."""
        self.can_test = self.can_update = True
        self.phones = [FakePhone() for _ in range(lines)]
        self._random = random.Random(seed)  # noqa: S311  reproducible ids and jitter, nothing secret
        self._max_calls = max_calls
        self._boot_id = boot_id
        self._on_record = on_record
        self._connected = False
        self._process = self._begin()
        self._set_going()

    # --- the agent's side --------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether an agent is connected."""
        return self._connected

    @property
    def instance(self) -> str:
        """The random id of the running process."""
        return self._process.instance

    @property
    def finished(self) -> bool:
        """Whether the process has ended after `stop`."""
        return self._process.finished

    def connect(self) -> list[GatewayRecord]:
        """An agent connects: returns (and delivers) Hello and every record there is."""
        self._connected = True
        hello = Hello(
            protocol=PROTOCOL_VERSION, instance=self.instance, boot_id=self._boot_id, version="fake",
            sip_version="fake", max_calls=self._max_calls, configuration=self.kept.revision if self.kept else "",
        )  # fmt: skip
        greeting = [hello, *self._process.switch.records()]
        for record in greeting:
            self._deliver(record)
        self._hear(AgentUp())
        return greeting

    def disconnect(self) -> None:
        """The agent is gone."""
        if self._connected:
            self._connected = False
            self._hear(AgentDown())

    def send(self, record: AgentRecord) -> None:
        """A record from the agent. Raises ConnectionError where none is connected."""
        if not self._connected:
            raise ConnectionError("no agent is connected to the fake gateway")
        self._hear(record)

    def calls(self) -> list[CallState]:
        """Every call the gateway has: live ones and those not yet released."""
        return [record for record in self._process.switch.records() if isinstance(record, CallState)]

    def call(self, call_id: str) -> CallState:
        """One call. Raises KeyError where the gateway has none of this id."""
        for record in self.calls():
            if record.call_id == call_id:
                return record
        raise KeyError(call_id)

    # --- people ------------------------------------------------------------------------------------------------------

    def lift(self, line: int = 0) -> None:
        """Lift a handset; a ringing one answers."""
        phone = self.phones[line]
        phone.off_hook, phone.ringing = True, False
        self._hear(events.OffHook(line))

    def hang_up(self, line: int = 0, *, at_ms: int = 0) -> None:
        """Replace a handset; `at_ms`: when the card says that it happened (0: it does not say)."""
        self.phones[line].off_hook = False
        self._hear(events.OnHook(line, at_ms))

    def dial(self, digits: str, line: int = 0, *, gap_ms: int = 150) -> None:
        """Dial on a lifted handset, one digit every `gap_ms`."""
        for digit in digits:
            self._hear(events.DigitDialled(line, digit))
            self.advance(gap_ms)

    def call_number(self, digits: str, line: int = 0) -> str:
        """Lift and dial; returns the id of the call that this began. Raises KeyError where it began none."""
        known = {record.call_id for record in self.calls()}
        self.lift(line)
        self.dial(digits, line)
        for record in self.calls():
            if record.call_id not in known:
                return record.call_id
        raise KeyError(f"dialling {len(digits)} digits began no call")

    # --- the far end -------------------------------------------------------------------------------------------------

    def leg(self, call_id: str) -> FakeLeg:
        """The SIP call of this id. Raises KeyError where the running process has none."""
        return self._process.legs[call_id]

    def peer_rings(self, call_id: str, *, early_media: bool = False) -> None:
        """The called telephone rings: 180, or 183 with sound of its own."""
        self._hear(events.Progress(call_id, 183 if early_media else 180, early_media))

    def peer_answers(self, call_id: str) -> None:
        """The called party lifts: speech flows from this moment."""
        self.leg(call_id).answered = True
        self._hear(events.CallAnswered(call_id, self.now))

    def peer_presses(self, call_id: str, digits: str) -> None:
        """The far end presses keys, which arrive as telephone-events."""
        for digit in digits:
            self._hear(events.DtmfReceived(call_id, digit))

    def machine(self, line: int = 0) -> None:
        """The answer tone of a fax machine sounds in the line's conversation."""
        self._hear(events.MachineHeard(line))

    def peer_refuses(self, call_id: str, code: int = 486) -> None:
        """The far end (or the platform) refuses an outgoing call with a final response."""
        self._over(call_id, code, remote=True)

    def peer_hangs_up(self, call_id: str) -> None:
        """The far end ends the call: BYE, or CANCEL before the answer."""
        self._over(call_id, 200 if self.leg(call_id).answered else 487, remote=True)

    def peer_is_silent(self, call_id: str) -> None:
        """Nobody answers the INVITE at all: the transaction times out."""
        self._over(call_id, 408, remote=False, on_wire=False)

    def incoming(
        self, called: str, caller: str = "+4799000000", *,
        account: str = "", called_party: str = "", addressed: str = "", bound: bool = False,
    ) -> str:  # fmt: skip
        """Somebody calls; returns the call's id. `account`: the first one where not given."""
        call_id = self._new_id()
        if not account and self.kept is not None and self.kept.accounts:
            account = self.kept.accounts[0].id
        self._leg(FakeLeg(call_id, called, account, outgoing=False))
        self._hear(
            events.IncomingInvite(
                call_id, account, caller, called, "192.0.2.1:5060", called_party, addressed, bound=bound
            )
        )
        return call_id

    # --- the world ---------------------------------------------------------------------------------------------------

    def advance(self, ms: int) -> None:
        """Let time pass, with a Tick at each deadline of the Switch on the way."""
        end = self.now + ms
        ticks = 0
        while not self._process.finished:
            deadline = self._process.switch.deadline()
            if deadline is None or deadline > end:
                break
            if deadline > self.now:
                self.now, ticks = deadline, 0
            ticks += 1
            if ticks > _MAX_TICKS:
                raise RuntimeError(f"the switch wants to be ticked for ever at {self.now} ms")
            self._hear(events.Tick())
        self.now = end

    def card_down(self, reason: str = "unplugged") -> None:
        """The line card is lost."""
        self._silence_phones()
        self._hear(events.CardDown(reason))

    def card_up(self) -> None:
        """The line card is back, or has restarted, and tells which handsets are off the hook."""
        self._silence_phones()
        self._hear(events.CardUp(len(self.phones), "fake", self.can_test, self.can_update))
        for line, phone in enumerate(self.phones):
            if phone.off_hook:
                self._hear(events.OffHook(line))

    def tested(self, line: int, ending: LineTestEnding, *measures: Measure) -> None:
        """The card ends the test that it does on `line`. Raises ValueError where it does none."""
        phone = self.phones[line]
        if phone.testing is None:
            raise ValueError(f"line {line} is not being tested")
        test, phone.testing = phone.testing, None
        self._hear(events.LineTested(line, test, ending, measures))

    def press_button(self, held_ms: int) -> None:
        """Somebody presses the adapter's button."""
        self._hear(events.ButtonPressed(held_ms))

    def order_update(self, request: str, version: str = "1.1.0", total: int = 1000) -> None:
        """A technician gives an image for the card."""
        self._hear(UpdateOrdered(request, version, total))

    def abandon_update(self, request: str) -> None:
        """The technician goes away."""
        self._hear(UpdateAbandoned(request))

    def update_progressed(self, phase: UpdatePhase, sent: int = 0) -> None:
        """The card's end of an update has come so far. Raises ValueError where none was started."""
        started = [order for order in self.update_orders if isinstance(order, events.StartUpdate)]
        if not started:
            raise ValueError("no update was started")
        self._hear(events.UpdateProgressed(UpdateProgress(phase, started[-1].request, "1.1.0", sent, 1000)))

    def hold_slots(self, count: int) -> None:
        """The SIP library says that it holds so many call slots for transactions with silent peers."""
        self.dead_slots = count
        self._hear(events.SlotsHeld(count))

    def stop(self) -> None:
        """The process is told to end."""
        self._hear(Stop())

    def crash(self) -> None:
        """The process dies and a new one starts: its calls are gone, and the agent has to connect again."""
        self._connected = False
        self._process = self._begin()
        self._set_going()

    def _silence_phones(self) -> None:
        for phone in self.phones:
            phone.ringing, phone.tone, phone.speech, phone.lamp = False, None, False, events.Lamp.OFF
            phone.testing = None
        self.lamp = events.Lamp.OFF

    # --- inside ------------------------------------------------------------------------------------------------------

    def _begin(self) -> _Process:
        return _Process(
            Switch(self._new_id, self._random.random, len(self.phones), self._beginning),
            uuid.UUID(int=self._random.getrandbits(128)).hex,
        )

    def _set_going(self) -> None:
        self._hear(events.SipReady(self._max_calls, "fake", 5060))
        if self.kept is not None:
            self._hear(self.kept)
        self.card_up()

    def _new_id(self) -> str:
        bits = self._random.getrandbits
        return str(uuid.UUID(int=self.now << 80 | 0x7 << 76 | bits(12) << 64 | 0b10 << 62 | bits(62)))

    def _hear(self, event: SwitchEvent) -> None:
        process = self._process
        process.inbox.append(event)
        if len(process.inbox) > 1:
            return
        while process.inbox and not process.finished:
            try:
                for action in process.switch.handle(process.inbox[0], self.now):
                    self._perform(action)
            finally:
                process.inbox.popleft()

    def _post(self, event: SwitchEvent) -> None:
        self._process.inbox.append(event)

    def _perform(self, action: object) -> None:
        match action:
            case Publish(record=record):
                self._deliver(record)
            case UseConfiguration(configuration=configuration):
                self.kept = configuration
            case Finished():
                self._process.finished = True
            case (
                events.Ring() | events.StopRing() | events.PlayTone() | events.StopTone() | events.OpenAudio()
                | events.CloseAudio() | events.SetLamp() | events.PlayDtmf() | events.StartLineTest()
                | events.AbortLineTest()
            ):  # fmt: skip
                self._perform_card(action)
            case events.SetAdapterLamp(lamp=lamp):
                self.lamp = lamp
            case events.StartUpdate() | events.AbortUpdate():
                self.update_orders.append(action)
            case _:
                self._perform_sip(action)

    def _deliver(self, record: GatewayRecord) -> None:
        self.records.append(record)
        if self._connected and self._on_record is not None:
            self._on_record(record)

    def _perform_card(self, action: events.CardAction) -> None:
        phone = self.phones[action.line]
        match action:
            case events.Ring(caller=caller):
                phone.ringing, phone.caller = True, caller
            case events.StopRing():
                phone.ringing = False
            case events.PlayTone(tone=tone, duration_ms=0):
                phone.tone = tone
            case events.PlayTone():
                phone.warnings += 1
            case events.StopTone():
                phone.tone = None
            case events.PlayDtmf(digit=digit):
                phone.keys += digit
            case events.OpenAudio():
                phone.speech = True
            case events.CloseAudio():
                phone.speech = False
            case events.SetLamp(lamp=lamp):
                phone.lamp = lamp
            case events.StartLineTest(test=test):
                phone.testing = test
            case events.AbortLineTest():
                phone.testing = None

    def _perform_sip(self, action: object) -> None:
        match action:
            case events.Register(account=account):
                self._register(account)
            case events.ProbeTarget() | events.ProbePath() | events.NewPort() | events.MoveAddress():
                self._perform_on_network(action)
            case events.Unregister(account=account):
                self._post(events.Unregistered(account))
            case events.Invite(call_id=call_id):
                leg = FakeLeg(call_id, action.user, action.account, outgoing=True, emergency=action.emergency)
                leg.target = action.target
                self._leg(leg)
                used = sum(not leg.over for leg in self._process.legs.values()) + self.dead_slots
                if used > self._max_calls:
                    self._end_leg(call_id, 0, remote=False, on_wire=False)
            case events.Answer(call_id=call_id):
                self.leg(call_id).answered = True
                self._post(events.CallAnswered(call_id, self.now))
            case events.Reject(call_id=call_id, code=code):
                self._end_leg(call_id, code, remote=False)
            case events.HangUp(call_id=call_id):
                self._end_leg(call_id, 200 if self.leg(call_id).answered else 487, remote=False)
            case events.SendDtmf(call_id=call_id, digit=digit):
                self.leg(call_id).digits += digit
            case events.Ringing():
                pass
            case _:
                raise TypeError(f"the fake gateway can't perform {type(action).__name__}")

    def _perform_on_network(
        self, action: events.ProbeTarget | events.ProbePath | events.NewPort | events.MoveAddress
    ) -> None:
        match action:
            case events.ProbeTarget(call_id=call_id, account=account, target=target):
                if (account, target) not in self.mute_targets:
                    self._post(events.TargetAnswered(call_id, account, target))
            case events.ProbePath(account=account):
                self._post(events.PathProbed(account, alive=not self.path_dead))
            case events.NewPort(account=account):
                self.new_ports.append(account)
            case events.MoveAddress():
                self.moves += 1

    def _register(self, account: str) -> None:
        self.registers.append((self.now, account))
        match RegistrarMood.REFUSES if account in self.refused else self.registrar:
            case RegistrarMood.ACCEPTS:
                self._post(events.Registered(account, 300))
            case RegistrarMood.REFUSES:
                self._post(events.RegistrationFailed(account, 403, "Forbidden", on_wire=True))
            case RegistrarMood.SILENT:
                self._post(events.RegistrationFailed(account, 408, "Request Timeout", on_wire=False))

    def _leg(self, leg: FakeLeg) -> None:
        self._process.legs[leg.call_id] = leg
        self.legs.append(leg)

    def _over(self, call_id: str, code: int, *, remote: bool, on_wire: bool = True) -> None:
        leg = self.leg(call_id)
        if not leg.over:
            leg.over = True
            stats = self.stats if leg.answered else None
            self._hear(events.CallOver(call_id, code, "", remote, on_wire, stats))

    def _end_leg(self, call_id: str, code: int, *, remote: bool, on_wire: bool = True) -> None:
        leg = self.leg(call_id)
        if not leg.over:
            leg.over = True
            stats = self.stats if leg.answered else None
            self._post(events.CallOver(call_id, code, "", remote, on_wire, stats))
