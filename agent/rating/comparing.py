"""What a new price list changes for those who call: dearer, cheaper, new, gone, by what numbers cost before and after.

A prefix that only one list has is compared with the shorter one that stands in for it in the other, as for a caller. So
a code that was added at the price which its numbers already had is no change.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from itertools import groupby
from operator import attrgetter
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.core.charge import price
from agent.core.civil import ALWAYS, DAY_S
from agent.core.tariff import ANY_LENGTH, PriceRules, Rate, Tariff
from agent.rating import header
from agent.rating.deck import Deck

PROBE_S: Final = 180
"""Percentages are those of a call of three minutes."""

_DURATIONS_S: Final = (1, 10, 30, 31, 60, 61, 90, PROBE_S, 600, 3600)


class Change(enum.StrEnum):
    """What happens to a price."""

    DEARER = "dearer"
    CHEAPER = "cheaper"
    MIXED = "mixed"
    """Dearer for some calls and cheaper for others, by their length or hour."""
    NEW = "new"
    GONE = "gone"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"


class Difference(Struct, frozen=True):
    """One prefix whose price changes. `percent`: of a three-minute call, exact; None where it was free or had no price.

    `before` and `after` are the rows whose prices differ, possibly of shorter prefixes; None where nothing applied.
    """

    change: Change
    prefix: str
    destination: str
    before: Rate | None
    after: Rate | None
    percent: Fraction | None


class Comparison(Struct, frozen=True):
    """All differences by prefix, and what the lists say of themselves differently: key, old value, new value."""

    differences: tuple[Difference, ...]
    said: tuple[tuple[str, str, str], ...]
    same: int


def compare(old: Deck, new: Deck, at: date | None = None) -> Comparison:
    """Compare what two lists charge on the civil day `at`; default: the first day of the newer list."""
    day = at or max(old.header.valid_from, new.header.valid_from)
    before, after = header.write(old.header), header.write(new.header)
    changed = tuple(
        (key, before.get(key, ""), after.get(key, ""))
        for key in {**before, **after} if before.get(key) != after.get(key)
    )  # fmt: skip
    old_rows, new_rows = _rows(old, day), _rows(new, day)
    costs = _Costs(old.header.rules, new.header.rules)
    differences: list[Difference] = []
    prefixes = sorted({*old_rows, *new_rows})
    for prefix in prefixes:
        found = _difference(prefix, _in_force(prefix, old_rows), _in_force(prefix, new_rows), costs)
        if found is not None:
            differences.append(found)
    return Comparison(tuple(differences), changed, len(prefixes) - len(differences))


class _Costs:
    """Exact costs of probe calls; equal tariffs are priced once."""

    def __init__(self, old: PriceRules, new: PriceRules) -> None:
        self._rules = (old, new)
        self._known: dict[tuple[int, Tariff], tuple[Fraction, ...]] = {}
        # By identity: hundreds of thousands of rows share a few thousand tariffs, which their decks keep alive.
        self._changes: dict[tuple[int, int], tuple[bool, bool, Fraction]] = {}

    def change(self, old: Rate, new: Rate) -> tuple[bool, bool, Fraction]:
        """Return whether any call gets dearer, whether any gets cheaper, and the greatest change."""
        key = (id(old.tariff), id(new.tariff))
        known = self._changes.get(key)
        if known is None:
            ups = [now - then for then, now in zip(self.of(old, 0), self.of(new, 1), strict=True)]
            known = self._changes[key] = (max(ups) > 0, min(ups) < 0, max(ups, key=abs))
        return known

    def of(self, rate: Rate, side: int) -> tuple[Fraction, ...]:
        """Return the costs of calls of `_DURATIONS_S`; side 0 is the old list."""
        known = self._known.get((side, rate.tariff))
        if known is None:
            plain = replace(rate, when=ALWAYS, valid_from=None, valid_until=None, lengths=ANY_LENGTH)
            rules = self._rules[side]
            known = self._known[side, rate.tariff] = tuple(
                price(plain, seconds * 1000, rules, explain=False).exact_micro for seconds in _DURATIONS_S
            )
        return known


def _rows(deck: Deck, day: date) -> dict[str, tuple[Rate, ...]]:
    rows = {}
    for prefix, group in groupby(deck.rates, attrgetter("prefix")):
        valid = tuple(rate for rate in group if rate.is_valid_on(day))
        if valid:
            rows[prefix] = valid
    return rows


def _in_force(prefix: str, rows: Mapping[str, tuple[Rate, ...]]) -> tuple[Rate, ...]:
    for length in range(len(prefix), 0, -1):
        found = rows.get(prefix[:length], ())
        if length < len(prefix):
            found = tuple(rate for rate in found if not rate.lengths.exact)
        if found:
            return found
    return ()


def _difference(prefix: str, before: Sequence[Rate], after: Sequence[Rate], costs: _Costs) -> Difference | None:
    if not before or not after:
        shown = (after or before)[0]
        change = Change.NEW if after else Change.GONE
        return Difference(change, prefix, shown.destination, *(_first(before), _first(after)), None)
    destination = after[0].destination if after[0].prefix == prefix else before[0].destination
    worst: tuple[Fraction, Rate, Rate] | None = None
    dearer = cheaper = False
    for old, new in _pairs(before, after):
        if old.tariff.blocked or new.tariff.blocked:
            if old.tariff.blocked and new.tariff.blocked:
                continue
            change = Change.BLOCKED if new.tariff.blocked else Change.UNBLOCKED
            return Difference(change, prefix, destination, old, new, None)
        up, down, size = costs.change(old, new)
        dearer, cheaper = dearer or up, cheaper or down
        if size and (worst is None or abs(size) > abs(worst[0])):
            worst = size, old, new
    if worst is None:
        return None
    _, old, new = worst
    then, now = (costs.of(rate, side)[_DURATIONS_S.index(PROBE_S)] for side, rate in enumerate((old, new)))
    percent = (now - then) / then * 100 if then else None
    change = Change.MIXED if dearer and cheaper else Change.DEARER if dearer else Change.CHEAPER
    return Difference(change, prefix, destination, old, new, percent)


def _first(rows: Sequence[Rate]) -> Rate | None:
    return rows[0] if rows else None


def _pairs(before: Sequence[Rate], after: Sequence[Rate]) -> Iterator[tuple[Rate, Rate]]:
    """Yield which old and new row are in force at once, at every hour of ordinary days and holidays, each pair once.

    Rows of particular dates are paired with the row of the same window, as far as there is one.
    """
    if len(before) == len(after) == 1:
        yield before[0], after[0]
        return
    seen: set[tuple[int, int]] = set()
    edges = sorted({0, *(at for rate in (*before, *after) for pair in rate.when.times for at in pair if at < DAY_S)})
    for weekday in range(1, 8):
        for holiday in (False, True):
            for second in edges:
                old, new = (
                    next((rate for rate in rows if rate.when.covers(weekday, second, holiday=holiday)), rows[-1])
                    for rows in (before, after)
                )
                if (id(old), id(new)) not in seen:
                    seen.add((id(old), id(new)))
                    yield old, new
    for old in before:
        new_twin = next((new for new in after if old.when.dates and new.when == old.when), None)
        if new_twin is not None:
            yield old, new_twin
