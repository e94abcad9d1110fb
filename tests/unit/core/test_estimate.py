"""The month as the invoice would show it: whole fees, exact sums, and tax named as each price names it."""

from __future__ import annotations

import contextlib
import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.catalogue import Name, Product
from agent.core.catalogue import Vat as FeeVat
from agent.core.estimate import (
    CallTotal,
    Estimate,
    ItemKind,
    MonthError,
    PackFee,
    Total,
    estimate,
    first_day,
    month_after,
    month_before,
    month_of,
)
from agent.core.migration import HeldNumber, Holding, term_on
from agent.core.tariff import Vat
from agent.data import load_products

SHIPPED = load_products()
KR = 1_000_000
TODAY = dt.date(2019, 1, 20)
CALLS = CallTotal(calls=3, seconds=754, amount_micro=12_390_000, currency="NOK", vat=Vat.NOT_STATED)


def product(name: str, **changes: object) -> Product:
    found = SHIPPED.find(name, dt.date(2019, 1, 1))
    assert found is not None
    return msgspec.structs.replace(found, **changes)


def amounts(found: Estimate) -> list[tuple[ItemKind, int, int]]:
    return [(item.kind, item.count, item.amount_micro) for item in found.items]


def migrated(old: str, month: str) -> Estimate:
    """A month's estimate for a customer whom the operator last named with an old product."""
    term = term_on(SHIPPED, Holding(old, (HeldNumber("+4721000000"),)), first_day(month))
    return estimate(month, term.product, len(term.numbers), [], today=TODAY)


def test_a_month_is_its_fee_and_its_calls():
    found = estimate("2019-01", product("privat"), 1, [CALLS], today=TODAY)
    assert amounts(found) == [(ItemKind.MONTHLY_FEE, 1, 149 * KR), (ItemKind.CALLS, 3, 12_390_000)]
    assert found.totals == (Total(161_390_000, "NOK", Vat.NOT_STATED),)
    assert (found.product, found.complete) == ("privat", False)


def test_december_is_the_old_products_last_month_and_january_the_new_ones_in_full():
    december, january = migrated("iplink-topp", "2018-12"), migrated("iplink-topp", "2019-01")
    assert (december.product, december.invoiced_in, december.complete) == ("iplink-topp", "2019-01", True)
    assert (january.product, january.invoiced_in, january.complete) == ("privat", "2019-02", False)
    assert amounts(january) == [(ItemKind.MONTHLY_FEE, 1, 149 * KR)]


def test_the_fee_of_an_old_product_calls_itself_a_sample_and_a_published_one_does_not():
    assert [migrated("iplink-topp", month).items[0].sample for month in ("2018-12", "2019-01")] == [True, False]


def test_without_a_subscription_only_the_calls_cost():
    found = estimate("2019-01", None, 0, [CALLS], today=TODAY)
    assert amounts(found) == [(ItemKind.CALLS, 3, 12_390_000)]
    assert found.product == ""
    assert estimate("2019-01", None, 0, [], today=TODAY).totals == ()


def test_minute_packs_are_billed_monthly_with_the_minutes_that_they_include():
    pack = PackFee(Name(nb="Polen 100", en="Poland 100"), fee_micro=49 * KR, seconds=6000)
    found = estimate("2019-01", product("privat"), 1, [CALLS], [pack], today=TODAY)
    item = found.items[1]
    assert (item.kind, item.count, item.amount_micro, item.seconds) == (ItemKind.MINUTE_PACK, 1, 49 * KR, 6000)
    assert item.name is not None
    assert item.name.nb == "Polen 100"
    assert found.totals == (Total(210_390_000, "NOK", Vat.NOT_STATED),)


@pytest.mark.parametrize(("numbers", "extra"), [(1, 0), (2, 0), (3, 1), (7, 5)])
def test_numbers_beyond_those_included_cost_extra_where_the_operator_says_so(numbers, extra):
    dearer = product("sentralbord", numbers_included=2, extra_number_fee="19.5", sample=("extra_number_fee",))
    items = estimate("2019-01", dearer, numbers, [], today=TODAY).items[1:]
    assert [(item.count, item.amount_micro, item.sample) for item in items] == (
        [(extra, extra * 19_500_000, True)] if extra else []
    )
    assert len(estimate("2019-01", product("sentralbord"), 30, [], today=TODAY).items) == 1


def test_prices_that_say_different_things_of_tax_are_never_added_up():
    calls = [taxed(CALLS, Vat.EXCLUDED), taxed(CALLS, Vat.ADDED), taxed(CALLS, Vat.INCLUDED)]
    found = estimate("2019-01", product("privat", vat=FeeVat.INCLUDED), 1, calls, today=TODAY)
    assert found.totals == (
        Total(149 * KR + 2 * CALLS.amount_micro, "NOK", Vat.INCLUDED),
        Total(CALLS.amount_micro, "NOK", Vat.EXCLUDED),
    )


def test_two_currencies_are_two_totals():
    euro = CallTotal(1, 60, 500_000, "EUR", Vat.NOT_STATED)
    found = estimate("2019-01", product("privat"), 1, [CALLS, euro], today=TODAY)
    assert [(total.currency, total.amount_micro) for total in found.totals] == [("NOK", 161_390_000), ("EUR", 500_000)]


def taxed(total: CallTotal, vat: Vat) -> CallTotal:
    return CallTotal(total.calls, total.seconds, total.amount_micro, total.currency, vat)


def test_a_month_is_over_with_its_last_day():
    over = [estimate("2019-01", None, 0, [], today=day).complete for day in (dt.date(2019, 1, 31), dt.date(2019, 2, 1))]
    assert over == [False, True]


def test_months_have_neighbours_over_the_new_year():
    assert (month_before("2019-01"), month_after("2018-12")) == ("2018-12", "2019-01")


@given(st.dates(dt.date(2, 1, 1), dt.date(9998, 12, 31)))
def test_the_month_after_the_month_before_is_the_month(day):
    month = month_of(day)
    assert month_after(month_before(month)) == month
    assert month_before(month_after(month)) == month
    assert first_day(month) <= day < first_day(month_after(month))


@pytest.mark.parametrize("text", ["", "2019-13", "2019-00", "19-01", "2019-1", "2019-01-01", "0000-01", "２019-01"])
def test_what_is_no_month_is_refused(text):
    with pytest.raises(MonthError, match="write year and month such as 2018-12"):
        first_day(text)


@given(st.text(max_size=12))
def test_no_text_does_more_than_be_a_month_or_be_refused(text):
    with contextlib.suppress(MonthError):
        assert month_of(first_day(text)) == text


TOTALS = st.lists(
    st.builds(
        CallTotal, st.integers(0, 99), st.integers(0, 10**6), st.integers(0, 10**15), st.sampled_from(["NOK", "EUR"]),
        st.sampled_from(list(Vat)),
    ),
    max_size=6,
)  # fmt: skip


@given(TOTALS, st.sampled_from(["privat", "bedrift", "sentralbord"]))
def test_the_totals_are_exactly_the_items(calls, name):
    found = estimate("2019-01", product(name), 1, calls, today=TODAY)
    assert sum(total.amount_micro for total in found.totals) == sum(item.amount_micro for item in found.items)
    keys = [(total.currency, total.vat) for total in found.totals]
    assert len(keys) == len(set(keys))
    assert all(total.vat is not Vat.ADDED for total in found.totals)
