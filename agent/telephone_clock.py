"""The civil time that telephones show with a caller: told to the gateway, which has no wall clock of its own."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Final

from agent.clock import Moment
from agent.gateway.protocol import WallClock

AGAIN_MS: Final = 3600 * 1000
"""Summer begins and ends on a full hour, and the gateway forgets what is older than two."""


class TelephoneClock:
    """What the gateway was last told. Pure."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._told: WallClock | None = None

    def forget(self) -> None:
        """The gateway is a new one."""
        self._told = None

    def word(self, now: Moment) -> WallClock | None:
        """What to tell it now; None: nothing, it knows, or nobody vouches for the time."""
        if not now.trusted:
            return None
        civil = now.wall.astimezone(self._zone).replace(tzinfo=UTC)
        fresh = WallClock(at_ms=now.boot_ms, local_ms=round(civil.timestamp() * 1000))
        told = self._told
        if told is not None:
            gone_by_ms = fresh.at_ms - told.at_ms
            if gone_by_ms < AGAIN_MS and abs(fresh.local_ms - told.local_ms - gone_by_ms) < _WORTH_TELLING_MS:
                return None
        self._told = fresh
        return fresh


_WORTH_TELLING_MS: Final = 30_000
