"""Callees and an operator that say nothing: what it costs the caller, and that 112 leaves all the same."""

from __future__ import annotations

import time

import pytest

from agent.core.events import CallKind, CallPhase, Cause, Tone

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

TONE_HZ = 425
SLOTS_FOR_ORDINARY_CALLS = 3


@pytest.fixture
def adapter(new_adapter):
    """An adapter of its own: what a silent peer does to its call slots must not reach the next test."""
    return new_adapter().ready()


def dials(adapter, digits, line=0):
    phone = adapter.phones[line]
    phone.off_hook()
    assert phone.wait_for(lambda: phone.hears(TONE_HZ, 100) > -20, 5), "no dial tone"
    phone.dial(digits)
    return phone


def emergency_call(adapter, operator, callee, line=1):
    """Dial 112, and return how many milliseconds after the last digit it was answered."""
    peer = callee("answer", "112")
    phone = dials(adapter, "112", line)
    call = adapter.agent.call(kind=CallKind.EMERGENCY, phase=CallPhase.ANSWERED)
    phone.on_hook()
    peer.finish()
    return call.answered_ms - call.asked_ms


def test_a_callee_that_never_answers_gives_congestion_and_112_leaves_meanwhile(adapter, operator, callee):
    peer = callee("silent", "22000031")
    phone = dials(adapter, "22000031")
    assert peer.sees("INVITE")
    assert emergency_call(adapter, operator, callee) < 1000
    ended = adapter.agent.call(number="+4722000031", phase=CallPhase.ENDED)
    assert (ended.cause, ended.sip_code, ended.answered_ms) == (Cause.NO_ANSWER, 408, None)
    assert adapter.agent.wait(lambda: adapter.agent.lines[0].tone is Tone.CONGESTION)
    assert phone.wait_for(lambda: phone.hears(TONE_HZ) > -20, 5)


def test_an_operator_that_says_nothing_costs_slots_but_never_the_emergency_call(adapter, operator, callee):
    numbers = [f"2200005{number}" for number in range(SLOTS_FOR_ORDINARY_CALLS + 1)]
    for number in numbers:
        operator.route(f"+47{number}", "drop")
    *hung_up, last = numbers
    for number in hung_up:
        phone = dials(adapter, number)
        assert operator.log.wait("INVITE", f"to=+47{number} ")
        phone.on_hook()
        assert adapter.agent.wait(lambda: not adapter.agent.lines[0].off_hook)
    # Nothing came back, so no CANCEL may be sent (RFC 3261 §9.1): three dead transactions hold their slots, and the last
    # slot is kept for an emergency call.
    dials(adapter, last)
    refused = adapter.agent.call(number=f"+47{last}", phase=CallPhase.ENDED, timeout=3)
    assert (refused.cause, refused.invited_ms) == (Cause.NO_CALL_SLOT, None)
    assert not operator.log.holding("INVITE", f"to=+47{last} ")
    assert emergency_call(adapter, operator, callee) < 1000
