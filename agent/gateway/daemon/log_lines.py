"""Log lines on stderr as JSON, one a line. A log that is full, gone or stuck costs lines, never a call."""

from __future__ import annotations

import json
import os
import select
import threading
from typing import IO, Final

from agent.gateway.protocol import Log

_AT_ONCE: Final = 4096
"""A pipe that poll(2) calls writable takes this much without waiting (POSIX PIPE_BUF, as Linux has it)."""
_SHORT_DETAIL: Final = 200


class LogLines:
    """Writes to the descriptor of `stream` (None: nowhere), from any thread; neither blocks nor raises."""

    def __init__(self, stream: IO[str] | None) -> None:
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._poll = select.poll()
        self.lost = 0
        """Lines that could not be written; the next line that can be says how many."""
        try:
            if stream is not None:
                self._descriptor = stream.fileno()
                self._poll.register(self._descriptor, select.POLLOUT)
        except (OSError, ValueError):
            self._descriptor = None

    def write(self, record: Log) -> None:
        """Write one line, if that is possible at once."""
        with self._lock:
            try:
                written = self._write(_line(record, self.lost))
            except (OSError, ValueError):
                written = False
            self.lost = 0 if written else self.lost + 1

    def _write(self, line: bytes) -> bool:
        if self._descriptor is None or not any(events & select.POLLOUT for _, events in self._poll.poll(0)):
            return False
        os.write(self._descriptor, line)
        return True


def _line(record: Log, lost: int) -> bytes:
    words = {"level": record.level, "event": record.event, "process": "gateway", "boot_ms": record.at_ms}
    for name in ("line", "call_id", "detail"):
        value = getattr(record, name)
        if value not in (None, ""):
            words[name] = value
    if lost:
        words["lines_lost"] = lost
    line = _encoded(words)
    if len(line) > _AT_ONCE:
        words["detail"] = record.detail[:_SHORT_DETAIL]
        line = _encoded(words)
    return line


def _encoded(words: dict[str, object]) -> bytes:
    return (json.dumps(words, ensure_ascii=False) + "\n").encode(errors="backslashreplace")
