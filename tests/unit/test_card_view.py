"""What the page is given of line tests and firmware: the latest of each, in the order in which it was told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agent.card_view import SeenTrials, button_time
from agent.clock import Moment
from agent.core.linetest import LineTestKind, Verdict
from agent.core.linetest_run import RunPhase
from agent.core.update import UpdatePhase
from agent.gateway.card_records import LineTestState, LineTestStep, UpdateState
from agent.gateway.protocol import CardState

NOW = Moment(boot_id="b", boot_ms=100_000, wall=datetime(2026, 11, 23, 12, 0, tzinfo=UTC), trusted=True)
BAD = LineTestStep(test=LineTestKind.RINGERS, verdict=Verdict.FAIL, meaning="ringers_many")
GOOD = LineTestStep(test=LineTestKind.RINGERS, verdict=Verdict.PASS, meaning="ringers_pass")


@pytest.fixture
def seen():
    return SeenTrials()


def test_a_line_that_was_never_tested_says_nothing(seen):
    assert seen.test_of(0, NOW) is None
    assert seen.update() is None


@pytest.mark.parametrize(
    ("state", "verdict", "summary", "findings"),
    [
        (LineTestState(line=0, phase=RunPhase.RUNNING, at_ms=40_000), "busy", "linetest.running", []),
        (
            LineTestState(line=0, phase=RunPhase.DONE, passed=True, steps=[GOOD], at_ms=40_000),
            "good", "linetest.all_good", [],
        ),
        (
            LineTestState(line=0, phase=RunPhase.DONE, steps=[GOOD, BAD], at_ms=40_000),
            "bad", "linetest.faulty", ["linetest.ringers_many"],
        ),
        (LineTestState(line=0, phase=RunPhase.DONE, steps=[GOOD], at_ms=40_000), "idle", "linetest.incomplete", []),
        (
            LineTestState(line=0, phase=RunPhase.ABORTED, reason="aborted_line_needed", at_ms=40_000),
            "idle", "linetest.aborted_line_needed", [],
        ),
    ],
)  # fmt: skip
def test_a_test_is_shown_with_what_it_found_and_when(seen, state, verdict, summary, findings):
    seen.note(state)
    view = seen.test_of(0, NOW)
    assert (view.verdict, view.summary.key, [one.key for one in view.findings]) == (verdict, summary, findings)
    assert (NOW.wall - view.at).total_seconds() == 60


def test_a_refused_test_does_not_hide_the_last_result(seen):
    seen.note(LineTestState(line=0, phase=RunPhase.DONE, passed=True))
    seen.note(LineTestState(line=0, phase=RunPhase.REFUSED, reason="refused_in_use"))
    assert seen.test_of(0, NOW).verdict == "good"


def test_results_outlive_the_gateway_and_unfinished_ones_do_not(seen):
    seen.note(LineTestState(line=0, phase=RunPhase.DONE, passed=True))
    seen.note(LineTestState(line=1, phase=RunPhase.RUNNING))
    seen.note(UpdateState(phase=UpdatePhase.SENDING, version="1.1.0"))
    seen.forget()
    assert seen.test_of(0, NOW).verdict == "good"
    assert seen.test_of(1, NOW) is None
    assert seen.update() is None
    seen.note(UpdateState(phase=UpdatePhase.DONE, version="1.1.0"))
    seen.forget()
    assert seen.update().good


def test_an_update_is_followed_and_ends(seen):
    seen.note(UpdateState(phase=UpdatePhase.SENDING, request="u", version="1.1.0", sent=370, total=1000))
    assert (seen.update().phase, seen.update().percent, seen.update().outcome) == ("sending", 37, None)
    seen.note(UpdateState(phase=UpdatePhase.REFUSED, request="other", reason="refused_updating"))
    assert seen.update().phase == "sending"
    seen.note(UpdateState(phase=UpdatePhase.FAILED, request="u", version="1.1.0", reason="rolled_back"))
    assert (seen.update().over, seen.update().outcome.key) == (True, "update.rolled_back")


def test_an_update_that_the_card_refuses_is_over(seen):
    seen.note(UpdateState(phase=UpdatePhase.PREPARING, request="u", version="0.9.0"))
    seen.note(UpdateState(phase=UpdatePhase.REFUSED, request="u", version="0.9.0", reason="refused_older"))
    assert (seen.update().over, seen.update().outcome.key) == (True, "update.refused_older")


def test_the_button_is_dated_by_the_boot_clock():
    assert button_time(CardState(up=True), NOW) is None
    assert (NOW.wall - button_time(CardState(up=True, button_ms=70_000), NOW)).total_seconds() == 30
