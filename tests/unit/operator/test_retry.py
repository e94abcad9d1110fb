"""When the adapter tries again: never in step with its neighbours, never sooner than asked."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.operator.errors import Busy, Refused, Unreachable
from agent.operator.retry import CAP_S, REFUSED_S, RETRY_AFTER_CAP_S, Retry, jitter_s, retry_after_s

DATE = "Sun, 01 Mar 2026 12:00:00 GMT"


@pytest.mark.parametrize(("failures", "most"), [(1, 4), (2, 8), (3, 16), (8, 512), (9, 900), (10, 900), (10**9, 900)])
def test_the_wait_is_anything_up_to_a_bound_that_doubles(failures, most):
    bounds = []
    jitter_s(failures, lambda low, high: bounds.append((low, high)) or low)
    assert bounds == [(0.0, most)]


@given(st.integers(0, 10**6), st.integers(0, 10**12), st.none() | st.floats(0, 10**9), st.integers())
def test_a_failure_is_never_followed_too_soon_nor_too_late(failures, now_ms, asked_s, seed):
    retry = Retry(failures).failed(now_ms, random.Random(seed).uniform, asked_s)
    wait_s = retry.remaining_s(now_ms)
    assert 0 <= wait_s <= (CAP_S if asked_s is None else RETRY_AFTER_CAP_S)
    if asked_s is not None:
        assert wait_s >= min(asked_s, RETRY_AFTER_CAP_S) - 0.001
    assert retry.failures == failures + 1


def test_a_fleet_that_was_told_the_same_moment_does_not_come_back_in_it():
    assert [Retry().failed(0, pick, 60.0).remaining_s(0) for pick in (min, max)] == [60.0, 64.0]


def test_a_refused_device_asks_seldom(uniform):
    wait_s = Retry().refused(0, uniform).remaining_s(0)
    assert REFUSED_S[0] <= wait_s <= REFUSED_S[1]


def test_waiting_ends():
    retry = Retry().failed(1000, lambda low, high: high)
    assert [retry.remaining_s(now) for now in (1000, 4000, 5000, 9000)] == [4.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("120", None, 120.0),
        (" 0 ", DATE, 0.0),
        ("Sun, 01 Mar 2026 12:02:00 GMT", DATE, 120.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", DATE, 0.0),
        ("Sun, 01 Mar 2026 12:02:00 GMT", None, None),
        ("Sun, 01 Mar 2026 12:02:00 GMT", "nonsense", None),
        ("-5", DATE, None),
        ("1.5", DATE, None),
        ("٣", DATE, None),
        ("9" * 400, DATE, RETRY_AFTER_CAP_S),
        ("", DATE, None),
        (None, DATE, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_answers_own_date(value, date, seconds):
    assert retry_after_s(value, date) == seconds


@given(st.none() | st.text(max_size=60), st.none() | st.text(max_size=60))
def test_no_header_upsets_it(value, date):
    seconds = retry_after_s(value, date)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("error", "least_s", "most_s"),
    [
        (Refused("403"), *REFUSED_S),
        (Busy("503", 120.0), 120.0, 124.0),
        (Busy("503", None), 0.0, 4.0),
        (Unreachable("gone"), 0.0, 4.0),
        (OSError("disk"), 0.0, 4.0),
    ],
)
def test_what_went_wrong_says_how_long_to_wait(error, least_s, most_s):
    assert Retry().after(error, 0, lambda low, _: low).remaining_s(0) == least_s
    assert Retry().after(error, 0, lambda _, high: high).remaining_s(0) == most_s
    assert Retry(3).after(error, 0, lambda low, _: low).failures == 4
