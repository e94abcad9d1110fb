"""How a telephone rings, and what it shows."""

from __future__ import annotations

import pytest

from agent.core.caller import CallerId, Presentation
from agent.gateway.daemon.exchange import WALL_CLOCK_MS
from agent.gateway.protocol import Exercise, WallClock

HALF_PAST_SIX_MS = 1_795_977_000_000
"""29 November 2026, 18:30, as milliseconds on the wall."""


@pytest.mark.parametrize(
    ("alert", "cadence"),
    [
        ((), ""),
        (("urn:alert:source:internal",), "internal"),
        (("http://127.0.0.1/bellcore-dr3", "bellcore-dr3"), "priority"),
        (("bellcore-dr9",), ""),
    ],
)
def test_a_call_rings_as_its_invite_asks_and_the_country_has_it(gateway, alert, cadence):
    gateway.incoming("+4722000001", alert=alert)
    assert gateway.phones[0].ringing
    assert gateway.phones[0].cadence == cadence


def test_a_telephone_shows_number_name_and_a_time_that_somebody_vouches_for(gateway):
    gateway.send(WallClock(at_ms=gateway.now, local_ms=HALF_PAST_SIX_MS))
    gateway.advance(65_000)
    gateway.incoming("+4722000001", "+4799887766", name="Kari")
    phone = gateway.phones[0]
    assert phone.caller_id == CallerId("99887766", "Kari")
    assert phone.when == "11291831"


def test_a_withheld_number_is_not_shown_but_why_is(gateway):
    gateway.incoming("+4722000001", "+4799887766", presentation=Presentation.WITHHELD)
    assert gateway.phones[0].caller == ""
    assert gateway.phones[0].caller_id.presentation is Presentation.WITHHELD


def test_no_time_is_better_than_one_that_may_be_wrong(gateway):
    gateway.incoming("+4722000001")
    assert gateway.phones[0].when == ""
    gateway.send(WallClock(at_ms=gateway.now, local_ms=HALF_PAST_SIX_MS))
    gateway.advance(WALL_CLOCK_MS)
    gateway.incoming("+4722000002")
    assert gateway.phones[1].when == ""


def test_a_trial_of_the_bell_shows_nobody(gateway):
    gateway.send(Exercise(line=0, what="ring"))
    assert gateway.phones[0].ringing
    assert gateway.phones[0].caller_id is None
