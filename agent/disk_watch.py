"""Watches the store's disk: says when room runs low and when writing fails, and when either is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from agent.store.errors import StoreError, StoreFull
from agent.store.room import Space

_LOOK_S = 10.0
_log = structlog.get_logger("disk")


class TendedStore(Protocol):
    """The part of the store that looks after its disk."""

    @property
    def trouble(self) -> StoreError | None:
        """Why nothing could be written the last time."""

    @property
    def journal_trouble(self) -> str:
        """Why there is one copy only."""

    async def tend(self) -> Space:
        """Mend what can be mended; how much room there is. Raises StoreError."""


class DiskWatch:
    """What the page shows of the disk, and the alarm in the log. `mended` is called while writing works."""

    def __init__(self, store: TendedStore, *, mended: Callable[[], None], touch: Callable[[], None]) -> None:
        self._store, self._mended, self._touch = store, mended, touch
        self._said: tuple[bool, bool, bool] = (False, False, False)
        self.space: Space | None = None
        """None: not asked yet, or the disk does not say."""

    @property
    def trouble(self) -> StoreError | None:
        """Why the store can't be written."""
        return self._store.trouble

    @property
    def full(self) -> bool:
        """Whether it is for want of room."""
        return isinstance(self._store.trouble, StoreFull)

    @property
    def low(self) -> bool:
        """Whether room runs low."""
        return self.space is not None and self.space.low

    @property
    def journal_trouble(self) -> str:
        """Why the newest records are there once only."""
        return self._store.journal_trouble

    async def run(self) -> None:
        """Look now and then until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Tend the store once, and tell what has changed."""
        try:
            self.space = await self._store.tend()
        except StoreError as error:
            self.space = None
            _log.error("disk_unknown", detail=str(error))
        if self._store.trouble is None:
            self._mended()
        self._tell()

    def _tell(self) -> None:
        now = (self.low, self.trouble is not None, bool(self.journal_trouble))
        free = self.space.free if self.space is not None else None
        words = (
            ("store.low_space", "store.room_again", f"{free} bytes are left"),
            ("store.not_writable", "store.writable_again", str(self.trouble or "")),
            ("store.one_copy_only", "store.two_copies_again", self.journal_trouble),
        )
        for before, after, (alarm, over, detail) in zip(self._said, now, words, strict=True):
            if after and not before:
                _log.critical(alarm, detail=detail)
            elif before and not after:
                _log.warning(over)
        if now != self._said:
            self._touch()
        self._said = now
