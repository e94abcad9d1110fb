"""The agent's half of a technician's code: shown on the page, heard of by the gateway, answered to the handset."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

import structlog

from agent.clock import Moment
from agent.core.unlock import CodeVerdict, UnlockDesk
from agent.gateway.client import GatewayUnavailableError
from agent.gateway.protocol import UNLOCK_PATIENCE_MS, AgentRecord, Unlock, Unlocked
from agent.status.snapshot import UnlockView

_LOOK_S = 5.0

_log = structlog.get_logger("technician")


class Unlocking:
    """`send` gives a record to the gateway, `touch` says that the page has something new."""

    def __init__(
        self,
        desk: UnlockDesk,
        *,
        now: Callable[[], Moment],
        send: Callable[[AgentRecord], None],
        touch: Callable[[], None],
    ) -> None:
        self._desk, self._now, self._send, self._touch = desk, now, send, touch

    def heard(self, record: Unlock) -> None:
        """Somebody has dialled a code. What was dialled too long ago has been answered by the gateway itself."""
        now = self._now().boot_ms
        if now - record.at_ms >= UNLOCK_PATIENCE_MS:
            return
        verdict = self._desk.dialled(record.code, now)
        level = "info" if verdict is CodeVerdict.ACCEPTED else "warning"
        getattr(_log, level)("technician_code", verdict=verdict.value, line=record.line)
        with contextlib.suppress(GatewayUnavailableError):
            self._send(Unlocked(line=record.line, accepted=verdict is CodeVerdict.ACCEPTED))
        self._touch()

    def view(self, now: Moment) -> UnlockView:
        """What the page shows: the code, or until when none is taken, and until when a technician is admitted."""
        code, until_ms = self._desk.code(now.boot_ms)
        locked_ms = self._desk.locked_until(now.boot_ms)
        return UnlockView(
            unlock_code=code if locked_ms is None else "",
            code_until=_wall(until_ms, now) if locked_ms is None else None,
            locked_until=_wall(locked_ms, now),
            unlocked_until=_wall(self._desk.unlocked_until(now.boot_ms), now),
        )

    async def run(self) -> None:
        """Let the page follow when a code, a lock or a session ends by itself."""
        shown = None
        while True:
            now = self._now().boot_ms
            state = (self._desk.code(now), self._desk.locked_until(now), self._desk.unlocked_until(now))
            if shown is not None and state != shown:
                self._touch()
            shown = state
            await asyncio.sleep(_LOOK_S)


def _wall(at_ms: int | None, now: Moment) -> datetime | None:
    return None if at_ms is None else now.wall_at(at_ms)
