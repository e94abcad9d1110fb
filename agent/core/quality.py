"""How well a call sounds: from the counters of its RTP streams, once a second. Time is an argument, in ms of the boot
clock; a way is seen from the household (`heard`: towards it, `sent`: from it).
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

from msgspec import Struct, structs

from agent.core.media import Way, WayFigures, WorstSpell

WINDOW_S: Final = 5
"""The worst spell of a call is looked for among all its stretches of so many seconds."""
SAMPLE_MS: Final = 1_000
PATIENCE_MS: Final = 3_000
"""So long after the answer nothing at all may arrive before it is called one-way audio."""
MACHINE_PATIENCE_MS: Final = 10_000
"""The same for a machine's line: the far machine may wait in silence, and send nothing where it suppresses that."""
_LOOK_SLACK_MS: Final = SAMPLE_MS // 2
"""A look comes once a second, never exactly: where only so much lacks, nobody waits for the next."""
_REPORT_MS: Final = 12_000
"""Two intervals of RTCP (RFC 3550 §6.2: 5 s, at most half as much again), and a little."""
_EARLY_REPORT_MS: Final = 2_000
_IN_FLIGHT: Final = 60
"""Packets that may have been sent since a report was made and before it is looked at."""
_HALF_OF_24_BITS: Final = 1 << 23
_BAD_MOS_CENTI: Final = 310
_FAIR_MOS_CENTI: Final = 360
_US_PER_MS: Final = 1000


class Grade(enum.StrEnum):
    """A mean opinion score in a word (ITU-T G.107 Annex B: satisfied from 3.6, nearly all dissatisfied below 3.1)."""

    GOOD = "good"
    FAIR = "fair"
    BAD = "bad"


def grade(mos_centi: int) -> Grade | None:
    """The word for a score; None for 0, an unknown one."""
    if mos_centi <= 0:
        return None
    if mos_centi < _BAD_MOS_CENTI:
        return Grade.BAD
    return Grade.FAIR if mos_centi < _FAIR_MOS_CENTI else Grade.GOOD


def mos_centi(loss_permille: float, jitter_ms: float, rtt_ms: float) -> int:
    """Mean opinion score × 100, from 100 to 440, by the simplified E-model.

    That is ITU-T G.107 for G.711 with everything but the network at its default, in the form that measuring programs
    use: E = one-way delay + 2 × jitter + 10 ms; R = 93.2 - E/40, from 160 ms on 93.2 - (E - 120)/10; less 2.5 for each
    per cent of loss; MOS = 1 + 0.035 R + R (R - 60) (100 - R) × 7e-6 (G.107 Annex B).
    """
    delay_ms = rtt_ms / 2 + 2 * jitter_ms + 10
    rating = 93.2 - (delay_ms / 40 if delay_ms < 160 else (delay_ms - 120) / 10) - 0.25 * loss_permille
    if rating <= 0:
        return 100
    return max(100, round(100 * (1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)))


class Counters(Struct, frozen=True):
    """What one RTP stream has counted since it began (RFC 3550 §6.4): packets, octets, microseconds.

    `reports`: how many times the far end has told what reaches it; `far_lost` and `far_jitter_us` are from the newest.
    `far_talks`: RTCP of the far end has come, with or without such a report.
    """

    received: int = 0
    received_octets: int = 0
    lost: int = 0
    discarded: int = 0
    jitter_us: int = 0
    sent: int = 0
    sent_octets: int = 0
    reports: int = 0
    far_lost: int = 0
    far_jitter_us: int = 0
    rtt_us: int = 0
    far_talks: bool = False

    @property
    def missed(self) -> int:
        """Packets that did not become sound: lost, or too late."""
        return self.lost + self.discarded


class Figures(Struct, frozen=True):
    """A call at this moment; None: not known. `rtt_ms` 0: not known. `sent` is what the far end has told last."""

    heard: WayFigures | None = None
    sent: WayFigures | None = None
    rtt_ms: int = 0


class _Second(Struct, frozen=True):
    at_ms: int
    received: int
    missed: int
    jitter_us: int


def _permille(part: int, whole: int) -> int:
    return max(0, min(1000, round(1000 * part / whole))) if whole > 0 else 0


def _ms(us: float) -> int:
    return round(us / _US_PER_MS)


class OneWayWatch:
    """Whether one direction of an answered call is dead: heard from the call's counters, judged from each beginning of
    two-way speech on (the answer, the end of a hold, another stream).
    """

    def __init__(self) -> None:
        self.silent: Way | None = None
        self.since_ms = 0
        self.first: Way | None = None
        """Which way was silent first in this call, if any was."""
        self.silent_ms = 0
        """How long it was one-way, spells that are over."""
        self._began_ms: int | None = None
        self._began = Counters()
        self._reported = Counters()
        self._fine_ms = 0
        self._talks_from_ms: int | None = None
        self._far_deaf = False

    def pause(self, now: int) -> None:
        """The call is held, or its stream has ended: nothing can be said, and what follows is a new beginning."""
        self._judge(None, now)
        self._began_ms, self._far_deaf, self._talks_from_ms = None, False, None

    def look(self, counters: Counters, now: int, patience_ms: int = PATIENCE_MS) -> None:
        """The stream's counters at `now`, while both sides may speak."""
        if self._began_ms is None:
            self._began_ms, self._began, self._reported, self._fine_ms = now, counters, counters, now
        if counters.far_talks and self._talks_from_ms is None:
            self._talks_from_ms = now
        self._hear_report(counters, now)
        if now - self._began_ms < patience_ms - _LOOK_SLACK_MS:
            return
        sending = counters.sent > self._began.sent
        if sending and counters.received == self._began.received:
            self._judge(Way.HEARD, now, self._began_ms)
        elif sending and (self._far_deaf or self._never_reported(counters, now)):
            self._judge(Way.SENT, now, self._fine_ms)
        else:
            self._judge(None, now)

    def _hear_report(self, counters: Counters, now: int) -> None:
        """A report tells that nothing has arrived where the far end misses all that was sent since the last one."""
        if counters.reports == self._reported.reports:
            return
        sent = counters.sent - self._reported.sent
        lost = _far_lost(counters) - _far_lost(self._reported)
        self._far_deaf = lost > _IN_FLIGHT and lost >= sent - _IN_FLIGHT
        self._reported = counters
        if not self._far_deaf:
            self._fine_ms = now

    def _never_reported(self, counters: Counters, now: int) -> bool:
        """Whether the far end speaks RTCP and still has nothing to say of us: a report has no block for somebody of
        whom nothing was received (RFC 3550 §6.4.2). One that left before our first packets could arrive says nothing.
        """
        if counters.reports > 0 or self._talks_from_ms is None or self._began_ms is None:
            return False
        early = self._talks_from_ms - self._began_ms < _EARLY_REPORT_MS
        return not early or now - self._began_ms >= _REPORT_MS

    def _judge(self, silent: Way | None, now: int, since_ms: int = 0) -> None:
        if silent is self.silent:
            return
        if self.silent is not None:
            self.silent_ms += now - self.since_ms
        self.silent, self.since_ms = silent, since_ms
        self.first = self.first or silent


def _far_lost(counters: Counters) -> int:
    """A signed number of 24 bits (RFC 3550 §6.4.1), negative where packets came twice; never more than was sent."""
    return min(counters.far_lost, counters.sent) if counters.far_lost < _HALF_OF_24_BITS else 0


class Meter:
    """The quality of one call over all its streams: each re-INVITE begins a new one, with counters from 0."""

    def __init__(self) -> None:
        self.watch = OneWayWatch()
        self.worst: WorstSpell | None = None
        self.streams = 0
        """How many streams have ended."""
        self._ended = Counters()
        self._newest = Counters()
        self._reported = Counters()
        self._answered_ms: int | None = None
        self._seconds: deque[_Second] = deque(maxlen=WINDOW_S)
        self._told: WayFigures | None = None
        self._told_before = 0
        self._base: int | None = 0
        self._jitter_us = self._far_jitter_us = self._rtt_us = 0
        self._samples = self._reports = self._trips = 0

    @property
    def totals(self) -> Counters:
        """All streams together; jitter and round trip are means over the seconds of the call."""
        ended, newest = self._ended, self._newest
        return Counters(
            received=ended.received + newest.received,
            received_octets=ended.received_octets + newest.received_octets,
            lost=ended.lost + newest.lost,
            discarded=ended.discarded + newest.discarded,
            jitter_us=self._jitter_us // max(1, self._samples),
            sent=ended.sent + newest.sent,
            sent_octets=ended.sent_octets + newest.sent_octets,
            reports=ended.reports + newest.reports,
            far_lost=ended.far_lost + _far_lost(newest),
            far_jitter_us=self._far_jitter_us // max(1, self._reports),
            rtt_us=self._rtt_us // max(1, self._trips),
        )

    def sample(self, counters: Counters, now: int, *, held: bool = False, patience_ms: int = PATIENCE_MS) -> Figures:
        """One look at the running stream of an answered call; the first one is at the answer."""
        counters = self._of_this_stream(counters)
        if self._answered_ms is None:
            # What was counted before the answer is ringing and announcements.
            self._answered_ms, self._newest, self._reported = now, counters, counters
        else:
            self._take(counters, now)
        if held:
            self.watch.pause(now)
        else:
            self.watch.look(counters, now, patience_ms)
        return self.figures()

    def stream_ended(self, counters: Counters, now: int) -> None:
        """The last counters of a stream; another one may follow."""
        told = counters.far_lost
        counters = self._of_this_stream(counters)
        if self._answered_ms is not None:
            self._take(counters, now)
        self._newest = counters
        self.streams += 1
        self._ended = self.totals
        self._newest = self._reported = Counters()
        self._told_before, self._base = (told if counters.reports else self._told_before), None
        self.watch.pause(now)

    def figures(self) -> Figures:
        """The last seconds of what is heard, and the far end's last report."""
        return Figures(self._window(), self._told, self._rtt_ms())

    def overall(self, way: Way) -> int:
        """The score × 100 of one direction over the whole call; 0: not known."""
        totals = self.totals
        if way is Way.HEARD:
            expected = totals.received + totals.lost
            loss, jitter_us = _permille(totals.missed, expected), totals.jitter_us
        else:
            expected = totals.sent if totals.reports else 0
            loss, jitter_us = _permille(totals.far_lost, expected), totals.far_jitter_us
        return mos_centi(loss, jitter_us / _US_PER_MS, totals.rtt_us / _US_PER_MS) if expected else 0

    def _of_this_stream(self, counters: Counters) -> Counters:
        """Without what the far end has told of the streams before: to it they may be one, with one count of losses."""
        if self._base is None and counters.reports:
            self._base = self._told_before if self._told_before <= counters.far_lost < _HALF_OF_24_BITS else 0
        return structs.replace(counters, far_lost=counters.far_lost - self._base) if self._base else counters

    def _take(self, counters: Counters, now: int) -> None:
        before, self._newest = self._newest, counters
        received = max(0, counters.received - before.received)
        missed = max(0, counters.missed - before.missed)
        self._seconds.append(_Second(now, received, missed, counters.jitter_us))
        if received:
            self._jitter_us += counters.jitter_us
            self._samples += 1
        if counters.reports > self._reported.reports:
            self._hear_report(counters, now)
        window = self._window()
        if window is not None and len(self._seconds) == WINDOW_S:
            self._keep_worst(Way.HEARD, window, self._seconds[0].at_ms - SAMPLE_MS)

    def _hear_report(self, counters: Counters, now: int) -> None:
        before, self._reported = self._reported, counters
        loss = _permille(max(0, _far_lost(counters) - _far_lost(before)), counters.sent - before.sent)
        self._far_jitter_us += counters.far_jitter_us
        self._reports += 1
        if counters.rtt_us:
            self._rtt_us += counters.rtt_us
            self._trips += 1
        score = mos_centi(loss, counters.far_jitter_us / _US_PER_MS, counters.rtt_us / _US_PER_MS)
        self._told = WayFigures(loss, _ms(counters.far_jitter_us), score)
        self._keep_worst(Way.SENT, self._told, now - WINDOW_S * SAMPLE_MS)

    def _window(self) -> WayFigures | None:
        received = sum(second.received for second in self._seconds)
        missed = sum(second.missed for second in self._seconds)
        if not received + missed:
            return None
        loss = _permille(missed, received + missed)
        jitter_us = max(second.jitter_us for second in self._seconds)
        score = mos_centi(loss, jitter_us / _US_PER_MS, self._newest.rtt_us / _US_PER_MS)
        return WayFigures(loss, _ms(jitter_us), score)

    def _rtt_ms(self) -> int:
        return _ms(self._newest.rtt_us)

    def _keep_worst(self, way: Way, figures: WayFigures, from_ms: int) -> None:
        if self.worst is None or figures.mos_centi < self.worst.mos_centi:
            begin = max(0, from_ms - (self._answered_ms or 0))
            self.worst = WorstSpell(
                way, begin, figures.loss_permille, figures.jitter_ms, self._rtt_ms(), figures.mos_centi
            )  # fmt: skip
