"""May this call start, until when, and if not, why.

The order of the questions is the order in which a technician would ask them. A call without a rate is refused, never
free; an emergency call is granted before any question is asked.
"""

from __future__ import annotations

import enum

from msgspec import Struct

from agent.core.announcement import Announcement
from agent.core.budget import Cap
from agent.core.catalogue import Entitlement
from agent.core.numbers import EMERGENCY
from agent.core.terms import CallKind, Tone


class RefusalCode(enum.StrEnum):
    """Why a call may not start; each has a sentence `refusal.CODE`, a tone and an announcement."""

    NO_SUBSCRIPTION = "no_subscription"
    SUBSCRIPTION_INACTIVE = "subscription_inactive"
    SUBSCRIPTION_ENDED = "subscription_ended"
    LINE_NOT_IN_PLAN = "line_not_in_plan"
    NUMBER_NOT_IN_PLAN = "number_not_in_plan"
    IMPOSSIBLE_NUMBER = "impossible_number"
    BLOCKED_DESTINATION = "blocked_destination"
    NO_PRICE_LIST = "no_price_list"
    NO_RATE = "no_rate"
    LIMIT_CALL = "limit_call"
    LIMIT_MONTH = "limit_month"
    LIMIT_ABROAD = "limit_abroad"
    LIMIT_PREMIUM = "limit_premium"
    LIMIT_HOUR = "limit_hour"
    LIMIT_DAY = "limit_day"
    NO_BALANCE = "no_balance"


class RateFound(enum.StrEnum):
    """What the price list in force says of the dialled number."""

    FOUND = "found"
    NO_RATE = "no_rate"
    IMPOSSIBLE_NUMBER = "impossible_number"
    BLOCKED = "blocked"
    NO_PRICE_LIST = "no_price_list"


class CallRequest(Struct, frozen=True):
    """An outgoing call: from `line` (0-7) with `own_number` (E.164) to `number` (E.164, or short as dialled)."""

    kind: CallKind
    line: int
    own_number: str
    number: str


class Grant(Struct, frozen=True):
    """The call may start and lasts until `until_ms` of the boot clock (None: no limit); warned at `warn_at_ms`."""

    until_ms: int | None = None
    warn_at_ms: int | None = None


class Refusal(Struct, frozen=True):
    """The call may not start; the caller hears the announcement, and then `tone`."""

    code: RefusalCode
    tone: Tone
    announcement: Announcement


_TONES = {
    RefusalCode.NO_SUBSCRIPTION: Tone.CONGESTION,
    RefusalCode.SUBSCRIPTION_INACTIVE: Tone.SPECIAL,
    RefusalCode.SUBSCRIPTION_ENDED: Tone.SPECIAL,
    RefusalCode.LINE_NOT_IN_PLAN: Tone.SPECIAL,
    RefusalCode.NUMBER_NOT_IN_PLAN: Tone.SPECIAL,
    RefusalCode.IMPOSSIBLE_NUMBER: Tone.SPECIAL,
    RefusalCode.BLOCKED_DESTINATION: Tone.SPECIAL,
    RefusalCode.NO_PRICE_LIST: Tone.CONGESTION,
    RefusalCode.NO_RATE: Tone.SPECIAL,
    RefusalCode.LIMIT_CALL: Tone.SPECIAL,
    RefusalCode.LIMIT_MONTH: Tone.SPECIAL,
    RefusalCode.LIMIT_ABROAD: Tone.SPECIAL,
    RefusalCode.LIMIT_PREMIUM: Tone.SPECIAL,
    RefusalCode.LIMIT_HOUR: Tone.CONGESTION,
    RefusalCode.LIMIT_DAY: Tone.CONGESTION,
    RefusalCode.NO_BALANCE: Tone.SPECIAL,
}
"""Special information tone where trying again does not help, congestion where it does (ITU-T E.180, E.182)."""

_ANNOUNCEMENTS = {
    RefusalCode.NO_SUBSCRIPTION: Announcement.NOT_READY,
    RefusalCode.SUBSCRIPTION_INACTIVE: Announcement.SUBSCRIPTION_INACTIVE,
    RefusalCode.SUBSCRIPTION_ENDED: Announcement.SUBSCRIPTION_ENDED,
    RefusalCode.LINE_NOT_IN_PLAN: Announcement.NOT_IN_PLAN,
    RefusalCode.NUMBER_NOT_IN_PLAN: Announcement.NOT_IN_PLAN,
    RefusalCode.IMPOSSIBLE_NUMBER: Announcement.NO_SUCH_NUMBER,
    RefusalCode.BLOCKED_DESTINATION: Announcement.BARRED,
    RefusalCode.NO_PRICE_LIST: Announcement.NOT_READY,
    RefusalCode.NO_RATE: Announcement.NO_PRICE,
    RefusalCode.LIMIT_CALL: Announcement.LIMIT_CALL,
    RefusalCode.LIMIT_MONTH: Announcement.LIMIT_MONTH,
    RefusalCode.LIMIT_ABROAD: Announcement.LIMIT_ABROAD,
    RefusalCode.LIMIT_PREMIUM: Announcement.LIMIT_PREMIUM,
    RefusalCode.LIMIT_HOUR: Announcement.LIMIT_HOUR,
    RefusalCode.LIMIT_DAY: Announcement.LIMIT_DAY,
    RefusalCode.NO_BALANCE: Announcement.NO_BALANCE,
}

_BY_RATE = {
    RateFound.NO_RATE: RefusalCode.NO_RATE,
    RateFound.IMPOSSIBLE_NUMBER: RefusalCode.IMPOSSIBLE_NUMBER,
    RateFound.BLOCKED: RefusalCode.BLOCKED_DESTINATION,
    RateFound.NO_PRICE_LIST: RefusalCode.NO_PRICE_LIST,
}


_BY_CAP = {
    Cap.CALL: RefusalCode.LIMIT_CALL,
    Cap.MONTH: RefusalCode.LIMIT_MONTH,
    Cap.ABROAD: RefusalCode.LIMIT_ABROAD,
    Cap.PREMIUM: RefusalCode.LIMIT_PREMIUM,
    Cap.HOUR: RefusalCode.LIMIT_HOUR,
    Cap.DAY: RefusalCode.LIMIT_DAY,
    Cap.BALANCE: RefusalCode.NO_BALANCE,
}


def refuse_for_money(cap: Cap | None) -> Refusal:
    """The refusal of a call whose connect fee and first increment do not fit under `cap`; None: it has no price."""
    return refuse(_BY_CAP.get(cap, RefusalCode.NO_RATE) if cap is not None else RefusalCode.NO_RATE)


def refuse(code: RefusalCode) -> Refusal:
    """The refusal for `code`, with its tone and announcement."""
    return Refusal(code, _TONES[code], _ANNOUNCEMENTS[code])


def admit(
    request: CallRequest,
    entitlement: Entitlement | None,
    rate: RateFound,
    *,
    now_ms: int,
    ends_in_ms: int | None = None,
    extra_emergency: frozenset[str] = frozenset(),
) -> Grant | Refusal:
    """Decide on an outgoing call at `now_ms` of the boot clock; `entitlement` None: no subscription is known yet.

    `ends_in_ms`: the subscription ends so soon, and the call with it. `extra_emergency` adds numbers to 110, 112, 113
    and 1412 and can remove none.
    """
    if request.kind is CallKind.EMERGENCY or request.number in EMERGENCY or request.number in extra_emergency:
        return Grant()
    if entitlement is None:
        return refuse(RefusalCode.NO_SUBSCRIPTION)
    code = _standing(request, entitlement) or _BY_RATE.get(rate)
    if code is not None:
        return refuse(code)
    limits = entitlement.product.limits
    longest_ms = limits.call_max_s * 1000
    if ends_in_ms is not None:
        longest_ms = max(0, min(longest_ms, ends_in_ms))
    return Grant(now_ms + longest_ms, now_ms + max(0, longest_ms - limits.call_warn_s * 1000))


def _standing(request: CallRequest, entitlement: Entitlement) -> RefusalCode | None:
    """What the subscription itself has against the call."""
    if entitlement.ended:
        return RefusalCode.SUBSCRIPTION_ENDED
    if not entitlement.active:
        return RefusalCode.SUBSCRIPTION_INACTIVE
    if not entitlement.line_allowed(request.line):
        return RefusalCode.LINE_NOT_IN_PLAN
    if not entitlement.number_allowed(request.own_number):
        return RefusalCode.NUMBER_NOT_IN_PLAN
    return None
