"""It never gives up, never hammers, and does what the registrar asks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.registration import ATTEMPT_TIMEOUT_MS, MAX_DELAY_MS, MAX_RETRY_AFTER_MS, Registration


def _registration(uniform: float = 0.5, targets: int = 2) -> Registration:
    return Registration(targets, lambda: uniform, 1000)


def test_the_first_register_is_due_at_once():
    assert _registration().next_attempt_ms == 1000


@pytest.mark.parametrize(("uniform", "after_ms"), [(0.0, 150_000), (0.5, 210_000), (0.999999, 269_999)])
def test_a_refresh_comes_at_50_to_90_percent_of_what_was_granted(uniform, after_ms):
    registration = _registration(uniform)
    registration.begin(1000)
    registration.accepted(300, 2000)

    assert registration.registered
    assert registration.next_attempt_ms == 2000 + after_ms


@pytest.mark.parametrize("code", [401, 403, 407])
def test_a_refused_credential_is_tried_every_20_minutes_only(code):
    registration = _registration()
    registration.begin(1000)
    registration.failed(code, "no", 2000, on_wire=True)

    assert 1_200_000 <= registration.next_attempt_ms - 2000 <= 1_210_000
    assert registration.target == 0


@pytest.mark.parametrize(("asked_s", "least_ms"), [(120, 120_000), (0, 0), (-5, 0), (10**9, MAX_RETRY_AFTER_MS)])
def test_retry_after_is_obeyed_within_reason(asked_s, least_ms):
    registration = _registration()
    registration.begin(1000)
    registration.failed(503, "overload", 2000, on_wire=True, retry_after_s=asked_s)

    assert least_ms <= registration.next_attempt_ms - 2000 <= least_ms + 10_000


def test_a_silent_target_is_followed_by_the_next_and_the_one_that_answers_stays():
    registration = _registration(targets=3)
    tried = []
    for _ in range(4):
        tried.append(registration.begin(1000))
        registration.failed(408, "", 1000, on_wire=False)
    registration.begin(1000)
    registration.accepted(300, 1000)

    assert tried == [0, 1, 2, 0]
    assert registration.begin(2000) == 1


def test_patience_grows_once_per_round_of_targets_up_to_300_s():
    registration = _registration(0.999999, targets=2)
    delays = []
    for _ in range(40):
        registration.begin(0)
        registration.failed(408, "", 0, on_wire=False)
        delays.append(registration.next_attempt_ms)

    assert delays[:5] == [1999, 1999, 3999, 3999, 7999]
    assert delays[-1] == MAX_DELAY_MS - 1


def test_silence_keeps_the_binding_until_it_expires_a_refusal_does_not():
    registration = _registration()
    registration.begin(1000)
    registration.accepted(300, 1000)
    registration.begin(200_000)
    registration.failed(408, "", 232_000, on_wire=False)
    assert registration.registered
    assert registration.deadline() == 301_000

    registration.tick(301_000)
    assert not registration.registered

    registration.begin(301_000)
    registration.accepted(300, 301_000)
    registration.begin(400_000)
    registration.failed(403, "", 400_000, on_wire=True)
    assert not registration.registered


@pytest.mark.parametrize(
    ("code", "kept"),
    [(408, True), (429, True), (500, True), (503, True), (401, False), (403, False), (404, False), (407, False)],
)
def test_an_overloaded_registrar_takes_no_binding_away_a_judgement_does(code, kept):
    registration = _registration()
    registration.begin(1000)
    registration.accepted(300, 1000)
    registration.begin(200_000)
    registration.failed(code, "", 200_100, on_wire=True, retry_after_s=3600)

    assert registration.registered is kept
    registration.tick(301_000)
    assert not registration.registered


def test_an_attempt_that_is_never_reported_counts_as_unanswered():
    registration = _registration()
    registration.begin(1000)
    assert registration.next_attempt_ms is None

    registration.tick(1000 + ATTEMPT_TIMEOUT_MS)

    assert registration.attempts == 1
    assert registration.next_attempt_ms is not None


def test_a_binding_that_was_removed_is_made_again_at_once():
    registration = _registration()
    registration.begin(1000)
    registration.accepted(300, 1000)
    registration.removed(5000)

    assert not registration.registered
    assert registration.next_attempt_ms == 5000


_OUTCOME = st.one_of(
    st.tuples(st.just("accepted"), st.integers(-5, 100_000)),
    st.tuples(st.just("failed"), st.integers(0, 699), st.booleans(), st.none() | st.integers(-10, 10**9)),
    st.tuples(st.just("silence")),
    st.tuples(st.just("removed")),
)


@given(st.lists(_OUTCOME, max_size=60), st.floats(0, 1, exclude_max=True), st.integers(1, 8))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_there_is_always_a_next_attempt(outcomes, uniform, targets):
    registration = Registration(targets, lambda: uniform, 0)
    now = 0
    for outcome in outcomes:
        assert registration.next_attempt_ms is not None
        now = max(now, registration.next_attempt_ms)
        assert 0 <= registration.begin(now) < targets
        match outcome:
            case ("accepted", expires_s):
                registration.accepted(expires_s, now)
            case ("failed", code, on_wire, retry_after_s):
                registration.failed(code, "", now, on_wire=on_wire, retry_after_s=retry_after_s)
            case ("silence",):
                registration.tick(now + ATTEMPT_TIMEOUT_MS)
            case ("removed",):
                registration.removed(now)
                registration.failed(500, "", now, on_wire=True)
        assert registration.next_attempt_ms - now <= max(MAX_RETRY_AFTER_MS + 10_000, 100_000_000)
        assert registration.next_attempt_ms - now >= 250
