"""The look-up that the operator describes to its customers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.rating.deck import parse
from agent.rating.finding import TypedError, look_up
from agent.rating.table import RateTable

Write = Callable[..., str]
TIMED = "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,from,until,length"


def test_the_operators_own_example(deck_text: Write):
    found = look_up(parse(deck_text(), "x"), "47815")
    assert [rate.prefix for rate in found.rows] == ["47815"]
    assert found.tried == ("47815",)


def test_without_a_result_digits_are_removed_until_there_is_one(deck_text: Write):
    found = look_up(parse(deck_text(), "x"), "+47 815 69")
    assert found.tried == ("4781569", "478156", "47815")
    assert found.rows[0].destination == "Bedriftsnummer"
    assert not found.seems_national


def test_longer_entries_are_shown_beside_the_one_that_applies(deck_text: Write):
    found = look_up(parse(deck_text(), "x"), "46")
    assert [rate.prefix for rate in found.rows] == ["46"]
    assert [rate.prefix for rate in found.longer] == ["467"]
    nothing = look_up(parse(deck_text(), "x"), "47")
    assert (nothing.rows, nothing.longer_count) == ((), 6)


def test_eight_digits_may_be_a_norwegian_number(deck_text: Write):
    deck = parse(deck_text(), "x")
    assert look_up(deck, "81569060").seems_national
    assert not look_up(deck, "+81569060").seems_national
    assert not look_up(deck, "0081569060").seems_national


def test_rows_of_other_days_and_for_other_numbers_are_passed_over(deck_text: Write):
    deck = parse(
        deck_text(
            "46,S,0,1,60,1,,,,,", "461,T,0,9,60,1,,,,,exact", "467,M,0,2,60,1,,,2026-03-01,,", columns=TIMED
        ), "x",
    )  # fmt: skip
    assert look_up(deck, "467", date(2026, 2, 28)).tried == ("467", "46")
    assert look_up(deck, "467", date(2026, 3, 1)).rows[0].prefix == "467"
    assert look_up(deck, "461").rows[0].prefix == "461"
    assert look_up(deck, "4611").rows[0].prefix == "46"


@pytest.mark.parametrize("typed", ["", "Sverige", "0", "+", "046", "1234567890123456", "٤٦", "46;1"])
def test_what_is_no_beginning_of_a_number_is_refused(deck_text: Write, typed: str):
    with pytest.raises(TypedError, match=r"type|digits"):
        look_up(parse(deck_text(), "x"), typed)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.from_regex(r"[1-9][0-9]{0,9}", fullmatch=True) | st.from_regex(r"(46|47|470|4781|18)[0-9]{0,5}", fullmatch=True)
)
def test_the_look_up_finds_the_row_that_prices(deck_text: Write, digits: str):
    deck = parse(deck_text(), "x")
    found = look_up(deck, digits)
    assert (found.rows[0] if found.rows else None) == RateTable.of(deck).look_up(digits)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30))
def test_anything_typed_is_looked_up_or_refused(deck_text: Write, typed: str):
    tried: tuple[str, ...] = ()
    try:
        tried = look_up(parse(deck_text(), "x"), typed).tried
    except TypedError as error:
        assert str(error)  # noqa: PT017 - both ways are right, and this one has a sentence
    assert all(digits.isdecimal() and digits.isascii() for digits in tried)
