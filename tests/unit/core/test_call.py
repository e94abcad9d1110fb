"""One call: how it is set up, how it ends, and that it ends once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.actions import Answer, HangUp, Invite, Reject, Ringing
from agent.core.announcement import Announcement
from agent.core.call import (
    EARLY_HANG_UP_MS,
    SILENT_TARGET_MS,
    SLOT_PATIENCE_MS,
    STATS_PATIENCE_MS,
    TRYING_TARGET_MS,
    Attempt,
    Call,
    Hear,
    Lease,
    Leave,
    Speak,
    Warn,
    unanswered,
)
from agent.core.events import CallOver
from agent.core.media import MediaStats
from agent.core.terms import CallKind, CallPhase, Cause, Direction, Party, Tone

STATS = MediaStats(rx_packets=7)
GONE = CallOver("c", 200, "", remote=False, on_wire=True, stats=STATS)


def _outgoing(kind: CallKind = CallKind.ORDINARY, targets: int = 1) -> Call:
    attempts = [Attempt("home", target, "+4722334455") for target in range(targets)]
    return Call(
        "c", Direction.OUTGOING, kind, account="home", number="+4722334455", own_number="", now=0, lines=[0],
        attempts=attempts,
    )  # fmt: skip


def _incoming() -> Call:
    call = Call("c", Direction.INCOMING, CallKind.ORDINARY, account="home", number="x", own_number="", now=0)
    call.ring([0, 1], 90_000, 0)
    return call


def test_asked_granted_rung_answered_warned_limited():
    call = _outgoing()
    call.ask(4000)
    assert call.deadline() == 4000
    assert call.grant(Lease(60_000, 40_000), 100) == [Invite("c", "home", "+4722334455", 0)]
    assert call.progress(180, 200, early_media=False) == [Hear(Tone.RINGBACK)]
    assert call.answered(300) == [Speak()]
    assert call.deadline() == 40_000
    assert call.tick(40_000) == [Warn()]
    assert call.tick(41_000) == []
    assert call.deadline() == 60_000 - EARLY_HANG_UP_MS
    assert call.tick(60_000 - EARLY_HANG_UP_MS) == [HangUp("c"), Leave(Tone.CONGESTION, Announcement.TIME_UP)]
    assert not call.finished
    call.over(GONE, 60_000)
    assert (call.phase, call.cause, call.ended_ms, call.stats) == (
        CallPhase.ENDED, Cause.LIMIT_REACHED, 59_800, STATS,
    )  # fmt: skip


def test_a_warning_that_was_due_while_it_rang_comes_with_the_answer():
    call = _outgoing()
    call.grant(Lease(60_000, 1000), 100)
    assert call.tick(2000) == []
    call.answered(5000)

    assert call.tick(5000) == [Warn()]


def test_nobody_is_warned_on_hold_and_who_comes_back_is():
    call = _outgoing()
    call.grant(Lease(60_000, 20_000), 100)
    call.answered(5000)
    call.hold(held=True)
    assert call.deadline() == 60_000 - EARLY_HANG_UP_MS
    assert call.tick(20_000) == []

    call.hold(held=False)
    assert call.tick(30_000) == [Warn()]
    assert call.tick(30_001) == []


def test_the_record_waits_for_statistics_but_not_for_ever_and_the_slot_longer():
    call = _outgoing()
    call.grant(Lease(), 0)
    call.answered(10)
    call.clear(Cause.NORMAL, Party.LOCAL, 1000)
    assert not call.finished

    call.tick(1000 + STATS_PATIENCE_MS)
    assert call.finished
    assert call.stats is None
    assert call.holds_slot
    call.tick(1000 + SLOT_PATIENCE_MS)
    assert not call.holds_slot
    assert call.deadline() is None


def test_an_answer_that_crossed_our_cancel_counts_a_later_one_does_not():
    for at_ms, answered in ((900, 900), (1100, None)):
        call = _outgoing()
        call.grant(Lease(), 0)
        call.clear(Cause.CANCELLED, Party.LOCAL, 1000)
        assert call.answered(at_ms) == []
        call.over(GONE, 1200)
        assert call.answered_ms == answered
        assert call.cause is (Cause.NORMAL if answered else Cause.CANCELLED)


def test_an_incoming_call_rings_is_taken_and_answered():
    call = _incoming()
    assert call.take(1) == [Answer("c", 1)]
    assert call.answered(500) == [Speak()]
    assert call.lines == (1,)


@pytest.mark.parametrize(
    ("taken", "action"), [(False, Reject("c", 480)), (True, HangUp("c"))]
)  # fmt: skip
def test_an_incoming_call_is_rejected_before_and_hung_up_after_it_was_taken(taken, action):
    call = _incoming()
    if taken:
        call.take(0)

    assert call.clear(Cause.NO_ANSWER, Party.LOCAL, 100)[0] == action


def test_an_incoming_call_is_announced_as_ringing():
    call = Call("c", Direction.INCOMING, CallKind.ORDINARY, account="a", number="x", own_number="", now=0)

    assert call.ring([0], 90_000, 0) == [Ringing("c")]
    assert call.deadline() == 90_000


def test_an_emergency_call_abandons_a_silent_target_and_ignores_its_late_answer():
    call = _outgoing(CallKind.EMERGENCY, targets=2)
    call.start(0)
    assert call.tick(SILENT_TARGET_MS) == [HangUp("c")]
    assert call.answered(SILENT_TARGET_MS + 1) == []
    assert call.over(GONE, SILENT_TARGET_MS + 2)[-1] == Invite("c", "home", "+4722334455", 0, emergency=True, target=1)
    assert call.answered(SILENT_TARGET_MS + 3) == [Speak()]


def test_a_trying_response_buys_a_target_time_but_not_for_ever():
    call = _outgoing(CallKind.EMERGENCY, targets=2)
    call.start(0)
    call.progress(100, 50, early_media=False)

    assert call.tick(SILENT_TARGET_MS) == []
    assert call.phase is CallPhase.GRANTED
    call.progress(100, SILENT_TARGET_MS, early_media=False)
    assert call.tick(TRYING_TARGET_MS) == [HangUp("c")]
    assert call.over(GONE, TRYING_TARGET_MS + 1)[-1] == Invite(
        "c", "home", "+4722334455", 0, emergency=True, target=1
    )  # fmt: skip


@pytest.mark.parametrize("code", [180, 183])
def test_a_target_that_rings_is_not_left(code):
    call = _outgoing(CallKind.EMERGENCY, targets=2)
    call.start(0)
    call.progress(100, 50, early_media=False)
    call.progress(code, 60, early_media=False)

    assert call.deadline() is None


def test_an_emergency_call_that_is_tried_again_hears_congestion_no_longer():
    call = _outgoing(CallKind.EMERGENCY)
    call.start(0)
    assert call.over(CallOver("c", 0, "", remote=False, on_wire=False), 10) == [Hear(Tone.CONGESTION)]

    retry_ms = call.deadline()
    assert call.tick(retry_ms) == [Hear(None), Invite("c", "home", "+4722334455", 0, emergency=True)]


@given(st.integers(0, 699), st.booleans())
def test_every_final_status_has_an_ending(code, on_wire):
    ending = unanswered(code, on_wire=on_wire)

    assert ending.tone in (Tone.BUSY, Tone.CONGESTION, Tone.SPECIAL)
    assert (ending.party is Party.SYSTEM) == (ending.cause is Cause.NETWORK_FAILURE)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["grant", "refuse", "ring180", "early", "answer", "over", "busy", "clear", "tick", "take"]),
        st.integers(0, 20_000),
    ),
    max_size=40,
)


@given(_STEPS, st.sampled_from(["ordinary", "emergency", "incoming"]))
@settings(max_examples=400, deadline=None)
def test_in_whatever_order_things_happen_a_call_leaves_its_line_once_and_ends_once(steps, kind):
    call = _incoming() if kind == "incoming" else _outgoing(CallKind(kind), targets=2)
    if kind == "emergency":
        call.start(0)
    elif kind == "ordinary":
        call.ask(4000)
    now, left, ended = 0, 0, None
    for step, wait in [*steps, ("clear", 1), ("tick", STATS_PATIENCE_MS), ("tick", SLOT_PATIENCE_MS)]:
        now += wait
        decided = _take_step(call, step, now)
        left += sum(isinstance(decision, Leave) for decision in decided)
        record = (call.cause, call.ended_ms, call.released_by, call.answered_ms)
        if ended is not None:
            assert record == ended
        if call.finished:
            ended = record
    assert left == 1
    assert call.finished
    assert call.ended_ms is not None
    assert call.answered_ms is None or call.answered_ms <= call.ended_ms
    assert not call.holds_slot


def _take_step(call: Call, step: str, now: int):
    match step:
        case "grant":
            return call.grant(Lease(now + 5000, now + 2000), now) if call.direction is Direction.OUTGOING else []
        case "refuse":
            return call.refuse("x", Tone.BUSY, now)
        case "ring180":
            return call.progress(180, now, early_media=False)
        case "early":
            return call.progress(183, now, early_media=True)
        case "answer":
            return call.answered(now)
        case "over":
            return call.over(CallOver("c", 200, "", remote=True, on_wire=True), now)
        case "busy":
            return call.over(CallOver("c", 486, "", remote=True, on_wire=True), now)
        case "take":
            return call.take(0) if call.direction is Direction.INCOMING and call.live and call.line is None else []
        case "clear":
            return call.clear(Cause.NORMAL, Party.LOCAL, now)
        case _:
            return call.tick(now)


# --- time of speech ---------------------------------------------------------------------------------------------------


def talking(lease: Lease, answered: int = 10_000) -> Call:
    call = _outgoing()
    call.grant(lease, 0)
    call.answered(answered)
    return call


def test_granted_speech_counts_from_the_answer_and_says_what_it_came_from():
    call = talking(Lease(3_600_000, 3_000_000, 60_000, 40_000, "month"))
    assert (call.until_ms, call.deadline()) == (70_000, 50_000)
    assert call.tick(50_000) == [Warn("month")]
    assert call.tick(69_799) == []
    assert HangUp("c") in call.tick(69_800)
    assert (call.cause, call.limit) == (Cause.LIMIT_REACHED, "month")


def test_the_moment_ends_the_call_where_it_comes_before_the_speech_is_used_up():
    call = talking(Lease(20_000, 15_000, 60_000, 40_000, "month"))
    assert call.deadline() == 15_000
    call.tick(15_000)
    call.tick(19_800)
    assert (call.cause, call.limit) == (Cause.LIMIT_REACHED, "")


def test_ringing_uses_no_speech_up():
    call = _outgoing()
    call.grant(Lease(max_talk_ms=5_000, limit="hour"), 0)
    assert call.tick(60_000) == []
    assert (call.live, call.until_ms) == (True, None)


def test_a_renewed_lease_lengthens_the_call_and_the_same_end_is_warned_of_once():
    call = talking(Lease(max_talk_ms=60_000, warn_talk_ms=30_000, limit="day"))
    assert call.tick(40_000) == [Warn("day")]
    call.grant(Lease(max_talk_ms=60_000, warn_talk_ms=30_000, limit="day"), 41_000)
    assert call.tick(41_000) == []
    call.grant(Lease(max_talk_ms=90_000, warn_talk_ms=60_000, limit="day"), 42_000)
    assert call.tick(69_999) == []
    assert call.tick(70_000) == [Warn("day")]
    assert call.live


def test_a_lease_shorter_than_what_was_spoken_ends_the_call_now():
    call = talking(Lease(max_talk_ms=60_000, limit="lease"))
    call.grant(Lease(max_talk_ms=20_000, limit="balance"), 50_000)
    assert HangUp("c") in call.tick(50_000)
    assert call.limit == "balance"


@pytest.mark.parametrize(
    ("told_ms", "heard_ms", "ended_ms"),
    [
        (9_700, 10_000, 9_700),
        (10_500, 10_000, 10_000),
        (0, 10_000, 10_000),
        (2_000, 10_000, 7_000),
        (3_000, 5_500, 4_000),
    ],
    ids=["when it was replaced", "never in the future", "where nobody knows", "at most 3 s ago", "after the answer"],
)
def test_a_conversation_ends_when_the_handset_was_replaced(told_ms, heard_ms, ended_ms):
    call = _outgoing()
    call.grant(Lease(), 0)
    call.answered(4_000)
    call.clear(Cause.NORMAL, Party.LOCAL, heard_ms, at_ms=told_ms)
    assert call.ended_ms == ended_ms


def test_a_call_that_nobody_has_answered_ends_when_the_hang_up_leaves():
    call = _outgoing()
    call.grant(Lease(), 0)
    call.clear(Cause.CANCELLED, Party.LOCAL, 5_000, at_ms=4_500)
    assert call.ended_ms == 5_000
    call.answered(4_800)
    assert call.answered_ms == 4_800, "the answer crossed the hang-up on the wire, and is charged by the operator"
