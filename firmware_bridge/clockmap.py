"""Maps the card's clock to the host's: PING and PONG, of which the quickest round trips are believed. Pure.

The error of an offset is at most half of its round trip (RFC 5905 section 8), so the quickest of the last WINDOW
exchanges decides. Drift is the slope between such offsets that lie at least BASELINE_MS apart.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct

WINDOW = 16
BASELINE_MS = 60_000
_MODULUS = 1 << 32
_HALF = 1 << 31
_LONGEST_RTT_MS = 2000
_OLDEST_EDGE_MS = 10_000
"""An event waits on a bad wire for as long as the session lives without acknowledgement, hardly longer."""


def _signed(value: int) -> int:
    return (value + _HALF) % _MODULUS - _HALF


class _Sample(Struct, frozen=True):
    at_ms: int
    rtt_ms: int
    offset_ms: int


class ClockMap:
    """The offset between two millisecond clocks, of which the card's is known modulo 2^32."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=WINDOW)
        self._first: _Sample | None = None
        self.drift_ppm = 0
        """How much faster the card's clock runs than the host's; 0 until BASELINE_MS have passed."""

    def forget(self) -> None:
        """The card has restarted: its clock began anew."""
        self._samples.clear()
        self._first = None
        self.drift_ppm = 0

    @property
    def rtt_ms(self) -> int:
        """The quickest of the last round trips, 0 before the first."""
        return min((sample.rtt_ms for sample in self._samples), default=0)

    def sample(self, sent32: int, card32: int, now: int) -> None:
        """A PONG came at `now`: the low 32 bits of when its PING left, and of the card's clock. Nonsense is ignored."""
        rtt = (now - sent32) % _MODULUS
        if rtt > _LONGEST_RTT_MS:
            return
        taken = _Sample(now, rtt, _signed(card32 - (now - rtt // 2)))
        self._samples.append(taken)
        if len(self._samples) < WINDOW:
            return
        best = min(self._samples, key=lambda one: one.rtt_ms)
        if self._first is None:
            self._first = best
        elif best.at_ms - self._first.at_ms >= BASELINE_MS:
            moved = _signed(best.offset_ms - self._first.offset_ms)
            ppm = round(moved * 1_000_000 / (best.at_ms - self._first.at_ms))
            self.drift_ppm = max(-32_768, min(32_767, ppm))

    def to_host(self, card_us: int, now: int) -> int:
        """When on the host's clock something happened at `card_us` of the card's; `now` where that is not known."""
        if not self._samples:
            return now
        best = min(self._samples, key=lambda one: one.rtt_ms)
        age = _signed(now + best.offset_ms - card_us // 1000)
        return now if not 0 <= age <= _OLDEST_EDGE_MS else now - age
