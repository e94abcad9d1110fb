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

import sqlite3
from pathlib import Path


class StoreError(Exception):
    """The store could not do what was asked; the message is a sentence for a technician."""


class StoreLocked(StoreError):
    """Another process holds the store: two writers would count calls twice."""


class StoreDamaged(StoreError):
    """The database is damaged. `kept` is where the damaged file was set aside, None where it still lies in place."""

    def __init__(self, reason: str, kept: Path | None = None) -> None:
        where = f"; it was set aside as {kept.name} and an empty store begun" if kept else ""
        super().__init__(f"the store is damaged: {reason}{where}")
        self.reason = reason
        self.kept = kept


class StoreFull(StoreError):
    """The disk has no room for the change; nothing of it was written."""


class StoreTooNew(StoreError):
    """The store needs a newer version of the software than this one."""


class StoreMissing(StoreError):
    """No store exists in the folder that was to be read."""


class StoreClosed(StoreError):
    """The store was used after it was closed."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is unsound (never true of a failing disk or a full one)."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def translate(error: sqlite3.Error, doing: str) -> StoreError:
    """Our error for SQLite's. `doing` completes the sentence 'could not …'."""
    if is_damage(error):
        return StoreDamaged(str(error))
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return StoreFull(f"could not {doing}: the disk is full")
    return StoreError(f"could not {doing}: {error}")
