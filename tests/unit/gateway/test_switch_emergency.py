"""112 goes through whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from agent.core.announcement import Announcement
from agent.core.services import LineServices
from agent.core.terms import CallKind, CallPhase, Cause, Direction, LineProfile, LineService, NetworkChange, Party, Tone
from agent.gateway.daemon.outgoing import MAX_KEPT
from agent.gateway.fake import FakeGateway, RegistrarMood
from agent.gateway.protocol import MAX_UNRELEASED, Configure, Decide, DigitMap, End, Exercise, Log, NetworkNews


def _ordinary(gateway: FakeGateway, line: int) -> str:
    call_id = gateway.call_number("22334455", line)
    gateway.send(Decide(call_id=call_id, granted=True))
    return call_id


Trouble = Callable[[Callable[..., FakeGateway], Configure], FakeGateway]

TROUBLES: list[Trouble] = []
"""Everything that may be wrong while line 0 lies on the hook, each made by a function that returns the gateway. Whoever
thinks of one more adds it here, and has shown that 112 goes through."""


def trouble(make: Trouble) -> Trouble:
    TROUBLES.append(make)
    return make


@trouble
def healthy(make, configuration):
    return make()


@trouble
def no_agent(make, configuration):
    return make(agent=False)


@trouble
def silent_agent(make, configuration):
    gateway = make()
    gateway.call_number("22334455", 1)
    return gateway


@trouble
def never_registered(make, configuration):
    gateway = FakeGateway()
    gateway.registrar = RegistrarMood.SILENT
    gateway.connect()
    gateway.send(configuration)
    return gateway


@trouble
def credentials_refused(make, configuration):
    gateway = FakeGateway()
    gateway.registrar = RegistrarMood.REFUSES
    gateway.connect()
    gateway.send(configuration)
    return gateway


@trouble
def all_slots_taken(make, configuration):
    gateway = make(max_calls=1)
    gateway.incoming("+4722000002")
    return gateway


@trouble
def slots_taken_by_calls(make, configuration):
    gateway = make(max_calls=2, lines=3)
    _ordinary(gateway, 1)
    gateway.incoming("+4722000001")
    return gateway


@trouble
def sixty_four_unreleased(make, configuration):
    gateway = make()
    for _ in range(MAX_UNRELEASED):
        call_id = _ordinary(gateway, 1)
        gateway.peer_refuses(call_id, 486)
        gateway.hang_up(1)
    assert len(gateway.calls()) == MAX_UNRELEASED
    return gateway


@trouble
def refused_configuration(make, configuration):
    gateway = make()
    bad = DigitMap(patterns=["11x", "112x", "1["], emergency=["112"])
    gateway.send(msgspec.structs.replace(configuration, revision="2", digit_map=bad))
    return gateway


@trouble
def refused_first_configuration(make, configuration):
    gateway = FakeGateway()
    gateway.connect()
    gateway.send(msgspec.structs.replace(configuration, digit_map=DigitMap(patterns=["1["], emergency=["1"])))
    return gateway


@trouble
def numbers_removed_from_the_map(make, configuration):
    gateway = make()
    gateway.send(
        msgspec.structs.replace(configuration, revision="2", digit_map=DigitMap(patterns=["2x"], emergency=["999"]))
    )
    return gateway


@trouble
def line_without_account(make, configuration):
    gateway = make()
    gateway.send(msgspec.structs.replace(configuration, revision="2", lines=[], routes=[]))
    return gateway


@trouble
def other_line_in_a_call(make, configuration):
    gateway = make()
    gateway.peer_answers(_ordinary(gateway, 1))
    return gateway


@trouble
def other_line_off_the_hook(make, configuration):
    gateway = make()
    gateway.lift(1)
    gateway.advance(200_000)
    return gateway


@trouble
def other_line_in_an_emergency_call(make, configuration):
    gateway = make(max_calls=2)
    gateway.call_number("113", 1)
    return gateway


@trouble
def refused_calls_before(make, configuration):
    gateway = make()
    for _ in range(3):
        call_id = gateway.call_number("22334455", 0)
        gateway.send(Decide(call_id=call_id, granted=False, refusal="cap_reached"))
        gateway.hang_up(0)
    return gateway


@trouble
def card_said_to_be_gone(make, configuration):
    gateway = make()
    gateway.card_down()
    return gateway


@trouble
def just_crashed(make, configuration):
    gateway = make()
    _ordinary(gateway, 0)
    gateway.phones[0].off_hook = False
    gateway.crash()
    return gateway


@trouble
def technician_at_work(make, configuration):
    gateway = make()
    gateway.send(Exercise(line=0, what="tone", tone=Tone.BUSY, duration_ms=60_000))
    return gateway


def _set(make, **services):
    """What a user has set, as a gateway that has just been started finds it."""
    gateway = make()
    gateway.kept_services = {0: LineServices(**services)}
    gateway.crash()
    gateway.connect()
    return gateway


@trouble
def agent_refuses_everything(make, configuration):
    """Caps reached, no price list, no subscription, a full disk: for the telephone they are the agent's no."""
    gateway = make()
    for refusal in ("limit_month", "no_price_list", "no_subscription", "store_unavailable", "subscription_ended"):
        call_id = gateway.call_number("22334455", 0)
        gateway.send(Decide(call_id=call_id, granted=False, refusal=refusal, announcement=refusal))
        gateway.hang_up(0)
    return gateway


@trouble
def do_not_disturb(make, configuration):
    return _set(make, do_not_disturb=True)


@trouble
def everything_forwarded(make, configuration):
    return _set(make, forward_all="+4799000001", forward_busy="+4799000001", forward_no_answer="+4799000001")


@trouble
def hotline(make, configuration):
    return _set(make, hotline="+4799000001")


@trouble
def number_withheld(make, configuration):
    gateway = _set(make, withhold=True)
    lines = [msgspec.structs.replace(entry, clir=True) for entry in configuration.lines]
    gateway.send(msgspec.structs.replace(configuration, revision="2", lines=lines))
    return gateway


def _with_service(make, configuration, service):
    gateway = make()
    accounts = [msgspec.structs.replace(account, register=False) for account in configuration.accounts]
    lines = [msgspec.structs.replace(entry, service=service) for entry in configuration.lines]
    gateway.send(msgspec.structs.replace(configuration, revision="2", accounts=accounts, lines=lines))
    return gateway


@trouble
def subscription_ended(make, configuration):
    return _with_service(make, configuration, LineService.EMERGENCY_ONLY)


@trouble
def subscription_ended_and_the_line_dead(make, configuration):
    return _with_service(make, configuration, LineService.DEAD)


@trouble
def card_just_restarted(make, configuration):
    gateway = make()
    _ordinary(gateway, 0)
    gateway.phones[0].off_hook = False
    gateway.card_up()
    return gateway


@trouble
def technician_rings_the_bell(make, configuration):
    gateway = make()
    gateway.send(Exercise(line=0, what="ring", duration_ms=60_000))
    return gateway


@trouble
def technician_measures_the_wires(make, configuration):
    gateway = make()
    gateway.send(Exercise(line=0, what="test", request="t"))
    assert gateway.phones[0].testing is not None
    return gateway


@trouble
def card_gets_new_firmware(make, configuration):
    gateway = make()
    gateway.order_update("u")
    return gateway


@trouble
def somebody_has_just_been_told_no(make, configuration):
    gateway = make(recordings=True)
    gateway.lift(0)
    gateway.dial("01", 0)
    assert gateway.phones[0].announcement is not None
    gateway.hang_up(0)
    return gateway


@trouble
def somebody_was_on_hold(make, configuration):
    gateway = make()
    gateway.peer_answers(_ordinary(gateway, 0))
    gateway.flash(0)
    gateway.hang_up(0)
    gateway.peer_hangs_up(gateway.legs[0].call_id)
    return gateway


@trouble
def a_machine_is_on_the_line(make, configuration):
    gateway = make()
    lines = [msgspec.structs.replace(entry, profile=LineProfile.ALARM) for entry in configuration.lines]
    gateway.send(msgspec.structs.replace(configuration, revision="2", lines=lines))
    return gateway


@trouble
def no_target_shows_that_it_lives(make, configuration):
    gateway = make()
    gateway.path_dead = True
    gateway.mute_targets = {("home", 0), ("home", 1), ("other", 0)}
    return gateway


@trouble
def the_address_has_just_changed(make, configuration):
    gateway = make()
    gateway.registrar = RegistrarMood.SILENT
    gateway.send(NetworkNews(change=NetworkChange.ADDRESS))
    return gateway


@trouble
def a_new_configuration_waits_for_a_call_to_end(make, configuration):
    gateway = make()
    _ordinary(gateway, 1)
    accounts = [msgspec.structs.replace(account, password="new") for account in configuration.accounts]
    gateway.send(msgspec.structs.replace(configuration, revision="2", accounts=accounts))
    assert gateway.kept.revision == "1"
    return gateway


@trouble
def an_emergency_call_has_just_failed(make, configuration):
    gateway = make()
    call_id = gateway.call_number("112", 0)
    for _ in range(3):
        gateway.peer_refuses(call_id, 503)
    gateway.hang_up(0)
    return gateway


@trouble
def the_process_is_told_to_stop_and_waits_for_another_emergency_call(make, configuration):
    gateway = make()
    gateway.call_number("113", 1)
    gateway.stop()
    return gateway


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("number", ["112", "1412"])
def test_emergency_goes_through_whatever_is_wrong(trouble, number, make_gateway, configuration):
    gateway = trouble(make_gateway, configuration)
    before = len(gateway.legs)

    call_id = gateway.call_number(number, 0)
    gateway.advance(1_000)

    leg = gateway.leg(call_id)
    assert leg in gateway.legs[before:]
    assert (leg.user, leg.emergency, leg.withheld) == (number, True, False)
    gateway.peer_rings(call_id)
    gateway.peer_answers(call_id)
    gateway.advance(900_000)
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


@pytest.mark.thorough
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


# --- the service may call back ---------------------------------------------------------------------------------------


def _after_help(make_gateway, **services):
    gateway = _set(make_gateway, **services)
    call_id = gateway.call_number("112", 0)
    gateway.peer_answers(call_id)
    gateway.hang_up(0)
    return gateway


@pytest.mark.parametrize(
    "services",
    [
        {"do_not_disturb": True},
        {"forward_all": "+4799000001"},
        {"do_not_disturb": True, "forward_busy": "+4799000001", "call_waiting": False},
    ],
)
def test_after_an_emergency_call_the_line_takes_every_call_for_five_minutes(make_gateway, services):
    gateway = _after_help(make_gateway, **services)
    gateway.advance(290_000)
    call_id = gateway.incoming("+4722000001")
    assert gateway.phones[0].ringing
    gateway.peer_hangs_up(call_id)

    gateway.advance(11_000)
    gateway.incoming("+4722000001")
    assert not gateway.phones[0].ringing


def test_a_callback_is_not_sent_on_when_nobody_lifts_at_once(make_gateway):
    gateway = _after_help(make_gateway, forward_no_answer="+4799000001")
    gateway.incoming("+4722000001")
    gateway.advance(60_000)
    assert gateway.phones[0].ringing
    assert [leg.user for leg in gateway.legs if leg.outgoing] == ["112"]


def test_a_callback_waits_for_a_card_that_starts_where_any_other_call_is_sent_on(make_gateway):
    gateway = _after_help(make_gateway, forward_all="+4799000001")
    gateway.card_down()
    gateway.incoming("+4722000001")
    gateway.card_up()
    assert gateway.phones[0].ringing
    assert [leg.user for leg in gateway.legs if leg.outgoing] == ["112"]


def test_a_forwarded_call_needs_no_card(make_gateway):
    gateway = _set(make_gateway, forward_all="+4799000001")
    gateway.card_down()
    gateway.advance(60_000)
    gateway.incoming("+4722000001")
    (onward,) = [call for call in gateway.calls() if call.direction is Direction.OUTGOING]
    assert onward.number == "+4799000001"


def test_a_callback_gets_the_slot_that_is_kept_for_emergencies(make_gateway):
    gateway = _after_help(make_gateway)
    gateway.hold_slots(3)
    gateway.incoming("+4722000001")
    assert gateway.phones[0].ringing


def test_a_callback_is_heard_in_a_conversation_although_call_waiting_is_off(make_gateway):
    gateway = _after_help(make_gateway, call_waiting=False)
    gateway.peer_answers(_ordinary(gateway, 0))
    call_id = gateway.incoming("+4722000001")
    assert gateway.call(call_id).phase is CallPhase.RINGING
    gateway.peer_hangs_up(call_id)

    gateway.advance(301_000)
    assert gateway.call(gateway.incoming("+4722000001")).sip_code == 486


def test_the_wait_is_as_long_as_the_configuration_says_and_the_lines_own(make_gateway, configuration: Configure):
    gateway = _set(make_gateway, do_not_disturb=True)
    gateway.send(msgspec.structs.replace(configuration, revision="2", callback_s=60))
    gateway.peer_answers(gateway.call_number("112", 0))
    gateway.hang_up(0)
    shared = gateway.incoming("+4722000002")
    assert [phone.ringing for phone in gateway.phones] == [True, True], "who has called for help, and who always rings"
    gateway.peer_hangs_up(shared)
    gateway.advance(61_000)
    gateway.incoming("+4722000002")
    assert [phone.ringing for phone in gateway.phones] == [False, True]


@pytest.mark.parametrize("crash_after_ms", [None, 0, 200_000])
def test_a_crash_does_not_make_the_line_forget_that_it_has_called_for_help(make_gateway, crash_after_ms):
    """In the middle of the call (None), or so long after it."""
    gateway = _set(make_gateway, do_not_disturb=True)
    gateway.peer_answers(gateway.call_number("112", 0))
    if crash_after_ms is not None:
        gateway.advance(400_000)
        gateway.hang_up(0)
        gateway.advance(crash_after_ms)
    gateway.crash()
    gateway.connect()
    gateway.hang_up(0)
    gateway.advance(290_000 - (crash_after_ms or 0))
    call_id = gateway.incoming("+4722000001")
    assert gateway.phones[0].ringing
    gateway.peer_hangs_up(call_id)

    gateway.advance(11_000)
    gateway.crash()
    gateway.connect()
    gateway.incoming("+4722000001")
    assert not gateway.phones[0].ringing
    assert gateway.kept_callbacks == {}


def test_a_line_that_has_not_called_for_help_keeps_its_peace(make_gateway):
    gateway = make_gateway()
    gateway.kept_services = {1: LineServices(do_not_disturb=True)}
    gateway.crash()
    gateway.connect()
    gateway.peer_answers(gateway.call_number("112", 0))
    gateway.hang_up(0)
    gateway.incoming("+4722000002")
    assert [phone.ringing for phone in gateway.phones] == [True, False]


# --- a line never promises what it won't do --------------------------------------------------------------------------


def test_a_line_for_emergency_calls_only_says_so_instead_of_dial_tone(make_gateway, configuration: Configure):
    gateway = _with_service(lambda: make_gateway(recordings=True), configuration, LineService.EMERGENCY_ONLY)
    gateway.lift(0)
    phone = gateway.phones[0]
    assert (phone.announcement, phone.tone) == (Announcement.EMERGENCY_ONLY, None)
    gateway.announcement_over()
    assert phone.tone is Tone.SPECIAL
    gateway.hang_up(0)
    call_id = gateway.call_number("112", 0)
    assert phone.announcement is None
    assert gateway.leg(call_id).emergency
    gateway.hang_up(0)

    refused = gateway.call_number("22334455", 0)
    gateway.send(Decide(call_id=refused, granted=False, announcement="subscription_ended"))
    assert phone.announcement is Announcement.SUBSCRIPTION_ENDED


def test_a_line_that_belongs_to_no_subscription_says_so_too(make_gateway, configuration: Configure):
    gateway = make_gateway()
    gateway.send(msgspec.structs.replace(configuration, revision="2", lines=configuration.lines[:1]))
    for line in (0, 1):
        gateway.lift(line)
    assert [phone.tone for phone in gateway.phones] == [Tone.DIAL, Tone.SPECIAL]
    assert gateway.phones[1].told == [Announcement.EMERGENCY_ONLY]


def test_a_dead_line_is_dead_but_for_112(make_gateway, configuration: Configure):
    gateway = _with_service(make_gateway, configuration, LineService.DEAD)
    phone = gateway.phones[0]
    gateway.lift(0)
    for digits in ("22334455", "01", "*21#"):
        gateway.dial(digits, 0)
        gateway.advance(3_000)
    gateway.advance(200_000)
    assert (phone.tone, phone.told, gateway.legs) == (None, [], [])
    gateway.hang_up(0)
    call_id = gateway.incoming("+4722000001")
    assert (phone.ringing, gateway.call(call_id).sip_code) == (False, 486)

    gateway.lift(0)
    gateway.dial("22", 0)
    gateway.advance(100_000)
    gateway.dial("112", 0)
    assert gateway.legs[-1].emergency
    gateway.hang_up(0)
    gateway.lift(0)
    gateway.dial("22334411211", 0)
    assert [leg.user for leg in gateway.legs if leg.outgoing] == ["112"], "the rest of another number is no 112"
