"""Which month a call is billed in: the calendar of Europe/Oslo, by the call's beginning."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.cdr import Cdr
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.lab.operator.ledger import Unplaceable, billing_month


def began(at: str) -> Cdr:
    return Cdr(
        id=str(uuid.UUID(int=1)),
        direction=Direction.OUTGOING,
        kind=CallKind.ORDINARY,
        line=0,
        account="a",
        own_number="",
        number="",
        boot_id="",
        began_ms=0,
        began_at=at,
        time_trusted=True,
        duration_ms=0,
        setup_ms=0,
        cause=Cause.NORMAL,
        released_by=Party.LOCAL,
    )


@pytest.mark.parametrize(
    ("at", "month"),
    [
        ("2026-03-31T21:59:59Z", "2026-03"),  # summer time: Oslo is two hours ahead
        ("2026-03-31T22:00:00Z", "2026-04"),
        ("2026-12-31T22:59:59Z", "2026-12"),  # winter: one hour
        ("2026-12-31T23:00:00Z", "2027-01"),
        ("2027-01-01T00:30:00+01:00", "2027-01"),
        ("2026-12-31T14:00:00-10:00", "2027-01"),
    ],
)
def test_midnight_in_oslo_turns_the_month(at, month):
    assert billing_month(began(at)) == month


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("", "not an RFC 3339 time"),
        ("2026-13-01T00:00:00Z", "not an RFC 3339 time"),
        ("2026-03-01T00:00:00", "no time zone"),
        ("0001-01-01T00:00:00+14:00", "out of range"),
    ],
)
def test_what_has_no_month_says_why(at, reason):
    placed = billing_month(began(at))
    assert isinstance(placed, Unplaceable)
    assert reason in placed.reason


@given(st.text(max_size=40) | st.datetimes().map(lambda at: at.isoformat() + "+00:00"))
def test_any_text_is_placed_or_refused(at):
    placed = billing_month(began(at))
    assert isinstance(placed, Unplaceable) or re.fullmatch(r"\d{4}-\d{2}", placed)
