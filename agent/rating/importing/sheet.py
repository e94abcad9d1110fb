"""A file as it was sent, read as a table: its encoding, its separator, the row of headings, what stands around it.

The separator is the one with which a row of headings is found; two such separators are refused. Rows are numbered as a
text editor numbers lines.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct

from agent.rating.errors import MAX_PROBLEMS, DeckError, Problem
from agent.rating.importing.choices import Choice, Choices, advise
from agent.rating.importing.fields import (
    CODES,
    RATE_FAMILIES,
    RATES,
    REPEATABLE,
    Field,
    Heading,
    recognise,
    same_heading,
)  # fmt: skip

MAX_BYTES: Final = 64 << 20
MAX_ROWS: Final = 400_000
MAX_COLUMNS: Final = 200
MAX_CELL: Final = 4_000
HEAD_ROWS: Final = 200
"""So many rows are searched for the headings."""

_SEPARATORS: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_SHOWN: Final = 40
_CELL_END = re.compile(rb'[,;|\t\r\n"]')
_WORKBOOKS: Final = {
    b"PK\x03\x04": "this is a workbook or an archive, no text",
    b"\xd0\xcf\x11\xe0": "this is an old Excel workbook, no text",
    b"%PDF": "this is a PDF, no text",
}

Row = tuple[int, list[str]]
"""Line number of a row, and its cells without space around them."""


class Sheet(Struct, frozen=True):
    """A rate sheet whose headings were found. `preamble`: what stood above them, as text with line numbers."""

    name: str
    text: str
    separator: str
    head_row: int
    headings: tuple[Heading, ...]
    preamble: tuple[tuple[int, str], ...]

    @property
    def separator_name(self) -> str:
        """Word for the separator, as in `--choose delimiter=…`."""
        return next(word for word, sign in _SEPARATORS.items() if sign == self.separator)

    def rows(self) -> Iterator[Row]:
        """Yield the rows under the headings, empty ones left out. Raises DeckError where quotation marks fail."""
        for row, cells in _records(self.text, self.separator, self.name):
            if row > MAX_ROWS:
                raise fault(self.name, row, "", "", f"more than {MAX_ROWS} rows: split the file")
            if row > self.head_row and any(cells):
                yield row, cells

    def is_other_head(self, cells: Sequence[str], choices: Choices) -> bool:
        """Whether a row is headings that differ from those of this sheet: another one begins there."""
        found = _recognised(cells, choices)
        fields = {heading.field for heading in found}
        return bool(fields & {*CODES} and fields & {*RATES, Field.PER_CALL}) and tuple(found) != self.headings


def open_sheet(data: bytes, name: str, choices: Choices) -> Sheet:
    """Find the table in a file. Raises DeckError."""
    text = _decode(data, name, choices)
    chosen = choices.get(Choice.DELIMITER)
    separators = [_SEPARATORS[chosen]] if chosen else list(_SEPARATORS.values())
    found: list[tuple[str, int, list[str]]] = []
    broken: DeckError | None = None
    for separator in separators:
        try:
            head = _find_head(text, separator, name, choices)
        except DeckError as error:
            broken = error
            continue
        if head is not None:
            found.append((separator, *head))
    if not found:
        raise broken if broken is not None and len(separators) == 1 else _no_head(text, separators, name, choices)
    if len(found) > 1:
        row = found[1][1]
        advice = f"two separators make headings of this row: {advise(Choice.DELIMITER)}"
        raise fault(name, row, "", "", advice)
    separator, row, cells = found[0]
    preamble = tuple(
        (line, " ".join(filter(None, above))) for line, above in _records(text, separator, name, stop=row) if any(above)
    )
    return Sheet(name, text, separator, row, _headings(cells, row, name, choices), preamble)


def fault(name: str, row: int, column: str, value: str, advice: str) -> DeckError:
    """Return a refusal of one place."""
    return DeckError((Problem(name, row, column, _shown(value), advice),))


def _shown(value: str) -> str:
    text = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
    return text if text.isprintable() else ascii(text)[1:-1]


def _decode(data: bytes, name: str, choices: Choices) -> str:
    if len(data) > MAX_BYTES:
        raise fault(name, 1, "", "", f"the file is longer than {MAX_BYTES} bytes: split it")
    for magic, what in _WORKBOOKS.items():
        if data.startswith(magic):
            raise fault(name, 1, "", "", f"{what}: export the one sheet with the prices as CSV, codes as text")
    encoding = choices.get(Choice.ENCODING)
    if not encoding:
        utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        encoding = "utf-16" if utf_16 else "utf-8"
    try:
        text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        advice = (
            f"byte {error.start} of the file is not {encoding.upper()}: save it as UTF-8, or {advise(Choice.ENCODING)}"
        )
        raise fault(name, row, "", _around(data, error.start), advice) from error
    if "\0" in text:
        row = text.count("\n", 0, text.index("\0")) + 1
        raise fault(name, row, "", "", "there is a zero byte: this is no text, export the sheet as CSV")
    return text


def _around(data: bytes, place: int) -> str:
    """The cell in which a byte stands that cannot be read, as it would be in the old encoding of Windows."""
    before, after = data[max(0, place - _SHOWN) : place], data[place : place + _SHOWN]
    cell = _CELL_END.split(before)[-1] + _CELL_END.split(after)[0]
    return cell.decode("cp1252", "replace").strip()


def _records(text: str, separator: str, name: str, *, stop: int = 0) -> Iterator[Row]:
    """Yield all records; those before line `stop` where it is given."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    row = 1
    try:
        for cells in reader:
            if stop and row >= stop:
                return
            if len(cells) > MAX_COLUMNS:
                raise fault(name, row, "", "", f"the row has more than {MAX_COLUMNS} columns")
            stripped = [cell.strip() for cell in cells]
            longest = max(stripped, key=len, default="")
            if len(longest) > MAX_CELL:
                raise fault(name, row, "", longest, f"the cell is longer than {MAX_CELL} characters")
            yield row, stripped
            row = reader.line_num + 1
    except csv.Error as error:
        raise fault(name, row, "", "", f"the quotation marks do not match ({error}): mend this row") from error


def _find_head(text: str, separator: str, name: str, choices: Choices) -> tuple[int, list[str]] | None:
    for row, cells in islice(_records(text, separator, name), HEAD_ROWS):
        fields = {heading.field for heading in _recognised(cells, choices)}
        if fields & {*CODES} and fields & {*RATES, Field.PER_CALL}:
            return row, cells
    return None


def _recognised(cells: Sequence[str], choices: Choices) -> list[Heading]:
    found = []
    for place, name in enumerate(cells):
        if name:
            mapped = next((field for said, field in choices.columns.items() if same_heading(said, name)), None)
            heading = recognise(name, place, mapped)
            if heading is not None:
                found.append(heading)
    return found


def _headings(cells: Sequence[str], row: int, name: str, choices: Choices) -> tuple[Heading, ...]:
    known = {heading.place: heading for heading in _recognised(cells, choices)}
    problems = []
    seen: dict[Field, Heading] = {}
    for place, cell in enumerate(cells):
        heading = known.get(place)
        if heading is None:
            if cell:
                advice = "unknown column: name it in a --mapping file under [columns], or put it under ignore"
                problems.append(Problem(name, row, _shown(cell), "", advice))
            continue
        other = seen.setdefault(heading.field, heading)
        if other is not heading and heading.field not in REPEATABLE:
            advice = f"'{_shown(other.name)}' is a column of {heading.field}, too: say in a --mapping file which counts"
            problems.append(Problem(name, row, _shown(cell), "", advice))
    for said, field in choices.columns.items():
        if not any(same_heading(said, cell) for cell in cells):
            problems.append(
                Problem(name, row, _shown(said), "", f"the mapping calls this {field}, the sheet has it not")
            )
    problems += _rate_problems(seen, row, name)
    if problems:
        raise DeckError(tuple(problems[:MAX_PROBLEMS]))
    return tuple(known.values())


def _rate_problems(seen: Mapping[Field, Heading], row: int, name: str) -> list[Problem]:
    """Tell where the price columns together do not say what a call costs."""
    families = [[heading for field, heading in seen.items() if field in family] for family in RATE_FAMILIES]
    present = [family for family in families if family]
    if Field.NEW_RATE in seen and (Field.PEAK_RATE in seen or Field.FIRST_RATE in seen):
        present.append([seen[Field.NEW_RATE]])
    if len(present) > 1:
        advice = f"'{_shown(present[0][0].name)}' is a price of another kind: say in a --mapping file which one counts"
        return [Problem(name, row, _shown(present[1][0].name), "", advice)]
    lacking = ((Field.OFF_PEAK_RATE, (Field.PEAK_RATE, Field.WEEKEND_RATE)), (Field.FIRST_RATE, (Field.NEXT_RATE,)))
    return [
        Problem(name, row, _shown(seen[there].name), "", f"the price beside it, {needed}, is missing: name its column")
        for needed, others in lacking if needed not in seen
        for there in others if there in seen
    ]  # fmt: skip


def _no_head(text: str, separators: Sequence[str], name: str, choices: Choices) -> DeckError:
    """Say what comes nearest to headings: what is missing is told more easily than what is there."""
    best: tuple[int, int, list[str]] = (0, 1, [])
    fields: set[Field] = set()
    for separator in separators:
        try:
            for row, cells in islice(_records(text, separator, name), HEAD_ROWS):
                found = _recognised(cells, choices)
                if len(found) > best[0]:
                    best, fields = (len(found), row, cells), {heading.field for heading in found}
        except DeckError:
            continue
    _, row, cells = best
    mapping = 'name the columns in a --mapping file under [columns], such as prefix = "Vorwahl"'
    if not text.strip():
        return fault(name, 1, "", "", "the file is empty: export the sheet again")
    if not cells:
        row, first = next(line for line in enumerate(text.splitlines(), start=1) if line[1].strip())
        shown = " ".join(first.replace(separators[0], " ").split())
        return fault(name, row, "", shown, f"no row of headings in the first {HEAD_ROWS} rows: write one, or {mapping}")
    if not fields & {*CODES}:
        advice = f"no column holds prefixes; a list by charge code or name needs its code list: {mapping}"
    else:
        advice = f"no column holds prices: {mapping}"
    return fault(name, row, "", " ".join(filter(None, cells)), advice)
