"""Stating anew all that the store knows, so that the older segments of the journal can go."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

import msgspec

from agent.core.cdr import Cdr, OpenCall
from agent.store.journal import Journal
from agent.store.lines import MAX_IDS, Addition, Based, Kept, Line, Opened, Purged, Totals
from agent.store.records import UsageRow, counted

COUNT = (
    "INSERT INTO usage(period, own_number, currency, calls, seconds, amount_micro) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (period, own_number, currency) DO UPDATE SET calls = calls + excluded.calls, "
    "seconds = seconds + excluded.seconds, amount_micro = amount_micro + excluded.amount_micro"
)
"""Adds to a row of usage; see `count_parameters`."""

_CHUNK = 500
_open_call_decoder = msgspec.json.Decoder(OpenCall)
_cdr_decoder = msgspec.json.Decoder(Cdr)

T = TypeVar("T")


def write_base(db: sqlite3.Connection, journal: Journal) -> None:
    """State everything in new segments, on disk, then delete the older ones. Nothing else may write meanwhile.

    Were the power to fail on the way, old and new segments together still tell the same. Raises StoreError,
    sqlite3.Error.
    """
    first = journal.begin_segment(base=True)
    for chunk in _chunks(statements(db), _CHUNK):
        journal.append(chunk, durable=False)
    journal.append([Based()], durable=True)
    journal.drop_before(first)


def statements(db: sqlite3.Connection) -> Iterator[Line]:
    """Everything a journal holds of the store: usage, purged identities, records with their states, open calls."""
    usage = db.execute("SELECT period, own_number, currency, calls, seconds, amount_micro FROM usage")
    for rows in _chunks(usage, MAX_IDS):
        yield Totals(rows=[Addition(periods=[row[0]], own_number=row[1], currency=row[2], calls=row[3],
                                    seconds=row[4], amount_micro=row[5]) for row in rows])  # fmt: skip
    for rows in _chunks(db.execute("SELECT id FROM purged ORDER BY seq"), MAX_IDS):
        yield Purged(ids=[row[0] for row in rows])
    records = db.execute("SELECT id, body, periods, state, reason, acknowledged_ms FROM cdr ORDER BY seq")
    for cdr_id, body, periods, state, reason, acknowledged_ms in records:
        split = periods.split()
        yield Kept(id=cdr_id, cdr=raw(body), periods=split, usage=addition(body, split), state=state, reason=reason,
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


def addition(body: bytes, periods: list[str]) -> Addition | None:
    """What a stored record adds to usage in these periods."""
    try:
        cdr = _cdr_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return addition_of(counted(cdr), periods)


def addition_of(row: UsageRow | None, periods: list[str]) -> Addition | None:
    """A row of usage as words of the journal."""
    if row is None:
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
