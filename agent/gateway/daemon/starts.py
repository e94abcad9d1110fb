"""What the last processes of this gateway came to, kept beside its configuration: starts, what was refused them, and
who has called for help.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from agent.core.beginning import CRASH_MEMORY_MS, Beginning
from agent.core.callback import MAX_CALLBACK_S, Helped, after_restart
from agent.core.registration import MAX_RETRY_AFTER_MS
from agent.files import sync_file, write_whole

_MAX_STARTS: Final = 32
_MAX_RESTS: Final = 16
_MAX_LINES: Final = 8
_LONGEST_REST_MS: Final = 2 * MAX_RETRY_AFTER_MS
_MAX_FILE: Final = 8192

BootMs = Annotated[int, Meta(ge=0, le=2**53)]


class _Starts(Struct, frozen=True, kw_only=True):
    boot_id: Annotated[str, Meta(max_length=128)]
    began_ms: Annotated[list[BootMs], Meta(max_length=_MAX_STARTS)] = []
    """Boot times of the starts that no goodbye has followed."""
    rests: Annotated[dict[Annotated[str, Meta(max_length=64)], BootMs], Meta(max_length=_MAX_RESTS)] = {}
    """Until when refused credentials rest, by mark."""
    called_for_help: Annotated[
        dict[Annotated[int, Meta(ge=0, lt=_MAX_LINES)], BootMs | None], Meta(max_length=_MAX_LINES)
    ] = {}
    """See `core.callback`."""


class Starts:
    """The file `starts.json` of a state folder. A disk that fails costs only the courtesy: nothing here raises."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "starts.json"
        self._now = _Starts(boot_id="")

    def begin(self, boot_id: str, now: int) -> Beginning:
        """Note a start at boot time `now`; returns what came before it."""
        past = self._read()
        cold = past is None or past.boot_id != boot_id
        recent = [] if past is None or cold else [at for at in past.began_ms if now - CRASH_MEMORY_MS < at <= now]
        kept = {} if past is None or cold else past.rests
        rests = {mark: until for mark, until in kept.items() if now < until <= now + _LONGEST_REST_MS}
        helped = {} if past is None else past.called_for_help
        called_for_help = after_restart(helped, now, MAX_CALLBACK_S * 1000, cold=cold)
        began_ms = [*recent, now][-_MAX_STARTS:]
        self._write(
            _Starts(boot_id=boot_id, began_ms=began_ms, rests=rests, called_for_help={**called_for_help})
        )  # fmt: skip
        return Beginning(cold=cold, crashes=len(recent), rests=rests, called_for_help=called_for_help)

    def rest(self, rests: Mapping[str, int]) -> None:
        """Note until when refused credentials rest, by mark: after a restart they go on resting."""
        newest = sorted(rests.items(), key=lambda item: item[1])[-_MAX_RESTS:]
        self._write(msgspec.structs.replace(self._now, rests=dict(newest)))

    def keep_callbacks(self, called_for_help: Helped) -> None:
        """Note who may be called back by an emergency service: after a restart he still is, and after a power cut.

        The call waits for no disk: a thread brings it there.
        """
        self._write(msgspec.structs.replace(self._now, called_for_help=dict(called_for_help)))
        threading.Thread(target=self._sync, name="callbacks-sync", daemon=True).start()

    def _sync(self) -> None:
        with contextlib.suppress(OSError):
            sync_file(self._path)

    def ended(self) -> None:
        """The process ends in order: nothing has crashed."""
        self._write(msgspec.structs.replace(self._now, began_ms=[]))

    def _read(self) -> _Starts | None:
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(_MAX_FILE), type=_Starts)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _write(self, starts: _Starts) -> None:
        self._now = starts
        # Not synced here: after a power cut it is a cold start whatever it says of starts, and 112 waits for no disk.
        with contextlib.suppress(OSError):
            write_whole(self._path, msgspec.json.encode(starts), durable=False)
