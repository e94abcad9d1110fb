"""The rate table: a price list as a trie of prefixes and columns beside it, in one file that is mapped, not read.

Layout, little-endian: magic, format, length of the head, head (JSON), then the sections in the order of the head
(trie; per prefix the index of its offers, of its destination and its first row in the deck; ends of the groups of
offers; offers: tariff, window, days, lengths; tariffs; intervals; ends of the windows' and of the destinations' texts;
the texts), and SHA-256 of everything before. The rows of one prefix are a group of offers, in the deck's order and on
lines that follow each other. Each group, tariff, window and destination is stored once, however many prefixes share
it. A table is a local cache of a deck: what does not fit is refused and built again.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import struct
import sys
import tempfile
from array import array
from collections.abc import Iterator
from datetime import date
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Final, Self

import marisa_trie
import msgspec
from msgspec import Meta, Struct

from agent.core.civil import Window, parse_window
from agent.core.numbers import NumberClass, classify
from agent.core.tariff import AtMaximum, Interval, Lengths, PriceRules, Rate, Tariff
from agent.rating import header
from agent.rating.deck import MAX_ROWS, Deck, parse, read_bytes
from agent.rating.errors import TableError
from agent.rating.header import Header

MAGIC: Final = b"IPLKRATE"
FORMAT: Final = 2

_HEAD = struct.Struct("<8sHHI")
_TARIFF = struct.Struct("<QQQIHBB")
_OFFER = struct.Struct("<IIIIBBH")
_INTERVAL = struct.Struct("<QIII")
_U32 = struct.Struct("<I")
_DIGEST_BYTES: Final = 32
_MAX_FILE: Final = 64 << 20
_COUNTRY_CODE: Final = "47"
_NO_MAXIMUM: Final = 2**64 - 1
_AT_MAXIMUM: Final = tuple(AtMaximum)

_Offer = tuple[Tariff, Window, date | None, date | None, Lengths]

_Length = Annotated[int, Meta(ge=0, le=_MAX_FILE)]


class _Sections(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Byte lengths of the sections, in the order in which they follow the head."""

    trie: _Length
    offers_of: _Length
    destination_of: _Length
    row_of: _Length
    offer_ends: _Length
    offers: _Length
    tariffs: _Length
    intervals: _Length
    window_ends: _Length
    windows: _Length
    ends: _Length
    texts: _Length


class _Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    deck: Annotated[str, Meta(max_length=128)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    header: dict[str, str]
    prefixes: Annotated[int, Meta(ge=1, le=MAX_ROWS)]
    sections: _Sections


class RateTable:
    """A price list, ready to price. It never changes: a newer one is another object, calls in progress keep theirs."""

    def __init__(self, buffer: bytes | mmap.mmap, name: str) -> None:
        """Take over a table's bytes. Raises TableError. Use `open` or `of`."""
        # The trie reads from the buffer for as long as it lives, so both live here.
        self._buffer = buffer
        self._view = memoryview(buffer)
        head, start = _read_head(self._view, name)
        self._head = head
        self._parts = _cut(self._view, head.sections, start, name)
        self._check_columns(name)
        self._trie = marisa_trie.Trie()
        try:
            self._trie.map(self._parts["trie"])
        except (RuntimeError, ValueError) as error:
            raise TableError(f"{name}: the trie cannot be read ({error}): build the table again") from error
        if len(self._trie) != head.prefixes:
            raise TableError(f"{name}: the trie has {len(self._trie)} prefixes, not {head.prefixes}: build it again")
        self._header = header.read(head.header)
        self._tariffs: dict[int, Tariff] = {}
        self._groups: dict[int, tuple[_Offer, ...]] = {}

    @classmethod
    def open(cls, path: Path, *, deck_sha256: str = "") -> Self:
        """Map a table file. Raises TableError where it is missing, foreign, damaged, or of another deck."""
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if not _HEAD.size + _DIGEST_BYTES <= size <= _MAX_FILE:
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
        for prefix, key in reversed(list(self._trie.iter_prefixes_with_ids(digits))):
            for rate in self._rows(prefix, key):
                if not rate.lengths.exact or rate.prefix == digits:
                    return rate
        return None

    def candidates(self, digits: str) -> tuple[Rate, ...]:
        """Return the rows that may price a whole number, in order of preference; empty where none does.

        The most specific prefix decides which lengths a number may have (an `exact` row apart: it is for its own number
        and leaves the others alone). A shorter prefix is among the rows only for times before or after a longer one.
        """
        found: list[Rate] = []
        for prefix, key in reversed(list(self._trie.iter_prefixes_with_ids(digits))):
            rows = tuple(self._rows(prefix, key))
            fitting = [rate for rate in rows if rate.lengths.fit(digits, prefix)]
            found += fitting
            if any(not rate.lengths.exact for rate in rows) and not fitting:
                break
            if any(rate.valid_from is None and rate.valid_until is None for rate in fitting):
                break
        return tuple(found)

    def _rows(self, prefix: str, key: int) -> Iterator[Rate]:
        destination = self._text("texts", "ends", self._u32("destination_of", key))
        row = self._u32("row_of", key)
        for tariff, when, valid_from, valid_until, lengths in self._offers(self._u32("offers_of", key)):
            yield Rate(prefix, destination, tariff, row, when, valid_from, valid_until, lengths)
            row += 1

    def _u32(self, part: str, index: int) -> int:
        value: int = _U32.unpack_from(self._parts[part], index * _U32.size)[0]
        return value

    def _text(self, texts: str, ends: str, index: int) -> str:
        start = self._u32(ends, index - 1) if index else 0
        return bytes(self._parts[texts][start : self._u32(ends, index)]).decode("utf-8")

    def _offers(self, index: int) -> tuple[_Offer, ...]:
        known = self._groups.get(index)
        if known is None:
            start = self._u32("offer_ends", index - 1) if index else 0
            places = range(start, self._u32("offer_ends", index))
            known = self._groups[index] = tuple(self._offer(place) for place in places)
        return known

    def _offer(self, place: int) -> _Offer:
        tariff, window, since, until, low, high, exact = _OFFER.unpack_from(self._parts["offers"], place * _OFFER.size)
        return (
            self._tariff(tariff), parse_window(self._text("windows", "window_ends", window)),
            date.fromordinal(since) if since else None, date.fromordinal(until) if until else None,
            Lengths(low, high, bool(exact)),
        )  # fmt: skip

    def _tariff(self, index: int) -> Tariff:
        known = self._tariffs.get(index)
        if known is None:
            fee, minimum, maximum, first, count, blocked, at_maximum = _TARIFF.unpack_from(
                self._parts["tariffs"], index * _TARIFF.size
            )
            intervals = []
            for position in range(first, first + count):
                rate, from_s, unit_s, increment_s = _INTERVAL.unpack_from(
                    self._parts["intervals"], position * _INTERVAL.size
                )
                intervals.append(Interval(from_s, rate, unit_s, increment_s))
            known = self._tariffs[index] = Tariff(
                fee, tuple(intervals), minimum, bool(blocked),
                None if maximum == _NO_MAXIMUM else maximum, _AT_MAXIMUM[at_maximum],
            )  # fmt: skip
        return known

    def _check_columns(self, name: str) -> None:
        sections, column = self._head.sections, self._head.prefixes * _U32.size
        records = (
            (sections.tariffs, _TARIFF), (sections.intervals, _INTERVAL), (sections.offers, _OFFER),
            (sections.offer_ends, _U32), (sections.window_ends, _U32), (sections.ends, _U32),
        )  # fmt: skip
        fits = sections.offers_of == sections.destination_of == sections.row_of == column
        fits = fits and not any(length % record.size for length, record in records)
        if not fits:
            raise TableError(f"{name}: the columns do not fit {self._head.prefixes} prefixes: build the table again")


def rating_key(number: str) -> str | None:
    """Return the digits by which a canonical number is priced; None where no such number can exist.

    A short number stands behind the country code, as in the deck (`1881` is `471881`).
    """
    if classify(number) is NumberClass.UNKNOWN:
        return None
    return number[1:] if number.startswith("+") else _COUNTRY_CODE + number


def encode(deck: Deck) -> bytes:
    """Return the table file of a deck."""
    trie = marisa_trie.Trie([rate.prefix for rate in deck.rates])
    columns = {name: array("I", bytes(_U32.size * len(trie))) for name in ("offers_of", "destination_of", "row_of")}
    tariffs: dict[Tariff, int] = {}
    windows: dict[str, int] = {}
    destinations: dict[str, int] = {}
    groups: dict[bytes, int] = {}
    for prefix, rows in groupby(deck.rates, attrgetter("prefix")):
        group = list(rows)
        key = trie[prefix]
        columns["offers_of"][key] = groups.setdefault(
            b"".join(_packed_offer(rate, tariffs, windows) for rate in group), len(groups)
        )
        columns["destination_of"][key] = destinations.setdefault(group[0].destination, len(destinations))
        columns["row_of"][key] = group[0].row
    packed_tariffs, packed_intervals = _packed_tariffs(tariffs)
    window_texts, window_ends = _packed_texts(windows)
    texts, ends = _packed_texts(destinations)
    offers, offer_ends = bytearray(), bytearray()
    for packed in groups:
        offers += packed
        offer_ends += _U32.pack(len(offers) // _OFFER.size)
    parts = {
        "trie": trie.tobytes(),
        **{name: _little_endian(column) for name, column in columns.items()},
        "offer_ends": bytes(offer_ends),
        "offers": bytes(offers),
        "tariffs": packed_tariffs,
        "intervals": packed_intervals,
        "window_ends": window_ends,
        "windows": window_texts,
        "ends": ends,
        "texts": texts,
    }
    sections = _Sections(**{name: len(part) for name, part in parts.items()})
    head = msgspec.json.encode(
        _Head(
            deck=deck.name, sha256=deck.sha256, header=header.write(deck.header), prefixes=len(trie), sections=sections
        )
    )
    # The trie is read in place as 64-bit words: pad the head so that they are aligned.
    head += b" " * (-(_HEAD.size + len(head)) % 8)
    body = b"".join((_HEAD.pack(MAGIC, FORMAT, 0, len(head)), head, *parts.values()))
    return body + hashlib.sha256(body).digest()


def _packed_offer(rate: Rate, tariffs: dict[Tariff, int], windows: dict[str, int]) -> bytes:
    return _OFFER.pack(
        tariffs.setdefault(rate.tariff, len(tariffs)), windows.setdefault(str(rate.when), len(windows)),
        rate.valid_from.toordinal() if rate.valid_from else 0, rate.valid_until.toordinal() if rate.valid_until else 0,
        rate.lengths.low, rate.lengths.high, rate.lengths.exact,
    )  # fmt: skip


def _packed_tariffs(tariffs: dict[Tariff, int]) -> tuple[bytes, bytes]:
    packed, intervals = bytearray(), bytearray()
    for tariff in tariffs:
        maximum = _NO_MAXIMUM if tariff.maximum_micro is None else tariff.maximum_micro
        packed += _TARIFF.pack(
            tariff.connect_fee_micro, tariff.minimum_micro, maximum, len(intervals) // _INTERVAL.size,
            len(tariff.intervals), tariff.blocked, _AT_MAXIMUM.index(tariff.at_maximum),
        )  # fmt: skip
        for part in tariff.intervals:
            intervals += _INTERVAL.pack(part.rate_micro, part.from_s, part.unit_s, part.increment_s)
    return bytes(packed), bytes(intervals)


def _packed_texts(texts: dict[str, int]) -> tuple[bytes, bytes]:
    packed, ends = bytearray(), bytearray()
    for text in texts:
        packed += text.encode()
        ends += _U32.pack(len(packed))
    return bytes(packed), bytes(ends)


def build(deck: Deck, path: Path) -> None:
    """Write the table of a deck to `path`, whole or not at all. Raises TableError where the disk refuses."""
    data = encode(deck)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_atomically(path, data)
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


def _write_atomically(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _little_endian(column: array[int]) -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _read_head(view: memoryview, name: str) -> tuple[_Head, int]:
    if len(view) < _HEAD.size + _DIGEST_BYTES:
        raise TableError(f"{name}: {len(view)} bytes are no rate table: build it again")
    magic, file_format, _, length = _HEAD.unpack_from(view)
    if magic != MAGIC:
        raise TableError(f"{name}: this is no rate table: build it again")
    if file_format != FORMAT:
        raise TableError(f"{name}: a rate table of format {file_format}, this program reads {FORMAT}: build it again")
    if hashlib.sha256(view[:-_DIGEST_BYTES]).digest() != view[-_DIGEST_BYTES:]:
        raise TableError(f"{name}: the checksum is wrong, the file is damaged or cut short: build the table again")
    start = _HEAD.size + length
    try:
        head = msgspec.json.decode(view[_HEAD.size : min(start, len(view))], type=_Head)
    except msgspec.MsgspecError as error:
        raise TableError(f"{name}: the head cannot be read ({error}): build the table again") from error
    if header.faults(head.header):
        raise TableError(f"{name}: the head describes no price list: build the table again")
    return head, start


def _cut(view: memoryview, sections: _Sections, start: int, name: str) -> dict[str, memoryview]:
    parts = {}
    for field in _Sections.__struct_fields__:
        length: int = getattr(sections, field)
        parts[field] = view[start : start + length]
        start += length
    if start != len(view) - _DIGEST_BYTES:
        raise TableError(f"{name}: the sections do not fill the file: build the table again")
    return parts
