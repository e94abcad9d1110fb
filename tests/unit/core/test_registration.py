"""It never gives up, never hammers, and does what the registrar asks."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.core.credentials import Credential, RefusedCredentials
from agent.core.registration import (
    ATTEMPT_TIMEOUT_MS,
    CALM_MS,
    HURRY_MS,
    MAX_DELAY_MS,
    MAX_RETRY_AFTER_MS,
    REFUSED_DELAY_MS,
    Registration,
    Status,
)
from agent.core.transports import Transport


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
    registration = _registration(targets=1)
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


def test_retry_after_binds_the_target_that_said_it_and_another_is_asked_meanwhile():
    registration = _registration(targets=2)
    registration.begin(1000)
    registration.failed(503, "overload", 1000, on_wire=True, retry_after_s=120)
    assert (registration.target, registration.next_attempt_ms) == (1, 2000)

    registration.begin(2000)
    registration.failed(503, "overload", 2000, on_wire=True, retry_after_s=60)
    assert registration.target == 1
    assert registration.next_attempt_ms == 2000 + 65_000


def test_a_refused_credential_is_not_hurried_by_a_short_retry_after():
    registration = _registration()
    registration.begin(1000)
    registration.failed(403, "no", 2000, on_wire=True, retry_after_s=1)

    assert registration.next_attempt_ms - 2000 >= REFUSED_DELAY_MS


def test_a_changed_network_is_tried_at_once_with_new_patience():
    registration = _registration()
    for _ in range(20):
        registration.begin(1000)
        registration.failed(408, "", 1000, on_wire=False)
    waits = registration.next_attempt_ms
    registration.hurry(60_000)

    assert waits > 100_000
    assert 60_000 <= registration.next_attempt_ms <= 60_000 + HURRY_MS
    registration.begin(60_500)
    registration.failed(408, "", 60_500, on_wire=False)
    assert registration.next_attempt_ms <= 60_500 + 4_000


def test_a_registered_line_is_registered_anew_when_the_network_changes():
    registration = _registration()
    registration.begin(1000)
    registration.accepted(300, 1000)
    registration.hurry(100_000)

    assert registration.registered
    assert registration.next_attempt_ms <= 100_000 + HURRY_MS


@pytest.mark.parametrize(("code", "retry_after_s"), [(401, None), (403, None), (407, 5), (503, 600), (404, 600)])
def test_no_change_of_the_network_overrules_what_the_operator_said(code, retry_after_s):
    registration = _registration(targets=1)
    registration.begin(1000)
    registration.failed(code, "no", 1000, on_wire=True, retry_after_s=retry_after_s)
    waits = registration.next_attempt_ms
    registration.hurry(2000)
    registration.lifted(2000)
    registration.removed(2000)

    assert registration.next_attempt_ms >= waits - 10_000 >= 500_000


def test_a_change_during_an_attempt_is_followed_by_another_whatever_its_outcome():
    for fails in (True, False):
        registration = _registration()
        registration.begin(1000)
        registration.hurry(2000)
        if fails:
            registration.failed(408, "", 32_000, on_wire=False)
        else:
            registration.accepted(3600, 32_000)
        assert 32_000 <= registration.next_attempt_ms <= 32_000 + HURRY_MS


def test_a_network_that_flaps_makes_no_storm():
    registration = _registration(0.0)
    begun = []
    now = 0
    for now in range(0, 60_000, 100):
        registration.hurry(now)
        if registration.next_attempt_ms is not None and registration.next_attempt_ms <= now:
            registration.begin(now)
            registration.accepted(300, now)
            begun.append(now)

    assert len(begun) <= 1 + now // CALM_MS


def test_the_first_register_may_wait_for_a_spread_but_not_once_a_handset_is_lifted():
    registration = Registration(1, lambda: 0.5, 1000, due_ms=31_000)
    assert (registration.next_attempt_ms, registration.status) == (31_000, Status.INITIALIZING)
    registration.lifted(5000)
    assert registration.next_attempt_ms == 5000


def test_a_lifted_handset_hastens_nothing_but_courtesy():
    registration = Registration(1, lambda: 0.5, 1000, due_ms=31_000)
    registration.begin(31_000)
    registration.failed(408, "", 63_000, on_wire=False)
    waits = registration.next_attempt_ms
    registration.lifted(63_000)
    assert registration.next_attempt_ms == waits


def _hurried_after(minutes, uniform):
    """A registration that has failed for so long, and whose network comes back at that moment."""
    chance, now = [0.999999], minutes * 60_000
    registration = Registration(1, lambda: chance[0], 0)
    for count in range(10):
        at = count * (now - 20_000) // 9
        registration.begin(at)
        registration.failed(408, "", at, on_wire=False)
    chance[0] = uniform
    registration.hurry(now)
    return registration, now


@pytest.mark.parametrize(("minutes", "longest_ms"), [(1, 1000), (5, 5000), (10, 10_000), (600, 10_000)])
def test_who_waited_for_minutes_comes_back_within_seconds_and_not_all_in_the_same_one(minutes, longest_ms):
    for uniform, after_ms in ((0.0, 0), (0.999999, longest_ms - 1)):
        registration, now = _hurried_after(minutes, uniform)
        assert registration.next_attempt_ms - now == after_ms


def test_a_lifted_handset_does_not_wait_for_the_street():
    registration, now = _hurried_after(10, 0.9)
    assert registration.next_attempt_ms == now + 9000
    registration.lifted(now + 1000)
    assert registration.next_attempt_ms == now + 1000


def test_other_targets_leave_a_binding_alone_that_still_has_its_own():
    registration = _registration(targets=2)
    registration.begin(1000)
    registration.failed(408, "", 1000, on_wire=False)
    registration.begin(2000)
    registration.accepted(300, 2000)
    waits = registration.next_attempt_ms
    registration.retarget([None, None, 1], 3000)
    assert (registration.target, registration.next_attempt_ms, registration.registered) == (2, waits, True)

    registration.retarget([0, 1], 4000)
    assert registration.target == 0
    assert registration.next_attempt_ms <= 4000 + CALM_MS
    assert registration.begin(7000) == 0


def test_a_preferred_target_that_answers_again_is_moved_to_unless_it_said_when():
    registration = _registration(targets=2)
    registration.begin(1000)
    registration.failed(503, "", 1000, on_wire=True, retry_after_s=600)
    registration.begin(2000)
    registration.accepted(300, 2000)
    registration.prefer(0, 10_000)
    assert registration.target == 1
    registration.prefer(0, 700_000)
    assert registration.target == 0
    assert registration.next_attempt_ms <= 700_000 + HURRY_MS


def test_states_are_named_as_tr_104_names_them():
    registration = _registration(targets=1)
    seen = [registration.status]
    registration.begin(1000)
    seen.append(registration.status)
    registration.failed(0, "no such account", 1000, on_wire=False)
    seen.append(registration.status)
    registration.begin(2000)
    registration.failed(408, "Request Timeout", 2000, on_wire=False)
    seen.append(registration.status)
    registration.begin(3000)
    registration.failed(403, "Forbidden", 3000, on_wire=True)
    seen.append(registration.status)
    registration.begin(4_000_000)
    registration.accepted(300, 4_000_000)
    registration.begin(4_200_000)
    registration.failed(408, "Request Timeout", 4_200_000, on_wire=False)
    seen.append(registration.status)

    assert [str(one) for one in seen] == [
        "Initializing", "Registering", "Error_Misconfigured", "Error_Network", "Error_Registration", "Up",
    ]  # fmt: skip


def test_a_grant_of_years_is_refreshed_within_a_day():
    registration = _registration(0.999)
    registration.begin(1000)
    registration.accepted(2**31 - 1, 1000)
    assert registration.next_attempt_ms - 1000 <= 86_400_000


class Machine(RuleBasedStateMachine):
    """Two registrations with one credential, one of its own, two to three targets each, in virtual time."""

    @initialize(data=st.data())
    def start(self, data):
        self.now = 0
        self.draw = random.Random(data.draw(st.integers(0, 2**32))).random
        self.refused = RefusedCredentials({})
        shared, own = Credential("d", "a", "x"), Credential("d", "b", "y")
        self.lines = [(Registration(2, self.draw, 0), shared), (Registration(3, self.draw, 0), shared),
                      (Registration(1, self.draw, 0), own)]  # fmt: skip
        self.rests = {}
        self.barred = {}
        self.expires = {}

    def _attempt(self, index):
        registration, credential = self.lines[index]
        if not self.refused.may_begin(credential, registration, self.now):
            assert not registration.registered
            assert registration.next_attempt_ms > self.now
            return
        target = registration.begin(self.now)
        assert self.barred.get((index, target), 0) <= self.now
        if not registration.registered:
            assert self.rests.get(credential, 0) <= self.now
            if credential in self.rests:
                self.rests[credential] = self.now + REFUSED_DELAY_MS

    @rule(ms=st.one_of(st.integers(1, 1000), st.integers(1000, 4_000_000)))
    def time_passes(self, ms):
        """Every deadline on the way is served, as the Switch serves it."""
        end = self.now + ms
        while True:
            wanted = [at for one, _ in self.lines for at in (one.deadline(), one.next_attempt_ms) if at is not None]
            at = min((at for at in wanted if at <= end), default=None)
            if at is None:
                break
            self.now = max(self.now, at)
            for index in sorted(range(3), key=lambda index: self.lines[index][0].begun_ms or 0):
                registration = self.lines[index][0]
                registration.tick(self.now)
                due = registration.next_attempt_ms
                if due is not None and due <= self.now:
                    self._attempt(index)
        self.now = end

    def _under_way(self, index):
        return self.lines[index][0].next_attempt_ms is None

    @rule(index=st.integers(0, 2), granted=st.integers(-5, 2**31))
    def accepted(self, index, granted):
        if self._under_way(index):
            registration, credential = self.lines[index]
            self.barred.pop((index, registration.target), None)
            registration.accepted(granted, self.now)
            self.refused.accepted(credential)
            self.rests.pop(credential, None)
            assert registration.registered
            least = self.now + max(1, min(granted, 86_400)) * 500
            assert least <= registration.next_attempt_ms or registration.next_attempt_ms <= self.now + CALM_MS

    @rule(index=st.integers(0, 2), code=st.sampled_from([401, 403, 404, 407, 423, 480, 500, 503, 600]),
          retry_after_s=st.none() | st.integers(-10, 10**9))  # fmt: skip
    def refused_on_wire(self, index, code, retry_after_s):
        if self._under_way(index):
            registration, credential = self.lines[index]
            target = registration.target
            registration.failed(code, "", self.now, on_wire=True, retry_after_s=retry_after_s)
            if code in (401, 403, 407):
                assert not registration.registered
                assert registration.next_attempt_ms >= self.now + REFUSED_DELAY_MS
                self.refused.refused(credential, registration.next_attempt_ms)
                self.rests[credential] = registration.next_attempt_ms
            elif retry_after_s is not None and retry_after_s > 0:
                self.barred[index, target] = self.now + min(retry_after_s * 1000, MAX_RETRY_AFTER_MS)

    @rule(index=st.integers(0, 2), code=st.sampled_from([0, 403, 408, 502, 503]))
    def nobody_answered(self, index, code):
        if self._under_way(index):
            registration = self.lines[index][0]
            stood = registration.registered
            registration.failed(code, "", self.now, on_wire=False)
            assert registration.registered is stood
            assert registration.status is not Status.ERROR_REGISTRATION

    @rule(index=st.integers(0, 2))
    def hurried(self, index):
        self.lines[index][0].hurry(self.now)

    @rule(index=st.integers(0, 2))
    def lifted(self, index):
        self.lines[index][0].lifted(self.now)

    @rule(index=st.integers(0, 2))
    def removed(self, index):
        self.lines[index][0].removed(self.now)

    @rule(index=st.integers(0, 2), better=st.integers(0, 2))
    def preferred(self, index, better):
        if better < (2, 3, 1)[index]:
            self.lines[index][0].prefer(better, self.now)

    @invariant()
    def it_never_gives_up(self):
        for registration, _ in getattr(self, "lines", []):
            due = registration.next_attempt_ms
            if due is None:
                assert registration.deadline() <= self.now + 45_000
            else:
                assert due <= self.now + max(86_400_000, MAX_RETRY_AFTER_MS + 10_000)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


UDP, TCP, TLS = Transport


def _lost(transports, *, lost=True):
    """A registration that stood at its first target, whose way has then died; the targets that are tried after that."""
    registration = Registration(len(transports), lambda: 0.5, 0, transports=transports)
    registration.begin(0)
    registration.accepted(300, 0)
    now = 10_000
    (registration.lost if lost else registration.hurry)(now)
    tried = []
    for _ in range(len(transports) + 1):
        now = max(now, registration.next_attempt_ms)
        tried.append(registration.begin(now))
        registration.failed(408, "no answer", now, on_wire=False)
    return tried


@pytest.mark.parametrize(
    ("transports", "tried"),
    [
        ([UDP, UDP, TCP, TLS], [0, 2, 3, 0, 1]),
        ([UDP, TLS, TCP], [0, 2, 1, 2]),
        ([UDP, TLS], [0, 1, 0]),
        ([UDP, UDP], [0, 1, 0]),
        ([TCP, UDP, TLS], [0, 2, 0, 1]),
        ([TLS, UDP], [0, 1, 0]),
    ],
)
def test_a_lost_way_is_followed_by_another_port_and_then_by_a_safer_transport(transports, tried):
    assert _lost(transports) == tried


def test_a_server_that_only_fails_is_followed_by_the_next_one_whatever_its_transport():
    assert _lost([UDP, UDP, TCP, TLS], lost=False) == [0, 1, 2, 3, 0]


def test_what_was_lost_is_forgotten_when_the_registrar_accepts_again():
    registration = Registration(3, lambda: 0.5, 0, transports=[UDP, UDP, TCP])
    registration.begin(0)
    registration.accepted(300, 0)
    registration.lost(1000)
    registration.begin(registration.next_attempt_ms)
    registration.accepted(300, 10_000)
    registration.begin(20_000)
    registration.failed(408, "no answer", 26_000, on_wire=False)
    assert registration.target == 1


def test_an_answer_from_the_wire_says_that_the_way_is_good():
    registration = Registration(3, lambda: 0.5, 0, transports=[UDP, UDP, TCP])
    registration.begin(0)
    registration.accepted(300, 0)
    registration.lost(1000)
    registration.begin(5000)
    registration.failed(503, "overload", 5000, on_wire=True)
    assert registration.target == 1
