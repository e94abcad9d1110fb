"""Windows are read as people write them, and hold by what a clock on the wall shows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.civil import (
    ALWAYS,
    DAY_S,
    Days,
    Window,
    WindowError,
    civil_days,
    gap,
    gap_text,
    parse_days,
    parse_window,
    seconds_since_epoch,
)

OSLO = ZoneInfo("Europe/Oslo")
EARLY, LATE = datetime(1980, 1, 1), datetime(2060, 1, 1)  # noqa: DTZ001 - bounds of a strategy, without zone
CHRISTMAS = (parse_days("12-25..12-26"),)

times = st.lists(st.integers(0, 1440), min_size=2, max_size=6, unique=True).map(
    lambda minutes: tuple(
        (begin * 60, end * 60) for begin, end in zip(sorted(minutes)[::2], sorted(minutes)[1::2], strict=False)
    )
)
days = st.builds(
    lambda first, length: Days(int(f"{first:%Y%m%d}"), int(f"{first + timedelta(days=length):%Y%m%d}")),
    st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(0, 40),
) | st.builds(
    lambda first, last: Days(int(f"{first:%m%d}"), int(f"{last:%m%d}")),
    st.dates(date(2000, 1, 1), date(2000, 12, 31)), st.dates(date(2000, 1, 1), date(2000, 12, 31)),
)  # fmt: skip
windows = st.builds(
    Window, st.frozensets(st.integers(1, 7)), st.booleans(), st.lists(days, max_size=3).map(tuple), st.just(()) | times
)


@pytest.mark.parametrize(
    ("text", "moment", "inside"),
    [
        ("", "2026-11-22 03:00", True),
        ("mon-fri 08:00-17:00", "2026-11-20 08:00", True),
        ("mon-fri 08:00-17:00", "2026-11-20 17:00", False),
        ("mon-fri 08:00-17:00", "2026-11-21 12:00", False),
        ("17:00-24:00", "2026-11-21 23:59", True),
        ("00:00-08:00+17:00-24:00", "2026-11-21 12:00", False),
        ("00:00-08:00+17:00-24:00", "2026-11-21 07:59", True),
        ("sat+sun", "2026-11-22 00:00", True),
        ("fri-mon", "2026-11-23 10:00", True),
        ("fri-mon", "2026-11-24 10:00", False),
        ("hol", "2026-12-25 10:00", True),
        ("hol", "2026-12-24 10:00", False),
        ("sun+hol", "2026-12-26 10:00", True),
        ("12-24..01-01", "2027-01-01 10:00", True),
        ("12-24..01-01", "2026-12-23 10:00", False),
        ("2026-12-24", "2026-12-24 10:00", True),
        ("2026-12-24", "2027-12-24 10:00", False),
        ("2026-12-31..2027-01-02", "2027-01-01 10:00", True),
        ("02-29", "2028-02-29 10:00", True),
    ],
)
def test_a_window_holds_at_a_moment(text: str, moment: str, inside: bool) -> None:
    window, at = parse_window(text), datetime.fromisoformat(moment)
    second = at.hour * 3600 + at.minute * 60
    assert (window.fits_day(at.date(), CHRISTMAS) and window.fits_time(second)) is inside


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("weekdays", "mon-fri"),
        ("mon-xyz", "mon-fri"),
        ("mon-", "mon-fri"),
        ("8-17", "12-24"),
        ("mon 8:00-17:00", "08:00-17:00"),
        ("mon 08:00-08:00", "not after the beginning"),
        ("mon 19:00-07:00", "past midnight"),
        ("mon 08:00-24:30", "24:00"),
        ("mon 12:00-13:00+08:00-09:00", "in order"),
        ("mon 08:00-10:00+09:00-11:00", "overlap"),
        ("13-01", "12-24"),
        ("02-30", "12-24"),
        ("2026-02-29", "2026-12-24"),
        ("2026-12-24..01-01", "both days"),
        ("2026-12-24..2026-12-01", "before the first"),
        ("mon 08:00-17:00 tue", "hours"),
        (" ", "no space around"),
        ("mon+", "days"),
        ("x" * 201, "200"),
    ],
)
def test_a_doubtful_window_is_refused(text: str, advice: str) -> None:
    with pytest.raises(WindowError, match=advice):
        parse_window(text)


@given(windows)
def test_a_window_survives_being_written(window: Window) -> None:
    assert parse_window(str(window)) == window


@given(st.text(max_size=40) | st.text(alphabet="montuehl0123456789-+:. ", max_size=40))
def test_any_text_is_a_window_or_refused(text: str) -> None:
    try:
        window = parse_window(text)
    except WindowError:
        return
    assert parse_window(str(window)) == window


def test_a_week_without_gaps() -> None:
    assert gap([ALWAYS]) is None
    assert gap([parse_window(text) for text in ("mon-fri 08:00-17:00", "mon-fri", "sat+sun")]) is None
    assert gap([parse_window(text) for text in ("hol", "mon-fri 00:00-12:00", "12:00-24:00", "sat+sun")]) is None


@pytest.mark.parametrize(
    ("texts", "moment"),
    [
        (["mon-fri"], "sat 00:00"),
        (["mon-fri 08:00-17:00", "sat+sun"], "mon 00:00"),
        (["00:00-17:00"], "mon 17:00"),
        (["hol", "mon-sat"], "sun 00:00"),
        (["hol"], "mon 00:00"),
        (["12-24", "mon-sun 00:00-23:59"], "mon 23:59"),
        ([], "mon 00:00"),
    ],
)
def test_a_gap_in_the_week_is_named(texts: list[str], moment: str) -> None:
    found = gap([parse_window(text) for text in texts])
    assert found is not None
    assert gap_text(found) == moment


@given(st.lists(windows, max_size=4), st.datetimes(EARLY, LATE), st.booleans())
def test_where_no_gap_was_found_every_moment_is_covered(found: list[Window], at: datetime, holiday: bool) -> None:
    if gap(found) is not None:
        return
    day, second = at.date(), at.hour * 3600 + at.minute * 60 + at.second
    holidays = (Days(int(f"{day:%m%d}"), int(f"{day:%m%d}")),) if holiday else ()
    assert any(window.fits_day(day, holidays) and window.fits_time(second) for window in found)


# --- civil days ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "hours", "pieces"), [("2026-03-29", 23, 2), ("2026-10-25", 25, 2), ("2026-11-22", 24, 1)]
)
def test_days_of_23_24_and_25_hours(day: str, hours: int, pieces: int) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=OSLO)
    found = list(islice(civil_days(seconds_since_epoch(midnight), OSLO), pieces + 1))
    assert [piece[0].isoformat() for piece in found[:pieces]] == [day] * pieces
    assert found[pieces][0] == date.fromisoformat(day) + timedelta(days=1)
    assert found[pieces][1] == 0
    assert sum(end - begin for _, _, begin, end in found[:pieces]) == hours * 3600


@given(
    st.datetimes(EARLY, LATE, timezones=st.just(UTC)),
    st.sampled_from(
        ["Europe/Oslo", "UTC", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"]
    ),
    st.integers(0, 5 * DAY_S),
)
def test_pieces_show_what_the_wall_clock_shows(start: datetime, name: str, later: int) -> None:
    zone = ZoneInfo(name)
    began = seconds_since_epoch(start)
    at = began + later
    day, shown, begin, end = next(piece for piece in civil_days(began, zone) if piece[3] > at)
    assert begin <= at < end
    wall = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)).astimezone(zone)
    second = shown + at - begin
    assert (day, second) == (wall.date(), wall.hour * 3600 + wall.minute * 60 + wall.second)


def test_a_time_without_zone_is_no_instant() -> None:
    with pytest.raises(ValueError, match="zone"):
        seconds_since_epoch(datetime(2026, 1, 1))  # noqa: DTZ001 - the fault that is tested
