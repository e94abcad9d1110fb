"""The line test: what is measured on the wires behind a socket, against which limits, and what an excess means.

The set is that of Telcordia GR-909-CORE §6 for lines fed near the customer, with the limits that the makers of line
chips apply (Skyworks AN273). The receiver-off-hook test comes first here: a receiver that lies beside its telephone
makes the resistive and the ringer test fail by nature, and would be reported as a broken cable.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

from msgspec import Struct


class LineTestKind(enum.StrEnum):
    """One test of the set, in the order in which they are done."""

    RECEIVER_OFF_HOOK = "receiver_off_hook"
    HAZARDOUS_VOLTAGE = "hazardous_voltage"
    FOREIGN_VOLTAGE = "foreign_voltage"
    RESISTIVE_FAULT = "resistive_fault"
    RINGERS = "ringers"


class Conductors(enum.StrEnum):
    """Between what a value was measured: the two wires of the line (tip and ring), or one of them and ground."""

    TIP_RING = "tip_ring"
    TIP_GROUND = "tip_ground"
    RING_GROUND = "ring_ground"


class MeasureUnit(enum.StrEnum):
    """The unit of a value. PERMILLE: how much the loop's resistance changes with the current."""

    MILLIVOLT_DC = "mv_dc"
    MILLIVOLT_RMS = "mv_rms"
    OHM = "ohm"
    MILLI_REN = "milli_ren"
    PERMILLE = "permille"


class LineTestEnding(enum.StrEnum):
    """How the card ended one test."""

    DONE = "done"
    IN_USE = "in_use"
    TIMEOUT = "timeout"
    ABORTED = "aborted"
    UNSUPPORTED = "unsupported"


class Verdict(enum.StrEnum):
    """What became of one test."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    SKIPPED = "skipped"
    NOT_MEASURED = "not_measured"


class Measure(Struct, frozen=True):
    """One value as the card measured it."""

    between: Conductors
    unit: MeasureUnit
    value: int


class Limit(Struct, frozen=True):
    """What a value must keep to, both ends included; `source` names the rule."""

    lowest: int | None
    highest: int | None
    source: str

    def keeps(self, value: int) -> bool:
        """Whether `value` is within; the sign of a voltage says nothing."""
        size = abs(value)
        return (self.lowest is None or size >= self.lowest) and (self.highest is None or size <= self.highest)


class Finding(Struct, frozen=True):
    """A value, its limit and whether it keeps to it."""

    measure: Measure
    limit: Limit
    good: bool


class LineTestResult(Struct, frozen=True):
    """The outcome of one test; `meaning` is the key of a sentence in the section `linetest` of the texts."""

    test: LineTestKind
    verdict: Verdict
    meaning: str
    findings: tuple[Finding, ...] = ()


_HAZARD = "GR-909-CORE hazardous potential"
_FOREIGN = "GR-909-CORE foreign voltage"
_RESISTIVE = "GR-909-CORE resistive fault"
_RECEIVER = "GR-909-CORE receiver off-hook, as in AN273"
_RINGERS = "GR-909-CORE ringers"

LIMITS: Final[dict[tuple[LineTestKind, MeasureUnit], Limit]] = {
    (LineTestKind.RECEIVER_OFF_HOOK, MeasureUnit.PERMILLE): Limit(None, 500, _RECEIVER),
    (LineTestKind.HAZARDOUS_VOLTAGE, MeasureUnit.MILLIVOLT_RMS): Limit(None, 50_000, _HAZARD),
    (LineTestKind.HAZARDOUS_VOLTAGE, MeasureUnit.MILLIVOLT_DC): Limit(None, 135_000, _HAZARD),
    (LineTestKind.FOREIGN_VOLTAGE, MeasureUnit.MILLIVOLT_RMS): Limit(None, 10_000, _FOREIGN),
    (LineTestKind.FOREIGN_VOLTAGE, MeasureUnit.MILLIVOLT_DC): Limit(None, 6_000, _FOREIGN),
    (LineTestKind.RESISTIVE_FAULT, MeasureUnit.OHM): Limit(150_000, None, _RESISTIVE),
    (LineTestKind.RINGERS, MeasureUnit.MILLI_REN): Limit(175, 5_000, _RINGERS),
}
"""A value of another unit is shown by no one: the card may tell more than the test needs."""

_MADE_VAIN: Final[dict[LineTestKind, frozenset[LineTestKind]]] = {
    # The test current of what follows would feed a voltage that may kill.
    LineTestKind.HAZARDOUS_VOLTAGE: frozenset(
        {LineTestKind.FOREIGN_VOLTAGE, LineTestKind.RESISTIVE_FAULT, LineTestKind.RINGERS}
    ),
    # These measure with a current of their own, and a foreign voltage falsifies it.
    LineTestKind.FOREIGN_VOLTAGE: frozenset({LineTestKind.RESISTIVE_FAULT, LineTestKind.RINGERS}),
    LineTestKind.RECEIVER_OFF_HOOK: frozenset({LineTestKind.RESISTIVE_FAULT, LineTestKind.RINGERS}),
    LineTestKind.RESISTIVE_FAULT: frozenset({LineTestKind.RINGERS}),
}


def reason_to_skip(test: LineTestKind, results: Sequence[LineTestResult]) -> str:
    """Why `test` would say nothing after these results, as the key of a sentence; empty: it is to be done."""
    for result in results:
        if result.verdict is Verdict.FAIL and test in _MADE_VAIN.get(result.test, frozenset()):
            return f"skipped_{result.test.value}"
    return ""


def judge(test: LineTestKind, ending: LineTestEnding, measures: Sequence[Measure]) -> LineTestResult:
    """What the card's answer to one test means. What the card itself thinks of its values does not count."""
    if ending is not LineTestEnding.DONE:
        return LineTestResult(test, Verdict.NOT_MEASURED, f"ending_{ending.value}")
    findings = tuple(
        Finding(measure, limit, limit.keeps(measure.value))
        for measure in measures
        if (limit := LIMITS.get((test, measure.unit))) is not None
    )
    if not findings:
        return LineTestResult(test, Verdict.NOT_MEASURED, "no_value")
    bad = [finding for finding in findings if not finding.good]
    if not bad:
        return LineTestResult(test, Verdict.PASS, f"{test.value}_pass", findings)
    return LineTestResult(test, Verdict.FAIL, _what_is_wrong(test, bad), findings)


def _what_is_wrong(test: LineTestKind, bad: Sequence[Finding]) -> str:
    if test is LineTestKind.RESISTIVE_FAULT:
        grounded = any(finding.measure.between is not Conductors.TIP_RING for finding in bad)
        return "resistive_fault_ground" if grounded else "resistive_fault_loop"
    if test is LineTestKind.RINGERS:
        few = all(finding.limit.lowest is not None and finding.measure.value < finding.limit.lowest for finding in bad)
        return "ringers_none" if few else "ringers_many"
    return f"{test.value}_fail"
