"""Which row of a price list is in force at each second of a call.

The candidates come in order of preference: the most specific prefix first, and within a prefix as the price list has
them. At every instant the first that is in force applies; where that changes, the call is split. Seconds are whole
seconds from the answer, and a second belongs to the side of a change on which it begins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo

from msgspec import Struct, structs

from agent.core.civil import DAY_S, Days, Window, civil_days, gap, gap_text, local, seconds_since_epoch
from agent.core.tariff import Rate, TariffError


class Span(Struct, frozen=True, gc=False):
    """From second `begin_s` of the call to `end_s` (exclusive; None: to its end) the row `rate` is in force, or none.

    `month` (`2026-11`) and `shown`, what a clock on the wall shows at its beginning, are there if time was asked for.
    """

    rate: Rate | None
    begin_s: int
    end_s: int | None
    month: str = ""
    shown: datetime | None = None


def spans(
    rates: Sequence[Rate],
    holidays: Sequence[Days],
    start: datetime | None,
    zone: tzinfo | None,
    until_s: int,
    *,
    by_month: bool = False,
) -> Iterator[Span]:
    """Return the spans of a call answered at `start`, until they cover `until_s` seconds; `by_month` cuts months apart.

    Raises TariffError where the rows depend on time and `start` or `zone` is missing.
    """
    if rates and rates[0].is_timeless and not by_month:
        return iter((Span(rates[0], 0, None),))
    if start is None or zone is None:
        raise TariffError("the price depends on time: say when the call was answered, and in which time zone")
    return _timed(rates, holidays, seconds_since_epoch(start), zone, until_s, by_month=by_month)


def _timed(
    rates: Sequence[Rate], holidays: Sequence[Days], began: int, zone: tzinfo, until_s: int, *, by_month: bool
) -> Iterator[Span]:
    pending: Span | None = None
    for day, begin_s, rate in _changes(rates, holidays, began, zone):
        if pending is not None and begin_s >= until_s:
            break
        month = day.isoformat()[:7] if by_month else ""
        if pending is not None and pending.rate is rate and pending.month == month:
            continue
        if pending is not None:
            yield structs.replace(pending, end_s=begin_s)
        pending = Span(rate, begin_s, None, month, local(began + begin_s, zone))
    if pending is not None:
        yield pending


def rate_at(
    rates: Sequence[Rate], holidays: Sequence[Days], start: datetime | None, zone: tzinfo | None
) -> Rate | None:
    """Return the row in force at `start`; None where there is none. Raises TariffError as `spans` does."""
    return next(spans(rates, holidays, start, zone, 1)).rate


def limited(rates: Sequence[Rate], valid_from: date | None, valid_until: date | None) -> tuple[Rate, ...]:
    """Return the rows as far as they are in force between two civil days, both included; None is open.

    So a call over a change of price list or product is split at its midnight: the rows of the old one until the last
    day, then those of the new one from the first, as candidates of one call.
    """
    found = []
    for rate in rates:
        first = max((day for day in (rate.valid_from, valid_from) if day is not None), default=None)
        last = min((day for day in (rate.valid_until, valid_until) if day is not None), default=None)
        if first is None or last is None or first <= last:
            found.append(structs.replace(rate, valid_from=first, valid_until=last))
    return tuple(found)


def uncovered(rates: Sequence[Rate]) -> str:
    """Return a moment at which rows of one prefix are in force and none has a price, as text; empty if there is none.

    Days are looked at as between two changes of validity: a window that only names dates promises nothing.
    """
    changes = {date.min}
    for rate in rates:
        if rate.valid_from is not None:
            changes.add(rate.valid_from)
        if rate.valid_until is not None and rate.valid_until < date.max:
            changes.add(rate.valid_until + timedelta(days=1))
    seen: set[tuple[Window, ...]] = set()
    for day in sorted(changes):
        windows = tuple(rate.when for rate in rates if rate.is_valid_on(day))
        if not windows or windows in seen:
            continue
        seen.add(windows)
        found = gap(windows)
        if found is not None:
            since = "" if day == date.min else f" from {day.isoformat()} on"
            return gap_text(found) + since
    return ""


def _changes(
    rates: Sequence[Rate], holidays: Sequence[Days], began: int, zone: tzinfo
) -> Iterator[tuple[date, int, Rate | None]]:
    """Yield (civil day, second of the call, row in force) at every edge of a window, without end."""
    edges = sorted({DAY_S, *(edge for rate in rates for pair in rate.when.times for edge in pair)})
    for day, shown, begin, end in civil_days(began, zone):
        today = [rate for rate in rates if rate.is_valid_on(day) and rate.when.fits_day(day, holidays)]
        at = begin
        while at < end:
            second = shown + at - begin
            yield day, at - began, next((rate for rate in today if rate.when.fits_time(second)), None)
            at = min(end, at + edges[bisect_right(edges, second)] - second)
