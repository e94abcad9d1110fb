"""Hold and resume of a call, and offers that cross those of the far end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.hold import MAX_ATTEMPTS, Hold, Offer, Settled, crossing_wait_ms


def hold(*, owner=True, uniform=0.0):
    return Hold(owner=owner, uniform=lambda: uniform)


def test_a_hold_is_offered_once_and_settled_by_its_answer():
    call = hold()
    assert call.want(held=True) == [Offer(True)]
    assert call.pending
    assert call.answered(200, 1000) == [Settled(True, ok=True)]
    assert (call.pending, call.deadline()) == (False, None)


@pytest.mark.parametrize("code", [408, 415, 488, 500, 603])
def test_a_refused_hold_is_told_and_not_offered_again(code):
    call = hold()
    call.want(held=True)
    assert call.answered(code, 1000) == [Settled(True, ok=False)]
    assert call.deadline() is None
    assert call.tick(9000) == []


def test_whoever_has_refused_to_be_held_is_not_asked_to_come_back():
    call = hold()
    call.want(held=True)
    call.answered(488, 1000)
    assert call.want(held=False) == [Settled(False, ok=True)]
    assert call.want(held=True) == [Offer(True)]
    assert call.want(held=False) == []
    assert call.answered(500, 1100) == [Settled(True, ok=False), Settled(False, ok=True)]
    assert not call.pending


def test_a_resume_that_was_refused_can_be_tried_again():
    call = hold()
    call.want(held=True)
    call.answered(200, 1000)
    call.want(held=False)
    assert call.answered(500, 1100) == [Settled(False, ok=False)]
    assert call.want(held=True) == [Settled(True, ok=True)]
    assert call.want(held=False) == [Offer(False)]
    assert call.answered(200, 1200) == [Settled(False, ok=True)]


def test_a_resume_that_comes_while_the_hold_is_under_way_follows_it():
    call = hold()
    call.want(held=True)
    assert call.want(held=False) == []
    assert call.answered(200, 1000) == [Settled(True, ok=True), Offer(False)]
    assert call.answered(200, 1100) == [Settled(False, ok=True)]


def test_of_several_wishes_while_an_offer_is_under_way_only_the_last_is_offered():
    call = hold()
    call.want(held=True)
    call.want(held=False)
    assert call.want(held=True) == []
    assert call.answered(200, 1000) == [Settled(True, ok=True), Settled(True, ok=True)]
    call = hold()
    call.want(held=True)
    call.want(held=True)
    assert call.want(held=False) == []
    assert call.answered(200, 1000) == [Settled(True, ok=True), Offer(False)]


def test_an_offer_that_crossed_the_far_ends_is_made_again_after_the_wait_of_the_rfc():
    call = hold(owner=True)
    call.want(held=True)
    assert call.answered(491, 1000) == []
    assert call.deadline() == 3100
    assert call.tick(3099) == []
    assert call.tick(3100) == [Offer(True)]
    assert call.tick(3101) == []
    assert call.answered(200, 3200) == [Settled(True, ok=True)]


def test_an_answer_to_an_earlier_attempt_does_not_settle_the_one_that_waits():
    call = hold()
    call.want(held=True)
    call.answered(491, 1000)
    assert call.answered(200, 1001) == []
    assert call.pending


def test_somebody_who_always_crosses_us_is_given_up():
    call, now = hold(owner=False), 0
    steps = call.want(held=True)
    offers = 0
    while steps == [Offer(True)]:
        offers += 1
        steps = call.answered(491, now)
        if not steps:
            now = call.deadline()
            steps = call.tick(now)
    assert steps == [Settled(True, ok=False)]
    assert offers == MAX_ATTEMPTS


@given(uniform=st.floats(0, 1, exclude_max=True), owner=st.booleans())
def test_who_made_the_call_id_waits_longer_than_who_did_not(uniform, owner):
    wait = crossing_wait_ms(owner=owner, uniform=uniform)
    assert (2100 <= wait <= 4000) if owner else (0 <= wait <= 2000)
    assert wait % 10 == 0
