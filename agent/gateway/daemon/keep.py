"""What the gateway keeps on disk so that it can start alone: its last good configuration and its SIP port."""

from __future__ import annotations

import os
import random
from pathlib import Path

import msgspec

from agent.gateway.protocol import Configure

_MAX_FILE = 1 << 20


class KeepError(Exception):
    """A kept file can't be read, understood or written; the message names it."""


class Kept:
    """The folder of the gateway's two files, readable by its own user and group only."""

    def __init__(self, folder: Path) -> None:
        self._configuration = folder / "configuration.json"
        self._port = folder / "sip-port"
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise KeepError(f"{folder}: {error.strerror or error}") from error

    def configuration(self) -> Configure | None:
        """The last good configuration, None where there never was one. Raises KeepError where the file is damaged."""
        try:
            with self._configuration.open("rb") as file:
                body = file.read(_MAX_FILE)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeepError(f"{self._configuration}: {error.strerror or error}") from error
        try:
            return msgspec.json.decode(body, type=Configure)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise KeepError(f"{self._configuration}: {error}") from error

    def keep(self, configuration: Configure) -> None:
        """Replace the last good configuration: whole or not at all, on disk before this returns."""
        _replace(self._configuration, msgspec.json.encode(configuration))

    def sip_port(self, low: int, high: int) -> int:
        """The local SIP port, drawn once from `low`…`high` and then kept: a new one would leave a dead contact."""
        try:
            port = int(self._port.read_text(encoding="ascii"))
        except (OSError, ValueError):
            port = 0
        if not low <= port <= high:
            port = random.SystemRandom().randint(low, high)
            _replace(self._port, f"{port}\n".encode())
        return port

    def forget_sip_port(self) -> None:
        """The kept port can't be used: the next start draws another one. Raises KeepError."""
        try:
            self._port.unlink(missing_ok=True)
        except OSError as error:
            raise KeepError(f"{self._port}: {error.strerror or error}") from error


def _replace(path: Path, body: bytes) -> None:
    temporary = path.with_suffix(".new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise KeepError(f"{path}: {error.strerror or error}") from error
