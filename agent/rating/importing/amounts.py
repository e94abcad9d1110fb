"""Amounts and increments as sheets write them: `0,1230`, `$1,234.50`, `1e-05`, `NOK 0.39`, `60/1`.

Whether a comma or a point is the decimal sign is a property of the sheet: any cell that can be read in one way only
proves it (`0,12`, `1.234,50`), and cells such as `1,234` are then read like the others. Without proof they are refused.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from agent.core.money import MICRO
from agent.core.tariff import MAX_RATE_MICRO, MAX_SECONDS
from agent.rating.cells import CellError
from agent.rating.importing.choices import Choice, Choices, advise
from agent.rating.importing.fields import currencies_in

_POINT: Final = "."
_COMMA: Final = ","
_WORD_OF: Final = {_POINT: "point", _COMMA: "comma"}
_SIGN_OF: Final = {word: sign for sign, word in _WORD_OF.items()}
_MAX_TEXT: Final = 40

_DRESS = re.compile(
    r"US\$|A\$|C\$|[€£$]|\b(?:AUD|CAD|CHF|DKK|EUR|GBP|ISK|JPY|NOK|NZD|PLN|SEK|USD)\b|\bkr\b\.?", re.IGNORECASE
)
_SPACES = re.compile(r"(?<=\d)[ \u00a0\u202f'](?=\d{3}(?!\d))")
_NUMBER = re.compile(r"([0-9.,]+)(?:[eE]([+-]?[0-9]{1,2}))?", re.ASCII)
_NEGATIVE = re.compile(r"[^0-9]*[-−–(]\s*[0-9.,]")
_GROUPED: Final = {
    _POINT: re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]*(?:\.[0-9]+)?|[0-9]+\.", re.ASCII),
    _COMMA: re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?:,[0-9]+)?|[0-9]*(?:,[0-9]+)?|[0-9]+,", re.ASCII),
}
_INCREMENTS = re.compile(r"([0-9]{1,5})\s*(?:s|sec)?\s*/\s*([0-9]{1,5})\s*(?:s|sec)?", re.ASCII | re.IGNORECASE)
_SECONDS = re.compile(r"([0-9]{1,5})(?:[.,]0+)?\s*(?:s|sec|seconds)?", re.ASCII | re.IGNORECASE)


class DecimalSign:
    """Collects what the amounts of a sheet prove about its decimal sign."""

    def __init__(self, choices: Choices) -> None:
        self._chosen = _SIGN_OF.get(choices.get(Choice.DECIMAL), "")
        self._proof: dict[str, str] = {}
        self._seen: set[str] = set()
        self._doubt = ""

    def look(self, text: str) -> None:
        """Note one cell."""
        if text in self._seen:
            return
        self._seen.add(text)
        sign = _proves(_bare(text))
        if sign == "?":
            self._doubt = self._doubt or text
        elif sign:
            self._proof.setdefault(sign, text)

    def found(self) -> str:
        """Return the decimal sign, `.` or `,`; a point where no amount has any. Raises CellError (without column)."""
        if self._chosen:
            return self._chosen
        if len(self._proof) > 1:
            point, comma = self._proof[_POINT], self._proof[_COMMA]
            advice = f"'{point}' has a decimal point, '{comma}' a decimal comma: {advise(Choice.DECIMAL)}"
            raise CellError("", comma, advice)
        if self._proof:
            return next(iter(self._proof))
        if self._doubt:
            raise CellError("", self._doubt, f"thousands or decimals? no other price tells: {advise(Choice.DECIMAL)}")
        return _POINT


class AmountReader:
    """Reads amounts with one decimal sign in one currency, in whole units or in hundredths."""

    def __init__(self, sign: str, currency: str) -> None:
        self._sign, self._currency = sign, currency
        self._known: dict[tuple[str, bool], int] = {}

    def read(self, column: str, text: str, *, hundredths: bool) -> int:
        """Return micro-units. Raises CellError where `text` is no amount from zero up with at most six decimals."""
        known = self._known.get((text, hundredths))
        if known is None:
            known = self._known[text, hundredths] = self._read(column, text, hundredths=hundredths)
        return known

    def _read(self, column: str, text: str, *, hundredths: bool) -> int:
        currencies = currencies_in(text)
        if currencies and self._currency not in currencies:
            found = " or ".join(currencies)
            advice = f"this is {found}, the price list is in {self._currency}: convert it, or name the other currency"
            raise CellError(column, text, advice)
        if _NEGATIVE.match(text):
            raise CellError(column, text, "a price below zero: ask the sender; a credit is no rate")
        match = _NUMBER.fullmatch(_bare(text)) if len(text) <= _MAX_TEXT else None
        if match is None or not any(letter.isdigit() for letter in match[1]):
            raise CellError(column, text, "this is no price: write a number, or mark the row as blocked")
        if not _GROUPED[self._sign].fullmatch(match[1]):
            name = _WORD_OF[self._sign]
            raise CellError(
                column, text, f"this sheet has a decimal {name}: write the price so, or {advise(Choice.DECIMAL)}"
            )
        other = _COMMA if self._sign == _POINT else _POINT
        plain = match[1].replace(other, "").replace(self._sign, _POINT)
        micro = Fraction(f"0{plain}".removesuffix(_POINT)) * MICRO * Fraction(10) ** int(match[2] or 0)
        if hundredths:
            micro /= 100
        if micro.denominator != 1:
            raise CellError(column, text, "more than six decimals of the currency unit: round it and say so in a note")
        if micro > MAX_RATE_MICRO:
            raise CellError(
                column, text, f"more than {MAX_RATE_MICRO // MICRO} for one unit: is the decimal sign right?"
            )
        return int(micro)


def is_amount(text: str) -> bool:
    """Whether a cell may be meant as an amount, right or wrong."""
    return _NUMBER.fullmatch(_bare(text).lstrip("+-−–(").rstrip(")")) is not None


def read_increments(column: str, text: str) -> tuple[int, int]:
    """Return the seconds of first and following increments: `60/1`, or `60` for both. Raises CellError."""
    match = _INCREMENTS.fullmatch(text)
    if match is not None:
        return _increment(column, text, match[1]), _increment(column, text, match[2])
    both = read_seconds(column, text)
    return both, both


def read_seconds(column: str, text: str) -> int:
    """Return the seconds of one increment. Raises CellError."""
    match = _SECONDS.fullmatch(text)
    if match is None:
        raise CellError(column, text, "write first and following increment in seconds, such as 60/1, or one number")
    return _increment(column, text, match[1])


def _increment(column: str, text: str, digits: str) -> int:
    seconds = int(digits)
    if not 1 <= seconds <= MAX_SECONDS:
        raise CellError(column, text, f"an increment lasts 1 to {MAX_SECONDS} seconds")
    return seconds


def _bare(text: str) -> str:
    return _SPACES.sub("", _DRESS.sub("", text)).strip(" \u00a0")


def _proves(text: str) -> str:
    """Return the decimal sign that a number proves, `?` where either may be it, nothing where it has none."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return ""
    digits = match[1]
    signs = [sign for sign in (_POINT, _COMMA) if sign in digits]
    if len(signs) != 1:
        return max(signs, key=digits.rfind) if signs else ""
    (sign,) = signs
    before, _, after = digits.partition(sign)
    if sign in after:
        return _COMMA if sign == _POINT else _POINT
    thousands = len(after) == 3 and 1 <= len(before) <= 3 and not before.startswith("0") and not match[2]
    return "?" if thousands else sign
