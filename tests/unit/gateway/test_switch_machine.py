"""Whatever happens in whatever order, some things always hold: a machine that plays household, network and agent."""

from __future__ import annotations

import contextlib
import tomllib

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.core.events import (
    ButtonPressed,
    CallAnswered,
    CallOver,
    CallPhase,
    CardUp,
    Direction,
    HookFlash,
    LineTested,
    Progress,
    Registered,
    RegistrationFailed,
    StartUpdate,
    Tone,
    Unregistered,
)
from agent.core.linetest import Conductors, LineTestEnding, LineTestKind, Measure, MeasureUnit
from agent.core.update import UpdatePhase
from agent.data import load_tones
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
    decode_gateway_record,
    encode,
)
from agent.paths import data_dir

LINES = 3
MAX_CALLS = 3

_line = st.integers(0, LINES - 1)
_numbers = st.sampled_from(["22334455", "112", "01", "194", "22", "*21#", "0046812345#", "9", "1412"])


def _configuration(revision: str, password: str = "p") -> Configure:
    numbering = tomllib.loads((data_dir() / "numbering.toml").read_text(encoding="utf-8"))
    targets = ["192.0.2.1:5060;transport=udp", "192.0.2.2:5060;transport=udp"]
    account = Account(id="home", user="u", domain="example.net", auth_user="u", password=password, targets=targets)
    numbers = [f"+472200000{index}" for index in range(LINES)]
    return Configure(
        revision=revision,
        accounts=[account],
        lines=[Line(line=index, account="home", number=numbers[index]) for index in range(LINES)],
        routes=[
            Route(number=numbers[0], account="home", lines=[0]),
            Route(number=numbers[1], account="home", lines=[0, 1, 2]),
        ],
        digit_map=msgspec.convert(numbering["digit_map"], DigitMap),
        tones=load_tones().tones,
        ring_cadence_ms=[1000, 4000],
    )


GOOD = _configuration("1")
OTHER = _configuration("2", "another")
BAD = msgspec.structs.replace(GOOD, revision="3", digit_map=DigitMap(patterns=["1[", "x"], emergency=["112"]))


class TelephoneMachine(RuleBasedStateMachine):
    """Random life of one adapter with three lines and three call slots."""

    def __init__(self) -> None:
        super().__init__()
        self.gateway = FakeGateway(lines=LINES, max_calls=MAX_CALLS)
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
            assert self.gateway.phones[line].speech

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

    @rule(number=st.sampled_from(["+4722000000", "4722000001", "22000001", "u", "", "+999"]))
    def incoming(self, number):
        self.gateway.incoming(number)

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
            "refuse": Decide(call_id=call.call_id, granted=False, refusal="no", tone=Tone.SPECIAL),
            "end": End(call_id=call.call_id),
            "release": Release(call_id=call.call_id),
        }[what]
        self.gateway.send(record)

    @precondition(lambda self: self.gateway.connected)
    @rule(configuration=st.sampled_from([GOOD, OTHER, BAD]))
    def reconfigure(self, configuration):
        speaking = [phone.speech for phone in self.gateway.phones]
        self.gateway.send(configuration)
        assert [phone.speech for phone in self.gateway.phones] == speaking

    @precondition(lambda self: self.gateway.connected)
    @rule(line=_line, what=st.sampled_from(["ring", "tone"]))
    def exercise(self, line, what):
        self.gateway.send(Exercise(line=line, what=what, tone=Tone.BUSY, duration_ms=5000))

    # --- the world ---------------------------------------------------------------------------------------------------

    @rule(ms=st.sampled_from([1, 50, 200, 1000, 2500, 5000, 15_000, 61_000, 300_000]))
    def time_passes(self, ms):
        self.gateway.advance(ms)

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
    def no_call_without_a_line_and_no_line_in_two_calls(self):
        lines = [self._line(index) for index in range(LINES)]
        switch = self.gateway._process.switch
        for call in switch._x.calls.values():
            holding = [line for line in lines if line.call_id == call.call_id]
            if call.live:
                assert holding
                if call.answered_ms is not None or call.direction is Direction.OUTGOING:
                    assert len(holding) == 1
                    assert holding[0].off_hook
            else:
                assert not holding
        live = {call.call_id for call in switch._x.calls.values() if call.live}
        assert all(not line.call_id or line.call_id in live for line in lines)
        assert switch.call_count == len(live)

    @invariant()
    def the_card_does_what_the_records_say(self):
        if not self.gateway._process.switch._x.card.up:
            return
        for index, phone in enumerate(self.gateway.phones):
            state = self._line(index)
            assert phone.ringing == state.ringing
            assert phone.tone == state.tone
            assert not (phone.ringing and state.off_hook)
            assert not phone.speech or state.call_id

    @invariant()
    def ordinary_calls_leave_a_slot_and_room(self):
        calls = self.gateway._process.switch._x.calls.values()
        ordinary = sum(call.holds_slot for call in calls if not call.emergency)
        assert ordinary <= MAX_CALLS - 1 + sum(call.cause is not None for call in calls)
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

    def _line(self, index: int) -> LineState:
        records = self.gateway._process.switch.records()
        return next(record for record in records if isinstance(record, LineState) and record.line == index)


TestTelephone = TelephoneMachine.TestCase
TestTelephone.settings = settings(
    max_examples=120, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
