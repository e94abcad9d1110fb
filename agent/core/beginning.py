"""How soon a process that has just begun registers: a courtesy to a registrar that a whole street comes back to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from agent.core.registration import HURRY_MS, MAX_DELAY_MS

CRASH_MEMORY_MS: Final = 10 * 60_000
"""Ends without a goodbye that lie further back count no more."""
_BASE_DELAY_MS: Final = 2_000
_MAX_DOUBLINGS: Final = 10


class Beginning(Struct, frozen=True):
    """`cold`: the first start since the machine came up. `crashes`: ends without a goodbye within CRASH_MEMORY_MS.

    `rests`: credentials that were refused to the process before, by mark, and the boot time until which each rests.
    `called_for_help`: when the last emergency call of a line ended, by line.
    """

    cold: bool = False
    crashes: int = 0
    rests: Mapping[str, int] = msgspec.field(default_factory=dict)
    called_for_help: Mapping[int, int] = msgspec.field(default_factory=dict)

    def delay_ms(self, boot_spread_ms: int, uniform: Callable[[], float]) -> int:
        """How long the first REGISTER waits, unless a handset is lifted before.

        After the first crash at once. What crashes again and again may be what the operator sends as soon as we are
        registered: then with full jitter, longer each time.
        """
        if self.crashes > 1:
            ceiling = min(MAX_DELAY_MS, _BASE_DELAY_MS << min(self.crashes - 1, _MAX_DOUBLINGS))
        elif self.crashes == 1:
            ceiling = HURRY_MS
        else:
            ceiling = boot_spread_ms if self.cold else 0
        return int(ceiling * uniform())
