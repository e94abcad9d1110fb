"""The cells of a deck's rows: what each column may hold, and the row of a price list that they make.

A fault is a `CellError`: column, value and what to do; `agent.rating.deck` adds file and row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final

from agent.core.civil import ALWAYS, Window, WindowError, parse_window
from agent.core.money import AmountError, amount_text, parse_amount
from agent.core.tariff import ANY_LENGTH, AtMaximum, Interval, Lengths, Rate, Tariff, TariffError, validate

COLUMNS: Final = ("prefix", "destination", "connect_fee", "rate", "unit_s", "increment_s", "next", "minimum")
"""What every deck has."""

MORE_COLUMNS: Final = ("maximum", "when", "from", "until", "length")
"""What a deck has behind them, in this order, as far as any of its rows says something there."""

BLOCKED: Final = "blocked"
MAX_DESTINATION: Final = 100
MAX_PREFIX: Final = 15

_PRICES: Final = slice(2, 9)
_TERMS: Final = slice(9, 13)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,5}", re.ASCII)
_NEXT = re.compile(r"([0-9]{1,5}):([0-9.]{1,16})/([0-9]{1,5})/([0-9]{1,5})", re.ASCII)
_LENGTH = re.compile(r"([0-9]{1,2})(?:-([0-9]{1,2}))?", re.ASCII)
_MANGLED = re.compile(r"[0-9]*0{7}", re.ASCII)
_EXACT: Final = "exact"

_Terms = tuple[Window, date | None, date | None, Lengths]


class CellError(ValueError):
    """A cell, or a row (empty `column`), is not what it must be; `advice` says what to write."""

    def __init__(self, column: str, value: str, advice: str) -> None:
        super().__init__(advice)
        self.column, self.value, self.advice = column, value, advice


class RowReader:
    """Reads rows whose columns are `COLUMNS` and then `more`; equal prices and names come out shared."""

    def __init__(self, more: Sequence[str] = ()) -> None:
        self._width = len(COLUMNS) + len(more)
        self._places = [more.index(column) + len(COLUMNS) if column in more else None for column in MORE_COLUMNS]
        self._destinations: dict[str, str] = {}
        self._tariffs: dict[tuple[str, ...], Tariff] = {}
        self._terms: dict[tuple[str, ...], _Terms] = {("", "", "", ""): (ALWAYS, None, None, ANY_LENGTH)}

    def read(self, found: Sequence[str], row: int) -> Rate:
        """Return the row that the cells of line `row` make. Raises CellError."""
        if len(found) != self._width:
            raise CellError("", ",".join(found), f"the row has {len(found)} columns, not {self._width}")
        cells = (*found[: len(COLUMNS)], *("" if place is None else found[place] for place in self._places))
        prefix = cells[0]
        _check_prefix(prefix)
        destination = self._destinations.get(cells[1])
        if destination is None:
            _check_destination(cells[1])
            destination = self._destinations[cells[1]] = cells[1]
        prices, terms = cells[_PRICES], cells[_TERMS]
        tariff = self._tariffs.get(prices)
        if tariff is None:
            tariff = self._tariffs[prices] = _read_tariff(prices)
        read = self._terms.get(terms)
        if read is None:
            read = self._terms[terms] = _read_terms(terms)
        when, valid_from, valid_until, lengths = read
        return Rate(prefix, destination, tariff, row, when, valid_from, valid_until, lengths)


def write(rate: Rate) -> tuple[str, ...]:
    """Return the cells of a row, of all `COLUMNS` and all `MORE_COLUMNS`, in canonical form."""
    tariff = rate.tariff
    terms = (
        str(rate.when), rate.valid_from.isoformat() if rate.valid_from else "",
        rate.valid_until.isoformat() if rate.valid_until else "", _length_text(rate.lengths),
    )  # fmt: skip
    if tariff.blocked:
        return (rate.prefix, rate.destination, "", BLOCKED, "", "", "", "", "", *terms)
    first, *later = tariff.intervals
    following = ";".join(
        f"{part.from_s}:{amount_text(part.rate_micro)}/{part.unit_s}/{part.increment_s}" for part in later
    )
    minimum = amount_text(tariff.minimum_micro) if tariff.minimum_micro else ""
    maximum = f"{amount_text(tariff.maximum_micro)} {tariff.at_maximum}" if tariff.maximum_micro is not None else ""
    return (
        rate.prefix, rate.destination, amount_text(tariff.connect_fee_micro), amount_text(first.rate_micro),
        str(first.unit_s), str(first.increment_s), following, minimum, maximum, *terms,
    )  # fmt: skip


def _check_prefix(prefix: str) -> None:
    if not _DIGITS.fullmatch(prefix):
        raise CellError("prefix", prefix, "write digits only, from the country code on, without + or 00 or spaces")
    if prefix.startswith("0"):
        raise CellError("prefix", prefix, "no country code begins with 0: write 46…, not 0046…")
    if len(prefix) > 9 and _MANGLED.fullmatch(prefix):
        raise CellError("prefix", prefix, "this looks like a number mangled by a spreadsheet: write the real prefix")
    if len(prefix) > MAX_PREFIX:
        raise CellError("prefix", prefix, f"no number has more than {MAX_PREFIX} digits")


def _check_destination(destination: str) -> None:
    if not 1 <= len(destination) <= MAX_DESTINATION or destination != destination.strip():
        raise CellError("destination", destination, f"write 1 to {MAX_DESTINATION} characters, no space around them")
    if not destination.isprintable():
        raise CellError("destination", ascii(destination), "remove the control characters")


def _read_tariff(cells: tuple[str, ...]) -> Tariff:
    fee, rate, unit_s, increment_s, following, minimum, maximum = cells
    columns = (*COLUMNS, *MORE_COLUMNS)[_PRICES]
    if rate == BLOCKED:
        for column, cell in zip(columns, cells, strict=True):
            if column != "rate" and cell:
                raise CellError(column, cell, "a blocked destination has no price: leave this empty")
        return Tariff(connect_fee_micro=0, intervals=(), blocked=True)
    intervals = [
        Interval(
            from_s=0, rate_micro=_amount("rate", rate), unit_s=_count("unit_s", unit_s),
            increment_s=_count("increment_s", increment_s),
        )
    ]  # fmt: skip
    for part in following.split(";") if following else ():
        match = _NEXT.fullmatch(part)
        if match is None:
            raise CellError("next", part, "write from_s:rate/unit_s/increment_s, such as 60:0.10/60/1")
        from_s, amount, unit, increment = match.groups()
        intervals.append(Interval(int(from_s), _amount("next", amount), int(unit), int(increment)))
    maximum_micro, at_maximum = _maximum(maximum)
    tariff = Tariff(
        connect_fee_micro=_amount("connect_fee", fee), intervals=tuple(intervals),
        minimum_micro=_amount("minimum", minimum) if minimum else 0,
        maximum_micro=maximum_micro, at_maximum=at_maximum,
    )  # fmt: skip
    try:
        validate(tariff)
    except TariffError as error:
        column, _, advice = str(error).partition(": ")
        raise CellError(column, cells[columns.index(column)], advice) from error
    return tariff


def _maximum(text: str) -> tuple[int | None, AtMaximum]:
    if not text:
        return None, AtMaximum.FREE
    amount, _, then = text.partition(" ")
    if then not in set(AtMaximum):
        raise CellError("maximum", text, "write the amount and what then happens: 25.00 free or 25.00 disconnect")
    return _amount("maximum", amount), AtMaximum(then)


def _read_terms(cells: tuple[str, ...]) -> _Terms:
    when, since, until, length = cells
    try:
        window = parse_window(when)
    except WindowError as error:
        raise CellError("when", when, str(error)) from error
    valid_from, valid_until = _date("from", since), _date("until", until)
    if valid_from is not None and valid_until is not None and valid_until < valid_from:
        raise CellError("until", until, f"this is before {since}, the first day")
    return window, valid_from, valid_until, _lengths(length)


def _date(column: str, text: str) -> date | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        raise CellError(column, text, "write a civil day such as 2026-01-01, or leave it empty")
    return found


def _lengths(text: str) -> Lengths:
    if not text:
        return ANY_LENGTH
    if text == _EXACT:
        return Lengths(exact=True)
    match = _LENGTH.fullmatch(text)
    low = int(match[1]) if match else 0
    high = int(match[2] or match[1]) if match else 0
    if not 1 <= low <= high <= MAX_PREFIX:
        raise CellError("length", text, "write how many digits a number has, country code included: 10, 8-12 or exact")
    return Lengths(low, high)


def _length_text(lengths: Lengths) -> str:
    if lengths.exact:
        return _EXACT
    if lengths == ANY_LENGTH:
        return ""
    return str(lengths.low) if lengths.low == lengths.high else f"{lengths.low}-{lengths.high}"


def _amount(column: str, text: str) -> int:
    try:
        return parse_amount(text)
    except AmountError:
        raise CellError(
            column, text, "write an amount from zero up with a decimal point and at most six decimals, such as 0.15"
        ) from None


def _count(column: str, text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise CellError(column, text, "write a whole number of seconds")
    return int(text)
