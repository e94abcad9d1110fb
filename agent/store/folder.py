"""The store's folder: its files, the lock that admits one agent, and where a damaged database goes."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from agent.files import sync_folder
from agent.store.errors import StoreLocked, disk_error

DATABASE = "store.db"
LOCK = "store.lock"
_DAMAGED = "store.damaged-{}.db"
_COMPANIONS = ("-wal", "-shm")
MAX_DAMAGED = 3
"""So many damaged databases are kept; they may be large, and a dying card makes many."""


class FolderLock:
    """An exclusive flock on the folder's lock file; the kernel drops it with the process, however that ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, folder: Path) -> FolderLock:
        """Take the lock, making the folder (0700) where needed. Raises StoreLocked, StoreError."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise disk_error(error, f"open the store's folder {folder}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise StoreLocked(f"another agent is running on the store in {folder}; stop it first") from error
        return cls(descriptor)

    def release(self) -> None:
        """Let the next agent in; does nothing the second time."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def has_database(folder: Path) -> bool:
    """Whether a database with anything in it lies in the folder."""
    path = folder / DATABASE
    return path.is_file() and path.stat().st_size > 0


def prepare_database(folder: Path) -> Path:
    """The database's path: the file exists, belongs to its owner alone (0600), and no stray log lies beside it."""
    path = folder / DATABASE
    try:
        if not path.exists():
            _finish_setting_aside(folder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)
        sync_folder(folder)
    except OSError as error:
        raise disk_error(error, f"open {path}") from error
    return path


def set_aside(folder: Path) -> Path:
    """Move the damaged database and its log to the next free name, so that they can still be salvaged together.

    The database moves first: were its log to move first and the power to fail, the database would be opened without
    the commits in the log. A log left behind alone is moved by the next `prepare_database`.
    """
    number = _last_damaged(folder) + 1
    kept = folder / _DAMAGED.format(number)
    try:
        (folder / DATABASE).rename(kept)
        sync_folder(folder)
        _finish_setting_aside(folder)
        _forget_damaged(folder, number - MAX_DAMAGED)
    except OSError as error:
        raise disk_error(error, f"set the damaged store aside as {kept.name}") from error
    return kept


def _finish_setting_aside(folder: Path) -> None:
    """Without this a log of the damaged database would be replayed into the new, empty one."""
    for companion in _COMPANIONS:
        stray = folder / (DATABASE + companion)
        if stray.exists():
            stray.rename(folder / (_DAMAGED.format(max(1, _last_damaged(folder))) + companion))
    sync_folder(folder)


def damaged_files(folder: Path) -> list[Path]:
    """Databases that were set aside, with their logs."""
    return sorted(folder.glob(_DAMAGED.format("*") + "*"))


def forget_damaged_before(folder: Path, before: datetime) -> None:
    """Delete databases that were set aside before this: they hold numbers, too. What can't be deleted stays."""
    for path in damaged_files(folder):
        with suppress(OSError):
            if path.stat().st_mtime < before.timestamp():
                path.unlink()


def _forget_damaged(folder: Path, last: int) -> None:
    for path in damaged_files(folder):
        number = path.name.removeprefix(_DAMAGED.split("{}", maxsplit=1)[0]).split(".")[0]
        if number.isdecimal() and int(number) <= last:
            path.unlink()


def _last_damaged(folder: Path) -> int:
    prefix, suffix = _DAMAGED.split("{}")
    numbers = (entry.name.removeprefix(prefix).removesuffix(suffix) for entry in folder.glob(_DAMAGED.format("*")))
    return max((int(number) for number in numbers if number.isdecimal()), default=0)
