"""A file in the making: nobody sees it under its name before it is whole and on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from agent.files import sync_folder


class StorageError(Exception):
    """A downloaded file could not be written; the message names it and says why."""


class PartialFile:
    """A hidden file beside `target`, and of that name only: what a power cut left is overwritten by the next try."""

    def __init__(self, target: Path, path: Path, stream: BinaryIO) -> None:
        self._target = target
        self._path = path
        self._stream = stream

    @classmethod
    def begin(cls, target: Path) -> PartialFile:
        """An empty one (0600); the folder is made where needed. Raises StorageError."""
        path = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _trouble(target, error) from error
        return cls(target, path, os.fdopen(descriptor, "wb"))

    def write(self, chunk: bytes) -> None:
        """Append. Raises StorageError."""
        try:
            self._stream.write(chunk)
        except OSError as error:
            raise _trouble(self._target, error) from error

    def finish(self) -> None:
        """Put it on disk, then in its place, then the place on disk. Raises StorageError."""
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._path.replace(self._target)
            sync_folder(self._target.parent)
        except OSError as error:
            raise _trouble(self._target, error) from error

    def discard(self) -> None:
        """Remove what was not finished; does nothing after `finish`."""
        try:
            self._stream.close()
        except OSError:
            pass  # a full disk refuses the last buffer too, and the file goes anyway
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise _trouble(self._target, error) from error


def _trouble(target: Path, error: OSError) -> StorageError:
    return StorageError(f"could not write {target.name}: {error.strerror}")
