"""The deck: a price list in the canonical form that is published, digested, compared and read by people.

UTF-8 without byte order mark, LF, first a header of `# key: value` lines, then CSV with these columns:

    prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum

* `prefix`: country code and beginning of the number, digits only, 1 to 15. Rows are sorted by it as text. A Norwegian
  short number stands behind the country code, too: `471881`, `47116`, `470`. There it cannot collide with anything: no
  Norwegian number of eight digits begins with 0 or 1, and the American +1 803 is `1803`.
* `connect_fee`, `rate`, `minimum`: decimal amounts with a point, at most six decimals. `rate` is for `unit_s` seconds,
  counted in increments of `increment_s` seconds. `rate` may be the word `blocked`; then the other prices are empty.
  `minimum` is the least that an answered call costs; empty is zero.
* `next`: later intervals, `from_s:rate/unit_s/increment_s`, separated by `;`. A 30/6 tariff of 0.60 a minute has rate
  0.60, unit_s 60, increment_s 30 and next `30:0.60/60/6`.

Header: price_list, product (several with commas), currency, vat, version, valid_from, rounding, decimals, seconds, and
any number of `note` lines. What is not understood is refused: a price is never guessed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.core.money import AmountError, amount_text, parse_amount
from agent.core.tariff import Interval, Rate, Tariff, TariffError, validate
from agent.rating import header
from agent.rating.errors import MAX_PROBLEMS, DeckError, PriceListError, Problem
from agent.rating.header import Header

MAX_BYTES: Final = 16 << 20
MAX_ROWS: Final = 400_000
MAX_LINE: Final = 512
MAX_DESTINATION: Final = 100
MAX_PREFIX: Final = 15
COLUMNS: Final = ("prefix", "destination", "connect_fee", "rate", "unit_s", "increment_s", "next", "minimum")
BLOCKED: Final = "blocked"

_NEVER_INHERITED_FREE: Final = ("47820", "47829", "4718")
"""Premium and directory ranges: a free row that covers one of them gives away what must be paid."""

_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,5}", re.ASCII)
_NEXT = re.compile(r"([0-9]{1,5}):([0-9.]{1,16})/([0-9]{1,5})/([0-9]{1,5})", re.ASCII)
_HEADER = re.compile(r"# ([a-z_]+): (.*)")
_MANGLED = re.compile(r"[0-9]*0{7}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Deck:
    """A price list that was read and found sound. `sha256` is the hex digest of its bytes as published."""

    name: str
    sha256: str
    header: Header
    notes: tuple[str, ...]
    rates: tuple[Rate, ...]


def load(path: Path) -> Deck:
    """Read a deck from a file. Raises DeckError, and PriceListError where the file cannot be read."""
    return parse(read_bytes(path), path.name)


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a deck file, at most one more than a deck may have. Raises PriceListError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PriceListError(f"{path.name}: the price list cannot be read: {error.strerror}") from error


def parse(data: bytes | str, name: str) -> Deck:
    """Read a deck; `name` is what faults call the file. Raises DeckError with all faults (the first 20)."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return _Parser(raw, name).deck()


def canonical(deck: Deck) -> str:
    """Return the deck as canonical text; `parse` reads it back as the same prices."""
    out = io.StringIO()
    for key, value in header.write(deck.header).items():
        out.write(f"# {key}: {value}\n")
    for note in deck.notes:
        out.write(f"# {header.NOTE}: {note}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rate in sorted(deck.rates, key=lambda row: row.prefix):
        writer.writerow(_cells(rate))
    return out.getvalue()


def _cells(rate: Rate) -> tuple[str, ...]:
    tariff = rate.tariff
    if tariff.blocked:
        return (rate.prefix, rate.destination, "", BLOCKED, "", "", "", "")
    first, *later = tariff.intervals
    following = ";".join(
        f"{part.from_s}:{amount_text(part.rate_micro)}/{part.unit_s}/{part.increment_s}" for part in later
    )
    minimum = amount_text(tariff.minimum_micro) if tariff.minimum_micro else ""
    return (
        rate.prefix, rate.destination, amount_text(tariff.connect_fee_micro), amount_text(first.rate_micro),
        str(first.unit_s), str(first.increment_s), following, minimum,
    )  # fmt: skip


class _CellError(ValueError):
    def __init__(self, column: str, value: str, advice: str) -> None:
        super().__init__(advice)
        self.column, self.value, self.advice = column, value, advice


class _Parser:
    """One reading of one deck: collects faults until there are too many."""

    def __init__(self, raw: bytes, name: str) -> None:
        self._name = name[:100]
        self._raw = raw
        self._problems: list[Problem] = []
        self._header: dict[str, str] = {}
        self._notes: list[str] = []
        self._tariffs: dict[tuple[str, ...], Tariff] = {}

    def deck(self) -> Deck:
        lines = self._lines()
        body = self._read_header(lines)
        head = self._header_of(self._header)
        rates = tuple(self._read_rows(lines, body))
        if not rates and not self._problems:
            self._fault(len(lines), "", "", "the price list has no rows: nothing could be called")
        self._stop_if_faulty()
        digest = hashlib.sha256(self._raw).hexdigest()
        return Deck(name=self._name, sha256=digest, header=head, notes=tuple(self._notes), rates=rates)

    def _fault(self, row: int, column: str, value: str, advice: str) -> None:
        shown = value if len(value) <= 40 else f"{value[:40]}…"
        self._problems.append(Problem(self._name, row, column, shown, advice))
        if len(self._problems) >= MAX_PROBLEMS:
            self._stop_if_faulty()

    def _stop_if_faulty(self) -> None:
        if self._problems:
            raise DeckError(tuple(self._problems))

    def _lines(self) -> list[str]:
        if len(self._raw) > MAX_BYTES:
            self._fault(1, "", "", f"the file is longer than {MAX_BYTES} bytes: publish a smaller price list")
        elif self._raw.startswith(b"\xef\xbb\xbf"):
            self._fault(1, "", "", "the file begins with a byte order mark: save it as UTF-8 without one")
        elif b"\r" in self._raw:
            row = self._raw[: self._raw.index(b"\r")].count(b"\n") + 1
            self._fault(row, "", "", "the line ends in CR: save the file with LF line ends")
        self._stop_if_faulty()
        text = ""
        try:
            text = self._raw.decode("utf-8")
        except UnicodeDecodeError as error:
            row = self._raw[: error.start].count(b"\n") + 1
            self._fault(row, "", "", f"byte {error.start} of the file is not UTF-8: save the file as UTF-8")
        self._stop_if_faulty()
        lines = text.split("\n")
        if lines.pop() != "":
            self._fault(len(lines) + 1, "", "", "the last line has no line end: the file may be cut short")
        if len(lines) > MAX_ROWS:
            self._fault(MAX_ROWS, "", "", f"more than {MAX_ROWS} rows: publish a smaller price list")
        self._stop_if_faulty()
        return lines

    def _read_header(self, lines: list[str]) -> int:
        for index, line in enumerate(lines):
            row = index + 1
            if not line.startswith("#"):
                if tuple(line.split(",")) != COLUMNS:
                    self._fault(row, "", line, f"the column line must read {','.join(COLUMNS)}")
                    self._stop_if_faulty()
                return index + 1
            match = _HEADER.fullmatch(line)
            if match is None or len(line) > MAX_LINE:
                self._fault(row, "", line, "a header line reads '# key: value'")
                continue
            key, value = match.groups()
            if key == header.NOTE:
                self._notes.append(value)
            elif key not in header.KEYS:
                self._fault(row, "", key, f"unknown header key: use {', '.join(header.KEYS)} or {header.NOTE}")
            elif key in self._header:
                self._fault(row, "", key, "the header says this twice: keep one line")
            else:
                self._header[key] = value
        self._fault(max(len(lines), 1), "", "", f"there is no column line: {','.join(COLUMNS)}")
        self._stop_if_faulty()
        return len(lines)

    def _header_of(self, values: dict[str, str]) -> Header:
        for key, value, advice in header.faults(values):
            self._fault(1, key, value, advice)
        self._stop_if_faulty()
        return header.read(values)

    def _read_rows(self, lines: list[str], body: int) -> Iterator[Rate]:
        before = ""
        for row, line in enumerate(lines[body:], start=body + 1):
            try:
                rate = self._row(line, row)
                if rate.prefix == before:
                    raise _CellError("prefix", rate.prefix, "the row before has the same prefix: keep one price")
                if rate.prefix < before:
                    raise _CellError("prefix", rate.prefix, f"sort the rows by prefix as text: this follows {before}")
                before = rate.prefix
                yield rate
            except _CellError as error:
                self._fault(row, error.column, error.value, error.advice)

    def _row(self, line: str, row: int) -> Rate:
        if len(line) > MAX_LINE:
            raise _CellError("", line, f"the line is longer than {MAX_LINE} characters")
        cells = _split(line)
        if len(cells) != len(COLUMNS):
            raise _CellError("", line, f"the row has {len(cells)} columns, not {len(COLUMNS)}")
        prefix, destination, *prices = cells
        _check_prefix(prefix)
        if not 1 <= len(destination) <= MAX_DESTINATION or destination != destination.strip():
            raise _CellError(
                "destination", destination, f"write 1 to {MAX_DESTINATION} characters, no space around them"
            )
        if not destination.isprintable():
            raise _CellError("destination", ascii(destination), "remove the control characters")
        tariff = self._tariff(tuple(prices))
        if tariff.is_free and any(guarded.startswith(prefix) for guarded in _NEVER_INHERITED_FREE):
            raise _CellError(
                "prefix", prefix,
                "a free row that covers premium numbers: list the free Norwegian ranges one by one (472, 473, 474 …)",
            )  # fmt: skip
        return Rate(prefix=prefix, destination=destination, tariff=tariff, row=row)

    def _tariff(self, cells: tuple[str, ...]) -> Tariff:
        known = self._tariffs.get(cells)
        if known is None:
            known = self._tariffs[cells] = _read_tariff(cells)
        return known


def _split(line: str) -> list[str]:
    if '"' not in line:
        return line.split(",")
    try:
        cells = next(csv.reader([line], strict=True))
    except (csv.Error, StopIteration):
        raise _CellError("", line, "the quotation marks do not match") from None
    return cells


def _check_prefix(prefix: str) -> None:
    if not _DIGITS.fullmatch(prefix):
        raise _CellError("prefix", prefix, "write digits only, from the country code on, without + or 00 or spaces")
    if prefix.startswith("0"):
        raise _CellError("prefix", prefix, "no country code begins with 0: write 46…, not 0046…")
    if len(prefix) > 9 and _MANGLED.fullmatch(prefix):
        raise _CellError("prefix", prefix, "this looks like a number mangled by a spreadsheet: write the real prefix")
    if len(prefix) > MAX_PREFIX:
        raise _CellError("prefix", prefix, f"no number has more than {MAX_PREFIX} digits")


def _read_tariff(cells: tuple[str, ...]) -> Tariff:
    fee, rate, unit_s, increment_s, following, minimum = cells
    if rate == BLOCKED:
        for column, cell in zip(COLUMNS[2:], cells, strict=True):
            if column != "rate" and cell:
                raise _CellError(column, cell, "a blocked destination has no price: leave this empty")
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
            raise _CellError("next", part, "write from_s:rate/unit_s/increment_s, such as 60:0.10/60/1")
        from_s, amount, unit, increment = match.groups()
        intervals.append(Interval(int(from_s), _amount("next", amount), int(unit), int(increment)))
    tariff = Tariff(
        connect_fee_micro=_amount("connect_fee", fee), intervals=tuple(intervals),
        minimum_micro=_amount("minimum", minimum) if minimum else 0,
    )  # fmt: skip
    try:
        validate(tariff)
    except TariffError as error:
        column, _, advice = str(error).partition(": ")
        raise _CellError(column, cells[COLUMNS.index(column) - 2], advice) from error
    return tariff


def _amount(column: str, text: str) -> int:
    try:
        return parse_amount(text)
    except AmountError:
        raise _CellError(
            column, text, "write an amount from zero up with a decimal point and at most six decimals, such as 0.15"
        ) from None


def _count(column: str, text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise _CellError(column, text, "write a whole number of seconds")
    return int(text)
