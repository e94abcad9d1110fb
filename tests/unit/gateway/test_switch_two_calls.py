"""Two calls on one line: what the household hears, and what the other two do."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.announcement import Announcement
from agent.core.services import Service, ServiceCodes, ServiceMode
from agent.core.terms import CallPhase, Cause, LineProfile, Party, Tone
from agent.gateway.daemon.features import COMMAND_MS, EMERGENCY_DIGIT_MS
from agent.gateway.protocol import CallState, Configure, Decide

ABROAD = "0046812345#"


@pytest.fixture
def gateway(make_gateway):
    """Room for everything at once; the library's four slots have tests of their own."""
    return make_gateway(max_calls=8)


def _call(gateway, number="22334455", line=0, *, answered=True, **grant) -> str:
    """Dial on a handset that is up, or lift it; the call is granted, and answered."""
    known = {one.call_id for one in gateway.calls()}
    if not gateway.phones[line].off_hook:
        gateway.lift(line)
    gateway.dial(number, line)
    call_id = next(one.call_id for one in gateway.calls() if one.call_id not in known)
    gateway.send(Decide(call_id=call_id, granted=True, **grant))
    if answered:
        gateway.peer_answers(call_id)
    return call_id


def _held(gateway, line=0) -> tuple[str, str]:
    """One on hold, one in conversation."""
    first = _call(gateway, line=line)
    gateway.flash(line)
    second = _call(gateway, "22334466", line)
    return first, second


def _waiting(gateway, line=0) -> tuple[str, str]:
    first = _call(gateway, line=line)
    return first, gateway.incoming(f"+472200000{line + 1}", "+4791111111")


def _cause(gateway, call_id) -> Cause | None:
    return gateway.call(call_id).cause


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_a_second_caller_waits_and_is_heard_again_and_again(gateway):
    talk, second = _waiting(gateway)

    assert (gateway.call(second).phase, gateway.leg(second).waiting) == (CallPhase.RINGING, True)
    assert gateway.phones[0].bursts == [Tone.CALL_WAITING]
    assert (gateway.phones[0].ringing, gateway.phones[0].speech, gateway.phones[0].tone) == (False, True, None)
    assert gateway.heard() == [talk]

    gateway.advance(11_000)
    assert gateway.phones[0].bursts == [Tone.CALL_WAITING] * 2


def test_the_telephone_shows_once_who_waits_when_the_tone_has_sounded(gateway):
    _, _second = _waiting(gateway)
    gateway.advance(1_000)
    assert gateway.phones[0].waiting_shown == []
    gateway.advance(100)
    assert [caller.number for caller in gateway.phones[0].waiting_shown] == ["91111111"]
    gateway.advance(25_000)
    assert len(gateway.phones[0].waiting_shown) == 1


def test_whoever_has_taken_the_waiting_call_is_not_shown_it_any_more(gateway):
    _waiting(gateway)
    gateway.flash()
    gateway.dial("2")
    gateway.advance(5_000)
    assert gateway.phones[0].waiting_shown == []


def test_a_caller_who_waits_too_long_is_told_that_nobody_comes(gateway):
    talk, second = _waiting(gateway)
    gateway.advance(30_000)

    ended = gateway.call(second)
    assert (ended.cause, ended.sip_code) == (Cause.NO_ANSWER, 480)
    sounded = len(gateway.phones[0].bursts)
    gateway.advance(60_000)
    assert len(gateway.phones[0].bursts) == sounded
    assert gateway.heard() == [talk]


def test_r0_turns_the_waiting_caller_away_as_busy(gateway):
    talk, second = _waiting(gateway)
    gateway.flash()
    assert gateway.phones[0].tone is Tone.RECALL
    gateway.dial("0")

    assert (_cause(gateway, second), gateway.call(second).sip_code) == (Cause.BUSY, 486)
    assert (gateway.phones[0].tone, gateway.heard()) == (None, [talk])


def test_r1_ends_the_conversation_and_takes_the_waiting_call(gateway):
    talk, second = _waiting(gateway)
    gateway.flash()
    gateway.dial("1")
    gateway.advance(EMERGENCY_DIGIT_MS)

    assert (_cause(gateway, talk), gateway.call(talk).released_by) == (Cause.NORMAL, Party.LOCAL)
    assert gateway.call(second).phase is CallPhase.ANSWERED
    assert (gateway.heard(), gateway.phones[0].tone, gateway.phones[0].speech) == ([second], None, True)


def test_r2_holds_the_conversation_and_takes_the_waiting_call_and_back_again(gateway):
    talk, second = _waiting(gateway)
    gateway.flash()
    gateway.dial("2")

    assert gateway.call(talk).held
    assert gateway.leg(talk).held
    assert gateway.heard() == [second]

    gateway.flash()
    gateway.dial("2")
    assert (gateway.heard(), gateway.call(talk).held, gateway.call(second).held) == ([talk], False, True)
    assert gateway.phones[0].speech


def test_a_third_caller_is_busy(gateway):
    _waiting(gateway)
    third = gateway.incoming("+4722000001")
    assert (_cause(gateway, third), gateway.call(third).sip_code) == (Cause.NO_LINE_FREE, 486)


def test_nobody_waits_before_the_call_is_answered_nor_beside_an_emergency_call(gateway):
    _call(gateway, answered=False)
    assert _cause(gateway, gateway.incoming("+4722000001")) is Cause.NO_LINE_FREE

    emergency = gateway.call_number("112", 1)
    gateway.peer_answers(emergency)
    gateway.flash(1)
    assert gateway.heard(1) == [emergency]
    assert _cause(gateway, gateway.incoming("+4722000002")) is Cause.NO_LINE_FREE


def test_a_waiting_call_rings_when_the_conversation_is_over_and_the_handset_down(gateway):
    talk, second = _waiting(gateway)
    gateway.hang_up()

    assert (_cause(gateway, talk), gateway.phones[0].ringing) == (Cause.NORMAL, True)
    assert gateway.phones[0].caller == "91111111"

    gateway.lift()
    assert (gateway.heard(), gateway.phones[0].speech) == ([second], True)


def test_r_takes_a_waiting_call_when_the_other_has_hung_up(gateway):
    talk, second = _waiting(gateway)
    gateway.peer_hangs_up(talk)
    assert gateway.phones[0].tone is Tone.CONGESTION
    gateway.flash()
    assert (gateway.heard(), gateway.phones[0].tone) == ([second], None)


def test_a_free_telephone_rings_before_another_has_a_call_waiting(gateway):
    _call(gateway, line=0)
    arrived = gateway.incoming("+4722000002")
    assert (gateway.phones[1].ringing, gateway.leg(arrived).waiting, gateway.phones[0].bursts) == (True, False, [])


# --- hold ------------------------------------------------------------------------------------------------------------


def test_r_puts_the_conversation_on_hold_and_gives_recall_dial_tone(gateway):
    talk = _call(gateway)
    gateway.flash()

    assert (gateway.phones[0].tone, gateway.phones[0].speech, gateway.heard()) == (Tone.RECALL, False, [])
    assert (gateway.leg(talk).held, gateway.call(talk).held, _cause(gateway, talk)) == (True, True, None)


def test_r_again_brings_the_conversation_back(gateway):
    talk = _call(gateway)
    gateway.flash()
    gateway.flash()

    assert (gateway.heard(), gateway.phones[0].tone, gateway.phones[0].speech) == ([talk], None, True)
    assert not gateway.leg(talk).held


def test_a_far_end_that_refuses_hold_still_hears_nothing_and_is_taken_back(gateway):
    talk = _call(gateway)
    gateway.leg(talk).holdable = False
    gateway.flash()
    assert (gateway.heard(), gateway.phones[0].tone, gateway.call(talk).held) == ([], Tone.RECALL, True)
    gateway.flash()
    assert (gateway.heard(), gateway.phones[0].tone, gateway.call(talk).held) == ([talk], None, False)


def test_whoever_does_not_come_back_is_on_hold_still_and_r_tries_again(gateway):
    talk = _call(gateway)
    gateway.flash()
    gateway.leg(talk).resumable = False
    gateway.flash()
    assert (gateway.heard(), gateway.phones[0].tone, gateway.phones[0].speech) == ([], Tone.SPECIAL, False)
    assert (gateway.call(talk).held, _cause(gateway, talk)) == (True, None)

    gateway.leg(talk).resumable = True
    gateway.flash()
    assert (gateway.heard(), gateway.phones[0].tone, gateway.call(talk).held) == ([talk], None, False)


def test_the_telephone_rings_for_who_did_not_come_back(gateway):
    talk = _call(gateway)
    gateway.flash()
    gateway.leg(talk).resumable = False
    gateway.flash()
    gateway.hang_up()
    assert gateway.phones[0].ringing
    gateway.lift()
    assert (gateway.phones[0].tone, gateway.heard(), _cause(gateway, talk)) == (Tone.SPECIAL, [], None)


def test_a_swap_that_one_of_them_refuses_is_no_swap(gateway):
    first, second = _held(gateway)
    gateway.leg(first).resumable = False
    gateway.flash()
    gateway.dial("2")
    assert (gateway.heard(), gateway.call(first).held, gateway.call(second).held) == ([second], True, False)
    assert gateway.phones[0].bursts == [Tone.SPECIAL]


def test_a_conference_that_one_refuses_leaves_him_on_hold(gateway):
    first, second = _held(gateway)
    gateway.leg(first).resumable = False
    gateway.flash()
    gateway.dial("3")
    assert (gateway.heard(), gateway.leg(second).peers, gateway.call(first).held) == ([second], frozenset(), True)
    assert gateway.phones[0].bursts == [Tone.SPECIAL]
    gateway.flash()
    gateway.dial("0")
    assert (_cause(gateway, first), gateway.heard()) == (Cause.NORMAL, [second])


def test_a_transfer_of_somebody_who_does_not_come_back_ends_both_instead_of_costing_silence(gateway):
    first, second = _held(gateway)
    gateway.leg(first).resumable = False
    gateway.flash()
    gateway.dial("4")
    assert (_cause(gateway, first), _cause(gateway, second)) == (Cause.NETWORK_FAILURE, Cause.NORMAL)


def test_a_caller_who_waits_while_somebody_does_not_come_back_goes_on_waiting(gateway):
    talk = _call(gateway)
    gateway.flash()
    gateway.flash()
    waiting = gateway.incoming("+4722000001", "+4791111111")
    gateway.refuses_to_come_back(talk)
    assert (gateway.phones[0].tone, gateway.heard()) == (Tone.SPECIAL, [])
    gateway.hang_up()
    assert (gateway.phones[0].ringing, gateway.phones[0].cadence) == (True, "recall")
    gateway.lift()
    assert gateway.heard() == [talk]
    assert gateway.call(waiting).phase is CallPhase.RINGING
    gateway.peer_hangs_up(talk)
    gateway.flash()
    assert gateway.heard() == [waiting]


def test_the_second_call_asks_and_is_recorded_by_itself(gateway):
    first, second = _held(gateway)

    assert gateway.heard() == [second]
    assert {one.call_id for one in gateway.calls() if one.phase is CallPhase.ANSWERED} == {first, second}

    gateway.peer_hangs_up(second)
    gateway.flash()
    assert gateway.heard() == [first]
    assert (_cause(gateway, second), gateway.call(second).released_by) == (Cause.NORMAL, Party.REMOTE)


def test_the_granted_time_of_a_call_on_hold_runs_and_ends_it(gateway):
    first = _call(gateway, max_talk_ms=20_000, limit="month")
    gateway.flash()
    second = _call(gateway, "22334466", max_talk_ms=60_000, limit="month")
    gateway.advance(30_000)

    assert (_cause(gateway, first), gateway.call(first).limit) == (Cause.LIMIT_REACHED, "month")
    assert gateway.heard() == [second]
    gateway.advance(60_000)
    assert _cause(gateway, second) is Cause.LIMIT_REACHED


def test_a_refused_second_call_leaves_the_first_on_hold_to_be_taken_back(gateway):
    first = _call(gateway)
    gateway.flash()
    gateway.dial("22334466")
    asked = next(one for one in gateway.calls() if one.phase is CallPhase.ASKED)
    gateway.send(Decide(call_id=asked.call_id, granted=False, refusal="limit_day", tone=Tone.SPECIAL))
    assert gateway.phones[0].tone is Tone.SPECIAL

    gateway.flash()
    assert (gateway.heard(), gateway.phones[0].tone) == ([first], None)


def test_r1_leaves_a_ringing_second_call_and_r2_swaps_two_conversations(gateway):
    first = _call(gateway)
    gateway.flash()
    second = _call(gateway, "22334466", answered=False)
    gateway.peer_rings(second)
    gateway.flash()
    gateway.dial("1")
    gateway.advance(EMERGENCY_DIGIT_MS)
    assert (_cause(gateway, second), gateway.heard()) == (Cause.CANCELLED, [first])

    gateway.flash()
    third = _call(gateway, "22334466")
    gateway.flash()
    gateway.dial("2")
    assert (gateway.heard(), gateway.leg(third).held, gateway.leg(first).held) == ([first], True, False)


def test_r0_ends_the_one_on_hold(gateway):
    first, second = _held(gateway)
    gateway.flash()
    gateway.dial("0")
    assert (_cause(gateway, first), gateway.heard()) == (Cause.NORMAL, [second])


def test_r_without_a_digit_leaves_everything_as_it_was(gateway):
    first, second = _held(gateway)
    gateway.flash()
    gateway.advance(COMMAND_MS)
    assert (gateway.heard(), gateway.phones[0].tone, gateway.leg(first).held) == ([second], None, True)

    gateway.flash()
    gateway.flash()
    assert (gateway.heard(), gateway.phones[0].tone) == ([second], None)


def test_ringback_is_back_after_r_without_a_digit(gateway):
    _call(gateway)
    gateway.flash()
    second = _call(gateway, "22334466", answered=False)
    gateway.peer_rings(second)
    gateway.flash()
    gateway.advance(COMMAND_MS)
    assert gateway.phones[0].tone is Tone.RINGBACK


def test_r_where_nothing_can_be_done_is_harmless(gateway):
    gateway.flash()
    assert not gateway.phones[0].off_hook
    gateway.lift()
    gateway.flash()
    assert gateway.phones[0].tone is Tone.DIAL
    call_id = _call(gateway, answered=False)
    gateway.flash()
    assert gateway.call(call_id).phase is CallPhase.GRANTED
    gateway.peer_answers(call_id)
    gateway.machine()
    gateway.flash()
    assert gateway.heard() == [call_id]


def _busy(gateway, call_id) -> None:
    gateway.peer_refuses(call_id, 486)
    assert gateway.phones[0].tone is Tone.BUSY


def _gone(gateway, call_id) -> None:
    gateway.peer_answers(call_id)
    gateway.peer_hangs_up(call_id)
    assert gateway.phones[0].tone is Tone.CONGESTION


def _howling(gateway, call_id) -> None:
    gateway.peer_refuses(call_id, 486)
    gateway.advance(60_000)
    assert gateway.phones[0].tone is Tone.HOWLER


def _told_so(gateway, call_id) -> None:
    gateway.peer_refuses(call_id, 404)
    assert gateway.phones[0].announcement is Announcement.NO_SUCH_NUMBER


def _told_so_before_the_tone(gateway, call_id) -> None:
    _told_so(gateway, call_id)
    gateway.announcement_over()
    assert gateway.phones[0].tone is Tone.SPECIAL


ENDS = [_busy, _gone, _howling, _told_so, _told_so_before_the_tone]


@pytest.mark.parametrize("end", ENDS)
def test_r_at_a_tone_that_says_no_gives_fresh_dial_tone(make_gateway, end):
    gateway = make_gateway(recordings=True)
    end(gateway, _call(gateway, answered=False))
    gateway.flash()
    assert (gateway.phones[0].tone, gateway.phones[0].announcement) == (Tone.DIAL, None)

    gateway.flash()
    assert gateway.phones[0].tone is Tone.DIAL
    again = _call(gateway)
    assert gateway.heard() == [again]


@pytest.mark.parametrize("end", ENDS)
def test_with_somebody_on_hold_r_at_such_a_tone_is_back_to_him(make_gateway, end):
    gateway = make_gateway(recordings=True)
    first = _call(gateway)
    gateway.flash()
    end(gateway, _call(gateway, "22334466", answered=False))
    gateway.flash()
    assert (gateway.heard(), gateway.phones[0].tone, gateway.phones[0].announcement) == ([first], None, None)
    assert not gateway.leg(first).held


def test_r_at_a_refused_code_and_at_an_impossible_number_gives_fresh_dial_tone(gateway):
    gateway.lift()
    for digits in ("*999#", "0000"):
        gateway.dial(digits)
        assert gateway.phones[0].tone is Tone.SPECIAL
        gateway.flash()
        assert gateway.phones[0].tone is Tone.DIAL


def test_r_eats_no_digit_of_112(gateway):
    gateway.lift()
    gateway.dial("11")
    gateway.flash()
    gateway.dial("2")
    assert [leg.user for leg in gateway.legs] == ["112"]


def test_dial_tone_by_r_is_that_of_a_hotline_too(gateway):
    gateway.lift()
    gateway.dial("*53*22334455#")
    gateway.flash()
    gateway.advance(gateway.kept.services.hotline_s * 1000)
    assert [one.number for one in gateway.calls()] == ["+4722334455"]


def test_whoever_comes_back_is_warned_of_the_end_that_came_near_on_hold(gateway):
    first = _call(gateway, max_talk_ms=60_000, warn_talk_ms=20_000, limit="month")
    gateway.flash()
    gateway.hang_up()
    gateway.advance(30_000)
    phone = gateway.phones[0]
    assert (phone.ringing, phone.tone, phone.told) == (True, None, [])

    gateway.lift()
    assert (gateway.heard(), phone.told) == ([first], [Announcement.LIMIT_SOON])


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_conference_is_warned_of_the_end_of_either_call(gateway, which):
    limit = {"max_talk_ms": 60_000, "warn_talk_ms": 20_000, "limit": "month"}
    _call(gateway, **limit if which == "first" else {})
    gateway.flash()
    _call(gateway, "22334466", **limit if which == "second" else {})
    gateway.flash()
    gateway.dial("3")
    assert len(gateway.heard()) == 2
    gateway.advance(30_000)
    assert gateway.phones[0].told == [Announcement.LIMIT_SOON]


# --- on-hook ---------------------------------------------------------------------------------------------------------


def test_the_telephone_rings_for_who_is_on_hold(gateway):
    first, second = _held(gateway)
    gateway.hang_up()

    assert (_cause(gateway, second), _cause(gateway, first)) == (Cause.NORMAL, None)
    assert (gateway.phones[0].ringing, gateway.phones[0].caller) == (True, "22334455")

    gateway.lift()
    assert (gateway.heard(), gateway.phones[0].ringing, gateway.phones[0].speech) == ([first], False, True)
    assert not gateway.leg(first).held


def test_it_does_not_ring_for_ever(gateway):
    first, _ = _held(gateway)
    gateway.hang_up()
    gateway.advance(60_000)
    assert (_cause(gateway, first), gateway.phones[0].ringing) == (Cause.NORMAL, False)


def test_it_stops_ringing_when_the_other_hangs_up(gateway):
    first, _ = _held(gateway)
    gateway.hang_up()
    gateway.peer_hangs_up(first)
    assert (gateway.phones[0].ringing, _cause(gateway, first)) == (False, Cause.NORMAL)


def test_on_hook_from_the_recall_dial_tone_rings_too(gateway):
    first = _call(gateway)
    gateway.flash()
    gateway.hang_up()
    assert gateway.phones[0].ringing
    gateway.lift()
    assert gateway.heard() == [first]


# --- three-way and transfer ------------------------------------------------------------------------------------------


def test_r3_lets_all_three_hear_each_other_and_r2_parts_them(gateway):
    first, second = _held(gateway)
    gateway.flash()
    gateway.dial("3")

    assert gateway.heard() == [first, second]
    assert (gateway.leg(first).peers, gateway.leg(second).peers) == ({second}, {first})
    assert not gateway.call(first).held

    gateway.flash()
    gateway.dial("2")
    assert (gateway.heard(), gateway.leg(first).held, gateway.leg(second).peers) == ([second], True, frozenset())


@pytest.mark.parametrize("gone", [0, 1])
def test_two_go_on_when_one_of_three_hangs_up(gateway, gone):
    calls = _held(gateway)
    gateway.flash()
    gateway.dial("3")
    gateway.peer_hangs_up(calls[gone])

    assert (gateway.heard(), gateway.phones[0].tone, gateway.phones[0].speech) == ([calls[1 - gone]], None, True)


def test_r1_ends_the_last_of_three_and_the_others_go_on_until_on_hook(gateway):
    first, second = _held(gateway)
    gateway.flash()
    gateway.dial("3")
    gateway.flash()
    gateway.dial("1")
    gateway.advance(EMERGENCY_DIGIT_MS)
    assert (_cause(gateway, second), gateway.heard()) == (Cause.NORMAL, [first])
    gateway.peer_hangs_up(first)
    assert (_cause(gateway, first), gateway.phones[0].tone) == (Cause.NORMAL, Tone.CONGESTION)


def test_on_hook_ends_a_conference(gateway):
    first, second = _held(gateway)
    gateway.flash()
    gateway.dial("3")
    gateway.hang_up()
    assert (_cause(gateway, first), _cause(gateway, second)) == (Cause.NORMAL, Cause.NORMAL)
    assert not gateway.phones[0].ringing


def test_r4_leaves_the_other_two_together_and_each_call_goes_on_under_its_grant(gateway):
    first = _call(gateway, max_talk_ms=300_000)
    gateway.flash()
    second = _call(gateway, "22334466", max_talk_ms=20_000, limit="month")
    gateway.flash()
    gateway.dial("4")

    assert (gateway.phones[0].tone, gateway.heard(), gateway.phones[0].speech) == (Tone.CONFIRM, [], False)
    assert (gateway.leg(first).peers, gateway.leg(second).peers) == ({second}, {first})
    assert [gateway.leg(one).held for one in (first, second)] == [False, False]
    gateway.hang_up()
    assert (gateway.phones[0].ringing, _cause(gateway, first)) == (False, None)

    gateway.advance(20_000)
    assert (_cause(gateway, second), gateway.call(second).limit) == (Cause.LIMIT_REACHED, "month")
    assert _cause(gateway, first) is Cause.NORMAL


def test_a_transfer_to_a_telephone_that_still_rings_joins_them_when_it_is_answered(gateway):
    first = _call(gateway)
    gateway.flash()
    second = _call(gateway, "22334466", answered=False)
    gateway.peer_rings(second)
    gateway.flash()
    gateway.dial("4")
    gateway.hang_up()
    assert gateway.leg(first).held

    gateway.peer_answers(second)
    assert (gateway.leg(first).peers, gateway.leg(first).held) == ({second}, False)
    gateway.peer_hangs_up(first)
    assert _cause(gateway, second) is Cause.NORMAL


@pytest.mark.parametrize("down", [True, False])
def test_a_transfer_that_reaches_nobody_brings_the_held_one_back(gateway, down):
    first = _call(gateway)
    gateway.flash()
    second = _call(gateway, "22334466", answered=False)
    gateway.flash()
    gateway.dial("4")
    if down:
        gateway.hang_up()
    gateway.peer_refuses(second, 486)

    assert (_cause(gateway, second), _cause(gateway, first)) == (Cause.BUSY, None)
    assert gateway.phones[0].ringing is down
    if down:
        gateway.lift()
    else:
        gateway.flash()
    assert (gateway.heard(), gateway.leg(first).held) == ([first], False)


def test_a_transfer_that_reaches_nobody_ends_where_the_line_has_others_to_speak_to(gateway):
    first = _call(gateway)
    gateway.flash()
    second = _call(gateway, "22334466", answered=False)
    gateway.flash()
    gateway.dial("4")
    gateway.hang_up()
    third = _call(gateway, "22334477")
    gateway.flash()
    gateway.peer_refuses(second, 486)
    assert _cause(gateway, first) is Cause.NORMAL
    gateway.flash()
    assert gateway.heard() == [third]


def test_the_line_is_free_while_the_two_go_on(gateway):
    first, second = _held(gateway)
    gateway.flash()
    gateway.dial("4")
    gateway.hang_up()
    third = _call(gateway, "22334477")
    assert gateway.heard() == [third]
    assert gateway.leg(first).peers == {second}


def _billed_by_platform(gateway, configuration: Configure) -> None:
    services = msgspec.structs.replace(configuration.services, platform_bills=True)
    gateway.send(msgspec.structs.replace(configuration, revision="billed", services=services))


def test_r4_asks_the_platform_where_it_bills_what_it_places(gateway, configuration):
    _billed_by_platform(gateway, configuration)
    first, second = _held(gateway)
    gateway.flash()
    gateway.dial("4")

    assert gateway.leg(first).transferred == second
    assert gateway.leg(second).held
    gateway.hang_up()
    assert not gateway.phones[0].ringing

    gateway.transfer_goes(first, 180, final=False)
    assert _cause(gateway, first) is None
    gateway.transfer_goes(first, 200)
    assert (_cause(gateway, first), _cause(gateway, second)) == (Cause.NORMAL, Cause.NORMAL)


def test_a_refused_transfer_gives_the_conversation_back(gateway, configuration):
    _billed_by_platform(gateway, configuration)
    first, second = _held(gateway)
    gateway.flash()
    gateway.dial("4")
    gateway.transfer_goes(first, 603)

    assert (gateway.heard(), gateway.phones[0].bursts) == ([second], [Tone.SPECIAL])
    gateway.flash()
    gateway.dial("2")
    assert gateway.heard() == [first]


def test_a_refused_transfer_rings_where_the_handset_is_down(gateway, configuration):
    _billed_by_platform(gateway, configuration)
    first, second = _held(gateway)
    gateway.flash()
    gateway.dial("4")
    gateway.hang_up()
    gateway.advance(40_000)

    assert (_cause(gateway, second), gateway.phones[0].ringing) == (Cause.NORMAL, True)
    gateway.lift()
    assert gateway.heard() == [first]


def test_a_transfer_goes_on_when_the_other_one_is_gone_before_its_news(gateway, configuration):
    _billed_by_platform(gateway, configuration)
    first, second = _held(gateway)
    gateway.flash()
    gateway.dial("4")
    gateway.hang_up()
    gateway.peer_hangs_up(second)
    assert not gateway._process.switch._features._second.holds(second)
    gateway.transfer_goes(first, 503)
    assert (_cause(gateway, first), gateway.phones[0].ringing) == (None, True)


def test_a_transfer_to_a_ringing_telephone_is_asked_of_the_platform_by_its_number(gateway, configuration):
    _billed_by_platform(gateway, configuration)
    first = _call(gateway)
    gateway.flash()
    second = _call(gateway, "22334466", answered=False)
    gateway.flash()
    gateway.dial("4")
    assert (gateway.leg(first).transferred, _cause(gateway, second)) == ("+4722334466", Cause.CANCELLED)
    gateway.transfer_goes(first, 200)
    assert (_cause(gateway, first), gateway.phones[0].tone) == (Cause.NORMAL, Tone.CONFIRM)


# --- emergency -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["waiting", "held", "conference", "recall", "transfer", "ringing again"])
@pytest.mark.parametrize("gap_ms", [150, 1_500])
def test_112_goes_through_in_the_middle_of_everything(gateway, state, gap_ms):
    _waiting(gateway) if state == "waiting" else _held(gateway)
    if state in ("conference", "transfer"):
        gateway.flash()
        gateway.dial("3" if state == "conference" else "4")
    if state in ("recall", "ringing again"):
        gateway.peer_hangs_up(gateway.heard()[0])
        gateway.hang_up()
        gateway.lift()
    gateway.flash()
    gateway.advance(2_000 if state == "transfer" else 0)
    gateway.dial("112", gap_ms=gap_ms)

    leg = gateway.legs[-1]
    assert (leg.emergency, leg.user, leg.over) == (True, "112", False)
    gateway.peer_answers(leg.call_id)
    assert (gateway.heard(), gateway.phones[0].speech) == ([leg.call_id], True)
    pair = 2 if state == "transfer" else 0
    assert sum(one.phase is not CallPhase.ENDED for one in gateway.calls()) == 1 + pair


def test_r1_that_was_the_beginning_of_112_dialled_slowly_is_taken_for_what_it_was(gateway):
    _waiting(gateway)
    gateway.flash()
    gateway.dial("1", gap_ms=3_000)
    gateway.dial("12", gap_ms=3_000)
    assert (gateway.legs[-1].emergency, gateway.legs[-1].user) == (True, "112")


def test_dialling_again_after_r1_is_for_the_far_end(gateway):
    _, second = _waiting(gateway)
    gateway.flash()
    gateway.dial("1", gap_ms=3_000)
    gateway.dial("2345", gap_ms=200)
    assert gateway.leg(second).digits == "2345"
    assert not any(leg.emergency for leg in gateway.legs)


# --- slots, machines, profiles ---------------------------------------------------------------------------------------


def test_with_four_slots_each_service_refuses_gracefully(make_gateway):
    gateway = make_gateway(max_calls=4)
    first, second = _held(gateway)
    third = _call(gateway, "22334477", 1)

    gateway.flash(1)
    gateway.dial("22334488", 1)
    assert gateway.phones[1].tone is Tone.CONGESTION
    assert [one.cause for one in gateway.calls() if one.cause is not None] == [Cause.NO_CALL_SLOT]
    gateway.flash(1)
    assert gateway.heard(1) == [third]

    waiting = gateway.incoming("+4722000002")
    assert (_cause(gateway, waiting), gateway.call(waiting).sip_code) == (Cause.NO_CALL_SLOT, 486)
    assert gateway.phones[1].bursts == []

    gateway.flash()
    gateway.dial("3")
    assert gateway.heard() == [first, second]


def test_both_lines_have_everything_at_once_where_there_is_room(gateway):
    pairs = [_held(gateway, 0), _held(gateway, 1)]
    for line in (0, 1):
        gateway.flash(line)
        gateway.dial("3", line)
        assert gateway.heard(line) == list(pairs[line])
        assert gateway.leg(pairs[line][0]).peers == {pairs[line][1]}
    emergency = [gateway.flash(0), gateway.dial("113", 0), gateway.legs[-1]][-1]
    assert emergency.emergency
    assert gateway.heard(1) == list(pairs[1])


@pytest.mark.parametrize("profile", [LineProfile.FAX, LineProfile.ALARM, LineProfile.CARD_TERMINAL])
def test_machines_have_none_of_it(gateway, configuration, profile):
    lines = [msgspec.structs.replace(one, profile=profile) for one in configuration.lines]
    gateway.send(msgspec.structs.replace(configuration, revision="machines", lines=lines))
    talk = _call(gateway)
    gateway.flash()
    assert gateway.heard() == [talk]
    assert _cause(gateway, gateway.incoming("+4722000001")) is Cause.NO_LINE_FREE


@pytest.mark.parametrize("service", [Service.HOLD, Service.THREE_WAY, Service.TRANSFER, Service.CALL_WAITING])
def test_a_service_that_is_off_is_not_there(gateway, configuration, service):
    codes = dict(configuration.services.codes) | {service: ServiceCodes(mode=ServiceMode.OFF)}
    services = msgspec.structs.replace(configuration.services, codes=codes)
    gateway.send(msgspec.structs.replace(configuration, revision="less", services=services))
    if service is Service.CALL_WAITING:
        _call(gateway)
        assert _cause(gateway, gateway.incoming("+4722000001")) is Cause.NO_LINE_FREE
        return
    if service is Service.HOLD:
        talk = _call(gateway)
        gateway.flash()
        assert gateway.heard() == [talk]
        return
    first, second = _held(gateway)
    gateway.flash()
    gateway.dial("3" if service is Service.THREE_WAY else "4")
    assert (gateway.heard(), gateway.leg(first).held) == ([second], True)


def test_an_agent_that_dies_ends_no_call_of_the_two(gateway):
    first, second = _held(gateway)
    gateway.disconnect()
    gateway.flash()
    gateway.dial("2")
    assert gateway.heard() == [first]
    assert [one.phase for one in gateway.calls()] == [CallPhase.ANSWERED] * 2
    assert second in {one.call_id for one in gateway.calls() if isinstance(one, CallState)}


def test_the_card_takes_both_calls_with_it(gateway):
    first, second = _held(gateway)
    gateway.card_down()
    assert (_cause(gateway, first), _cause(gateway, second)) == (Cause.CARD_LOST, Cause.CARD_LOST)
