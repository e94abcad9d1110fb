"""The month's estimate from the plan and the usage that the store has counted."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agent.clock import Moment
from agent.data import load_numbering, load_products, load_tones
from agent.month import month_view
from agent.operator.api import FileInfo, Number, OutgoingLine, Registration, Subscription
from agent.paths import data_dir
from agent.plan import Plan, Shipped
from agent.rating.deck import load
from agent.rating.table import RateTable
from agent.status.snapshot import MonthTotal
from agent.store.records import UsageRow

OWN = "+4721000000"
TODAY = date(2019, 1, 10)
NOW = Moment("boot", 5_000_000, datetime(2019, 1, 10, 12, tzinfo=UTC), True)
USAGE = [UsageRow(OWN, 2, 90, 1_500_000, "NOK"), UsageRow("+4721000001", 1, 30, 500_000, "NOK")]


def nothing(_: str) -> RateTable:
    raise AssertionError("no old price list is asked for")


@pytest.fixture
def plan() -> Plan:
    made = Plan(Shipped(load_products(), load_numbering(), load_tones()), ZoneInfo("Europe/Oslo"), nothing)
    made.use_subscription(
        Subscription(
            revision="1", customer="Nordmann", product="iplink-topp",
            registrations=[
                Registration(id="a", user="a", domain="sip.example", auth_user="a", password="x", targets=["192.0.2.1"])
            ],
            numbers=[Number(number=OWN, registration="a", lines=[0])],
            lines=[OutgoingLine(line=0, registration="a", number=OWN)],
            price_list=FileInfo(name="privat.csv", version="1", length=1, sha256="0" * 64),
        ),
        NOW,
    )  # fmt: skip
    return made


def test_this_month_and_the_last_have_each_their_own_product(plan: Plan) -> None:
    plan.use_table(RateTable.of(load(data_dir() / "price-lists/privat.csv")), "t")
    last, this = (month_view(plan, month, USAGE, TODAY) for month in ("2018-12", "2019-01"))
    assert last is not None
    assert this is not None
    assert [(item.kind, item.name_nb, item.sample) for item in last.items] == [
        ("monthly_fee", "iplink Topp", True), ("calls", "", False),
    ]  # fmt: skip
    assert [(item.kind, item.count, item.seconds, item.amount_micro) for item in this.items] == [
        ("monthly_fee", 1, 0, 149_000_000), ("calls", 3, 120, 2_000_000),
    ]  # fmt: skip
    assert this.totals == [MonthTotal(amount_micro=151_000_000, currency="NOK", vat="not_stated")]
    assert (last.complete, last.invoiced_in, this.complete, this.invoiced_in) == (True, "2019-01", False, "2019-02")


def test_an_ended_subscription_has_no_fee_for_the_months_after(plan: Plan) -> None:
    assert plan.subscription is not None
    plan.use_subscription(msgspec.structs.replace(plan.subscription, notice=date(2018, 12, 31)), NOW)
    assert month_view(plan, "2019-01", [], TODAY) is None
    december = month_view(plan, "2018-12", [], TODAY)
    assert december is not None
    assert [item.kind for item in december.items] == ["monthly_fee"]


def test_without_a_subscription_there_is_nothing_to_estimate() -> None:
    empty = Plan(Shipped(load_products(), load_numbering(), load_tones()), ZoneInfo("Europe/Oslo"), nothing)
    assert month_view(empty, "2019-01", [], TODAY) is None
