"""The card's clock on the host's: quick round trips are believed, nonsense is not."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.clockmap import ClockMap

U32 = 1 << 32


def test_without_a_measurement_the_time_of_arrival_is_what_is_known():
    assert ClockMap().to_host(5_000_000, 1234) == 1234


@given(
    offset=st.integers(0, 1 << 40),
    now=st.integers(10_000, 1 << 40),
    there=st.integers(0, 900),
    back=st.integers(0, 900),
)
def test_the_error_is_at_most_half_of_the_round_trip(offset, now, there, back):
    clock = ClockMap()
    clock.sample(now % U32, (now + there + offset) % U32, now + there + back)
    edge = now - 500
    told = clock.to_host((edge + offset) * 1000, now + there + back)
    assert abs(told - edge) <= (there + back) // 2 + 1


def test_the_quickest_of_the_last_exchanges_decides():
    clock = ClockMap()
    for turn in range(10):
        slow = 200 if turn != 4 else 2
        now = 1000 * turn
        clock.sample(now, now + 77_000, now + slow)
    assert clock.rtt_ms == 2
    assert abs(clock.to_host(85_000_000, 9200) - 8000) <= 1


@pytest.mark.parametrize("card_us", [0, 10**18])
def test_a_stamp_that_cannot_be_is_replaced_by_the_time_of_arrival(card_us):
    clock = ClockMap()
    clock.sample(50_000, 50_000, 50_002)
    assert clock.to_host(card_us, 50_010) == 50_010


def test_an_answer_to_no_question_is_ignored():
    clock = ClockMap()
    clock.sample(60_000, 5, 50_000)
    assert clock.rtt_ms == 0


@pytest.mark.parametrize("ppm", [-100, 0, 50])
def test_drift_is_measured_over_minutes(ppm):
    clock, chance = ClockMap(), random.Random(3)
    for second in range(600):
        now = second * 1000
        delay = chance.randint(0, 8)
        clock.sample(now, round((now + delay) * (1 + ppm / 1e6)) + 4711, now + 2 * delay)
    assert clock.drift_ppm == pytest.approx(ppm, abs=8)


def test_a_restarted_card_has_a_new_clock():
    clock = ClockMap()
    clock.sample(0, 1000, 2)
    clock.forget()
    assert (clock.rtt_ms, clock.drift_ppm, clock.to_host(0, 77)) == (0, 0, 77)
