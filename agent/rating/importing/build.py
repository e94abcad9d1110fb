"""A rate sheet made into a deck: two readings of the sheet (what its cells prove, what they say), one of the result.

The result is the same for the same bytes and decisions, whatever the day.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import Final

from msgspec import Struct

from agent.rating import header
from agent.rating.cells import COLUMNS, MORE_COLUMNS, CellError, RowReader
from agent.rating.deck import MAX_ROWS, Deck, canonical, parse
from agent.rating.errors import MAX_PROBLEMS, DeckError, Problem
from agent.rating.header import Header
from agent.rating.importing.amounts import AmountReader, DecimalSign
from agent.rating.importing.choices import Choice, Choices, advise
from agent.rating.importing.dates import DateReader, DayOrder
from agent.rating.importing.fields import AMOUNTS, CODES, RATES, Field, currencies_in
from agent.rating.importing.lines import Entry, LineReader
from agent.rating.importing.offers import ConflictError, Tidied, in_order
from agent.rating.importing.sheet import Sheet, fault, open_sheet


class Phase(enum.StrEnum):
    """What is being done to the rows of a sheet, in this order."""

    LOOKING = "looked through"
    READING = "read"
    WRITING = "written"


Progress = Callable[[Phase, int], None]
"""Called with the number of rows so far, now and then."""

_EVERY: Final = 5_000
_SOURCES: Final[Mapping[str, tuple[Field, ...]]] = {
    "prefix": CODES, "destination": (Field.DESTINATION, Field.COUNTRY), "rate": (*RATES, Field.PER_CALL),
    "connect_fee": (Field.CONNECT_FEE, Field.PER_CALL), "minimum": (Field.MINIMUM,),
    "increment_s": (Field.INCREMENTS, Field.FIRST_INCREMENT), "next": (Field.INCREMENTS, Field.NEXT_INCREMENT),
    "from": (Field.EFFECTIVE,), "until": (Field.UNTIL,), "length": (Field.EXACT, Field.MIN_LENGTH, Field.MAX_LENGTH),
}  # fmt: skip
"""From which columns of a sheet a column of the deck comes."""

_MAX_NOTES: Final = 2_000
_FOOTNOTE = re.compile(
    r"(?:billing|billed|increment|interval|rounding|takst)\D{0,40}?(\d{1,4}\s*/\s*\d{1,4})", re.IGNORECASE
)


class Account(Struct, frozen=True):
    """How a sheet was read. `columns`: heading and field; `readings`: what was decided, and by what.

    `notes`: rows taken for words, as text with line numbers. `left_out`: rows for some callers, or of a status to skip.
    """

    columns: tuple[tuple[str, Field], ...]
    readings: tuple[tuple[str, str], ...]
    notes: tuple[tuple[int, str], ...]
    rows: int
    left_out: int
    repeated: int
    superseded: int


class Built(Struct, frozen=True):
    """A deck, its canonical text, for each of its rows the line of the sheet it came from, and how that was read.

    `newest`: the latest first day that the sheet names.
    """

    deck: Deck
    text: str
    source_rows: tuple[int, ...]
    account: Account
    newest: date | None


def build(
    data: bytes,
    name: str,
    facts: Mapping[str, str],
    choices: Choices | None = None,
    *,
    progress: Progress | None = None,
) -> Built:
    """Make a deck of a rate sheet; `facts` are the values of its header. Raises DeckError.

    A fault of a fact has line 0 and the header's key as its column.
    """
    decided = choices or Choices()
    head = _header(facts, name)
    sheet = open_sheet(data, name[:100], decided)
    return _Build(sheet, head, decided, progress).run(hashlib.sha256(data).hexdigest())


def _header(facts: Mapping[str, str], name: str) -> Header:
    found = header.faults(dict(facts))
    if found:
        raise DeckError(tuple(Problem(name, 0, key, value[:40], advice) for key, value, advice in found))
    return header.read(dict(facts))


class _Build:
    def __init__(self, sheet: Sheet, head: Header, choices: Choices, progress: Progress | None) -> None:
        self._sheet, self._head, self._choices = sheet, head, choices
        self._progress = progress
        self._problems: list[Problem] = []
        self._notes: list[tuple[int, str]] = []
        self._tidied = Tidied()
        self._rows = self._left_out = 0

    def run(self, digest: str) -> Built:
        self._check_currency()
        sign, order = self._proofs()
        entries = self._entries(sign, order)
        self._stop_if_faulty()
        newest = max((entry.since for entry in entries if entry.since is not None), default=None)
        entries = self._in_order(entries)
        self._stop_if_faulty()
        text, rows = self._canonical(entries, digest)
        del entries
        return Built(self._parsed(text, rows), text, rows, self._account(sign, order), newest)

    def _fault(self, row: int, error: CellError) -> None:
        value = error.value if len(error.value) <= 40 else f"{error.value[:40]}…"
        column = self._heading_of(error.column)
        self._problems.append(
            Problem(self._sheet.name, row, column, value if value.isprintable() else ascii(value)[1:-1], error.advice)
        )
        if len(self._problems) >= MAX_PROBLEMS:
            self._stop_if_faulty()

    def _tell(self, phase: Phase, rows: int) -> None:
        if rows % _EVERY == 0 and rows and self._progress is not None:
            self._progress(phase, rows)

    def _heading_of(self, column: str) -> str:
        """Return the sheet's heading for a column of the deck; any other text stays as it is."""
        fields = _SOURCES.get(column, ())
        found = next((heading.name for heading in self._sheet.headings if heading.field in fields), column)
        return found if found.isprintable() else ascii(found)

    def _stop_if_faulty(self) -> None:
        if self._problems:
            raise DeckError(tuple(self._problems))

    def _check_currency(self) -> None:
        for heading in self._sheet.headings:
            self._check_words(self._sheet.head_row, heading.name)
        for row, words in self._sheet.preamble:
            self._check_words(row, words)
        self._stop_if_faulty()

    def _check_words(self, row: int, words: str) -> None:
        currency, said = self._head.rules.currency, currencies_in(words)
        if said and currency not in said:
            advice = f"this says {' or '.join(said)}, the price list is in {currency}: which is right? mend it"
            self._fault(row, CellError("", words, advice))

    def _proofs(self) -> tuple[str, str]:
        """Return decimal sign and order of dates, as the sheet proves them."""
        sign, order = DecimalSign(self._choices), DayOrder(self._choices)
        amounts = [heading for heading in self._sheet.headings if heading.field in (*AMOUNTS, Field.PER_CALL)]
        days = [heading for heading in self._sheet.headings if heading.field in (Field.EFFECTIVE, Field.UNTIL)]
        for row, cells in self._sheet.rows():
            self._tell(Phase.LOOKING, row)
            for heading in amounts:
                if heading.place < len(cells) and cells[heading.place]:
                    sign.look(cells[heading.place])
            for heading in days:
                if heading.place < len(cells) and cells[heading.place]:
                    order.look(cells[heading.place])
        try:
            return sign.found(), order.found()
        except CellError as error:
            row, column = self._place(error.value)
            raise fault(self._sheet.name, row, column, error.value, error.advice) from error

    def _place(self, value: str) -> tuple[int, str]:
        """Return where a cell stands."""
        places = [(heading.place, heading.name) for heading in self._sheet.headings]
        for row, cells in self._sheet.rows():
            for place, name in places:
                if place < len(cells) and cells[place] == value:
                    return row, name
        return self._sheet.head_row, ""

    def _entries(self, sign: str, order: str) -> list[Entry]:
        rules = self._head.rules
        amounts, dates = AmountReader(sign, rules.currency), DateReader(order, self._choices)
        reader = LineReader(self._sheet, self._choices, amounts, dates, rules.currency)
        entries: list[Entry] = []
        for row, cells in self._sheet.rows():
            self._tell(Phase.READING, row)
            if reader.is_note(cells):
                if self._sheet.is_other_head(cells, self._choices):
                    advice = "other headings: a second sheet begins here, build each from a file of its own"
                    raise fault(self._sheet.name, row, "", " ".join(filter(None, cells)), advice)
                self._check_words(row, " ".join(filter(None, cells)))
                if len(self._notes) < _MAX_NOTES:
                    self._notes.append((row, " ".join(filter(None, cells))))
                continue
            try:
                found = reader.read(row, cells)
            except CellError as error:
                self._fault_of_row(row, error)
                continue
            self._rows += 1
            self._left_out += not found
            entries += found
            if len(entries) > MAX_ROWS:
                raise fault(self._sheet.name, row, "", "", f"more than {MAX_ROWS} prefixes: split the sheet")
        if not entries and not self._problems:
            raise fault(self._sheet.name, self._sheet.head_row, "", "", "no prices stand under the headings")
        return entries

    def _fault_of_row(self, row: int, error: CellError) -> None:
        """Note a fault; where a footnote of the sheet says the increments, tell so."""
        if advise(Choice.INCREMENTS) in error.advice:
            hint = next(
                (
                    (line, match[1]) for line, words in self._words() if (match := _FOOTNOTE.search(words)) is not None
                ), None,
            )  # fmt: skip
            if hint is not None:
                line, pair = hint
                pair = pair.replace(" ", "")
                advice = f"{error.advice}; row {line} seems to say {pair}: if so, --choose increments={pair}"
                error = CellError(error.column, error.value, advice)
            self._problems.append(Problem(self._sheet.name, row, error.column, error.value[:40], error.advice))
            self._stop_if_faulty()
        self._fault(row, error)

    def _words(self) -> Iterator[tuple[int, str]]:
        yield from self._sheet.preamble
        for row, cells in self._sheet.rows():
            yield row, " ".join(filter(None, cells))

    def _in_order(self, entries: list[Entry]) -> list[Entry]:
        entries.sort(key=attrgetter("prefix"))
        kept: list[Entry] = []
        for _, group in groupby(entries, attrgetter("prefix")):
            try:
                kept += in_order(list(group), self._head.valid_from, self._tidied)
            except ConflictError as conflict:
                self._fault(conflict.row, conflict)
        return kept

    def _canonical(self, entries: Sequence[Entry], digest: str) -> tuple[str, tuple[int, ...]]:
        reader = RowReader(MORE_COLUMNS)
        columns = (*COLUMNS, *MORE_COLUMNS)
        rates, rows = [], []
        for count, entry in enumerate(entries):
            self._tell(Phase.WRITING, count)
            for when, (fee, rate, unit, increment, later, minimum) in entry.offers:
                cells = {
                    "prefix": entry.prefix, "destination": entry.destination, "connect_fee": fee, "rate": rate,
                    "unit_s": unit, "increment_s": increment, "next": later, "minimum": minimum, "when": when,
                    "from": entry.since.isoformat() if entry.since else "",
                    "until": entry.until.isoformat() if entry.until else "", "length": entry.length,
                }  # fmt: skip
                try:
                    rates.append(reader.read([cells.get(column, "") for column in columns], entry.row))
                except CellError as error:
                    self._fault(entry.row, error)
                    continue
                rows.append(entry.row)
        self._stop_if_faulty()
        source = self._sheet.name if self._sheet.name.isprintable() else "a file"
        note = f"built from {source}, SHA-256 {digest}"
        return canonical(Deck(self._sheet.name, digest, self._head, (note,), tuple(rates))), tuple(rows)

    def _parsed(self, text: str, rows: Sequence[int]) -> Deck:
        """Read the deck as everybody will; what is wrong with it is told by the sheet's rows."""
        try:
            return parse(text, self._sheet.name)
        except DeckError as error:
            body = next(index for index, line in enumerate(text.split("\n")) if not line.startswith("#")) + 1
            problems = []
            for problem in error.problems:
                index = problem.row - body - 1
                row = rows[index] if 0 <= index < len(rows) else self._sheet.head_row
                column = self._heading_of(problem.column)
                problems.append(Problem(self._sheet.name, row, column, problem.value, problem.advice))
            raise DeckError(tuple(problems)) from error

    def _account(self, sign: str, order: str) -> Account:
        sheet = self._sheet
        units = {heading.unit_s for heading in sheet.headings if heading.unit_s}
        chosen = self._choices
        unit = chosen.get(Choice.UNIT) or (str(next(iter(units))) if len(units) == 1 else "60, as is usual")
        readings = [
            (Choice.DELIMITER.value, sheet.separator_name),
            ("headings", f"row {sheet.head_row}"),
            (Choice.DECIMAL.value, "comma" if sign == "," else "point"),
            (Choice.UNIT.value, unit),
        ]
        if order:
            readings.append((Choice.DATES.value, order))
        if any(heading.hundredths for heading in sheet.headings):
            readings.append((Choice.AMOUNTS.value, "hundredths, by the headings"))
        done = {key for key, _ in readings}
        readings += [(choice.value, value) for choice, value in chosen.made.items() if choice.value not in done]
        return Account(
            columns=tuple((heading.name, heading.field) for heading in sheet.headings), readings=tuple(readings),
            notes=(*sheet.preamble, *self._notes), rows=self._rows, left_out=self._left_out,
            repeated=self._tidied.repeated, superseded=self._tidied.superseded,
        )  # fmt: skip
