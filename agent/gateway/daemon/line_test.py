"""The line test's words: what the card's protocol calls them, and what the Switch does."""

from __future__ import annotations

from typing import Final

import firmware_bridge as bridge
from agent.core.events import LineTested
from agent.core.linetest import Conductors, LineTestEnding, LineTestKind, Measure, MeasureUnit

TESTS: Final = {
    LineTestKind.RECEIVER_OFF_HOOK: bridge.LineTest.RECEIVER_OFF_HOOK,
    LineTestKind.HAZARDOUS_VOLTAGE: bridge.LineTest.HAZARDOUS_VOLTAGE,
    LineTestKind.FOREIGN_VOLTAGE: bridge.LineTest.FOREIGN_VOLTAGE,
    LineTestKind.RESISTIVE_FAULT: bridge.LineTest.RESISTIVE_FAULT,
    LineTestKind.RINGERS: bridge.LineTest.RINGER_LOAD,
}
_KINDS: Final = {test: kind for kind, test in TESTS.items()}
_ENDINGS: Final = {
    # The card has limits of its own; what a value means is decided here, the same for every card.
    bridge.LineTestStatus.OK: LineTestEnding.DONE,
    bridge.LineTestStatus.FAIL: LineTestEnding.DONE,
    bridge.LineTestStatus.LINE_IN_USE: LineTestEnding.IN_USE,
    bridge.LineTestStatus.TIMEOUT: LineTestEnding.TIMEOUT,
    bridge.LineTestStatus.ABORTED: LineTestEnding.ABORTED,
    bridge.LineTestStatus.UNSUPPORTED: LineTestEnding.UNSUPPORTED,
}
_UNITS: Final = {
    bridge.Unit.MILLIVOLT: MeasureUnit.MILLIVOLT_DC,
    bridge.Unit.MILLIVOLT_RMS: MeasureUnit.MILLIVOLT_RMS,
    bridge.Unit.OHM: MeasureUnit.OHM,
    bridge.Unit.MILLI_REN: MeasureUnit.MILLI_REN,
    bridge.Unit.PERMILLE: MeasureUnit.PERMILLE,
}
_CONDUCTORS: Final = {
    bridge.Conductors.TIP_RING: Conductors.TIP_RING,
    bridge.Conductors.TIP_GROUND: Conductors.TIP_GROUND,
    bridge.Conductors.RING_GROUND: Conductors.RING_GROUND,
}


def line_tested(event: bridge.LineTested) -> LineTested | None:
    """The event in the Switch's words; None for a test that is none of the set."""
    kind = _KINDS.get(event.test)
    if kind is None:
        return None
    measures = tuple(
        Measure(_CONDUCTORS[value.between], _UNITS[value.unit], value.value)
        for value in event.values
        if value.unit in _UNITS
    )
    return LineTested(event.line, kind, _ENDINGS[event.status], measures)
