"""What the status page tells of line tests and of the line card's firmware, from the gateway's newest records."""

from __future__ import annotations

from datetime import datetime

from agent.clock import Moment
from agent.core.linetest import Verdict
from agent.core.linetest_run import RunPhase
from agent.core.update import UpdatePhase
from agent.gateway.card_records import LineTestState, UpdateState, conclusion
from agent.gateway.protocol import CardState
from agent.status import snapshot as page


class SeenTrials:
    """The latest line test of each line and the latest update; what is over outlives the gateway that did it."""

    def __init__(self) -> None:
        self._tests: dict[int, LineTestState] = {}
        self._update: UpdateState | None = None

    def note(self, record: LineTestState | UpdateState) -> None:
        """Keep the newest word; a refusal changes nothing of what was found before."""
        match record:
            case LineTestState(phase=phase):
                if phase is not RunPhase.REFUSED:
                    self._tests[record.line] = record
            case UpdateState(phase=step, request=request):
                # The card may refuse what the gateway has allowed and told already: that is the end of that update.
                if step is not UpdatePhase.REFUSED or (self._update is not None and self._update.request == request):
                    self._update = record

    def forget(self) -> None:
        """The gateway has gone, and with it whatever it had not finished."""
        self._tests = {line: test for line, test in self._tests.items() if test.phase is not RunPhase.RUNNING}
        if self._update is not None and not self._update.phase.over:
            self._update = None

    def test_of(self, line: int, now: Moment) -> page.LineTestView | None:
        """The latest test of a line; None: there was none."""
        test = self._tests.get(line)
        if test is None:
            return None
        at = now.wall_at(min(test.at_ms, now.boot_ms))
        if test.phase is RunPhase.RUNNING:
            return page.LineTestView(at=at, verdict="busy", summary=page.Notice(key="linetest.running"))
        failed = [step for step in test.steps if step.verdict is Verdict.FAIL]
        findings = [page.Notice(key=f"linetest.{step.meaning}") for step in failed]
        if test.phase is RunPhase.ABORTED:
            summary = page.Notice(key=f"linetest.{test.reason}")
            return page.LineTestView(at=at, verdict="bad" if failed else "idle", summary=summary, findings=findings)
        summary = page.Notice(key=f"linetest.{conclusion(test)}")
        verdict = "good" if test.passed else "bad" if failed else "idle"
        return page.LineTestView(at=at, verdict=verdict, summary=summary, findings=findings)

    def update(self) -> page.UpdateView | None:
        """The latest update of the card; None: there was none."""
        update = self._update
        if update is None:
            return None
        outcome = None
        if update.phase is UpdatePhase.DONE:
            outcome = page.Notice(key="update.done", values={"version": update.version})
        elif update.phase.over:
            outcome = page.Notice(key=f"update.{update.reason}")
        return page.UpdateView(
            version=update.version, phase=update.phase.value, percent=100 * update.sent // max(1, update.total),
            over=update.phase.over, outcome=outcome, good=update.phase is UpdatePhase.DONE,
        )  # fmt: skip


def button_time(card: CardState, now: Moment) -> datetime | None:
    """When the adapter's button was last released; None: not since the card came up."""
    return None if card.button_ms is None else now.wall_at(min(card.button_ms, now.boot_ms))
