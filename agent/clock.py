"""The only reader of clocks: boot clock, wall clock, and whether the wall clock may be believed."""

from __future__ import annotations

import ctypes
import functools
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FLOOR = datetime(2026, 1, 1, tzinfo=UTC)
"""No adapter was made before this: an earlier wall clock has never been set."""

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on both clocks. `trusted`: a time daemon or the operator vouches for `wall`."""

    boot_id: str
    boot_ms: int
    wall: datetime
    trusted: bool


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


def kernel_synchronised() -> bool:
    """Whether a time daemon disciplines the system clock (adjtimex(2): not STA_UNSYNC)."""
    timex = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    return state not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC


class Clock:
    """The clock of one process; `confirm` lets the operator's authenticated answer vouch for the wall clock."""

    def __init__(self) -> None:
        self._confirmed = False

    def confirm(self, operator_time: datetime, tolerance_s: float = 5.0) -> bool:
        """Note what the operator says the time is; true where the wall clock agrees within `tolerance_s`."""
        self._confirmed = abs((operator_time - wall()).total_seconds()) <= tolerance_s
        return self._confirmed

    def now(self) -> Moment:
        """Return the instant on both clocks."""
        at = wall()
        trusted = at >= FLOOR and (self._confirmed or kernel_synchronised())
        return Moment(boot_id=boot_id(), boot_ms=boot_ms(), wall=at, trusted=trusted)
