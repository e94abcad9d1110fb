"""Calls over hours, days and dates; the longest call for a sum; maximum, tax and their explanation."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from agent.core.charge import HORIZON_MS, Charge, NoPriceFrom, Terms, max_duration, price, price_by
from agent.core.civil import parse_days, parse_window
from agent.core.explanation import MAX_PARTS
from agent.core.money import Rounding, exact_text
from agent.core.schedule import limited, spans, uncovered
from agent.core.tariff import (
    AtMaximum,
    Interval,
    Lengths,
    PriceRules,
    Rate,
    Tariff,
    TariffError,
    Vat,
    validate,
    whole_seconds,
)

OSLO = ZoneInfo("Europe/Oslo")
HOLIDAYS = (parse_days("12-25..12-26"), parse_days("2026-04-03"))
RULES = PriceRules("privat", "1", "NOK", Vat.NOT_STATED, Rounding.HALF_UP, 6, holidays=HOLIDAYS)
BLOCKED = Tariff(0, (), blocked=True)


def tariff_of(*intervals: tuple[int, int, int, int], fee: int = 0, minimum: int = 0) -> Tariff:
    tariff = Tariff(fee, tuple(Interval(*interval) for interval in intervals), minimum)
    validate(tariff)
    return tariff


def row(tariff: Tariff, when: str = "", line: int = 1, *, since: str = "", until: str = "", prefix: str = "46") -> Rate:
    return Rate(
        prefix, "Sverige", tariff, line, parse_window(when),
        date.fromisoformat(since) if since else None, date.fromisoformat(until) if until else None,
    )  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=OSLO)


def charge(rates: tuple[Rate, ...], start: str, seconds: float, rules: PriceRules = RULES) -> Charge:
    return price(rates, round(seconds * 1000), rules, start=at(start), zone=OSLO)


DAY = tariff_of((0, 1_000_000, 1, 1), fee=10_000_000)
NIGHT = tariff_of((0, 100_000, 1, 1), fee=5_000_000)
DAY_AND_NIGHT = (row(DAY, "mon-fri 08:00-17:00", 1), row(NIGHT, "", 2))


@pytest.mark.parametrize(
    ("start", "seconds", "micro"),
    [
        ("2026-11-23 07:59:00", 60, 5_000_000 + 6_000_000),  # ends exactly at the change: the old row
        ("2026-11-23 08:00:00", 60, 10_000_000 + 60_000_000),  # starts exactly at it: the new one
        ("2026-11-23 07:59:30", 60, 5_000_000 + 3_000_000 + 30_000_000),  # no second connect fee
        ("2026-11-23 16:59:59", 2, 10_000_000 + 1_000_000 + 100_000),
        ("2026-11-22 12:00:00", 60, 5_000_000 + 6_000_000),  # Sunday
        ("2026-11-27 16:00:00", 3 * 86_400, 10_000_000 + 9 * 3600 * 1_000_000 + 63 * 3600 * 100_000),
    ],
)
def test_a_call_over_a_change_is_split(start: str, seconds: int, micro: int) -> None:
    assert charge(DAY_AND_NIGHT, start, seconds).amount_micro == micro


def test_an_increment_that_began_before_a_change_eats_into_what_follows() -> None:
    minutes = tariff_of((0, 60_000_000, 60, 60))
    rates = (row(minutes, "00:00-18:00", 1), row(tariff_of((0, 1, 1, 1)), "18:00-24:00", 2))
    result = charge(rates, "2026-11-23 17:59:30", 90)
    assert result.amount_micro == 60_000_000 + 30  # one whole minute of the old row, then 30 s of the new
    assert result.billed_s == 90
    assert charge(rates, "2026-11-23 17:59:30", 60).amount_micro == 60_000_000


def test_a_second_belongs_to_the_side_on_which_it_begins_whatever_its_milliseconds() -> None:
    rates = (row(tariff_of((0, 7, 1, 1)), "00:00-18:00", 1), row(tariff_of((0, 1, 1, 1)), "18:00-24:00", 2))
    # Seconds begin at 17:59:58.5, 17:59:59.5, 18:00:00.5.
    assert charge(rates, "2026-11-23 17:59:58.500", 3).amount_micro == 7 + 7 + 1


def test_group_intervals_count_from_the_answer_on_both_sides() -> None:
    dear_first = tariff_of((0, 1_000, 1, 60), (60, 1, 1, 1))
    rates = (row(dear_first, "00:00-18:00", 1), row(dear_first, "18:00-24:00", 2))
    assert charge(rates, "2026-11-23 17:58:00", 180).amount_micro == 60_000 + 120


@pytest.mark.parametrize(
    ("start", "seconds", "night_s"),
    [
        ("2026-03-29 01:30:00", 3 * 3600, 2 * 3600),  # 02:00 to 03:00 does not exist: night until 04:30 civil is 2 h
        ("2026-10-25 01:30:00", 4 * 3600, 3 * 3600 + 1800),  # 02:00 to 03:00 comes twice
        ("2026-10-24 23:00:00", 7200, 7200),
    ],
)
def test_nights_on_which_the_clocks_change(start: str, seconds: int, night_s: int) -> None:
    rates = (row(tariff_of((0, 1_000, 1, 1)), "00:00-04:30+22:00-24:00", 1), row(tariff_of((0, 1, 1, 1)), "", 2))
    if start.startswith("2026-10-25"):
        rates = (row(tariff_of((0, 1_000, 1, 1)), "00:00-04:00", 1), rates[1])
    assert charge(rates, start, seconds).amount_micro == night_s * 1_000 + (seconds - night_s)


def test_a_window_of_an_hour_that_does_not_exist_or_comes_twice() -> None:
    rates = (row(tariff_of((0, 1_000, 1, 1)), "02:15-02:45", 1), row(tariff_of((0, 1, 1, 1)), "", 2))
    assert charge(rates, "2026-03-29 01:00:00", 3 * 3600).amount_micro == 3 * 3600
    assert charge(rates, "2026-10-25 01:00:00", 4 * 3600).amount_micro == 3600 * 1_000 + 3 * 3600


def test_holidays_and_dates_come_before_the_rule_where_the_list_puts_them() -> None:
    rates = (
        row(tariff_of((0, 5, 1, 1)), "12-24 12:00-24:00", 1), row(tariff_of((0, 3, 1, 1)), "sat+sun+hol", 2),
        row(tariff_of((0, 1, 1, 1)), "", 3),
    )  # fmt: skip
    for start, per_second in (
        ("2026-12-24 11:00", 1), ("2026-12-24 12:00", 5), ("2026-12-25 12:00", 3), ("2026-04-03 12:00", 3),
        ("2027-04-03 12:00", 3), ("2027-04-05 12:00", 1), ("2026-11-22 12:00", 3), ("2026-11-23 12:00", 1),
    ):  # fmt: skip
        assert charge(rates, start, 10).amount_micro == 10 * per_second, start
    assert charge(rates, "2026-12-24 23:59:55", 10).amount_micro == 25 + 15


def test_a_row_is_in_force_from_its_first_to_its_last_civil_day() -> None:
    old, new = row(tariff_of((0, 1, 1, 1)), until="2018-12-31"), row(tariff_of((0, 3, 1, 1)), since="2019-01-01")
    assert charge((old, new), "2018-12-31 23:59:58", 5).amount_micro == 2 + 9
    assert charge((old, new), "2018-12-31 12:00:00", 5).amount_micro == 5
    assert charge((old, new), "2019-01-01 00:00:00", 5).amount_micro == 15


def test_a_call_over_a_change_of_price_list_is_split_at_its_midnight() -> None:
    old = (row(tariff_of((0, 3, 1, 1)), until="2018-06-30"), row(tariff_of((0, 1, 1, 1), fee=50), line=2))
    new = (row(tariff_of((0, 7, 1, 1), fee=90), line=3),)
    joined = (*limited(old, None, date(2018, 12, 31)), *limited(new, date(2019, 1, 1), None))
    assert charge(joined, "2018-12-31 23:59:57", 5).amount_micro == 50 + 3 + 14
    assert charge(joined, "2018-12-31 23:59:55", 5).amount_micro == 50 + 5
    assert charge(joined, "2019-01-01 00:00:00", 5).amount_micro == 90 + 35
    assert charge(joined, "2018-06-30 12:00:00", 5).amount_micro == 15
    assert [rate.row for rate in limited(old, date(2018, 7, 1), None)] == [2]


def test_a_new_code_is_priced_as_its_country_until_it_starts_and_the_call_is_split_there() -> None:
    rates = (row(tariff_of((0, 9, 1, 1)), since="2026-12-01", prefix="4679"), row(tariff_of((0, 1, 1, 1))))
    result = charge(rates, "2026-11-30 23:59:57", 5)
    assert result.amount_micro == 3 + 18
    assert result.rate.prefix == "46"


def test_what_is_blocked_or_has_no_row_has_no_price_and_ends_a_call() -> None:
    later = (row(tariff_of((0, 1, 1, 1)), since="2026-12-01"),)
    with pytest.raises(NoPriceFrom) as refused:
        charge(later, "2026-11-30 12:00", 5)
    assert refused.value.second == 0
    ending = (row(tariff_of((0, 1, 1, 60)), until="2026-11-30"), row(BLOCKED))
    assert charge(ending, "2026-11-30 23:59:30", 60).amount_micro == 60
    with pytest.raises(NoPriceFrom) as refused:
        charge(ending, "2026-11-30 23:59:30", 61)
    assert refused.value.second == 60
    terms = Terms(ending, RULES, at("2026-11-30 23:59:30"), OSLO)
    assert max_duration(terms, None) == 60_000
    assert max_duration(Terms(later, RULES, at("2026-11-30 12:00"), OSLO), None) == 0


def test_rows_that_depend_on_time_are_not_priced_without_one() -> None:
    for start, zone in ((None, OSLO), (at("2026-11-23 12:00"), None), (None, None)):
        with pytest.raises(TariffError, match="when the call was answered"):
            price(DAY_AND_NIGHT, 1000, RULES, start=start, zone=zone)
    assert price(row(DAY), 1000, RULES).amount_micro == 11_000_000


# --- laws ------------------------------------------------------------------------------------------------------------

WINDOWS = ("", "mon-fri 08:00-17:00", "sat+sun", "hol", "00:00-02:30", "02:15-02:45+12:00-12:01", "mon+wed", "10-25")


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    intervals = []
    from_s = 0
    for _ in range(draw(st.integers(1, 3))):
        increment = draw(st.sampled_from([1, 6, 30, 60, 3600]))
        unit = draw(st.sampled_from([1, 60, 3600]))
        intervals.append(Interval(from_s, draw(st.integers(0, 10**6)), unit, increment))
        from_s += increment * draw(st.integers(1, 5))
    maximum = draw(st.none() | st.integers(10**6, 10**8))
    tariff = Tariff(
        draw(st.integers(0, 10**6)), tuple(intervals), draw(st.integers(0, 10**6)), maximum_micro=maximum,
        at_maximum=draw(st.sampled_from(AtMaximum)),
    )  # fmt: skip
    try:
        validate(tariff)
    except TariffError:
        assume(False)
    return tariff


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    rows = [row(draw(tariffs()), draw(st.sampled_from(WINDOWS)), n) for n in range(draw(st.integers(0, 3)))]
    rows.append(row(draw(tariffs()), "", 9))
    vat = draw(st.sampled_from(Vat))
    rules = PriceRules(
        "p", "1", "NOK", vat, draw(st.sampled_from(Rounding)), draw(st.integers(0, 6)), draw(st.sampled_from(Rounding)),
        draw(st.integers(1, 3000)) if vat is Vat.ADDED else 0, HOLIDAYS,
    )  # fmt: skip
    moment = draw(
        st.sampled_from(["2026-03-29T00:40", "2026-10-25T00:10", "2026-11-20T07:00", "2026-12-24T22:59:59.250"])
    )
    start = datetime.fromisoformat(moment).replace(tzinfo=UTC) + timedelta(seconds=draw(st.integers(0, 7200)))
    return Terms(tuple(rows), rules, start, OSLO)


durations = st.integers(0, 20_000) | st.integers(0, 72 * 3_600_000)


def by_counting(terms: Terms, ms: int) -> Fraction:
    """Price a call increment by increment, asking the clock on the wall at each: slow, and plainly right."""
    assert terms.start is not None
    assert terms.zone is not None
    rules = terms.rules
    usage, second, first = Fraction(0), 0, None
    seconds = whole_seconds(ms, rules.seconds)
    while second < seconds or first is None:
        wall = (terms.start.astimezone(UTC) + timedelta(seconds=second)).astimezone(terms.zone)
        of_day = wall.hour * 3600 + wall.minute * 60 + wall.second
        rate = next(
            rate for rate in terms.rates
            if rate.when.fits_day(wall.date(), rules.holidays) and rate.when.fits_time(of_day)
        )  # fmt: skip
        first = first or rate.tariff
        if second < seconds:
            part = [interval for interval in rate.tariff.intervals if interval.from_s <= second][-1]
            usage += Fraction(part.rate_micro * part.increment_s, part.unit_s)
            second += part.increment_s
    net = max(usage + first.connect_fee_micro, Fraction(first.minimum_micro))
    if first.maximum_micro is not None and first.at_maximum is AtMaximum.FREE:
        net = min(net, Fraction(first.maximum_micro))
    return net * (10_000 + rules.vat_bp) / 10_000


@settings(deadline=None)
@given(terms(), st.integers(1, 30_000_000))
def test_the_closed_form_equals_counting_increments_on_the_wall_clock(terms: Terms, ms: int) -> None:
    ms = min(ms, 3_000_000) if any(p.increment_s == 1 for r in terms.rates for p in r.tariff.intervals) else ms
    assert price_by(terms, ms, explain=False).exact_micro == by_counting(terms, ms)


@settings(deadline=None)
@given(terms(), durations, durations)
def test_a_longer_call_is_never_cheaper(terms: Terms, one_ms: int, other_ms: int) -> None:
    shorter, longer = sorted((one_ms, other_ms))
    costs = [price_by(terms, ms, explain=False).amount_micro for ms in (shorter, longer)]
    assert costs[0] <= costs[1]


@settings(deadline=None)
@given(terms(), durations)
def test_explained_or_not_a_call_costs_the_same_and_the_steps_add_up(terms: Terms, ms: int) -> None:
    told, untold = price_by(terms, ms), price_by(terms, ms, explain=False)
    assert (told.amount_micro, told.exact_micro, told.billed_s, told.paid_s) == (
        untold.amount_micro, untold.exact_micro, untold.billed_s, untold.paid_s,
    )  # fmt: skip
    assert untold.steps == ()
    assert len(told.steps) <= 2 * MAX_PARTS + 9
    values = {step.key: step.values for step in told.steps}
    usage = sum(
        Fraction(step.values["amount_exact"])
        for step in told.steps
        if step.key in ("price.interval", "price.more_parts")
    )
    fee = told.rate.tariff.connect_fee_micro if told.seconds or ms > 0 else 0
    bounded = values.get("price.minimum") or values.get("price.maximum")
    if bounded:
        assert Fraction(bounded["amount_exact"]) == usage + Fraction(fee, 10**6)
    elif "price.vat_added" not in values and told.exact_micro:
        assert told.exact_micro == usage * 10**6 + fee
    assert told.paid_s <= told.billed_s
    assert len(exact_text(told.exact_micro)) <= 128  # what a record holds


@given(terms(), st.integers(1, 72 * 3600))
def test_the_spans_of_a_call_follow_each_other_and_cover_it(terms: Terms, seconds: int) -> None:
    sides = list(spans(terms.rates, terms.rules.holidays, terms.start, terms.zone, seconds))
    assert sides[0].begin_s == 0
    assert all(before.end_s == after.begin_s for before, after in pairwise(sides))
    assert all(before.rate is not after.rate for before, after in pairwise(sides))
    assert sides[-1].begin_s < seconds
    assert sides[-1].end_s is None


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 10**6), st.integers(0, 10**6))
def test_split_equals_whole_at_a_boundary_of_whole_increments(before: int, after: int, one: int, two: int) -> None:
    left, right = tariff_of((0, one, 60, 1)), tariff_of((0, two, 60, 1))
    rates = (row(left, "00:00-12:00", 1), row(right, "", 2))
    noon = at("2026-11-23 12:00:00")
    whole = price(rates, (before + after) * 1000, RULES, start=noon - timedelta(seconds=before), zone=OSLO)
    parts = [
        price(rates, before * 1000, RULES, start=noon - timedelta(seconds=before), zone=OSLO),
        price(rates, after * 1000, RULES, start=noon, zone=OSLO),
    ]
    assert whole.exact_micro == sum(part.exact_micro for part in parts)
    assert whole.billed_s == before + after


# --- the longest call for a sum --------------------------------------------------------------------------------------


@settings(deadline=None)
@given(terms(), st.integers(0, 10**8), st.integers(1, 72 * 3_600_000))
def test_the_longest_call_is_the_exact_inverse_of_the_price(terms: Terms, budget: int, horizon: int) -> None:
    longest = max_duration(terms, budget, horizon_ms=horizon)
    tariff = price_by(terms, 1, explain=False).rate.tariff
    limit = tariff.maximum_micro if tariff.at_maximum is AtMaximum.DISCONNECT else None

    def fits(ms: int) -> bool:
        found = price_by(terms, ms, explain=False)
        net = found.exact_micro * 10_000 / (10_000 + terms.rules.vat_bp)
        return found.amount_micro <= budget and (limit is None or net <= limit)

    assert 0 <= longest <= horizon
    if longest:
        assert fits(longest)
        assert fits(max(1, longest - 200))  # where the call is really ended
    first_second = {Rounding.UP: 1, Rounding.DOWN: 1000}.get(terms.rules.seconds, 501)
    beyond = longest + 1 if longest else min(horizon, first_second)
    if longest < horizon and whole_seconds(beyond, terms.rules.seconds):
        assert not fits(beyond)


@settings(deadline=None)
@given(terms(), st.integers(0, 10**8), st.integers(0, 10**8))
def test_more_money_never_buys_less_time(terms: Terms, one: int, other: int) -> None:
    less, more = sorted((one, other))
    assert max_duration(terms, less) <= max_duration(terms, more) <= max_duration(terms, None)


@pytest.mark.parametrize(
    ("tariff", "budget", "ms"),
    [
        (tariff_of((0, 1_000_000, 60, 60), fee=500_000), 1_499_999, 0),  # 15 s of credit, a block of 60 s
        (tariff_of((0, 1_000_000, 60, 60), fee=500_000), 1_500_000, 60_000),
        (tariff_of((0, 1_000_000, 60, 60), fee=500_000), 2_499_999, 60_000),
        (tariff_of((0, 1_000_000, 60, 1)), 1_000_000, 60_000),
        (tariff_of((0, 1_000_000, 60, 1), minimum=2_000_000), 1_999_999, 0),
        (tariff_of((0, 1_000_000, 60, 1), minimum=2_000_000), 2_000_000, 120_000),
        (tariff_of((0, 0, 60, 1)), 0, HORIZON_MS),
        (tariff_of((0, 0, 60, 60), (300, 1_000_000, 60, 60)), 0, 300_000),
        (tariff_of((0, 0, 60, 1), fee=3_000_000), 3_000_000, HORIZON_MS),
        (tariff_of((0, 0, 60, 1), fee=3_000_000), 2_999_999, 0),
    ],
)
def test_first_increment_and_connect_fee_must_fit(tariff: Tariff, budget: int, ms: int) -> None:
    assert max_duration(Terms((row(tariff),), RULES), budget) == ms


@pytest.mark.parametrize(
    ("rule", "seconds", "ms"),
    [
        (Rounding.UP, 2, 2000), (Rounding.DOWN, 2, 2999), (Rounding.HALF_UP, 2, 2499), (Rounding.HALF_EVEN, 2, 2500),
        (Rounding.HALF_EVEN, 3, 3499),
    ],
)  # fmt: skip
def test_a_sum_lasts_as_many_milliseconds_as_count_as_its_seconds(rule: Rounding, seconds: int, ms: int) -> None:
    rules = structs.replace(RULES, seconds=rule)
    assert max_duration(Terms((row(tariff_of((0, 1, 1, 1))),), rules), seconds) == ms


def test_a_sum_lasts_over_a_change_to_a_cheaper_hour() -> None:
    terms = Terms(DAY_AND_NIGHT, RULES, at("2026-11-23 16:59:50"), OSLO)
    assert max_duration(terms, 10_000_000 + 10_000_000) == 10_000
    assert max_duration(terms, 10_000_000 + 10_000_000 + 100_000) == 11_000
    assert max_duration(terms, 10_000_000 + 10_000_000 - 1) == 9_000


# --- maximum, tax, explanation ---------------------------------------------------------------------------------------


def test_above_the_maximum_a_call_is_free_or_is_ended() -> None:
    base = (Interval(0, 1_000_000, 60, 60),)
    free = Tariff(0, base, maximum_micro=2_500_000)
    cut = Tariff(0, base, maximum_micro=2_500_000, at_maximum=AtMaximum.DISCONNECT)
    assert [price(row(free), m * 60_000, RULES).amount_micro for m in (2, 3, 60)] == [2_000_000, 2_500_000, 2_500_000]
    assert price(row(cut), 180_000, RULES).amount_micro == 3_000_000
    assert max_duration(Terms((row(free),), RULES), 2_500_000) == HORIZON_MS
    assert max_duration(Terms((row(cut),), RULES), None) == 120_000


@pytest.mark.parametrize(
    ("maximum", "then", "minimum", "reason"),
    [
        (0, AtMaximum.FREE, 0, "between"),
        (10**9 + 1, AtMaximum.FREE, 0, "between"),
        (100, AtMaximum.FREE, 101, "below the minimum"),
        (1_499_999, AtMaximum.DISCONNECT, 0, "no call could begin"),
    ],
)
def test_a_maximum_that_contradicts_the_tariff_is_refused(
    maximum: int, then: AtMaximum, minimum: int, reason: str
) -> None:
    tariff = Tariff(500_000, (Interval(0, 1_000_000, 60, 60),), minimum, maximum_micro=maximum, at_maximum=then)
    with pytest.raises(TariffError, match=f"maximum: .*{reason}"):
        validate(tariff)
    with pytest.raises(TariffError, match="blocked"):
        validate(Tariff(0, (), blocked=True, maximum_micro=5))


def test_tax_is_added_before_the_only_rounding() -> None:
    rules = PriceRules("p", "1", "NOK", Vat.ADDED, Rounding.UP, 2, vat_bp=2500)
    result = price(row(tariff_of((0, 10_000, 1, 1))), 3_000, rules)
    assert result.exact_micro == 37_500
    assert result.amount_micro == 40_000
    tax = next(step for step in result.steps if step.key == "price.vat_added")
    assert tax.values == {"percent": "25", "amount_exact": "3/100", "total_exact": "3/80"}


def test_the_explanation_names_each_row_with_its_window_and_the_time_on_the_wall() -> None:
    steps = charge(DAY_AND_NIGHT, "2026-11-23 16:59:59", 3).steps
    assert [step.key.removeprefix("price.") for step in steps] == [
        "row", "window", "seconds_up", "interval", "row_change", "interval", "connect_fee", "rounding_half_up",
        "vat_not_stated",
    ]  # fmt: skip
    assert steps[1].values == {"when": "mon-fri 08:00-17:00"}
    assert steps[4].values == {
        "from_s": "1", "at": "2026-11-23 17:00:00", "prefix": "46", "destination": "Sverige", "row": "2", "when": "",
    }  # fmt: skip


def test_a_price_per_call_says_so() -> None:
    steps = price(row(tariff_of((0, 0, 60, 1), fee=3_000_000)), 600_000, RULES).steps
    assert "price.per_call" in [step.key for step in steps]


def test_weeks_over_many_windows_are_explained_in_bounded_words() -> None:
    result = charge(DAY_AND_NIGHT, "2026-11-23 07:00", 30 * 86_400)
    rest = next(step for step in result.steps if step.key == "price.more_parts")
    assert int(rest.values["parts"]) > 10
    assert len(result.steps) < 2 * MAX_PARTS + 9


def test_three_days_are_priced_in_a_moment() -> None:
    began = time.process_time()
    for _ in range(20):
        charge(DAY_AND_NIGHT, "2026-11-23 07:00", 72 * 3600)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("rows", "moment"),
    [
        (["mon-fri"], "sat 00:00"),
        (["mon-fri", "sat+sun 00:00-20:00"], "sat 20:00"),
        (["mon-fri", ""], ""),
    ],
)
def test_hours_without_price_are_found(rows: list[str], moment: str) -> None:
    assert uncovered([row(DAY, when) for when in rows]) == moment


def test_hours_without_price_are_found_in_each_time_of_validity() -> None:
    rates = [row(DAY, until="2026-12-31"), row(DAY, "mon-fri", since="2027-01-01")]
    assert uncovered(rates) == "sat 00:00 from 2027-01-01 on"
    assert uncovered([*rates, row(DAY, "sat+sun", since="2027-01-01")]) == ""


def test_lengths() -> None:
    assert Lengths(8, 10).fit("46123456", "46")
    assert not Lengths(8, 10).fit("4612345", "46")
    assert Lengths(exact=True).fit("4702800", "4702800")
    assert not Lengths(exact=True).fit("47028001", "4702800")
    assert Lengths().contain(Lengths(8, 10), "46")
    assert not Lengths(8, 10).contain(Lengths(), "46")
    assert Lengths().contain(Lengths(exact=True), "46")
    assert not Lengths(exact=True).contain(Lengths(2, 2), "46")
