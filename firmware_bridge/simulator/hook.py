"""What the current in a loop means: lifted, replaced, flashed or dialled, told apart by how long it was away.

The rules are those of `lc_hook` in the C device; a test holds the two together. Time is an argument, in milliseconds.
A break of at most `pulse_break_max_ms` is a dial pulse, one from `flash_min_ms` to `flash_max_ms` a register recall, a
longer one a handset that was replaced, which is therefore known only after `flash_max_ms`; its time is that of the
break.
"""

from __future__ import annotations

import enum
from typing import Final

from msgspec import Struct

from firmware_bridge.command_messages import SetProfile

_MOST_PULSES: Final = 10


class HookTimes(Struct, frozen=True):
    """Milliseconds. `pulse_interdigit_ms`: so long closed again, and a dialled digit is complete.

    The defaults: dials break for 50 to 70 ms at 10 pulses a second; a recall key for 80 to 130 (ETSI TBR 21), a slow
    finger longer.
    """

    debounce_ms: int = 10
    pulse_break_max_ms: int = 75
    pulse_interdigit_ms: int = 200
    flash_min_ms: int = 76
    flash_max_ms: int = 700

    @classmethod
    def of(cls, profile: SetProfile) -> HookTimes:
        """As the host has set them."""
        return cls(
            profile.hook_debounce_ms, profile.pulse_break_max_ms, profile.pulse_interdigit_ms, profile.flash_min_ms,
            profile.flash_max_ms,
        )  # fmt: skip


class HookWhat(enum.Enum):
    """What happened in the loop."""

    LIFTED = "lifted"
    REPLACED = "replaced"
    FLASHED = "flashed"
    DIALLED = "dialled"


class HookNews(Struct, frozen=True):
    """`at_ms`: when; of a digit its first pulse, of a flash its end. `ms`: how long a flash was."""

    what: HookWhat
    at_ms: int
    digit: str = ""
    ms: int = 0


class HookDecoder:
    """The decoder of one line; `sample` it at least every 10 ms, also where nothing has changed."""

    def __init__(self) -> None:
        self.times = HookTimes()
        self._seen = self._closed = False
        self._seen_ms = self._closed_ms = 0
        self._off_hook = False
        self._pulses = 0
        self._first_pulse_ms = 0

    @property
    def closed(self) -> bool:
        """Whether current flows, bounces aside."""
        return self._closed

    def sample(self, current: bool, now: int) -> HookNews | None:  # noqa: FBT001 -- it is what is measured
        """Whether current flows now; what that tells."""
        if current is not self._seen:
            self._seen, self._seen_ms = current, now
        if self._seen is not self._closed and now - self._seen_ms >= self.times.debounce_ms:
            before_ms, self._closed, self._closed_ms = self._closed_ms, self._seen, self._seen_ms
            return self._changed(before_ms)
        return self._waited(now)

    def _changed(self, before_ms: int) -> HookNews | None:
        if not self._closed:
            return None  # A break begins; how long it lasts will tell.
        if self._off_hook:
            return self._break_ended(before_ms)
        self._off_hook, self._pulses = True, 0
        return HookNews(HookWhat.LIFTED, self._closed_ms)

    def _break_ended(self, began_ms: int) -> HookNews | None:
        lasted = self._closed_ms - began_ms
        if lasted <= self.times.pulse_break_max_ms:
            if not self._pulses:
                self._first_pulse_ms = began_ms
            self._pulses = min(self._pulses, _MOST_PULSES) + 1
            return None
        self._pulses = 0
        return HookNews(HookWhat.FLASHED, self._closed_ms, ms=lasted) if lasted >= self.times.flash_min_ms else None

    def _waited(self, now: int) -> HookNews | None:
        # A change that may yet prove to be a bounce ends the state if it does not.
        lasts = (now if self._seen is self._closed else self._seen_ms) - self._closed_ms
        if not self._closed and self._off_hook and lasts > self.times.flash_max_ms:
            self._off_hook, self._pulses = False, 0
            return HookNews(HookWhat.REPLACED, self._closed_ms)
        if self._closed and self._pulses and lasts >= self.times.pulse_interdigit_ms:
            pulses, self._pulses = self._pulses, 0
            if pulses <= _MOST_PULSES:
                return HookNews(HookWhat.DIALLED, self._first_pulse_ms, str(pulses % _MOST_PULSES))
        return None
