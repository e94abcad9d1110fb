"""The rows of one prefix in order of time: a later price replaces an earlier one, and no two hold at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise

import msgspec
from msgspec import Struct, structs

from agent.rating.cells import CellError
from agent.rating.importing.lines import SINCE_EVER, Entry


class Tidied(Struct):
    """What was left out on the way: rows said twice, and prices that are over before the list begins."""

    repeated: int = 0
    superseded: int = 0
    rows: list[int] = msgspec.field(default_factory=list)


class ConflictError(CellError):
    """Two rows contradict each other; `row` is the later one in the sheet."""

    def __init__(self, entry: Entry, advice: str) -> None:
        super().__init__("prefix", entry.prefix, advice)
        self.row = entry.row


def in_order(entries: Iterable[Entry], begins: date, tidied: Tidied) -> list[Entry]:
    """Return the entries of one prefix as a price list that begins on day `begins` has them. Raises ConflictError."""
    given = list(entries)
    if len(given) == 1 and given[0].since is None and given[0].until is None:
        return given
    groups: dict[str, list[Entry]] = {}
    for entry in given:
        groups.setdefault(entry.length, []).append(entry)
    kept: list[Entry] = []
    # The row for one exact number stands before the one for all that begin like it.
    for length in sorted(groups, key=lambda length: (length != "exact", length)):
        kept += _periods(_without_repeats(groups[length], tidied), begins, tidied)
    for entry in kept[1:]:
        if entry.destination != kept[0].destination:
            advice = f"row {kept[0].row} calls it '{kept[0].destination}', this row '{entry.destination}': use one name"
            raise ConflictError(entry, advice)
    return kept


def _without_repeats(entries: list[Entry], tidied: Tidied) -> list[Entry]:
    unique: list[Entry] = []
    for entry in entries:
        twin = next((other for other in unique if other.since == entry.since), None)
        if twin is None:
            unique.append(entry)
        elif structs.replace(twin, row=entry.row) == entry:
            tidied.repeated += 1
        else:
            raise ConflictError(entry, _contradiction(twin, entry))
    undated = next((entry for entry in unique if entry.since is None), None)
    if undated is not None and len(unique) > 1:
        other = max((entry for entry in unique if entry is not undated), key=lambda entry: entry.row)
        first, second = sorted((undated, other), key=lambda entry: entry.row)
        raise ConflictError(second, f"{_contradiction(first, second)}; or give both rows their first day")
    return sorted(unique, key=lambda entry: entry.since or SINCE_EVER)


def _periods(entries: list[Entry], begins: date, tidied: Tidied) -> list[Entry]:
    ends = [after.since - timedelta(days=1) for _, after in pairwise(entries) if after.since is not None]
    kept = []
    for entry, end in zip(entries, [*ends, None], strict=True):
        until = min((day for day in (entry.until, end) if day is not None), default=None)
        since = None if entry.since is None or entry.since <= begins else entry.since
        if until is not None and until < (since or begins):
            tidied.superseded += 1
            tidied.rows.append(entry.row)
            continue
        same = (since, until) == (entry.since, entry.until)
        kept.append(entry if same else structs.replace(entry, since=since, until=until))
    return kept


def _contradiction(first: Entry, second: Entry) -> str:
    if first.offers != second.offers:
        return f"row {first.row} has this code at {_price(first)}, this row at {_price(second)}: keep one"
    if first.destination != second.destination:
        return f"row {first.row} has this code as '{first.destination}', this row as '{second.destination}': keep one"
    return f"row {first.row} has this code, too, for other days: keep one"


def _price(entry: Entry) -> str:
    fee, rate, unit, increment, later, _ = entry.offers[0][1]
    if rate == "0" and fee not in ("", "0"):
        return f"{fee} a call"
    return f"{rate}/{unit} s in {later.rpartition('/')[2] or increment} s" if unit else rate
