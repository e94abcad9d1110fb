"""Which calls and lines are connected with each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.daemon.sip.patchboard import MAX_PLACES, Patchboard


def cords(*pairs):
    return {frozenset(pair) for pair in pairs}


def test_a_call_and_a_line_hear_each_other_until_another_call_takes_the_line():
    board = Patchboard()
    assert board.connect(("a",), 0) == ([], [frozenset(("a", 0))])
    assert board.connect(("a",), 0) == ([], []), "the same word twice changes nothing"
    assert board.connect(("b",), 0) == ([frozenset(("a", 0))], [frozenset(("b", 0))])
    assert set(board) == cords(("b", 0))


def test_a_conference_keeps_what_is_connected_and_adds_the_rest():
    board = Patchboard()
    board.connect(("a",), 0)
    pulled, plugged = board.connect(("a", "b"), 0)
    assert (pulled, set(plugged)) == ([], cords(("a", "b"), ("b", 0)))
    assert set(board.cords_of("a")) == cords(("a", "b"), ("a", 0))
    assert set(board.connect(("a", "b"), None)[0]) == cords(("a", 0), ("b", 0))


def test_a_call_that_ends_takes_its_cords_with_it():
    board = Patchboard()
    board.connect(("a", "b"), 0)
    assert set(board.drop("a")) == cords(("a", "b"), ("a", 0))
    assert set(board) == cords(("b", 0))


def test_other_lines_are_left_alone():
    board = Patchboard()
    board.connect(("a",), 0)
    board.connect(("b",), 1)
    assert board.connect((), 0) == ([frozenset(("a", 0))], [])
    assert set(board) == cords(("b", 1))


@pytest.mark.parametrize("call_ids", [("a", "a"), tuple("abcde")])
def test_what_cannot_be_connected_changes_nothing(call_ids):
    board = Patchboard()
    board.connect(("a",), 0)
    with pytest.raises(ValueError, match=f"{len(call_ids)} calls"):
        board.connect(call_ids, 1)
    assert set(board) == cords(("a", 0))


_calls = st.lists(st.sampled_from("abcd"), max_size=MAX_PLACES - 1, unique=True).map(tuple)


@given(st.lists(st.tuples(_calls, st.none() | st.integers(0, 2)), max_size=12))
def test_what_is_pulled_and_plugged_always_adds_up_to_what_is_connected(words):
    board, plugged = Patchboard(), set()
    for call_ids, line in words:
        out, into = board.connect(call_ids, line)
        assert plugged.issuperset(out)
        assert plugged.isdisjoint(into)
        plugged = (plugged - set(out)) | set(into)
        assert set(board) == plugged
        assert not any(place in cord for place in call_ids for cord in board if not cord <= {*call_ids, line})
