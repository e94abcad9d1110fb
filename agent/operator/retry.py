"""When to try again. Pure: the clock and the random source are arguments.

Full jitter keeps a fleet apart after an outage; `Retry-After` (RFC 9110 section 10.2.3) is a floor under it, and is
measured against the answer's own `Date`, since an adapter's wall clock may be wrong by decades.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime

from msgspec import Struct, structs

from agent.operator.errors import Busy, Refused

Uniform = Callable[[float, float], float]
"""`uniform(low, high)`: a random number between the two, like `random.uniform`."""

BASE_S = 4.0
CAP_S = 900.0
RETRY_AFTER_CAP_S = 6 * 3600.0
REFUSED_S = (900.0, 3600.0)
"""A refused device stays refused until somebody acts: it asks seldom, and never in step with its neighbours."""

_MAX_DOUBLINGS = 16
_MAX_SECONDS_DIGITS = 9


def jitter_s(failures: int, uniform: Uniform) -> float:
    """Seconds to wait after `failures` (at least 1) in a row: uniform(0, min(900, 4 * 2^n)), n counted from 0."""
    doublings = min(max(failures - 1, 0), _MAX_DOUBLINGS)
    return uniform(0.0, min(CAP_S, BASE_S * 2.0**doublings))


def retry_after_s(value: str | None, date: str | None) -> float | None:
    """Seconds that a `Retry-After` field asks for; None where it is absent or says nothing that can be used.

    `value` is seconds or an HTTP-date; a date counts from the answer's own `Date`, never from the local clock.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:_MAX_SECONDS_DIGITS]) if len(text) <= _MAX_SECONDS_DIGITS else RETRY_AFTER_CAP_S
    until, now = _http_date(text), _http_date(date or "")
    if until is None or now is None:
        return None
    return max(0.0, (until - now).total_seconds())


class Retry(Struct, frozen=True):
    """How often in a row it failed, and the boot time in milliseconds before which nothing is tried again."""

    failures: int = 0
    not_before_ms: int = 0

    def failed(self, now_ms: int, uniform: Uniform, asked_s: float | None = None) -> Retry:
        """After a failure that may pass. `asked_s`: the `Retry-After` of the answer, honoured up to six hours."""
        failures = self.failures + 1
        wait_s = jitter_s(failures, uniform)
        if asked_s is not None:
            wait_s = min(RETRY_AFTER_CAP_S, asked_s + wait_s)
        return Retry(failures, now_ms + round(wait_s * 1000))

    def after(self, error: Exception, now_ms: int, uniform: Uniform) -> Retry:
        """After a failed attempt: slowly where the device is refused, not before a busy operator's `Retry-After`."""
        if isinstance(error, Refused):
            return self.refused(now_ms, uniform)
        return self.failed(now_ms, uniform, error.retry_after_s if isinstance(error, Busy) else None)

    def refused(self, now_ms: int, uniform: Uniform) -> Retry:
        """After 401 or 403."""
        return Retry(self.failures + 1, now_ms + round(uniform(*REFUSED_S) * 1000))

    def postponed(self, now_ms: int, wait_s: float) -> Retry:
        """Not before `wait_s` from now, whatever went before."""
        return structs.replace(self, not_before_ms=now_ms + round(wait_s * 1000))

    def remaining_s(self, now_ms: int) -> float:
        """Seconds until the next attempt is due; 0 where it is due now."""
        return max(0.0, (self.not_before_ms - now_ms) / 1000)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None
