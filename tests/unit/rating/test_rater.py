"""One function prices every call, refuses what has no price, and explains itself in both languages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agent.core.cdr import Price
from agent.core.money import Rounding
from agent.core.tariff import Vat
from agent.paths import data_dir
from agent.rating.cli_rate import find_deck, rate_report
from agent.rating.deck import parse
from agent.rating.errors import NoPriceList, NoRate, NoRateReason
from agent.rating.rater import explain, rate_call
from agent.rating.table import RateTable
from agent.texts import Texts

Write = Callable[..., str]
LISTS = data_dir() / "price-lists"
TEXTS = Texts.load()


def said(priced: Price, lang: str = "en") -> list[str]:
    return explain(priced, lang, TEXTS)


@pytest.fixture
def table(deck_text: Write) -> RateTable:
    return RateTable.of(parse(deck_text(), "privat.csv"))


def test_a_price_carries_everything_that_explains_it(table: RateTable) -> None:
    priced = rate_call(table, "+4681234567", 124_001, "privat")
    assert (priced.amount_micro, priced.exact, priced.billed_s) == (604_200, "29/48", 125)
    assert (priced.prefix, priced.destination, priced.price_list, priced.version) == ("46", "Sverige", "privat", "7")
    assert (priced.product, priced.currency, priced.vat) == ("privat", "NOK", "included")
    assert msgspec.json.decode(msgspec.json.encode(priced), type=Price) == priced


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("+33123456789", NoRateReason.NO_MATCH),
        ("+4791234567", NoRateReason.NO_MATCH),
        ("175", NoRateReason.NO_MATCH),
        ("+472233445", NoRateReason.IMPOSSIBLE_NUMBER),
        ("+4702800123", NoRateReason.IMPOSSIBLE_NUMBER),
        ("4711", NoRateReason.IMPOSSIBLE_NUMBER),
        ("anonymous", NoRateReason.IMPOSSIBLE_NUMBER),
        ("+8812345678", NoRateReason.BLOCKED),
    ],
)
def test_no_rate_is_never_free(table: RateTable, number: str, reason: NoRateReason) -> None:
    for duration_ms in (0, 60_000):
        with pytest.raises(NoRate) as refused:
            rate_call(table, number, duration_ms, "privat")
        assert refused.value.reason is reason
        assert number not in str(refused.value) or len(number) <= 4 or number == "anonymous"


def test_a_product_never_falls_through_to_another_list(table: RateTable) -> None:
    with pytest.raises(NoRate, match="bedrift") as refused:
        rate_call(table, "+4681234567", 1000, "bedrift")
    assert refused.value.reason is NoRateReason.WRONG_PRODUCT


@pytest.mark.parametrize("number", ["110", "112", "113", "1412"])
def test_emergency_calls_are_free_whatever_the_list_says(table: RateTable, number: str) -> None:
    priced = rate_call(table, number, 600_000, "any product")
    assert priced.amount_micro == 0
    assert said(priced) == [f"{number} is an emergency number: the call is always free."]


@pytest.mark.parametrize(
    ("number", "amount"),
    [
        ("+4722334455", 0),
        ("+4741234567", 0),
        ("+4781569060", 690_000),
        ("+4782012345", 25_000_000),
        ("02800", 490_000),
        ("1881", 38_000_000),
    ],
)
def test_free_norwegian_calls_do_not_leak_into_premium(table: RateTable, number: str, amount: int) -> None:
    assert rate_call(table, number, 60_000, "privat").amount_micro == amount


def test_the_explanation_in_norwegian_and_english(table: RateTable) -> None:
    priced = rate_call(table, "+4930123456", 75_000, "privat")
    assert said(priced, "nb") == [
        "Mest spesifikke oppføring: 49 Tyskland (prisliste privat, versjon 7, linje 21).",
        "75000 ms taletid regnes som 75 s (rundet opp).",
        "Fra sekund 0: 1 × 60 s = 60 s à 0,20 kr per 60 s = 0,20 kr.",
        "Fra sekund 60: 15 × 1 s = 15 s à 0,10 kr per 60 s = 0,025 kr.",
        "Startavgift: 0,40 kr.",
        "Sum 0,625 kr, avrundet én gang til 4 desimaler (halve opp): 0,625 kr.",
        "Merverdiavgift er inkludert i prisene.",
    ]
    assert said(priced)[-2] == "Sum NOK 0.625, rounded once to 4 decimals (halves up): NOK 0.625."


@pytest.mark.parametrize("mode", Rounding)
@pytest.mark.parametrize("vat", Vat)
def test_every_step_has_its_sentences(deck_text: Write, mode: Rounding, vat: Vat) -> None:
    percent = "12.5" if vat is Vat.ADDED else None
    rows = ("46,Sverige,1,1,60,1,60:0/60/1,9", "49,Tyskland,0,0,60,1,,")
    table = RateTable.of(parse(deck_text(*rows, rounding=mode, seconds=mode, vat=vat, vat_percent=percent), "x"))
    for number in ("+4681234567", "+4930123456"):
        for duration_ms in (0, 5_000, 90_000):
            priced = rate_call(table, number, duration_ms, "privat")
            for lang in ("nb", "en"):
                assert all(said(priced, lang))


# --- the shipped lists -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["4681234567", "+4681234567", "004681234567", "+46 8 123 45 67"])
def test_sweden_however_it_is_typed(typed: str) -> None:
    priced = rate_report(typed, "privat", 125, LISTS)
    assert (priced.prefix, priced.amount_micro, priced.exact, priced.billed_s) == ("46", 600_000, "29/48", 125)


@pytest.mark.parametrize(
    "number", ["22334455", "33445566", "50123456", "57123456", "61234567", "77123456", "41234567", "91234567"]
)
def test_privat_calls_norwegian_fixed_and_mobile_for_nothing(number: str) -> None:
    assert rate_report(number, "privat", 3600, LISTS).amount_micro == 0


@pytest.mark.parametrize(
    "number",
    [
        "82012345",
        "82912345",
        "82312345",
        "81012345",
        "81569060",
        "85012345",
        "88012345",
        "02800",
        "1881",
        "59123456",
        "581234567890",
    ],
)
def test_privat_pays_for_everything_else_in_norway(number: str) -> None:
    assert rate_report(number, "privat", 60, LISTS).amount_micro > 0


@pytest.mark.parametrize("product", ["bedrift", "sentralbord"])
@pytest.mark.parametrize(("seconds", "amount"), [(60, 150_000), (61, 150_000), (120, 300_000), (3600, 9_000_000)])
def test_business_calls_to_norwegian_fixed_numbers_cost_15_ore_a_minute(
    product: str, seconds: int, amount: int
) -> None:
    assert rate_report("22334455", product, seconds, LISTS).amount_micro == amount


@pytest.mark.parametrize("product", ["privat", "bedrift"])
def test_toll_free_and_social_numbers_are_free(product: str) -> None:
    for number in ("80012345", "80112345", "116117"):
        assert rate_report(number, product, 600, LISTS).amount_micro == 0


@pytest.mark.parametrize("number", ["123", "0123", "4711", "58123456", "190"])
def test_what_the_lists_do_not_know_is_refused(number: str) -> None:
    with pytest.raises(NoRate):
        rate_report(number, "privat", 60, LISTS)


@pytest.mark.parametrize("product", ["privat", "bedrift"])
def test_what_the_plan_does_not_state_calls_itself_a_sample(product: str) -> None:
    deck = find_deck(product, LISTS)
    assert any("SAMPLE DATA" in note for note in deck.notes)
    assert "sample" in deck.header.rules.version
    stated = [rate for rate in deck.rates if "eksempel" not in rate.destination]
    assert all(rate.prefix.startswith("47") for rate in stated)
    per_minute = {rate.tariff.intervals[0].rate_micro for rate in stated}
    assert per_minute == ({0} if product == "privat" else {0, 150_000})


def test_an_unknown_product_has_no_price_list(tmp_path: Path) -> None:
    with pytest.raises(NoPriceList, match="gull"):
        rate_report("22334455", "gull", 60, LISTS)
    with pytest.raises(NoPriceList):
        rate_report("22334455", "privat", 60, tmp_path)
    with pytest.raises(ValueError, match="-1"):
        rate_report("22334455", "privat", -1, LISTS)


def test_a_pack_on_the_command_line_pays_first() -> None:
    start = datetime(2026, 11, 22, 20, tzinfo=UTC)
    zone = ZoneInfo("Europe/Oslo")
    paid = rate_report("004681234567", "privat", 90, LISTS, start=start, zone=zone, pack_s=60)
    assert (paid.pack_s, paid.paid_s) == (60, 30)
    assert paid.amount_micro == rate_report("004681234567", "privat", 30, LISTS, start=start, zone=zone).amount_micro
