"""The line test: which values are good, which tests make others vain, and a run from begin to end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.actions import AbortLineTest, StartLineTest
from agent.core.linetest import (
    LIMITS,
    Conductors,
    LineTestEnding,
    LineTestKind,
    Measure,
    MeasureUnit,
    Verdict,
    judge,
)
from agent.core.linetest_run import TEST_PATIENCE_MS, LineTestRun, RunPhase
from agent.texts import Texts

GOOD = {
    LineTestKind.RECEIVER_OFF_HOOK: Measure(Conductors.TIP_RING, MeasureUnit.PERMILLE, 20),
    LineTestKind.HAZARDOUS_VOLTAGE: Measure(Conductors.TIP_GROUND, MeasureUnit.MILLIVOLT_RMS, 300),
    LineTestKind.FOREIGN_VOLTAGE: Measure(Conductors.TIP_GROUND, MeasureUnit.MILLIVOLT_DC, -900),
    LineTestKind.RESISTIVE_FAULT: Measure(Conductors.TIP_RING, MeasureUnit.OHM, 2_000_000),
    LineTestKind.RINGERS: Measure(Conductors.TIP_RING, MeasureUnit.MILLI_REN, 1000),
}


@pytest.mark.parametrize(
    ("test", "unit", "value", "verdict"),
    [
        (LineTestKind.HAZARDOUS_VOLTAGE, MeasureUnit.MILLIVOLT_RMS, 50_000, Verdict.PASS),
        (LineTestKind.HAZARDOUS_VOLTAGE, MeasureUnit.MILLIVOLT_RMS, 50_001, Verdict.FAIL),
        (LineTestKind.HAZARDOUS_VOLTAGE, MeasureUnit.MILLIVOLT_DC, -135_001, Verdict.FAIL),
        (LineTestKind.FOREIGN_VOLTAGE, MeasureUnit.MILLIVOLT_DC, -6_000, Verdict.PASS),
        (LineTestKind.FOREIGN_VOLTAGE, MeasureUnit.MILLIVOLT_DC, -6_001, Verdict.FAIL),
        (LineTestKind.FOREIGN_VOLTAGE, MeasureUnit.MILLIVOLT_RMS, 10_001, Verdict.FAIL),
        (LineTestKind.RESISTIVE_FAULT, MeasureUnit.OHM, 150_000, Verdict.PASS),
        (LineTestKind.RESISTIVE_FAULT, MeasureUnit.OHM, 149_999, Verdict.FAIL),
        (LineTestKind.RECEIVER_OFF_HOOK, MeasureUnit.PERMILLE, 501, Verdict.FAIL),
        (LineTestKind.RINGERS, MeasureUnit.MILLI_REN, 174, Verdict.FAIL),
        (LineTestKind.RINGERS, MeasureUnit.MILLI_REN, 175, Verdict.PASS),
        (LineTestKind.RINGERS, MeasureUnit.MILLI_REN, 5_001, Verdict.FAIL),
    ],
)
def test_the_limits_are_those_of_the_rule(test, unit, value, verdict):
    result = judge(test, LineTestEnding.DONE, [Measure(Conductors.TIP_RING, unit, value)])
    assert result.verdict is verdict
    assert result.findings[0].limit.source


@pytest.mark.parametrize(
    ("test", "measure", "meaning"),
    [
        (LineTestKind.RESISTIVE_FAULT, Measure(Conductors.TIP_RING, MeasureUnit.OHM, 15), "resistive_fault_loop"),
        (LineTestKind.RESISTIVE_FAULT, Measure(Conductors.TIP_GROUND, MeasureUnit.OHM, 15), "resistive_fault_ground"),
        (LineTestKind.RINGERS, Measure(Conductors.TIP_RING, MeasureUnit.MILLI_REN, 0), "ringers_none"),
        (LineTestKind.RINGERS, Measure(Conductors.TIP_RING, MeasureUnit.MILLI_REN, 6400), "ringers_many"),
    ],
)
def test_a_fault_is_told_by_what_it_is(test, measure, meaning):
    assert judge(test, LineTestEnding.DONE, [measure]).meaning == meaning


def test_a_card_that_gives_no_value_of_the_test_has_measured_nothing():
    odd = Measure(Conductors.TIP_RING, MeasureUnit.OHM, 5)
    assert judge(LineTestKind.RINGERS, LineTestEnding.DONE, [odd]).verdict is Verdict.NOT_MEASURED


@given(
    st.sampled_from(LineTestKind),
    st.sampled_from(LineTestEnding),
    st.lists(st.builds(Measure, st.sampled_from(Conductors), st.sampled_from(MeasureUnit), st.integers())),
)
def test_whatever_is_measured_has_a_sentence(test, ending, measures):
    assert f"linetest.{judge(test, ending, measures).meaning}" in _TEXTS


_TEXTS = Texts.load()


def _run(answers, *, closed_loop=False):
    """Play a whole test; `answers` replaces good values. What was asked of the card, and the run."""
    run = LineTestRun(1, "r", closed_loop=closed_loop, now=0)
    asked, actions = [], run.begin(0)
    while actions:
        [action] = actions
        assert isinstance(action, StartLineTest)
        assert action.closed_loop is closed_loop
        asked.append(action.test)
        measure = answers.get(action.test, GOOD[action.test])
        actions = run.heard(action.test, LineTestEnding.DONE, (measure,), 10)
    return asked, run


def test_a_good_line_is_asked_for_everything_the_receiver_first():
    asked, run = _run({})
    assert asked == list(LineTestKind)
    assert asked[0] is LineTestKind.RECEIVER_OFF_HOOK
    assert run.state.phase is RunPhase.DONE
    assert run.state.passed
    assert run.deadline() is None


@pytest.mark.parametrize(
    ("failed", "skipped"),
    [
        (LineTestKind.RECEIVER_OFF_HOOK, {LineTestKind.RESISTIVE_FAULT, LineTestKind.RINGERS}),
        (
            LineTestKind.HAZARDOUS_VOLTAGE,
            {LineTestKind.FOREIGN_VOLTAGE, LineTestKind.RESISTIVE_FAULT, LineTestKind.RINGERS},
        ),
        (LineTestKind.FOREIGN_VOLTAGE, {LineTestKind.RESISTIVE_FAULT, LineTestKind.RINGERS}),
        (LineTestKind.RESISTIVE_FAULT, {LineTestKind.RINGERS}),
    ],
)
def test_what_a_fault_makes_vain_is_not_measured(failed, skipped):
    unit = GOOD[failed].unit
    limit = LIMITS[failed, unit]
    bad = Measure(Conductors.TIP_RING, unit, 0 if limit.highest is None else limit.highest + 1)
    asked, run = _run({failed: bad})
    assert set(LineTestKind) - set(asked) == skipped
    verdicts = {result.test: result.verdict for result in run.state.results}
    assert verdicts[failed] is Verdict.FAIL
    assert all(verdicts[test] is Verdict.SKIPPED for test in skipped)
    assert not run.state.passed
    assert all(f"linetest.{result.meaning}" in _TEXTS for result in run.state.results)


def test_a_card_that_does_not_answer_is_given_up_test_by_test():
    run = LineTestRun(0, "r", closed_loop=False, now=0)
    run.begin(0)
    assert run.deadline() == TEST_PATIENCE_MS
    assert run.tick(TEST_PATIENCE_MS - 1) == []
    [abort, following] = run.tick(TEST_PATIENCE_MS)
    assert abort == AbortLineTest(0)
    assert following.test is LineTestKind.HAZARDOUS_VOLTAGE
    assert run.state.results[0].meaning == "ending_timeout"


def test_a_late_answer_to_an_earlier_test_is_ignored():
    run = LineTestRun(0, "r", closed_loop=False, now=0)
    run.begin(0)
    run.tick(TEST_PATIENCE_MS)
    assert run.heard(LineTestKind.RECEIVER_OFF_HOOK, LineTestEnding.DONE, (), TEST_PATIENCE_MS + 1) == []
    assert len(run.state.results) == 1


@pytest.mark.parametrize("ending", [LineTestEnding.ABORTED, LineTestEnding.IN_USE])
def test_a_line_that_is_needed_ends_the_run_and_keeps_what_was_found(ending):
    run = LineTestRun(0, "r", closed_loop=False, now=0)
    [first] = run.begin(0)
    [second] = run.heard(first.test, LineTestEnding.DONE, (GOOD[first.test],), 5)
    assert run.heard(second.test, ending, (), 9) == []
    assert (run.state.phase, run.state.reason) == (RunPhase.ABORTED, "aborted_line_needed")
    assert len(run.state.results) == 1
