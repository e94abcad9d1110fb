"""Whatever happens in whatever order, some things always hold: a machine that plays household, network and agent."""

from __future__ import annotations

import contextlib
import tomllib

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.core.actions import StartUpdate
from agent.core.diversion import DiversionReason, Diverted
from agent.core.events import (
    AnnouncementOver,
    ButtonPressed,
    CallAnswered,
    CallOver,
    CardUp,
    HookFlash,
    LineTested,
    Progress,
    Registered,
    RegistrationFailed,
    Unregistered,
)
from agent.core.line import LinePhase
from agent.core.linetest import Conductors, LineTestEnding, LineTestKind, Measure, MeasureUnit
from agent.core.numbers import EMERGENCY
from agent.core.services import ServiceProfile
from agent.core.terms import CallPhase, Direction, LineService, Tone
from agent.core.update import UpdatePhase
from agent.data import load_services, load_tones
from agent.gateway.fake import FakeGateway, RegistrarMood
from agent.gateway.protocol import (
    MAX_UNRELEASED,
    Account,
    CallState,
    Configure,
    Decide,
    DigitMap,
    End,
    Exercise,
    Line,
    LineState,
    Release,
    Route,
    Unlocked,
    decode_gateway_record,
    encode,
)
from agent.paths import data_dir

LINES = 3
NUMBERS = [f"+472200000{index}" for index in range(LINES)]
MAX_CALLS = 3

_line = st.integers(0, LINES - 1)
_numbers = st.sampled_from(["22334455", "112", "01", "194", "22", "*21#", "0046812345#", "9", "1412", "*31*22334455"])
_codes = st.sampled_from(
    [
        *("*21*22334455#", "#21#", "*61*22334455#", "#61#", "*67*22334455#", "#67#", "*21*112#", "*#21#"),
        *("*43#", "#43#", "*53*22334455#", "#53#", "*53*110#", "*26#", "#26#", "*24*", "#24*", "*99#"),
        "*99*123456",
    ]
)


_pasts = st.lists(
    st.builds(
        Diverted, st.sampled_from(["+4722334455", "+4722000000", "+4722000077", "22000001", ""]),
        reason=st.sampled_from(DiversionReason), count=st.integers(1, 5),
    ),
    max_size=3,
).map(tuple)  # fmt: skip


def _configuration(revision: str, password: str = "p", **services: object) -> Configure:
    numbering = tomllib.loads((data_dir() / "numbering.toml").read_text(encoding="utf-8"))
    targets = ["192.0.2.1:5060;transport=udp", "192.0.2.2:5060;transport=udp"]
    account = Account(id="home", user="u", domain="example.net", auth_user="u", password=password, targets=targets)
    return Configure(
        revision=revision,
        accounts=[account],
        lines=[Line(line=index, account="home", number=NUMBERS[index]) for index in range(LINES)],
        routes=[
            Route(number=NUMBERS[0], account="home", lines=[0]),
            Route(number=NUMBERS[1], account="home", lines=[0, 1, 2]),
            Route(number=NUMBERS[2], account="home", lines=[2]),
        ],
        digit_map=msgspec.convert(numbering["digit_map"], DigitMap),
        tones=load_tones().tones,
        ring_cadence_ms=[1000, 4000],
        services=msgspec.structs.replace(load_services(), **services),
    )


GOOD = _configuration("1")
OTHER = _configuration("2", "another")
BILLED = _configuration("4", platform_bills=True, hotline_s=0)
BARE = msgspec.structs.replace(GOOD, revision="5", services=ServiceProfile())
ONLY_EMERGENCY, DEAD = (
    msgspec.structs.replace(
        GOOD, revision=service, lines=[msgspec.structs.replace(line, service=service) for line in GOOD.lines]
    )
    for service in (LineService.EMERGENCY_ONLY, LineService.DEAD)
)
BAD = msgspec.structs.replace(GOOD, revision="3", digit_map=DigitMap(patterns=["1[", "x"], emergency=["112"]))


class TelephoneMachine(RuleBasedStateMachine):
    """Random life of one adapter with three lines and three call slots."""

    max_calls = MAX_CALLS

    def __init__(self) -> None:
        super().__init__()
        self.gateway = FakeGateway(lines=LINES, max_calls=self.max_calls, recordings=True)
        self.gateway.connect()
        self.gateway.send(GOOD)
        self.seen = 0
        self.ended: dict[str, CallState] = {}

    # --- the household -----------------------------------------------------------------------------------------------

    @rule(line=_line)
    def lift(self, line):
        self.gateway.lift(line)

    @rule(line=_line)
    def hang_up(self, line):
        self.gateway.hang_up(line)
        state = self._line(line)
        assert (state.off_hook, state.call_id, state.tone) == (False, "", None) or state.ringing

    @rule(line=_line, number=_numbers)
    def dial(self, line, number):
        self.gateway.phones[line].off_hook = True
        self.gateway.dial(number, line, gap_ms=50)

    @rule(line=_line, number=st.sampled_from(["110", "112", "113", "1412"]))
    def emergency_is_never_refused(self, line, number):
        self.gateway.hang_up(line)
        if self._line(line).ringing:
            return
        before = len(self.gateway.legs)
        self.gateway.lift(line)
        self.gateway.dial(number, line, gap_ms=50)
        call_id = self._line(line).call_id
        assert call_id
        self.gateway.advance(1_000)
        assert any(leg.emergency and leg.user == number for leg in self.gateway.legs[before:])

    @rule(line=_line, answered=st.booleans(), lease_ms=st.sampled_from([None, 3_000, 100_000]))
    def make_a_call(self, line, answered, lease_ms):
        self.gateway.registrar = RegistrarMood.ACCEPTS
        self.gateway.hang_up(line)
        if self._line(line).ringing:
            return
        self.gateway.lift(line)
        self.gateway.dial("22334455", line, gap_ms=50)
        call_id = self._line(line).call_id
        if not call_id or not self.gateway.connected:
            return
        until = None if lease_ms is None else self.gateway.now + lease_ms
        self.gateway.send(Decide(call_id=call_id, granted=True, until_ms=until))
        assert self.gateway.leg(call_id).user == "+4722334455"
        if answered and not self.gateway.leg(call_id).over:
            self.gateway.peer_answers(call_id)
            assert self.gateway.phones[line].speech

    @precondition(lambda self: any(phone.ringing for phone in self.gateway.phones))
    @rule(data=st.data())
    def lift_a_ringing_handset(self, data):
        ringing = [index for index, phone in enumerate(self.gateway.phones) if phone.ringing]
        line = data.draw(st.sampled_from(ringing))
        call_id = self._line(line).call_id
        self.gateway.lift(line)
        if call_id:
            assert self.gateway.call(call_id).phase is CallPhase.ANSWERED
            refuses = self.gateway.call(call_id).held
            assert self.gateway.phones[line].speech is not refuses
            assert not refuses or self.gateway.phones[line].tone is Tone.SPECIAL

    # --- services ----------------------------------------------------------------------------------------------------

    @rule(line=_line, digits=st.sampled_from(["", "0", "1", "2", "3", "4", "5", "11", "12"]))
    def press_r(self, line, digits):
        self.gateway.flash(line)
        self.gateway.dial(digits, line, gap_ms=50)

    @rule(line=_line)
    def r_at_a_tone_that_says_no_is_a_way_on(self, line):
        before = self._switch._x.lines[line]
        beside = self._second.get(line)
        said_no = before.off_hook and before.phase in (LinePhase.REORDER, LinePhase.HOWLER)
        if not said_no or before.service is LineService.DEAD or (beside is not None and beside.transfer is not None):
            return
        self.gateway.flash(line)
        after = self._switch._x.lines[line]
        fresh = after.awaits_first_digit and (after.tone is after.dial_tone or after.announcement is not None)
        # With a hotline that waits for nothing the fresh dial tone is over at once, in a call or a refusal.
        hot = bool(self._switch._x.settings_of(line).hotline)
        still_held = self._second.get(line)
        refused = still_held is not None and still_held.held and after.tone is Tone.SPECIAL
        assert after.call_id or fresh or hot or refused

    @rule(
        line=_line,
        what=st.sampled_from(["held", "held", "waiting", "conference", "transfer", "ringing", "forwarded"]),
        billed=st.sampled_from([False, False, True]),
    )
    def get_far_into_a_service(self, line, what, billed):
        """What chance alone would seldom bring about, as far as the house allows it now."""
        gateway = self.gateway
        gateway.connect()
        gateway.registrar, gateway.dead_slots = RegistrarMood.ACCEPTS, 0
        gateway.send(BILLED if billed else GOOD)
        gateway.hang_up(line)
        if self._line(line).ringing:
            return
        if what == "forwarded":
            self.dial_a_code(line, "*21*22334455#")
            gateway.hang_up(line)
            gateway.incoming(NUMBERS[line])
            self._grant_and_answer(line)
            return
        gateway.lift(line)
        gateway.dial("22334455", line, gap_ms=50)
        self._grant_and_answer(line)
        if what == "waiting":
            gateway.incoming(NUMBERS[line])
            return
        gateway.flash(line)
        gateway.dial("22334466", line, gap_ms=50)
        if what != "ringing":
            self._grant_and_answer(line)
        if what in ("conference", "transfer", "ringing"):
            gateway.flash(line)
            gateway.dial("3" if what == "conference" else "4", line, gap_ms=50)

    def _grant_and_answer(self, line):
        for call in self.gateway.calls():
            if call.line == line and call.phase is CallPhase.ASKED:
                self.gateway.send(Decide(call_id=call.call_id, granted=True))
                leg = self.gateway._process.legs.get(call.call_id)
                if leg is not None and not leg.over:
                    self.gateway.peer_answers(call.call_id)

    @rule(line=_line, code=_codes)
    def dial_a_code(self, line, code):
        self.gateway.hang_up(line)
        if not self._line(line).ringing:
            self.gateway.lift(line)
            self.gateway.dial(code, line, gap_ms=50)

    @rule(line=_line, answered=st.booleans())
    def call_somebody_else_in_mid_call(self, line, answered):
        """R, and another number."""
        self.gateway.registrar = RegistrarMood.ACCEPTS
        self.gateway.flash(line)
        if not self._line(line).off_hook or self._line(line).call_id:
            return
        self.gateway.dial("22334466", line, gap_ms=50)
        call_id = self._line(line).call_id
        if call_id and self.gateway.connected:
            self.gateway.send(Decide(call_id=call_id, granted=True))
            if answered and not self.gateway.leg(call_id).over:
                self.gateway.peer_answers(call_id)

    @rule(line=_line, number=st.sampled_from(["110", "112", "113", "1412"]))
    def emergency_in_the_middle_of_two_calls(self, line, number):
        beside = self._second.get(line)
        if beside is None or not (beside.held or beside.waiting) or not self._line(line).off_hook:
            return
        if beside.command_ends_ms is not None or self._switch._x.lines[line].machine:
            return
        before = len(self.gateway.legs)
        if self._line(line).call_id:
            self.gateway.flash(line)
        else:
            # Dial tone, or a tone that says no: whoever waits a moment may dial.
            self.gateway.advance(2_000)
            if self._line(line).digits or not self._line(line).off_hook or self._line(line).call_id:
                return
        self.gateway.dial(number, line, gap_ms=50)
        call_id = self._line(line).call_id
        assert call_id
        self.gateway.advance(1_000)
        assert any(leg.emergency and leg.user == number for leg in self.gateway.legs[before:])

    @precondition(lambda self: any(leg.answered and not leg.over for leg in self.gateway._process.legs.values()))
    @rule(
        data=st.data(), holdable=st.booleans(), resumable=st.booleans(), late=st.sampled_from([None, None, "refuses"])
    )
    def a_far_end_that_will_not_be_held_or_come_back(self, data, holdable, resumable, late):
        legs = [leg for leg in self.gateway._process.legs.values() if leg.answered and not leg.over]
        leg = data.draw(st.sampled_from(legs))
        leg.holdable, leg.resumable = holdable, resumable
        if late and not leg.held:
            self.gateway.refuses_to_come_back(leg.call_id)
            call = self._switch._x.calls[leg.call_id]
            assert not call.live or call.held

    @rule(line=_line)
    def a_machine_answers(self, line):
        self.gateway.machine(line)

    @rule(account=st.sampled_from(["home", "nobody"]), new=st.integers(0, 2))
    def messages(self, account, new):
        self.gateway.mailbox(account, new)

    @precondition(lambda self: any(leg.transferred and not leg.over for leg in self.gateway._process.legs.values()))
    @rule(data=st.data(), code=st.sampled_from([0, 100, 180, 200, 403, 603]), final=st.booleans())
    def a_transfer_gets_on(self, data, code, final):
        legs = [leg for leg in self.gateway._process.legs.values() if leg.transferred and not leg.over]
        self.gateway.transfer_goes(data.draw(st.sampled_from(legs)).call_id, code, final=final)

    @rule(line=st.integers(-1, 9), what=st.sampled_from(["flash", "button", "digit"]))
    def nonsense_from_the_card(self, line, what):
        match what:
            case "flash":
                self.gateway._hear(HookFlash(line))
            case "button":
                self.gateway._hear(ButtonPressed(10**9))
            case _ if not 0 <= line < LINES:
                self.gateway.dial("?", line)

    # --- the technician ----------------------------------------------------------------------------------------------

    @rule(line=st.integers(0, 4))
    def order_a_line_test(self, line):
        if self.gateway.connected:
            self.gateway.send(Exercise(line=line, what="test", request="t"))

    @rule(
        line=st.integers(-1, 9),
        test=st.sampled_from(LineTestKind),
        ending=st.sampled_from(LineTestEnding),
        values=st.lists(
            st.builds(Measure, st.sampled_from(Conductors), st.sampled_from(MeasureUnit), st.integers(-(10**9), 10**9)),
            max_size=20,
        ),
    )
    def the_card_measures(self, line, test, ending, values):
        """Of a line under test or not, the test that was asked for or another."""
        if 0 <= line < LINES and self.gateway.phones[line].testing is not None:
            self.gateway.tested(line, ending, *values)
        else:
            self.gateway._hear(LineTested(line, test, ending, tuple(values)))

    @precondition(lambda self: any(phone.announcement for phone in self.gateway.phones))
    @rule(data=st.data())
    def an_announcement_ends(self, data):
        speaking = [line for line, phone in enumerate(self.gateway.phones) if phone.announcement]
        self.gateway.announcement_over(data.draw(st.sampled_from(speaking)))

    @rule(line=st.integers(-1, 9), take=st.integers(0, 3))
    def an_earlier_announcement_ends_late(self, line, take):
        if not (0 <= line < LINES and self.gateway.phones[line].announcement):
            self.gateway._hear(AnnouncementOver(line, take))

    @rule(held_ms=st.integers(-5, 10**7))
    def press_the_button(self, held_ms):
        self.gateway.press_button(held_ms)

    @rule(what=st.sampled_from(["order", "abandon", *UpdatePhase]), sent=st.integers(0, 1000))
    def new_firmware(self, what, sent):
        match what:
            case "order":
                self.gateway.order_update("u")
            case "abandon":
                self.gateway.abandon_update("u")
            case phase if any(isinstance(order, StartUpdate) for order in self.gateway.update_orders):
                self.gateway.update_progressed(phase, sent)

    @invariant()
    def nothing_is_measured_on_a_line_in_use(self):
        for line, phone in enumerate(self.gateway.phones):
            state = self._line(line)
            assert phone.testing is None or not (state.ringing or state.call_id or phone.speech or phone.tone)

    # --- the network -------------------------------------------------------------------------------------------------

    @rule(number=st.sampled_from(["+4722000000", "4722000001", "22000001", "u", "", "+999"]), past=_pasts)
    def incoming(self, number, past):
        self.gateway.incoming(number, diversions=past)

    @invariant()
    def no_call_goes_round_in_a_circle(self):
        for leg in self.gateway.legs[-4:]:
            if leg.diversions:
                *before, _ = [one.user for one in reversed(leg.diversions)]
                assert sum(one.count for one in leg.diversions) <= self._switch._x.profile.max_diversions
                assert (leg.user if leg.outgoing else leg.redirected) not in before
                assert leg.diversions[0].user in NUMBERS
                assert leg.diversions[0].user not in before

    @precondition(lambda self: any(not leg.over for leg in self.gateway._process.legs.values()))
    @rule(data=st.data(), what=st.sampled_from(["ring", "early", "answer", "end", 486, 404, 480, 503, "silent"]))
    def peer(self, data, what):
        legs = [leg for leg in self.gateway._process.legs.values() if not leg.over]
        leg = data.draw(st.sampled_from(legs))
        match what:
            case "ring" | "early":
                if leg.outgoing:
                    self.gateway.peer_rings(leg.call_id, early_media=what == "early")
            case "answer":
                if leg.outgoing and not leg.answered:
                    self.gateway.peer_answers(leg.call_id)
            case "end":
                self.gateway.peer_hangs_up(leg.call_id)
            case "silent":
                if leg.outgoing:
                    self.gateway.peer_is_silent(leg.call_id)
            case code:
                if leg.outgoing and not leg.answered:
                    self.gateway.peer_refuses(leg.call_id, code)

    @rule(slots=st.sampled_from([0, 0, 1, MAX_CALLS]))
    def dead_transactions(self, slots):
        self.gateway.dead_slots = slots

    @rule(mood=st.sampled_from(RegistrarMood))
    def registrar(self, mood):
        self.gateway.registrar = mood

    @rule(call_id=st.sampled_from(["", "nobody"]))
    def news_of_calls_nobody_knows(self, call_id):
        self.gateway._hear(Progress(call_id, 180, early_media=False))
        self.gateway._hear(CallOver(call_id, 200, "", remote=True, on_wire=True))
        self.gateway._hear(Unregistered("nobody"))
        self.gateway._hear(Registered("nobody", 3))
        self.gateway._hear(RegistrationFailed("home", 500, "x" * 5000, on_wire=True))

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def stale_news_of_a_call_that_has_ended(self, data):
        call_id = data.draw(st.sampled_from(sorted(self.ended)))
        self.gateway._hear(Progress(call_id, 183, early_media=True))
        self.gateway._hear(CallOver(call_id, 486, "", remote=True, on_wire=True))
        if call_id in self.gateway._process.legs:
            self.gateway._hear(CallAnswered(call_id, self.gateway.now))

    # --- the agent ---------------------------------------------------------------------------------------------------

    @rule()
    def agent_goes(self):
        self.gateway.disconnect()

    @rule()
    def agent_comes(self):
        self.gateway.connect()

    @precondition(lambda self: self.gateway.connected and self.gateway.calls())
    @rule(data=st.data(), what=st.sampled_from(["grant", "lease", "refuse", "end", "release"]))
    def agent_acts(self, data, what):
        call = data.draw(st.sampled_from(self.gateway.calls()))
        now = self.gateway.now
        record = {
            "grant": Decide(call_id=call.call_id, granted=True),
            "lease": Decide(call_id=call.call_id, granted=True, until_ms=now + 20_000, warn_at_ms=now + 9_000),
            "refuse": Decide(
                call_id=call.call_id, granted=False, refusal="no", tone=Tone.SPECIAL, announcement="limit_month"
            ),
            "end": End(call_id=call.call_id),
            "release": Release(call_id=call.call_id),
        }[what]
        self.gateway.send(record)

    @precondition(lambda self: self.gateway.connected)
    @rule(configuration=st.sampled_from([GOOD, GOOD, OTHER, BAD, BILLED, BARE, ONLY_EMERGENCY, DEAD]))
    def reconfigure(self, configuration):
        speaking = [phone.speech for phone in self.gateway.phones]
        self.gateway.send(configuration)
        assert [phone.speech for phone in self.gateway.phones] == speaking

    @precondition(lambda self: self.gateway.connected)
    @rule(line=st.integers(0, 7), accepted=st.booleans())
    def a_code_is_judged(self, line, accepted):
        self.gateway.send(Unlocked(line=line, accepted=accepted))

    @precondition(lambda self: self.gateway.connected)
    @rule(line=_line, what=st.sampled_from(["ring", "tone"]))
    def exercise(self, line, what):
        self.gateway.send(Exercise(line=line, what=what, tone=Tone.BUSY, duration_ms=5000))

    # --- the world ---------------------------------------------------------------------------------------------------

    @rule(ms=st.sampled_from([1, 50, 200, 1000, 2500, 5000, 15_000, 61_000, 300_000]))
    def time_passes(self, ms):
        self.gateway.advance(ms)

    @rule()
    def the_gateway_dies(self):
        """Its calls are gone, and whoever has called for help may still be called back."""
        callbacks, wait_ms = self._switch._x.callbacks, GOOD.callback_s * 1000
        helped = {
            line for line, ended_ms in callbacks.kept().items()
            if ended_ms is None or callbacks.awaits(line, self.gateway.now, wait_ms)
        }  # fmt: skip
        self.gateway.crash()
        assert {line for line in range(LINES) if self._switch._x.awaits_callback(line)} == helped
        self.gateway.connect()

    @rule()
    def card_goes(self):
        self.gateway.card_down()

    @rule()
    def card_comes(self):
        self.gateway.card_up()

    @rule()
    def card_resets(self):
        self.gateway._silence_phones()
        self.gateway._hear(CardUp(LINES, "fake"))

    # --- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def every_call_ends_once_and_stays_as_it_ended(self):
        for record in self.gateway.records[self.seen :]:
            if not isinstance(record, CallState):
                continue
            if record.phase is CallPhase.ENDED:
                assert record.cause is not None
                assert record.released_by is not None
                assert record.ended_ms >= record.asked_ms
                assert record.answered_ms is None or record.answered_ms <= record.ended_ms
                assert self.ended.setdefault(record.call_id, record) == record
            else:
                assert record.call_id not in self.ended
                assert record.cause is None
        self.seen = len(self.gateway.records)

    @invariant()
    def no_call_without_a_line_or_a_service_that_holds_it_and_no_line_with_three(self):
        lines = [self._line(index) for index in range(LINES)]
        calls = self._switch._x.calls.values()
        for call in calls:
            holding = [line for line in lines if line.call_id == call.call_id]
            if not call.live:
                assert not holding
                assert not self._held(call.call_id)
            elif not self._held(call.call_id):
                assert holding
                if call.answered_ms is not None or call.direction is Direction.OUTGOING:
                    assert len(holding) == 1
                    assert holding[0].off_hook
        live = {call.call_id for call in calls if call.live}
        assert all(not line.call_id or line.call_id in live for line in lines)
        assert self._switch.call_count == len(live)
        for line in lines:
            assert sum(line.line in call.lines for call in calls if call.live) <= 2

    @invariant()
    def a_handset_hears_its_call_and_those_who_take_part_in_it_and_nobody_else(self):
        calls = self._switch._x.calls
        for index in range(LINES):
            state, beside = self._line(index), self._second.get(index)
            call = calls.get(state.call_id)
            speaking = call is not None and call.answered_ms is not None and not state.ringing
            third = {beside.held} if beside is not None and beside.conference else set()
            allowed = ({state.call_id} if call is not None else set()) | third
            assert {one for one in self.gateway.heard(index) if calls[one].live} <= allowed
            if speaking:
                assert state.call_id in self.gateway.heard(index)
                assert not call.held
                assert self.gateway.phones[index].speech

    @invariant()
    def no_service_calls_an_emergency_number(self):
        for settings_ in self._switch._x.settings.values():
            numbers = {settings_.forward_all, settings_.forward_busy, settings_.forward_no_answer, settings_.hotline}
            assert not numbers & EMERGENCY

    @invariant()
    def the_card_does_what_the_records_say(self):
        if not self.gateway._process.switch._x.card.up:
            return
        for index, phone in enumerate(self.gateway.phones):
            state = self._line(index)
            assert phone.ringing == state.ringing
            assert phone.tone == state.tone
            if not state.call_id:
                assert (phone.announcement or "") == state.announcement
                assert phone.announcement is None or (state.off_hook and phone.tone is None)
            assert not (phone.ringing and state.off_hook)
            assert not phone.speech or state.call_id

    @invariant()
    def ordinary_calls_leave_a_slot_and_room(self):
        exchange = self.gateway._process.switch._x
        calls = exchange.calls.values()
        ordinary = sum(call.holds_slot for call in calls if not call.emergency)
        # Who has called for help may be called back in the slot that is kept for emergencies.
        called_back = any(leg.emergency for leg in self.gateway.legs)
        assert ordinary <= self.max_calls - 1 + called_back + sum(call.cause is not None for call in calls)
        assert sum(not call.emergency for call in calls) <= MAX_UNRELEASED

    @invariant()
    def no_deadline_lies_in_the_past_after_it_was_served(self):
        deadline = self.gateway._process.switch.deadline()
        assert deadline is None or deadline > self.gateway.now - 1

    @invariant()
    def every_record_fits_the_socket(self):
        for record in self.gateway.records[-5:]:
            assert decode_gateway_record(encode(record)) == record

    def teardown(self):
        # Twice: an emergency call may put the first off.
        for _ in range(2):
            with contextlib.suppress(ConnectionError):
                self.gateway.stop()
        self.gateway.advance(3_000)
        assert self.gateway.finished
        self.every_call_ends_once_and_stays_as_it_ended()
        for call in self.gateway.calls():
            assert call.phase is CallPhase.ENDED

    @property
    def _switch(self):
        return self.gateway._process.switch

    @property
    def _second(self):
        return self._switch._features._second

    def _held(self, call_id):
        """Whether a call that no handset is in belongs to a service of ours, or waits for the card."""
        expected = self._switch._incoming._for_card if self._switch._x.card_expected else ()
        return self._second.holds(call_id) or self._switch._pairs.holds(call_id) or call_id in expected

    def _line(self, index: int) -> LineState:
        records = self.gateway._process.switch.records()
        return next(record for record in records if isinstance(record, LineState) and record.line == index)


class RoomyTelephoneMachine(TelephoneMachine):
    """The same with room for every call that three lines can have."""

    max_calls = 8


TestTelephone = TelephoneMachine.TestCase
TestTelephone.settings = settings(
    max_examples=min(120, 2 * settings().max_examples),
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRoomyTelephone = RoomyTelephoneMachine.TestCase
TestRoomyTelephone.settings = TestTelephone.settings
