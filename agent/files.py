"""Files that are whole or not there: what a power cut or a full disk interrupts leaves the earlier file as it was.

Standard library only: both processes use it, and the gateway imports next to nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


def write_whole(path: Path, body: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Replace the file by one that holds `body`, with these permissions: whole or not at all. Raises OSError.

    Beside it only `.NAME.new` is ever made, so that whatever a power cut leaves is overwritten by the next try; two
    writers take turns. On disk when this returns, unless `durable` is given up for something that may be lost.
    """
    temporary = path.with_name(f".{path.name}.new")
    descriptor = _opened_alone(temporary, mode)
    try:
        try:
            os.fchmod(descriptor, mode)
            os.ftruncate(descriptor, 0)
            rest = memoryview(body)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if durable:
                os.fsync(descriptor)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    finally:
        os.close(descriptor)
    if durable:
        sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Bring to disk what was written without being durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the folder's names to disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _opened_alone(path: Path, mode: int) -> int:
    """Open a file that no other writer has open; what it held is still there."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_named(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # The one before us has put it in its place meanwhile: this name means another file now.
        os.close(descriptor)


def _is_named(path: Path, descriptor: int) -> bool:
    try:
        named = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino)
