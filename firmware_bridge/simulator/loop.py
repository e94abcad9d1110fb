"""The wires behind a simulated socket, as far as a line test sees them, and the test itself. Time is an argument.

Resistances in ohms, voltages in millivolts; a loop that is open has OPEN ohms, as a chip reports at the end of its
range.
"""

from __future__ import annotations

import random

from msgspec import Struct

from firmware_bridge import messages as m
from firmware_bridge.vocabulary import Conductors, LineTest, LineTestStatus, Unit

OPEN = 10_000_000
HOOK_OHM = 2_500
"""Below this the loop current is that of a lifted handset."""

_HANDSET_OHM = 430
_HANDSET_PERMILLE = 900
_NOISE_PERMILLE = 10


class Loop(Struct, frozen=True):
    """What hangs on the line. The default: one telephone with one ringer, on a dry cable."""

    tip_ring_ohm: int = OPEN
    tip_ground_ohm: int = OPEN
    ring_ground_ohm: int = OPEN
    foreign_dc_mv: int = 0
    foreign_ac_mv: int = 0
    milli_ren: int = 1000
    receiver_off_hook: bool = False
    """A receiver lies beside its telephone somewhere."""

    @property
    def closed(self) -> bool:
        """Whether it draws so much current that the card takes it for a lifted handset."""
        return self.receiver_off_hook or self.tip_ring_ohm < HOOK_OHM


LOOPS = {
    "normal": Loop(),
    "open": Loop(milli_ren=0),
    "short": Loop(tip_ring_ohm=15),
    "leak": Loop(tip_ring_ohm=40_000),
    "ground": Loop(ring_ground_ohm=22_000),
    "foreign": Loop(foreign_dc_mv=-14_000, foreign_ac_mv=2_500),
    "mains": Loop(foreign_ac_mv=120_000),
    "ringers": Loop(milli_ren=6_400),
    "off-hook": Loop(receiver_off_hook=True),
}
"""Loops by name, for people."""

_TAKES_MS = {
    LineTest.HAZARDOUS_VOLTAGE: 200,
    LineTest.FOREIGN_VOLTAGE: 300,
    LineTest.RESISTIVE_FAULT: 500,
    LineTest.RECEIVER_OFF_HOOK: 250,
    LineTest.RINGER_LOAD: 600,
}


class LineTester:
    """The measuring half of one line: one test after the other."""

    def __init__(self, seed: int) -> None:
        self._waiting: list[LineTest] = []
        self._ends_ms = 0
        self._random = random.Random(seed)  # noqa: S311 -- the noise of a measurement, no secret

    @property
    def running(self) -> bool:
        """Whether it holds the wires."""
        return bool(self._waiting)

    def start(self, tests: LineTest, now: int) -> bool:
        """Begin; false where there is a test that it cannot do."""
        wanted = list(tests)
        if not wanted or not set(wanted) <= set(_TAKES_MS):
            return False
        self._waiting = wanted
        self._ends_ms = now + _TAKES_MS[wanted[0]]
        return True

    def abort(self, now: int) -> list[m.LineTestResultEvent]:
        """Let go of the wires: what the host is told of each test that was wanted."""
        gone = [m.LineTestResultEvent(now * 1000, test, LineTestStatus.ABORTED) for test in self._waiting]
        self._waiting.clear()
        return gone

    def tick(self, loop: Loop, now: int) -> m.LineTestResultEvent | None:
        """Live on; the outcome of a test that has just ended."""
        if not self._waiting or now < self._ends_ms:
            return None
        test = self._waiting.pop(0)
        if self._waiting:
            self._ends_ms = now + _TAKES_MS[self._waiting[0]]
        values = self._measure(loop, test)
        return m.LineTestResultEvent(now * 1000, test, LineTestStatus.OK, values)

    def _measure(self, loop: Loop, test: LineTest) -> tuple[m.MeasuredValue, ...]:
        across = loop.tip_ring_ohm
        if loop.receiver_off_hook:
            across = across * _HANDSET_OHM // (across + _HANDSET_OHM)
        match test:
            case LineTest.HAZARDOUS_VOLTAGE | LineTest.FOREIGN_VOLTAGE:
                return (
                    self._value(Conductors.TIP_GROUND, Unit.MILLIVOLT_RMS, loop.foreign_ac_mv),
                    self._value(Conductors.TIP_GROUND, Unit.MILLIVOLT, loop.foreign_dc_mv),
                    self._value(Conductors.RING_GROUND, Unit.MILLIVOLT_RMS, loop.foreign_ac_mv // 2),
                    self._value(Conductors.RING_GROUND, Unit.MILLIVOLT, loop.foreign_dc_mv // 2),
                )
            case LineTest.RESISTIVE_FAULT:
                return (
                    self._value(Conductors.TIP_RING, Unit.OHM, across),
                    self._value(Conductors.TIP_GROUND, Unit.OHM, loop.tip_ground_ohm),
                    self._value(Conductors.RING_GROUND, Unit.OHM, loop.ring_ground_ohm),
                )
            case LineTest.RECEIVER_OFF_HOOK:
                permille = _HANDSET_PERMILLE if loop.receiver_off_hook else 20
                return (self._value(Conductors.TIP_RING, Unit.PERMILLE, permille),)
            case _:
                return (self._value(Conductors.TIP_RING, Unit.MILLI_REN, loop.milli_ren),)

    def _value(self, between: Conductors, unit: Unit, true: int) -> m.MeasuredValue:
        noise = self._random.randint(-_NOISE_PERMILLE, _NOISE_PERMILLE)
        return m.MeasuredValue(between, unit, true + true * noise // 1000)
