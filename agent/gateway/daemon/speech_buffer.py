"""One direction of a line's speech between two clocks: a bounded buffer that follows their drift in silence.

One thread puts, one takes; every operation on the shared deque is one atomic step, so no lock is ever held by a frame
callback. Everything else belongs to the taking thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from agent.core.media import SpeechCounters
from agent.gateway.daemon.buffer_plan import CARD_FRAME_US, SPEECH, BufferPlan
from agent.gateway.daemon.conceal import SILENT_FRAME, Concealer, blend, is_silent

_LIMIT = 64
"""Frames kept while nobody takes any."""


class SpeechBuffer:
    """`put` frames of 10 ms as they come (None: one that was lost), `take` them as the other clock wants them."""

    def __init__(self, clock_us: Callable[[], int]) -> None:
        self._clock_us = clock_us
        self._frames: deque[tuple[int, bytes | None]] = deque(maxlen=_LIMIT)
        self._plan = SPEECH
        self._concealer = Concealer()
        self._silenced_until_us = -1
        self._restart()
        self._count_anew()

    def _restart(self) -> None:
        self._flowing = False
        self._slack_us: int | None = None
        self._window_ends_us = 0
        self._wish = 0
        self._filling = False

    def _count_anew(self) -> None:
        self._taken = self._slips = self._inserts = self._forced = self._underruns = self._concealed = 0

    def clear(self, plan: BufferPlan) -> None:
        """Begin a new conversation: empty, counters at zero."""
        self._plan = plan
        self._frames.clear()
        self._concealer.reset()
        self._silenced_until_us = -1
        self._restart()
        self._count_anew()

    @property
    def counters(self) -> SpeechCounters:
        """What has happened since `clear`."""
        return SpeechCounters(
            frames=self._taken, slips=self._slips, inserts=self._inserts, forced=self._forced,
            underruns=self._underruns, concealed=self._concealed,
        )  # fmt: skip

    @property
    def slack_us(self) -> int | None:
        """The least slack of the present window; None before the first frame of one."""
        return self._slack_us

    # --- the putting thread ------------------------------------------------------------------------------------------

    def put(self, *frames: bytes | None) -> None:
        """Frames that came together, each as if 10 ms after the one before: the other clock takes them so."""
        at_us = self._clock_us()
        for number, frame in enumerate(frames):
            self._frames.append((at_us + number * CARD_FRAME_US, frame))

    def silence_waiting(self) -> None:
        """Make silent what waits and has not been taken yet."""
        self._silenced_until_us = self._clock_us()

    # --- the taking thread -------------------------------------------------------------------------------------------

    def follow(self, plan: BufferPlan) -> None:
        """Go on by another plan; a deeper buffer fills at once, whatever is being said."""
        self._plan = plan
        self._slack_us = None
        self._wish = self._window_ends_us = 0
        self._filling = True

    def take(self, count: int) -> bytes | None:
        """`count` frames joined; None while nothing has come to be said."""
        now_us = self._clock_us()
        if not self._flowing and not self._begin(count, now_us):
            return None
        self._bound(count)
        if self._filling:
            self._fill(count, now_us)
        self._adapt(count, now_us)
        out = [self._next(now_us) for _ in range(count)]
        self._taken += count
        return out[0] if count == 1 else b"".join(out)

    def _begin(self, count: int, now_us: int) -> bool:
        """Start with the youngest frames that have waited long enough, and forget the older ones."""
        frames = self._frames
        surplus = -1
        for start in range(len(frames) - count + 1):
            if now_us - frames[start + count - 1][0] < self._plan.begin_us:
                break
            surplus = start
        if surplus < 0:
            return False
        for _ in range(surplus):
            frames.popleft()
        self._restart()
        self._flowing = True
        return True

    def _next(self, now_us: int) -> bytes:
        try:
            at_us, frame = self._frames.popleft()
        except IndexError:
            return self._starve()
        if frame is None:
            self._concealed += 1
            return self._concealer.lost()
        if at_us <= self._silenced_until_us:
            frame = SILENT_FRAME
        slack_us = now_us - at_us
        if self._slack_us is None or slack_us < self._slack_us:
            self._slack_us = slack_us
        return self._concealer.good(frame)

    def _starve(self) -> bytes:
        concealer = self._concealer
        self._slack_us = 0
        if not concealer.missing:
            self._underruns += 1
        self._concealed += 1
        frame = concealer.lost()
        if frame is SILENT_FRAME:
            # The other end has stopped: what comes next is a beginning.
            self._flowing = False
        return frame

    def _bound(self, count: int) -> None:
        """After a hold-up of the taking clock: cut back to what is normal, with one soft joint."""
        frames = self._frames
        surplus = len(frames) - self._plan.capacity
        if surplus <= 0:
            return
        keep = count + (self._plan.begin_us + CARD_FRAME_US) // CARD_FRAME_US
        oldest = frames[0][1]
        cut = 0
        while len(frames) > keep:
            frames.popleft()
            cut += 1
        at_us, head = frames.popleft()
        if oldest is not None and head is not None:
            head = blend(oldest, head)
        frames.appendleft((at_us, head))
        self._slips += cut
        self._forced += cut
        self._slack_us = None
        self._window_ends_us = 0

    def _fill(self, count: int, now_us: int) -> None:
        """Repeat the oldest frame until the buffer is as deep as its plan wants it."""
        frames = self._frames
        self._filling = False
        while len(frames) >= count and now_us - frames[count - 1][0] < self._plan.begin_us:
            at_us, head = frames[0]
            frames.appendleft((at_us - CARD_FRAME_US, head))
            self._inserts += 1
            self._forced += 1

    def _adapt(self, count: int, now_us: int) -> None:
        """Once a window: is there too much or too little? Then leave out or insert one frame at the next silence."""
        plan = self._plan
        if now_us >= self._window_ends_us:
            slack_us, self._slack_us = self._slack_us, None
            begun = self._window_ends_us == 0
            self._window_ends_us = now_us + plan.window_us
            if begun or slack_us is None or not plan.adaptive:
                self._wish = 0
            else:
                self._wish = -1 if slack_us > plan.high_us else 1 if slack_us < plan.low_us else 0
        if not self._wish or len(self._frames) < (count + 1 if self._wish < 0 else 1):
            return
        head = self._frames[0][1]
        if head is None or not is_silent(head):
            return
        if self._wish < 0:
            self._frames.popleft()
            self._slips += 1
        else:
            # Older by one frame than the one it repeats, as if it had come before it.
            self._frames.appendleft((self._frames[0][0] - CARD_FRAME_US, head))
            self._inserts += 1
        self._wish = 0
        self._slack_us = None
        self._window_ends_us = now_us + plan.window_us
