"""What the last processes of this gateway came to, kept beside its configuration: a start, and how it began."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from agent.core.beginning import CRASH_MEMORY_MS, Beginning
from agent.files import write_whole

_MAX_STARTS: Final = 32
_MAX_FILE: Final = 8192


class _Starts(Struct, frozen=True, kw_only=True):
    boot_id: Annotated[str, Meta(max_length=128)]
    began_ms: Annotated[list[Annotated[int, Meta(ge=0, le=2**53)]], Meta(max_length=_MAX_STARTS)] = []
    """Boot times of the starts that no goodbye has followed."""


class Starts:
    """The file `starts.json` of a state folder. A disk that fails costs only the courtesy: nothing here raises."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "starts.json"

    def begin(self, boot_id: str, now: int) -> Beginning:
        """Note a start at boot time `now`; returns what came before it."""
        past = self._read()
        cold = past is None or past.boot_id != boot_id
        recent = [] if past is None or cold else [at for at in past.began_ms if now - CRASH_MEMORY_MS < at <= now]
        self._write(_Starts(boot_id=boot_id, began_ms=[*recent, now][-_MAX_STARTS:]))
        return Beginning(cold=cold, crashes=len(recent))

    def ended(self, boot_id: str) -> None:
        """The process ends in order: nothing has crashed."""
        self._write(_Starts(boot_id=boot_id))

    def _read(self) -> _Starts | None:
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(_MAX_FILE), type=_Starts)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _write(self, starts: _Starts) -> None:
        # Not synced: after a power cut it is a cold start whatever the file says.
        with contextlib.suppress(OSError):
            write_whole(self._path, msgspec.json.encode(starts), durable=False)
