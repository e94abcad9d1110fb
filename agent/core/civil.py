"""Civil time windows: on which days and at what hours of the operator's time zone a row of a price list applies.

A window is written as a person would: `mon-fri 08:00-17:00`, `sat+sun`, `hol`, `12-24..12-26+01-01`,
`mon-fri 00:00-08:00+17:00-24:00`, `2026-09-13 00:00-12:00`. Days first, then hours, each joined by `+`; nothing means
always. A time of day never runs past midnight: two pieces say it without doubt about whose day it is.

The time zone is an argument (`tzinfo`), and is only asked for its offset at an instant. A civil day of 23 or 25 hours
needs no rule of its own: what counts is what a clock on the wall shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Final

from msgspec import Struct

DAY_S: Final = 86_400
MAX_TEXT: Final = 200
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY: Final = "hol"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = _EPOCH.toordinal()
_CLOCK = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)
_DAYS = re.compile(r"(?:([0-9]{4})-)?([0-9]{2})-([0-9]{2})", re.ASCII)


class WindowError(ValueError):
    """A text is no window; the message says what one looks like."""


class Days(Struct, frozen=True):
    """Civil days from `first` to `last`, both included.

    Written as numbers: month and day (`1224`: 24 December of every year, and a range may cross the new year), or year,
    month and day (`20261224`).
    """

    first: int
    last: int

    def contains(self, day: date) -> bool:
        """Whether `day` is one of them."""
        key = day.month * 100 + day.day
        if self.first >= 10_000:
            key += day.year * 10_000
        elif self.first > self.last:
            return key >= self.first or key <= self.last
        return self.first <= key <= self.last

    def __str__(self) -> str:
        first, last = _day_text(self.first), _day_text(self.last)
        return first if first == last else f"{first}..{last}"


class Window(Struct, frozen=True):
    """Days and hours. A day fits if any of weekdays (1 Monday to 7 Sunday), holidays and dates names it.

    Without days every day fits, without `times` (pairs of seconds of the civil day, end exclusive) every hour.
    """

    weekdays: frozenset[int] = frozenset()
    holidays: bool = False
    dates: tuple[Days, ...] = ()
    times: tuple[tuple[int, int], ...] = ()

    @property
    def is_always(self) -> bool:
        """Whether it leaves nothing out."""
        return not (self.weekdays or self.holidays or self.dates or self.times)

    def fits_day(self, day: date, holidays: Sequence[Days]) -> bool:
        """Whether any hour of the day stands inside."""
        if not (self.weekdays or self.holidays or self.dates):
            return True
        return (
            day.isoweekday() in self.weekdays
            or (self.holidays and any(days.contains(day) for days in holidays))
            or any(days.contains(day) for days in self.dates)
        )

    def covers(self, weekday: int, second: int, *, holiday: bool) -> bool:
        """Whether every such weekday (a holiday or not) is inside at that second: dates alone promise nothing."""
        named = self.weekdays or self.holidays or self.dates
        day = weekday in self.weekdays or (holiday and self.holidays)
        return (not named or day) and self.fits_time(second)

    def fits_time(self, second: int) -> bool:
        """Whether a clock on the wall that shows `second` of a day stands inside, if the day does."""
        return not self.times or any(begin <= second < end for begin, end in self.times)

    def __str__(self) -> str:
        days = [*_weekday_texts(self.weekdays), *([HOLIDAY] if self.holidays else []), *map(str, self.dates)]
        times = [f"{_clock_text(begin)}-{_clock_text(end)}" for begin, end in self.times]
        return " ".join(part for part in ("+".join(days), "+".join(times)) if part)


ALWAYS: Final = Window()


def parse_window(text: str) -> Window:
    """Return the window that `str` writes as `text`; an empty text is always. Raises WindowError."""
    if len(text) > MAX_TEXT:
        raise WindowError(f"a window has at most {MAX_TEXT} characters")
    if not text:
        return ALWAYS
    if text != text.strip():
        raise WindowError(f"'{text}': write days, one space, and hours, with no space around them")
    days, _, hours = text.partition(" ")
    if ":" in days and not hours:
        days, hours = "", days
    weekdays: set[int] = set()
    dates: list[Days] = []
    holidays = False
    for part in days.split("+") if days else ():
        if part == HOLIDAY:
            holidays = True
        elif part[:1].isdigit():
            dates.append(parse_days(part))
        else:
            weekdays |= _parse_weekdays(part)
    times = [_parse_times(part) for part in hours.split("+")] if hours else []
    for (_, end), (begin, _) in pairwise(times):
        if begin < end:
            raise WindowError(f"'{hours}': list the times of day in order and without overlap")
    return Window(frozenset(weekdays), holidays, tuple(dates), tuple(times))


def parse_days(text: str) -> Days:
    """Return the days of `12-24`, `12-24..01-01`, `2026-12-24` or `2026-12-24..2026-12-31`. Raises WindowError."""
    begin, dots, end = text.partition("..")
    first = _parse_day(begin)
    last = _parse_day(end) if dots else first
    if (first >= 10_000) is not (last >= 10_000):
        raise WindowError(f"'{text}': write both days with their year or both without")
    if first >= 10_000 and last < first:
        raise WindowError(f"'{text}': the last day is before the first")
    return Days(first, last)


def gap(windows: Sequence[Window]) -> tuple[int, bool, int] | None:
    """Return a weekday (1-7), whether it is a holiday, and a second of it that no window covers; None if there is none.

    A window that names dates counts for its weekdays and holidays only.
    """
    edges = sorted({0, *(end for window in windows for pair in window.times for end in pair if end < DAY_S)})
    for weekday in range(1, 8):
        for holiday in (False, True):
            for second in edges:
                if not any(window.covers(weekday, second, holiday=holiday) for window in windows):
                    return weekday, holiday, second
    return None


def gap_text(found: tuple[int, bool, int]) -> str:
    """Return what `gap` found as people say it: `mon 17:00`, or `mon 17:00 on a holiday`."""
    weekday, holiday, second = found
    return f"{WEEKDAYS[weekday - 1]} {_clock_text(second)}{' on a holiday' if holiday else ''}"


def seconds_since_epoch(at: datetime) -> int:
    """Return the whole seconds since 1970 UTC of an aware time. Raises ValueError for a time without zone."""
    if at.utcoffset() is None:
        raise ValueError("a time without zone is no instant")
    spent = at - _EPOCH
    return spent.days * DAY_S + spent.seconds


def local(second: int, zone: tzinfo) -> datetime:
    """Return what a clock on the wall of `zone` shows at a second since 1970 UTC."""
    return (_EPOCH + timedelta(seconds=second)).astimezone(zone)


def civil_days(second: int, zone: tzinfo) -> Iterator[tuple[date, int, int, int]]:
    """Yield pieces of civil days from `second` on: (day, second of it that is shown first, first second, end).

    The last two are seconds since 1970 UTC, the end exclusive. One piece runs at one offset from UTC: a day on which
    the clocks change comes in two. More than one change within a day's length is not looked for: no zone has it. The
    pieces never end.
    """
    at = second
    while True:
        offset = _offset(at, zone)
        shown = at + offset
        ordinal, begin = divmod(shown, DAY_S)
        end = at + DAY_S - begin
        if _offset(end - 1, zone) != offset:
            low, high = at, end - 1
            while high - low > 1:
                middle = (low + high) // 2
                if _offset(middle, zone) == offset:
                    low = middle
                else:
                    high = middle
            end = high
        yield date.fromordinal(_EPOCH_ORDINAL + ordinal), begin, at, end
        at = end


def _offset(second: int, zone: tzinfo) -> int:
    offset = local(second, zone).utcoffset()
    if offset is None:
        raise ValueError("the zone does not know its offset from UTC")
    return offset.days * DAY_S + offset.seconds


def _parse_weekdays(text: str) -> set[int]:
    first, dash, last = text.partition("-")
    if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
        raise WindowError(
            f"'{text[:24]}': write days such as mon-fri, sat+sun, hol, 12-24 or 2026-12-24, "
            f"then hours such as 08:00-17:00"
        )
    begin = WEEKDAYS.index(first)
    count = (WEEKDAYS.index(last) - begin) % 7 + 1 if dash else 1
    return {(begin + step) % 7 + 1 for step in range(count)}


def _parse_day(text: str) -> int:
    match = _DAYS.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        year, month, day = match.groups()
        # A leap year, so that 02-29 is a day of every year.
        found = date(int(year or 2000), int(month), int(day))
    except ValueError:
        raise WindowError(f"'{text[:24]}': write a day such as 12-24 or 2026-12-24") from None
    return (found.year * 10_000 if year else 0) + found.month * 100 + found.day


def _parse_times(text: str) -> tuple[int, int]:
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise WindowError(f"'{text[:24]}': write hours such as 08:00-17:00, until 24:00 at most")
    hour, minute, last_hour, last_minute = map(int, match.groups())
    begin, end = hour * 3600 + minute * 60, last_hour * 3600 + last_minute * 60
    if end > DAY_S:
        raise WindowError(f"'{text}': the day ends at 24:00")
    if begin >= end:
        raise WindowError(f"'{text}': the end is not after the beginning; past midnight write 00:00-…+…-24:00")
    return begin, end


def _weekday_texts(weekdays: frozenset[int]) -> Iterator[str]:
    day = 1
    while day <= 7:
        end = day
        while end in weekdays:
            end += 1
        if end == day:
            day += 1
            continue
        first, last = WEEKDAYS[day - 1], WEEKDAYS[end - 2]
        yield first if first == last else f"{first}-{last}"
        day = end


def _day_text(key: int) -> str:
    rest = f"{key // 100 % 100:02d}-{key % 100:02d}"
    return f"{key // 10_000:04d}-{rest}" if key >= 10_000 else rest


def _clock_text(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}"
