"""One handset: what the card is told to do."""

from __future__ import annotations

import pytest

from agent.core.dialplan import compile_plan
from agent.core.events import CloseAudio, OpenAudio, PlayTone, Ring, StopRing, StopTone, Tone
from agent.core.line import FRESH_START_MS, HOWLER_AFTER_MS, Dialled, Line, LinePhase, Misdialled

PLAN = compile_plan(["2x", "3x.S3"], ["112"], first_digit_ms=15_000)


@pytest.fixture
def line():
    return Line(1)


@pytest.fixture
def lifted(line):
    line.lift(PLAN, 0)
    return line


def test_lifting_brings_dial_tone_once(line):
    assert line.lift(PLAN, 0) == [PlayTone(1, Tone.DIAL)]
    assert line.lift(PLAN, 5) == []


def test_digits_silence_the_dial_tone_and_make_a_number(lifted):
    assert lifted.dial("2", PLAN, 100) == [StopTone(1)]
    assert lifted.dial("5", PLAN, 200) == [Dialled(1, "25", emergency=False)]
    assert lifted.deadline() is None


def test_an_emergency_number_says_so(lifted):
    assert [lifted.dial(digit, PLAN, 0) for digit in "112"][-1] == [Dialled(1, "112", emergency=True)]


def test_an_open_number_is_whole_after_its_silence(lifted):
    lifted.dial("3", PLAN, 0)
    lifted.dial("1", PLAN, 1000)

    assert lifted.deadline() == 4000
    assert lifted.tick(PLAN, 3999) == []
    assert lifted.tick(PLAN, 4000) == [Dialled(1, "31", emergency=False)]


@pytest.mark.parametrize(("digits", "service_code"), [("9", False), ("*21#", True)])
def test_what_cannot_be_dialled_sounds_special(lifted, digits, service_code):
    decided = [decision for digit in digits for decision in lifted.dial(digit, PLAN, 0)]

    assert decided[-2:] == [Misdialled(1, service_code), PlayTone(1, Tone.SPECIAL)]


def test_a_forgotten_handset_is_called_for(lifted):
    assert lifted.tick(PLAN, 15_000) == [PlayTone(1, Tone.CONGESTION)]
    assert lifted.tick(PLAN, 15_000 + HOWLER_AFTER_MS) == [PlayTone(1, Tone.HOWLER)]
    assert lifted.deadline() is None
    assert lifted.replace() == [StopTone(1)]
    assert lifted.phase is LinePhase.IDLE


def test_a_call_uses_the_card_and_gives_it_back(lifted):
    lifted.join("c")
    assert lifted.hear(Tone.RINGBACK) == [PlayTone(1, Tone.RINGBACK)]
    assert lifted.speak() == [StopTone(1), OpenAudio(1)]
    assert lifted.speak() == []
    assert lifted.leave(Tone.BUSY, 0) == [CloseAudio(1), PlayTone(1, Tone.BUSY)]
    assert lifted.call_id == ""


def test_a_ringing_line_stops_when_the_call_leaves_or_is_answered(line):
    assert line.ring("c", "22334455") == [Ring(1, "22334455")]
    assert not line.free
    assert line.leave(Tone.CONGESTION, 0) == [StopRing(1)]
    assert line.free

    line.ring("d", "")
    assert line.answer() == [StopRing(1)]
    assert (line.phase, line.call_id, line.off_hook) == (LinePhase.IN_CALL, "d", True)


def test_behind_a_tone_only_a_number_dialled_afresh_counts(lifted):
    lifted.reorder(Tone.BUSY, 0)
    for at, digit in enumerate("112"):
        assert lifted.dial(digit, PLAN, at * 100) == []

    later = 200 + FRESH_START_MS
    assert lifted.dial("1", PLAN, later) == []
    assert lifted.dial("1", PLAN, later + 100) == []
    assert lifted.dial("2", PLAN, later + 200) == [StopTone(1), Dialled(1, "112", emergency=True)]


def test_a_trial_is_for_idle_lines(line):
    assert line.exercise_ring(2000, 0) == [Ring(1, "")]
    assert line.exercise_ring(2000, 0) == []
    assert line.tick(PLAN, 2000) == [StopRing(1)]
    assert line.exercise_tone(Tone.BUSY, 2000, 3000) == [PlayTone(1, Tone.BUSY)]
    assert line.lift(PLAN, 4000) == []
    assert line.tick(PLAN, 5000) == [PlayTone(1, Tone.DIAL)]
    line.dial("2", PLAN, 5100)
    assert line.exercise_tone(Tone.BUSY, 2000, 5200) == []


def test_a_trial_tone_gives_way_to_a_digit(line):
    line.exercise_tone(Tone.BUSY, 60_000, 0)

    assert line.dial("1", PLAN, 100) == [StopTone(1)]
    assert line.tick(PLAN, 60_000)[-1] == PlayTone(1, Tone.CONGESTION)
