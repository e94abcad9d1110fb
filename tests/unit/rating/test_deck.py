"""A price list is read exactly, or refused with file, row, column, value and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.paths import data_dir
from agent.rating.deck import MAX_BYTES, canonical, load, parse
from agent.rating.errors import DeckError, PriceListError, Problem

Write = Callable[..., str]
SHIPPED = sorted((data_dir() / "price-lists").glob("*.csv"))


def problem_of(text: str | bytes) -> str:
    with pytest.raises(DeckError) as refused:
        parse(text, "privat.csv")
    return str(refused.value)


def test_a_deck_is_read_as_it_is_written(deck_text: Write) -> None:
    deck = parse(deck_text(note="a sample"), "privat.csv")
    assert len(deck.rates) == 12
    assert deck.rates[3].destination == "Sverige, mobil"
    assert deck.rates[3].row == 15
    assert deck.header.products == ("privat",)
    assert deck.notes == ("a sample",)
    assert [part.from_s for part in deck.rates[10].tariff.intervals] == [0, 60]
    assert deck.rates[9].tariff.minimum_micro == 25_000_000
    assert deck.rates[11].tariff.blocked


def test_canonical_text_is_stable(deck_text: Write) -> None:
    deck = parse(deck_text(note="a sample"), "privat.csv")
    again = parse(canonical(deck), "privat.csv")
    assert again.header == deck.header
    assert [(rate.prefix, rate.destination, rate.tariff) for rate in again.rates] == [
        (rate.prefix, rate.destination, rate.tariff) for rate in deck.rates
    ]
    assert canonical(again) == canonical(deck)


def test_rows_of_one_price_share_it(deck_text: Write) -> None:
    deck = parse(deck_text("46,Sverige,0,1,60,1,,", "47815,UAN,0,1,60,1,,"), "x")
    assert deck.rates[0].tariff is deck.rates[1].tariff


@pytest.mark.parametrize(
    ("row", "column", "value", "advice"),
    [
        ("+46,Sverige,0,1,60,1,,", "prefix", "+46", "digits only"),
        ("46 8,Sverige,0,1,60,1,,", "prefix", "46 8", "digits only"),
        (",Sverige,0,1,60,1,,", "prefix", "", "digits only"),
        ("٤٦,Sverige,0,1,60,1,,", "prefix", "٤٦", "digits only"),
        ("0046,Sverige,0,1,60,1,,", "prefix", "0046", "country code"),
        ("373000000000,Estonia,0,1,60,1,,", "prefix", "373000000000", "spreadsheet"),
        ("4950000000000,Germany,0,1,60,1,,", "prefix", "4950000000000", "spreadsheet"),
        ("4681234567890123,Sverige,0,1,60,1,,", "prefix", "4681234567890123", "15 digits"),
        ("47,Norge,0,0,60,1,,", "prefix", "47", "one by one"),
        ("4,Europa,0,0,60,1,,", "prefix", "4", "one by one"),
        ("478,Norge,0,0.00,60,1,,", "prefix", "478", "one by one"),
        ("46,,0,1,60,1,,", "destination", "", "1 to 100"),
        ("46, Sverige,0,1,60,1,,", "destination", " Sverige", "no space"),
        ("46,Sver\x1bige,0,1,60,1,,", "destination", "x1b", "control"),
        ("46,Sverige,-1,1,60,1,,", "connect_fee", "-1", "from zero up"),
        ("46,Sverige,0,-0.10,60,1,,", "rate", "-0.10", "from zero up"),
        ('46,Sverige,0,"0,10",60,1,,', "rate", "0,10", "decimal point"),
        ("46,Sverige,0,1e-05,60,1,,", "rate", "1e-05", "decimal point"),
        ("46,Sverige,0,,60,1,,", "rate", "", "decimal point"),
        ("46,Sverige,0,5000,60,1,,", "rate", "5000", "between"),
        ("46,Sverige,0,1,0,1,,", "unit_s", "0", "between"),
        ("46,Sverige,0,1,60,0,,", "increment_s", "0", "between"),
        ("46,Sverige,0,1,60,60/1,,", "increment_s", "60/1", "whole number"),
        ("46,Sverige,0,1,60,60,90:1/60/1,", "next", "90:1/60/1", "end of an increment"),
        ("46,Sverige,0,1,60,60,soon,", "next", "soon", "from_s:rate"),
        ("46,Sverige,0,1,60,60,,kr 1", "minimum", "kr 1", "decimal point"),
        ("46,Satellitt,,blocked,60,,,", "unit_s", "60", "leave this empty"),
        ("46,Sverige,0,1,60,1,", "", "46,Sverige", "7 columns"),
        ('46,"Sverige,0,1,60,1,,', "", "46", "quotation"),
        ("", "", "", "1 columns"),
    ],
)
def test_a_doubtful_row_is_refused(deck_text: Write, row: str, column: str, value: str, advice: str) -> None:
    message = problem_of(deck_text(row))
    assert message.startswith("privat.csv, row 11")
    assert f"column {column}" in message or not column
    assert value in message
    assert advice in message


def test_a_priced_country_code_of_norway_is_allowed(deck_text: Write) -> None:
    assert parse(deck_text("47,Norge,0,0.10,60,1,,"), "x").rates[0].prefix == "47"


def test_a_duplicate_prefix_is_refused_whatever_its_price(deck_text: Write) -> None:
    message = problem_of(deck_text("46,Sverige,0,1,60,1,,", "46,Sverige,0,2,60,1,,"))
    assert "row 12, column prefix, '46'" in message
    assert "same prefix" in message


def test_unsorted_rows_are_refused(deck_text: Write) -> None:
    assert "sort the rows" in problem_of(deck_text("47815,UAN,0,1,60,1,,", "46,Sverige,0,1,60,1,,"))


def test_all_faults_are_told_at_once_but_not_endlessly(deck_text: Write) -> None:
    with pytest.raises(DeckError) as refused:
        parse(deck_text("+46,A,0,1,60,1,,", "47815,B,x,1,60,1,,"), "x")
    assert [(problem.row, problem.column) for problem in refused.value.problems] == [
        (11, "prefix"),
        (12, "connect_fee"),
    ]
    with pytest.raises(DeckError) as refused:
        parse(deck_text(*["junk"] * 1000), "x")
    assert len(refused.value.problems) == 20


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"vat": None}, "lacks the line '# vat: …'"),
        ({"vat": "maybe"}, "included, excluded, not_stated"),
        ({"currency": "kr"}, "ISO 4217"),
        ({"decimals": "7"}, "from 0 to 6"),
        ({"rounding": "nearest"}, "up, half_up"),
        ({"seconds": "floor"}, "up, half_up"),
        ({"valid_from": "01.01.2026"}, "2026-01-01"),
        ({"valid_from": "20260101"}, "2026-01-01"),
        ({"product": "privat,,bedrift"}, "commas between"),
        ({"version": ""}, "letters, digits"),
        ({"colour": "blue"}, "unknown header key"),
    ],
)
def test_a_doubtful_header_is_refused(deck_text: Write, changes: dict[str, str | None], part: str) -> None:
    assert part in problem_of(deck_text(**changes))


def test_a_header_that_says_two_things_is_refused(deck_text: Write) -> None:
    assert "twice" in problem_of("# vat: included\n" + deck_text())


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "no column line"),
        (b"\xef\xbb\xbf# vat: included\n", "byte order mark"),
        (b"# vat: included\r\n", "CR"),
        (b"# vat: included\n# note: \xff\n", "row 2"),
        (b"# vat: included", "cut short"),
        (b"#vat included\n", "'# key: value'"),
        (b"prefix;rate\n", "column line must read"),
        (b"Code,Price\n46,1\n", "by iplink-agent deck build"),
        (b" " * (MAX_BYTES + 1), "longer than"),
    ],
)
def test_a_file_in_another_form_is_refused(data: bytes, part: str) -> None:
    assert part in problem_of(data)


def test_a_list_without_rows_is_refused(deck_text: Write) -> None:
    text = deck_text()
    assert "no rows" in problem_of(text[: text.index("minimum\n") + len("minimum\n")])


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(PriceListError, match=r"missing\.csv: .*No such file"):
        load(tmp_path / "missing.csv")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_shipped_lists_are_canonical(path: Path) -> None:
    assert canonical(load(path)) == path.read_text(encoding="utf-8")


@given(st.binary(max_size=400))
def test_no_bytes_can_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(DeckError):
        parse(data, "x.csv")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_deck_with_a_changed_place_is_read_or_refused(deck_text: Write, data: st.DataObject) -> None:
    text = deck_text()
    at = data.draw(st.integers(0, len(text)))
    piece = data.draw(st.text(max_size=6) | st.sampled_from([",", '"', "\n", ";", ":", "0", "-", "blocked", "\0"]))
    changed = text[:at] + piece + text[at + data.draw(st.integers(0, 6)) :]
    problems: tuple[Problem, ...] = ()
    try:
        deck = parse(changed, "x.csv")
    except DeckError as refused:
        problems = refused.problems
        assert problems
    else:
        assert parse(canonical(deck), "x.csv").header == deck.header
    assert all(problem.advice and problem.row > 0 for problem in problems)
