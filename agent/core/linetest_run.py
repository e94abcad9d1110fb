"""One line test from its first measurement to its report: which test is next, and when to give up. Pure."""

from __future__ import annotations

import enum
from typing import Final

from msgspec import Struct

from agent.core.actions import AbortLineTest, StartLineTest
from agent.core.linetest import LineTestEnding, LineTestKind, LineTestResult, Measure, Verdict, judge, reason_to_skip

TEST_PATIENCE_MS: Final = 10_000
"""The longest test of the line chips takes some 3 s; a card that says nothing for this long will not any more."""


class RunPhase(enum.StrEnum):
    """How far a line test has come; `refused` and `aborted` have a reason."""

    RUNNING = "running"
    DONE = "done"
    ABORTED = "aborted"
    REFUSED = "refused"


class RunState(Struct, frozen=True):
    """A line test as it stands; `reason` is the key of a sentence in the section `linetest`, `at_ms` boot time."""

    line: int
    request: str
    phase: RunPhase
    at_ms: int
    reason: str = ""
    results: tuple[LineTestResult, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every test was done and is good."""
        return (
            self.phase is RunPhase.DONE
            and len(self.results) == len(LineTestKind)
            and all(result.verdict is Verdict.PASS for result in self.results)
        )


class LineTestRun:
    """The test of one line. `closed_loop`: it is done although the loop is closed (a permanent off-hook)."""

    def __init__(self, line: int, request: str, *, closed_loop: bool, now: int) -> None:
        self._closed_loop = closed_loop
        self._waiting = list(LineTestKind)
        self._current: LineTestKind | None = None
        self._deadline_ms = now
        self.state = RunState(line, request, RunPhase.RUNNING, now)

    def deadline(self) -> int | None:
        """When `tick` wants to be called."""
        return None if self._current is None else self._deadline_ms

    def begin(self, now: int) -> list[StartLineTest]:
        """What the card is to do first."""
        return self._next(now)

    def heard(
        self, test: LineTestKind, ending: LineTestEnding, measures: tuple[Measure, ...], now: int
    ) -> list[StartLineTest]:
        """The card has ended a test: what it is to do next. An answer to a test that nobody waits for is ignored."""
        if test is not self._current:
            return []
        self._current = None
        if ending in (LineTestEnding.ABORTED, LineTestEnding.IN_USE):
            # The card sees current flow some time before it knows that it is a handset, and not a key or a contact.
            self.abort("aborted_line_needed", now)
            return []
        self._add(judge(test, ending, measures))
        return self._next(now)

    def tick(self, now: int) -> list[StartLineTest | AbortLineTest]:
        """Time has passed: a test that the card does not end is given up, and the card told so."""
        if self._current is None or now < self._deadline_ms:
            return []
        abort = AbortLineTest(self.state.line)
        return [abort, *self.heard(self._current, LineTestEnding.TIMEOUT, (), now)]

    def abort(self, reason: str, now: int) -> None:
        """The line is needed, or the card is gone: what was measured so far stays."""
        if self.state.phase is RunPhase.RUNNING:
            self._current = None
            self._end(RunPhase.ABORTED, reason, now)

    def _next(self, now: int) -> list[StartLineTest]:
        while self._waiting:
            test = self._waiting.pop(0)
            if reason := reason_to_skip(test, self.state.results):
                self._add(LineTestResult(test, Verdict.SKIPPED, reason))
                continue
            self._current, self._deadline_ms = test, now + TEST_PATIENCE_MS
            return [StartLineTest(self.state.line, test, self._closed_loop)]
        self._end(RunPhase.DONE, "", now)
        return []

    def _add(self, result: LineTestResult) -> None:
        state = self.state
        self.state = RunState(
            state.line, state.request, state.phase, state.at_ms, state.reason, (*state.results, result)
        )

    def _end(self, phase: RunPhase, reason: str, now: int) -> None:
        self.state = RunState(self.state.line, self.state.request, phase, now, reason, self.state.results)
