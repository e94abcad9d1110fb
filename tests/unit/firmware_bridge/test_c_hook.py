"""What the current in a loop means, as the C device tells it: lifted, replaced, flashed, dialled."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.peer("gcc", "make")

LIFT_MS = 100


def loop(core, *lengths, tail=2000):
    """The handset is lifted at LIFT_MS; `lengths` alternate: closed, open, closed, ..."""
    changes = list(itertools.accumulate((LIFT_MS, *lengths)))
    return core.loop(changes, changes[-1] + tail)


def dialled(pulses, break_ms=60, make_ms=40):
    return (break_ms, make_ms) * (pulses - 1) + (break_ms,)


def test_lifting_and_replacing(core):
    assert loop(core, 1000) == ["L100", "R1100"]


def test_a_contact_that_bounces_lifts_once(core):
    assert core.loop([50, 52, 53, 55, 57], 1000) == ["L57"]
    assert core.loop([50, 55], 1000) == []


@pytest.mark.parametrize("pulses", range(1, 11))
@pytest.mark.parametrize(("break_ms", "make_ms"), [(60, 40), (67, 33), (50, 50), (33, 17)])
def test_a_digit_is_its_pulses(core, pulses, break_ms, make_ms):
    seen = loop(core, 500, *dialled(pulses, break_ms, make_ms), 1000)
    assert seen[:2] == ["L100", f"{pulses % 10}@600"]
    assert seen[2].startswith("R")


def test_a_number_is_dialled_digit_by_digit(core):
    seen = loop(core, 500, *dialled(1), 700, *dialled(1), 700, *dialled(2), 5000)
    assert [word[0] for word in seen] == ["L", "1", "1", "2", "R"]


def test_more_than_ten_pulses_are_no_digit(core):
    assert [word[0] for word in loop(core, 500, *dialled(11), 1000)] == ["L", "R"]


@pytest.mark.parametrize(("ms", "seen"), [(80, "F80@680"), (100, "F100@700"), (500, "F500@1100"), (700, "F700@1300")])
def test_a_flash_is_no_hang_up(core, ms, seen):
    assert loop(core, 500, ms, 5000) == ["L100", seen, f"R{600 + ms + 5000}"]


def test_a_handset_down_for_longer_was_replaced(core):
    assert loop(core, 500, 702, 5000) == ["L100", "R600", "L1302", "R6302"]


def test_a_hang_up_in_the_middle_of_a_digit_forgets_it(core):
    assert loop(core, 500, 60, 40, 60, 40, 3000, 1000, 60, tail=50)[:3] == ["L100", "R800", "L3800"]


@given(st.lists(st.integers(0, 900), max_size=40))
def test_hooks_alternate_and_nothing_is_dialled_on_hook(core, lengths):
    lifted = False
    for word in loop(core, *lengths):
        if word[0] in "LR":
            assert lifted is (word[0] == "R")
            lifted = not lifted
        else:
            assert lifted
