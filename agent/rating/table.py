"""The rate table: a price list as a trie of prefixes and columns beside it, in one file that is mapped, not read.

How the file is laid out stands in `agent.rating.layout`. A table is a local cache of a deck: what does not fit is
refused and built again.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import marisa_trie

from agent.core.numbers import MAX_E164_DIGITS, NumberClass, classify
from agent.core.tariff import PriceRules, Rate
from agent.files import write_whole
from agent.rating import header
from agent.rating.deck import Deck, parse, read_bytes
from agent.rating.errors import TableError
from agent.rating.header import Header
from agent.rating.layout import DIGEST_BYTES, HEAD, MAX_FILE, open_parts
from agent.rating.packing import encode
from agent.rating.pools import Entries, Entry, Milestones

_COUNTRY_CODE: Final = "47"


class RateTable:
    """A price list, ready to price. It never changes: a newer one is another object, calls in progress keep theirs."""

    def __init__(self, buffer: bytes | mmap.mmap, name: str) -> None:
        """Take over a table's bytes. Raises TableError. Use `open` or `of`."""
        # The trie reads from the buffer for as long as it lives, so both live here.
        self._buffer = buffer
        head, parts = open_parts(memoryview(buffer), name)
        self._head = head
        self._header = header.read(head.header)
        self._trie = marisa_trie.Trie()
        try:
            self._trie.map(parts["trie"])
        except (RuntimeError, ValueError) as error:
            raise TableError(f"{name}: the trie cannot be read ({error}): build the table again") from error
        self._prefixes_of = self._trie.iter_prefixes_with_ids
        self._entry_of = parts["entries"]
        self._entries = Entries(parts, name)
        self._milestones = Milestones(parts, name)
        if not len(self._trie) == len(self._entry_of) == head.prefixes or max(self._entry_of) >= len(self._entries):
            raise TableError(f"{name}: the columns do not fit {head.prefixes} prefixes: build the table again")
        self._known: list[Entry | None] = [None] * len(self._entries)

    @classmethod
    def open(cls, path: Path, *, deck_sha256: str = "") -> Self:
        """Map a table file. Raises TableError where it is missing, foreign, damaged, or of another deck."""
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if not HEAD.size + DIGEST_BYTES <= size <= MAX_FILE:
                    raise TableError(f"{path.name}: {size} bytes are no rate table: build it again")
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise TableError(f"{path.name}: the rate table cannot be opened: {error.strerror}") from error
        table = cls(mapped, path.name)
        if deck_sha256 and table.deck_sha256 != deck_sha256:
            raise TableError(f"{path.name}: the table was built from another price list: build it again")
        return table

    @classmethod
    def of(cls, deck: Deck) -> Self:
        """Build a table in memory."""
        return cls(encode(deck), deck.name)

    def __len__(self) -> int:
        """Return the number of prefixes."""
        return self._head.prefixes

    @property
    def rules(self) -> PriceRules:
        """Name, version, currency, VAT and rounding of the price list."""
        return self._header.rules

    @property
    def header(self) -> Header:
        """Everything that the price list says of itself."""
        return self._header

    @property
    def deck_sha256(self) -> str:
        """Hex digest of the deck from which the table was built."""
        return self._head.sha256

    def find(self, number: str) -> Rate | None:
        """Return the most specific row for a canonical number; None for one without a row or of impossible length."""
        key = rating_key(number)
        return None if key is None else self.look_up(key)

    def look_up(self, digits: str) -> Rate | None:
        """Return the most specific row for digits from the country code on: what a customer types to see a price."""
        for prefix, key in reversed(list(self._prefixes_of(digits))):
            for rate in self._rates(prefix, self._entry(self._entry_of[key]), numbered=True):
                if not rate.lengths.exact or rate.prefix == digits:
                    return rate
        return None

    def longest(self, digits: str) -> tuple[str, Entry] | None:
        """Return the most specific prefix of `digits`, and what it has; None where no prefix is one."""
        prefix, key = "", -1
        for prefix, key in self._prefixes_of(digits):  # noqa: B007 - the last one is the longest
            pass
        if key < 0:
            return None
        place = self._entry_of[key]
        return prefix, self._known[place] or self._entry(place)

    def candidates(self, digits: str, *, numbered: bool = True) -> tuple[Rate, ...]:
        """Return the rows that may price a whole number, in order of preference; empty where none does.

        The most specific prefix decides which lengths a number may have (an `exact` row apart: it is for its own number
        and leaves the others alone). A shorter prefix is among the rows only for times before or after a longer one.
        Where `numbered` is false, `row` is 0: to find a row's line takes longer than all the rest.
        """
        found = self.longest(digits)
        if found is None:
            return ()
        prefix, entry = found
        if entry.plain is not None and len(digits) <= MAX_E164_DIGITS:
            row = self._row_of(prefix) if numbered else 0
            return (Rate(prefix, entry.destination, entry.plain, row),)
        return self._rows_for(digits, numbered=numbered)

    def _rows_for(self, digits: str, *, numbered: bool) -> tuple[Rate, ...]:
        found: list[Rate] = []
        for prefix, key in reversed(list(self._prefixes_of(digits))):
            rows = tuple(self._rates(prefix, self._entry(self._entry_of[key]), numbered=numbered))
            fitting = [rate for rate in rows if rate.lengths.fit(digits, prefix)]
            found += fitting
            if any(not rate.lengths.exact for rate in rows) and not fitting:
                break
            if any(rate.valid_from is None and rate.valid_until is None for rate in fitting):
                break
        return tuple(found)

    def _rates(self, prefix: str, entry: Entry, *, numbered: bool) -> Iterator[Rate]:
        first = self._row_of(prefix) if numbered else 0
        for place, offer in enumerate(entry.offers):
            row = first + place if numbered else 0
            tariff, when, valid_from, valid_until, lengths = offer
            yield Rate(prefix, entry.destination, tariff, row, when, valid_from, valid_until, lengths)

    def _entry(self, place: int) -> Entry:
        known = self._known[place]
        if known is None:
            known = self._known[place] = self._entries.read(place)
        return known

    def _row_of(self, prefix: str) -> int:
        """The line of a prefix's first row: counted from the nearest milestone."""
        milestone, row = self._milestones.before(prefix)
        if milestone == prefix:
            return row
        rows_of, entry_of = self._entries.rows_of, self._entry_of
        return row + sum(rows_of(entry_of[key]) for other, key in self._trie.iteritems(milestone) if other < prefix)


def rating_key(number: str) -> str | None:
    """Return the digits by which a canonical number is priced; None where no such number can exist.

    A short number stands behind the country code, as in the deck (`1881` is `471881`).
    """
    if classify(number) is NumberClass.UNKNOWN:
        return None
    return number[1:] if number.startswith("+") else _COUNTRY_CODE + number


def build(deck: Deck, path: Path) -> None:
    """Write the table of a deck to `path`, whole or not at all. Raises TableError where the disk refuses."""
    data = encode(deck)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise TableError(f"{path.name}: the rate table cannot be written: {error.strerror}") from error


def open_or_build(deck_path: Path, table_path: Path) -> RateTable:
    """Map the table of a deck; where it is missing, damaged or of another deck, build it first.

    Raises DeckError where the deck is refused, PriceListError where it cannot be read, TableError.
    """
    data = read_bytes(deck_path)
    digest = hashlib.sha256(data).hexdigest()
    try:
        return RateTable.open(table_path, deck_sha256=digest)
    except TableError:
        build(parse(data, deck_path.name), table_path)
        return RateTable.open(table_path, deck_sha256=digest)
