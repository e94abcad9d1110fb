"""What changes between two lists is told as callers will see it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.rating.comparing import Change, Comparison, compare
from agent.rating.deck import parse

Write = Callable[..., str]
TIMED = "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,when,from,until"


def compared(old: str, new: str, at: date | None = None) -> Comparison:
    return compare(parse(old, "old.csv"), parse(new, "new.csv"), at)


def changes(comparison: Comparison) -> list[tuple[str, Change, Fraction | None]]:
    return [(it.prefix, it.change, it.percent) for it in comparison.differences]


def test_a_list_does_not_differ_from_itself(deck_text: Write):
    found = compared(deck_text(), deck_text())
    assert (found.differences, found.said, found.same) == ((), (), 12)


def test_dearer_cheaper_new_gone_and_barred(deck_text: Write):
    old = deck_text("30,A,0,1,60,1,,", "31,B,0,1,60,1,,", "32,C,0,1,60,1,,", "33,D,0,1,60,1,,", "34,E,,blocked,,,,")
    new = deck_text(
        "30,A,0,1.1,60,1,,",
        "31,B,0,0.95,60,1,,",
        "33,D,,blocked,,,,",
        "34,E,0,1,60,1,,",
        "36,F,0,1,60,1,,",
        version="8",
    )
    found = compared(old, new)
    assert changes(found) == [
        ("30", Change.DEARER, Fraction(10)), ("31", Change.CHEAPER, Fraction(-5)), ("32", Change.GONE, None),
        ("33", Change.BLOCKED, None), ("34", Change.UNBLOCKED, None), ("36", Change.NEW, None),
    ]  # fmt: skip
    assert found.said == (("version", "7", "8"),)


def test_a_code_at_the_price_its_numbers_had_is_no_change(deck_text: Write):
    old = deck_text("46,Sverige,0,1,60,1,,", "467,Mobil,0,2,60,1,,")
    new = deck_text("46,Sverige,0,1,60,1,,", "468,Stockholm,0,1,60,1,,")
    assert changes(compared(old, new)) == [("467", Change.CHEAPER, Fraction(-50))]


def test_larger_increments_are_dearer_although_the_rate_is_the_same(deck_text: Write):
    ((_, change, percent),) = changes(compared(deck_text("46,S,0,1,60,1,,"), deck_text("46,S,0,1,60,60,,")))
    assert (change, percent) == (Change.DEARER, Fraction(0))


def test_a_connect_fee_for_a_lower_rate_is_dearer_for_short_calls_only(deck_text: Write):
    ((_, change, percent),) = changes(compared(deck_text("46,S,0,1,60,1,,"), deck_text("46,S,0.5,0.5,60,1,,")))
    assert (change, percent) == (Change.MIXED, Fraction(-100, 3))


def test_free_becomes_paid_without_a_percentage(deck_text: Write):
    assert changes(compared(deck_text("472,N,0,0,60,1,,"), deck_text("472,N,0,1,60,1,,"))) == [
        ("472", Change.DEARER, None)
    ]


def test_an_evening_price_is_compared_with_what_the_evening_cost(deck_text: Write):
    old = deck_text("46,S,0,1,60,1,,,,,", "47815,U,0,1,60,1,,,,,", columns=TIMED)
    new = deck_text(
        "46,S,0,0.5,60,1,,,mon-sun 18:00-24:00,,", "46,S,0,1,60,1,,,,,", "47815,U,0,1,60,1,,,,,", columns=TIMED
    )
    assert changes(compared(old, new)) == [("46", Change.CHEAPER, Fraction(-50))]


def test_prices_of_a_day_are_those_in_force_on_it(deck_text: Write):
    old = deck_text("46,S,0,1,60,1,,")
    new = deck_text("46,S,0,1,60,1,,,,,2026-02-28", "46,S,0,2,60,1,,,,2026-03-01,", columns=TIMED)
    assert compared(old, new).differences == ()
    assert changes(compared(old, new, date(2026, 3, 1))) == [("46", Change.DEARER, Fraction(100))]


RATES = st.dictionaries(st.sampled_from(["30", "301", "3012", "31", "312"]), st.integers(1, 9), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RATES, RATES)
def test_swapping_the_lists_swaps_what_is_told(deck_text: Write, one: dict[str, int], other: dict[str, int]):
    old, new = (
        deck_text(*(f"{prefix},X,0,{rate},60,1,," for prefix, rate in sorted(rates.items()))) for rates in (one, other)
    )
    opposite = {
        Change.DEARER: Change.CHEAPER,
        Change.CHEAPER: Change.DEARER,
        Change.NEW: Change.GONE,
        Change.GONE: Change.NEW,
    }
    there = {(it.prefix, opposite[it.change]) for it in compared(old, new).differences}
    assert there == {(it.prefix, it.change) for it in compared(new, old).differences}
