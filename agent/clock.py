"""The only reader of clocks: the boot clock, and the wall time that somebody vouches for.

An adapter has no clock that survives a power cut. Wall time is therefore an *anchor*, an instant known on both clocks,
plus the boot clock since then: whatever happens to the system clock, time goes on evenly. Who may set the anchor:

* the operator (its answer is authenticated, and it is whose records these are): always;
* the kernel, while a time daemon disciplines it: where nobody has vouched yet, and in small steps. A large step of a
  disciplined clock is taken forwards as long as no operator has vouched; else it waits for the operator's word.

Nothing is believed before `FLOOR`, and the kernel nothing before the newest time that was ever known.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

FLOOR = datetime(2026, 1, 1, tzinfo=UTC)
"""No adapter was made before this: an earlier wall clock has never been set."""

CEILING = datetime(2126, 1, 1, tzinfo=UTC)
"""No adapter lives to see this: a later time is a fault of whoever tells it."""

MAX_BOOTS = 64
"""Of so many boots the anchor is kept."""

FINE = timedelta(seconds=1)
"""Differences up to this are the noise of two clocks read one after the other."""

LARGE = timedelta(seconds=60)
"""A difference beyond this is a step: no oscillator drifts so far between two looks."""

AGREED = timedelta(seconds=5)
"""So far the operator's word may be from ours to count as the same."""

MAX_ROUND_TRIP_MS = 10_000
"""An operator's answer that took longer tells the time too vaguely."""

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_STEADY_MS = 2
_TRIES = 5


class TimeSource(enum.StrEnum):
    """Who vouches for a wall time, the best last; `system`: nobody."""

    SYSTEM = "system"
    KERNEL = "kernel"
    OPERATOR = "operator"


class Word(enum.Enum):
    """What the operator's word did to the time."""

    USELESS = enum.auto()
    """It names an impossible time, or took longer than `MAX_ROUND_TRIP_MS`: nothing was done."""
    AGREES = enum.auto()
    NEW = enum.auto()
    """Nobody had vouched for the time before."""
    DIFFERS = enum.auto()
    """The time was another: the operator's holds."""


class Moment(Struct, frozen=True):
    """One instant on both clocks. `trusted`: a time daemon or the operator (`source`) vouches for `wall`."""

    boot_id: str
    boot_ms: int
    wall: datetime
    trusted: bool
    source: TimeSource = TimeSource.SYSTEM

    def wall_at(self, boot_ms: int) -> datetime:
        """The wall time of another instant of the same boot."""
        return self.wall + timedelta(milliseconds=boot_ms - self.boot_ms)


ZonedTime = Annotated[datetime, Meta(tz=True)]


class Anchor(Struct, frozen=True, kw_only=True):
    """An instant of a boot whose wall time is known; kept in the store."""

    boot_id: str
    boot_ms: Annotated[int, Meta(ge=0, le=10**13)]
    wall: ZonedTime
    source: TimeSource

    def wall_at(self, boot_ms: int) -> datetime:
        """The wall time of another instant of the same boot."""
        return self.wall + timedelta(milliseconds=boot_ms - self.boot_ms)


class KeptTime(Struct, frozen=True, kw_only=True):
    """What outlives the process: the newest time that was ever known, and the newest anchor of each boot."""

    newest: ZonedTime
    anchors: Annotated[list[Anchor], Meta(max_length=MAX_BOOTS)]


class Reading(Struct, frozen=True):
    """What the system's clocks say at one instant."""

    boot_ms: int
    wall: datetime
    synchronised: bool


@functools.cache
def boot_id() -> str:
    """The kernel's random id of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def boot_ms() -> int:
    """Milliseconds of CLOCK_BOOTTIME: monotonic, counts suspended time, the same in every process of the machine."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def boot_us() -> int:
    """Microseconds of CLOCK_BOOTTIME: for what is measured in parts of a speech frame."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def wall() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(tz=UTC)


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), as far as its status word; the rest is room for the kernel to write."""

    _fields_ = (
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("rest", ctypes.c_byte * 256),
    )  # fmt: skip


@functools.cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def kernel_synchronised() -> bool:
    """Whether a time daemon disciplines the system clock (adjtimex(2): not STA_UNSYNC)."""
    timex = _Timex()
    state = _c_library().adjtimex(ctypes.byref(timex))
    return state not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC


def read_clocks() -> Reading:
    """Both clocks at one instant: read again where the process was put aside between the two."""
    synchronised = kernel_synchronised()
    before, at, after = boot_ms(), wall(), boot_ms()
    for _ in range(_TRIES):
        if after - before <= _STEADY_MS:
            break
        before, at, after = boot_ms(), wall(), boot_ms()
    return Reading(after, at, synchronised)


class Clock:
    """The clock of one process. `restore` gives it what an earlier one knew, `confirm` the operator's word."""

    def __init__(self, read: Callable[[], Reading] = read_clocks, boot: Callable[[], str] = boot_id) -> None:
        self._read, self._boot = read, boot
        self._anchor: Anchor | None = None
        self._earlier: dict[str, Anchor] = {}
        self._newest = FLOOR
        self._floor_since_ms: int | None = None
        self._doubted: timedelta | None = None
        """Wall less boot time of a disciplined system clock that was not believed."""
        self._judged: timedelta | None = None
        """The same of one about which the operator has been asked since."""

    def now(self) -> Moment:
        """The instant on both clocks."""
        reading = self._read()
        if reading.synchronised:
            self._hear_kernel(reading)
        anchor = self._anchor
        if anchor is None:
            least = self._at_least(reading.boot_ms)
            at, source = max(reading.wall, least) if _possible(reading.wall) else least, TimeSource.SYSTEM
        else:
            at, source = anchor.wall_at(reading.boot_ms), anchor.source
            self._newest = max(self._newest, at)
        return Moment(self._boot(), reading.boot_ms, at, anchor is not None, source)

    @property
    def anchor(self) -> Anchor | None:
        """What the time of this boot hangs on; None: nobody vouches for it."""
        return self._anchor

    @property
    def wants_witness(self) -> bool:
        """Whether the operator should be asked: nobody has vouched yet, or a disciplined clock says something else."""
        if self._anchor is None:
            return True
        doubted, judged = self._doubted, self._judged
        return doubted is not None and (judged is None or abs(doubted - judged) > LARGE)

    def anchor_of(self, boot: str) -> Anchor | None:
        """The anchor of this boot, or of an earlier one."""
        return self._anchor if boot == self._boot() else self._earlier.get(boot)

    def restore(self, kept: KeptTime) -> None:
        """Take what an earlier process knew; it is the better witness of this boot, too."""
        self._earlier = {anchor.boot_id: anchor for anchor in kept.anchors if _possible(anchor.wall)}
        self._anchor = self._earlier.pop(self._boot(), None)
        self._newest = kept.newest if _possible(kept.newest) else FLOOR
        self._floor_since_ms = None

    def kept(self) -> KeptTime:
        """What the next process must know."""
        anchors = [*self._earlier.values(), *([self._anchor] if self._anchor is not None else [])]
        return KeptTime(newest=self._newest, anchors=anchors[-MAX_BOOTS:])

    def confirm(self, operator_time: datetime, asked_ms: int, answered_ms: int) -> Word:
        """Take the operator's word, asked and answered at these boot times."""
        if not _possible(operator_time) or not 0 <= answered_ms - asked_ms <= MAX_ROUND_TRIP_MS:
            return Word.USELESS
        self._judged = self._doubted
        middle_ms = (asked_ms + answered_ms) // 2
        said = Anchor(boot_id=self._boot(), boot_ms=middle_ms, wall=operator_time, source=TimeSource.OPERATOR)
        ours = self._anchor
        vague = timedelta(milliseconds=(answered_ms - asked_ms) / 2)
        if ours is not None and abs(ours.wall_at(middle_ms) - operator_time) <= AGREED + vague:
            self._anchor = Anchor(
                boot_id=ours.boot_id, boot_ms=ours.boot_ms, wall=ours.wall, source=TimeSource.OPERATOR
            )
            return Word.AGREES
        self._anchor = said
        # Whatever was known before was wrong, so it is no floor either.
        self._newest = operator_time
        return Word.NEW if ours is None else Word.DIFFERS

    def _hear_kernel(self, reading: Reading) -> None:
        """What a time daemon has made of the system clock."""
        said = Anchor(
            boot_id=self._boot(), boot_ms=reading.boot_ms, wall=reading.wall, source=TimeSource.KERNEL
        )  # fmt: skip
        ours = self._anchor
        if not _possible(reading.wall):
            believed = False
        elif ours is None:
            believed = reading.wall >= self._newest - LARGE
        else:
            step = reading.wall - ours.wall_at(reading.boot_ms)
            if abs(step) <= FINE:
                self._doubted = None
                return
            believed = abs(step) <= LARGE or (step > timedelta(0) and ours.source is TimeSource.KERNEL)
            said = Anchor(boot_id=said.boot_id, boot_ms=said.boot_ms, wall=said.wall, source=ours.source)
        if believed:
            self._anchor, self._doubted = said, None
        else:
            self._doubted = reading.wall - FLOOR - timedelta(milliseconds=reading.boot_ms)

    def _at_least(self, boot_time_ms: int) -> datetime:
        """The newest time that was ever known, and since this process began time has passed."""
        if self._floor_since_ms is None:
            self._floor_since_ms = boot_time_ms
        return self._newest + timedelta(milliseconds=boot_time_ms - self._floor_since_ms)


def _possible(at: datetime) -> bool:
    return FLOOR <= at < CEILING
