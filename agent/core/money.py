"""Money: integer millionths of the currency unit, exact fractions while counting, one rounding at the end."""

from __future__ import annotations

import enum
import math
import re
from fractions import Fraction
from typing import Final

MICRO: Final = 1_000_000
"""Micro-units in one unit of the currency."""

MAX_DECIMALS: Final = 6

_QUANTA: Final = (1_000_000, 100_000, 10_000, 1_000, 100, 10, 1)
"""Micro-units of the last decimal, by number of decimals."""

_AMOUNT = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?", re.ASCII)
_NBSP = "\u00a0"
_NORWEGIAN_SYMBOLS: Final = {"NOK": "kr"}


class AmountError(ValueError):
    """A text is no amount of money; the message says what an amount looks like."""


class Rounding(enum.StrEnum):
    """How a non-negative value becomes a multiple of its unit."""

    UP = "up"
    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    DOWN = "down"


_UP: Final = Rounding.UP
_HALF_UP: Final = Rounding.HALF_UP
_DOWN: Final = Rounding.DOWN


def round_ratio(numerator: int, denominator: int, rounding: Rounding) -> int:
    """Round `numerator/denominator` to an integer; the denominator is positive.

    Raises ValueError below zero: no price and no duration is negative.
    """
    if numerator < 0:
        raise ValueError(f"cannot round {numerator}/{denominator}: only amounts and durations from zero up are rounded")
    floor, rest = divmod(numerator, denominator)
    # Compared by identity, the usual ones first: a fifth of the time that a price takes went into matching the enum.
    if rounding is _HALF_UP:
        return floor + (2 * rest >= denominator)
    if rounding is _UP:
        return floor + (rest > 0)
    if rounding is _DOWN:
        return floor
    return floor + (2 * rest > denominator or (2 * rest == denominator and floor % 2 == 1))


def round_amount(numerator: int, denominator: int, rounding: Rounding, decimals: int) -> int:
    """Round `numerator/denominator` micro-units to `decimals` (0-6) decimals of the currency unit, in micro-units."""
    if not 0 <= decimals <= MAX_DECIMALS:
        raise ValueError(f"{decimals} decimals: money has 0 to {MAX_DECIMALS}")
    quantum = _QUANTA[decimals]
    return round_ratio(numerator, denominator * quantum, rounding) * quantum


def parse_amount(text: str) -> int:
    """Return the micro-units of a decimal amount (`0.15`): digits, a point, at most six decimals, no sign.

    Raises AmountError.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        shown = text if len(text) <= 24 else f"{text[:24]}…"
        raise AmountError(f"'{shown}' is no amount: write digits with a decimal point and at most six decimals")
    whole, decimals = match.groups()
    return int(whole) * MICRO + int((decimals or "").ljust(MAX_DECIMALS, "0"))


def amount_text(micro: int) -> str:
    """Return an amount as the shortest decimal text with a point (`0.15`, `3`): what `parse_amount` reads."""
    whole, rest = divmod(micro, MICRO)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")


def exact_text(exact_micro: Fraction) -> str:
    """Return an exact amount as `numerator/denominator` of the currency unit (`5/4` is 1.25)."""
    numerator, denominator = exact_micro.numerator, exact_micro.denominator * MICRO
    common = math.gcd(numerator, denominator)
    return f"{numerator // common}/{denominator // common}"


def parse_exact(text: str) -> Fraction:
    """Return the micro-units of what `exact_text` wrote. Raises AmountError."""
    numerator, separator, denominator = text.partition("/")
    if len(text) > 128 or not separator or not (numerator.isdecimal() and denominator.isdecimal()):
        raise AmountError("an exact amount is written numerator/denominator")
    if int(denominator) == 0:
        raise AmountError("an exact amount has no denominator of zero")
    return Fraction(int(numerator), int(denominator)) * MICRO


def format_amount(micro: int, currency: str, lang: str) -> str:
    """Return an amount as people write it: `1,25 kr` in Norwegian, `NOK 1.25` in English.

    At least two decimals, more only where they say something. A negative amount carries a minus sign.
    """
    whole, rest = divmod(abs(micro), MICRO)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return _dress(f"{whole:,}", decimals, currency, lang, negative=micro < 0)


def format_exact(exact_micro: Fraction, currency: str, lang: str) -> str:
    """Return an unrounded amount with up to eight decimals, and `…` where even those do not end it."""
    scaled = exact_micro / MICRO * 10**8
    floor = scaled.numerator // scaled.denominator
    whole, rest = divmod(floor, 10**8)
    ends = scaled.denominator == 1
    decimals = f"{rest:08d}"
    decimals = decimals.rstrip("0").ljust(2, "0") if ends else f"{decimals}…"
    return _dress(f"{whole:,}", decimals, currency, lang, negative=False)


def _dress(whole: str, decimals: str, currency: str, lang: str, *, negative: bool) -> str:
    sign = "−" if negative else ""
    if lang == "nb":
        return f"{sign}{whole.replace(',', _NBSP)},{decimals} {_NORWEGIAN_SYMBOLS.get(currency, currency)}"
    return f"{currency} {sign}{whole}.{decimals}"
