"""Whether a way lives: it is judged by answers that stay away where there were answers before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.liveness import AGAIN_MS, ANSWER_TIMEOUT_MS, LOSSES, Liveness


def _asked(liveness, now):
    assert liveness.due(now)
    return now


def test_nothing_is_asked_before_a_registrar_has_accepted_or_with_a_period_of_nothing():
    assert Liveness(30_000, lambda: 0.5).next_ms is None
    off = Liveness(0, lambda: 0.5)
    off.start(1000)
    assert (off.next_ms, off.due(10**9)) == (None, False)


def test_three_unanswered_in_a_row_mean_a_dead_way():
    liveness = Liveness(30_000, lambda: 0.5)
    liveness.start(0)
    now = liveness.next_ms
    assert now == 27_000
    _asked(liveness, now)
    assert not liveness.heard(now, alive=True)
    assert liveness.answered_ms == now
    ends = []
    for _ in range(LOSSES):
        now = _asked(liveness, liveness.next_ms)
        ends.append(liveness.heard(now, alive=False))
        if not ends[-1]:
            assert liveness.next_ms == now + AGAIN_MS
    assert ends == [False, False, True]


def test_a_server_that_never_answers_options_is_not_dead():
    liveness = Liveness(30_000, lambda: 0.5)
    liveness.start(0)
    for _ in range(20):
        now = _asked(liveness, liveness.next_ms)
        assert not liveness.heard(now, alive=False)
        assert liveness.next_ms - now >= 24_000


def test_one_that_is_never_reported_counts_as_unanswered():
    liveness = Liveness(30_000, lambda: 0.5)
    liveness.start(0)
    now = _asked(liveness, liveness.next_ms)
    assert liveness.next_ms == now + ANSWER_TIMEOUT_MS
    assert not liveness.tick(now + ANSWER_TIMEOUT_MS - 1)
    assert not liveness.tick(now + ANSWER_TIMEOUT_MS)
    assert liveness.next_ms > now + ANSWER_TIMEOUT_MS


@pytest.mark.parametrize("step", ["stop", "start"])
def test_a_new_way_is_judged_anew(step):
    liveness = Liveness(30_000, lambda: 0.5)
    liveness.start(0)
    now = _asked(liveness, liveness.next_ms)
    liveness.heard(now, alive=True)
    liveness.stop()
    liveness.start(now)
    for _ in range(10):
        now = _asked(liveness, liveness.next_ms)
        assert not liveness.heard(now, alive=False)


@given(st.lists(st.sampled_from(["answer", "silence", "nothing", "start", "stop"]), max_size=60))
def test_while_it_is_used_it_is_asked_again_and_never_faster_than_the_pace(steps):
    liveness = Liveness(10_000, lambda: 0.0)
    now = begun = 0
    running = False
    for step in steps:
        if step == "start":
            liveness.start(now)
            running = True
        elif step == "stop":
            liveness.stop()
            running = False
        elif liveness.next_ms is not None:
            now = liveness.next_ms
            if liveness.due(now):
                assert not begun or now - begun >= min(AGAIN_MS, 8_000)
                begun = now
            if step == "nothing":
                liveness.tick(now + ANSWER_TIMEOUT_MS)
            else:
                liveness.heard(now, alive=step == "answer")
        assert (liveness.next_ms is not None) is running
