"""What a user sets on the telephone's keys, and what follows: forwarding, hotline, do not disturb, hidden numbers."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.diversion import DiversionReason, Diverted
from agent.core.services import LineServices, Service, ServiceCodes, ServiceMode
from agent.core.terms import CallPhase, Cause, Direction, Tone
from agent.gateway.protocol import Decide, LineSettings, Log


@pytest.fixture
def gateway(make_gateway):
    return make_gateway(max_calls=8)


def _code(gateway, code, line=0) -> Tone | None:
    """Lift, dial a code, hang up; what was heard."""
    gateway.lift(line)
    gateway.dial(code, line)
    heard = gateway.phones[line].tone
    gateway.hang_up(line)
    return heard


def _with(gateway, configuration, **changes):
    services = msgspec.structs.replace(configuration.services, **changes)
    gateway.send(msgspec.structs.replace(configuration, revision=repr(changes)[:100], services=services))


def _onward(gateway, **grant) -> str:
    """The call that the gateway has asked for, granted."""
    asked = [one for one in gateway.calls() if one.phase is CallPhase.ASKED]
    assert len(asked) == 1
    gateway.send(Decide(call_id=asked[0].call_id, granted=True, **grant))
    return asked[0].call_id


# --- codes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "off", "query", "field", "value"),
    [
        ("*21*22334455#", "#21#", "*#21#", "forward_all", "+4722334455"),
        ("*61*0046812345#", "#61#", "*#61#", "forward_no_answer", "+46812345"),
        ("*67*02800#", "#67#", "*#67#", "forward_busy", "02800"),
        ("*53*91234567#", "#53#", "*#53#", "hotline", "+4791234567"),
        ("*26#", "#26#", "*#26#", "do_not_disturb", True),
        ("*24*", "#24*", "*#24#", "withhold", True),
    ],
)
def test_a_service_is_switched_on_asked_about_and_switched_off(gateway, on, off, query, field, value):
    assert _code(gateway, query) is Tone.BUSY
    assert _code(gateway, on) is Tone.CONFIRM
    assert getattr(gateway.kept_services[0], field) == value
    assert _code(gateway, query) is Tone.CONFIRM
    assert _code(gateway, off) is Tone.CONFIRM
    assert _code(gateway, query) is Tone.BUSY
    assert not getattr(gateway.kept_services.get(0, LineServices()), field)


def test_call_waiting_is_on_until_it_is_switched_off(gateway):
    assert _code(gateway, "*#43#") is Tone.CONFIRM
    _code(gateway, "#43#")
    assert _code(gateway, "*#43#") is Tone.BUSY
    call_id = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call_id, granted=True))
    gateway.peer_answers(call_id)
    assert gateway.call(gateway.incoming("+4722000001")).cause is Cause.NO_LINE_FREE


def test_settings_are_a_lines_own_told_to_the_agent_and_there_after_a_restart(gateway):
    _code(gateway, "*21*22334455#", 1)
    told = [record for record in gateway.records if isinstance(record, LineSettings)]
    assert told == [LineSettings(line=1, services=LineServices(forward_all="+4722334455"))]

    gateway.crash()
    assert _code(gateway, "*#21#", 1) is Tone.CONFIRM
    assert _code(gateway, "*#21#", 0) is Tone.BUSY
    _code(gateway, "#21#", 1)
    assert gateway.records[-1] != told[0]
    assert [r for r in gateway.records if isinstance(r, LineSettings)][-1] == LineSettings(line=1)


@pytest.mark.parametrize("number", ["112", "110", "113", "1412", "22000001", "22000002", "01", "2233", "9"])
def test_nobody_may_be_forwarded_to_an_emergency_number_nor_to_the_line_itself(gateway, number):
    for code in ("*21*", "*61*", "*67*", "*53*"):
        assert _code(gateway, f"{code}{number}#") is Tone.SPECIAL
    assert not gateway.kept_services


def test_what_the_log_tells_has_no_number(gateway):
    _code(gateway, "*21*22334455#")
    said = [record for record in gateway.records if isinstance(record, Log)]
    assert any((log.event, log.detail) == ("service_code_on", "forward_all") for log in said)
    assert not any("2233" in log.detail for log in said)


def test_settings_of_services_that_the_product_does_not_have_go_and_the_rest_stays(gateway, configuration):
    _code(gateway, "*21*22334455#")
    _code(gateway, "*26#")
    codes = dict(configuration.services.codes) | {Service.FORWARD_ALL: ServiceCodes(mode=ServiceMode.OFF)}
    _with(gateway, configuration, codes=codes)

    assert gateway.kept_services == {0: LineServices(do_not_disturb=True)}
    assert _code(gateway, "*21*22334455#") is Tone.SPECIAL
    gateway.crash()
    assert gateway.kept_services == {0: LineServices(do_not_disturb=True)}


def test_a_line_that_is_no_telephone_any_more_has_nothing_set(gateway, configuration):
    _code(gateway, "*26#", 1)
    gateway.send(msgspec.structs.replace(configuration, revision="one line", lines=configuration.lines[:1]))
    assert gateway.kept_services == {}


def test_a_code_of_the_platform_is_called_there_and_nothing_is_imitated(gateway, configuration):
    shipped = configuration.services.codes[Service.FORWARD_ALL]
    codes = dict(configuration.services.codes) | {
        Service.FORWARD_ALL: msgspec.structs.replace(shipped, mode=ServiceMode.PLATFORM)
    }
    _with(gateway, configuration, codes=codes)
    gateway.lift()
    gateway.dial("*21*22334455#")
    call_id = _onward(gateway)

    assert (gateway.call(call_id).number, gateway.leg(call_id).user) == ("*21*22334455#", "*21*22334455#")
    gateway.peer_answers(call_id)
    assert gateway.heard() == [call_id]
    gateway.hang_up()
    assert not gateway.kept_services
    gateway.incoming("+4722000001")
    assert gateway.phones[0].ringing


# --- hidden numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "dialled", "withheld"),
    [
        ("", "22334455", False),
        ("", "*31*22334455", True),
        ("", "#31#22334455", True),
        ("*24*", "22334455", True),
        ("*24*", "*32*22334455", False),
    ],
)
def test_the_number_is_hidden_as_the_user_says(gateway, before, dialled, withheld):
    if before:
        _code(gateway, before)
    gateway.lift()
    gateway.dial(dialled)
    call_id = _onward(gateway)
    assert (gateway.call(call_id).number, gateway.leg(call_id).user) == ("+4722334455", "+4722334455")
    assert gateway.leg(call_id).withheld is withheld


def test_an_emergency_call_behind_the_code_is_one_and_shows_the_number(gateway):
    gateway.lift()
    gateway.dial("*31*112")
    assert (gateway.legs[-1].emergency, gateway.legs[-1].user, gateway.legs[-1].withheld) == (True, "112", False)


def test_a_platform_that_hides_numbers_gets_its_code_before_the_number(gateway, configuration):
    shipped = configuration.services.codes[Service.WITHHOLD_ONCE]
    codes = dict(configuration.services.codes) | {
        Service.WITHHOLD_ONCE: msgspec.structs.replace(shipped, mode=ServiceMode.PLATFORM)
    }
    _with(gateway, configuration, codes=codes)
    gateway.lift()
    gateway.dial("*31*22334455")
    call_id = _onward(gateway)
    assert (gateway.call(call_id).number, gateway.leg(call_id).user) == ("+4722334455", "*31*+4722334455")
    assert not gateway.leg(call_id).withheld


# --- forwarding ------------------------------------------------------------------------------------------------------


def test_a_forwarded_call_is_two_calls_of_ours_asked_for_and_recorded_each(gateway):
    _code(gateway, "*21*22334455#")
    caller = gateway.incoming("+4722000001", "+4791111111")
    assert (gateway.phones[0].ringing, gateway.leg(caller).over) == (False, False)

    onward = _onward(gateway, max_talk_ms=20_000, limit="month")
    assert (gateway.leg(onward).user, gateway.call(onward).own_number) == ("+4722334455", "+4722000001")
    gateway.peer_rings(onward)
    assert gateway.call(caller).ringing_ms == gateway.now
    assert not gateway.leg(caller).answered
    gateway.peer_answers(onward)

    assert gateway.leg(caller).answered
    assert (gateway.leg(caller).peers, gateway.leg(caller).line) == ({onward}, None)
    assert {gateway.call(one).phase for one in (caller, onward)} == {CallPhase.ANSWERED}
    gateway.advance(20_000)
    assert (gateway.call(onward).cause, gateway.call(onward).limit) == (Cause.LIMIT_REACHED, "month")
    assert gateway.call(caller).cause is Cause.NORMAL
    assert gateway.phones[0].tone is None


def test_the_telephone_stays_usable_while_it_forwards_and_says_so_in_its_dial_tone(gateway):
    _code(gateway, "*21*22334455#")
    gateway.incoming("+4722000001")
    _onward(gateway)
    gateway.lift()
    assert gateway.phones[0].tone is Tone.RECALL
    gateway.dial("112")
    assert gateway.legs[-1].emergency


@pytest.mark.parametrize(("code", "status"), [(486, 486), (404, 404), (480, 480), (503, 503)])
def test_the_caller_is_told_what_the_other_telephone_said(gateway, code, status):
    _code(gateway, "*21*22334455#")
    caller = gateway.incoming("+4722000001")
    onward = _onward(gateway)
    gateway.peer_rings(onward)
    gateway.peer_refuses(onward, code)
    assert (gateway.leg(caller).over, gateway.call(caller).sip_code) == (True, status)


def test_a_caller_who_gives_up_takes_the_second_call_with_him(gateway):
    _code(gateway, "*21*22334455#")
    caller = gateway.incoming("+4722000001")
    onward = _onward(gateway)
    gateway.peer_hangs_up(caller)
    assert (gateway.call(onward).cause, gateway.leg(onward).over) == (Cause.CANCELLED, True)


def test_money_that_is_not_there_forwards_nothing(gateway):
    _code(gateway, "*21*22334455#")
    caller = gateway.incoming("+4722000001")
    asked = next(one for one in gateway.calls() if one.phase is CallPhase.ASKED)
    gateway.send(Decide(call_id=asked.call_id, granted=False, refusal="limit_month"))
    assert (gateway.call(asked.call_id).cause, gateway.call(caller).sip_code) == (Cause.REFUSED, 480)


def test_without_an_agent_the_telephone_rings_as_if_nothing_was_forwarded(make_gateway):
    gateway = make_gateway(max_calls=8)
    _code(gateway, "*21*22334455#")
    gateway.disconnect()
    gateway.incoming("+4722000001")
    assert gateway.phones[0].ringing


def test_with_no_slot_for_the_second_call_the_telephone_rings(make_gateway):
    gateway = make_gateway(max_calls=2)
    _code(gateway, "*21*22334455#")
    gateway.incoming("+4722000001")
    assert gateway.phones[0].ringing


def test_where_nobody_lifts_it_goes_on_after_the_profiles_interval(gateway, configuration):
    _with(gateway, configuration, no_answer_s=15)
    _code(gateway, "*61*22334455#")
    caller = gateway.incoming("+4722000001")
    gateway.advance(14_000)
    assert gateway.phones[0].ringing
    gateway.advance(1_000)
    assert not gateway.phones[0].ringing
    gateway.peer_answers(_onward(gateway))
    assert gateway.leg(caller).answered


def test_a_call_that_was_taken_is_not_forwarded(gateway):
    _code(gateway, "*61*22334455#")
    caller = gateway.incoming("+4722000001")
    gateway.lift()
    gateway.advance(60_000)
    assert gateway.heard() == [caller]
    assert [one.direction for one in gateway.calls()] == [Direction.INCOMING]


def test_a_busy_line_sends_on_who_could_not_wait_either(gateway):
    for code in ("*67*22334455#", "#43#"):
        _code(gateway, code)
    gateway.lift()
    caller = gateway.incoming("+4722000001")
    gateway.peer_answers(_onward(gateway))
    assert gateway.leg(caller).answered


def test_a_number_of_two_lines_is_forwarded_when_both_say_so(gateway):
    _code(gateway, "*21*22334455#", 1)
    gateway.incoming("+4722000002")
    assert [phone.ringing for phone in gateway.phones] == [True, False]


def test_do_not_disturb_is_busy_to_callers_and_rings_nothing(gateway):
    _code(gateway, "*26#")
    caller = gateway.incoming("+4722000001")
    assert (gateway.call(caller).cause, gateway.call(caller).sip_code) == (Cause.NO_LINE_FREE, 486)
    gateway.incoming("+4722000002")
    assert [phone.ringing for phone in gateway.phones] == [False, True]


def test_where_the_platform_bills_it_is_asked_to_place_the_call(gateway, configuration):
    _with(gateway, configuration, platform_bills=True)
    _code(gateway, "*21*22334455#")
    caller = gateway.incoming("+4722000001")

    assert gateway.leg(caller).redirected == "+4722334455"
    ended = gateway.call(caller)
    assert (ended.cause, ended.sip_code) == (Cause.FORWARDED, 302)
    assert len(gateway.calls()) == 1

    assert gateway.leg(caller).diversions == (Diverted("+4722000001", reason=DiversionReason.UNCONDITIONAL),)


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (["*21*22334455#"], DiversionReason.UNCONDITIONAL),
        (["*61*22334455#"], DiversionReason.NO_ANSWER),
        (["*67*22334455#", "#43#"], DiversionReason.USER_BUSY),
    ],
)
def test_the_second_call_says_from_where_it_was_sent_on_and_why_and_from_where_before(gateway, codes, reason):
    for code in codes:
        _code(gateway, code)
    if reason is DiversionReason.USER_BUSY:
        gateway.lift()
    before = (Diverted("+4722000077", "op", DiversionReason.DEFLECTION, 2), Diverted("", hidden=True))
    gateway.incoming("+4722000001", diversions=before)
    if reason is DiversionReason.NO_ANSWER:
        gateway.advance(20_000)
    assert gateway.leg(_onward(gateway)).diversions == (Diverted("+4722000001", reason=reason), *before)


def test_the_number_it_was_sent_on_from_is_hidden_where_the_line_hides_its_number(gateway):
    for code in ("*21*22334455#", "*24*"):
        _code(gateway, code)
    gateway.incoming("+4722000001")
    assert [one.hidden for one in gateway.leg(_onward(gateway)).diversions] == [True]


TOO_FAR = (Diverted("22000077", count=3), Diverted("", count=2))
CIRCLE = (Diverted("22000077"), Diverted("22334455"))
AGAIN = (Diverted("004722000001"),)


@pytest.mark.parametrize("past", [TOO_FAR, CIRCLE, AGAIN])
def test_a_call_that_goes_round_or_has_come_too_far_rings_here(gateway, past):
    _code(gateway, "*21*22334455#")
    caller = gateway.incoming("+4722000001", diversions=past)
    assert gateway.phones[0].ringing
    gateway.lift()
    assert gateway.heard() == [caller]
    assert [one.call_id for one in gateway.calls()] == [caller]


@pytest.mark.parametrize("past", [TOO_FAR, CIRCLE, AGAIN])
def test_a_call_that_goes_round_rings_on_where_nobody_lifts_and_is_busy_where_the_line_is(gateway, past):
    for code in ("*61*22334455#", "*67*22334455#", "#43#"):
        _code(gateway, code)
    caller = gateway.incoming("+4722000001", diversions=past)
    gateway.advance(30_000)
    assert gateway.phones[0].ringing
    gateway.peer_hangs_up(caller)
    gateway.lift()
    caller = gateway.incoming("+4722000001", diversions=past)
    assert (gateway.call(caller).cause, gateway.call(caller).sip_code) == (Cause.NO_LINE_FREE, 486)


def test_how_often_a_call_may_be_sent_on_is_the_operators_word(gateway, configuration):
    _with(gateway, configuration, max_diversions=1)
    _code(gateway, "*21*22334455#")
    gateway.incoming("+4722000001", diversions=(Diverted("22000077"),))
    assert gateway.phones[0].ringing


def test_an_emergency_call_ends_a_forwarded_pair_where_its_slot_is_needed(make_gateway):
    gateway = make_gateway(max_calls=3)
    _code(gateway, "*21*22334455#")
    caller = gateway.incoming("+4722000001")
    onward = _onward(gateway)
    gateway.peer_answers(onward)
    gateway.hold_slots(1)
    emergency = gateway.call_number("112", 1)
    assert {gateway.call(one).cause for one in (caller, onward)} == {Cause.PREEMPTED}
    gateway.advance(1_000)
    assert not gateway.leg(emergency).over


# --- hotline ---------------------------------------------------------------------------------------------------------


def test_a_hotline_is_called_after_five_seconds_of_dial_tone(gateway):
    _code(gateway, "*53*22334455#")
    gateway.lift()
    gateway.advance(4_900)
    assert gateway.phones[0].tone is Tone.DIAL
    gateway.advance(100)
    assert gateway.leg(_onward(gateway)).user == "+4722334455"


def test_whoever_dials_first_calls_somebody_else(gateway):
    _code(gateway, "*53*22334455#")
    gateway.lift()
    gateway.advance(4_000)
    gateway.dial("2")
    gateway.advance(5_000)
    assert not [one for one in gateway.calls() if one.phase is CallPhase.ASKED]
    gateway.dial("2334466")
    assert gateway.leg(_onward(gateway)).user == "+4722334466"


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("hotline_s", [0, 5])
def test_a_hotline_is_in_nobodys_way_to_112(gateway, configuration, hotline_s, answered):
    _with(gateway, configuration, hotline_s=hotline_s)
    _code(gateway, "*53*22334455#")
    gateway.lift()
    if answered and hotline_s == 0:
        gateway.send(Decide(call_id=gateway.calls()[0].call_id, granted=True))
        gateway.peer_rings(gateway.calls()[0].call_id)
    gateway.dial("112")
    assert (gateway.legs[-1].emergency, gateway.legs[-1].user) == (True, "112")


def test_a_hotline_that_is_refused_while_112_is_dialled_is_in_nobodys_way(gateway, configuration):
    _with(gateway, configuration, hotline_s=0)
    _code(gateway, "*53*22334455#")
    gateway.lift()
    gateway.dial("1")
    gateway.send(Decide(call_id=gateway.calls()[0].call_id, granted=False, refusal="limit_day"))
    gateway.dial("12")
    assert (gateway.legs[-1].emergency, gateway.legs[-1].user) == (True, "112")


def test_a_hotline_without_an_agent_is_in_nobodys_way_to_112(gateway, configuration):
    _with(gateway, configuration, hotline_s=0)
    _code(gateway, "*53*22334455#")
    gateway.disconnect()
    gateway.lift()
    assert gateway.phones[0].tone is Tone.CONGESTION
    gateway.dial("112")
    assert (gateway.legs[-1].emergency, gateway.legs[-1].user) == (True, "112")


# --- messages --------------------------------------------------------------------------------------------------------


def test_waiting_messages_stutter_in_the_dial_tone_and_light_the_lamp(gateway):
    gateway.mailbox("home", new=2)
    assert [phone.messages for phone in gateway.phones] == [True, True]
    gateway.lift()
    assert gateway.phones[0].tone is Tone.RECALL
    gateway.hang_up()

    gateway.card_up()
    assert gateway.phones[0].messages
    gateway.mailbox("home", new=0, old=2)
    assert [phone.messages for phone in gateway.phones] == [False, False]
    gateway.lift()
    assert gateway.phones[0].tone is Tone.DIAL


def test_messages_of_another_account_or_of_a_service_that_is_off_light_nothing(gateway, configuration):
    gateway.mailbox("other", new=1)
    assert not gateway.phones[0].messages
    codes = dict(configuration.services.codes) | {Service.MESSAGES: ServiceCodes(mode=ServiceMode.OFF)}
    _with(gateway, configuration, codes=codes)
    gateway.mailbox("home", new=1)
    assert not gateway.phones[0].messages


def test_a_caller_who_waits_goes_on_too_and_is_heard_no_more(gateway, configuration):
    _with(gateway, configuration, no_answer_s=15)
    _code(gateway, "*61*22334455#")
    talk = gateway.call_number("22334466")
    gateway.send(Decide(call_id=talk, granted=True))
    gateway.peer_answers(talk)
    caller = gateway.incoming("+4722000001")
    gateway.advance(15_000)
    gateway.peer_answers(_onward(gateway))
    assert gateway.leg(caller).answered
    heard = len(gateway.phones[0].bursts)
    gateway.advance(60_000)
    assert len(gateway.phones[0].bursts) == heard
    gateway.flash()
    assert gateway.heard() == []
    gateway.hang_up()
    gateway.lift()
    assert gateway.heard() == [talk]
