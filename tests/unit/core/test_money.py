"""Amounts are exact until they are rounded once, and are written as people write them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.money import (
    AmountError,
    Rounding,
    amount_text,
    exact_text,
    format_amount,
    format_exact,
    parse_amount,
    parse_exact,
    round_amount,
    round_ratio,
)

CASES = json.loads((Path(__file__).parents[2] / "data" / "rating_cases.json").read_text(encoding="utf-8"))
METHODS = {"*up": Rounding.UP, "*middle": Rounding.HALF_UP, "*down": Rounding.DOWN}

micro_amounts = st.integers(0, 10**15)
fractions = st.fractions(min_value=0, max_value=10**9)


@pytest.mark.parametrize("case", CASES["rounding_cases"], ids=lambda case: f"{case['value']}-{case['method']}")
def test_published_roundings(case: dict[str, str | int]) -> None:
    exact = Fraction(str(case["value"])) * 10**6
    rounded = round_amount(
        exact.numerator, exact.denominator, METHODS[str(case["method"])], min(int(case["decimals"]), 6)
    )
    assert rounded == Fraction(str(case["expected"])) * 10**6


@pytest.mark.parametrize(
    ("value", "up", "half_up", "half_even", "down"),
    [
        ("0.5", 1, 1, 0, 0),
        ("1.5", 2, 2, 2, 1),
        ("2.5", 3, 3, 2, 2),
        ("2.51", 3, 3, 3, 2),
        ("2.49", 3, 2, 2, 2),
        ("3", 3, 3, 3, 3),
    ],
)
def test_halves(value: str, up: int, half_up: int, half_even: int, down: int) -> None:
    modes = (Rounding.UP, Rounding.HALF_UP, Rounding.HALF_EVEN, Rounding.DOWN)
    assert [round_ratio(*Fraction(value).as_integer_ratio(), mode) for mode in modes] == [up, half_up, half_even, down]


@given(fractions, st.sampled_from(Rounding), st.integers(0, 6))
def test_rounding_moves_less_than_one_unit_of_the_last_decimal_and_once_is_enough(
    value: Fraction, mode: Rounding, decimals: int
) -> None:
    quantum = 10 ** (6 - decimals)
    rounded = round_amount(value.numerator, value.denominator, mode, decimals)
    assert abs(rounded - value) < quantum
    assert rounded % quantum == 0
    assert round_amount(rounded, 1, mode, decimals) == rounded
    if mode in (Rounding.HALF_UP, Rounding.HALF_EVEN):
        assert abs(rounded - value) * 2 <= quantum


def test_a_price_below_zero_is_not_rounded_away() -> None:
    with pytest.raises(ValueError, match="zero"):
        round_ratio(-1, 2, Rounding.DOWN)
    with pytest.raises(ValueError, match="decimals"):
        round_amount(1, 1, Rounding.UP, 7)


@pytest.mark.parametrize(("text", "micro"), [("0", 0), ("0.15", 150_000), ("1190", 1_190_000_000), ("0.000001", 1)])
def test_reading_an_amount(text: str, micro: int) -> None:
    assert parse_amount(text) == micro


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1,5", "1.", ".5", "1e-05", "0.1234567", "1 000", "٣", "1" * 99, "kr 1"]
)
def test_a_doubtful_amount_is_refused(text: str) -> None:
    with pytest.raises(AmountError, match="decimal point"):
        parse_amount(text)


@given(st.integers(0, 10**14))
def test_an_amount_survives_being_written(micro: int) -> None:
    assert parse_amount(amount_text(micro)) == micro


@given(fractions)
def test_an_exact_amount_survives_being_written(exact: Fraction) -> None:
    assert parse_exact(exact_text(exact)) == exact


@pytest.mark.parametrize("text", ["", "1", "1/0", "-1/2", "a/b", "1/2/3", "9" * 200 + "/1"])
def test_an_exact_amount_from_elsewhere_is_checked(text: str) -> None:
    with pytest.raises(AmountError):
        parse_exact(text)


@pytest.mark.parametrize(
    ("micro", "nb", "en"),
    [
        (1_250_000, "1,25 kr", "NOK 1.25"),
        (0, "0,00 kr", "NOK 0.00"),
        (3_600, "0,0036 kr", "NOK 0.0036"),
        (149_000_000, "149,00 kr", "NOK 149.00"),
        (1_190_500_000, "1\u00a0190,50 kr", "NOK 1,190.50"),
        (-500_000, "−0,50 kr", "NOK −0.50"),
    ],
)
def test_amounts_in_both_languages(micro: int, nb: str, en: str) -> None:
    assert format_amount(micro, "NOK", "nb") == nb
    assert format_amount(micro, "NOK", "en") == en


def test_another_currency_keeps_its_code() -> None:
    assert format_amount(1_250_000, "SEK", "nb") == "1,25 SEK"


def test_an_unrounded_amount_says_where_it_does_not_end() -> None:
    assert format_exact(Fraction(5, 3) * 10**6, "NOK", "en") == "NOK 1.66666666…"
    assert format_exact(Fraction(305, 2) * 10**3, "NOK", "nb") == "0,1525 kr"
