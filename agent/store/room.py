"""Room on the store's disk: how much is left, what lies about that nobody misses, and the ballast.

The ballast is a file of zeros that takes up room while there is plenty. When there is none, it goes, and what comes
after it can still be written down. All methods block; StoreError says what the disk said.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from agent.files import sync_folder
from agent.store.errors import StoreDamaged, StoreError, StoreFull, StoreLocked, StoreTooNew, disk_error
from agent.store.folder import damaged_files

BALLAST = "ballast"
_PRICE_LISTS = "price-lists"

_BALLAST_BYTES = 8 << 20
_BALLAST_PART = 16
"""On a small disk the ballast is this part of it instead."""
_NO_ROOM_BYTES = 64 << 10
_OTHERS_FAULT = (StoreDamaged, StoreLocked, StoreTooNew)
_LOW_BYTES = 64 << 20
_LOW_PART = 10
"""Room is low below so many bytes, or on a small disk below this part of it."""


class Space(Struct, frozen=True):
    """Bytes of the disk, and how many of them the agent may still use. `low`: somebody should look after it."""

    free: int
    size: int
    low: bool
    ballast: bool
    """Whether the ballast is in place; without it the next full disk stops calls."""


class Room:
    """The disk under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ballast = folder / BALLAST

    def space(self) -> Space:
        """How much room there is. Raises StoreError."""
        try:
            found = os.statvfs(self._folder)
        except OSError as error:
            raise disk_error(error, "ask for the room on the disk") from error
        size, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
        ballast = self._ballast.exists()
        # The ballast is the store's own to use.
        usable = free + (_ballast_bytes(size) if ballast else 0)
        return Space(free=usable, size=size, low=usable < min(_LOW_BYTES, size // _LOW_PART), ballast=ballast)

    def keep_ballast(self) -> bool:
        """Make the ballast where it is missing and there is room enough beside it; whether it is there."""
        return self._ballast.exists() or self._make_ballast(beside=2)

    def take_ballast_back(self) -> bool:
        """Make it again right after it was given up, if nobody has used the room; whether it is there."""
        return self._make_ballast(beside=0)

    def _make_ballast(self, *, beside: int) -> bool:
        """`beside`: so many times its size must still be free when it is there."""
        temporary = self._folder / f".{BALLAST}.new"
        try:
            found = os.statvfs(self._folder)
            size = _ballast_bytes(found.f_blocks * found.f_frsize)
            if size == 0 or found.f_bavail * found.f_frsize < (1 + beside) * size:
                return False
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(self._ballast)
            sync_folder(self._folder)
        except OSError:
            # A full disk is told by those who need to write.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            return False
        return True

    def give_up_ballast(self) -> bool:
        """Free what the ballast holds; false where there is none."""
        return remove([self._ballast]) > 0

    def give_up_leftovers(self) -> bool:
        """Delete half-written files and set-aside databases, of which everything readable was taken over long ago."""
        lists = self._folder / _PRICE_LISTS
        halves = [*self._folder.glob(".*.new"), *(path for end in ("new", "part") for path in lists.glob(f".*.{end}"))]
        return remove([*halves, *damaged_files(self._folder)]) > 0


def as_full(error: StoreError, path: Path | None) -> StoreFull:
    """The error, where it is for want of room. Raises it otherwise.

    SQLite calls it an I/O error when the memory that it shares beside `path` finds no room.
    """
    if isinstance(error, StoreFull):
        return error
    if path is None or isinstance(error, _OTHERS_FAULT):
        raise error
    try:
        found = os.statvfs(path.parent)
    except OSError:
        raise error from None
    if found.f_bavail * found.f_frsize >= _NO_ROOM_BYTES:
        raise error
    return StoreFull(f"{error}: the disk is full")


def remove(paths: Iterable[Path]) -> int:
    """Delete these files as far as that is possible; how many there were."""
    gone = 0
    for path in paths:
        with suppress(OSError):
            path.unlink()
            gone += 1
    return gone


def _ballast_bytes(disk_bytes: int) -> int:
    return min(_BALLAST_BYTES, disk_bytes // _BALLAST_PART)
