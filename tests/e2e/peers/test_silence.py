"""Callees and an operator that say nothing: what it costs the caller, and that 112 leaves all the same."""

from __future__ import annotations

import pytest

from agent.core.terms import CallKind, CallPhase, Cause, Tone

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

TONE_HZ = 425
SLOTS_FOR_ORDINARY_CALLS = 3


@pytest.fixture
def adapter(new_adapter):
    """An adapter of its own: what a silent peer does to its call slots must not reach the next test."""
    return new_adapter().ready()


def emergency_call(adapter, operator, callee, line=1):
    """Dial 112, and return how many milliseconds after the last digit it was answered."""
    peer = callee("answer", "112")
    phone = adapter.dial("112", line)
    call = adapter.agent.call(kind=CallKind.EMERGENCY, phase=CallPhase.ANSWERED)
    phone.on_hook()
    peer.finish()
    return call.answered_ms - call.asked_ms


def test_a_callee_that_never_answers_gives_congestion_and_112_leaves_meanwhile(adapter, operator, callee):
    peer = callee("silent", "22000031")
    adapter.dial("22000031")
    assert peer.sees("INVITE")
    assert emergency_call(adapter, operator, callee) < 1000
    ended = adapter.agent.call(number="+4722000031", phase=CallPhase.ENDED)
    assert (ended.cause, ended.sip_code, ended.answered_ms) == (Cause.NO_ANSWER, 408, None)
    assert adapter.plays(Tone.CONGESTION)
    assert adapter.hears(TONE_HZ)


def test_an_operator_that_says_nothing_costs_slots_but_never_the_emergency_call(adapter, operator, callee):
    numbers = [f"2200005{number}" for number in range(SLOTS_FOR_ORDINARY_CALLS + 1)]
    for number in numbers:
        operator.route(f"+47{number}", "drop")
    *hung_up, last = numbers
    for number in hung_up:
        adapter.dial(number)
        assert operator.log.wait("INVITE", f"to=+47{number} ")
        adapter.replace()
    # Nothing came back, so no CANCEL may be sent (RFC 3261 §9.1): three dead transactions hold their slots, and the
    # last slot is kept for an emergency call.
    adapter.dial(last)
    refused = adapter.agent.call(number=f"+47{last}", phase=CallPhase.ENDED, timeout=3)
    assert (refused.cause, refused.invited_ms) == (Cause.NO_CALL_SLOT, None)
    assert not operator.log.holding("INVITE", f"to=+47{last} ")
    assert emergency_call(adapter, operator, callee) < 1000
    # When the transactions are dead, calls start as before.
    answering = callee("answer", "22000058")
    assert eventually_answered(adapter, "22000058")
    adapter.replace()
    answering.finish()


def test_with_all_four_slots_held_by_the_dead_112_leaves_as_soon_as_one_is_given_back(adapter, operator, callee):
    first, second, third = (f"2200006{number}" for number in range(SLOTS_FOR_ORDINARY_CALLS))
    for number in (f"+47{first}", f"+47{second}", f"+47{third}", "113"):
        operator.route(number, "drop")
    # Two at once, so that they still hold their slots when the last has left.
    adapter.dial(first, 0)
    adapter.dial(second, 1)
    assert all(operator.log.wait("INVITE", f"to=+47{number} ") for number in (first, second))
    adapter.replace(0)
    adapter.replace(1)
    adapter.dial(third, 0)
    assert operator.log.wait("INVITE", f"to=+47{third} ")
    adapter.replace(0)
    adapter.dial("113", 1)
    assert operator.log.wait("INVITE", "to=113 ")
    adapter.replace(1)
    adapter.agent.calls.clear()
    # No transaction of a silent server lives longer than six seconds.
    assert emergency_call(adapter, operator, callee) < 7000
    assert adapter.agent.call(kind=CallKind.EMERGENCY, number="112").cause in (None, Cause.NORMAL)


def eventually_answered(adapter, number):
    """Dial until the call is not refused for want of a slot any more, at most as often as transactions can live."""
    for _ in range(8):
        adapter.replace()
        adapter.agent.calls.clear()
        adapter.dial(number)
        call = adapter.agent.call(number=f"+47{number}")
        if call.cause is not Cause.NO_CALL_SLOT:
            return adapter.agent.call(phase=CallPhase.ANSWERED)
    return None


def test_an_operator_that_answers_nothing_gives_congestion(adapter, operator):
    operator.route("+4722000059", "drop")
    adapter.dial("22000059")
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    assert (ended.cause, ended.answered_ms) == (Cause.NETWORK_FAILURE, None)
    assert ended.ended_ms - ended.invited_ms < 8000
    assert adapter.plays(Tone.CONGESTION)


def test_112_from_a_line_with_a_wrong_password_leaves_through_the_other_account(
    operator, household, new_adapter, callee
):
    wrong, right = household()
    operator.know(wrong.user, "another secret")
    adapter = new_adapter([wrong, right])
    assert adapter.agent.wait(lambda: getattr(adapter.agent.accounts.get(wrong.user), "code", 0) == 401)
    assert adapter.agent.wait(lambda: adapter.agent.accounts[right.user].registered)
    assert emergency_call(adapter, operator, callee, line=0) < 1000
    assert adapter.agent.call(kind=CallKind.EMERGENCY).account == right.user
