"""The real agent, with a trap: it kills itself (SIGKILL) at the n-th time that it comes by a named point.

`IPLINK_CRASH_AT=point:n` names the trap, `IPLINK_CLOCK_FILE` a file whose eight bytes are added to both clocks. The
product knows neither: the traps are laid here, around its own functions, before its own `main` runs.

Run as `python agent_under_test.py CONFIGURATION`.
"""

from __future__ import annotations

import functools
import inspect
import mmap
import os
import signal
import struct
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent import app, clock
from agent.calls import Calls
from agent.gateway.client import GatewayClient
from agent.gateway.protocol import Decide, Release
from agent.operator.client import OperatorClient
from agent.store.database import Database
from agent.store.journal import Journal
from agent.store.lines import Finished
from agent.store.store import Store

Condition = Callable[[Any, tuple[Any, ...]], bool]


def always(_result: Any, _arguments: tuple[Any, ...]) -> bool:
    return True


TRAPS: dict[str, tuple[type, str, bool, Condition]] = {
    # point: (class, method, before it runs, only where this holds of its result and arguments)
    "asked": (Calls, "_decide", True, always),
    "opened": (Store, "open_call", False, always),
    "granted": (GatewayClient, "send", False, lambda _, sent: isinstance(sent[0], Decide) and sent[0].granted),
    "answered": (Store, "mark_answered", False, always),
    "ended": (Calls, "_finish", True, always),
    "priced": (Calls, "_price", False, always),
    "journaled": (Journal, "append", False, lambda _, sent: any(isinstance(line, Finished) for line in sent[0])),
    "queued": (Store, "finish", False, lambda new, _: bool(new)),
    "released": (GatewayClient, "send", False, lambda _, sent: isinstance(sent[0], Release)),
    "sent": (OperatorClient, "upload", False, always),
    "acknowledged": (Store, "acknowledge", False, lambda changed, _: bool(changed)),
    "purging": (Database, "renew_journal", True, always),
    "purged": (Store, "purge", False, lambda deleted, _: bool(deleted)),
}
"""The named points, in the order of a call's life; `journaled` and `purging` lie inside one change of the store."""


class Trap:
    """Counts how often its point is reached, and springs."""

    def __init__(self, times: int) -> None:
        self._left = times

    def reached(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def lay(point: str, trap: Trap) -> None:
    """Put a trap around the function that belongs to the point."""
    cls, name, before, holds = TRAPS[point]
    original = getattr(cls, name)

    def check(result: Any, arguments: tuple[Any, ...]) -> None:
        if holds(result, arguments):
            trap.reached()

    @functools.wraps(original)
    async def in_coroutine(self: Any, *arguments: Any, **named: Any) -> Any:
        if before:
            check(None, arguments)
        result = await original(self, *arguments, **named)
        if not before:
            check(result, arguments)
        return result

    @functools.wraps(original)
    def in_function(self: Any, *arguments: Any, **named: Any) -> Any:
        if before:
            check(None, arguments)
        result = original(self, *arguments, **named)
        if not before:
            check(result, arguments)
        return result

    setattr(cls, name, in_coroutine if inspect.iscoroutinefunction(original) else in_function)


def follow_clock(path: Path) -> None:
    """Let both clocks run ahead by as many milliseconds as the file says: the fake gateway's time is not ours."""
    with path.open("rb") as file:
        shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    boot_ms, wall = clock.boot_ms, clock.wall

    def ahead() -> int:
        return int(struct.unpack("<q", shared[:8])[0])

    clock.boot_ms = lambda: boot_ms() + ahead()
    clock.wall = lambda: wall() + timedelta(milliseconds=ahead())
    clock.kernel_synchronised = lambda: True


def main() -> int:
    point, _, times = os.environ.get("IPLINK_CRASH_AT", "").partition(":")
    if point:
        lay(point, Trap(int(times)))
    follow_clock(Path(os.environ["IPLINK_CLOCK_FILE"]))
    # What is acknowledged is purged at once, so that a purge can be met.
    for name, value in {"_DAY": timedelta(0), "_PURGE_S": 0.3}.items():
        assert hasattr(app, name), name
        setattr(app, name, value)
    return app.main(Path(sys.argv[1]))


if __name__ == "__main__":
    raise SystemExit(main())
