"""The deck: a price list in the canonical form that is published, digested, compared and read by people.

UTF-8 without byte order mark, LF, first a header of `# key: value` lines, then CSV with these columns:

    prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum[,maximum][,when][,from][,until][,length]

* `prefix`: country code and beginning of the number, digits only, 1 to 15. Rows are sorted by it as text. A Norwegian
  short number stands behind the country code, too: `471881`, `47116`, `470`. There it cannot collide with anything: no
  Norwegian number of eight digits begins with 0 or 1, and the American +1 803 is `1803`.
* `connect_fee`, `rate`, `minimum`: decimal amounts with a point, at most six decimals. `rate` is for `unit_s` seconds,
  counted in increments of `increment_s` seconds. `rate` may be the word `blocked`; then the other prices are empty.
  `minimum` is the least that an answered call costs; empty is zero.
* `next`: later intervals, `from_s:rate/unit_s/increment_s`, separated by `;`. A 30/6 tariff of 0.60 a minute has rate
  0.60, unit_s 60, increment_s 30 and next `30:0.60/60/6`.

The last five columns are there as far as any row needs them:

* `maximum`: the most that a call costs, and what happens then: `25.00 free` (it goes on for nothing) or
  `25.00 disconnect` (it is ended).
* `when`: days and hours in civil time, such as `mon-fri 08:00-17:00`, `sat+sun`, `hol` (see `agent.core.civil`).
* `from`, `until`: first and last civil day on which the row is in force.
* `length`: digits of the number, country code included: `10`, `8-12`, or `exact` where the prefix is the whole number.

Several rows may have one prefix. The first that fits number and moment applies, so the exception (a holiday, the
evening) stands before the rule. A row that can never be reached is refused, and so is a prefix without a price at some
hour of the week. The most specific prefix decides: before it is in force a shorter one applies, but a number of a
length that it does not know is no number.

Header: price_list, product (several with commas), currency, vat, version, valid_from, rounding, decimals, seconds,
with `vat: added` also vat_percent, holidays (`12-25` of every year, or `2026-04-03`, with commas) if there are any, and
any number of `note` lines. What is not understood is refused: a price is never guessed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from agent.core.schedule import uncovered
from agent.core.tariff import Rate
from agent.rating import cells, header
from agent.rating.cells import COLUMNS, MORE_COLUMNS, CellError, RowReader
from agent.rating.errors import MAX_PROBLEMS, DeckError, PriceListError, Problem
from agent.rating.header import Header

MAX_BYTES: Final = 16 << 20
MAX_ROWS: Final = 400_000
MAX_LINE: Final = 512
MAX_SAME_PREFIX: Final = 32

_NEVER_FREE: Final = ("47820", "47829", "4718")
"""Premium and directory ranges: a free row that covers one of them gives away what must be paid."""

_NEVER_INHERITED_FREE: Final = ("470", "47116", "4758", "4759", "47810", "47815", "4785", "47880")
"""Five-digit numbers, 116xxx, machines, shared cost, UAN, internet telephony, personal numbers (Nkom's series): such a
class may be free where the list says so, never because a shorter prefix is."""

_ONE_BY_ONE: Final = "list the free Norwegian ranges one by one (472, 473, 474 …)"
_HEADER = re.compile(r"# ([a-z_]+): (.*)")


class Deck(Struct, frozen=True):
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
    rows = [cells.write(rate) for rate in sorted(deck.rates, key=lambda row: row.prefix)]
    columns = (*COLUMNS, *MORE_COLUMNS)
    used = [place for place in range(len(columns)) if place < len(COLUMNS) or any(row[place] for row in rows)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns[place] for place in used)
    writer.writerows([row[place] for place in used] for row in rows)
    return out.getvalue()


class _Parser:
    """One reading of one deck: collects faults until there are too many."""

    def __init__(self, raw: bytes, name: str) -> None:
        self._name = name[:100]
        self._raw = raw
        self._problems: list[Problem] = []
        self._header: dict[str, str] = {}
        self._notes: list[str] = []
        self._reader = RowReader()

    def deck(self) -> Deck:
        lines = self._lines()
        body = self._read_header(lines)
        head = self._header_of(self._header)
        rates = tuple(self._read_rows(lines, body))
        if not rates and not self._problems:
            self._fault(len(lines), "", "", "the price list has no rows: nothing could be called")
        self._stop_if_faulty()
        self._check_classes(rates)
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
                found = tuple(line.split(","))
                more = found[len(COLUMNS) :]
                if found[: len(COLUMNS)] != COLUMNS or more != tuple(name for name in MORE_COLUMNS if name in more):
                    advice = f"the column line must read {','.join(COLUMNS)}, then any of {','.join(MORE_COLUMNS)}"
                    if index == 0:
                        advice += "; a rate sheet as it was sent is made a price list by iplink-agent deck build"
                    self._fault(row, "", line, advice)
                    self._stop_if_faulty()
                self._reader = RowReader(more)
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
        prefix = ""
        same: list[Rate] = []
        for row, line in enumerate(lines[body:], start=body + 1):
            try:
                rate = self._row(line, row)
                if rate.prefix != prefix:
                    self._check_gaps(same)
                    same = []
                if rate.prefix < prefix:
                    raise CellError("prefix", rate.prefix, f"sort the rows by prefix as text: this follows {prefix}")
                prefix = rate.prefix
                _check_beside(same, rate)
                same.append(rate)
                yield rate
            except CellError as error:
                self._fault(row, error.column, error.value, error.advice)
        self._check_gaps(same)

    def _check_gaps(self, same: list[Rate]) -> None:
        """Fault the rows of one prefix where some hour has no price."""
        if all(rate.is_timeless for rate in same):
            return
        for lengths in dict.fromkeys(rate.lengths for rate in same):
            moment = uncovered([rate for rate in same if rate.lengths == lengths])
            if moment:
                last = same[-1]
                advice = f"{last.prefix} has no price at {moment}: end with a row for all other hours"
                self._fault(last.row, "when", str(last.when), advice)

    def _check_classes(self, rates: tuple[Rate, ...]) -> None:
        """Fault free rows from which a Norwegian class of numbers would inherit its price."""
        # A free row counts at any hour; a priced one stands before it only if it always does.
        free = {rate.prefix: rate for rate in rates if rate.tariff.is_free and not rate.lengths.exact}
        priced = {
            rate.prefix for rate in rates
            if rate.prefix not in free and rate.prefix.startswith("47") and not rate.lengths.exact
            and rate.valid_from is None and rate.valid_until is None
        }  # fmt: skip
        for guarded in _NEVER_INHERITED_FREE:
            above = (guarded[:length] for length in range(len(guarded), 0, -1))
            decides = next((prefix for prefix in above if prefix in free or prefix in priced), "")
            rate = free.get(decides)
            if rate is not None and decides != guarded:
                advice = f"a free row that numbers in {guarded} would inherit: give {guarded} a row of its own"
                self._fault(rate.row, "prefix", rate.prefix, advice)

    def _row(self, line: str, row: int) -> Rate:
        if len(line) > MAX_LINE:
            raise CellError("", line, f"the line is longer than {MAX_LINE} characters")
        rate = self._reader.read(_split(line), row)
        if rate.tariff.is_free and any(guarded.startswith(rate.prefix) for guarded in _NEVER_FREE):
            raise CellError("prefix", rate.prefix, f"a free row that covers premium numbers: {_ONE_BY_ONE}")
        return rate


def _check_beside(same: list[Rate], rate: Rate) -> None:
    """Refuse a row that the earlier ones of its prefix leave nothing to."""
    if len(same) >= MAX_SAME_PREFIX:
        raise CellError("prefix", rate.prefix, f"more than {MAX_SAME_PREFIX} rows have this prefix: keep fewer windows")
    for earlier in same:
        if rate.destination != earlier.destination:
            advice = f"row {earlier.row} of this prefix says {earlier.destination}: a prefix has one destination"
            raise CellError("destination", rate.destination, advice)
        terms = [(one.when, one.valid_from, one.valid_until) for one in (earlier, rate)]
        if earlier.lengths.contain(rate.lengths, rate.prefix) and (earlier.is_timeless or terms[0] == terms[1]):
            raise CellError(
                "prefix", rate.prefix,
                f"row {earlier.row} has the same prefix and leaves nothing to this one: keep one price, or put the "
                "exception first and say when it applies",
            )  # fmt: skip


def _split(line: str) -> list[str]:
    if '"' not in line:
        return line.split(",")
    try:
        found = next(csv.reader([line], strict=True))
    except (csv.Error, StopIteration):
        raise CellError("", line, "the quotation marks do not match") from None
    return found
