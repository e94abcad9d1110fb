"""Rated calls from other systems' tests: each costs what exact arithmetic with one rounding says, by its id."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from agent.core.charge import Charge, Terms, max_duration, price, price_by
from agent.core.money import MICRO, Rounding, parse_amount
from agent.core.packs import Pack, PackBalance, after, validate_pack
from agent.core.tariff import AtMaximum, Interval, PriceRules, Rate, Tariff, Vat, validate
from agent.rating.deck import parse
from agent.rating.rater import rate_call
from agent.rating.table import RateTable

Write = Callable[..., str]
Case = dict[str, Any]
CASES = json.loads((Path(__file__).parents[2] / "data" / "rating_cases.json").read_text(encoding="utf-8"))
METHODS = {"*up": Rounding.UP, "*middle": Rounding.HALF_UP, "*down": Rounding.DOWN}
ORDINARY_DAY = "2026-11-25T12:00:00Z"
MORE = "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,maximum,when"
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def digits_of(number: str) -> str:
    """The cases' numbers, in a country code of their own; the catch-all row is that code."""
    return "99" + number.removeprefix("+")


def window_of(timing: Case | None) -> str:
    """`from start_time on, on these days` as a window."""
    if timing is None:
        return ""
    days = [WEEK[day - 1] for day in timing.get("weekdays", ())]
    days += [f"{month:02d}-{day:02d}" for month in timing.get("months", ()) for day in timing["month_days"]]
    start = timing.get("start_time", "00:00:00")[:5]
    return " ".join(("+".join(days), f"{start}-24:00" if start != "00:00" else "")).strip()


def lines_of(prefix: str, rows: list[Case], *, connect_fee: bool) -> list[str]:
    """The rows of one prefix: highest weight first, then the latest start; what no row covers is blocked."""
    groups: dict[tuple[int, str, str, str], list[Case]] = {}
    for row in rows:
        timing = row.get("timing")
        start = (timing or {}).get("start_time", "00:00:00")
        key = (-row["weight"], start, json.dumps(timing), row.get("rate_group") or "")
        groups.setdefault(key, []).append(row)
    ordered = sorted(groups.items(), key=lambda item: item[0][1], reverse=True)
    ordered.sort(key=lambda item: item[0][0])
    lines = []
    for _, group in ordered:
        first, *later = sorted(group, key=lambda row: row["group_interval_start_s"])
        following = ";".join(
            f"{row['group_interval_start_s']}:{row['rate']}/{row['rate_unit_s']}/{row['rate_increment_s']}"
            for row in later
        )
        maximum = f"{first['max_cost']} {first['max_cost_strategy'][1:]}" if first["max_cost"] else ""
        fee = first["connect_fee"] if connect_fee else "0"
        lines.append(
            f"{prefix},Sample,{fee},{first['rate']},{first['rate_unit_s']},{first['rate_increment_s']},{following},,"
            f"{maximum},{window_of(first.get('timing'))}"
        )
    if all(row.get("timing") for row in rows):
        lines.append(f"{prefix},Sample,,blocked,,,,,,")
    return lines


def table_of(case: Case, deck_text: Write) -> RateTable:
    by_prefix: dict[str, list[Case]] = {}
    for row in case["rates"]:
        by_prefix.setdefault(digits_of(row["prefix"]), []).append(row)
    lines = [
        line
        for prefix in sorted(by_prefix)
        for line in lines_of(prefix, by_prefix[prefix], connect_fee=case.get("connect_fee_applies", True))
    ]
    longest = max((p for p in by_prefix if digits_of(case["destination"]).startswith(p)), key=len)
    matched = by_prefix[longest][0]
    text = deck_text(
        *lines, rounding=METHODS[matched["rounding_method"]], decimals=str(matched["rounding_decimals"]), columns=MORE
    )
    return RateTable.of(parse(text, "case.csv"))


@pytest.mark.parametrize("case", CASES["rating_cases"], ids=lambda case: case["id"])
def test_published_cases_cost_exactly_what_they_should(case: Case, deck_text: Write) -> None:
    assert case["semantics"] == "cgrates-0.x"  # an increment eats into the next span: what we do
    table = table_of(case, deck_text)
    start = datetime.fromisoformat(case["start"] or ORDINARY_DAY)
    rates = table.candidates(digits_of(case["destination"]))
    charge = price(rates, case["duration_s"] * 1000, table.rules, start=start, zone=UTC)
    assert charge.amount_micro == parse_amount(case["exact_cost"])
    assert abs(charge.exact_micro / MICRO - Fraction(case["exact_unrounded"])) < Fraction(1, 10**12)


def test_the_list_disconnects_at_its_maximum_and_prices_what_went_on(deck_text: Write) -> None:
    case = next(case for case in CASES["rating_cases"] if case["id"] == "cd-max-disc")
    table = table_of(case, deck_text)
    start = datetime.fromisoformat(case["start"])
    terms = Terms(table.candidates(digits_of(case["destination"])), table.rules, start, UTC)
    assert max_duration(terms, None) == 10_000


@pytest.mark.parametrize(
    "case", CASES["billable_seconds_cases"], ids=lambda case: f"{case['initial_s']}/{case['next_s']}"
)
def test_published_billed_seconds(case: Case, deck_text: Write) -> None:
    row = f"46,Sverige,0,1,60,{case['initial_s']},{case['initial_s']}:1/60/{case['next_s']},"
    table = RateTable.of(parse(deck_text(row), "case.csv"))
    assert rate_call(table, "+4681234567", case["duration_s"] * 1000, "privat").billed_s == case["expected_billed_s"]


@pytest.mark.parametrize("case", CASES["duration_rounding_cases"], ids=lambda case: str(case["duration_s"]))
def test_published_duration_roundings(case: Case) -> None:
    rate = Rate("1", "x", Tariff(0, (Interval(0, 1, 1, case["increment_s"]),)), 1)
    assert price(rate, case["duration_s"] * 1000, rules()).billed_s == case["expected_s"]


@pytest.mark.parametrize("case", CASES["min_max_cost_cases"], ids=lambda case: case["cost"])
def test_published_minimum_and_maximum_charges(case: Case) -> None:
    tariff = Tariff(
        micro(case["cost"]), (Interval(0, 0, 1, 1),), micro(case["min_cost"]), maximum_micro=micro(case["max_cost"]),
        at_maximum=AtMaximum.FREE,
    )  # fmt: skip
    validate(tariff)
    assert price(Rate("1", "x", tariff, 1), 1000, rules()).amount_micro == micro(case["expected"])


@pytest.mark.parametrize("case", CASES["vat_cases_yeti"], ids=lambda case: f"{case['vat_percent']} %")
@pytest.mark.parametrize("added", [False, True], ids=["without", "with"])
def test_published_value_added_tax(case: Case, added: bool) -> None:
    rate, first, following = micro(case["rate_per_min"]), case["initial_s"], case["next_s"]
    tariff = Tariff(0, (Interval(0, rate, 60, first), Interval(first, rate, 60, following)))
    how = PriceRules(
        "p", "1", "NOK", Vat.ADDED if added else Vat.EXCLUDED, METHODS[case["method"]], case["decimals"],
        vat_bp=int(case["vat_percent"]) * 100 if added else 0,
    )  # fmt: skip
    expected = case["expected_with_vat" if added else "expected_no_vat"]
    assert price(Rate("1", "x", tariff, 1), case["duration_s"] * 1000, how).amount_micro == micro(expected)


# --- minute packs ----------------------------------------------------------------------------------------------------


def micro(text: str) -> int:
    return parse_amount(text)


def rules(method: str = "*middle", decimals: int = 4) -> PriceRules:
    return PriceRules("p", "1", "NOK", Vat.NOT_STATED, METHODS[method], decimals)


def overflow_rate(row: Case) -> Rate:
    tariff = Tariff(
        micro(row["connect_fee"]), (Interval(0, micro(row["rate"]), row["rate_unit_s"], row["rate_increment_s"]),)
    )
    return Rate(row["prefix"] or "1", "Sample", tariff, 1)


def pack_of(case: Case) -> PackBalance:
    row = case.get("pack_rate", {"prefix": "1", "rate_increment_s": 1, "connect_fee": "0"})
    pack = Pack(
        "p", (row["prefix"],), case["pack_seconds"], row["rate_increment_s"],
        connect_fee_micro=micro(row["connect_fee"]),
    )  # fmt: skip
    validate_pack(pack)
    return PackBalance(pack)


def by_id(name: str) -> Case:
    return next(case for case in CASES["pack_cases"] if case["id"] == name)


def terms_of(case: Case, start: str, packs: tuple[PackBalance, ...]) -> Terms:
    row = case["overflow_rate"]
    how = rules(row["rounding_method"], min(row["rounding_decimals"], 6))
    return Terms((overflow_rate(row),), how, datetime.fromisoformat(start), UTC, packs)


@pytest.mark.parametrize("name", ["pack-60-of-120", "pack-10s"])
def test_published_packs_are_used_up_first(name: str) -> None:
    case = by_id(name)
    balance = pack_of(case)
    charge = price_by(terms_of(case, case["start"], (balance,)), case["duration_s"] * 1000)
    assert charge.amount_micro == micro(case["expected_cost"])
    left = after((balance,), charge.pack_uses)[0].left_s(case["start"][:7])
    assert left == case["expected_pack_left_s"]


def test_a_published_call_longer_than_pack_and_money_is_cut_where_both_end() -> None:
    case = by_id("pack-force")
    terms = terms_of(case, case["start"], (pack_of(case),))
    granted = max_duration(terms, micro(case["money"]))
    assert granted == 49_000  # 40 s of the pack for its fee of 0.01, then 9 s at 0.10; a tenth would cost 1.01
    assert granted < case["duration_s"] * 1000
    assert price_by(terms, granted).amount_micro == micro("0.91")


def test_published_rerating_in_the_order_of_answers_moves_costs_and_keeps_the_total() -> None:
    case = by_id("pack-rerate")

    def rated(calls: list[Case]) -> dict[str, Charge]:
        balances = (pack_of(case),)
        charges = {}
        for call in calls:
            charge = price_by(terms_of(case, call["start"], balances), 120_000)
            balances = after(balances, charge.pack_uses)
            charges[call["start"]] = charge
        return charges

    for calls in (case["calls"], case["after_rerate_in_answer_time_order"]):
        found = rated(calls)
        assert {start: charge.amount_micro for start, charge in found.items()} == {
            call["start"]: micro(call["expected_cost"]) for call in calls
        }
        assert sum(charge.amount_micro for charge in found.values()) == micro("1.8")
