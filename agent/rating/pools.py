"""What prefixes of a rate table share, taken out of its pools when a call asks for it (see `agent.rating.layout`)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from agent.core.civil import ALWAYS, Window, parse_window
from agent.core.tariff import ANY_LENGTH, Interval, Lengths, Tariff, validate
from agent.rating.errors import TableError
from agent.rating.layout import ROW_INTEGERS, PackedTariff

Offer = tuple[Tariff, Window, date | None, date | None, Lengths]
"""A row apart from its prefix and destination: tariff, window, first and last day, lengths of numbers."""

_PLAIN_INTEGERS: Final = 2

_Packed = list[Annotated[int, Meta(ge=0, le=2**32 - 1)]]


class Entry(Struct, frozen=True):
    """What a prefix has: its destination and its rows in order. `plain`: the tariff of its only row, always applied."""

    destination: str
    offers: tuple[Offer, ...]
    plain: Tariff | None = None


class Pool:
    """Distinct byte strings, by their place."""

    def __init__(self, parts: Mapping[str, memoryview], pool: str, name: str) -> None:
        """Take `pool` of the table `name`. Raises TableError where its ends are none."""
        self._ends, self._data = parts[f"{pool}_ends"], parts[f"{pool}_pool"]
        rising = all(begin <= end for begin, end in pairwise(self._ends))
        if not rising or (self._ends[-1] if len(self._ends) else 0) != len(self._data):
            raise TableError(f"{name}: the pool {pool} does not end where it should: build the table again")

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ends)

    def __getitem__(self, place: int) -> bytes:
        """Return one. Raises IndexError."""
        return bytes(self._data[self._ends[place - 1] if place else 0 : self._ends[place]])


class Entries:
    """The pool of entries, and the pools that they point into."""

    def __init__(self, parts: Mapping[str, memoryview], name: str) -> None:
        """Take them apart once, so that no call meets one that says nothing. Raises TableError."""
        self._entries = Pool(parts, "entry", name)
        self._tariffs = Pool(parts, "tariff", name)
        self._windows = Pool(parts, "window", name)
        self._destinations = Pool(parts, "destination", name)
        self._integers = msgspec.msgpack.Decoder(_Packed)
        self._tariff_of = msgspec.msgpack.Decoder(PackedTariff)
        self._known: dict[int, Tariff] = {}
        place = 0
        try:
            for place in range(len(self)):
                self.read(place)
        except (msgspec.MsgspecError, ValueError, IndexError, OverflowError) as error:
            raise TableError(f"{name}: entry {place} says nothing ({error}): build the table again") from error

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._entries)

    def rows_of(self, place: int) -> int:
        """Return how many rows an entry has."""
        return -(-(len(self._integers.decode(self._entries[place])) - 1) // ROW_INTEGERS)

    def read(self, place: int) -> Entry:
        """Return one, made anew."""
        destination, *numbers = self._integers.decode(self._entries[place])
        name = self._destinations[destination].decode()
        if len(numbers) == _PLAIN_INTEGERS - 1:
            tariff = self._tariff(numbers[0])
            return Entry(name, ((tariff, ALWAYS, None, None, ANY_LENGTH),), tariff)
        rows = zip(*[iter(numbers)] * ROW_INTEGERS, strict=True)
        return Entry(name, tuple(self._offer(*row) for row in rows))

    def _offer(self, tariff: int, when: int, since: int, until: int, low: int, high: int, exact: int) -> Offer:
        return (
            self._tariff(tariff), parse_window(self._windows[when].decode()),
            date.fromordinal(since) if since else None, date.fromordinal(until) if until else None,
            Lengths(low, high, bool(exact)),
        )  # fmt: skip

    def _tariff(self, place: int) -> Tariff:
        known = self._known.get(place)
        if known is None:
            packed = self._tariff_of.decode(self._tariffs[place])
            intervals = (Interval(from_s, rate, unit_s, step_s) for from_s, rate, unit_s, step_s in packed.intervals)
            known = Tariff(
                packed.connect_fee_micro, tuple(intervals), packed.minimum_micro, packed.blocked, packed.maximum_micro,
                packed.at_maximum,
            )  # fmt: skip
            validate(known)
            self._known[place] = known
        return known


class Milestones:
    """Beginnings of numbers, and the line of the first row of each."""

    def __init__(self, parts: Mapping[str, memoryview], name: str) -> None:
        """Raises TableError where there are not as many lines as beginnings, or none."""
        self._beginnings = Pool(parts, "milestone", name)
        self._rows: Sequence[int] = parts["milestone_rows"]
        digits = bytes(parts["milestone_pool"])
        if len(self._beginnings) != len(self._rows) or not self._rows or (digits and not digits.isdigit()):
            raise TableError(f"{name}: the milestones do not fit: build the table again")

    def before(self, prefix: str) -> tuple[str, int]:
        """Return the milestone at or before a prefix of the table, and its line."""
        place = max(0, bisect_right(self._beginnings, prefix.encode()) - 1)
        return self._beginnings[place].decode(), self._rows[place]
