"""What a technician does with lines that nobody uses: the line test, the button, new firmware, and what lamps show."""

from __future__ import annotations

import pytest

from agent.core.actions import AbortUpdate, StartUpdate
from agent.core.line import HOWLER_AFTER_MS
from agent.core.linetest import Conductors, LineTestEnding, LineTestKind, Measure, MeasureUnit
from agent.core.linetest_run import TEST_PATIENCE_MS, RunPhase
from agent.core.terms import Lamp, Tone
from agent.core.update import UpdatePhase
from agent.gateway.card_records import LineTestState, UpdateState
from agent.gateway.fake import RegistrarMood
from agent.gateway.protocol import CardState, Exercise, Log
from agent.texts import Texts

GOOD = {
    LineTestKind.RECEIVER_OFF_HOOK: Measure(Conductors.TIP_RING, MeasureUnit.PERMILLE, 20),
    LineTestKind.HAZARDOUS_VOLTAGE: Measure(Conductors.TIP_GROUND, MeasureUnit.MILLIVOLT_RMS, 300),
    LineTestKind.FOREIGN_VOLTAGE: Measure(Conductors.TIP_GROUND, MeasureUnit.MILLIVOLT_DC, 900),
    LineTestKind.RESISTIVE_FAULT: Measure(Conductors.TIP_RING, MeasureUnit.OHM, 2_000_000),
    LineTestKind.RINGERS: Measure(Conductors.TIP_RING, MeasureUnit.MILLI_REN, 1000),
}
TEXTS = Texts.load()


def begin(gateway, line=0, request="t"):
    gateway.send(Exercise(line=line, what="test", request=request))


def latest(gateway, kind=LineTestState):
    return next(record for record in reversed(gateway.records) if isinstance(record, kind))


def play(gateway, line=0):
    while (test := gateway.phones[line].testing) is not None:
        gateway.tested(line, LineTestEnding.DONE, GOOD[test])


def test_a_good_line_is_tested_and_the_result_stays_for_the_next_agent(gateway):
    begin(gateway)
    assert latest(gateway).phase is RunPhase.RUNNING
    assert gateway.phones[0].lamp is Lamp.IN_USE
    play(gateway)
    told = latest(gateway)
    assert (told.phase, told.passed, told.request) == (RunPhase.DONE, True, "t")
    assert [step.test for step in told.steps] == list(LineTestKind)
    assert gateway.phones[0].lamp is Lamp.ON
    assert told in gateway.connect()


def test_a_line_in_use_is_not_tested(gateway):
    gateway.lift()
    begin(gateway)
    assert (latest(gateway).phase, latest(gateway).reason) == (RunPhase.REFUSED, "refused_in_use")
    assert gateway.phones[0].testing is None
    assert gateway.phones[0].tone is Tone.DIAL


@pytest.mark.parametrize(
    ("line", "prepare", "reason"),
    [
        (5, lambda gateway: None, "refused_no_line"),
        (0, lambda gateway: gateway.card_down(), "refused_no_card"),
        (0, lambda gateway: (setattr(gateway, "can_test", False), gateway.card_up()), "refused_unable"),
        (0, lambda gateway: gateway.order_update("u"), "refused_updating"),
        (0, begin, "refused_in_use"),
    ],
)
def test_a_refused_test_says_why(gateway, line, prepare, reason):
    prepare(gateway)
    begin(gateway, line, "mine")
    told = latest(gateway)
    assert (told.phase, told.reason, told.request) == (RunPhase.REFUSED, reason, "mine")
    assert f"linetest.{reason}" in TEXTS
    assert told not in gateway.connect(), "a refusal is no result"


def test_lifting_the_handset_ends_the_test_and_brings_dial_tone(gateway):
    begin(gateway)
    gateway.tested(0, LineTestEnding.DONE, GOOD[LineTestKind.RECEIVER_OFF_HOOK])
    gateway.lift()
    assert gateway.phones[0].testing is None
    assert gateway.phones[0].tone is Tone.DIAL
    told = latest(gateway)
    assert (told.phase, told.reason, len(told.steps)) == (RunPhase.ABORTED, "aborted_line_needed", 1)


def test_112_goes_through_on_a_line_under_test(gateway):
    begin(gateway)
    gateway.call_number("112")
    assert [leg.user for leg in gateway.legs] == ["112"]


def test_an_incoming_call_ends_the_test_and_rings(gateway):
    begin(gateway)
    gateway.incoming("+4722000001")
    assert gateway.phones[0].ringing
    assert gateway.phones[0].testing is None
    assert latest(gateway).reason == "aborted_line_needed"


def test_a_test_on_one_line_leaves_the_other_alone(gateway):
    begin(gateway, 1)
    gateway.call_number("112", 0)
    assert gateway.phones[1].testing is LineTestKind.RECEIVER_OFF_HOOK
    play(gateway, 1)
    assert latest(gateway).passed


def test_a_lost_card_ends_the_test(gateway):
    begin(gateway)
    gateway.card_down()
    assert (latest(gateway).phase, latest(gateway).reason) == (RunPhase.ABORTED, "aborted_card_gone")


def test_a_card_that_never_answers_does_not_hold_the_line(gateway):
    begin(gateway)
    gateway.advance(len(LineTestKind) * TEST_PATIENCE_MS)
    assert latest(gateway).phase is RunPhase.DONE
    assert not latest(gateway).passed
    assert gateway.phones[0].testing is None, "the card was told to stop"
    gateway.incoming("+4722000001")
    assert gateway.phones[0].ringing


def _howling(gateway):
    gateway.lift()
    gateway.advance(200_000)
    assert gateway.phones[0].tone is Tone.HOWLER


def test_a_loop_that_has_howled_is_tested_and_howls_again(gateway):
    _howling(gateway)
    begin(gateway)
    assert gateway.phones[0].testing is LineTestKind.RECEIVER_OFF_HOOK
    assert gateway.phones[0].tone is None
    gateway.tested(0, LineTestEnding.DONE, Measure(Conductors.TIP_RING, MeasureUnit.PERMILLE, 900))
    play(gateway)
    assert latest(gateway).steps[0].meaning == "receiver_off_hook_fail"
    assert gateway.phones[0].tone is Tone.HOWLER


def test_whoever_dials_112_behind_the_howler_during_a_test_gets_through(gateway):
    _howling(gateway)
    gateway.advance(HOWLER_AFTER_MS)
    begin(gateway)
    gateway.dial("112")
    assert [leg.user for leg in gateway.legs] == ["112"]
    assert gateway.phones[0].testing is None


def test_a_press_of_the_button_is_told_to_the_agent_and_logged_once(gateway):
    since = len(gateway.records)
    gateway.press_button(700)
    card = latest(gateway, CardState)
    assert (card.up, card.button_ms, card.button_held_ms) == (True, gateway.now, 700)
    assert [one.event for one in gateway.records[since:] if isinstance(one, Log)] == ["button_pressed"]


def test_holding_the_button_rings_the_idle_telephones_for_a_while(gateway):
    gateway.lift(1)
    gateway.press_button(4_000)
    assert gateway.phones[0].ringing
    assert not gateway.phones[1].ringing
    gateway.advance(6_000)
    assert not gateway.phones[0].ringing


@pytest.mark.parametrize("held_ms", [100, 2_900, 30_000])
def test_other_presses_of_the_button_are_only_noted(gateway, held_ms):
    gateway.press_button(held_ms)
    assert not any(phone.ringing for phone in gateway.phones)


# --- firmware --------------------------------------------------------------------------------------------------------


def updates(gateway):
    return [type(order) for order in gateway.update_orders]


def test_new_firmware_is_allowed_while_nobody_telephones(gateway):
    gateway.order_update("u")
    assert gateway.update_orders == [StartUpdate("u")]
    assert gateway.lamp is Lamp.UPDATING
    gateway.update_progressed(UpdatePhase.SENDING, 500)
    assert latest(gateway, UpdateState).sent == 500
    gateway.update_progressed(UpdatePhase.DONE, 1000)
    assert gateway.lamp is Lamp.ON
    assert latest(gateway, UpdateState) in gateway.connect()


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda gateway: gateway.lift(1), "refused_in_use"),
        (lambda gateway: gateway.incoming("+4722000001"), "refused_in_use"),
        (begin, "refused_in_use"),
        (lambda gateway: gateway.card_down(), "refused_no_card"),
        (lambda gateway: (setattr(gateway, "can_update", False), gateway.card_up()), "refused_unable"),
        (lambda gateway: gateway.order_update("earlier"), "refused_updating"),
    ],
)
def test_a_refused_update_says_why(gateway, prepare, reason):
    prepare(gateway)
    gateway.order_update("mine")
    told = latest(gateway, UpdateState)
    assert (told.phase, told.reason, told.request) == (UpdatePhase.REFUSED, reason, "mine")
    assert f"update.{reason}" in TEXTS


@pytest.mark.parametrize(
    "use",
    [
        lambda gateway: gateway.lift(1),
        lambda gateway: gateway.incoming("+4722000001"),
        lambda gateway: gateway.call_number("112"),
    ],
)
@pytest.mark.parametrize("phase", [UpdatePhase.PREPARING, UpdatePhase.SENDING, UpdatePhase.VERIFYING])
def test_a_hand_or_a_call_ends_the_update(gateway, phase, use):
    gateway.order_update("u")
    gateway.update_progressed(phase)
    use(gateway)
    assert updates(gateway) == [StartUpdate, AbortUpdate]
    assert gateway.update_orders[-1].reason == "aborted_line_needed"


def test_112_dialled_during_an_update_goes_out(gateway):
    gateway.order_update("u")
    gateway.call_number("112")
    assert [leg.user for leg in gateway.legs] == ["112"]


def test_a_card_that_restarts_into_its_new_firmware_is_left_alone(gateway):
    gateway.order_update("u")
    gateway.update_progressed(UpdatePhase.RESTARTING)
    gateway.card_down()
    gateway.card_up()
    gateway.update_progressed(UpdatePhase.CONFIRMING)
    gateway.lift()
    assert updates(gateway) == [StartUpdate]
    assert gateway.phones[0].tone is Tone.DIAL


def test_a_technician_who_leaves_ends_his_update_only(gateway):
    gateway.order_update("u")
    gateway.abandon_update("other")
    assert updates(gateway) == [StartUpdate]
    gateway.abandon_update("u")
    assert gateway.update_orders[-1] == AbortUpdate("aborted_by_hand")


# --- lamps -----------------------------------------------------------------------------------------------------------


def test_the_lamps_of_a_good_adapter(gateway):
    assert gateway.lamp is Lamp.ON
    assert [phone.lamp for phone in gateway.phones] == [Lamp.ON, Lamp.ON]
    gateway.lift()
    assert gateway.phones[0].lamp is Lamp.IN_USE
    gateway.hang_up()
    gateway.disconnect()
    assert gateway.lamp is Lamp.ATTENTION


def test_a_line_whose_registration_fails_is_red(make_gateway, configuration):
    gateway = make_gateway()
    gateway.registrar = RegistrarMood.REFUSES
    gateway.advance(400_000)
    assert gateway.phones[0].lamp is Lamp.FAULT
    assert gateway.lamp is Lamp.FAULT
