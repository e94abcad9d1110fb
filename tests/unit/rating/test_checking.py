"""Doubts about a sound price list: each has its row and a sentence, and an ordinary list has none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from agent.paths import data_dir
from agent.rating.checking import Finding, FindingKind, check
from agent.rating.deck import load, parse
from agent.rating.errors import DeckError
from agent.texts import Texts

Write = Callable[..., str]
TODAY = date(2026, 2, 1)
TIMED = "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,when,from,until"


def findings(text: str, today: date = TODAY) -> list[tuple[str, int, str]]:
    return [(it.kind.value, it.row, said(it)) for it in check(parse(text, "privat.csv"), today)]


def said(finding: Finding) -> str:
    return Texts.load().say(f"deck-check.{finding.sentence}", "en", **finding.values)


def test_an_ordinary_list_has_no_doubts(deck_text: Write):
    assert findings(deck_text()) == []


@pytest.mark.parametrize("name", ["privat", "bedrift"])
def test_the_shipped_lists_are_only_old(name: str):
    deck = load(data_dir() / "price-lists" / f"{name}.csv")
    assert {it.kind for it in check(deck, TODAY)} == {FindingKind.STALE}
    assert check(deck, deck.header.valid_from) == []


@pytest.mark.parametrize(
    ("rows", "usual"),
    [
        (("46,Sverige,0,0.29,60,1,,", "467,Sverige mobil,0,0.0089,60,1,,"), "0.29"),
        (tuple(f"46{n},Sverige mobil,0,{'0.089' if n == 3 else '0.89'},60,1,," for n in range(1, 6)), "0.89"),
        (("46,Sverige,0,0.0029,60,1,,", "467,A,0,0.89,60,1,,", "468,B,0,0.29,60,1,,"), "0.29"),
    ],
)
def test_a_price_far_below_its_country_is_a_likely_slip(deck_text: Write, rows: tuple[str, ...], usual: str):
    (found,) = findings(deck_text(*rows))
    assert found[0] == "slip"
    assert f"far below NOK {usual}/min" in found[2]
    assert "country code 46" in found[2]


@pytest.mark.parametrize(("price", "is_slip"), [("89", True), ("8.90", True), ("8.89", False), ("2.50", False)])
def test_a_price_far_above_its_destination_has_likely_lost_its_decimal_sign(
    deck_text: Write, price: str, is_slip: bool
):
    rows = (f"46{n},Sverige mobil,0,{price if n == 3 else '0.89'},60,1,," for n in range(1, 6))
    found = findings(deck_text(*rows))
    assert [(kind, row) for kind, row, _ in found] == ([("slip", 13)] if is_slip else [])
    assert all("far above NOK 0.89/min, which Sverige mobil usually costs" in text for _, _, text in found)


def test_two_rows_of_a_destination_do_not_say_which_of_them_is_the_slip(deck_text: Write):
    assert findings(deck_text("461,Sverige mobil,0,0.89,60,1,,", "462,Sverige mobil,0,89,60,1,,")) == []


def test_fixed_and_mobile_prices_may_differ_thirty_times(deck_text: Write):
    rows = ("49,Tyskland,0,0.005,60,1,,", *(f"491{n},Tyskland mobil,0,0.15,60,1,," for n in range(5, 9)))
    assert findings(deck_text(*rows)) == []


def test_a_code_of_the_future_falls_back_to_a_shorter_one(deck_text: Write):
    text = deck_text(
        "46,Sverige,0,0.29,60,1,,,,,", "46999,Sverige satellitt,0,9.90,60,1,,,,2026-03-01,",
        "882,Satellitt,0,9,60,1,,,,2026-03-01,", columns=TIMED,
    )  # fmt: skip
    future, alone = findings(text)
    assert future == (
        "future", 12,
        "46999 Sverige satellitt (NOK 9.90/min) begins on 2026-03-01; until then 46 applies (NOK 0.29/min).",
    )  # fmt: skip
    assert "until then it cannot be called" in alone[2]
    assert findings(text, date(2026, 3, 1)) == []


def test_days_without_a_row_and_rows_that_are_over(deck_text: Write):
    text = deck_text(
        "46,Sverige,0,0.29,60,1,,,,,2026-03-31", "46,Sverige,0,0.39,60,1,,,,2026-05-01,",
        "49,Tyskland,0,0.29,60,1,,,,,2026-01-15", columns=TIMED,
    )  # fmt: skip
    gap, expired = findings(text)
    assert gap[:2] == ("gap", 11)
    assert "no row is in force from 2026-04-01 to 2026-04-30" in gap[2]
    assert expired == ("expired", 13, "49: was in force until 2026-01-15; remove the row.")


def test_rows_that_never_apply(deck_text: Write):
    tens = [f"46{digit},Sverige,0,0.29,60,1,,,,," for digit in range(10)]
    text = deck_text(
        "46,Sverige,0,0.29,60,1,,,,,", *tens, "472233445,Norge,0,0.10,60,1,,,,,", "47223344556,Norge,0,0.10,60,1,,,,,",
        "49,Tyskland,0,0.2,60,1,,,mon-fri,,", "49,Tyskland,0,0.1,60,1,,,sat+sun+hol,,",
        "49,Tyskland,0,0.3,60,1,,,mon-sun 08:00-17:00,,", "49,Tyskland,0,0.3,60,1,,,mon-sun,,", columns=TIMED,
    )  # fmt: skip
    found = findings(text)
    assert [(kind, row) for kind, row, _ in found] == [
        ("unreachable", 11), ("unreachable", 23), ("unreachable", 26), ("unreachable", 27),
    ]  # fmt: skip
    assert "all ten longer prefixes" in found[0][2]
    assert "no Norwegian number is that long" in found[1][2]
    assert "leave no hour" in found[2][2]


def test_a_free_row_abroad_and_an_old_list(deck_text: Write):
    assert findings(deck_text("46,Sverige,0,0,60,1,,"))[0][0] == "free"
    assert findings(deck_text(), date(2026, 4, 1)) == []
    (stale,) = findings(deck_text(), date(2026, 4, 2))
    assert stale == (
        "stale",
        0,
        "The latest day of the list is 2026-01-01, 91 days ago (the limit is 90): ask for a newer one.",
    )


@pytest.mark.parametrize(
    ("row", "advice"),
    [
        ("47,Norge,0,0,60,1,,,,,", "one by one"), ("373000000000,Estonia,0,1,60,1,,,,,", "spreadsheet"),
        ("46,Sverige,0,1,60,1,,,mon-fri,,", "no price at sat 00:00"),
    ],
)  # fmt: skip
def test_what_a_list_may_not_have_is_refused_before(deck_text: Write, row: str, advice: str):
    with pytest.raises(DeckError, match=advice):
        parse(deck_text(row, columns=TIMED), "x")
