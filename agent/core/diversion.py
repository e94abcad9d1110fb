"""From where a call has been sent on, and when it stays where it is: else two forwardings send it back and forth."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

MOST_COUNTED: Final = 100
"""More than any profile allows."""


class DiversionReason(enum.StrEnum):
    """Why a call was sent on (RFC 5806 §4); what others may write besides is `UNKNOWN` to us."""

    UNCONDITIONAL = "unconditional"
    NO_ANSWER = "no-answer"
    USER_BUSY = "user-busy"
    DEFLECTION = "deflection"
    UNAVAILABLE = "unavailable"
    DO_NOT_DISTURB = "do-not-disturb"
    UNKNOWN = "unknown"


class Diverted(Struct, frozen=True):
    """One number that a call was sent on from."""

    user: str
    """As a SIP user part; empty: it is not told."""
    host: str = ""
    """Empty: the domain of the account that the call belongs to."""
    reason: DiversionReason = DiversionReason.UNKNOWN
    count: int = 1
    """How often it was, one after the other (1 to MOST_COUNTED)."""
    hidden: bool = False
    """Whether nobody but the operators is to see the number."""


def stays_because(
    past: Sequence[Diverted], *, here: str, target: str, most: int, read: Callable[[str], str]
) -> str:  # fmt: skip
    """Why a call that has come by `past` is not sent on from the number `here` to `target`; empty: it may be.

    A call is diverted at most `most` times in all, and to or from no number twice. Numbers are canonical; `read` makes
    one of a user part.
    """
    if sum(one.count for one in past) >= most:
        return f"it has been diverted {most} times"
    before = {read(one.user) for one in past if one.user}
    if target in before:
        return "it has come from there"
    return "it has been diverted from here before" if here and here in before else ""
