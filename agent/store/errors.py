"""What can go wrong with the store.

StoreError
├── StoreLocked    another agent has it open
├── StoreDamaged   the file is not a sound database
├── StoreFull      no room left on the disk
├── StoreTooNew    written by a newer version that this one cannot read along with
├── StoreMissing   there is no store where one was to be read
└── StoreClosed    used after `close`
"""

# ruff: noqa: N818 - the names say what happened; every one is a StoreError

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct


class StoreError(Exception):
    """The store could not do what was asked; the message is a sentence for a technician."""


class StoreLocked(StoreError):
    """Another process holds the store: two writers would count calls twice."""


class Repair(Struct, frozen=True):
    """What was done about a damaged store when it was opened, in numbers."""

    replayed: int = 0
    """Changes that the database did not have and the journal had."""
    salvaged: int = 0
    """Records and documents that only the damaged file still had."""
    corrected: int = 0
    """Rows whose bytes were wrong and were set right from the journal."""
    bad_lines: int = 0
    """Lines of the journal that could not be read or never came."""
    maybe_missing: bool = False
    """Something that was stored may be in neither copy any more."""


class StoreDamaged(StoreError):
    """The store is damaged, or was and has been repaired (`repair`).

    `kept` is where the damaged database was set aside, None where it lies in place or was never lost.
    """

    def __init__(self, reason: str, kept: Path | None = None, repair: Repair | None = None) -> None:
        super().__init__("".join((f"the store is damaged: {reason}", *_told(kept, repair))))
        self.reason = reason
        self.kept = kept
        self.repair = repair

    @property
    def maybe_missing(self) -> bool:
        """Whether something that was stored may be lost for good."""
        return self.repair is None or self.repair.maybe_missing


def _told(kept: Path | None, repair: Repair | None) -> Iterator[str]:
    if kept is not None:
        yield f"; it was set aside as {kept.name}"
    if repair is None:
        return
    yield f"; {repair.replayed} changes were brought in from the journal"
    if repair.salvaged:
        yield f", {repair.salvaged} rows from the damaged file"
    if repair.corrected:
        yield f", {repair.corrected} rows were set right"
    if repair.bad_lines:
        yield f"; {repair.bad_lines} lines of the journal were unreadable"
    yield "; something may be missing" if repair.maybe_missing else "; nothing is missing"


class StoreFull(StoreError):
    """The disk has no room for the change; nothing of it was written."""


class StoreTooNew(StoreError):
    """The store needs a newer version of the software than this one."""


class StoreMissing(StoreError):
    """No store exists in the folder that was to be read."""


class StoreClosed(StoreError):
    """The store was used after it was closed."""


UNSOUND = (sqlite3.Error, UnicodeDecodeError, OverflowError)
"""What the sqlite3 module raises; the last two where a damaged file makes it read text or numbers that are none."""

_THE_FILES_FAULT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_NOT_THE_FILES_FAULT = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_MISUSE,
})  # fmt: skip


def is_damage(error: Exception, *, opening: bool = False) -> bool:
    """Whether the file itself is unsound (never true of a failing disk or a full one).

    While a file is opened every statement is known to be right, so whatever SQLite has against it is the file's fault.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # An OperationalError of the module itself: a text in the file is no UTF-8.
        return opening or isinstance(error, sqlite3.OperationalError) or not isinstance(error, sqlite3.Error)
    primary = code & 0xFF
    return primary not in _NOT_THE_FILES_FAULT if opening else primary in _THE_FILES_FAULT


def disk_error(error: OSError, doing: str) -> StoreError:
    """Our error for one of the operating system. `doing` completes the sentence 'could not …'."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"could not {doing}: the disk is full")
    return StoreError(f"could not {doing}: {error.strerror or error}")


def translate(error: Exception, doing: str, *, opening: bool = False) -> StoreError:
    """Our error for one of `UNSOUND`. `doing` completes the sentence 'could not …'."""
    if is_damage(error, opening=opening):
        return StoreDamaged(str(error))
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return StoreFull(f"could not {doing}: the disk is full")
    return StoreError(f"could not {doing}: {error}")
