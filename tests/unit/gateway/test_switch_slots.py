"""Call slots that the SIP library still holds for calls that are over: counted, so that the last one stays for 112."""

from __future__ import annotations

from agent.core.terms import CallPhase, Cause, Tone

MAX_CALLS = 4


def test_an_ordinary_call_may_not_take_the_last_slot_beside_dead_ones(make_gateway):
    gateway = make_gateway(max_calls=MAX_CALLS)
    gateway.hold_slots(MAX_CALLS - 1)

    refused = gateway.call_number("22334455", 0)

    assert (gateway.call(refused).cause, gateway.call(refused).invited_ms) == (Cause.NO_CALL_SLOT, None)
    assert gateway.phones[0].tone is Tone.CONGESTION


def test_an_incoming_call_is_busy_rather_than_in_the_last_slot(make_gateway):
    gateway = make_gateway(max_calls=MAX_CALLS)
    gateway.hold_slots(MAX_CALLS - 1)

    refused = gateway.incoming("+4722000001")

    assert (gateway.call(refused).cause, gateway.call(refused).sip_code) == (Cause.NO_CALL_SLOT, 486)


def test_an_emergency_call_takes_the_last_slot_at_once(make_gateway):
    gateway = make_gateway(max_calls=MAX_CALLS)
    gateway.hold_slots(MAX_CALLS - 1)

    emergency = gateway.call_number("112", 0)

    assert gateway.call(emergency).invited_ms == gateway.call(emergency).asked_ms
    assert not gateway.leg(emergency).over


def test_an_emergency_call_that_stands_by_starts_the_moment_a_dead_slot_is_free(make_gateway):
    gateway = make_gateway(max_calls=MAX_CALLS)
    gateway.hold_slots(MAX_CALLS)
    emergency = gateway.call_number("112", 0)
    assert (gateway.call(emergency).phase, gateway.call(emergency).invited_ms) == (CallPhase.GRANTED, None)

    gateway.advance(300)
    gateway.hold_slots(MAX_CALLS - 1)

    assert not gateway.leg(emergency).over
    assert gateway.call(emergency).invited_ms == gateway.now


def test_with_the_slots_free_again_calls_start_as_before(make_gateway):
    gateway = make_gateway(max_calls=MAX_CALLS)
    gateway.hold_slots(MAX_CALLS - 1)
    gateway.hold_slots(0)

    assert gateway.call(gateway.call_number("22334455", 0)).cause is None
