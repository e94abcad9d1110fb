"""The reliable half of the link: frames in order, exactly once, in one direction.

Go-back-N with an 8-bit sequence number, a cumulative acknowledgement (the number expected next), a negative
acknowledgement at a gap, and a retransmission timer after RFC 6298 (srtt + 4 rttvar, doubled at each expiry). Pure.
"""

from __future__ import annotations

import enum
from collections import deque

from msgspec import Struct

MODULUS = 256
WINDOW = 4
QUEUE_LIMIT = 64
MAX_SENDS = 5
"""So many sends without progress, after each of which the other end spoke, end the session: that end is deaf.

Sends into silence do not count; how long an end may be silent is the silence timer's and the lease's. Five sends
alone take 0.6 s on a quick wire: measured with a host that stalls for 1 s every 5 s, they ended every session.
"""

RTO_FIRST_MS = 100
RTO_MIN_MS = 20
RTO_MAX_MS = 1000


class LinkBusyError(Exception):
    """More frames wait than the link is willing to keep."""


class Arrival(enum.Enum):
    """What a sequence number says of an arriving frame."""

    NEW = "new"
    DUPLICATE = "duplicate"
    GAP = "gap"


class Outgoing(Struct):
    """A frame on its way; `sends` counts how often it was put on the wire."""

    kind: int
    line: int
    id: int
    payload: bytes
    seq: int
    sent_ms: int = 0
    sends: int = 0


class Sender:
    """Numbers, keeps and repeats frames until they are acknowledged."""

    def __init__(self, window: int = WINDOW) -> None:
        self.retransmissions = 0
        self._window = window
        self._next_seq = 0
        self._waiting: deque[Outgoing] = deque()
        self._flying: deque[Outgoing] = deque()
        self._again = 0
        self._unheeded = 0
        self._rto = RTO_FIRST_MS
        self._srtt: float | None = None
        self._rttvar = 0.0

    @property
    def rtt_ms(self) -> int:
        """The smoothed round trip, 0 before the first measurement."""
        return round(self._srtt or 0)

    @property
    def unsent(self) -> bool:
        """Whether a frame waits for its first time on the wire."""
        return bool(self._waiting)

    @property
    def waiting(self) -> int:
        """How many frames are queued or unacknowledged."""
        return len(self._waiting) + len(self._flying)

    def use_window(self, window: int) -> None:
        """Never have more than `window` frames unacknowledged."""
        self._window = max(1, min(window, WINDOW))

    def offer(self, kind: int, line: int, ident: int, payload: bytes) -> int:
        """Queue a frame; its sequence number. Raises LinkBusyError where QUEUE_LIMIT frames wait already."""
        if self.waiting >= QUEUE_LIMIT:
            raise LinkBusyError(f"{QUEUE_LIMIT} frames already wait to be acknowledged")
        seq = self._next_seq
        self._next_seq = (seq + 1) % MODULUS
        self._waiting.append(Outgoing(kind, line, ident, payload, seq))
        return seq

    def take(self, now: int, *, fresh: bool = True) -> Outgoing | None:
        """The next frame for the wire, None while the window is full or nothing waits. Not `fresh`: only repeats."""
        if self._again < len(self._flying):
            frame = self._flying[self._again]
            self._again += 1
        elif fresh and self._waiting and len(self._flying) < self._window:
            frame = self._waiting.popleft()
            self._flying.append(frame)
            self._again = len(self._flying)
        else:
            return None
        if frame.sends:
            self.retransmissions += 1
        frame.sends += 1
        frame.sent_ms = now
        return frame

    def acknowledge(self, expected: int, now: int) -> None:
        """Forget what the other end has: everything before `expected`. A number outside the window is ignored."""
        if not self._flying:
            return
        count = (expected - self._flying[0].seq) % MODULUS
        if not 0 < count <= len(self._flying):
            return
        for _ in range(count):
            frame = self._flying.popleft()
            if frame.sends == 1:
                self._measure(now - frame.sent_ms)
        self._again = max(0, self._again - count)
        # Progress ends the backoff (RFC 6298 section 5.7 would wait for a fresh sample, which loss may never give).
        self._unheeded = 0
        self._set_rto()

    def rewind(self) -> None:
        """Put everything that is unacknowledged on the wire again."""
        self._again = 0

    def deadline(self) -> int | None:
        """When the oldest unacknowledged frame is due again."""
        if not self._flying or self._again == 0:
            return None
        return self._flying[0].sent_ms + self._rto

    def expire(self, now: int, heard_ms: int) -> bool:
        """Repeat what is overdue; false where the other end, last heard at `heard_ms`, speaks and heeds nothing."""
        due = self.deadline()
        if due is None or now < due:
            return True
        self._unheeded += heard_ms > self._flying[0].sent_ms
        if self._unheeded >= MAX_SENDS:
            return False
        self._rto = min(2 * self._rto, RTO_MAX_MS)
        self.rewind()
        return True

    def _measure(self, rtt: float) -> None:
        if self._srtt is None:
            self._srtt, self._rttvar = rtt, rtt / 2
        else:
            self._rttvar += (abs(self._srtt - rtt) - self._rttvar) / 4
            self._srtt += (rtt - self._srtt) / 8

    def _set_rto(self) -> None:
        wanted = RTO_FIRST_MS if self._srtt is None else round(self._srtt + 4 * self._rttvar)
        self._rto = min(max(wanted, RTO_MIN_MS), RTO_MAX_MS)


class Receiver:
    """Tells new frames from repeated ones and notices gaps."""

    def __init__(self) -> None:
        self.expected = 0
        self.gaps = 0
        self.duplicates = 0
        self._complained = False

    def arrive(self, seq: int) -> Arrival:
        """Judge a frame by its sequence number; only a NEW one may be acted upon."""
        ahead = (seq - self.expected) % MODULUS
        if ahead == 0:
            self.expected = (seq + 1) % MODULUS
            self._complained = False
            return Arrival.NEW
        if ahead < MODULUS // 2:
            self.gaps += 1
            return Arrival.GAP
        self.duplicates += 1
        return Arrival.DUPLICATE

    def complain(self) -> bool:
        """Whether to send a NAK for this gap: once, the sender's timer does the rest."""
        first = not self._complained
        self._complained = True
        return first
