"""Usage by class of number and by minute pack: what caps and packs are measured against.

It lies beside the usage of each own number, and is written in the same transaction and the same line of the journal.
"""

from __future__ import annotations

import enum
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from agent.core.cdr import Cdr, Price
from agent.core.numbers import classify
from agent.store.lines import Detail
from agent.store.records import counted, taken_back


class DetailKind(enum.StrEnum):
    """What a row counts."""

    NUMBER_CLASS = "class"
    """`name` is an `agent.core.numbers.NumberClass`; `period` the month in which the calls began."""
    PACK = "pack"
    """`name` is the id of a minute pack; `period` the month in which the seconds were talked. It has no currency."""


DetailKey = tuple[str, str, str, str]
"""Period, kind, name, currency."""

COUNT_DETAIL: Final = (
    "INSERT INTO detail(period, kind, name, currency, calls, seconds, amount_micro) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (period, kind, name, currency) DO UPDATE SET calls = calls + excluded.calls, "
    "seconds = seconds + excluded.seconds, amount_micro = amount_micro + excluded.amount_micro"
)
"""Adds to a row; see `parameters`."""

DROP_EMPTY_DETAILS: Final = "DELETE FROM detail WHERE calls = 0 AND seconds = 0 AND amount_micro = 0"

_SELECT = "SELECT period, kind, name, currency, calls, seconds, amount_micro FROM detail"
_MONTH_LENGTH = len("2026-11")
_decoder = msgspec.json.Decoder(Cdr)


def details_of(cdr: Cdr, periods: Sequence[str]) -> list[Detail]:
    """What a record that counts in these periods adds; a correction also takes from those that begin with a minus."""
    found = []
    for period in periods:
        taking = period.startswith("-")
        month = period.removeprefix("-")
        row = taken_back(cdr) if taking else counted(cdr)
        if len(month) != _MONTH_LENGTH or row is None:
            continue
        found.append(
            Detail(
                period=month, kind=DetailKind.NUMBER_CLASS.value, name=classify(cdr.number).value,
                currency=row.currency, calls=row.calls, seconds=row.seconds, amount_micro=row.amount_micro,
            )
        )  # fmt: skip
        superseded = cdr.superseded.price if cdr.superseded is not None else None
        found += _takes(superseded, -1) if taking else _takes(cdr.price, 1)
    return found


def details_in(body: bytes, periods: Sequence[str]) -> list[Detail]:
    """The same of a stored record; nothing where its bytes mean nothing to this version."""
    try:
        cdr = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    return details_of(cdr, periods)


def parameters(details: Iterable[Detail]) -> list[tuple[str, str, str, str, int, int, int]]:
    """What `COUNT_DETAIL` takes, once for each."""
    return [(one.period, one.kind, one.name, one.currency, one.calls, one.seconds, one.amount_micro) for one in details]


def stated(db: sqlite3.Connection) -> Iterator[Detail]:
    """Every row there is, as words of the journal."""
    for period, kind, name, currency, calls, seconds, amount_micro in db.execute(_SELECT):
        yield Detail(
            period=period, kind=kind, name=name, currency=currency, calls=calls, seconds=seconds,
            amount_micro=amount_micro,
        )  # fmt: skip


class ToldDetails:
    """What a journal says of the details as it is read, from its first base on."""

    def __init__(self) -> None:
        self._rows: dict[DetailKey, list[int]] = defaultdict(lambda: [0, 0, 0])
        self.whole: bool | None = None
        """Whether the first base stated the details; an older version's states none, and adds none."""

    def begin(self, *, base: bool, details: bool) -> None:
        """A segment begins."""
        if base and self.whole is None:
            self.whole = details

    def add(self, details: Iterable[Detail]) -> None:
        """A record counts."""
        for one in details:
            row = self._rows[one.period, one.kind, one.name, one.currency]
            for place, more in enumerate((one.calls, one.seconds, one.amount_micro)):
                row[place] += more

    def state(self, details: Iterable[Detail]) -> None:
        """A base says how the rows stand."""
        for one in details:
            self._rows[one.period, one.kind, one.name, one.currency] = [one.calls, one.seconds, one.amount_micro]

    def put_into(self, db: sqlite3.Connection) -> int:
        """Make the table say what the journal says; how many rows said something else."""
        db.execute(DROP_EMPTY_DETAILS)
        told = {key: row for key, row in self._rows.items() if any(row)}
        there = {(row[0], row[1], row[2], row[3]): list(row[4:]) for row in db.execute(_SELECT)}
        wrong = [key for key in there.keys() | told.keys() if there.get(key) != told.get(key)]
        db.executemany("DELETE FROM detail WHERE period = ? AND kind = ? AND name = ? AND currency = ?", wrong)
        db.executemany(COUNT_DETAIL, [(*key, *told[key]) for key in wrong if key in told])
        return len(wrong)


def count_anew(db: sqlite3.Connection) -> None:
    """Count the records that are still kept, where an older version has counted no details; else do nothing."""
    if db.execute("SELECT 1 FROM detail LIMIT 1").fetchone() is not None:
        return
    for body, periods in db.execute("SELECT body, periods FROM cdr").fetchall():
        db.executemany(COUNT_DETAIL, parameters(details_in(body, str(periods).split())))
    db.execute(DROP_EMPTY_DETAILS)


def _takes(price: Price | None, sign: int) -> list[Detail]:
    return [
        Detail(
            period=take.month, kind=DetailKind.PACK.value, name=take.pack, currency="", calls=sign,
            seconds=sign * take.seconds, amount_micro=0,
        )
        for take in (price.packs if price is not None else ())
    ]  # fmt: skip
