"""One handset: what the card is told to do."""

from __future__ import annotations

import pytest

from agent.core.actions import Announce, CloseAudio, OpenAudio, PlayTone, Ring, StopAnnouncement, StopRing, StopTone
from agent.core.announcement import Announcement
from agent.core.caller import CallerId
from agent.core.dialplan import compile_plan
from agent.core.line import (
    FRESH_START_MS,
    HOWLER_AFTER_MS,
    LONGEST_ANNOUNCEMENT_MS,
    Dialled,
    Line,
    LinePhase,
    Misdialled,
)
from agent.core.terms import Tone

CALLER = CallerId("22334455", "Kari")
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


def test_what_cannot_be_dialled_is_said_and_sounds_special(lifted):
    decided = lifted.dial("9", PLAN, 0)

    assert decided[-2:] == [Misdialled(1), Announce(1, Announcement.NO_SUCH_NUMBER, take=1)]
    assert lifted.announced(1, 3000) == [StopAnnouncement(1), PlayTone(1, Tone.SPECIAL)]
    assert lifted.deadline() == 3000 + HOWLER_AFTER_MS


def test_a_line_that_announces_nothing_sounds_special_at_once():
    line = Line(1)
    line.announces = False
    line.lift(PLAN, 0)
    assert line.dial("9", PLAN, 0)[-1] == PlayTone(1, Tone.SPECIAL)


def test_a_number_that_stays_unfinished_is_told_apart_from_a_handset_that_lies_there(lifted):
    lifted.dial("2", PLAN, 0)
    assert lifted.tick(PLAN, 15_000) == [Announce(1, Announcement.INCOMPLETE_NUMBER, take=1)]
    lifted.replace()
    lifted.lift(PLAN, 20_000)
    assert lifted.tick(PLAN, 35_000) == [PlayTone(1, Tone.CONGESTION)]


def test_an_announcement_whose_end_nobody_tells_is_followed_by_its_tone_all_the_same(lifted):
    lifted.dial("9", PLAN, 0)
    assert lifted.tick(PLAN, LONGEST_ANNOUNCEMENT_MS - 1) == []
    assert lifted.tick(PLAN, LONGEST_ANNOUNCEMENT_MS) == [StopAnnouncement(1), PlayTone(1, Tone.SPECIAL)]
    assert lifted.tick(PLAN, LONGEST_ANNOUNCEMENT_MS + HOWLER_AFTER_MS) == [PlayTone(1, Tone.HOWLER)]


def test_on_hook_ends_an_announcement_and_its_late_end_is_not_that_of_the_next(lifted):
    lifted.dial("9", PLAN, 0)
    assert lifted.replace() == [StopAnnouncement(1)]
    lifted.lift(PLAN, 1000)
    assert lifted.dial("9", PLAN, 1100)[-1] == Announce(1, Announcement.NO_SUCH_NUMBER, take=2)

    assert lifted.announced(1, 1200) == []
    assert lifted.announcement is Announcement.NO_SUCH_NUMBER


def test_112_can_be_dialled_behind_an_announcement_as_behind_a_tone(lifted):
    lifted.dial("9", PLAN, 0)
    assert [lifted.dial(digit, PLAN, 100) for digit in "112"] == [[], [], []], "the rest of a refused number"
    decided = [lifted.dial(digit, PLAN, 100 + FRESH_START_MS) for digit in "112"]
    assert decided == [[], [], [StopAnnouncement(1), Dialled(1, "112", emergency=True)]]


def test_nothing_is_said_behind_a_conversation_of_machines(lifted):
    lifted.join("c")
    lifted.speak()
    lifted.machine_heard()
    assert lifted.leave(Tone.CONGESTION, 0, Announcement.TIME_UP)[-1] == PlayTone(1, Tone.CONGESTION)


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
    assert line.ring("c", CALLER) == [Ring(1, CALLER)]
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
    assert line.exercise_ring(2000, 0) == [Ring(1, None)]
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
    assert line.tick(PLAN, 60_000)[-1] == Announce(1, Announcement.INCOMPLETE_NUMBER, take=1)
