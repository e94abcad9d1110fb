"""A price list becomes the file of a rate table (see `agent.rating.layout`)."""

from __future__ import annotations

import hashlib
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

import marisa_trie
import msgspec

from agent.core.tariff import ANY_LENGTH, AtMaximum, Rate, Tariff
from agent.rating import header
from agent.rating.deck import Deck
from agent.rating.layout import (
    ALIGNMENT,
    FORMAT,
    HEAD,
    MAGIC,
    MILESTONE_PREFIXES,
    TYPES,
    Head,
    Section,
    Sections,
)

_BEYOND_DIGITS: Final = ":"


def encode(deck: Deck) -> bytes:
    """Return the table file of a deck."""
    prefixes = [prefix for prefix, _ in groupby(deck.rates, attrgetter("prefix"))]
    trie = marisa_trie.Trie(prefixes)
    pools = _Pools()
    entries, first_rows = array("I", bytes(4 * len(trie))), array("I")
    for prefix, rows in groupby(deck.rates, attrgetter("prefix")):
        group = tuple(rows)
        entries[trie[prefix]] = pools.entry(group)
        first_rows.append(group[0].row)
    milestones = list(_milestones(prefixes, 0, len(prefixes), 0))
    pooled: dict[str, Iterable[bytes]] = {
        "entry": pools.entries, "tariff": map(_packed_tariff, pools.tariffs), "window": map(str.encode, pools.windows),
        "destination": map(str.encode, pools.destinations),
        "milestone": (beginning.encode() for beginning, _ in milestones),
    }  # fmt: skip
    columns: dict[str, Sequence[int]] = {"entries": entries}
    parts: dict[str, bytes] = {"trie": trie.tobytes()}
    for name, strings in pooled.items():
        parts[f"{name}_pool"], columns[f"{name}_ends"] = _pool(strings)
    columns["milestone_rows"] = [first_rows[place] for _, place in milestones]
    widths = {}
    for name, values in columns.items():
        column = _column(values)
        parts[name], widths[name] = column.tobytes(), column.itemsize
    return _file(deck, len(trie), parts, widths)


def _file(deck: Deck, prefixes: int, parts: Mapping[str, bytes], widths: Mapping[str, int]) -> bytes:
    names = Sections.__struct_fields__
    sections = Sections(**{name: Section(len(parts[name]), widths.get(name, 1)) for name in names})
    head = msgspec.json.encode(
        Head(
            deck=deck.name, sha256=deck.sha256, header=header.write(deck.header), prefixes=prefixes,
            order=sys.byteorder, sections=sections,
        )
    )  # fmt: skip
    head += b" " * (-(HEAD.size + len(head)) % ALIGNMENT)
    body = b"".join((HEAD.pack(MAGIC, FORMAT, 0, len(head)), head, *(parts[name] for name in names)))
    return body + hashlib.sha256(body).digest()


class _Pools:
    """What rows share: each value with its place."""

    def __init__(self) -> None:
        self.tariffs: dict[Tariff, int] = {}
        self.destinations: dict[str, int] = {}
        self.windows: dict[str, int] = {}
        self.entries: dict[bytes, int] = {}
        # A tariff is hashed slowly and shared by many rows; the deck keeps it alive.
        self._tariff_places: dict[int, int] = {}
        self._plain: dict[tuple[str, int], int] = {}

    def entry(self, rows: tuple[Rate, ...]) -> int:
        """Return the place of what the rows of one prefix have apart from it."""
        first = rows[0]
        if len(rows) > 1 or not first.is_timeless or first.lengths != ANY_LENGTH:
            return self._place(first.destination, (number for rate in rows for number in self._row(rate)))
        key = (first.destination, id(first.tariff))
        found = self._plain.get(key)
        if found is None:
            found = self._plain[key] = self._place(first.destination, (self._tariff(first.tariff),))
        return found

    def _place(self, destination: str, numbers: Iterable[int]) -> int:
        place = self.destinations.setdefault(destination, len(self.destinations))
        return self.entries.setdefault(msgspec.msgpack.encode((place, *numbers)), len(self.entries))

    def _tariff(self, tariff: Tariff) -> int:
        place = self._tariff_places.get(id(tariff))
        if place is None:
            place = self._tariff_places[id(tariff)] = self.tariffs.setdefault(tariff, len(self.tariffs))
        return place

    def _row(self, rate: Rate) -> tuple[int, ...]:
        since, until, lengths = rate.valid_from, rate.valid_until, rate.lengths
        return (
            self._tariff(rate.tariff), self.windows.setdefault(str(rate.when), len(self.windows)),
            since.toordinal() if since else 0, until.toordinal() if until else 0,
            lengths.low, lengths.high, int(lengths.exact),
        )  # fmt: skip


def _milestones(prefixes: Sequence[str], low: int, high: int, length: int) -> Iterator[tuple[str, int]]:
    """Yield beginnings of numbers that part `prefixes[low:high]`, and the place of the first that begins like each.

    These prefixes are sorted and share their first `length` digits.
    """
    if high - low <= MILESTONE_PREFIXES:
        yield prefixes[low][:length], low
        return
    if len(prefixes[low]) == length:
        yield prefixes[low], low
        low += 1
    while low < high:
        end = bisect_left(prefixes, prefixes[low][: length + 1] + _BEYOND_DIGITS, low, high)
        yield from _milestones(prefixes, low, end, length + 1)
        low = end


def _packed_tariff(tariff: Tariff) -> bytes:
    intervals = [(part.from_s, part.rate_micro, part.unit_s, part.increment_s) for part in tariff.intervals]
    packed = [
        intervals, tariff.connect_fee_micro, tariff.minimum_micro, tariff.blocked, tariff.maximum_micro,
        tariff.at_maximum,
    ]  # fmt: skip
    while len(packed) > 1 and packed[-1] in (0, None, AtMaximum.FREE):
        packed.pop()
    return msgspec.msgpack.encode(packed)


def _pool(strings: Iterable[bytes]) -> tuple[bytes, list[int]]:
    data, ends = bytearray(), []
    for one in strings:
        data += one
        ends.append(len(data))
    return bytes(data), ends


def _column(values: Sequence[int]) -> array[int]:
    """The values, each in as few bytes as the greatest needs."""
    greatest = max(values, default=0)
    width = next(width for width in TYPES if greatest < 1 << 8 * width)
    return array(TYPES[width], values)
