"""What the gateway is told of the civil time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from agent.clock import Moment
from agent.core.caller import month_day_time
from agent.telephone_clock import AGAIN_MS, TelephoneClock


@pytest.fixture
def telephone_clock():
    return TelephoneClock(ZoneInfo("Europe/Oslo"))


def moment(ms, *, trusted=True, ahead=timedelta(0), start=datetime(2026, 11, 29, 17, 30, tzinfo=UTC)):
    return Moment("b", ms, start + timedelta(milliseconds=ms) + ahead, trusted)


def test_it_is_told_the_time_at_home(telephone_clock):
    word = telephone_clock.word(moment(1000))
    assert word.at_ms == 1000
    assert month_day_time(word.local_ms) == "11291830"


def test_a_time_that_nobody_vouches_for_is_not_told(telephone_clock):
    assert telephone_clock.word(moment(0, trusted=False)) is None


def test_it_is_told_again_every_hour_and_to_a_new_gateway(telephone_clock):
    assert telephone_clock.word(moment(0)) is not None
    assert telephone_clock.word(moment(AGAIN_MS - 1)) is None
    assert telephone_clock.word(moment(AGAIN_MS)) is not None
    telephone_clock.forget()
    assert telephone_clock.word(moment(AGAIN_MS + 1)) is not None


def test_a_clock_that_was_put_right_and_the_end_of_summer_are_told_at_once(telephone_clock):
    summer = {"start": datetime(2026, 10, 25, 0, 59, 50, tzinfo=UTC)}
    assert month_day_time(telephone_clock.word(moment(0, **summer)).local_ms) == "10250259"
    assert telephone_clock.word(moment(5_000, **summer)) is None
    assert month_day_time(telephone_clock.word(moment(15_000, **summer)).local_ms) == "10250200"
    assert telephone_clock.word(moment(20_000, ahead=timedelta(minutes=1), **summer)) is not None
