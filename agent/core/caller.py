"""Who calls, and what of it the called party may see (RFC 3323, RFC 3325 §7; ITU-T Q.951 CLIP and CLIR)."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct


class Presentation(enum.StrEnum):
    """Whether the called party is shown who calls, and why not where it is not."""

    ALLOWED = "allowed"
    WITHHELD = "withheld"
    """The caller does not want it."""
    UNAVAILABLE = "unavailable"
    """The network does not know it."""


class CallerId(Struct, frozen=True):
    """`number` and `name` as the network gave them, empty where it gave none.

    Whatever `presentation` is, both may be there; nobody but records sees them where it is not ALLOWED.
    """

    number: str = ""
    name: str = ""
    presentation: Presentation = Presentation.ALLOWED

    @property
    def shown_number(self) -> str:
        """What a display may show; empty: nothing, see `presentation`."""
        return self.number if self.presentation is Presentation.ALLOWED else ""

    @property
    def shown_name(self) -> str:
        """As `shown_number`, of the name."""
        return self.name if self.presentation is Presentation.ALLOWED else ""


UNKNOWN_CALLER: Final = CallerId(presentation=Presentation.UNAVAILABLE)


def month_day_time(local_ms: int) -> str:
    """`MMDDhhmm` of a civil time, given as milliseconds since 1970 on the wall, as a telephone shows it."""
    return f"{datetime.fromtimestamp(local_ms / 1000, UTC):%m%d%H%M}"
