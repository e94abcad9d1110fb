"""Customer service as published: who gets what, at what price, from which day."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from agent.core.catalogue import Audience, Catalogue, CatalogueError
from agent.data import load_products

SHIPPED = load_products()
DAY = dt.date(2019, 1, 15)


def offered(
    audience: Audience, day: dt.date = DAY, *, agreement: bool = False
) -> list[tuple[str, str | None, int, int]]:
    tiers = SHIPPED.support_at(audience, day, agreement=agreement)
    return [(tier.kind.value, tier.hourly, tier.days_min, tier.days_max) for tier in tiers]


def test_the_new_customer_service_begins_two_weeks_after_the_new_products():
    assert SHIPPED.find("privat", dt.date(2019, 1, 14)) is not None
    for audience in Audience:
        assert offered(audience, dt.date(2019, 1, 14)) == []
        assert offered(audience, DAY) != []


def test_private_customers_have_guides_and_pay_1190_an_hour_for_advanced_support():
    assert offered(Audience.PRIVATE) == [
        ("chatbot", None, 0, 0), ("guides", None, 0, 0), ("basic", None, 3, 7), ("advanced", "1190", 1, 5),
    ]  # fmt: skip


def test_business_customers_pay_950_an_hour_and_475_at_once_with_an_agreement():
    basic = [("chatbot", None, 0, 0), ("basic", None, 2, 5)]
    assert offered(Audience.BUSINESS) == [*basic, ("advanced", "950", 1, 2)]
    assert offered(Audience.BUSINESS, agreement=True) == [*basic, ("advanced", "475", 0, 0)]
    assert offered(Audience.PRIVATE, agreement=True) == offered(Audience.PRIVATE)


def test_help_that_costs_money_says_that_a_visit_is_extra_and_nothing_of_tax():
    for tier in SHIPPED.support:
        assert tier.visit_extra is (tier.hourly is not None)
        assert tier.vat == "not_stated"


def test_a_later_price_replaces_the_earlier_from_its_day():
    tier = SHIPPED.support_at(Audience.PRIVATE, DAY)[-1]
    dearer = msgspec.structs.replace(tier, effective_from=dt.date(2020, 1, 1), hourly="1250")
    catalogue = Catalogue(version="x", products=SHIPPED.products, support=(dearer, *SHIPPED.support))
    found = [
        {one.kind: one for one in catalogue.support_at(Audience.PRIVATE, day)}[tier.kind].hourly
        for day in (dt.date(2019, 12, 31), dt.date(2020, 1, 1))
    ]
    assert found == ["1190", "1250"]


@pytest.mark.parametrize(
    ("change", "sentence"), [({}, "there twice"), ({"effective_from": DAY, "days_min": 6}, "days_min is above")]
)
def test_contradictory_terms_are_refused(change, sentence):
    tier = msgspec.structs.replace(SHIPPED.support_at(Audience.PRIVATE, DAY)[-1], **change)
    rest = SHIPPED.support if not change else ()
    with pytest.raises(CatalogueError, match=sentence):
        Catalogue(version="x", products=SHIPPED.products, support=(*rest, tier))
