"""The store: open calls, call records, their outbox, usage, and the documents that hold secrets.

Whatever a method changes is on disk when it returns, whole or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import aiosqlite
import msgspec
import structlog

from agent.core.cdr import Cdr, OpenCall
from agent.store.base import COUNT, DROP_EMPTY, additions_of, count_parameters
from agent.store.database import Change, Database, open_writer
from agent.store.details import COUNT_DETAIL, DROP_EMPTY_DETAILS, details_of, parameters
from agent.store.errors import StoreDamaged, StoreError
from agent.store.folder import forget_damaged_before
from agent.store.lines import (
    MAX_IDS,
    Acknowledged,
    Alive,
    Answered,
    Finished,
    Opened,
    Purged,
    Quarantined,
    Requeued,
)
from agent.store.reader import StoreReader, bounded, checked_day, checked_month, readable
from agent.store.room import Room, Space
from agent.store.sacrifice import Sacrifices, SpareFiles, no_spare_files

MAX_DOCUMENT = 1 << 20
MAX_DOCUMENT_NAME = 64
MAX_REASON = 512
MAX_PURGED_IDS = 50_000
"""How many identities of purged records are remembered: years of calls, some 4 MB."""

_CHECKPOINT_WHEN_DONE = 256
"""Acknowledged records after which an idle store folds its write-ahead log in."""

_JOURNAL_SLACK = 4 << 20
"""So much may the journal grow beyond its last statement of everything before it is written anew, in bytes."""

_PURGE_AT_ONCE = 2000
"""Records that one transaction purges: months of them go in bounded memory, and calls need not wait for all."""

_RENEW_AT_MOST = 20_000
"""With more records than this the journal is not written anew while calls may wait for the store."""

_OWED = "journal_remembers"
"""Key in `meta` while the journal still holds what was purged from the database."""

_EVER_MS = 1 << 62

_encoder = msgspec.json.Encoder()
_open_call_decoder = msgspec.json.Decoder(OpenCall)
_log = structlog.get_logger(__name__)


class Store(StoreReader):
    """The agent's one writer. Methods may be called concurrently; each is one transaction."""

    def __init__(self, database: Database, folder: Path, damage: StoreDamaged | None = None) -> None:
        super().__init__(database)
        self._folder = folder
        self._room = Room(folder)
        self._spare_files: SpareFiles = no_spare_files
        sacrifices = Sacrifices(database, self._room, self._spared, self._purge_everything_acknowledged)
        database.on_full = sacrifices.in_order()
        self.damage = damage
        """Set where a damaged store was found and set aside when this one was opened: the household must be told."""
        self._since_checkpoint = 0
        self._journal_stated = database.journal_size

    @classmethod
    async def open(cls, folder: Path) -> Store:
        """The store in `folder`, made where there is none.

        Raises StoreLocked (another agent), StoreTooNew, StoreFull, StoreError. A damaged file does not raise: it is
        set aside, the store is made anew from its journal, and `damage` says what was done and what may be missing.
        """
        database, damage = await open_writer(folder)
        if damage is not None:
            _log.critical(
                "store_damaged", detail=str(damage), kept=damage.kept.name if damage.kept else "",
                maybe_missing=damage.maybe_missing,
            )  # fmt: skip
        return cls(database, folder, damage)

    @classmethod
    async def open_reader(cls, folder: Path) -> StoreReader:
        """A read-only view beside a running agent. Raises StoreMissing, StoreTooNew, StoreDamaged, StoreError."""
        return await StoreReader.open_folder(folder)

    def can_spare(self, files: SpareFiles) -> None:
        """Let `files` name what beside the store can be had again and may go from a full disk. It must not ask us."""
        self._spare_files = files

    def _spared(self) -> Sequence[Path]:
        return self._spare_files()

    @property
    def trouble(self) -> StoreError | None:
        """Why nothing could be written the last time; None while writing works."""
        return self._database.trouble

    @property
    def journal_trouble(self) -> str:
        """Why there is one copy of the newest records only; empty while there are two."""
        return self._database.journal_trouble

    async def tend(self) -> Space:
        """Look after the disk, every few seconds: try again what failed, keep the ballast; how much room there is.

        What fails again shows in `trouble` and `journal_trouble`. Raises StoreError where the disk does not even say
        how much room it has.
        """
        if self.trouble:
            with suppress(StoreError):
                await self._database.write("try the disk", _probe)
        if self.journal_trouble and not self.trouble:
            with suppress(StoreError):
                await self._database.renew_journal()
        if not self.trouble:
            await asyncio.to_thread(self._room.keep_ballast)
        return await asyncio.to_thread(self._room.space)

    async def fails(self) -> NoReturn:
        """Wait until the open file is found unsound, then raise StoreDamaged: only opening the store repairs it."""
        await self._database.fails()

    # --- open calls --------------------------------------------------------------------------------------------------

    async def open_call(self, call: OpenCall) -> None:
        """Keep a call that has begun; one that is already open or already has its record stays as it is."""

        async def body(change: Change) -> None:
            if not await _known(change.db, call.id):
                cursor = await change.db.execute(
                    "INSERT INTO open_call(id, body, answered_ms, last_alive_ms) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (id) DO NOTHING",
                    (call.id, _encoder.encode(call), call.answered_ms, call.last_alive_ms),
                )
                if cursor.rowcount:
                    change.note(Opened(call=call))

        await self._database.write("keep the open call", body)

    async def mark_answered(self, call_id: str, answered_ms: int) -> None:
        """Note when an open call was answered; the first answer stays. A call that is not open is left alone."""

        async def body(change: Change) -> None:
            cursor = await change.db.execute(
                "UPDATE open_call SET answered_ms = ?, last_alive_ms = max(last_alive_ms, ?) "
                "WHERE id = ? AND answered_ms IS NULL",
                (answered_ms, answered_ms, call_id),
            )
            if cursor.rowcount:
                change.note(Answered(id=call_id, at_ms=answered_ms))

        await self._database.write("note the answer", body)

    async def mark_alive(self, call_ids: Sequence[str], boot_ms: int) -> None:
        """Note that these open calls, all of the present boot, were still alive at `boot_ms`: one commit."""
        if not call_ids:
            return

        async def body(change: Change) -> None:
            await change.db.executemany(
                "UPDATE open_call SET last_alive_ms = max(last_alive_ms, ?) WHERE id = ?",
                [(boot_ms, call_id) for call_id in call_ids],
            )
            change.note(Alive(ids=list(call_ids), at_ms=boot_ms))

        await self._database.write("note that calls are alive", body)

    async def open_calls(self) -> list[OpenCall]:
        """Every open call with what is known of it by now."""
        rows = await self._database.read(
            "read the open calls", "SELECT id, body, answered_ms, last_alive_ms FROM open_call ORDER BY id"
        )
        calls: list[OpenCall] = []
        for call_id, body, answered_ms, last_alive_ms in rows:
            try:
                call = _open_call_decoder.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError):
                # Left in place for the version that wrote it: a recovered guess would bill somebody.
                _log.error("open_call_unreadable", call_id=call_id)
                continue
            calls.append(msgspec.structs.replace(call, answered_ms=answered_ms, last_alive_ms=last_alive_ms))
        return calls

    # --- records -----------------------------------------------------------------------------------------------------

    async def finish(self, cdr: Cdr, month: str, day: str = "") -> bool:
        """Store the record of an ended call, count it, queue it, and close the open call: one transaction.

        `month` (`YYYY-MM`) and `day` (`YYYY-MM-DD`, in that month) are the civil period it counts in; without a day it
        counts in the month only. False: the record was already there, nothing is counted again. Raises ValueError.
        """
        periods = [checked_month(month)] + ([checked_day(day, month)] if day else [])

        async def body(change: Change) -> bool:
            await change.db.execute("DELETE FROM open_call WHERE id = ?", (cdr.id,))
            return await _keep(change, cdr, periods)

        return await self._database.write("store the call's record", body)

    async def correct(self, cdr: Cdr, month: str, day: str) -> bool:
        """Store a correction, count it in `month` and `day` instead of where its call counted before, and queue it.

        One transaction. False: it was already there, or the record that it corrects is no longer. Raises ValueError.
        """
        periods = [checked_month(month), checked_day(day, month)]

        async def body(change: Change) -> bool:
            rows = list(await change.db.execute_fetchall("SELECT periods FROM cdr WHERE id = ?", (cdr.corrects,)))
            # A record that an older version had counted nowhere is not taken from anywhere.
            taken_from = [f"-{period}" for period in str(rows[0][0]).split()] if rows else []
            return bool(rows) and await _keep(change, cdr, periods + taken_from)

        return await self._database.write("store the correction of a record", body)

    async def undated(self, after: str, limit: int) -> list[Cdr]:
        """The next records, at most `limit`, whose beginning nobody vouches for: by id, after the id `after`.

        Empty: there are no more. Those that were corrected since are among them.
        """
        while True:
            rows = await self._database.read(
                "look for undated records",
                "SELECT id, body, sha256 FROM cdr WHERE instr(body, ?) AND id > ? ORDER BY id LIMIT ?",
                (_UNDATED, after, bounded(limit)),
            )
            found = [readable(body, digest) for _, body, digest in rows]
            readables = [cdr for cdr in found if cdr is not None]
            if readables or not rows:
                return readables
            after = rows[-1][0]

    async def known(self, call_id: str) -> bool:
        """Whether the call has its record, even one that was purged since."""
        rows = await self._database.read("look for the record", _KNOWN, (call_id, call_id))
        return bool(rows)

    async def pending(self, limit: int) -> list[Cdr]:
        """The oldest `limit` records that wait for the operator; unreadable ones are quarantined, not returned."""
        rows = await self._database.read(
            "read the outbox",
            "SELECT id, body, sha256 FROM cdr WHERE state = 'pending' ORDER BY seq LIMIT ?",
            (bounded(limit),),
        )
        records: list[Cdr] = []
        for cdr_id, body, digest in rows:
            cdr = readable(body, digest)
            if cdr is None:
                _log.error("cdr_unreadable", call_id=cdr_id)
                await self.quarantine(cdr_id, "the stored record is damaged, or of a newer version")
            else:
                records.append(cdr)
        return records

    async def acknowledge(self, ids: Sequence[str], at: str) -> int:
        """The operator has these pending records since `at` (RFC 3339). How many were pending. Raises ValueError."""
        at_ms = _milliseconds(at)
        if not ids:
            return 0

        async def body(change: Change) -> int:
            cursor = await change.db.executemany(
                "UPDATE cdr SET state = 'acknowledged', acknowledged_ms = ? WHERE id = ? AND state = 'pending'",
                [(at_ms, cdr_id) for cdr_id in ids],
            )
            # Not synced by itself: were it lost with the database, the records would go again and be known by their id.
            for chunk in _chunks(ids):
                change.note(Acknowledged(ids=chunk, at_ms=at_ms))
            return cursor.rowcount

        changed = await self._database.write("note the acknowledgement", body)
        self._since_checkpoint += changed
        if self._since_checkpoint >= _CHECKPOINT_WHEN_DONE and await self.pending_count() == 0:
            # A card that lies about its syncs can only damage the file while the log is folded in: so seldom, and
            # when the operator already has every record.
            self._since_checkpoint = 0
            with suppress(StoreError):  # the acknowledgement itself is on disk; the log is folded in another time
                await self._database.checkpoint()
        return changed

    async def quarantine(self, cdr_id: str, reason: str) -> None:
        """Set a pending record apart: it is kept until the operator says otherwise, and holds nothing up."""

        async def body(change: Change) -> None:
            cursor = await change.db.execute(
                "UPDATE cdr SET state = 'quarantined', reason = ? WHERE id = ? AND state = 'pending'",
                (reason[:MAX_REASON], cdr_id),
            )
            if cursor.rowcount:
                change.note(Quarantined(id=cdr_id, reason=reason[:MAX_REASON]))

        await self._database.write("quarantine a record", body)

    async def requeue(self, ids: Sequence[str] | None = None) -> int:
        """Let these records that were set apart, or (None) all of them, wait for the operator again; how many did."""

        async def body(change: Change) -> int:
            apart = await change.db.execute_fetchall("SELECT id FROM cdr WHERE state = 'quarantined' ORDER BY seq")
            again = [str(row[0]) for row in apart if ids is None or row[0] in ids]
            await change.db.executemany(
                "UPDATE cdr SET state = 'pending', reason = '' WHERE id = ?", [(cdr_id,) for cdr_id in again]
            )
            for chunk in _chunks(again):
                change.note(Requeued(ids=chunk))
            return len(again)

        return await self._database.write("queue records again", body)

    async def purge(self, before: str) -> int:
        """Delete what was acknowledged before `before` (RFC 3339), from every file; how many. Usage stays.

        A journal that can't be written anew at once (it may be too long while calls wait) is so at a later purge.
        Raises ValueError.
        """
        before_at = datetime.fromisoformat(before)
        deleted, last = 0, -1
        while last:
            last = await self._database.write(
                "purge old records", _purging(_milliseconds(before), at_most=_PURGE_AT_ONCE)
            )
            deleted += last
        if await self._is_owed() or self._database.journal_size > 2 * self._journal_stated + _JOURNAL_SLACK:
            await self._renew_journal()
        await asyncio.to_thread(forget_damaged_before, self._folder, before_at)
        return deleted

    async def _purge_everything_acknowledged(self) -> bool:
        """For a full disk, in the turn of the change that found it so.

        What nobody has dated yet stays: its correction may be worth money.
        """
        purged = await self._database.write_now("purge acknowledged records", _purging(_EVER_MS, keeping=_UNDATED))
        if purged:
            await self._forget_now()
        return purged > 0

    async def _renew_journal(self) -> None:
        """Make the journal and the write-ahead log forget what the store has forgotten."""
        rows = await self._database.read("count the records", "SELECT count(*) FROM cdr")
        if rows[0][0] <= _RENEW_AT_MOST and await self._database.renew_journal():
            self._journal_stated = self._database.journal_size
            if await self._database.checkpoint():
                await self._database.write("note the purge", _settle)

    async def _forget_now(self) -> None:
        if await self._database.renew_journal_now():
            self._journal_stated = self._database.journal_size
            if await self._database.checkpoint_now():
                await self._database.write_now("note the purge", _settle)

    async def _is_owed(self) -> bool:
        return bool(await self._database.read("look for a purge", f"SELECT 1 FROM meta WHERE key = '{_OWED}'"))  # noqa: S608 - constant

    # --- documents and identity --------------------------------------------------------------------------------------

    async def put_document(self, name: str, body: bytes) -> None:
        """Keep a document (subscription, configuration), replacing the last of that name. Raises ValueError."""
        if not 0 < len(name) <= MAX_DOCUMENT_NAME or len(body) > MAX_DOCUMENT:
            raise ValueError(
                f"document {name[:MAX_DOCUMENT_NAME]!r} has {len(body)} bytes; at most {MAX_DOCUMENT} and a name of "
                f"1 to {MAX_DOCUMENT_NAME} characters are allowed"
            )

        digest = hashlib.sha256(body).digest()

        async def replace(change: Change) -> None:
            # Not for the journal: the operator has it, and a secret that was replaced must not linger there.
            await change.db.execute(
                "INSERT INTO document(name, body, sha256) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET body = excluded.body, sha256 = excluded.sha256",
                (name, body, digest),
            )

        await self._database.write(f"keep the document {name}", replace)

    async def documents(self) -> list[bytes]:
        """Every document, whatever its name."""
        return [bytes(row[0]) for row in await self._database.read("read the documents", "SELECT body FROM document")]

    async def document(self, name: str) -> bytes | None:
        """The document of that name, None where none was kept."""
        rows = await self._database.read("read a document", "SELECT body FROM document WHERE name = ?", (name,))
        return bytes(rows[0][0]) if rows else None

    async def epoch(self) -> str:
        """Random identity of this outbox, new where a store begins anew or had been set back in time."""
        rows = await self._database.read("read the epoch", "SELECT value FROM meta WHERE key = 'epoch'")
        if not rows:
            raise StoreError("the store has lost its epoch")
        return str(rows[0][0])

    async def numbers(self, ids: Sequence[str]) -> list[int]:
        """Each record's number in the epoch, one after the other; they find gaps and identify nothing.

        Empty where one of the records is not there.
        """
        marks = ",".join("?" * len(ids))
        rows = await self._database.read("number the records", f"SELECT id, seq FROM cdr WHERE id IN ({marks})", ids)  # noqa: S608 - marks
        found = {row[0]: int(row[1]) for row in rows}
        return [found[cdr_id] for cdr_id in ids] if all(cdr_id in found for cdr_id in ids) else []


_UNDATED = b'"time_trusted":false'
"""As it stands in an encoded record, and nowhere else: inside a text the quotes are escaped."""


async def _probe(change: Change) -> None:
    """Write as much as a call does, to both copies."""
    await change.db.execute(
        "INSERT INTO meta(key, value) VALUES ('probe', '1') "
        "ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1"
    )
    change.note(Alive(ids=[], at_ms=0), durable=True)


def _purging(before_ms: int, keeping: bytes = b"", at_most: int = -1) -> Callable[[Change], Awaitable[int]]:
    """The transaction that deletes what was acknowledged before this, unless its body has `keeping`; how many.

    `at_most`: so many of them, the oldest; below 0: all.
    """
    condition = (
        "seq IN (SELECT seq FROM cdr WHERE state = 'acknowledged' AND acknowledged_ms < ? "
        "AND (? = x'' OR NOT instr(body, ?)) ORDER BY seq LIMIT ?)"
    )
    which = (before_ms, keeping, keeping, at_most)

    async def body(change: Change) -> int:
        db = change.db
        rows = await db.execute_fetchall(f"SELECT id FROM cdr WHERE {condition} ORDER BY seq", which)  # noqa: S608 - constant
        for chunk in _chunks([str(row[0]) for row in rows]):
            change.note(Purged(ids=chunk))
        await db.execute(
            f"INSERT OR IGNORE INTO purged(id) SELECT id FROM cdr WHERE {condition} ORDER BY seq",  # noqa: S608 - constant
            which,
        )
        cursor = await db.execute(f"DELETE FROM cdr WHERE {condition}", which)  # noqa: S608 - constant
        await db.execute(
            "DELETE FROM purged WHERE seq <= (SELECT max(seq) FROM purged) - ?",
            (MAX_PURGED_IDS,),
        )
        if cursor.rowcount:
            await db.execute("INSERT INTO meta(key, value) VALUES (?, '') ON CONFLICT DO NOTHING", (_OWED,))
        return cursor.rowcount

    return body


async def _settle(change: Change) -> None:
    await change.db.execute("DELETE FROM meta WHERE key = ?", (_OWED,))


_KNOWN = "SELECT 1 FROM cdr WHERE id = ? UNION ALL SELECT 1 FROM purged WHERE id = ?"


async def _known(db: aiosqlite.Connection, call_id: str) -> bool:
    return bool(list(await db.execute_fetchall(_KNOWN, (call_id, call_id))))


async def _keep(change: Change, cdr: Cdr, periods: list[str]) -> bool:
    """Store, count and queue a record; false where it was there. `periods`: see `Finished`."""
    if await _known(change.db, cdr.id):
        return False
    encoded = _encoder.encode(cdr)
    usage, taken = additions_of(cdr, periods)
    cursor = await change.db.execute(
        "INSERT INTO cdr(id, body, sha256, periods) VALUES (?, ?, ?, ?)",
        (cdr.id, encoded, hashlib.sha256(encoded).digest(), " ".join(periods)),
    )
    for addition in filter(None, (usage, taken)):
        await change.db.executemany(COUNT, count_parameters(addition))
    details = details_of(cdr, periods)
    await change.db.executemany(COUNT_DETAIL, parameters(details))
    if taken is not None:
        await change.db.execute(DROP_EMPTY)
        await change.db.execute(DROP_EMPTY_DETAILS)
    change.note(
        Finished(
            id=cdr.id, cdr=msgspec.Raw(encoded), periods=periods, usage=usage, taken=taken, details=details,
            number=cursor.lastrowid or 0,
        ),
        durable=True,
    )  # fmt: skip
    return True


def _chunks(ids: Sequence[str]) -> list[list[str]]:
    return [list(ids[first : first + MAX_IDS]) for first in range(0, len(ids), MAX_IDS)]


def _milliseconds(at: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time. Raises ValueError."""
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone")
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
