"""The card's half of the caller display: when it sends what, as sound on the two wires. Time is an argument.

On-hook: after the first ring, in the pause, or before it, behind a tone that wakes the telephone (DT-AS); source: ETSI
EN 300 659-1 §5 and §6. Off-hook: a tone (CAS), the telephone's answer, then the data, with speech muted meanwhile;
source: ETSI EN 300 659-2 §5.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

from firmware_bridge import messages as m
from firmware_bridge import tonemeter, v23
from firmware_bridge.caller_id import Caller, call_setup
from firmware_bridge.simulator.player import DTMF_DBM0, RATE, SILENT_TICK
from firmware_bridge.vocabulary import CidPlacement, CidStandard, DoneResult, Status

ALERT_HZ: Final = (2130, 2750)
ALERT_DBM0: Final = -15.0
ALERT_MS: Final = 100
ALERT_OFF_HOOK_MS: Final = 80
AFTER_ALERT_MS: Final = 60
AFTER_BURST_MS: Final = 600
"""From the end of a ringing burst to the data: 500 to 2000 ms."""
BEFORE_BURST_MS: Final = 250
"""From the data to the next ringing burst: at least 200 ms."""
ANSWER_MS: Final = 220
"""A telephone's answer is there within 100 ms and lasts 55 to 65."""
AFTER_ANSWER_MS: Final = 100
ANSWERS: Final = frozenset("AD")
KEY_MS: Final = 70


class Presenter:
    """One line's. `done(result)` is called when what was ordered has ended; `tick` gives what sounds on the wires."""

    def __init__(self, done: Callable[[DoneResult], None]) -> None:
        self._done = done
        self._waiting: m.CidSend | None = None
        """For the next ringing, or its next pause."""
        self._sound = b""
        self._sounded = 0
        self._order: m.CidSend | None = None
        self._answer_by_ms: int | None = None
        self._off_hook = False

    @property
    def busy(self) -> bool:
        """Whether something is being sent, or a telephone's answer waited for."""
        return self._order is not None

    @property
    def mutes(self) -> bool:
        """Whether speech must not be heard, on either side."""
        return self.busy and self._off_hook

    @property
    def awaits_answer(self) -> bool:
        """Whether the next key is the telephone's, not a person's."""
        return self._answer_by_ms is not None

    def order(self, order: m.CidSend, *, off_hook: bool, ringing: bool) -> Status:
        """Take an order of the host."""
        keys = order.standard is CidStandard.DTMF
        if not order.message or (keys and (off_hook or not set(order.message) <= _KEYS)):
            return Status.INVALID
        if self.busy:
            return Status.BUSY
        if order.placement is CidPlacement.NOW:
            if ringing:
                return Status.BUSY
            self._begin(order, off_hook=off_hook)
            return Status.OK
        if off_hook:
            return Status.OFF_HOOK
        if ringing and order.placement is CidPlacement.BEFORE_RING:
            return Status.BUSY
        self._waiting = order
        return Status.OK

    def ringing_begins(self, order: m.RingStart) -> bool:
        """Ringing was ordered. Whether it has to wait for what comes before it."""
        if self._waiting is None and order.caller:
            placement = CidPlacement.AFTER_FIRST_RING if order.caller_after_ring else CidPlacement.BEFORE_RING
            self._waiting = m.CidSend(CidStandard.ETSI_FSK, placement, call_setup(Caller(order.caller)))
        waiting = self._waiting
        if waiting is None or self.busy or waiting.placement is not CidPlacement.BEFORE_RING:
            return False
        self._waiting = None
        self._begin(waiting, off_hook=False)
        return True

    def burst_ended(self, pause_ms: int) -> None:
        """A ringing burst has ended, and a pause of this length has begun: send in the first that is long enough."""
        if self._waiting is None or self.busy:
            return
        sound = silence(AFTER_BURST_MS) + _data(self._waiting, off_hook=False) + silence(BEFORE_BURST_MS)
        if len(sound) <= 2 * pause_ms * RATE // 1000:
            self._order, self._waiting, self._off_hook = self._waiting, None, False
            self._sound, self._sounded = sound, 0

    def stop(self, result: DoneResult) -> None:
        """The handset was lifted or replaced, or ringing has ended."""
        pending = self.busy or self._waiting is not None
        self._order = self._waiting = self._answer_by_ms = None
        self._sound, self._sounded = b"", 0
        if pending:
            self._done(result)

    def answered(self, key: str) -> bool:
        """A key was heard. Whether it was the telephone's answer."""
        if self._answer_by_ms is None or self._order is None:
            return False
        if key in ANSWERS:
            self._answer_by_ms = None
            self._sound, self._sounded = silence(AFTER_ANSWER_MS) + _data(self._order, off_hook=True), 0
        return True

    def tick(self, now: int) -> bytes:
        """The next 10 ms on the wires."""
        if self._order is None:
            return SILENT_TICK
        if self._answer_by_ms is not None:
            if now >= self._answer_by_ms:
                self.stop(DoneResult.FAILED)
            return SILENT_TICK
        piece = self._sound[self._sounded : self._sounded + len(SILENT_TICK)]
        self._sounded += len(SILENT_TICK)
        if self._sounded >= len(self._sound):
            if self._off_hook and self._sound == alert(ALERT_OFF_HOOK_MS):
                self._answer_by_ms = now + ANSWER_MS
            else:
                self._order = None
                self._sound, self._sounded = b"", 0
                self._done(DoneResult.COMPLETE)
        return piece.ljust(len(SILENT_TICK), b"\0") if any(piece) else SILENT_TICK

    def _begin(self, order: m.CidSend, *, off_hook: bool) -> None:
        self._order, self._off_hook, self._sounded = order, off_hook, 0
        if off_hook:
            self._sound = alert(ALERT_OFF_HOOK_MS)
        elif order.standard is CidStandard.DTMF:
            self._sound = silence(BEFORE_BURST_MS) + _data(order, off_hook=False) + silence(BEFORE_BURST_MS)
        else:
            self._sound = (
                alert(ALERT_MS) + silence(AFTER_ALERT_MS) + _data(order, off_hook=False) + silence(BEFORE_BURST_MS)
            )


@functools.cache
def alert(ms: int) -> bytes:
    """The tone that makes a telephone listen for data."""
    return tonemeter.mix(ALERT_HZ, ms * RATE // 1000, ALERT_DBM0)


def silence(ms: int) -> bytes:
    """Nothing for a while."""
    return bytes(2 * ms * RATE // 1000)


def _data(order: m.CidSend, *, off_hook: bool) -> bytes:
    if order.standard is CidStandard.DTMF:
        return b"".join(
            tonemeter.mix(tonemeter.DTMF_HZ[chr(key)], KEY_MS * RATE // 1000, DTMF_DBM0) + silence(KEY_MS)
            for key in order.message
        )
    modem = v23.Modem.BELL_202 if order.standard is CidStandard.BELLCORE_FSK else v23.Modem.V23
    return v23.modulate(order.message, off_hook=off_hook, modem=modem)


_KEYS: Final = frozenset(b"0123456789*#ABCD")
