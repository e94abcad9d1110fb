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
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct, structs

from agent.core import actions, events, terms
from agent.core.announcement import Announcement
from agent.core.beginning import Beginning
from agent.core.callback import MAX_CALLBACK_S, Helped, after_restart
from agent.core.caller import CallerId, Presentation
from agent.core.diversion import Diverted
from agent.core.linetest import LineTestEnding, LineTestKind, Measure
from agent.core.media import MediaStats, Way
from agent.core.quality import Figures
from agent.core.redirect import Elsewhere
from agent.core.services import LineServices
from agent.core.terms import Tone
from agent.core.update import UpdatePhase, UpdateProgress
from agent.gateway.daemon.actions import (
    AgentDown,
    AgentUp,
    Finished,
    KeepCallbacks,
    KeepRests,
    KeepServices,
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


class FakePhone(Struct):
    """What a person with the handset of one line sees and hears."""

    off_hook: bool = False
    ringing: bool = False
    caller: str = ""
    """The number on the display."""
    cadence: str = ""
    """The name of the latest ringing; empty: the usual one."""
    when: str = ""
    """The time on the display, `MMDDhhmm`."""
    waiting_shown: list[CallerId] = msgspec.field(default_factory=list)
    """Who was shown in the middle of a conversation."""
    caller_id: CallerId | None = None
    """All that the telephone was told of the caller."""
    tone: Tone | None = None
    announcement: Announcement | None = None
    """What is being said."""
    told: list[Announcement] = msgspec.field(default_factory=list)
    """Everything that was said, or would have been where there were recordings."""
    speech: bool = False
    lamp: terms.Lamp = terms.Lamp.OFF
    warnings: int = 0
    """Warning tones that were played into a conversation."""
    bursts: list[Tone] = msgspec.field(default_factory=list)
    """All tones of limited length that were played into a conversation."""
    keys: str = ""
    """Keys of the far end, as they were heard."""
    testing: LineTestKind | None = None
    """What is being measured on the wires."""
    messages: bool = False
    """Whether its message lamp is lit."""


class FakeLeg(Struct):
    """One SIP call as the far end sees it."""

    call_id: str
    user: str
    account: str
    outgoing: bool
    emergency: bool = False
    target: int = 0
    own_user: str = ""
    """Which number the operator is told that it is from, where From does not say it."""
    withheld: bool = False
    """Whether the called party is not to see who calls."""
    answered: bool = False
    over: bool = False
    digits: str = ""
    """DTMF that has arrived."""
    waiting: bool = False
    """Whether the caller has been told that his call waits beside a conversation."""
    held: bool = False
    """Whether we have put it on hold."""
    holdable: bool = True
    """Whether the far end agrees to be held."""
    resumable: bool = True
    """Whether one that is held agrees to come back."""
    line: int | None = None
    """The handset that hears it, and is heard."""
    peers: frozenset[str] = frozenset()
    """The other calls that hear it, and are heard."""
    plain: bool = False
    """Whether nothing but G.711 is wanted in it from now on."""
    redirected: str = ""
    """Where the caller was sent by 302."""
    diversions: tuple[Diverted, ...] = ()
    """From where it was sent on, as its INVITE or its 302 said."""
    transferred: str = ""
    """Whom it was asked to call instead, or the id of the call whose place it was asked to take."""


class _Process(Struct):
    """What a crash takes with it."""

    switch: Switch
    instance: str
    inbox: deque[SwitchEvent] = msgspec.field(default_factory=deque)
    legs: dict[str, FakeLeg] = msgspec.field(default_factory=dict)
    finished: bool = False


class FakeGateway:
    """One gateway process, its line card, its operator. Times are milliseconds of a virtual boot clock.

    `on_record` gets what a connected agent would get, in order; `records` keeps everything for the test to look at.
    `recordings`: announcements are there, and last until `announcement_over`; else the tone is heard at once.
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
        recordings: bool = False,
    ) -> None:
        self._recordings = recordings
        self.now = start_ms
        self.registrar = RegistrarMood.ACCEPTS
        self.refused: set[str] = set()
        """Accounts that the registrar refuses, whatever its mood."""
        self.mute_targets: set[tuple[str, int]] = set()
        """Targets that answer no OPTIONS: account and number."""
        self.path_dead = False
        self.seen_as = ""
        """Where the operator sees us."""
        """Whether OPTIONS on the registrations' own ways stay unanswered."""
        self.new_ports: list[str] = []
        """Accounts that were given another source port."""
        self.moves = 0
        """How often our own address has changed."""
        self.registers: list[tuple[int, str]] = []
        """Every REGISTER there has been: when, and of which account."""
        self._beginning = beginning or Beginning()
        self._rests: Mapping[str, int] = {}
        self.stats = DEFAULT_STATS
        """What an answered call reports of itself at its end."""
        self.dead_slots = 0
        """Call slots that transactions with silent peers still hold."""
        self.records: list[GatewayRecord] = []
        self.kept: Configure | None = None
        """The last good configuration: what a restarted process begins with."""
        self.kept_services: Mapping[int, LineServices] = {}
        """What users had set, as a restarted process reads it."""
        self.kept_callbacks: Helped = {}
        """Who has called for help, as a restarted process reads it."""
        self.legs: list[FakeLeg] = []
        """Every SIP call there has been, oldest first."""
        self.lamp = terms.Lamp.OFF
        """The adapter's own."""
        self.update_orders: list[actions.StartUpdate | actions.AbortUpdate] = []
        """What the Switch has wanted of the card's firmware, oldest first."""
        self.can_test = self.can_update = True
        self.phones = [FakePhone() for _ in range(lines)]
        self._takes = [0] * lines
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

    def peer_tries(self, call_id: str) -> None:
        """The target has the call, and nothing more is known: 100 Trying."""
        self.peer_progresses(call_id, 100)

    def peer_progresses(self, call_id: str, code: int) -> None:
        """Any provisional response without sound."""
        self._hear(events.Progress(call_id, code, early_media=False))

    def peer_answers(self, call_id: str) -> None:
        """The called party lifts: speech flows from this moment."""
        self.leg(call_id).answered = True
        self._hear(events.CallAnswered(call_id, self.now))

    def operator_asks(self, account: str) -> None:
        """A request of the operator comes to the contact of `account`."""
        self._hear(events.RequestSeen(account))

    def peer_presses(self, call_id: str, digits: str) -> None:
        """The far end presses keys, which arrive as telephone-events."""
        for digit in digits:
            self._hear(events.DtmfReceived(call_id, digit))

    def heard(self, line: int = 0) -> list[str]:
        """The calls that the handset of `line` hears, oldest first."""
        return [leg.call_id for leg in self.legs if leg.line == line and not leg.over and not leg.held]

    def flash(self, line: int = 0) -> None:
        """Press R."""
        self._hear(events.HookFlash(line))

    def transfer_goes(self, call_id: str, code: int = 200, *, final: bool = True) -> None:
        """The far end tells how the call is getting on that it was asked to make."""
        self._hear(events.TransferProgress(call_id, code, final))

    def peer_holds(self, call_id: str, *, held: bool = True) -> None:
        """The far end puts us on hold, or is back."""
        self._hear(events.RemoteHold(call_id, held))

    def refuses_to_come_back(self, call_id: str) -> None:
        """The answer to a resume comes late, and is no."""
        self.leg(call_id).held = True
        self._hear(events.HoldDone(call_id, held=False, ok=False))

    def mailbox(self, account: str, new: int, old: int = 0) -> None:
        """The operator tells of voice messages."""
        self._hear(events.MessagesWaiting(account, new, old))

    def sounds(self, call_id: str, figures: Figures, *, silent_ms: int = 0) -> None:
        """The call is looked at: so it sounds, and nothing has come for so long."""
        self._hear(events.CallSampled(call_id, figures, silent_ms))

    def goes_silent(self, call_id: str, way: Way | None) -> None:
        """One direction of the call is found dead, or (None) lives again."""
        self._hear(events.OneWayAudio(call_id, way, self.now))

    def announcement_over(self, line: int = 0) -> None:
        """The announcement on the line has been heard to its end. Raises ValueError where there is none."""
        phone = self.phones[line]
        if phone.announcement is None:
            raise ValueError(f"nothing is being said on line {line}")
        phone.announcement = None
        self._hear(events.AnnouncementOver(line, self._takes[line]))

    def machine(self, line: int = 0) -> None:
        """The answer tone of a fax machine sounds in the line's conversation."""
        self._hear(events.MachineHeard(line))

    def peer_refuses(self, call_id: str, code: int = 486, *contacts: Elsewhere) -> None:
        """The far end (or the platform) refuses an outgoing call with a final response, a redirection to `contacts`."""
        self._over(call_id, code, remote=True, contacts=contacts)

    def peer_hangs_up(self, call_id: str) -> None:
        """The far end ends the call: BYE, or CANCEL before the answer."""
        self._over(call_id, 200 if self.leg(call_id).answered else 487, remote=True)

    def peer_is_silent(self, call_id: str) -> None:
        """Nobody answers the INVITE at all: the transaction times out."""
        self.library_ends(call_id, 408)

    def library_ends(self, call_id: str, code: int) -> None:
        """The SIP library gives the call up by itself: nobody answers, or the far end has refused to go on."""
        self._over(call_id, code, remote=False, on_wire=False)

    def incoming(
        self, called: str, caller: str = "+4799000000", *,
        account: str = "", called_party: str = "", addressed: str = "", bound: bool = False, name: str = "",
        presentation: Presentation = Presentation.ALLOWED, alert: tuple[str, ...] = (), diverted_from: str = "",
        diversions: tuple[Diverted, ...] = (),
    ) -> str:  # fmt: skip
        """Somebody calls; returns the call's id. `account`: the first one where not given."""
        call_id = self._new_id()
        if not account and self.kept is not None and self.kept.accounts:
            account = self.kept.accounts[0].id
        self._leg(FakeLeg(call_id, called, account, outgoing=False))
        self._hear(
            events.IncomingInvite(
                call_id,
                account,
                CallerId(caller, name, presentation),
                called,
                "192.0.2.1:5060",
                called_party,
                addressed,
                bound=bound,
                diverted_from=diverted_from,
                diversions=diversions,
                alert=alert,
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
        off_hook = tuple(line for line, phone in enumerate(self.phones) if phone.off_hook)
        self._hear(events.CardUp(len(self.phones), "fake", self.can_test, self.can_update, off_hook))

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
        started = [order for order in self.update_orders if isinstance(order, actions.StartUpdate)]
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

    def crash(self, *, card: bool = True) -> None:
        """The process dies and a new one starts: its calls are gone, and the agent has to connect again.

        `card`: whether the line card answers the new one at once.
        """
        self._connected = False
        for leg in self._process.legs.values():
            leg.over = True
        self._process = self._begin()
        self._set_going(card=card)

    def _silence_phones(self) -> None:
        for phone in self.phones:
            phone.ringing, phone.tone, phone.speech, phone.lamp = False, None, False, terms.Lamp.OFF
            phone.messages = False
            phone.testing = phone.announcement = None
        self.lamp = terms.Lamp.OFF

    # --- inside ------------------------------------------------------------------------------------------------------

    def _begin(self) -> _Process:
        helped = after_restart(self.kept_callbacks, self.now, MAX_CALLBACK_S * 1000, cold=False)
        self.kept_callbacks = dict(helped)
        return _Process(
            Switch(
                self._new_id,
                self._random.random,
                len(self.phones),
                structs.replace(self._beginning, rests=self._rests, called_for_help=helped),
                self.kept_services,
            ),
            uuid.UUID(int=self._random.getrandbits(128)).hex,
        )

    def _set_going(self, *, card: bool = True) -> None:
        self._hear(events.SipReady(self._max_calls, "fake", 5060))
        if self.kept is not None:
            self._hear(self.kept)
        if card:
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
            case KeepRests(rests=rests):
                self._rests = rests
            case KeepCallbacks(called_for_help=helped):
                self.kept_callbacks = helped
            case KeepServices(settings=settings):
                self.kept_services = settings
            case Finished():
                self._process.finished = True
            case (
                actions.Ring() | actions.StopRing() | actions.PlayTone() | actions.StopTone() | actions.OpenAudio()
                | actions.CloseAudio() | actions.SetLamp() | actions.PlayDtmf() | actions.StartLineTest()
                | actions.AbortLineTest() | actions.ShowMessages() | actions.ShowWaiting() | actions.Announce()
                | actions.StopAnnouncement()
            ):  # fmt: skip
                self._perform_card(action)
            case actions.SetAdapterLamp(lamp=lamp):
                self.lamp = lamp
            case actions.StartUpdate() | actions.AbortUpdate():
                self.update_orders.append(action)
            case _:
                self._perform_sip(action)

    def _deliver(self, record: GatewayRecord) -> None:
        self.records.append(record)
        if self._connected and self._on_record is not None:
            self._on_record(record)

    def _perform_card(self, action: actions.CardAction) -> None:
        phone = self.phones[action.line]
        match action:
            case actions.Ring() | actions.StopRing() | actions.ShowMessages() | actions.ShowWaiting():
                self._perform_display(phone, action)
            case actions.PlayTone(tone=tone, duration_ms=0):
                phone.tone = tone
            case actions.PlayTone(tone=tone):
                phone.warnings += tone is Tone.WARNING
                phone.bursts.append(tone)
            case actions.StopTone():
                phone.tone = None
            case actions.PlayDtmf(digit=digit):
                phone.keys += digit
            case actions.Announce() | actions.StopAnnouncement() | actions.OpenAudio() | actions.CloseAudio():
                self._perform_speech(action, phone)
            case actions.SetLamp(lamp=lamp):
                phone.lamp = lamp
            case actions.StartLineTest() | actions.AbortLineTest():
                phone.testing = action.test if isinstance(action, actions.StartLineTest) else None

    def _perform_display(
        self, phone: FakePhone, action: actions.Ring | actions.StopRing | actions.ShowMessages | actions.ShowWaiting
    ) -> None:
        match action:
            case actions.Ring(caller=caller):
                phone.ringing, phone.caller_id = True, caller
                phone.cadence, phone.when = action.cadence, action.when
                phone.caller = caller.shown_number if caller is not None else ""
            case actions.StopRing():
                phone.ringing = False
            case actions.ShowMessages(waiting=waiting):
                phone.messages = waiting
            case actions.ShowWaiting(caller=waiting_caller, when=when):
                phone.waiting_shown.append(waiting_caller)
                phone.when = when

    def _perform_speech(
        self,
        action: actions.Announce | actions.StopAnnouncement | actions.OpenAudio | actions.CloseAudio,
        phone: FakePhone,
    ) -> None:
        match action:
            case actions.Announce(line=line, announcement=announcement, take=take):
                phone.told.append(announcement)
                if self._recordings:
                    phone.announcement, self._takes[line] = announcement, take
                else:
                    self._post(events.AnnouncementOver(line, take))
            case actions.StopAnnouncement():
                phone.announcement = None
            case actions.OpenAudio():
                phone.speech = True
            case actions.CloseAudio():
                phone.speech, phone.announcement = False, None

    def _perform_sip(self, action: object) -> None:
        match action:
            case actions.Register(account=account):
                self._register(account)
            case actions.ProbeTarget() | actions.ProbePath() | actions.NewPort() | actions.MoveAddress():
                self._perform_on_network(action)
            case actions.Unregister(account=account):
                self._post(events.Unregistered(account))
            case actions.Invite(call_id=call_id):
                leg = FakeLeg(call_id, action.user, action.account, outgoing=True, emergency=action.emergency)
                leg.target, leg.withheld, leg.own_user = action.target, action.withhold, action.own_user
                leg.diversions = action.diversions
                self._leg(leg)
                self._join((call_id,), action.line)
                used = sum(not leg.over for leg in self._process.legs.values()) + self.dead_slots
                if used > self._max_calls:
                    self._end_leg(call_id, 0, remote=False, on_wire=False)
            case actions.Answer(call_id=call_id):
                self.leg(call_id).answered = True
                self._join((call_id,), action.line)
                self._post(events.CallAnswered(call_id, self.now))
            case actions.Reject(call_id=call_id, code=code):
                self._end_leg(call_id, code, remote=False)
            case actions.HangUp(call_id=call_id):
                self._end_leg(call_id, 200 if self.leg(call_id).answered else 487, remote=False)
            case actions.SendDtmf(call_id=call_id, digit=digit):
                self.leg(call_id).digits += digit
            case actions.Ringing(call_id=call_id):
                self.leg(call_id).waiting = action.waiting
            case _:
                self._perform_service(action)

    def _perform_service(self, action: object) -> None:
        match action:
            case actions.Redirect(call_id=call_id, user=user):
                self.leg(call_id).redirected, self.leg(call_id).diversions = user, action.diversions
                self._end_leg(call_id, 302, remote=False)
            case actions.Hold(call_id=call_id):
                leg = self.leg(call_id)
                leg.held = True
                self._post(events.HoldDone(call_id, held=True, ok=leg.holdable))
            case actions.Resume(call_id=call_id):
                leg = self.leg(call_id)
                # Whoever was never held is not asked to come back.
                leg.held = leg.holdable and not leg.resumable
                self._post(events.HoldDone(call_id, held=False, ok=not leg.held))
            case actions.SpeakPlainly(call_id=call_id):
                self.leg(call_id).plain = True
            case actions.Connect(call_ids=call_ids, line=line):
                self._join(call_ids, line)
            case (
                actions.Transfer(call_id=call_id, user=target)
                | actions.TransferTo(call_id=call_id, other_call_id=target)
            ):
                self.leg(call_id).transferred = target
            case _:
                raise TypeError(f"the fake gateway can't perform {type(action).__name__}")

    def _join(self, call_ids: tuple[str, ...], line: int | None) -> None:
        """`actions.Connect`: these hear each other and nobody else."""
        named = [self.leg(call_id) for call_id in call_ids]
        parted = frozenset(call_ids)
        for leg in self._process.legs.values():
            if leg.call_id not in parted:
                leg.peers -= parted
                leg.line = None if line is not None and leg.line == line else leg.line
        for leg in named:
            leg.line, leg.peers = line, parted - {leg.call_id}

    def _perform_on_network(
        self, action: actions.ProbeTarget | actions.ProbePath | actions.NewPort | actions.MoveAddress
    ) -> None:
        match action:
            case actions.ProbeTarget(call_id=call_id, account=account, target=target):
                if (account, target) not in self.mute_targets:
                    self._post(events.TargetAnswered(call_id, account, target))
            case actions.ProbePath(account=account):
                self._post(events.PathProbed(account, not self.path_dead, "" if self.path_dead else self.seen_as))
            case actions.NewPort(account=account):
                self.new_ports.append(account)
            case actions.MoveAddress():
                self.moves += 1

    def _register(self, account: str) -> None:
        self.registers.append((self.now, account))
        match RegistrarMood.REFUSES if account in self.refused else self.registrar:
            case RegistrarMood.ACCEPTS:
                self._post(events.Registered(account, 300, self.seen_as))
            case RegistrarMood.REFUSES:
                self._post(events.RegistrationFailed(account, 403, "Forbidden", on_wire=True))
            case RegistrarMood.SILENT:
                self._post(events.RegistrationFailed(account, 408, "Request Timeout", on_wire=False))

    def _leg(self, leg: FakeLeg) -> None:
        self._process.legs[leg.call_id] = leg
        self.legs.append(leg)

    def _over(
        self, call_id: str, code: int, *, remote: bool, on_wire: bool = True, contacts: tuple[Elsewhere, ...] = ()
    ) -> None:
        leg = self.leg(call_id)
        if not leg.over:
            leg.over = True
            stats = self.stats if leg.answered else None
            self._hear(events.CallOver(call_id, code, "", remote, on_wire, stats, contacts))

    def _end_leg(self, call_id: str, code: int, *, remote: bool, on_wire: bool = True) -> None:
        leg = self.leg(call_id)
        if not leg.over:
            leg.over = True
            stats = self.stats if leg.answered else None
            self._post(events.CallOver(call_id, code, "", remote, on_wire, stats))
