"""Rows with hours, days, lengths and maximum: as a deck says them, as the table keeps them, as a call is priced."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core.charge import Terms, price_by
from agent.core.packs import Pack, PackBalance
from agent.core.schedule import limited
from agent.core.tariff import AtMaximum, Lengths, TariffError
from agent.paths import data_dir
from agent.rating.deck import MAX_SAME_PREFIX, canonical, load, parse
from agent.rating.errors import DeckError, NoRate, NoRateReason
from agent.rating.rater import explain, find_rate, rate_call, terms_of
from agent.rating.table import RateTable, build, rating_key
from agent.texts import Texts

Write = Callable[..., str]
OSLO = ZoneInfo("Europe/Oslo")
TEXTS = Texts.load()
MORE = "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,maximum,when,from,until,length"
ROWS = (
    "45,Danmark,0,0.10,60,1,,,,hol+12-24,,,",
    "45,Danmark,0,0.50,60,1,,,,mon-fri 08:00-17:00,,,",
    "45,Danmark,0,0.20,60,1,,,,,,,",
    "46,Sverige,0,0.30,60,1,,,5.00 free,,,2026-12-31,",
    "46,Sverige,0,0.40,60,1,,,,,2027-01-01,,",
    "4679,\"Sverige, ny serie\",0,9.00,60,1,,,,,2026-12-01,,",
    "470,Femsifret,0,0.49,60,1,,,,,,,",
    "4702800,Politiet,0,0,60,1,,,,,,,exact",
    "4758,Maskin,0,0.99,60,1,,,,,,,10",
    "4758,Maskin,0,1.99,60,1,,,,,,,14",
    "4782,Teletorg,5,20,60,60,,,100.00 disconnect,,,,",
    "49,Tyskland,0,0.20,60,1,,,,,,,8-13",
    "49151,Tyskland mobil,,blocked,,,,,,,,,",
)  # fmt: skip


@pytest.fixture
def text(deck_text: Write) -> str:
    return deck_text(*ROWS, columns=MORE, holidays="12-25,12-26,2026-04-03")


@pytest.fixture(params=["built", "mapped"])
def table(text: str, request: pytest.FixtureRequest, tmp_path: Path) -> RateTable:
    deck = parse(text, "privat.csv")
    if request.param == "built":
        return RateTable.of(deck)
    build(deck, tmp_path / "privat.table")
    return RateTable.open(tmp_path / "privat.table")


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=OSLO)


def micro(table: RateTable, number: str, moment: str, seconds: int = 60) -> int:
    return rate_call(table, number, seconds * 1000, "privat", start=at(moment), zone=OSLO).amount_micro


@pytest.mark.parametrize(
    ("number", "moment", "amount"),
    [
        ("+4531234567", "2026-11-23 08:00", 500_000),
        ("+4531234567", "2026-11-23 17:00", 200_000),
        ("+4531234567", "2026-12-24 12:00", 100_000),
        ("+4531234567", "2026-12-25 12:00", 100_000),
        ("+4531234567", "2026-04-03 12:00", 100_000),
        ("+4531234567", "2026-11-23 16:59:30", 350_000),
        ("+4681234567", "2026-12-31 23:59", 300_000),
        ("+4681234567", "2026-12-31 23:59:30", 350_000),
        ("+4681234567", "2027-01-01 00:00", 400_000),
        ("+46791234567", "2026-11-30 12:00", 300_000),  # the new series is Sweden until it starts
        ("+46791234567", "2026-11-30 23:59:30", 4_650_000),
        ("+46791234567", "2026-12-01 00:00", 9_000_000),
        ("02800", "2026-11-23 12:00", 0),
        ("02801", "2026-11-23 12:00", 490_000),
        ("+4782012345", "2026-11-23 12:00", 25_000_000),
    ],
)
def test_a_call_costs_what_the_row_of_its_moment_says(table: RateTable, number: str, moment: str, amount: int) -> None:
    assert micro(table, number, moment) == amount


def test_the_maximum_frees_the_rest_of_the_call(table: RateTable) -> None:
    assert micro(table, "+4681234567", "2026-11-23 12:00", 3600) == 5_000_000


@pytest.mark.parametrize(("number", "amount"), [("+49301234", 200_000), ("+493012345678", 200_000)])
def test_numbers_of_a_length_that_the_row_knows_are_priced(table: RateTable, number: str, amount: int) -> None:
    assert micro(table, number, "2026-11-23 12:00") == amount


def test_rows_of_one_prefix_may_be_for_different_lengths(deck_text: Write) -> None:
    table = RateTable.of(parse(deck_text(*ROWS, columns=MORE), "x"))
    assert micro(table, "+47581234567890", "2026-11-23 12:00") == 1_990_000
    assert [rate.lengths for rate in table.candidates("4758123456")] == [Lengths(10, 10)]


@pytest.mark.parametrize("number", ["+4930123", "+49301234567890"])
def test_a_number_of_another_length_is_impossible_and_never_cheaper(table: RateTable, number: str) -> None:
    with pytest.raises(NoRate, match="knows no numbers of") as refused:
        micro(table, number, "2026-11-23 12:00")
    assert refused.value.reason is NoRateReason.IMPOSSIBLE_NUMBER
    assert number[1:] not in str(refused.value)


def test_a_shorter_prefix_stands_in_only_before_and_after_a_longer_one(table: RateTable, deck_text: Write) -> None:
    assert [rate.prefix for rate in table.candidates("46791234567")] == ["4679", "46", "46"]
    assert [rate.prefix for rate in table.candidates("4681234567")] == ["46", "46"]
    assert [rate.prefix for rate in table.candidates("4915112345678")] == ["49151"]
    assert [rate.prefix for rate in table.candidates("4702800")] == ["4702800"]
    assert [rate.prefix for rate in table.candidates("4702801")] == ["470"]
    rows = ("46,Sverige,0,0.30,60,1,,,,,,,", "467,Mobil,0,0.90,60,1,,,,,,,11")
    lengths = RateTable.of(parse(deck_text(*rows, columns=MORE), "x"))
    assert lengths.candidates("4670123456") == ()
    with pytest.raises(NoRate, match="knows no numbers of 10 digits in 467 Mobil"):
        rate_call(lengths, "+4670123456", 1000, "privat")


def test_blocked_and_not_yet_begun_destinations_are_refused(table: RateTable, deck_text: Write) -> None:
    with pytest.raises(NoRate) as refused:
        micro(table, "+4915123456789", "2026-11-23 12:00")
    assert refused.value.reason is NoRateReason.BLOCKED
    later = RateTable.of(parse(deck_text("46,Sverige,0,1,60,1,,,,,2027-01-01,,", columns=MORE), "x"))
    with pytest.raises(NoRate, match="at that time") as refused:
        micro(later, "+4681234567", "2026-12-31 12:00")
    assert refused.value.reason is NoRateReason.NO_MATCH


def test_a_call_that_goes_on_where_there_is_no_price_has_none(deck_text: Write) -> None:
    rows = ("46,Sverige,0,1,60,1,,,,,,2026-12-31,", "46,Sverige,,blocked,,,,,,,,,")
    table = RateTable.of(parse(deck_text(*rows, columns=MORE), "x"))
    with pytest.raises(NoRate) as refused:
        micro(table, "+4681234567", "2026-12-31 23:59:30")
    assert refused.value.reason is NoRateReason.BLOCKED


def test_rows_that_depend_on_time_are_not_priced_without_it(table: RateTable) -> None:
    with pytest.raises(TariffError, match="when the call was answered"):
        rate_call(table, "+4531234567", 1000, "privat")
    assert rate_call(table, "02801", 1000, "privat").prefix == "470"
    assert find_rate(table, "+4531234567", "privat", start=at("2026-11-23 12:00"), zone=OSLO).row == 13


def test_packs_are_used_by_number_and_shown_in_the_price(table: RateTable) -> None:
    packs = [PackBalance(Pack("norden", ("45", "46"), 60))]
    start = at("2026-11-23 12:00")
    priced = rate_call(table, "+4681234567", 90_000, "privat", start=start, zone=OSLO, packs=packs)
    assert (priced.amount_micro, priced.billed_s, priced.pack_s, priced.paid_s) == (150_000, 90, 60, 30)
    assert terms_of(table, "+493012345678", "privat", start=start, zone=OSLO, packs=packs).packs == ()


def test_the_explanation_says_hours_and_changes_in_both_languages(table: RateTable) -> None:
    start = at("2026-11-23 16:59:30")
    priced = rate_call(table, "+4531234567", 60_000, "privat", start=start, zone=OSLO)
    assert explain(priced, "nb", TEXTS)[:6] == [
        "Mest spesifikke oppføring: 45 Danmark (prisliste privat, versjon 7, linje 13).",
        "Oppføringen gjelder: man-fre 08:00-17:00.",
        "60000 ms taletid regnes som 60 s (rundet opp).",
        "Fra sekund 0: 30 × 1 s = 30 s à 0,50 kr per 60 s = 0,25 kr.",
        "Fra sekund 30 (2026-11-23 17:00:00) gjelder en annen oppføring: 45 Danmark (linje 14, alle dager).",
        "Fra sekund 30: 30 × 1 s = 30 s à 0,20 kr per 60 s = 0,10 kr.",
    ]
    assert "The entry applies: Mon-Fri 08:00-17:00." in explain(priced, "en", TEXTS)


def test_a_table_keeps_every_row_whole(table: RateTable, text: str) -> None:
    deck = parse(text, "privat.csv")
    kept = [rate for rate in deck.rates for found in table.candidates(rate.prefix.ljust(10, "1")) if found == rate]
    assert {rate.prefix for rate in kept} >= {"45", "46", "470", "4758", "4782"}
    assert table.rules == deck.header.rules
    teletorg = table.look_up("4782")
    assert teletorg is not None
    assert (teletorg.tariff.maximum_micro, teletorg.tariff.at_maximum) == (100_000_000, AtMaximum.DISCONNECT)


def test_a_deck_with_all_columns_is_canonical(text: str) -> None:
    deck = parse(text, "privat.csv")
    again = parse(canonical(deck), "privat.csv")
    assert again.header == deck.header
    assert [rate.when for rate in again.rates] == [rate.when for rate in deck.rates]
    assert canonical(again) == canonical(deck)


def test_columns_that_no_row_uses_are_left_out(deck_text: Write) -> None:
    deck = parse(deck_text("46,Sverige,0,1,60,1,,,,sat+sun,,,", "46,Sverige,0,2,60,1,,,,,,,", columns=MORE), "x")
    assert canonical(deck).splitlines()[-3] == (
        "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,when"
    )


@pytest.mark.parametrize(
    ("rows", "column", "advice"),
    [
        (["46,Sverige,0,1,60,1,,,5.00,,,,"], "maximum", "25.00 free"),
        (["46,Sverige,0,1,60,1,,,5.00 stop,,,,"], "maximum", "25.00 disconnect"),
        (["46,Sverige,0,1,60,1,,,x free,,,,"], "maximum", "decimal point"),
        (["46,Sverige,0,9,60,60,,,5.00 disconnect,,,,"], "maximum", "no call could begin"),
        (["46,Sverige,0,1,60,1,,6,5.00 free,,,,"], "maximum", "below the minimum"),
        (["46,Sverige,,blocked,,,,,5.00 free,,,,"], "maximum", "leave this empty"),
        (["46,Sverige,0,1,60,1,,,,weekdays,,,"], "when", "mon-fri"),
        (["46,Sverige,0,1,60,1,,,,,1.1.2027,,"], "from", "2026-01-01"),
        (["46,Sverige,0,1,60,1,,,,,20270101,,"], "from", "2026-01-01"),
        (["46,Sverige,0,1,60,1,,,,,2027-01-01,2026-12-31,"], "until", "before"),
        (["46,Sverige,0,1,60,1,,,,,,,0"], "length", "8-12"),
        (["46,Sverige,0,1,60,1,,,,,,,12-8"], "length", "8-12"),
        (["46,Sverige,0,1,60,1,,,,,,,8-16"], "length", "8-12"),
        (["46,Sverige,0,1,60,1,,,,mon-fri,,,"], "when", "no price at sat 00:00"),
        (["46,Sverige,0,1,60,1,,,,mon-fri,,2026-12-31,", "46,Sverige,0,1,60,1,,,,,,2026-11-30,"], "when", "2026-12-01"),
        (["46,Sverige,0,1,60,1,,,,,,,8", "46,Sverige,0,1,60,1,,,,sat,,,9"], "when", "sun 00:00|mon 00:00"),
        (["46,Sverige,0,1,60,1,,,,,,,", "46,Sverige,0,2,60,1,,,,sat,,,"], "prefix", "leaves nothing"),
        (["46,Sverige,0,1,60,1,,,,sat,,,", "46,Sverige,0,2,60,1,,,,sat,,,"], "prefix", "leaves nothing"),
        (["46,Sverige,0,1,60,1,,,,,,,", "46,Sverige,0,2,60,1,,,,,,,exact"], "prefix", "leaves nothing"),
        (["46,Sverige,0,1,60,1,,,,sat,,,", "46,Norge,0,2,60,1,,,,,,,"], "destination", "one destination"),
    ],
)  # fmt: skip
def test_a_doubtful_row_is_refused(deck_text: Write, rows: list[str], column: str, advice: str) -> None:
    with pytest.raises(DeckError, match=advice) as refused:
        parse(deck_text(*rows, columns=MORE), "privat.csv")
    assert f"column {column}" in str(refused.value)


def test_a_prefix_has_a_bounded_number_of_rows(deck_text: Write) -> None:
    rows = [f"46,Sverige,0,1,60,1,,,,2026-01-01..{2027 + n}-01-01,,," for n in range(MAX_SAME_PREFIX + 1)]
    with pytest.raises(DeckError, match="keep fewer windows"):
        parse(deck_text(*rows, columns=MORE), "privat.csv")


@pytest.mark.parametrize(
    "columns",
    [
        "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,from,when",
        "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,when,when",
        "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,colour",
        "prefix,destination,rate,when",
    ],
)
def test_columns_have_one_order(deck_text: Write, columns: str) -> None:
    with pytest.raises(DeckError, match="column line must read"):
        parse(deck_text("46,Sverige,0,1,60,1,,", columns=columns), "privat.csv")


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"vat": "added"}, "vat_percent"),
        ({"vat_percent": "25"}, "vat_percent"),
        ({"vat": "added", "vat_percent": "100"}, "0 to 99.99"),
        ({"vat": "added", "vat_percent": "2,5"}, "0 to 99.99"),
        ({"holidays": "25.12"}, "12-25"),
        ({"holidays": ""}, "12-25"),
        ({"holidays": ",".join(["12-25"] * 101)}, "12-25|key: value"),
    ],
)
def test_a_doubtful_header_is_refused(deck_text: Write, changes: dict[str, str], advice: str) -> None:
    with pytest.raises(DeckError, match=advice):
        parse(deck_text(**changes), "privat.csv")


@pytest.mark.parametrize(("percent", "written", "amount"), [("25", "25", 1_250_000), ("12.50", "12.5", 1_125_000)])
def test_tax_is_added_as_the_header_says(deck_text: Write, percent: str, written: str, amount: int) -> None:
    deck = parse(deck_text("46,Sverige,0,1,60,1,,", vat="added", vat_percent=percent), "x")
    assert f"# vat_percent: {written}\n" in canonical(deck)
    priced = rate_call(RateTable.of(deck), "+4681234567", 60_000, "privat")
    assert (priced.amount_micro, priced.vat) == (amount, "added")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_deck_with_a_changed_place_is_read_or_refused(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    piece = data.draw(
        st.text(max_size=6) | st.sampled_from([",", "\n", "hol", "sat", "08:00-17:00", "exact", "0", "-"])
    )
    changed = text[:place] + piece + text[place + data.draw(st.integers(0, 6)) :]
    deck = None
    with contextlib.suppress(DeckError):
        deck = parse(changed, "x.csv")
    if deck is None:
        return
    again = parse(canonical(deck), "x.csv")
    assert [(rate.prefix, rate.tariff, rate.when, rate.lengths) for rate in again.rates] == [
        (rate.prefix, rate.tariff, rate.when, rate.lengths) for rate in deck.rates
    ]
    table = RateTable.of(deck)
    for rate in deck.rates:
        assert rate in table.candidates(rate.prefix) or table.look_up(rate.prefix) is not None


@pytest.mark.parametrize(
    ("product", "number", "answered", "seconds", "micro"),
    [
        ("iplink-topp", "+4681234567", "2018-12-31 23:59:00", 120, 350_000 + 290_000),
        ("iplink-topp", "+4681234567", "2018-12-31 23:58:00", 120, 700_000),
        ("iplink-topp", "+4681234567", "2019-01-01 00:00:00", 120, 580_000),
        ("iplink-topp", "+4681234567", "2018-12-31 23:59:59", 2, 10_000),  # 0.35/60 + 0.29/60, rounded once
    ],
)
def test_a_call_over_the_new_year_of_2019_is_the_old_products_until_midnight_and_the_new_ones_after(
    product: str, number: str, answered: str, seconds: int, micro: int
) -> None:
    lists = data_dir() / "price-lists"
    old, new = (RateTable.of(load(lists / name)) for name in ("privat-2018.csv", "privat.csv"))
    assert product in old.header.products
    key = rating_key(number) or ""
    rates = (
        *limited(old.candidates(key), None, date(2018, 12, 31)), *limited(new.candidates(key), date(2019, 1, 1), None),
    )  # fmt: skip
    start = datetime.fromisoformat(answered).replace(tzinfo=OSLO)
    assert price_by(Terms(rates, new.rules, start, OSLO), seconds * 1000).amount_micro == micro
