"""What the gateway tells of its line card beside telephony: line tests and firmware updates."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from agent.core.linetest import Conductors, LineTestKind, MeasureUnit, Verdict
from agent.core.linetest_run import RunPhase
from agent.core.update import UpdatePhase
from agent.gateway.record import BootMs, LineNumber, Record, Short, Text


class LineTestValue(Record, frozen=True, kw_only=True):
    """One value, the limits it must keep to (None: none on that side), and the rule that they come from."""

    between: Conductors
    unit: MeasureUnit
    value: int
    good: bool
    lowest: int | None = None
    highest: int | None = None
    source: Short = ""


class LineTestStep(Record, frozen=True, kw_only=True):
    """The outcome of one test; `meaning` is the key of a sentence in the section `linetest` of the texts."""

    test: LineTestKind
    verdict: Verdict
    meaning: Short
    values: Annotated[list[LineTestValue], Meta(max_length=16)] = msgspec.field(default_factory=list)


class LineTestState(Record, frozen=True, kw_only=True, tag="line_test"):
    """The latest line test of a line, as far as it has come. `at_ms`: when it began, or ended."""

    line: LineNumber
    phase: RunPhase
    request: Short = ""
    reason: Short = ""
    """Why it was refused or aborted: the key of a sentence in the section `linetest` of the texts."""
    passed: bool = False
    at_ms: BootMs = 0
    steps: Annotated[list[LineTestStep], Meta(max_length=16)] = msgspec.field(default_factory=list)


def conclusion(test: LineTestState) -> str:
    """What a test that is done says of its line: the key of a sentence in the section `linetest` of the texts."""
    if test.passed:
        return "all_good"
    return "faulty" if any(step.verdict is Verdict.FAIL for step in test.steps) else "incomplete"


class UpdateState(Record, frozen=True, kw_only=True, tag="update"):
    """The latest firmware update of the line card, as far as it has come. Bytes of the image's body."""

    phase: UpdatePhase
    request: Short = ""
    version: Short = ""
    """Of the image."""
    running: Short = ""
    """The firmware of the card, as it told last."""
    sent: int = 0
    total: int = 0
    reason: Short = ""
    """Why it was refused or failed: the key of a sentence in the section `update` of the texts."""
    detail: Text = ""
    at_ms: BootMs = 0
