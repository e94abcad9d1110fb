"""One SQLite connection with one writer: whole transactions, our errors, and a sound file to begin with."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import aiosqlite
import msgspec
import structlog
from msgspec import Struct

from agent.store.base import write_base
from agent.store.errors import (
    UNSOUND,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreMissing,
    StoreTooNew,
    translate,
)
from agent.store.folder import DATABASE, FolderLock, has_database, prepare_database, set_aside
from agent.store.journal import Journal
from agent.store.lines import Line
from agent.store.recovery import Recovery, recover
from agent.store.room import Room, as_full
from agent.store.schema import MIGRATIONS, VERSION

T = TypeVar("T")
Value = str | int | bytes | None
GiveUp = Callable[[], Awaitable[bool]]
"""Gives something up for the sake of room; false where there was nothing to give. Never raises."""
Row = Sequence[Any]
"""A row as SQLite gives it; each query's reader knows its columns."""

_BUSY_MS = 5000
_CHECKPOINT_PAGES = 2000
"""Upper bound of the write-ahead log, 8 MB: otherwise it is only folded in while nothing waits for upload."""

_WRITER_PRAGMAS = (
    f"PRAGMA busy_timeout = {_BUSY_MS}",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    # What is deleted is overwritten: a purged number must not lie on in a free page.
    "PRAGMA secure_delete = ON",
    f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}",
)
_THOROUGH_PAGES = 4096
"""Up to this size, 16 MB, the indexes are compared with their tables at each start, too."""

_MANY = 1000
"""So many changes from the journal, and the write-ahead log is folded in at once: the journal has them all."""

_READER_PRAGMAS = (f"PRAGMA busy_timeout = {_BUSY_MS}", "PRAGMA query_only = ON", "PRAGMA trusted_schema = OFF")


_log = structlog.get_logger(__name__)


class Change(Struct):
    """A transaction in the making: statements for the database, lines for the journal."""

    db: aiosqlite.Connection
    lines: list[Line] = msgspec.field(default_factory=list)
    durable: bool = False

    def note(self, line: Line, *, durable: bool = False) -> None:
        """Have the journal say this before the database commits; on disk by then if `durable`."""
        self.lines.append(line)
        self.durable = self.durable or durable


class Database:
    """An open database. Statements of one transaction are never interleaved with those of another."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        lock: FolderLock | None = None,
        journal: Journal | None = None,
        path: Path | None = None,
    ) -> None:
        """`journal` and `path` belong to a writer; without them nothing can be written."""
        self._connection = connection
        self._lock = lock
        self._journal = journal
        self._path = path
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self.on_full: Sequence[GiveUp] = ()
        """What makes room when there is none, in this order; each is called between transactions."""
        self.trouble: StoreError | None = None
        """Why nothing could be written the last time; None while writing works."""
        self.journal_trouble = ""
        """Why the journal lacks something that the database has; empty once it has been written anew."""
        self._damage: asyncio.Future[StoreDamaged] = asyncio.get_running_loop().create_future()
        self._closed = False

    async def write(self, doing: str, body: Callable[[Change], Awaitable[T]]) -> T:
        """Run `body` in one transaction, on disk when this returns. Raises StoreError; then nothing has changed.

        A caller that is cancelled does not tear the transaction: it is carried through behind its back.
        """
        task = asyncio.ensure_future(self._transaction(doing, body))
        self._running.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def read(self, doing: str, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Every row of a query, as of the last commit. Raises StoreError."""
        async with self._turn:
            self._check_open()
            try:
                return list(await self._connection.execute_fetchall(sql, parameters))
            except UNSOUND as error:
                raise self._noted(translate(error, doing)) from error

    async def checkpoint(self) -> bool:
        """Fold the write-ahead log into the database and empty it, unless a reader is in the way; whether it is."""
        async with self._turn:
            self._check_open()
            return await self.checkpoint_now()

    async def checkpoint_now(self) -> bool:
        """The same for those who have the turn (`on_full`); whether the log is empty now."""
        try:
            await self._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        except UNSOUND as error:
            raise self._noted(translate(error, "fold in the write-ahead log")) from error
        return self.log_size == 0

    @property
    def log_size(self) -> int:
        """Bytes of the write-ahead log."""
        path = self._path.with_name(self._path.name + "-wal") if self._path is not None else None
        return path.stat().st_size if path is not None and path.exists() else 0

    @property
    def journal_size(self) -> int:
        """Bytes of the journal, 0 for a reader."""
        return self._journal.size if self._journal is not None else 0

    async def renew_journal(self) -> bool:
        """State anew in the journal what the database has, and delete what came before. Raises StoreError.

        False: not now, since the journal holds a record that the database has refused and will be given again.
        """
        async with self._turn:
            self._check_open()
            return await self.renew_journal_now()

    async def renew_journal_now(self) -> bool:
        """The same for those who have the turn (`on_full`)."""
        journal, path = self._journal, self._path
        if journal is None or path is None or journal.unconfirmed:
            return False

        def renew() -> None:
            with closing(_plain_connection(path)) as db:
                write_base(db, journal)

        try:
            await asyncio.to_thread(renew)
        except sqlite3.Error as error:
            raise translate(error, "write the journal anew") from error
        self.journal_trouble = ""
        return True

    async def close(self) -> None:
        """Finish what is running, close the file, let the next agent in. Does nothing the second time."""
        async with self._turn:
            if self._closed:
                return
            self._closed = True
            try:
                await self._connection.close()
            except sqlite3.Error as error:
                raise translate(error, "close the store") from error
            finally:
                if self._journal is not None:
                    self._journal.close()
                if self._lock is not None:
                    self._lock.release()

    async def _transaction(self, doing: str, body: Callable[[Change], Awaitable[T]]) -> T:
        async with self._turn:
            self._check_open()
            try:
                result = await self._with_room(doing, body)
            except StoreError as error:
                self.trouble = error
                raise
            self.trouble = None
            return result

    async def _with_room(self, doing: str, body: Callable[[Change], Awaitable[T]]) -> T:
        """Carry the change out; where the disk is full, give up one thing after another until it fits."""
        try:
            return await self.write_now(doing, body)
        except StoreError as error:
            full = await asyncio.to_thread(as_full, error, self._path)
        for give_up in self.on_full:
            if await give_up():
                try:
                    return await self.write_now(doing, body)
                except StoreError as error:
                    full = await asyncio.to_thread(as_full, error, self._path)
        raise full

    async def write_now(self, doing: str, body: Callable[[Change], Awaitable[T]]) -> T:
        """One try at a transaction, for those who have the turn (`on_full`). Raises StoreError."""
        change = Change(self._connection)
        try:
            await self._connection.execute("BEGIN IMMEDIATE")
            result = await body(change)
            await self._say_first(change)
            await self._connection.execute("COMMIT")
        except BaseException as error:
            # SQLite rolls back by itself after some errors; then there is nothing left to roll back.
            with suppress(sqlite3.Error):
                await self._connection.execute("ROLLBACK")
            if isinstance(error, UNSOUND):
                raise self._noted(translate(error, doing)) from error
            raise
        if self._journal is not None:
            self._journal.confirm(change.lines)
        return result

    async def _say_first(self, change: Change) -> None:
        if self._journal is None or not change.lines:
            return
        try:
            await asyncio.to_thread(self._journal.append, change.lines, durable=change.durable)
        except StoreFull:
            raise
        except StoreError as error:
            # One copy is better than none: the next start finds that the journal lacks this, and writes it anew.
            if not self.journal_trouble:
                _log.critical("journal_failed", detail=str(error))
            self.journal_trouble = str(error)

    async def fails(self) -> NoReturn:
        """Wait until SQLite finds the file unsound, however long, then raise that StoreDamaged."""
        raise await asyncio.shield(self._damage)

    def _noted(self, error: StoreError) -> StoreError:
        if isinstance(error, StoreDamaged) and not self._damage.done():
            self._damage.set_result(error)
        return error

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as seen: the caller may have been cancelled meanwhile

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the store is closed")


async def open_writer(folder: Path) -> tuple[Database, StoreDamaged | None]:
    """The database of `folder`, locked, checked, brought to the newest schema and in step with its journal.

    A damaged database is set aside and made anew from the journal; the second value then tells what was found and what
    was done. Raises StoreLocked, StoreTooNew, StoreFull, StoreError.
    """
    lock = await asyncio.to_thread(FolderLock.acquire, folder)
    try:
        database, damage = await _open_locked(folder, lock)
    except BaseException:
        lock.release()
        raise
    return database, damage


async def _open_locked(folder: Path, lock: FolderLock) -> tuple[Database, StoreDamaged | None]:
    room = Room(folder)
    for give_up in (room.give_up_leftovers, room.give_up_ballast):
        try:
            return await _open_files(folder, lock)
        except StoreError as error:
            await asyncio.to_thread(as_full, error, folder / DATABASE)
            await asyncio.to_thread(give_up)
    return await _open_files(folder, lock)


async def _open_files(folder: Path, lock: FolderLock) -> tuple[Database, StoreDamaged | None]:
    kept: Path | None = None
    reason = ""
    if not await asyncio.to_thread(has_database, folder):
        reason = "the database is gone"
    path = await asyncio.to_thread(prepare_database, folder)
    try:
        connection, journal, recovery, upgraded = await _open_sound(path, None)
    except StoreDamaged as error:
        reason = error.reason
        kept = await asyncio.to_thread(set_aside, folder)
        path = await asyncio.to_thread(prepare_database, folder)
        connection, journal, recovery, upgraded = await _open_sound(path, kept)
    return Database(connection, lock, journal, path), _told(reason, kept, recovery, upgraded=upgraded)


async def _open_sound(path: Path, damaged: Path | None) -> tuple[aiosqlite.Connection, Journal, Recovery, bool]:
    """Connection, journal, what was done, and whether the schema was an older one. Raises StoreError."""
    connection, upgraded = await _connect_writer(path)

    def repair() -> tuple[Journal, Recovery]:
        # The other connection stays open meanwhile, or closing this one would fold in the write-ahead log.
        with closing(_plain_connection(path)) as db:
            journal, recovery = recover(db, path.parent, damaged)
            if recovery.lag > _MANY:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return journal, recovery

    try:
        journal, recovery = await asyncio.to_thread(repair)
    except BaseException as error:
        await connection.close()
        if isinstance(error, UNSOUND):
            raise translate(error, f"bring {path} in step with its journal", opening=True) from error
        raise
    return connection, journal, recovery, upgraded


def _told(reason: str, kept: Path | None, recovery: Recovery, *, upgraded: bool) -> StoreDamaged | None:
    if kept is not None or (reason and (recovery.lag or recovery.salvaged)):
        return StoreDamaged(reason, kept, recovery.repair(database_lost=True))
    findings = [] if upgraded and not recovery.survey.lines else recovery.findings()
    if findings:
        return StoreDamaged(
            ", ".join(findings), None, recovery.repair(database_lost=recovery.empty and recovery.lag > 1)
        )
    if recovery.lag:
        _log.info("store_caught_up", changes=recovery.lag)
    return None


def _plain_connection(path: Path) -> sqlite3.Connection:
    """A second connection of the one writer, for use in a thread. Raises sqlite3.Error."""
    db = sqlite3.connect(_uri(path, "rw"), uri=True, isolation_level=None)
    for pragma in (*_WRITER_PRAGMAS, "PRAGMA wal_autocheckpoint = 0"):
        db.execute(pragma)
    return db


async def open_for_reading(folder: Path) -> Database:
    """The database of `folder`, read only, also while an agent writes it.

    Raises StoreMissing, StoreTooNew, StoreDamaged, StoreError.
    """
    path = folder / DATABASE
    if not await asyncio.to_thread(path.is_file):
        raise StoreMissing(f"there is no store in {folder}: the agent has not run with this folder")
    connection = await _connect(path, "ro", _READER_PRAGMAS)
    try:
        if await _check_version(connection) == 0:
            raise StoreMissing(f"the store in {folder} was never finished: the agent has not run with this folder")
    except BaseException:
        await connection.close()
        raise
    return Database(connection)


async def _connect_writer(path: Path) -> tuple[aiosqlite.Connection, bool]:
    """The connection, and whether the schema was an older one (not: none)."""
    connection = await _connect(path, "rw", _WRITER_PRAGMAS)
    try:
        await _check_sound(connection)
        version = await _check_version(connection)
        await _migrate(connection, version)
    except UNSOUND as error:
        await connection.close()
        raise translate(error, f"open {path}", opening=True) from error
    except BaseException:
        await connection.close()
        raise
    return connection, 0 < version < VERSION


async def _connect(path: Path, mode: str, pragmas: Sequence[str]) -> aiosqlite.Connection:
    connection = aiosqlite.connect(_uri(path, mode), uri=True, isolation_level=None)
    # An agent that fails without closing its store must end, to be started again; a thread that waits would hold it.
    # In some versions of aiosqlite the connection is the thread, in others it has one.
    worker: Any = getattr(connection, "_thread", connection)
    worker.daemon = True
    try:
        await connection
    except UNSOUND as error:
        raise translate(error, f"open {path}") from error
    try:
        for pragma in pragmas:
            await connection.execute(pragma)
    except BaseException as error:
        await connection.close()
        if isinstance(error, UNSOUND):
            raise translate(error, f"open {path}", opening=True) from error
        raise
    return connection


def _uri(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


async def _check_sound(connection: aiosqlite.Connection) -> None:
    mode = await _scalar(connection, "PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise StoreError(f"the folder's file system does not allow a write-ahead log (journal mode stays {mode})")
    pages = int(await _scalar(connection, "PRAGMA page_count"))
    check = "integrity_check" if pages <= _THOROUGH_PAGES else "quick_check"
    finding = await _scalar(connection, f"PRAGMA {check}(1)")
    if finding != "ok":
        raise StoreDamaged(str(finding).replace("\n", " ")[:200])


async def _check_version(connection: aiosqlite.Connection) -> int:
    try:
        version = int(await _scalar(connection, "PRAGMA user_version"))
        if version > VERSION:
            oldest = int(await _scalar(connection, "SELECT value FROM meta WHERE key = 'oldest_version'"))
            if oldest > VERSION:
                raise StoreTooNew(
                    f"the store has version {version} and needs software for version {oldest} or later; "
                    f"this one knows {VERSION}"
                )
    except UNSOUND as error:
        raise translate(error, "read the store's version", opening=True) from error
    return version


async def _migrate(connection: aiosqlite.Connection, version: int) -> None:
    for migration in MIGRATIONS:
        if migration.version <= version:
            continue
        await connection.execute("BEGIN IMMEDIATE")
        for statement in migration.statements:
            await connection.execute(statement)
        await connection.execute(
            "INSERT INTO meta(key, value) VALUES ('oldest_version', ?) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (str(migration.oldest_version),),
        )
        await connection.execute(f"PRAGMA user_version = {migration.version}")
        await connection.execute("COMMIT")


async def _scalar(connection: aiosqlite.Connection, sql: str) -> Any:
    rows = list(await connection.execute_fetchall(sql))
    if not rows:
        raise StoreDamaged(f"it gives no answer to {sql}")
    return rows[0][0]
