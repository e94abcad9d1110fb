"""Recordings on their way to a telephone: found and read on a thread of their own, handed over whole, then forgotten.

A disk may be slow, and neither the loop that serves 112 nor the thread that serves speech ever waits for one. None of
the recordings is kept: each is read when it is to be heard.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.core.announcement import Announcement, Language
from agent.gateway.daemon.buffer_plan import CARD_FRAME
from agent.gateway.recording import MAX_BYTES, RecordingError, read_recording

PATIENCE_FRAMES: Final = 100
"""A recording that has not been read within a second of silence is left out."""
_WAITING = 16
"""Far more announcements than there are lines: a disk that hangs must not collect orders for ever."""


class Playback:
    """One announcement for one line. `give` belongs to the reading thread, everything else to the card's thread."""

    def __init__(self, take: int, wait_frames: int = 0) -> None:
        self.take = take
        self.over = False
        """Whether its last frame has been taken, or there will be none."""
        self.told = False
        """Whether its owner knows that it is over."""
        self._wait = wait_frames
        self._patience = PATIENCE_FRAMES
        self._given: list[bytes | None] = []
        self._at = 0

    def give(self, alaw: bytes | None) -> None:
        """The whole recording, in whole frames; None: there is none."""
        self._given.append(alaw)

    def next(self, instead: bytes) -> bytes:
        """The next 10 ms of A-law; `instead` before it has begun and when it is over."""
        if self.over:
            return instead
        if self._wait > 0:
            self._wait -= 1
            return instead
        if not self._given:
            self._patience -= 1
            self.over = self._patience <= 0
            return instead
        alaw = self._given[0]
        if alaw is None:
            self.over = True
            return instead
        frame = alaw[self._at : self._at + CARD_FRAME]
        self._at += CARD_FRAME
        self.over = self._at >= len(alaw)
        return frame or instead


class Announcer:
    """Reads recordings from `shipped`, or first from a folder of the operator's. `log(level, event, detail)`."""

    def __init__(self, shipped: Path, log: Callable[[str, str, str], None]) -> None:
        self._shipped = shipped
        self._own: Path | None = None
        self._language = Language.NB
        self._log = log
        self._told: set[str] = set()
        self._orders: queue.Queue[tuple[list[Path], Playback] | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None

    def use(self, language: Language, folder: str) -> None:
        """What is spoken from now on; `folder` empty: only what is shipped."""
        own = Path(folder) if folder else None
        if (language, own) != (self._language, self._own):
            self._told.clear()
        self._language, self._own = language, own

    def fetch(self, announcement: Announcement, playback: Playback) -> None:
        """Give `playback` the recording as soon as it is read; never blocks."""
        if self._thread is None:
            # Made when something is first said: most households never hear it.
            self._thread = threading.Thread(target=self._read_orders, name="announcer", daemon=True)
            self._thread.start()
        name = f"{self._language}/{announcement}.wav"
        paths = [folder / name for folder in (self._own, self._shipped) if folder is not None]
        try:
            self._orders.put_nowait((paths, playback))
        except queue.Full:
            playback.give(None)

    def stop(self) -> None:
        """End the thread; what it has not read yet is not read."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        while thread.is_alive():
            try:
                self._orders.put_nowait(None)
                break
            except queue.Full:
                self._orders.get_nowait()
        # A disk that hangs does not keep the process: the thread is a daemon.
        thread.join(1)

    def _read_orders(self) -> None:
        while (order := self._orders.get()) is not None:
            paths, playback = order
            playback.give(self._read(paths))

    def _read(self, paths: list[Path]) -> bytes | None:
        for path in paths:
            try:
                with path.open("rb") as file:
                    return read_recording(file.read(MAX_BYTES + 1))
            except FileNotFoundError:
                continue
            except OSError as error:
                self._complain(path, error.strerror or str(error))
            except RecordingError as error:
                self._complain(path, str(error))
        self._complain(paths[-1], "there is no such recording; only the tone is heard")
        return None

    def _complain(self, path: Path, reason: str) -> None:
        """Once for each file: a household dials wrong numbers for years."""
        if str(path) not in self._told:
            self._told.add(str(path))
            self._log("warning", "announcement_unusable", f"{path}: {reason}")
