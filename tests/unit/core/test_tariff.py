"""What a call costs, checked by hand, and the laws that hold for every tariff."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.charge import Charge, price
from agent.core.money import Rounding
from agent.core.tariff import (
    Interval,
    PriceRules,
    Rate,
    Tariff,
    TariffError,
    Vat,
    validate,
    whole_seconds,
)

RULES = PriceRules("privat", "1", "NOK", Vat.NOT_STATED, Rounding.HALF_UP, 6)


def rate_of(*intervals: tuple[int, int, int, int], fee: int = 0, minimum: int = 0) -> Rate:
    tariff = Tariff(fee, tuple(Interval(*interval) for interval in intervals), minimum)
    validate(tariff)
    return Rate("46", "Sverige", tariff, 12)


def charge(rate: Rate, seconds: float, rules: PriceRules = RULES) -> Charge:
    return price(rate, round(seconds * 1000), rules)


PER_SECOND = rate_of((0, 150_000, 60, 1))
THIRTY_SIX = rate_of((0, 6_000, 60, 30), (30, 6_000, 60, 6))
SIXTY_SIXTY = rate_of((0, 100_000, 60, 60))
TWO_STEPS = rate_of((0, 200_000, 60, 60), (60, 100_000, 60, 1), fee=400_000)


@st.composite
def tariffs(draw: st.DrawFn) -> Rate:
    intervals = []
    from_s = 0
    for _ in range(draw(st.integers(1, 4))):
        increment = draw(st.integers(1, 90))
        intervals.append((from_s, draw(st.integers(0, 10**7)), draw(st.sampled_from([1, 60, 3600])), increment))
        from_s += increment * draw(st.integers(1, 5))
    return rate_of(*intervals, fee=draw(st.integers(0, 10**6)), minimum=draw(st.integers(0, 10**6)))


rules = st.builds(
    PriceRules, st.just("p"), st.just("1"), st.just("NOK"), st.sampled_from(Vat), st.sampled_from(Rounding),
    st.integers(0, 6), st.sampled_from(Rounding),
)  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "seconds", "micro"),
    [
        (PER_SECOND, 60, 150_000),
        (PER_SECOND, 61, 152_500),
        (PER_SECOND, 125, 312_500),
        (PER_SECOND, 3600, 9_000_000),
        (THIRTY_SIX, 1, 3_000),
        (THIRTY_SIX, 30, 3_000),
        (THIRTY_SIX, 31, 3_600),
        (THIRTY_SIX, 32, 3_600),  # measured from the end of the first block: 36 s
        (THIRTY_SIX, 36, 3_600),  # an exact multiple is not rounded further
        (THIRTY_SIX, 57, 6_000),
        (THIRTY_SIX, 75, 7_800),
        (SIXTY_SIXTY, 60, 100_000),
        (SIXTY_SIXTY, 61, 200_000),
        (SIXTY_SIXTY, 180, 300_000),  # 0.3, not 0.3001
        (TWO_STEPS, 120, 700_000),
        (TWO_STEPS, 3600, 6_500_000),
        (rate_of((0, 1_000_000, 3600, 1)), 1, 278),
    ],
)
def test_hand_checked_amounts(rate: Rate, seconds: int, micro: int) -> None:
    assert charge(rate, seconds).amount_micro == micro


def test_an_unanswered_call_costs_nothing_not_even_the_connect_fee() -> None:
    silent = charge(rate_of((0, 1, 1, 1), fee=1_000_000, minimum=5_000_000), 0)
    assert (silent.amount_micro, silent.exact_micro, silent.billed_s) == (0, 0, 0)
    assert silent.steps[-1].key == "price.unanswered"


def test_a_clock_that_went_backwards_never_makes_a_negative_price() -> None:
    assert price(TWO_STEPS, -5_000, RULES).amount_micro == 0


def test_the_shortest_answer_pays_connect_fee_and_first_increment() -> None:
    assert price(TWO_STEPS, 1, RULES).amount_micro == 600_000


@pytest.mark.parametrize(
    ("rule", "ms", "seconds"),
    [
        (Rounding.UP, 1, 1), (Rounding.UP, 1000, 1), (Rounding.UP, 1001, 2), (Rounding.DOWN, 1999, 1),
        (Rounding.HALF_UP, 1500, 2), (Rounding.HALF_EVEN, 2500, 2), (Rounding.UP, 0, 0), (Rounding.UP, -1, 0),
    ],
)  # fmt: skip
def test_the_price_list_names_how_milliseconds_become_seconds(rule: Rounding, ms: int, seconds: int) -> None:
    assert whole_seconds(ms, rule) == seconds


def test_only_the_sum_is_rounded() -> None:
    third = rate_of((0, 10_000_000, 60, 1))
    whole = PriceRules("p", "1", "NOK", Vat.NOT_STATED, Rounding.UP, 4)
    result = charge(third, 10, whole)
    assert result.exact_micro == Fraction(5_000_000, 3)
    assert result.amount_micro == 1_666_700


def test_the_minimum_is_for_the_whole_call_connect_fee_included() -> None:
    rate = rate_of((0, 60_000, 60, 1), fee=100_000, minimum=500_000)
    assert charge(rate, 60).amount_micro == 500_000
    assert charge(rate, 600).amount_micro == 700_000


def test_the_explanation_adds_up_to_the_price() -> None:
    steps = charge(TWO_STEPS, 75).steps
    assert [step.key for step in steps] == [
        "price.row", "price.seconds_up", "price.interval", "price.interval", "price.connect_fee",
        "price.rounding_half_up", "price.vat_not_stated",
    ]  # fmt: skip
    parts = [Fraction(step.values["amount_exact"]) for step in steps if step.key == "price.interval"]
    assert parts == [Fraction(1, 5), Fraction(1, 40)]
    assert steps[0].values == {"prefix": "46", "destination": "Sverige", "row": "12", "list": "privat", "version": "1"}
    assert int(steps[5].values["total_micro"]) == 625_000


def test_an_interval_that_was_not_reached_is_not_explained() -> None:
    keys = [step.key for step in charge(TWO_STEPS, 60).steps]
    assert keys.count("price.interval") == 1


def test_a_free_call_says_so() -> None:
    assert [step.key for step in charge(rate_of((0, 0, 60, 1)), 9).steps][-2:] == ["price.interval_free", "price.free"]


def test_a_call_of_three_days_is_priced_at_once() -> None:
    began = time.process_time()
    assert charge(TWO_STEPS, 72 * 3600).amount_micro == 400_000 + 200_000 + (72 * 60 - 1) * 100_000
    assert time.process_time() - began < 0.05


def test_three_days_take_no_more_steps_than_ten_seconds() -> None:
    steps = [[step.key for step in charge(PER_SECOND, seconds).steps] for seconds in (10, 72 * 3600)]
    assert steps[0] == steps[1]


@given(tariffs(), st.integers(0, 10**7), st.integers(0, 10**7), rules)
def test_a_longer_call_is_never_cheaper(rate: Rate, first_ms: int, second_ms: int, how: PriceRules) -> None:
    shorter, longer = sorted((first_ms, second_ms))
    assert price(rate, shorter, how).amount_micro <= price(rate, longer, how).amount_micro


@given(st.integers(1, 90), st.integers(0, 10**7), st.sampled_from([1, 60, 3600]), st.integers(1, 500))
def test_whole_increments_cost_exactly_their_multiple(increment: int, micro: int, unit: int, count: int) -> None:
    rate = rate_of((0, micro, unit, increment))
    result = price(rate, count * increment * 1000, RULES)
    assert result.exact_micro == Fraction(micro * increment * count, unit)
    assert result.billed_s == count * increment


@given(tariffs(), st.integers(1, 10**6))
def test_billed_time_covers_the_call_by_less_than_one_increment(rate: Rate, ms: int) -> None:
    result = price(rate, ms, RULES)
    overshoot = result.billed_s - result.seconds
    assert 0 <= overshoot < max(part.increment_s for part in rate.tariff.intervals)


@given(tariffs(), st.integers(0, 10**7), rules)
def test_the_closed_form_equals_counting_increments_one_by_one(rate: Rate, ms: int, how: PriceRules) -> None:
    ms %= 1_000_000
    seconds = whole_seconds(ms, how.seconds)
    intervals = rate.tariff.intervals
    total, at = Fraction(0), 0
    while at < seconds:
        part = [interval for interval in intervals if interval.from_s <= at][-1]
        total += Fraction(part.rate_micro * part.increment_s, part.unit_s)
        at += part.increment_s
    if ms > 0:
        total = max(total + rate.tariff.connect_fee_micro, Fraction(rate.tariff.minimum_micro))
    assert price(rate, ms, how).exact_micro == total


@pytest.mark.parametrize(
    ("tariff", "field"),
    [
        (Tariff(0, ()), "next"),
        (Tariff(0, (Interval(5, 1, 1, 1),)), "rate"),
        (Tariff(-1, (Interval(0, 1, 1, 1),)), "connect_fee"),
        (Tariff(0, (Interval(0, -1, 1, 1),)), "rate"),
        (Tariff(0, (Interval(0, 1, 0, 1),)), "unit_s"),
        (Tariff(0, (Interval(0, 1, 7, 1),)), "unit_s: a day"),
        (Tariff(0, (Interval(0, 1, 1, 0),)), "increment_s"),
        (Tariff(0, (Interval(0, 1, 1, 60), Interval(90, 1, 1, 1))), "next: second 90"),
        (Tariff(0, (Interval(0, 1, 1, 1), Interval(0, 1, 1, 1))), "rising"),
        (Tariff(1, (), blocked=True), "blocked"),
    ],
)
def test_a_tariff_that_contradicts_itself_is_refused(tariff: Tariff, field: str) -> None:
    with pytest.raises(TariffError, match=field):
        validate(tariff)


def test_a_blocked_destination_has_no_price() -> None:
    with pytest.raises(TariffError, match="blocked"):
        price(Rate("88", "Satellitt", Tariff(0, (), blocked=True), 3), 1000, RULES)
