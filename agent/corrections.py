"""Sets right what was recorded before the time was known: by another record, never by rewriting one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, tzinfo
from typing import Protocol

import structlog

from agent import records
from agent.clock import Anchor
from agent.core.cdr import Cdr, Price

PAGE = 100
_RETRY_S = 5.0
_log = structlog.get_logger("corrections")


class CorrectionStore(Protocol):
    """The part of the store that corrections need; failures are among `troubles`."""

    async def undated(self, after: str, limit: int) -> list[Cdr]: ...
    async def known(self, call_id: str) -> bool: ...
    async def correct(self, cdr: Cdr, month: str, day: str) -> bool: ...


Reprice = Callable[[Cdr, datetime], Awaitable[tuple[Price | None, str] | None]]
"""Price of an answered chargeable call that began at this time, or why it has none; None: not now, ask later."""


class Corrections:
    """Makes the correction of each record that nobody vouched for, once the time of its boot is known."""

    def __init__(
        self,
        store: CorrectionStore,
        *,
        anchor_of: Callable[[str], Anchor | None],
        reprice: Reprice,
        zone: tzinfo,
        corrected: Callable[[Cdr], None],
        troubles: tuple[type[Exception], ...],
    ) -> None:
        self._store, self._anchor_of, self._reprice, self._zone = store, anchor_of, reprice, zone
        self._corrected, self._troubles = corrected, troubles
        self._wake = asyncio.Event()

    def look_again(self) -> None:
        """The time has become known, a price list has come, or a record was made that nobody vouches for."""
        self._wake.set()

    async def run(self) -> None:
        """Correct whatever there is, now and after each `look_again`, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.make()
            except self._troubles as error:
                _log.error("store_failed", detail=str(error))
                await asyncio.sleep(_RETRY_S)
            else:
                await self._wake.wait()

    async def make(self) -> int:
        """Correct every record whose time is known by now; how many. Raises what the store raises."""
        made, after = 0, ""
        while found := await self._store.undated(after, PAGE):
            for cdr in found:
                made += await self._correct(cdr)
            after = found[-1].id
        if made:
            _log.info("records_corrected", records=made)
        return made

    async def _correct(self, cdr: Cdr) -> bool:
        anchor = self._anchor_of(cdr.boot_id)
        if anchor is None or cdr.corrects or await self._store.known(records.correction_id(cdr.id)):
            return False
        began_at = anchor.wall_at(cdr.began_ms)
        price, unpriced = None, ""
        if cdr.duration_ms and records.is_chargeable(cdr.direction, cdr.kind):
            repriced = await self._reprice(cdr, began_at)
            if repriced is None:
                return False
            price, unpriced = repriced
        correction = records.correction(cdr, began_at, anchor.source.value, price, unpriced)
        if not await self._store.correct(correction, *records.period_of(correction.began_at, self._zone)):
            return False
        self._corrected(correction)
        return True
