"""The last frames of the line card's link on disk, for `iplink-agent line trace`: after a loss, or when asked for.

Frames without their contents: what was dialled and who called is not in them. Bounded: DUMPS dumps of LINES lines.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Sequence
from pathlib import Path

from agent import clock
from agent.files import write_whole

FILE = "line-trace.txt"
DUMPS = 4
LINES = 200
_LINE_CHARS = 160


class LineTrace:
    """Keeps the newest dumps in one file of the state folder; may be called from any thread. Never raises."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._dumps: collections.deque[str] = collections.deque(maxlen=DUMPS)
        self._lock = threading.Lock()
        self.failures = 0

    def write(self, reason: str, lines: Sequence[str]) -> None:
        """Add a dump: when, why, and the frames, oldest first. A disk that is full or gone is only counted."""
        head = f"# {clock.wall().isoformat(timespec='milliseconds')} boot_ms={clock.boot_ms()} {reason}"
        body = "".join(f"{line[:_LINE_CHARS]}\n" for line in (head, *lines[-LINES:]))
        with self._lock:
            self._dumps.append(body)
            try:
                write_whole(self._path, "".join(self._dumps).encode(), mode=0o640, durable=False)
            except OSError:
                self.failures += 1
