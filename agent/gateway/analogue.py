"""What a country's telephones expect of the two wires: feed, ringing, recall key, caller display. Records."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from agent.gateway.record import Record, Short

CadenceMs = Annotated[int, Meta(ge=50, le=60_000)]
"""Ringing or pause: what the card takes, and what a bell can follow."""

Cadence = Annotated[list[CadenceMs], Meta(min_length=2, max_length=8)]
"""Milliseconds of ringing and silence in turn."""


class Impedance(enum.StrEnum):
    """What the line looks like to a telephone."""

    REAL_600 = "real_600"
    TBR21 = "tbr21"
    """270 Ω and 750 Ω ∥ 150 nF: most of Europe (ETSI TBR 21)."""
    BT = "bt"
    """370 Ω and 620 Ω ∥ 310 nF."""


class Wave(enum.StrEnum):
    """The shape of the ringing voltage."""

    SINE = "sine"
    TRAPEZOID = "trapezoid"


class Feed(Record, frozen=True, kw_only=True):
    """Current, impedance and ringing voltage of a line."""

    impedance: Impedance = Impedance.TBR21
    feed_ma: Annotated[int, Meta(ge=15, le=45)] = 25
    ring_hz: Annotated[int, Meta(ge=15, le=70)] = 25
    ring_vrms: Annotated[int, Meta(ge=30, le=90)] = 60
    ring_dc_v: Annotated[int, Meta(ge=0, le=70)] = 0
    ring_wave: Wave = Wave.SINE


class HookTimes(Record, frozen=True, kw_only=True):
    """How long the loop is open, in milliseconds, in a dial pulse and in a recall; longer: the handset was replaced.

    Recall keys open it for 80 to 130 ms (ETSI TBR 21), fingers on the hook for longer.
    """

    debounce_ms: Annotated[int, Meta(ge=2, le=50)] = 10
    flash_min_ms: Annotated[int, Meta(ge=40, le=1000)] = 76
    flash_max_ms: Annotated[int, Meta(ge=100, le=1500)] = 500
    pulse_break_max_ms: Annotated[int, Meta(ge=30, le=100)] = 75
    pulse_interdigit_ms: Annotated[int, Meta(ge=100, le=1000)] = 200
    """So long closed again, and a dialled digit is complete."""

    def __post_init__(self) -> None:
        """Raise ValueError where a dial pulse could be taken for a recall, or no recall is possible."""
        if self.flash_min_ms <= self.pulse_break_max_ms:
            raise ValueError(
                f"flash_min_ms: found {self.flash_min_ms}; it must be longer than the longest dial pulse,"
                f" {self.pulse_break_max_ms} ms"
            )
        if self.flash_max_ms <= self.flash_min_ms:
            raise ValueError(f"flash_max_ms: found {self.flash_max_ms}; it must be longer than flash_min_ms")


class DisplayMethod(enum.StrEnum):
    """How a telephone is told who calls (ETSI EN 300 659-1: V.23, and DTMF in its annex)."""

    OFF = "off"
    FSK = "fsk"
    DTMF = "dtmf"


class DisplayMoment(enum.StrEnum):
    """When it is told."""

    AFTER_FIRST_RING = "after_first_ring"
    BEFORE_RING = "before_ring"


class CallerDisplay(Record, frozen=True, kw_only=True):
    """How the line's telephones show callers. `line_reversal`: the wires change places before, until ringing ends."""

    method: DisplayMethod = DisplayMethod.FSK
    moment: DisplayMoment = DisplayMoment.AFTER_FIRST_RING
    line_reversal: bool = False
    in_calls: bool = True
    """Whether it is shown who waits; a telephone that cannot show it lets its user hear a beep and a gap."""


class RingPattern(Record, frozen=True, kw_only=True):
    """A distinctive ringing, and by which words of Alert-Info (RFC 3261 §20.4) an INVITE asks for it."""

    name: Short
    cadence_ms: Cadence
    alert: Annotated[list[Short], Meta(max_length=16)] = msgspec.field(default_factory=list)


class Analogue(Record, frozen=True, kw_only=True):
    """All of it. `country`: ISO 3166-1, in small letters."""

    country: Annotated[str, Meta(pattern="^[a-z]{2}$")] = "no"
    feed: Feed = Feed()
    hook: HookTimes = HookTimes()
    caller_display: CallerDisplay = CallerDisplay()
    rings: Annotated[list[RingPattern], Meta(max_length=16)] = msgspec.field(default_factory=list)
    howler_s: Annotated[int, Meta(ge=10, le=600)] = 60
    """A handset that lies beside the telephone is called for after so much tone."""
