"""Caps and balance hold whatever calls run at once; what must never be refused is not."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.budget import (
    DAY_MS,
    HOUR_MS,
    Budget,
    Cap,
    Limits,
    Reservation,
    Shortfall,
    Spent,
    TermsPrice,
    is_exempt,
)
from agent.core.charge import HORIZON_MS, Terms
from agent.core.money import Rounding
from agent.core.numbers import NumberClass
from agent.core.tariff import Interval, PriceRules, Rate, Tariff, Vat
from agent.core.terms import CallKind, Direction

RULES = PriceRules("privat", "1", "NOK", Vat.NOT_STATED, Rounding.HALF_UP, 6)
MONTH = "2026-11"
ABROAD, PREMIUM, FIXED = NumberClass.INTERNATIONAL, NumberClass.PREMIUM, NumberClass.FIXED


def pricing(rate_micro: int, increment_s: int = 60, fee: int = 0) -> TermsPrice:
    """`rate_micro` a minute."""
    tariff = Tariff(fee, (Interval(0, rate_micro, 60, increment_s),))
    return TermsPrice(Terms((Rate("46", "Sverige", tariff, 1),), RULES))


KRONE = pricing(1_000_000)
FREE = pricing(0)


def budget(limits: Limits, spent: int = 0, **more: int) -> Budget:
    return Budget(limits, here=Spent(MONTH, spent), **more)


def reserve(
    of: Budget, call: str = "a", price: TermsPrice = KRONE, kind: NumberClass = FIXED, *, now_ms: int = 0,
    month: str = MONTH,
) -> Reservation | Shortfall:  # fmt: skip
    return of.reserve(call, kind, price, month=month, now_ms=now_ms)


def test_without_caps_a_call_is_granted_as_far_as_anyone_looks() -> None:
    assert reserve(budget(Limits())) == Reservation("a", 0, HORIZON_MS)


def test_a_call_gets_a_slice_and_then_another_until_the_cap_which_warns() -> None:
    money = budget(Limits(month_micro=7_500_000, slice_micro=3_000_000))
    assert reserve(money) == Reservation("a", 3_000_000, 180_000)
    assert reserve(money) == Reservation("a", 6_000_000, 360_000)
    assert reserve(money) == Reservation("a", 7_000_000, 420_000, Cap.MONTH, 360_000)
    assert reserve(money) == Reservation("a", 7_000_000, 420_000, Cap.MONTH, 360_000)
    money.settle("a", 7_000_000, now_ms=420_000)
    assert (money.spent_micro(MONTH), money.reserved_micro) == (7_000_000, 0)
    assert reserve(money, "b") == Shortfall(Cap.MONTH)


def test_an_increment_dearer_than_a_slice_is_reserved_whole_each_time() -> None:
    money = budget(Limits(month_micro=100_000_000, slice_micro=5_000_000))
    premium = pricing(25_000_000)
    assert [getattr(reserve(money, price=premium), "duration_ms", 0) for _ in range(3)] == [60_000, 120_000, 180_000]


def test_the_beginning_must_fit_connect_fee_included() -> None:
    money = budget(Limits(month_micro=1_500_000))
    assert reserve(money, price=pricing(1_000_000, fee=500_001)) == Shortfall(Cap.MONTH)
    assert reserve(money, price=pricing(1_000_000, fee=500_000)) == Reservation("a", 1_500_000, 60_000, Cap.MONTH, 0)


def test_a_second_that_rounds_to_nothing_begins_no_call_when_all_is_spent() -> None:
    tariff = Tariff(0, (Interval(0, 290_000, 60, 1),))
    rules = PriceRules("privat", "1", "NOK", Vat.NOT_STATED, Rounding.HALF_UP, 2)
    cheap = TermsPrice(Terms((Rate("46", "Sverige", tariff, 1),), rules))
    assert cheap.longest_ms(0) == 1_000
    assert reserve(budget(Limits(month_micro=0)), price=cheap) == Shortfall(Cap.MONTH)
    going_on = budget(Limits(month_micro=0))
    answer = going_on.reserve("a", ABROAD, cheap, month=MONTH, now_ms=0, talked_ms=500)
    assert answer == Reservation("a", 0, 1_000, Cap.MONTH, 0), "one that goes on is not cut before it costs anything"


def test_free_calls_go_on_when_a_cap_is_reached() -> None:
    money = budget(Limits(month_micro=10), spent=10)
    assert reserve(money) == Shortfall(Cap.MONTH)
    assert reserve(money, price=FREE) == Reservation("a", 0, HORIZON_MS)


@pytest.mark.parametrize("kind", [NumberClass.TOLL_FREE, NumberClass.SOCIAL, NumberClass.EMERGENCY])
def test_exempt_classes_go_on_whatever_they_cost(kind: NumberClass) -> None:
    assert reserve(budget(Limits(month_micro=0)), kind=kind) == Reservation("a", 0, HORIZON_MS)


@pytest.mark.parametrize(
    ("direction", "kind", "number", "exempt"),
    [
        (Direction.INCOMING, CallKind.ORDINARY, PREMIUM, True),
        (Direction.OUTGOING, CallKind.EMERGENCY, NumberClass.UNKNOWN, True),
        (Direction.OUTGOING, CallKind.ORDINARY, NumberClass.TOLL_FREE, True),
        (Direction.OUTGOING, CallKind.ORDINARY, NumberClass.SOCIAL, True),
        (Direction.OUTGOING, CallKind.ORDINARY, PREMIUM, False),
        (Direction.OUTGOING, CallKind.ORDINARY, FIXED, False),
    ],
)
def test_what_no_cap_may_stop(direction: Direction, kind: CallKind, number: NumberClass, exempt: bool) -> None:
    assert is_exempt(direction, kind, number) is exempt


def test_a_class_has_its_own_cap_beside_the_months() -> None:
    limits = Limits(month_micro=50_000_000, abroad_micro=3_000_000, premium_micro=0)
    money = budget(limits)
    assert reserve(money, "a", kind=ABROAD) == Reservation("a", 3_000_000, 180_000, Cap.ABROAD, 120_000)
    assert reserve(money, "b", kind=ABROAD) == Shortfall(Cap.ABROAD)
    assert reserve(money, "c", kind=PREMIUM) == Shortfall(Cap.PREMIUM)
    assert isinstance(reserve(money, "d"), Reservation)
    money.settle("a", 1_000_000, now_ms=60_000)
    assert reserve(money, "b", kind=ABROAD) == Reservation("b", 2_000_000, 120_000, Cap.ABROAD, 60_000)


def test_one_call_costs_no_more_than_its_cap() -> None:
    money = budget(Limits(call_micro=2_000_000))
    assert reserve(money) == Reservation("a", 2_000_000, 120_000, Cap.CALL, 60_000)
    assert reserve(money, "b") == Reservation("b", 2_000_000, 120_000, Cap.CALL, 60_000)


def test_hour_and_day_roll() -> None:
    money = budget(Limits(hour_micro=3_000_000, day_micro=5_000_000))
    assert isinstance(reserve(money), Reservation)
    money.settle("a", 3_000_000, now_ms=0)
    assert reserve(money, "b", now_ms=HOUR_MS - 1) == Shortfall(Cap.HOUR)
    assert reserve(money, "b", now_ms=HOUR_MS) == Reservation("b", 2_000_000, 120_000, Cap.DAY, 60_000)
    money.settle("b", 2_000_000, now_ms=HOUR_MS)
    assert reserve(money, "c", now_ms=3 * HOUR_MS) == Shortfall(Cap.DAY)
    assert isinstance(reserve(money, "c", now_ms=DAY_MS), Reservation)


def test_amounts_before_a_restart_count() -> None:
    money = budget(Limits(hour_micro=3_000_000), recent=[(-10_000, 3_000_000)])  # type: ignore[arg-type]
    assert reserve(money) == Shortfall(Cap.HOUR)


def test_a_prepaid_balance_goes_down_and_is_topped_up() -> None:
    money = budget(Limits(), balance_micro=2_000_000)
    assert reserve(money) == Reservation("a", 2_000_000, 120_000, Cap.BALANCE, 60_000)
    assert reserve(money, "b") == Shortfall(Cap.BALANCE)
    money.settle("a", 2_000_000, now_ms=0)
    assert reserve(money, "b") == Shortfall(Cap.BALANCE)
    money.observe(Spent(MONTH), balance_micro=50_000_000)
    assert isinstance(reserve(money, "b"), Reservation)


def test_what_other_devices_spend_counts_from_the_next_poll_and_shortens_a_call_in_progress() -> None:
    money = budget(Limits(month_micro=10_000_000))
    assert reserve(money) == Reservation("a", 5_000_000, 300_000)
    money.observe(Spent(MONTH, 7_000_000))
    assert reserve(money) == Reservation("a", 3_000_000, 180_000, Cap.MONTH, 120_000)
    money.observe(Spent(MONTH, 10_000_000))
    assert reserve(money) == Shortfall(Cap.MONTH)
    assert reserve(money, "b") == Shortfall(Cap.MONTH)


def test_a_new_month_begins_at_nothing_and_a_call_counts_in_the_month_it_began() -> None:
    money = budget(Limits(month_micro=10_000_000), spent=9_000_000)
    assert reserve(money) == Reservation("a", 1_000_000, 60_000, Cap.MONTH, 0)
    assert reserve(money, "b", month="2026-12") == Reservation("b", 5_000_000, 300_000)
    money.settle("a", 1_000_000, now_ms=0)
    money.settle("b", 2_000_000, now_ms=0)
    assert (money.spent_micro(MONTH), money.spent_micro("2026-12")) == (10_000_000, 2_000_000)
    assert reserve(money, "c") == Shortfall(Cap.MONTH)


def test_what_is_reserved_in_one_month_leaves_the_other_month_whole() -> None:
    money = budget(Limits(month_micro=5_000_000, slice_micro=9_000_000))
    assert reserve(money) == Reservation("a", 5_000_000, 300_000, Cap.MONTH, 240_000)
    assert reserve(money, "b", month="2026-12") == Reservation("b", 5_000_000, 300_000, Cap.MONTH, 240_000)


def test_an_unanswered_call_gives_everything_back_and_an_end_told_twice_counts_once() -> None:
    money = budget(Limits(month_micro=5_000_000))
    reserve(money)
    money.settle("a", 0, now_ms=0)
    assert (money.spent_micro(MONTH), money.reserved_micro) == (0, 0)
    reserve(money)
    for _ in range(2):
        money.settle("a", 2_000_000, now_ms=0)
    assert money.spent_micro(MONTH) == 2_000_000


def test_a_call_without_any_price_is_no_matter_of_money() -> None:
    blocked = TermsPrice(Terms((Rate("88", "x", Tariff(0, (), blocked=True), 1),), RULES))
    for limits in (Limits(), Limits(month_micro=5)):
        assert reserve(budget(limits), price=blocked) == Shortfall(None)


# --- many calls at once ----------------------------------------------------------------------------------------------

prices = st.builds(pricing, st.integers(0, 20_000_000), st.sampled_from([1, 30, 60, 600]), st.integers(0, 3_000_000))
kinds = st.sampled_from([FIXED, ABROAD, PREMIUM])
caps = st.none() | st.integers(0, 50_000_000)
limits = st.builds(Limits, caps, caps, caps, caps, caps, caps, st.integers(1, 10_000_000))


@settings(deadline=None)
@given(
    limits,
    st.none() | st.integers(0, 60_000_000),
    st.lists(st.tuples(prices, kinds), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["ask", "end", "late"])), max_size=40),
)
def test_parallel_calls_never_overspend_by_more_than_an_increment_each(
    limits: Limits, balance: int | None, calls: list[tuple[TermsPrice, NumberClass]], story: list[tuple[int, str]]
) -> None:
    money = Budget(limits, here=Spent(MONTH), balance_micro=balance)
    granted: dict[int, int] = {}
    spent = {ABROAD: 0, PREMIUM: 0, FIXED: 0}
    slack = 0
    for turn, (n, what) in enumerate([*story, *((n, "end") for n in range(6))]):
        index = n % len(calls)
        price, kind = calls[index]
        if what == "ask":
            answer = money.reserve(str(index), kind, price, month=MONTH, now_ms=turn)
            if isinstance(answer, Reservation):
                granted[index] = answer.duration_ms
                assert price.cost_micro(answer.duration_ms) == answer.amount_micro or _uncapped(limits, balance, kind)
        elif index in granted:
            # On time: 200 ms before the granted moment. Late: the other end was slow by less than an increment.
            duration = granted.pop(index)
            late = price.cost_micro(duration + 1)
            on_time = price.cost_micro(duration - 200)
            cost = late if what == "late" else on_time
            slack += cost - on_time
            spent[kind] += cost
            money.settle(str(index), cost, now_ms=turn)
    total = sum(spent.values())
    for cap, used in (
        (limits.month_micro, total), (limits.hour_micro, total), (limits.day_micro, total), (balance, total),
        (limits.abroad_micro, spent[ABROAD]), (limits.premium_micro, spent[PREMIUM]),
    ):  # fmt: skip
        assert cap is None or used <= cap + slack
    assert money.spent_micro(MONTH) == total


def _uncapped(limits: Limits, balance: int | None, kind: NumberClass) -> bool:
    of_class = {ABROAD: limits.abroad_micro, PREMIUM: limits.premium_micro}.get(kind)
    caps = (limits.call_micro, limits.month_micro, limits.hour_micro, limits.day_micro, balance, of_class)
    return all(cap is None for cap in caps)


async def test_thirty_calls_at_once_do_not_pass_on_credit_for_one() -> None:
    money = budget(Limits(month_micro=10_000_000, slice_micro=2_000_000))
    dice = random.Random(38)
    refused = 0

    async def call(name: str) -> int:
        nonlocal refused
        talked, wanted = 0, dice.randint(1, 20) * 60_000
        while talked < wanted:
            await asyncio.sleep(0)
            answer = reserve(money, name)
            if isinstance(answer, Shortfall) or answer.duration_ms <= talked:
                refused += isinstance(answer, Shortfall)
                break
            talked = min(wanted, answer.duration_ms)
        cost = KRONE.cost_micro(talked) if talked else 0
        await asyncio.sleep(0)
        money.settle(name, cost, now_ms=0)
        return cost

    costs = await asyncio.gather(*(call(str(n)) for n in range(30)))
    assert 0 < sum(costs) <= 10_000_000
    assert sum(costs) == money.spent_micro(MONTH)
    assert refused > 10
