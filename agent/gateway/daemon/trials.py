"""A technician's trials: ringing and tones, the line test, and the adapter's button."""

from __future__ import annotations

from typing import Final

import msgspec

from agent.core.actions import CardAction
from agent.core.events import LineTested
from agent.core.line import Line
from agent.core.linetest import LineTestResult
from agent.core.linetest_run import LineTestRun, RunPhase, RunState
from agent.gateway.card_records import LineTestState, LineTestStep, LineTestValue
from agent.gateway.daemon.actions import Publish
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.protocol import Exercise

FIND_HELD_MS: Final = 3_000
"""Holding the button this long rings every idle telephone, so that it can be found."""
TOO_LONG_MS: Final = 20_000
"""Something leans on the button."""
FIND_RING_MS: Final = 5_000


class Trials:
    """What is done on lines that nobody uses; it gives way to everything else."""

    def __init__(self, exchange: Exchange) -> None:
        self._x = exchange
        self._runs: dict[int, LineTestRun] = {}

    def deadline(self) -> int | None:
        """When `tick` wants to be called."""
        return min((at for run in self._runs.values() if (at := run.deadline()) is not None), default=None)

    def exercise(self, order: Exercise) -> None:
        """Do a trial, or log (and for a test also tell) why not."""
        line = self._x.line(order.line)
        if order.what == "test":
            self._begin_test(order, line)
            return
        if line is None:
            return
        actions: list[CardAction]
        if order.what == "ring":
            actions = line.exercise_ring(order.duration_ms, self._x.now)
        else:
            actions = line.exercise_tone(order.tone, order.duration_ms, self._x.now)
        if not actions:
            self._x.log("info", "exercise_refused", "the line is in use", line=line.index)
        self._x.act(*actions)

    def button(self, held_ms: int) -> None:
        """The button was released: a short press does nothing, a long one rings every idle telephone."""
        x = self._x
        x.log("info", "button_pressed", f"{held_ms} ms")
        x.card = msgspec.structs.replace(x.card, button_ms=x.now, button_held_ms=max(0, held_ms))
        if not FIND_HELD_MS <= held_ms < TOO_LONG_MS:
            return
        rung = 0
        for line in self._x.lines[: self._x.card.lines]:
            actions = line.exercise_ring(FIND_RING_MS, self._x.now)
            rung += bool(actions)
            self._x.act(*actions)
        self._x.log("info", "telephones_rung_to_be_found", f"{rung} lines")

    # --- the line test -----------------------------------------------------------------------------------------------

    def _begin_test(self, order: Exercise, line: Line | None) -> None:
        x = self._x
        reason = ""
        if not x.card.up:
            reason = "refused_no_card"
        elif line is None or line.index >= x.card.lines:
            reason = "refused_no_line"
        elif not x.card.line_test:
            reason = "refused_unable"
        elif x.update is not None and not x.update.phase.over:
            reason = "refused_updating"
        elif (actions := line.begin_test()) is None:
            reason = "refused_in_use"
        else:
            run = LineTestRun(line.index, order.request, closed_loop=line.off_hook, now=x.now)
            self._runs[line.index] = run
            x.act(*actions, *run.begin(x.now))
            self._tell(run.state)
        if reason:
            # Told once and not kept: the latest result of the line stays what it is.
            refused = LineTestState(
                line=order.line, phase=RunPhase.REFUSED, request=order.request, reason=reason, at_ms=x.now
            )
            x.log("info", "line_test_refused", reason, line=order.line)
            x.act(Publish(refused))

    def tested(self, event: LineTested) -> None:
        """The card has ended a test."""
        run = self._runs.get(event.line)
        if run is not None:
            self._x.act(*run.heard(event.test, event.ending, event.measures, self._x.now))
            self._follow(run)

    def tick(self) -> None:
        """Time has passed."""
        for run in list(self._runs.values()):
            self._x.act(*run.tick(self._x.now))
            self._follow(run)

    def give_way(self) -> None:
        """End the tests of lines that are needed, or gone."""
        for index, run in list(self._runs.items()):
            line = self._x.line(index)
            if line is None or not line.testing:
                run.abort("aborted_line_needed" if self._x.card.up else "aborted_card_gone", self._x.now)
                self._follow(run)

    def _follow(self, run: LineTestRun) -> None:
        state = run.state
        self._tell(state)
        if state.phase is RunPhase.RUNNING:
            return
        del self._runs[state.line]
        line = self._x.line(state.line)
        if line is not None:
            self._x.act(*line.end_test())

    def _tell(self, state: RunState) -> None:
        self._x.line_tests[state.line] = LineTestState(
            line=state.line, phase=state.phase, request=state.request, reason=state.reason, passed=state.passed,
            at_ms=state.at_ms, steps=[_step(result) for result in state.results],
        )  # fmt: skip


def _step(result: LineTestResult) -> LineTestStep:
    return LineTestStep(
        test=result.test,
        verdict=result.verdict,
        meaning=result.meaning,
        values=[
            LineTestValue(
                between=found.measure.between, unit=found.measure.unit, value=found.measure.value, good=found.good,
                lowest=found.limit.lowest, highest=found.limit.highest, source=found.limit.source,
            )
            for found in result.findings[:16]
        ],
    )  # fmt: skip
