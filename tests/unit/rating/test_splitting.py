"""One call under several price lists: split at the civil midnight of the change, each second priced once."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.charge import max_duration
from agent.core.money import parse_exact
from agent.core.packs import Pack, PackBalance
from agent.paths import data_dir
from agent.rating.deck import load, parse
from agent.rating.errors import NoRate, PriceListError
from agent.rating.rater import rate_call
from agent.rating.splitting import ListInForce, rate_over, terms_over
from agent.rating.table import RateTable

OSLO = ZoneInfo("Europe/Oslo")
MIDNIGHT = datetime(2018, 12, 31, 23, tzinfo=UTC)
TURN = date(2019, 1, 1)
SWEDEN = "+4681234567"

HEAD = """# price_list: {name}
# product: {product}
# currency: {currency}
# vat: not_stated
# version: {name}
# valid_from: 2018-01-01
# rounding: half_up
# decimals: 6
# seconds: up
prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,when
"""


def table(name="old", product="a", rows="46,Sverige,0.50,1.20,60,1,,,\n", currency="NOK"):
    return RateTable.of(parse(HEAD.format(name=name, product=product, currency=currency) + rows, f"{name}.csv"))


def over(old, new, product="b"):
    return [ListInForce(old, "a"), ListInForce(new, product, TURN)]


OLD = table()
NEW = table("new", "b", "46,Sverige,2.00,6.00,60,1,,,\n")


def price(lists, seconds, before_s, **more):
    start = MIDNIGHT - timedelta(seconds=before_s)
    return rate_over(lists, SWEDEN, seconds * 1000, start=start, zone=OSLO, **more)


def test_each_side_is_charged_its_own_rate_and_the_fee_is_that_of_the_beginning():
    split = price(over(OLD, NEW), 90, 30)
    assert split.amount_micro == 500_000 + 30 * 20_000 + 60 * 100_000
    assert (split.product, split.price_list, split.version) == ("a", "old", "old")
    assert [(one.from_day, one.product, one.price_list) for one in split.lists] == [
        ("", "a", "old"), ("2019-01-01", "b", "new"),
    ]  # fmt: skip


@pytest.mark.parametrize(("seconds", "before_s"), [(30, 30), (1, 3600), (0, 30)])
def test_a_call_that_ends_before_or_at_midnight_is_the_old_lists_alone(seconds, before_s):
    whole = price(over(OLD, NEW), seconds, before_s)
    assert whole.lists == []
    assert whole == rate_call(OLD, SWEDEN, seconds * 1000, "a", start=MIDNIGHT - timedelta(1), zone=OSLO)


def test_a_call_that_is_answered_at_midnight_is_the_new_lists_alone():
    whole = price(over(OLD, NEW), 90, 0)
    assert (whole.price_list, whole.product, whole.lists) == ("new", "b", [])
    assert whole.amount_micro == 2_000_000 + 9_000_000


def test_an_increment_that_overruns_midnight_eats_into_the_new_list():
    minutes = table(rows="46,Sverige,0,1.20,60,60,,,\n")
    assert price(over(minutes, NEW), 61, 30).amount_micro == 1_200_000 + 100_000


def test_a_pack_of_each_month_is_used_across_the_change():
    pack = PackBalance(Pack("norden", ("46",), 20))
    split = price(over(OLD, NEW), 90, 30, packs=[pack])
    assert [(take.month, take.seconds) for take in split.packs] == [("2018-12", 20), ("2019-01", 20)]
    assert split.amount_micro == 10 * 20_000 + 40 * 100_000


@pytest.mark.parametrize(
    "new",
    [table("new", "b", "47,Norge,0,1,60,1,,,\n"), table("new", "b", currency="EUR"), table("new", "x")],
    ids=["no row", "other currency", "other product"],
)
def test_where_the_next_list_cannot_go_on_the_call_ends_at_midnight(new):
    lists = over(OLD, new)
    terms = terms_over(lists, SWEDEN, start=MIDNIGHT - timedelta(seconds=30), zone=OSLO)
    assert max_duration(terms, None) == 30_000
    with pytest.raises(NoRate):
        price(lists, 31, 30)


def test_without_a_list_for_the_beginning_there_is_no_price():
    with pytest.raises(NoRate):
        rate_over(over(OLD, NEW), "+81312345678", 1000, start=MIDNIGHT, zone=OSLO)
    with pytest.raises(PriceListError):
        rate_over([ListInForce(NEW, "b", TURN)], SWEDEN, 1000, start=MIDNIGHT - timedelta(1), zone=OSLO)


def test_the_shipped_lists_of_the_turn_of_2019_price_one_call_over_it():
    lists = [
        ListInForce(RateTable.of(load(data_dir() / "price-lists/privat-2018.csv")), "iplink-topp"),
        ListInForce(RateTable.of(load(data_dir() / "price-lists/privat.csv")), "privat", TURN),
    ]
    start = MIDNIGHT - timedelta(minutes=10)
    split = rate_over(lists, SWEDEN, 20 * 60_000, start=start, zone=OSLO)
    assert [one.product for one in split.lists] == ["iplink-topp", "privat"]
    old = rate_over(lists[:1], SWEDEN, 10 * 60_000, start=start, zone=OSLO)
    new = rate_over(lists, SWEDEN, 10 * 60_000, start=MIDNIGHT, zone=OSLO)
    assert parse_exact(split.exact) == parse_exact(old.exact) + parse_exact(new.exact)


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_split_equals_the_sum_of_its_sides(seconds, before_s):
    lists = over(table(rows="46,Sverige,0,1.20,60,1,,,\n"), table("new", "b", "46,Sverige,0,6,60,1,,,\n"))
    cost = parse_exact(price(lists, seconds, before_s).exact)
    old_s = min(seconds, before_s)
    assert cost == Fraction(old_s * 20_000 + (seconds - old_s) * 100_000)
