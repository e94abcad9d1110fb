"""The operator's ledger of received records: commit first, acknowledge afterwards, each id counted once."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from agent.core.cdr import Cdr
from agent.core.numbers import NumberClass, classify
from agent.core.terms import Direction
from agent.operator.api import NumberUsage, PackSeconds, UsageCount, Verdict

_OSLO = ZoneInfo("Europe/Oslo")

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
)

_LONGEST_GAP = 1_000_000
"""So far is looked beyond a number: one that jumps further is no gap but nonsense."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    id TEXT NOT NULL,
    epoch TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    body BLOB NOT NULL,
    received_at TEXT NOT NULL,
    month TEXT NOT NULL,
    calls INTEGER NOT NULL CHECK (calls IN (0, 1)),
    seconds INTEGER NOT NULL CHECK (seconds >= 0),
    amount_micro INTEGER NOT NULL CHECK (amount_micro >= 0),
    corrects TEXT NOT NULL DEFAULT '',
    UNIQUE (device, id)
) STRICT;
CREATE INDEX IF NOT EXISTS record_month ON record (device, month);
CREATE INDEX IF NOT EXISTS record_corrects ON record (device, corrects) WHERE corrects <> '';
CREATE TABLE IF NOT EXISTS number (
    device TEXT NOT NULL,
    epoch TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, number)
) STRICT, WITHOUT ROWID;
"""

_STANDS = (
    "NOT EXISTS (SELECT 1 FROM record AS newer WHERE newer.device = record.device AND newer.corrects = record.id"
    " AND newer.corrects <> '')"
)
"""Of a record that no other one corrects."""


class LedgerError(Exception):
    """The ledger cannot be opened, read or written; nothing of the batch was kept."""


class Received(Struct, frozen=True):
    """A record as the ledger holds it."""

    device: str
    received_at: str
    sha256: str
    record: Cdr


class Gap(Struct, frozen=True):
    """Numbers of an epoch, `first` to `last`, that never came although later ones did: records that may be lost."""

    epoch: str
    first: int
    last: int


class Unplaceable(Struct, frozen=True):
    """A record that no month can be given: `reason` names the field."""

    reason: str


def billing_month(record: Cdr) -> str | Unplaceable:
    """Return `YYYY-MM` in Europe/Oslo of the call's beginning."""
    shape = _RFC3339.fullmatch(record.began_at)
    if shape is None:
        return Unplaceable("began_at is not an RFC 3339 time")
    if shape["zone"] is None:
        return Unplaceable("began_at has no time zone")
    try:
        began = datetime.fromisoformat(record.began_at).astimezone(_OSLO)
    except ValueError:
        return Unplaceable("began_at is not an RFC 3339 time")
    except OverflowError:
        return Unplaceable("began_at is out of range")
    return f"{began.year:04d}-{began.month:02d}"


class Ledger:
    """SQLite, WAL, synchronous=FULL. Belongs to the thread that opens it."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise LedgerError(f"the ledger {path} cannot be opened: {error}") from error

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def receive(
        self, device: str, epoch: str, records: Sequence[Cdr], now: datetime, numbers: Sequence[int] = ()
    ) -> list[tuple[Verdict, str]]:
        """Keep a batch in one transaction; return verdict and reason per record, after the commit. Raises LedgerError.

        The same id with the same content is a duplicate; with other content a conflict, and the first one stands.
        `numbers` are those of all that came in the batch, whatever became of it.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                verdicts = [self._keep(device, epoch, record, now) for record in records]
                self._db.executemany(
                    "INSERT OR IGNORE INTO number (device, epoch, number) VALUES (?, ?, ?)",
                    [(device, epoch, number) for number in numbers],
                )
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise LedgerError(f"the ledger cannot be written: {error}") from error
        return verdicts

    def usage(self, device: str, month: str) -> UsageCount:
        """Return what a device has used in a month; a corrected record's place is its correction's.

        A pack's seconds count in the month of the talk. Raises LedgerError.
        """
        sql = f"SELECT month, calls, seconds, amount_micro, body FROM record WHERE device = ? AND {_STANDS}"  # noqa: S608 - constant
        calls = seconds = amount = abroad = premium = 0
        packs: dict[str, int] = {}
        numbers: dict[str, list[int]] = {}
        try:
            for of, some_calls, some_seconds, micro, body in self._db.execute(sql, (device,)):
                record = msgspec.json.decode(body, type=Cdr)
                for take in record.price.packs if record.price is not None else ():
                    if take.month == month:
                        packs[take.pack] = packs.get(take.pack, 0) + take.seconds
                if of != month:
                    continue
                if some_calls:
                    sums = numbers.setdefault(record.own_number, [0, 0, 0])
                    sums[:] = [sums[0] + some_calls, sums[1] + some_seconds, sums[2] + micro]
                calls, seconds, amount = calls + some_calls, seconds + some_seconds, amount + micro
                match classify(record.number):
                    case NumberClass.INTERNATIONAL:
                        abroad += micro
                    case NumberClass.PREMIUM:
                        premium += micro
        except sqlite3.Error as error:
            raise LedgerError(f"the ledger cannot be read: {error}") from error
        return UsageCount(
            calls=calls, seconds=seconds, amount_micro=amount, abroad_micro=abroad, premium_micro=premium,
            packs=[PackSeconds(pack=pack, seconds=used) for pack, used in sorted(packs.items())],
            numbers=[
                NumberUsage(number=number, calls=one[0], seconds=one[1], amount_micro=one[2])
                for number, one in sorted(numbers.items())
            ],
        )  # fmt: skip

    def spent_micro(self, device: str) -> int:
        """Return what all calls of a device have cost. Raises LedgerError."""
        try:
            (amount,) = self._db.execute(
                f"SELECT coalesce(sum(amount_micro), 0) FROM record WHERE device = ? AND {_STANDS}",  # noqa: S608 - constant
                (device,),
            ).fetchone()
        except sqlite3.Error as error:
            raise LedgerError(f"the ledger cannot be read: {error}") from error
        return int(amount)

    def gaps(self, device: str) -> list[Gap]:
        """Return the numbers that never came, between the least and the greatest of each epoch. Raises LedgerError.

        A device that lost its database goes on in a new epoch with the old numbers, so what came in another epoch is
        not missed.
        """
        sql = "SELECT epoch, number FROM number WHERE device = ? ORDER BY epoch, number"
        try:
            rows = self._db.execute(sql, (device,)).fetchall()
        except sqlite3.Error as error:
            raise LedgerError(f"the ledger cannot be read: {error}") from error
        came = {number for _, number in rows}
        gaps: list[Gap] = []
        for (epoch, before), (next_epoch, number) in pairwise(rows):
            if epoch != next_epoch:
                continue
            missing = [one for one in range(before + 1, min(number, before + 1 + _LONGEST_GAP)) if one not in came]
            if missing:
                gaps.append(Gap(epoch, missing[0], missing[-1]))
        return gaps

    def records(self) -> list[Received]:
        """Return everything that was received, in order. Raises LedgerError."""
        try:
            rows = self._db.execute("SELECT device, received_at, sha256, body FROM record ORDER BY seq").fetchall()
        except sqlite3.Error as error:
            raise LedgerError(f"the ledger cannot be read: {error}") from error
        return [Received(device, at, sha, msgspec.json.decode(body, type=Cdr)) for device, at, sha, body in rows]

    def _keep(self, device: str, epoch: str, record: Cdr, now: datetime) -> tuple[Verdict, str]:
        month = billing_month(record)
        if isinstance(month, Unplaceable):
            return Verdict.REJECTED, month.reason
        body = msgspec.json.encode(record)
        sha256 = hashlib.sha256(body).hexdigest()
        amount = 0 if record.price is None else record.price.amount_micro
        counts = record.direction is Direction.OUTGOING and record.duration_ms > 0
        inserted = self._db.execute(
            "INSERT INTO record"
            " (device, id, epoch, sha256, body, received_at, month, calls, seconds, amount_micro, corrects)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device, id) DO NOTHING",
            (
                device,
                record.id,
                epoch,
                sha256,
                body,
                now.astimezone(UTC).isoformat(timespec="milliseconds"),
                month,
                int(counts),
                -(-record.duration_ms // 1000) if counts else 0,
                amount,
                record.corrects,
            ),
        )
        if inserted.rowcount == 1:
            return Verdict.ACCEPTED, ""
        sql = "SELECT sha256 FROM record WHERE device = ? AND id = ?"
        (kept,) = self._db.execute(sql, (device, record.id)).fetchone()
        if kept == sha256:
            return Verdict.DUPLICATE, ""
        return Verdict.CONFLICT, "this id was received before with other content"
