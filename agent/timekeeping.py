"""Keeps the clock honest: remembers its anchors, asks the operator, and tells when the time has become known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

import msgspec
import structlog

from agent import records
from agent.clock import Clock, KeptTime, Word
from agent.operator.errors import Busy, OperatorError
from agent.operator.retry import Retry, Uniform
from agent.store.errors import StoreError

DOCUMENT = "clock"
LOOK_S = 5.0
ASK_MS = 6 * 3600 * 1000
KEEP_MS = 3600 * 1000
"""How often the newest time is written down, as the floor of the next boot."""

KEEP_AGAIN_MS = 60_000
"""How long a store that would not take it is left in peace."""

_SPREAD = (0.8, 1.2)
_SLOWEST_S = 300.0
_log = structlog.get_logger("time")


class TimeDocuments(Protocol):
    """The part of the store in which the time is kept."""

    async def put_document(self, name: str, body: bytes) -> None:
        """Keep it. Raises StoreError."""
        ...

    async def document(self, name: str) -> bytes | None:
        """What was kept. Raises StoreError."""
        ...


class Timekeeper:
    """Call `restore` first, then `run`. `known` is called whenever the time of this boot hangs on another anchor."""

    def __init__(
        self,
        clock: Clock,
        documents: TimeDocuments,
        ask: Callable[[], Awaitable[datetime]],
        *,
        uniform: Uniform,
        known: Callable[[], None],
        start_within_s: float = 0.0,
    ) -> None:
        """`ask` brings the operator's time. Raises OperatorError.

        `start_within_s` spreads a fleet that got its power back, where a time daemon has told the time already.
        """
        self._clock, self._documents, self._ask, self._uniform, self._known = clock, documents, ask, uniform, known
        self._retry = Retry()
        self._ask_again_ms = 0
        self._start_within_s = start_within_s
        self._kept: KeptTime | None = None
        self._kept_ms = self._keep_again_ms = 0

    async def restore(self) -> None:
        """Give the clock what an earlier process has kept. Raises StoreError."""
        body = await self._documents.document(DOCUMENT)
        if body is None:
            return
        try:
            kept = msgspec.json.decode(body, type=KeptTime)
        except (msgspec.DecodeError, UnicodeDecodeError):
            _log.error("kept_time_unreadable")
            return
        self._clock.restore(kept)
        self._kept = kept

    async def run(self) -> None:
        """Look after the clock until cancelled."""
        now = self._clock.now()
        if now.trusted:
            self._ask_again_ms = now.boot_ms + round(self._uniform(0.0, self._start_within_s) * 1000)
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Ask the operator if it is time to, keep what has changed, and tell."""
        now_ms = self._clock.now().boot_ms
        due = now_ms >= self._ask_again_ms or self._clock.wants_witness
        if due and self._retry.remaining_s(now_ms) == 0:
            await self._ask_operator()
        await self._keep(self._clock.now().boot_ms)

    async def _ask_operator(self) -> None:
        asked_ms = self._clock.now().boot_ms
        try:
            said = await self._ask()
        except OperatorError as error:
            _log.debug("time_not_told", detail=str(error))
            self._later(error)
            return
        answered_ms = self._clock.now().boot_ms
        before = self._clock.now()
        word = self._clock.confirm(said, asked_ms, answered_ms)
        if word in (Word.DIFFERS, Word.USELESS):
            _log.warning(
                "clock_disagrees", operator=records.rfc3339(said), here=records.rfc3339(before.wall),
                source=before.source.value, took_ms=answered_ms - asked_ms,
            )  # fmt: skip
        if word is Word.USELESS:
            self._later(None)
        else:
            self._retry = Retry()
            self._ask_again_ms = answered_ms + round(ASK_MS * self._uniform(*_SPREAD))

    def _later(self, error: OperatorError | None) -> None:
        now_ms = self._clock.now().boot_ms
        if isinstance(error, Busy):
            self._retry = self._retry.after(error, now_ms, self._uniform)
            return
        self._retry = self._retry.failed(now_ms, self._uniform)
        if self._retry.remaining_s(now_ms) > _SLOWEST_S:
            self._retry = self._retry.postponed(now_ms, _SLOWEST_S)

    async def _keep(self, now_ms: int) -> None:
        kept = self._clock.kept()
        changed = self._kept is None or kept.anchors != self._kept.anchors
        due = (changed and now_ms >= self._keep_again_ms) or now_ms - self._kept_ms >= KEEP_MS
        if not kept.anchors or not due:
            return
        try:
            await self._documents.put_document(DOCUMENT, msgspec.json.encode(kept))
        except StoreError as error:
            _log.error("time_not_kept", detail=str(error))
            self._keep_again_ms, self._kept_ms = now_ms + KEEP_AGAIN_MS, now_ms
            return
        self._kept, self._kept_ms = kept, now_ms
        anchor = self._clock.anchor
        if changed and anchor is not None:
            _log.info("time_known", source=anchor.source.value, now=records.rfc3339(anchor.wall_at(now_ms)))
            self._known()
