"""One SQLite connection with one writer: whole transactions, our errors, and a sound file to begin with."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from agent.store.errors import StoreClosed, StoreDamaged, StoreError, StoreMissing, StoreTooNew, translate
from agent.store.folder import DATABASE, FolderLock, prepare_database, set_aside
from agent.store.schema import MIGRATIONS, VERSION

T = TypeVar("T")
Value = str | int | bytes | None
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
    f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}",
)
_READER_PRAGMAS = (f"PRAGMA busy_timeout = {_BUSY_MS}", "PRAGMA query_only = ON", "PRAGMA trusted_schema = OFF")


class Database:
    """An open database. Statements of one transaction are never interleaved with those of another."""

    def __init__(self, connection: aiosqlite.Connection, lock: FolderLock | None) -> None:
        self._connection = connection
        self._lock = lock
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def write(self, doing: str, body: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """Run `body` in one transaction, on disk when this returns. Raises StoreError; then nothing was written.

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
            except sqlite3.Error as error:
                raise translate(error, doing) from error

    async def checkpoint(self) -> None:
        """Fold the write-ahead log into the database and empty it, unless a reader is in the way."""
        await self.read("fold in the write-ahead log", "PRAGMA wal_checkpoint(TRUNCATE)")

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
                if self._lock is not None:
                    self._lock.release()

    async def _transaction(self, doing: str, body: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        async with self._turn:
            self._check_open()
            try:
                await self._connection.execute("BEGIN IMMEDIATE")
                result = await body(self._connection)
                await self._connection.execute("COMMIT")
            except BaseException as error:
                # SQLite rolls back by itself after some errors; then there is nothing left to roll back.
                with suppress(sqlite3.Error):
                    await self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise translate(error, doing) from error
                raise
            return result

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as seen: the caller may have been cancelled meanwhile

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the store is closed")


async def open_writer(folder: Path) -> tuple[Database, StoreDamaged | None]:
    """The database of `folder`, locked, checked and brought to the newest schema.

    A damaged one is set aside and an empty one begun; the second value then says so. Raises StoreLocked, StoreTooNew,
    StoreFull, StoreError.
    """
    lock = await asyncio.to_thread(FolderLock.acquire, folder)
    damage: StoreDamaged | None = None
    try:
        path = await asyncio.to_thread(prepare_database, folder)
        try:
            connection = await _connect_writer(path)
        except StoreDamaged as error:
            kept = await asyncio.to_thread(set_aside, folder)
            damage = StoreDamaged(error.reason, kept)
            path = await asyncio.to_thread(prepare_database, folder)
            connection = await _connect_writer(path)
    except BaseException:
        lock.release()
        raise
    return Database(connection, lock), damage


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
    return Database(connection, None)


async def _connect_writer(path: Path) -> aiosqlite.Connection:
    connection = await _connect(path, "rw", _WRITER_PRAGMAS)
    try:
        await _check_sound(connection)
        await _migrate(connection, await _check_version(connection))
    except sqlite3.Error as error:
        await connection.close()
        raise translate(error, f"open {path}") from error
    except BaseException:
        await connection.close()
        raise
    return connection


async def _connect(path: Path, mode: str, pragmas: Sequence[str]) -> aiosqlite.Connection:
    connection = aiosqlite.connect(_uri(path, mode), uri=True, isolation_level=None)
    # An agent that fails without closing its store must end, to be started again; a thread that waits would hold it.
    # In some versions of aiosqlite the connection is the thread, in others it has one.
    worker: Any = getattr(connection, "_thread", connection)
    worker.daemon = True
    try:
        await connection
    except sqlite3.Error as error:
        raise translate(error, f"open {path}") from error
    try:
        for pragma in pragmas:
            await connection.execute(pragma)
    except BaseException as error:
        await connection.close()
        if isinstance(error, sqlite3.Error):
            raise translate(error, f"open {path}") from error
        raise
    return connection


def _uri(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


async def _check_sound(connection: aiosqlite.Connection) -> None:
    mode = await _scalar(connection, "PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise StoreError(f"the folder's file system does not allow a write-ahead log (journal mode stays {mode})")
    finding = await _scalar(connection, "PRAGMA quick_check(1)")
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
    except sqlite3.Error as error:
        raise translate(error, "read the store's version") from error
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
