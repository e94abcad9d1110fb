"""The look-up that the operator tells its customers to make, step by step.

Type the country code and the beginning of the number. The most specific entry applies. No result: remove digits from
the end until there is one. (The operator's page on prices; example: `47815` prices every number that begins with 815.)
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from datetime import date
from itertools import islice
from typing import Final

from msgspec import Struct

from agent.core.numbers import MAX_E164_DIGITS
from agent.core.tariff import Rate
from agent.rating.deck import Deck

MAX_LONGER: Final = 10

_SEPARATORS = str.maketrans("", "", " \u00a0-./()")
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_NATIONAL_DIGITS: Final = 8


class TypedError(ValueError):
    """What was typed cannot be looked up; the message says what to type."""


class LookUp(Struct, frozen=True):
    """`tried`: what was looked up, longest first; the last has `rows`, unless there is no entry at all.

    `longer`: entries for some of the numbers that begin with what was typed, at most `MAX_LONGER`; `longer_count` says
    how many there are. `seems_national`: eight digits, which may be a Norwegian number without its country code.
    """

    tried: tuple[str, ...]
    rows: tuple[Rate, ...]
    longer: tuple[Rate, ...]
    longer_count: int
    seems_national: bool


def digits_of(typed: str) -> str:
    """Return the digits from the country code on of `+47 815…`, `0047 815…` or `47815…`. Raises TypedError."""
    text = typed.strip().translate(_SEPARATORS)
    digits = text.removeprefix("+") if text.startswith("+") else text.removeprefix("00")
    if not _DIGITS.fullmatch(digits) or digits.startswith("0"):
        raise TypedError("type the country code and the beginning of the number, digits only, such as 47815")
    if len(digits) > MAX_E164_DIGITS:
        raise TypedError(f"no number has more than {MAX_E164_DIGITS} digits: type its beginning")
    return digits


def look_up(deck: Deck, typed: str, on: date | None = None) -> LookUp:
    """Look up what was typed; rows out of force on the civil day `on` are left out. Raises TypedError."""
    digits = digits_of(typed)
    tried = []
    rows: tuple[Rate, ...] = ()
    for length in range(len(digits), 0, -1):
        tried.append(digits[:length])
        rows = tuple(
            rate for rate in _of(deck, digits[:length])
            if (on is None or rate.is_valid_on(on)) and (length == len(digits) or not rate.lengths.exact)
        )  # fmt: skip
        if rows:
            break
    longer = [rate for rate in _longer(deck, digits) if on is None or rate.is_valid_on(on)]
    bare = typed.strip()[:1] != "+" and len(digits) == _NATIONAL_DIGITS and not typed.strip().startswith("00")
    return LookUp(tuple(tried), rows, tuple(islice(longer, MAX_LONGER)), len({rate.prefix for rate in longer}), bare)


def _of(deck: Deck, prefix: str) -> Iterator[Rate]:
    place = bisect_left(deck.rates, prefix, key=_prefix)
    while place < len(deck.rates) and deck.rates[place].prefix == prefix:
        yield deck.rates[place]
        place += 1


def _longer(deck: Deck, digits: str) -> Iterator[Rate]:
    place = bisect_left(deck.rates, digits, key=_prefix)
    while place < len(deck.rates) and deck.rates[place].prefix.startswith(digits):
        if deck.rates[place].prefix != digits:
            yield deck.rates[place]
        place += 1


def _prefix(rate: Rate) -> str:
    return rate.prefix
