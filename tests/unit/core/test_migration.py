"""The turn of 2018 to 2019: what each customer has on each side of midnight, and what notice does."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.catalogue import Catalogue, Feature, Limits, Name, Product
from agent.core.entry import Audience
from agent.core.migration import HeldNumber, Holding, Standing, Term, day_of, ordinary_last_day, term_on
from agent.core.succession import NoticeTerms, Succession, Successor
from agent.data import load_products

SHIPPED = load_products()
OSLO = ZoneInfo("Europe/Oslo")
LAST, FIRST = dt.date(2018, 12, 31), dt.date(2019, 1, 1)
PRIVATE = ("iplink-norge", "iplink-topp", "iplink-global", "iplink-eu", "iplink-kontant")
BUSINESS = ("iplink-bedrift", "iplink-bedrift-pluss")
ONE_MONTH = NoticeTerms()


def numbers(count: int, *, given_up: int = 0, on: dt.date = dt.date(2018, 12, 3)) -> tuple[HeldNumber, ...]:
    """So many numbers, the last ones of them given up on a day."""
    return tuple(
        HeldNumber(f"+47210000{index:02d}", notice=on if index >= count - given_up else None) for index in range(count)
    )


def holding(product: str, count: int = 1, *, notice: dt.date | None = None) -> Holding:
    return Holding(product, numbers(count), notice)


def product_on(held: Holding, day: dt.date, catalogue: Catalogue = SHIPPED) -> str:
    term = term_on(catalogue, held, day)
    return term.product.id if term.product is not None and term.standing is Standing.IN_FORCE else term.standing.value


def at(clock: str) -> dt.date:
    """The civil day of an instant that is written in UTC."""
    return day_of(dt.datetime.fromisoformat(f"{clock}+00:00"), OSLO)


# --- midnight --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", PRIVATE)
def test_the_old_product_lasts_until_the_last_second_of_the_year_and_privat_begins_with_the_new(old):
    held = holding(old, 2)
    before, after = at("2018-12-31T22:59:59.999"), at("2018-12-31T23:00:00")
    assert (before, after) == (LAST, FIRST)
    assert [product_on(held, day) for day in (before, after)] == [old, "privat"]


def test_the_price_list_changes_at_midnight_with_the_product():
    held = holding("iplink-topp")
    lists = [term_on(SHIPPED, held, at(f"2018-12-31T{clock}")).product for clock in ("22:59:59", "23:00:00")]
    assert [product.price_list for product in lists if product is not None] == ["privat-2018", "privat"]


def test_midnight_is_that_of_oslo_in_summer_too():
    assert [at("2019-06-30T21:59:59"), at("2019-06-30T22:00:00")] == [dt.date(2019, 6, 30), dt.date(2019, 7, 1)]
    with pytest.raises(ValueError, match="without zone"):
        day_of(dt.datetime.fromisoformat("2019-01-01T00:00:00"), OSLO)


def test_a_year_later_the_operators_old_word_still_means_the_new_product():
    term = term_on(SHIPPED, holding("iplink-eu"), dt.date(2020, 2, 29))
    assert (term.standing, term.history) == (Standing.IN_FORCE, ("iplink-eu", "privat"))


# --- how many numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", BUSINESS)
@pytest.mark.parametrize(
    ("count", "given_up", "new"),
    [
        (1, 0, "bedrift"), (3, 0, "bedrift"), (4, 0, "bedrift"), (5, 0, "sentralbord"), (30, 0, "sentralbord"),
        (6, 2, "bedrift"), (6, 1, "sentralbord"), (5, 1, "bedrift"),
    ],
)  # fmt: skip
def test_up_to_four_numbers_make_bedrift_and_five_sentralbord(old, count, given_up, new):
    held = Holding(old, numbers(count, given_up=given_up))
    assert product_on(held, LAST) == old
    assert product_on(held, FIRST) == new
    assert len(term_on(SHIPPED, held, LAST).numbers) == count
    assert len(term_on(SHIPPED, held, FIRST).numbers) == count - given_up


@pytest.mark.parametrize(("given_on", "new"), [(LAST, "bedrift"), (FIRST, "sentralbord")])
def test_numbers_given_up_after_new_year_come_too_late_to_count(given_on, new):
    held = Holding("iplink-bedrift", numbers(6, given_up=2, on=given_on))
    assert product_on(held, FIRST) == new


def test_a_number_given_up_in_january_keeps_to_ordinary_notice_and_the_product_stays():
    held = Holding("iplink-bedrift", numbers(6, given_up=2, on=dt.date(2019, 1, 10)))
    assert len(term_on(SHIPPED, held, dt.date(2019, 2, 28)).numbers) == 6
    term = term_on(SHIPPED, held, dt.date(2019, 3, 1))
    assert (len(term.numbers), term.product and term.product.id) == (4, "sentralbord")


def test_the_operators_own_last_day_of_a_number_counts_for_more_than_its_notice():
    kept = HeldNumber("+4721000009", notice=dt.date(2018, 12, 3), last_day=dt.date(2019, 1, 31))
    assert product_on(Holding("iplink-bedrift", (*numbers(4), kept)), FIRST) == "sentralbord"
    gone = HeldNumber("+4721000009", last_day=dt.date(2018, 12, 15))
    assert product_on(Holding("iplink-bedrift", (*numbers(4), gone)), FIRST) == "bedrift"


def test_the_same_number_sent_twice_is_one_number():
    assert product_on(Holding("iplink-bedrift", (*numbers(4), *numbers(4))), FIRST) == "bedrift"


# --- notice ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given_on", [dt.date(2018, 9, 5), dt.date(2018, 11, 30), dt.date(2018, 12, 1), LAST])
@pytest.mark.parametrize("old", ["iplink-norge", "iplink-bedrift-pluss"])
def test_notice_by_the_31st_ends_the_subscription_with_the_year(old, given_on):
    held = holding(old, 2, notice=given_on)
    assert product_on(held, LAST) == old
    term = term_on(SHIPPED, held, FIRST)
    assert (term.standing, term.last_day, term.numbers) == (Standing.ENDED, LAST, ())
    assert term.history == (old,)
    assert term.product is not None
    assert term.product.id == old


def test_notice_on_new_years_day_is_ordinary_notice_under_the_new_product():
    held = holding("iplink-norge", notice=FIRST)
    days = (FIRST, dt.date(2019, 2, 28), dt.date(2019, 3, 1))
    assert [product_on(held, day) for day in days] == ["privat", "privat", "ended"]


@pytest.mark.parametrize(
    ("given_on", "last"),
    [
        (dt.date(2019, 1, 1), dt.date(2019, 2, 28)),
        (dt.date(2019, 1, 31), dt.date(2019, 2, 28)),
        (dt.date(2019, 2, 1), dt.date(2019, 3, 31)),
        (dt.date(2019, 11, 15), dt.date(2019, 12, 31)),
        (dt.date(2019, 12, 31), dt.date(2020, 1, 31)),
        (dt.date(2020, 1, 5), dt.date(2020, 2, 29)),
    ],
)
def test_ordinary_notice_is_one_month_from_the_next_turn_of_the_month(given_on, last):
    assert ordinary_last_day(given_on, ONE_MONTH) == last
    assert term_on(SHIPPED, holding("privat", notice=given_on), given_on).last_day == last


@given(st.dates(dt.date(2000, 1, 1), dt.date(2200, 1, 1)), st.integers(0, 24))
def test_ordinary_notice_ends_with_a_month_and_never_sooner_for_later_notice(given_on, months):
    last = ordinary_last_day(given_on, NoticeTerms(months=months))
    assert (last + dt.timedelta(days=1)).day == 1
    assert last >= given_on
    assert ordinary_last_day(given_on + dt.timedelta(days=1), NoticeTerms(months=months)) >= last


def test_an_operator_may_say_from_when_notice_was_part_of_the_change():
    rules = [msgspec.structs.replace(rule, notice_from=dt.date(2018, 11, 1)) for rule in SHIPPED.successions]
    catalogue = msgspec.structs.replace(SHIPPED, successions=tuple(rules))
    held = holding("iplink-norge", notice=dt.date(2018, 10, 15))
    assert product_on(held, dt.date(2018, 11, 30), catalogue) == "iplink-norge"
    assert product_on(held, dt.date(2018, 12, 1), catalogue) == "ended"


def test_giving_up_every_number_ends_the_subscription():
    held = Holding("iplink-bedrift", numbers(2, given_up=2))
    assert [product_on(held, day) for day in (LAST, FIRST)] == ["iplink-bedrift", "ended"]


def test_a_subscription_that_never_had_a_number_has_not_ended():
    assert product_on(Holding("iplink-bedrift", ()), FIRST) == "bedrift"


def test_the_operators_own_last_day_ends_it_whatever_notice_says():
    held = Holding("privat", numbers(1), notice=dt.date(2019, 5, 2), last_day=dt.date(2019, 5, 10))
    assert [product_on(held, dt.date(2019, 5, day)) for day in (10, 11)] == ["privat", "ended"]


# --- services, predecessors, chains ----------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [*PRIVATE, *BUSINESS])
def test_forwarding_and_clir_survive(old):
    terms = [term_on(SHIPPED, holding(old), day) for day in (LAST, FIRST)]
    for feature in (Feature.CALL_FORWARDING, Feature.CALLER_ID_RESTRICTION):
        assert all(term.product is not None and term.product.has(feature) for term in terms)


def simple(name: str, since: dt.date, last_day: dt.date | None = None, *features: Feature, listed: str = "") -> Product:
    return Product(
        id=name, name=Name(nb=name, en=name), audience=Audience.BUSINESS, effective_from=since, last_day=last_day,
        monthly_fee="1", price_list=listed or name, features=frozenset(features), limits=Limits(),
    )  # fmt: skip


OLD = dt.date(2010, 1, 1)
CHAIN = Catalogue(
    version="x",
    products=(
        simple("plus", OLD, LAST, Feature.CALL_FORWARDING, Feature.QUEUE),
        simple("basic", OLD, LAST),
        simple("middle", FIRST, dt.date(2019, 6, 30)),
        simple("newest", dt.date(2019, 7, 1)),
    ),
    successions=(
        Succession(
            predecessors=("plus",), keeps=frozenset({Feature.CALL_FORWARDING}),
            successors=(Successor(product="middle", price_list="middle-of-plus"),), notice_by=LAST,
        ),
        Succession(predecessors=("basic",), successors=(Successor(product="middle"),), notice_by=LAST),
        Succession(
            predecessors=("middle",), keeps=frozenset({Feature.CALL_FORWARDING}),
            successors=(Successor(product="newest", price_list="newest-of-middle"),),
            notice_by=dt.date(2019, 6, 30),
        ),
    ),
)  # fmt: skip


def test_a_service_survives_only_for_those_who_had_it_and_what_is_no_service_does_not():
    from_plus, from_basic = (term_on(CHAIN, holding(name), FIRST).product for name in ("plus", "basic"))
    assert from_plus is not None
    assert from_basic is not None
    assert from_plus.features == {Feature.CALL_FORWARDING}
    assert from_basic.features == frozenset()


def test_a_price_may_depend_on_the_product_that_the_customer_comes_from():
    lists = [term_on(CHAIN, holding(name), FIRST).product for name in ("plus", "basic")]
    assert [product.price_list for product in lists if product is not None] == ["middle-of-plus", "middle"]


def test_a_successor_may_end_in_its_turn():
    term = term_on(CHAIN, holding("plus"), dt.date(2019, 7, 1))
    assert term.history == ("plus", "middle", "newest")
    assert term.product is not None
    assert (term.product.price_list, term.product.features) == ("newest-of-middle", {Feature.CALL_FORWARDING})


def test_notice_goes_by_the_product_of_the_day_on_which_it_was_given():
    held = holding("plus", notice=dt.date(2019, 2, 10))
    assert [product_on(held, day, CHAIN) for day in (dt.date(2019, 6, 30), dt.date(2019, 7, 1))] == ["middle", "ended"]


def test_a_product_that_ends_without_a_successor_ends_the_subscription():
    catalogue = Catalogue(version="x", products=(simple("gone", OLD, LAST),))
    assert [product_on(holding("gone"), day, catalogue) for day in (LAST, FIRST)] == ["gone", "ended"]


def test_a_product_that_is_unknown_or_not_yet_there_is_told_as_such():
    assert product_on(holding("gold"), FIRST) == "unknown_product"
    assert product_on(holding("privat"), LAST) == "unknown_product"


DAYS = st.dates(dt.date(2018, 6, 1), dt.date(2019, 12, 31))
MAYBE = st.none() | DAYS
HELD = st.lists(st.builds(HeldNumber, st.sampled_from([f"+472100000{n}" for n in range(8)]), MAYBE, MAYBE), max_size=8)
HOLDINGS = st.builds(Holding, st.sampled_from([*PRIVATE, *BUSINESS]), HELD.map(tuple), MAYBE, MAYBE)


@given(HOLDINGS, DAYS, DAYS)
def test_whatever_was_given_up_an_ended_subscription_never_comes_back(held, one, other):
    first, second = (term_on(SHIPPED, held, day) for day in sorted((one, other)))
    assert set(second.numbers) <= set(first.numbers)
    if first.standing is Standing.ENDED:
        assert second.standing is Standing.ENDED
        assert second.last_day == first.last_day


@given(HOLDINGS, DAYS)
def test_every_customer_has_exactly_one_product_that_fits_or_none_after_the_end(held, day):
    term: Term = term_on(SHIPPED, held, day)
    assert term.product is not None
    assert term.standing in {Standing.IN_FORCE, Standing.ENDED}
    if term.standing is Standing.IN_FORCE:
        assert (term.product.last_day is not None) is (day <= LAST)
        assert term.product.audience == (Audience.PRIVATE if held.product in PRIVATE else Audience.BUSINESS)
        if term.product.id == "bedrift":
            assert len(term.numbers) <= 4
