"""What each product allows, refuses clearly, and leaves working."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.catalogue import (
    Catalogue,
    CatalogueError,
    Excess,
    Feature,
    LineFact,
    NumberFact,
    Part,
    Product,
    Refused,
    SubscriptionFacts,
    entitle,
)
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
        entry.id: (entry.monthly_fee, entry.limits.lines_max, entry.limits.numbers_max) for entry in SHIPPED.products
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
    assert catalogue.ids() == ("privat", "bedrift", "sentralbord")


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
    ],
)
def test_a_contradictory_catalogue_is_refused(products, sentence):
    with pytest.raises(CatalogueError, match=sentence):
        Catalogue(version="x", products=products)


@st.composite
def subscriptions(draw):
    names = st.sampled_from([number(index) for index in range(7)])
    lines = st.integers(0, 7)
    return SubscriptionFacts(
        tuple(draw(st.lists(st.builds(LineFact, lines, names), max_size=8))),
        tuple(draw(st.lists(st.builds(NumberFact, names, st.lists(lines, max_size=4).map(tuple)), max_size=8))),
    )


@given(st.sampled_from(SHIPPED.ids()), subscriptions())
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
