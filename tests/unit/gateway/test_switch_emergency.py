"""112 goes through whatever is wrong."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.events import CallKind, CallPhase, Cause, Party, Tone
from agent.gateway.daemon.outgoing import MAX_KEPT
from agent.gateway.fake import FakeGateway, RegistrarMood
from agent.gateway.protocol import MAX_UNRELEASED, Configure, Decide, DigitMap, End, Exercise, Log


def _ordinary(gateway: FakeGateway, line: int) -> str:
    call_id = gateway.call_number("22334455", line)
    gateway.send(Decide(call_id=call_id, granted=True))
    return call_id


def healthy(make, configuration):
    return make()


def no_agent(make, configuration):
    return make(agent=False)


def silent_agent(make, configuration):
    gateway = make()
    gateway.call_number("22334455", 1)
    return gateway


def never_registered(make, configuration):
    gateway = FakeGateway()
    gateway.registrar = RegistrarMood.SILENT
    gateway.connect()
    gateway.send(configuration)
    return gateway


def credentials_refused(make, configuration):
    gateway = FakeGateway()
    gateway.registrar = RegistrarMood.REFUSES
    gateway.connect()
    gateway.send(configuration)
    return gateway


def all_slots_taken(make, configuration):
    gateway = make(max_calls=1)
    gateway.incoming("+4722000002")
    return gateway


def slots_taken_by_calls(make, configuration):
    gateway = make(max_calls=2, lines=3)
    _ordinary(gateway, 1)
    gateway.incoming("+4722000001")
    return gateway


def sixty_four_unreleased(make, configuration):
    gateway = make()
    for _ in range(MAX_UNRELEASED):
        call_id = _ordinary(gateway, 1)
        gateway.peer_refuses(call_id, 486)
        gateway.hang_up(1)
    assert len(gateway.calls()) == MAX_UNRELEASED
    return gateway


def refused_configuration(make, configuration):
    gateway = make()
    bad = DigitMap(patterns=["11x", "112x", "1["], emergency=["112"])
    gateway.send(msgspec.structs.replace(configuration, revision="2", digit_map=bad))
    return gateway


def refused_first_configuration(make, configuration):
    gateway = FakeGateway()
    gateway.connect()
    gateway.send(msgspec.structs.replace(configuration, digit_map=DigitMap(patterns=["1["], emergency=["1"])))
    return gateway


def numbers_removed_from_the_map(make, configuration):
    gateway = make()
    gateway.send(
        msgspec.structs.replace(configuration, revision="2", digit_map=DigitMap(patterns=["2x"], emergency=["999"]))
    )
    return gateway


def line_without_account(make, configuration):
    gateway = make()
    gateway.send(msgspec.structs.replace(configuration, revision="2", lines=[], routes=[]))
    return gateway


def other_line_in_a_call(make, configuration):
    gateway = make()
    gateway.peer_answers(_ordinary(gateway, 1))
    return gateway


def other_line_off_the_hook(make, configuration):
    gateway = make()
    gateway.lift(1)
    gateway.advance(200_000)
    return gateway


def other_line_in_an_emergency_call(make, configuration):
    gateway = make(max_calls=2)
    gateway.call_number("113", 1)
    return gateway


def refused_calls_before(make, configuration):
    gateway = make()
    for _ in range(3):
        call_id = gateway.call_number("22334455", 0)
        gateway.send(Decide(call_id=call_id, granted=False, refusal="cap_reached"))
        gateway.hang_up(0)
    return gateway


def card_said_to_be_gone(make, configuration):
    gateway = make()
    gateway.card_down()
    return gateway


def just_crashed(make, configuration):
    gateway = make()
    _ordinary(gateway, 0)
    gateway.phones[0].off_hook = False
    gateway.crash()
    return gateway


def technician_at_work(make, configuration):
    gateway = make()
    gateway.send(Exercise(line=0, what="tone", tone=Tone.BUSY, duration_ms=60_000))
    return gateway


@pytest.mark.parametrize(
    "trouble",
    [
        healthy, no_agent, silent_agent, never_registered, credentials_refused, all_slots_taken, slots_taken_by_calls,
        sixty_four_unreleased, refused_configuration, refused_first_configuration, numbers_removed_from_the_map,
        line_without_account, other_line_in_a_call, other_line_off_the_hook, other_line_in_an_emergency_call,
        refused_calls_before, card_said_to_be_gone, just_crashed, technician_at_work,
    ],
)  # fmt: skip
@pytest.mark.parametrize("number", ["112", "1412"])
def test_emergency_goes_through_whatever_is_wrong(trouble, number, make_gateway, configuration):
    gateway = trouble(make_gateway, configuration)

    call_id = gateway.call_number(number, 0)

    assert gateway.leg(call_id).user == number
    assert gateway.leg(call_id).emergency
    gateway.peer_rings(call_id)
    gateway.peer_answers(call_id)
    gateway.advance(3_600_000)
    assert gateway.phones[0].speech
    call = gateway.call(call_id)
    assert (call.kind, call.phase, call.until_ms) == (CallKind.EMERGENCY, CallPhase.ANSWERED, None)
    gateway.hang_up(0)
    assert gateway.call(call_id).cause is Cause.NORMAL


def test_the_invite_is_decided_on_the_very_digit_that_completes_the_number(make_gateway):
    gateway = make_gateway()
    gateway.lift(0)
    gateway.dial("11", gap_ms=1000)

    gateway.dial("2", gap_ms=0)

    assert gateway.legs[-1].user == "112"


def test_digits_from_a_handset_whose_lifting_was_never_reported_still_call(gateway):
    gateway.dial("112", 0)

    assert gateway.legs[-1].emergency


def test_112_behind_a_tone_that_says_no_needs_no_hanging_up(gateway):
    gateway.lift(0)
    gateway.dial("01")
    assert gateway.phones[0].tone is Tone.SPECIAL
    gateway.advance(5_000)

    gateway.dial("112")

    assert gateway.legs[-1].emergency
    assert gateway.phones[0].tone is None


def test_the_rest_of_a_number_that_was_refused_on_its_way_is_not_taken_for_112(gateway):
    gateway.lift(0)
    gateway.dial("011234567112")

    assert not gateway.legs


def test_every_target_of_every_account_is_tried_in_turn(gateway):
    call_id = gateway.call_number("112", 0)
    tried = [(gateway.leg(call_id).account, gateway.leg(call_id).target)]
    for code in (503, 404):
        gateway.peer_refuses(call_id, code)
        tried.append((gateway.leg(call_id).account, gateway.leg(call_id).target))

    assert tried == [("home", 0), ("home", 1), ("other", 0)]
    gateway.peer_refuses(call_id, 500)
    call = gateway.call(call_id)
    assert (call.phase, call.cause, call.sip_code) == (CallPhase.ENDED, Cause.NETWORK_FAILURE, 500)
    assert gateway.phones[0].tone is Tone.CONGESTION


@pytest.mark.parametrize("code", [486, 600, 603])
def test_a_far_end_that_declines_is_not_called_again(gateway, code):
    call_id = gateway.call_number("112", 0)
    gateway.peer_refuses(call_id, code)

    assert gateway.call(call_id).phase is CallPhase.ENDED
    assert len(gateway.legs) == 1


def test_a_silent_target_is_left_for_the_next_but_a_ringing_one_is_not(gateway):
    call_id = gateway.call_number("112", 0)
    gateway.advance(10_000)
    assert [leg.target for leg in gateway.legs] == [0, 1]

    gateway.peer_rings(call_id)
    gateway.advance(60_000)

    assert len(gateway.legs) == 2
    assert gateway.phones[0].tone is Tone.RINGBACK


def test_the_last_way_is_never_given_up_for_silence(gateway):
    gateway.call_number("112", 0)
    gateway.advance(30_000)

    assert [(leg.account, leg.over) for leg in gateway.legs] == [("home", True), ("home", True), ("other", False)]


def test_the_agent_cannot_end_limit_or_refuse_an_emergency_call(gateway):
    call_id = gateway.call_number("112", 0)
    gateway.send(Decide(call_id=call_id, granted=False, refusal="cap_reached"))
    gateway.send(Decide(call_id=call_id, granted=True, until_ms=gateway.now))
    gateway.send(End(call_id=call_id, reason="because"))
    gateway.advance(1000)

    assert not gateway.leg(call_id).over


def test_the_last_slot_is_kept_for_an_emergency_call(make_gateway):
    gateway = make_gateway(max_calls=2)
    ordinary = _ordinary(gateway, 1)
    gateway.peer_answers(ordinary)
    refused = gateway.incoming("+4722000001")

    emergency = gateway.call_number("112", 0)

    assert (gateway.call(refused).cause, gateway.call(refused).sip_code) == (Cause.NO_CALL_SLOT, 486)
    assert not gateway.leg(emergency).over
    assert gateway.call(ordinary).phase is CallPhase.ANSWERED


def test_with_every_slot_taken_the_ordinary_calls_are_ended(make_gateway):
    gateway = make_gateway(max_calls=3, lines=4)
    calls = [gateway.call_number("22334455", 0), gateway.incoming("+4722000002")]
    gateway.send(Decide(call_id=calls[0], granted=True))
    gateway.lift(2)
    first = gateway.call_number("113", 3)
    assert not gateway.leg(first).over

    gateway.dial("112", 2)
    second = gateway.legs[-1].call_id

    assert gateway.leg(second).user == "112"
    assert not gateway.leg(first).over
    for call_id in calls:
        call = gateway.call(call_id)
        assert (call.phase, call.cause, call.released_by) == (CallPhase.ENDED, Cause.PREEMPTED, Party.SYSTEM)
    assert gateway.phones[0].tone is Tone.CONGESTION
    assert not gateway.phones[1].ringing


def test_slots_held_by_dead_transactions_are_waited_for_and_everything_else_is_ended(make_gateway):
    gateway = make_gateway()
    ordinary = _ordinary(gateway, 1)
    gateway.peer_answers(ordinary)
    gateway.dead_slots = 3
    call_id = gateway.call_number("112", 0)
    assert gateway.call(ordinary).cause is Cause.PREEMPTED
    assert gateway.phones[0].tone is Tone.CONGESTION
    assert gateway.call(call_id).phase is CallPhase.GRANTED

    gateway.dead_slots = 0
    gateway.advance(1_000)

    assert not gateway.leg(call_id).over
    gateway.peer_answers(call_id)
    assert (gateway.phones[0].tone, gateway.phones[0].speech) == (None, True)


def test_without_any_slot_for_long_the_attempt_ends_with_its_reason(make_gateway):
    gateway = make_gateway()
    gateway.dead_slots = 4
    call_id = gateway.call_number("112", 0)
    gateway.advance(60_000)

    assert gateway.call(call_id).cause is Cause.NO_CALL_SLOT
    assert gateway.phones[0].tone is Tone.CONGESTION


def test_nothing_is_configured_the_attempt_is_recorded_and_heard(make_gateway):
    gateway = FakeGateway()
    gateway.connect()

    call_id = gateway.call_number("112", 0)

    assert gateway.call(call_id).cause is Cause.NETWORK_FAILURE
    assert gateway.phones[0].tone is Tone.CONGESTION


def test_ordinary_numbers_are_refused_where_only_emergency_is_known(configuration: Configure):
    gateway = FakeGateway()
    gateway.connect()
    gateway.send(msgspec.structs.replace(configuration, digit_map=DigitMap(patterns=["1["], emergency=["112"])))
    gateway.lift(0)
    gateway.dial("22334455")

    assert not gateway.legs
    assert gateway.phones[0].tone is Tone.SPECIAL


def test_emergency_calls_whose_records_nobody_fetches_are_bounded(make_gateway) -> None:
    gateway = make_gateway(agent=False)
    made = []
    for _ in range(MAX_KEPT + 10):
        made.append(gateway.call_number("112"))
        gateway.peer_answers(made[-1])
        gateway.hang_up()
        gateway.advance(3000)
    assert [call.call_id for call in gateway.calls()] == made[-MAX_KEPT:]
    dropped = [record for record in gateway.records if isinstance(record, Log) and record.event == "record_dropped"]
    assert [record.call_id for record in dropped] == made[:10]
