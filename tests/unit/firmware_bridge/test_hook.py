"""What the current in a loop means, as the simulated card tells it; where there is a compiler, the C device agrees."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.simulator.hook import HookDecoder, HookNews, HookTimes, HookWhat


def told(changes, end_ms, step_ms=1, times=None):
    """What the decoder tells of a loop whose current changes at these times, as the C device's shim writes it."""
    decoder, seen = HookDecoder(), []
    decoder.times = times or HookTimes()
    for now in range(0, end_ms, step_ms):
        news = decoder.sample(sum(at <= now for at in changes) % 2 == 1, now)
        if news is not None:
            seen.append(_written(news))
    return seen


def _written(news: HookNews) -> str:
    return {
        HookWhat.LIFTED: f"L{news.at_ms}",
        HookWhat.REPLACED: f"R{news.at_ms}",
        HookWhat.FLASHED: f"F{news.ms}@{news.at_ms}",
        HookWhat.DIALLED: f"{news.digit}@{news.at_ms}",
    }[news.what]


def loop(*lengths, tail=2000, **options):
    changes = list(itertools.accumulate((100, *lengths)))
    return told(changes, changes[-1] + tail, **options)


def dialled(pulses, break_ms=60, make_ms=40):
    return (break_ms, make_ms) * (pulses - 1) + (break_ms,)


@pytest.mark.parametrize("pulses", range(1, 11))
@pytest.mark.parametrize(("break_ms", "make_ms"), [(60, 40), (70, 30), (50, 50), (40, 20)])
def test_a_digit_is_its_pulses_also_in_the_cards_own_ticks(pulses, break_ms, make_ms):
    seen = loop(500, *dialled(pulses, break_ms, make_ms), 1000, step_ms=10)
    assert seen[:2] == ["L100", f"{pulses % 10}@600"]
    assert seen[2].startswith("R")


def test_a_number_is_dialled_digit_by_digit():
    seen = loop(500, *dialled(1), 700, *dialled(1), 700, *dialled(2), 5000, step_ms=10)
    assert [word[0] for word in seen] == ["L", "1", "1", "2", "R"]


@pytest.mark.parametrize(("ms", "seen"), [(60, "1@600"), (80, "F80@680"), (300, "F300@900"), (320, "R600")])
def test_the_window_of_the_recall_key_is_the_hosts(ms, seen):
    assert loop(500, ms, 5000, step_ms=10, times=HookTimes(flash_min_ms=80, flash_max_ms=300))[1] == seen


def test_a_break_between_a_pulse_and_a_recall_is_neither():
    assert loop(500, 80, 5000, times=HookTimes(flash_min_ms=100)) == ["L100", "R5680"]


@pytest.mark.peer("gcc", "make")
@given(st.lists(st.integers(0, 900), max_size=30))
def test_the_c_device_hears_the_same(core, lengths):
    changes = list(itertools.accumulate((100, *lengths)))
    assert told(changes, changes[-1] + 2000) == core.loop(changes, changes[-1] + 2000)
