"""Stating anew all that the store knows, so that the older segments of the journal can go."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

import msgspec

from agent.core.cdr import Cdr, OpenCall
from agent.store.details import details_in, stated
from agent.store.journal import Journal
from agent.store.lines import MAX_IDS, Addition, Based, Kept, Line, Opened, Purged, Totals
from agent.store.records import UsageRow, counted, taken_back

COUNT = (
    "INSERT INTO usage(period, own_number, currency, calls, seconds, amount_micro) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (period, own_number, currency) DO UPDATE SET calls = calls + excluded.calls, "
    "seconds = seconds + excluded.seconds, amount_micro = amount_micro + excluded.amount_micro"
)
"""Adds to a row of usage; see `count_parameters`."""

INSERT_RECORD = (
    "INSERT INTO cdr(seq, id, body, sha256, state, reason, acknowledged_ms, periods) VALUES "
    "((SELECT nullif(?, 0) WHERE NOT EXISTS (SELECT 1 FROM cdr WHERE seq = ?)), ?, ?, ?, ?, ?, ?, ?)"
)
"""Brings a record back under its number, given twice, unless another one has it; 0: under a new number."""

DROP_EMPTY = "DELETE FROM usage WHERE calls = 0 AND seconds = 0 AND amount_micro = 0"
"""A period from which a correction has taken its only call is as if nobody had called in it."""

_CHUNK = 500
_open_call_decoder = msgspec.json.Decoder(OpenCall)
_cdr_decoder = msgspec.json.Decoder(Cdr)

T = TypeVar("T")


def write_base(db: sqlite3.Connection, journal: Journal) -> None:
    """State everything in new segments, on disk, then delete the older ones. Nothing else may write meanwhile.

    Were the power to fail on the way, old and new segments together still tell the same. Raises StoreError,
    sqlite3.Error.
    """
    before = journal.last_serial
    try:
        first = journal.begin_segment(base=True)
        for chunk in _chunks(statements(db), _CHUNK):
            journal.append(chunk, durable=False)
        journal.append([Based()], durable=True)
    except BaseException:
        # Half of it helps nobody, and the disk may be full.
        journal.take_back(before)
        raise
    journal.drop_before(first)


def statements(db: sqlite3.Connection) -> Iterator[Line]:
    """Everything a journal holds of the store: usage, purged identities, records with their states, open calls."""
    usage = db.execute("SELECT period, own_number, currency, calls, seconds, amount_micro FROM usage")
    for rows in _chunks(usage, MAX_IDS):
        yield Totals(rows=[Addition(periods=[row[0]], own_number=row[1], currency=row[2], calls=row[3],
                                    seconds=row[4], amount_micro=row[5]) for row in rows])  # fmt: skip
    for details in _chunks(stated(db), MAX_IDS):
        yield Totals(rows=[], details=details)
    for rows in _chunks(db.execute("SELECT id FROM purged ORDER BY seq"), MAX_IDS):
        yield Purged(ids=[row[0] for row in rows])
    records = db.execute("SELECT seq, id, body, periods, state, reason, acknowledged_ms FROM cdr ORDER BY seq")
    for number, cdr_id, body, periods, state, reason, acknowledged_ms in records:
        split = periods.split()
        added, taken = additions(body, split)
        yield Kept(id=cdr_id, cdr=raw(body), periods=split, usage=added, taken=taken, number=number,
                   details=details_in(body, split), state=state, reason=reason,
                   acknowledged_ms=acknowledged_ms)  # fmt: skip
    for body, answered_ms, last_alive_ms in db.execute("SELECT body, answered_ms, last_alive_ms FROM open_call"):
        try:
            call = _open_call_decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # of a newer version; it stays in the database
        yield Opened(call=msgspec.structs.replace(call, answered_ms=answered_ms, last_alive_ms=last_alive_ms))


def is_open_call(body: bytes) -> bool:
    """Whether these bytes mean an open call to this version."""
    try:
        _open_call_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def raw(body: bytes) -> msgspec.Raw:
    """A stored body as part of a line: as it is where it is JSON, else as JSON's null, for there is nothing to save."""
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.Raw(b"null")
    return msgspec.Raw(body)


def additions(body: bytes, periods: list[str]) -> tuple[Addition | None, Addition | None]:
    """What a stored record adds to usage, and (a correction) takes from it: in the periods that begin with a minus."""
    try:
        cdr = _cdr_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None, None
    return additions_of(cdr, periods)


def additions_of(cdr: Cdr, periods: list[str]) -> tuple[Addition | None, Addition | None]:
    """The same of a record."""
    counted_in = [period for period in periods if not period.startswith("-")]
    taken_from = [period.removeprefix("-") for period in periods if period.startswith("-")]
    return addition_of(counted(cdr), counted_in), addition_of(taken_back(cdr), taken_from)


def addition_of(row: UsageRow | None, periods: list[str]) -> Addition | None:
    """A row of usage as words of the journal."""
    if row is None or not periods:
        return None
    return Addition(
        periods=periods, own_number=row.own_number, currency=row.currency, calls=row.calls, seconds=row.seconds,
        amount_micro=row.amount_micro,
    )  # fmt: skip


def count_parameters(addition: Addition) -> list[tuple[str, str, str, int, int, int]]:
    """What `COUNT` takes, once for each period."""
    amounts = addition.calls, addition.seconds, addition.amount_micro
    return [(period, addition.own_number, addition.currency, *amounts) for period in addition.periods]


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk
