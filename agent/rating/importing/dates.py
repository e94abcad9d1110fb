"""Days as sheets write them. `03/04/2026` is two days until another row tells which number is the month."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from agent.rating.cells import CellError
from agent.rating.importing.choices import Choice, Choices, advise

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar", "feb february februar", "mar march mars", "apr april", "may mai", "jun june juni",
            "jul july juli", "aug august", "sep sept september", "oct okt october oktober", "nov november",
            "dec des december desember",
        ), 1,
    )
    for name in names.split()
}  # fmt: skip
_ASAP: Final = frozenset({"asap", "immediate", "immediately", "now", "today", "straks", "snarest"})
_MIDNIGHT = re.compile(r"[ T]00:00(?::00(?:\.0+)?)?Z?$|[ ]12:00(?::00)? ?AM$", re.IGNORECASE)
_ISO = re.compile(r"([0-9]{4})[-/.]?([0-9]{2})[-/.]?([0-9]{2})", re.ASCII)
_NUMBERS = re.compile(r"([0-9]{1,2})[-/. ]([0-9]{1,2})[-/. ]([0-9]{4})", re.ASCII)
_DAY_NAME = re.compile(r"([0-9]{1,2})\.?[-/. ]+([^\W\d_]{3,9})\.?[-/., ]+([0-9]{4})")
_NAME_DAY = re.compile(r"([^\W\d_]{3,9})\.?[-/. ]+([0-9]{1,2}),?[-/. ]+([0-9]{4})")
_SHORT_YEAR = re.compile(r"[0-9]{1,2}[-/. ](?:[0-9]{1,2}|[^\W\d_]{3,9})[-/. ][0-9]{2}")


class DayOrder:
    """Collects what the dates of a sheet prove about day and month."""

    def __init__(self, choices: Choices) -> None:
        self._chosen = choices.get(Choice.DATES)
        self._proof: dict[str, str] = {}

    def look(self, text: str) -> None:
        """Note one cell."""
        match = _NUMBERS.fullmatch(_MIDNIGHT.sub("", text))
        if match is not None and (int(match[1]) > 12) is not (int(match[2]) > 12):
            self._proof.setdefault("day-first" if int(match[1]) > 12 else "month-first", text)

    def found(self) -> str:
        """Return `day-first`, `month-first`, or nothing where no date tells. Raises CellError (without column)."""
        if self._chosen:
            return self._chosen
        if len(self._proof) > 1:
            both = " and ".join(f"'{text}' is {order}" for order, text in sorted(self._proof.items()))
            raise CellError(
                "", self._proof["month-first"], f"{both}: the sheet mixes orders, write 2026-01-31 throughout"
            )
        return next(iter(self._proof), "")


class DateReader:
    """Reads days of one sheet."""

    def __init__(self, order: str, choices: Choices) -> None:
        self._order, self._choices = order, choices
        self._known: dict[str, date] = {}

    def read(self, column: str, text: str) -> date:
        """Return the civil day of a cell. Raises CellError where it may be two days, or none."""
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._read(column, text)
        return known

    def _read(self, column: str, text: str) -> date:
        if text.casefold().rstrip(".!") in _ASAP:
            return self._as_soon_as_possible(column, text)
        bare = _MIDNIGHT.sub("", text)
        try:
            found = self._parts(bare)
            if found is not None:
                return date(*found)
        except ValueError:
            raise CellError(column, text, "there is no such day in the calendar") from None
        if _NUMBERS.fullmatch(bare):
            raise CellError(column, text, f"day or month first? no date of the sheet tells: {advise(Choice.DATES)}")
        if _SHORT_YEAR.fullmatch(bare):
            raise CellError(column, text, "write the year with four digits")
        if bare.isdecimal():
            raise CellError(
                column, text, "a spreadsheet's count of days: format the column as a date, such as 2026-01-31"
            )
        raise CellError(column, text, "this is no day: write it as 2026-01-31")

    def _as_soon_as_possible(self, column: str, text: str) -> date:
        chosen = self._choices.get(Choice.ASAP)
        if not chosen:
            raise CellError(column, text, f"no day: say from which day on this holds, {advise(Choice.ASAP)}")
        try:
            return date.fromisoformat(chosen)
        except ValueError:
            raise CellError(column, chosen, "--choose asap= takes a day such as 2026-01-31") from None

    def _parts(self, text: str) -> tuple[int, int, int] | None:
        match = _ISO.fullmatch(text)
        if match is not None:
            return int(match[1]), int(match[2]), int(match[3])
        match = _DAY_NAME.fullmatch(text)
        if match is not None and match[2].casefold() in _MONTHS:
            return int(match[3]), _MONTHS[match[2].casefold()], int(match[1])
        match = _NAME_DAY.fullmatch(text)
        if match is not None and match[1].casefold() in _MONTHS:
            return int(match[3]), _MONTHS[match[1].casefold()], int(match[2])
        match = _NUMBERS.fullmatch(text)
        if match is None:
            return None
        first, second, year = int(match[1]), int(match[2]), int(match[3])
        if self._order == "month-first":
            return year, first, second
        return (year, second, first) if self._order == "day-first" or first == second else None
