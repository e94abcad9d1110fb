"""What each product allows, refuses clearly, and leaves working."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.catalogue import (
    Audience,
    Catalogue,
    CatalogueError,
    Excess,
    Feature,
    LineFact,
    Name,
    NumberFact,
    Part,
    Product,
    Refused,
    SubscriptionFacts,
    entitle,
)
from agent.core.succession import Succession, Successor
from agent.data import load_products

DAY = dt.date(2019, 1, 1)
SHIPPED = load_products()


def product(product_id: str) -> Product:
    found = SHIPPED.find(product_id, DAY)
    assert found is not None
    return found


def number(index: int) -> str:
    return f"+472200000{index}"


def customer(lines: int, numbers: int) -> SubscriptionFacts:
    return SubscriptionFacts(
        tuple(LineFact(line, number(min(line, numbers - 1))) for line in range(lines)),
        tuple(NumberFact(number(index), (index,) if index < lines else ()) for index in range(numbers)),
    )


def test_the_terms_of_2019_are_in_the_catalogue():
    facts = {
        entry.id: (entry.monthly_fee, entry.limits.lines_max, entry.limits.numbers_max)
        for name in SHIPPED.ids()
        if (entry := SHIPPED.find(name, DAY)) is not None
    }
    assert facts == {"privat": ("149", 2, 2), "bedrift": ("189", None, 4), "sentralbord": ("649", None, None)}
    assert {entry.vat for entry in SHIPPED.products} == {"not_stated"}


def test_a_product_starts_on_its_day_and_a_later_entry_replaces_it():
    dearer = msgspec.structs.replace(product("privat"), effective_from=dt.date(2020, 2, 1), monthly_fee="159")
    catalogue = Catalogue(version="x", products=(*SHIPPED.products, dearer))
    fees = [
        found.monthly_fee if (found := catalogue.find("privat", day)) else None
        for day in (dt.date(2018, 12, 31), DAY, dt.date(2020, 1, 31), dt.date(2020, 2, 1))
    ]
    assert fees == [None, "149", "149", "159"]
    assert catalogue.find("topp", DAY) is None
    assert catalogue.ids() == SHIPPED.ids()
    assert catalogue.ids()[:3] == ("privat", "bedrift", "sentralbord")


def test_what_is_not_in_the_published_terms_of_the_old_products_calls_itself_a_sample():
    old = [entry for entry in SHIPPED.products if entry.last_day is not None]
    assert [entry.name.nb for entry in old] == [
        f"iplink {name}" for name in ("Norge", "Topp", "Global", "EU", "Kontant", "Bedrift", "Bedrift+")
    ]
    assert {entry.last_day for entry in old} == {dt.date(2018, 12, 31)}
    for entry in old:
        assert {"monthly_fee", "price_list", "features", "limits", "vat"} <= set(entry.sample)


def test_a_product_is_there_until_its_last_day_and_not_after():
    assert SHIPPED.find("iplink-topp", dt.date(2018, 12, 31)) is not None
    assert SHIPPED.find("iplink-topp", DAY) is None
    assert (SHIPPED.last_day("iplink-topp"), SHIPPED.last_day("privat")) == (dt.date(2018, 12, 31), None)


def test_privat_refuses_the_third_line_and_keeps_two_working():
    facts = SubscriptionFacts(
        tuple(LineFact(line, number(0)) for line in (2, 0, 1)), (NumberFact(number(0), (0, 1, 2)),)
    )
    entitlement = entitle(product("privat"), facts)
    assert entitlement.refused == (Refused(Part.LINE, Excess.TOO_MANY_LINES, 2, 2),)
    assert [entitlement.line_allowed(line) for line in range(3)] == [True, True, False]
    assert entitlement.numbers == (NumberFact(number(0), (0, 1)),)


def test_bedrift_refuses_the_fifth_number_and_keeps_four_working():
    entitlement = entitle(product("bedrift"), customer(2, 5))
    assert entitlement.refused == (Refused(Part.NUMBER, Excess.TOO_MANY_NUMBERS, 4, number=number(4)),)
    assert [entitlement.number_allowed(number(index)) for index in range(5)] == [True] * 4 + [False]
    assert entitle(product("sentralbord"), customer(2, 5)).refused == ()


def test_bedrift_has_no_ring_group_so_a_number_rings_its_first_line_only():
    facts = SubscriptionFacts((LineFact(0, number(0)), LineFact(1, number(0))), (NumberFact(number(0), (1, 0)),))
    entitlement = entitle(product("bedrift"), facts)
    assert entitlement.refused == (Refused(Part.NUMBER, Excess.RING_GROUP_NOT_INCLUDED, 1, number=number(0)),)
    assert entitlement.numbers == (NumberFact(number(0), (1,)),)
    assert entitle(product("sentralbord"), facts).numbers == (NumberFact(number(0), (1, 0)),)
    assert entitle(product("privat"), facts).refused == ()


@pytest.mark.parametrize("feature", [Feature.RING_GROUP, Feature.QUEUE, Feature.OPENING_HOURS, Feature.VOICEMAIL])
def test_only_the_switchboard_has_advanced_functions(feature):
    assert [product(name).has(feature) for name in ("privat", "bedrift", "sentralbord")] == [False, False, True]


def test_repeated_lines_and_numbers_count_once_and_are_told():
    facts = SubscriptionFacts(
        (LineFact(0, number(0)), LineFact(0, number(1))),
        (NumberFact(number(0), (0,)), NumberFact(number(0), (1,))),
    )
    entitlement = entitle(product("privat"), facts)
    assert entitlement.lines == (LineFact(0, number(0)),)
    assert [entry.code for entry in entitlement.refused] == [Excess.DUPLICATE_LINE, Excess.DUPLICATE_NUMBER]


def test_a_subscription_without_numbers_says_so():
    entitlement = entitle(product("bedrift"), SubscriptionFacts((), ()))
    assert entitlement.refused == (Refused(Part.SUBSCRIPTION, Excess.TOO_FEW_NUMBERS, 1),)


def change(**changes: object) -> Product:
    return msgspec.structs.replace(product("privat"), **changes)


@pytest.mark.parametrize(
    ("products", "sentence"),
    [
        ((change(), change()), "there twice"),
        ((change(limits=msgspec.structs.replace(change().limits, numbers_min=3)),), "numbers_min is above"),
        ((change(limits=msgspec.structs.replace(change().limits, call_max_s=60)),), "call_warn_s must be shorter"),
        ((change(last_day=dt.date(2018, 12, 31)),), "privat: last_day is before effective_from"),
    ],
)
def test_a_contradictory_catalogue_is_refused(products, sentence):
    with pytest.raises(CatalogueError, match=sentence):
        Catalogue(version="x", products=products)


OLD = Product(
    id="old", name=Name(nb="Gammel", en="Old"), audience=Audience.PRIVATE, effective_from=dt.date(2010, 1, 1),
    last_day=dt.date(2018, 12, 31), monthly_fee="99", price_list="old",
)  # fmt: skip
ANY = Successor(product="privat")
FOUR = Successor(product="privat", numbers_max=4)


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ([Succession(predecessors=("gone",), successors=(ANY,))], "succession of gone: there is no such product"),
        ([Succession(predecessors=("privat",), successors=(ANY,))], "succession of privat: .* give it one"),
        ([Succession(predecessors=("old", "old"), successors=(ANY,))], "succession of old: it is there twice"),
        ([Succession(predecessors=("old",), successors=(ANY,))] * 2, "succession of old: it is there twice"),
        ([Succession(predecessors=("old",), successors=(FOUR,))], "the last one without any"),
        ([Succession(predecessors=("old",), successors=(FOUR, FOUR, ANY))], "by growing numbers_max"),
        ([Succession(predecessors=("old",), successors=(ANY, ANY))], "by growing numbers_max"),
        ([Succession(predecessors=("old",), successors=(Successor(product="old"),))], "old is not in effect on 2019"),
        (
            [Succession(predecessors=("old",), successors=(ANY,), notice_by=dt.date(2019, 1, 1))],
            "notice_by is after the product's last_day",
        ),
    ],
)
def test_a_succession_that_would_leave_a_customer_without_one_product_is_refused(rules, sentence):
    with pytest.raises(CatalogueError, match=sentence):
        Catalogue(version="x", products=(OLD, product("privat")), successions=tuple(rules))


@st.composite
def subscriptions(draw):
    names = st.sampled_from([number(index) for index in range(7)])
    lines = st.integers(0, 7)
    return SubscriptionFacts(
        tuple(draw(st.lists(st.builds(LineFact, lines, names), max_size=8))),
        tuple(draw(st.lists(st.builds(NumberFact, names, st.lists(lines, max_size=4).map(tuple)), max_size=8))),
    )


@given(st.sampled_from(["privat", "bedrift", "sentralbord"]), subscriptions())
def test_whatever_the_operator_sends_limits_hold_and_the_surplus_is_accounted_for(product_id, facts):
    chosen = product(product_id)
    result = entitle(chosen, facts)
    limits = chosen.limits
    used = {fact.line for fact in result.lines} | {line for fact in result.numbers for line in fact.lines}
    assert limits.lines_max is None or len(used) <= limits.lines_max
    assert limits.numbers_max is None or len(result.numbers) <= limits.numbers_max
    if not chosen.has(Feature.RING_GROUP):
        assert all(len(fact.lines) <= limits.lines_per_number for fact in result.numbers)
    told = {Part.LINE: 0, Part.NUMBER: 0, Part.SUBSCRIPTION: 0}
    for entry in result.refused:
        if entry.code is not Excess.RING_GROUP_NOT_INCLUDED:
            told[entry.what] += 1
    assert len(result.numbers) + told[Part.NUMBER] == len(facts.numbers)
    assert {fact.line for fact in facts.lines} - {fact.line for fact in result.lines} <= {
        entry.line for entry in result.refused
    }
