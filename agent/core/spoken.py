"""Which announcement tells a caller why there is no call, or soon none any more.

Busy, and a call that its parties have ended, need no words: everybody knows those tones.
"""

from __future__ import annotations

from typing import Final

from agent.core.announcement import Announcement
from agent.core.terms import Cause

_BY_CAUSE: Final = {
    Cause.NO_ANSWER: Announcement.NO_ANSWER,
    Cause.REMOTE_REFUSED: Announcement.REJECTED,
    Cause.NO_SUCH_NUMBER: Announcement.NO_SUCH_NUMBER,
    Cause.REDIRECTED: Announcement.REJECTED,
    Cause.NETWORK_FAILURE: Announcement.NETWORK_FAILURE,
    Cause.MEDIA_LOST: Announcement.NETWORK_FAILURE,
    Cause.SESSION_EXPIRED: Announcement.NETWORK_FAILURE,
    Cause.AGENT_UNAVAILABLE: Announcement.UNAVAILABLE,
    Cause.ENDED_BY_AGENT: Announcement.UNAVAILABLE,
    Cause.SHUTDOWN: Announcement.UNAVAILABLE,
    Cause.NO_CALL_SLOT: Announcement.TOO_MANY_CALLS,
    Cause.PREEMPTED: Announcement.PREEMPTED,
}

BY_LIMIT: Final = {
    "call": Announcement.LIMIT_CALL,
    "month": Announcement.LIMIT_MONTH,
    "abroad": Announcement.LIMIT_ABROAD,
    "premium": Announcement.LIMIT_PREMIUM,
    "hour": Announcement.LIMIT_HOUR,
    "day": Announcement.LIMIT_DAY,
    "balance": Announcement.NO_BALANCE,
    "price_list": Announcement.TIME_UP,
    "lease": Announcement.UNAVAILABLE,
}

"""By the word for what the granted time came from (`agent.core.budget.Cap`, which the telephone does not know)."""
_NOT_MONEY: Final = frozenset({"", "price_list", "lease"})

UNHEARD: Final = frozenset({
    Cause.NORMAL, Cause.CANCELLED, Cause.BUSY, Cause.NO_LINE_FREE, Cause.CARD_LOST, Cause.GATEWAY_LOST,
    Cause.FORWARDED,
})  # fmt: skip
"""Causes that need no words, or that no handset can hear."""


def at_the_end(cause: Cause, *, limit: str = "", emergency: bool = False) -> Announcement | None:
    """What is said where a call ends for `cause`; `limit`: what its granted time came from.

    A refusal brings its own announcement from the agent.
    """
    if emergency and cause in (Cause.NETWORK_FAILURE, Cause.NO_CALL_SLOT, Cause.REMOTE_REFUSED, Cause.NO_SUCH_NUMBER):
        return Announcement.EMERGENCY_FAILED
    if cause is Cause.LIMIT_REACHED:
        return BY_LIMIT.get(limit, Announcement.TIME_UP)
    return _BY_CAUSE.get(cause)


def before_the_end(limit: str) -> Announcement:
    """What is said into a conversation whose granted time is nearly over."""
    return Announcement.TIME_UP_SOON if limit in _NOT_MONEY else Announcement.LIMIT_SOON
