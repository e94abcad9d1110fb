"""What can still be read of a damaged database that was set aside: never trusted without its digest."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from agent.store.base import COUNT, INSERT_RECORD, additions, count_parameters
from agent.store.details import COUNT_DETAIL, details_in, parameters
from agent.store.errors import UNSOUND


class _Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Of a record only this, which every version has."""

    id: str


_identity_decoder = msgspec.json.Decoder(_Identity)


def take_over(db: sqlite3.Connection, damaged: Path) -> int:
    """Bring records and documents into `db` that only the damaged file has; how many. Raises sqlite3.Error of `db`.

    A record counts in its periods; one that names none (written by an older version) is taken over uncounted.
    """
    taken = 0
    try:
        source = sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error:
        return 0
    with closing(source):
        for name, body in _documents(source):
            taken += db.execute(
                "INSERT INTO document(name, body, sha256) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (name, body, hashlib.sha256(body).digest()),
            ).rowcount
        for row in _records(source):
            taken += _take_record(db, row)
    return taken


def _documents(source: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    for name, body, digest in _readable(source, "SELECT name, body, sha256 FROM document"):
        if _matches(body, digest) and isinstance(name, str):
            yield name, body


def _records(source: sqlite3.Connection) -> Iterator[Sequence[Any]]:
    sql = "SELECT id, body, sha256, state, reason, acknowledged_ms, periods, seq FROM cdr ORDER BY seq"
    for row in _readable(source, sql):
        if _matches(row[1], row[2]) and _id_in(row[1]) == row[0]:
            yield row


def _readable(source: sqlite3.Connection, sql: str) -> Iterator[Sequence[Any]]:
    """Rows until the damage."""
    with suppress(*UNSOUND):
        yield from source.execute(sql)


def _id_in(body: bytes) -> str:
    try:
        return _identity_decoder.decode(body).id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _matches(body: object, digest: object) -> bool:
    return isinstance(body, bytes) and isinstance(digest, bytes) and hashlib.sha256(body).digest() == digest


def _take_record(db: sqlite3.Connection, row: Sequence[Any]) -> int:
    cdr_id, body, digest, state, reason, acknowledged_ms, periods, number = row
    split = str(periods).split()
    found = additions(body, split)
    known = "SELECT 1 FROM cdr WHERE id = ? UNION ALL SELECT 1 FROM purged WHERE id = ?"
    if db.execute(known, (cdr_id, cdr_id)).fetchone() is not None:
        return 0
    if state == "acknowledged" and acknowledged_ms is None:
        state = "pending"
    # A state that was harmed itself is refused by the table; then the record is sent again, which does no harm.
    states = (state, "pending") if state in ("acknowledged", "quarantined") else ("pending",)
    for attempt in states:
        with suppress(sqlite3.IntegrityError):
            db.execute(
                INSERT_RECORD,
                (number, number, cdr_id, body, digest, attempt, str(reason or ""), acknowledged_ms, " ".join(split)),
            )
            break
    else:
        return 0
    db.execute("DELETE FROM open_call WHERE id = ?", (cdr_id,))
    for one in found:
        if one is not None:
            db.executemany(COUNT, count_parameters(one))
    db.executemany(COUNT_DETAIL, parameters(details_in(body, split)))
    return 1
