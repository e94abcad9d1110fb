"""What a line card tells its owner: events, lamp states and counters."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Struct

from firmware_bridge import messages as m
from firmware_bridge.update import Progress
from firmware_bridge.vocabulary import Capability, LampColour, LampPattern, LineTest, LineTestStatus


class LampState(enum.StrEnum):
    """What a lamp shows."""

    OFF = "off"
    ON = "on"
    BLINK = "blink"
    IN_USE = "in_use"
    FAULT = "fault"
    ATTENTION = "attention"
    UPDATING = "updating"


ADAPTER_LAMP = 8
"""The lamp that belongs to no line; those of the lines have the lines' numbers."""

LAMPS: Final[dict[LampState, tuple[LampColour, LampPattern]]] = {
    LampState.OFF: (LampColour.GREEN, LampPattern.OFF),
    LampState.ON: (LampColour.GREEN, LampPattern.ON),
    LampState.BLINK: (LampColour.GREEN, LampPattern.BLINK),
    LampState.IN_USE: (LampColour.GREEN, LampPattern.FLASH),
    LampState.FAULT: (LampColour.RED, LampPattern.ON),
    LampState.ATTENTION: (LampColour.AMBER, LampPattern.ON),
    LampState.UPDATING: (LampColour.AMBER, LampPattern.BLINK),
}
"""How a state looks."""


# Dataclasses are those events of which a part is not compared: when they were seen, and what the card can do.


@dataclass(frozen=True, slots=True)
class CardUp:
    """The card answered: all lines are idle, and the handsets of `off_hook` are lifted."""

    lines: int
    firmware: str
    capabilities: Capability = field(default=Capability(0), compare=False)
    off_hook: tuple[int, ...] = ()


class CardDown(Struct, frozen=True):
    """The card is gone, restarted or refused; whatever was asked of it is forgotten. `reason` is a sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hook:
    """The handset of `line` was lifted or replaced, at `at_ms` of the host's boot clock (0: not known)."""

    line: int
    off_hook: bool
    at_ms: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Digit:
    """One complete digit: `0`-`9`, `*`, `#` or `A`-`D`; `at_ms`: when it began, on the host's boot clock."""

    line: int
    digit: str
    at_ms: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Flash:
    """A hook press of `ms` inside the flash window; `at_ms`: when it was told, on the host's boot clock."""

    line: int
    ms: int
    at_ms: int = field(default=0, compare=False)


class SpeechFrame(Struct, frozen=True):
    """10 ms of a line's speech: 80 bytes of A-law, None where they were lost on the wire.

    `dtmf`: the card says that a key is held down. `skipped`: so many more were lost before this one, in a gap too long
    to be told frame by frame.
    """

    line: int
    alaw: bytes | None
    dtmf: bool = False
    skipped: int = 0


class Button(Struct, frozen=True):
    """The adapter's button was released after `held_ms`."""

    held_ms: int


class LineTested(Struct, frozen=True):
    """One test of `line` has ended, or the card refused to begin it. `values`: as the card measured them."""

    line: int
    test: LineTest
    status: LineTestStatus
    values: tuple[m.MeasuredValue, ...] = ()


CardEvent = CardUp | CardDown | Hook | Digit | Flash | Button | LineTested | Progress


class CardStats(Struct, frozen=True):
    """Counters since `start`; frames unless said otherwise."""

    up: bool
    opens: int
    sessions: int
    rtt_ms: int
    bytes_in: int
    frames_in: int
    crc_errors: int
    cobs_errors: int
    overruns: int
    malformed: int
    unknown: int
    retransmissions: int
    sequence_gaps: int
    duplicates: int
    audio_in: int
    audio_out: int
    audio_lost: int
    audio_dropped: int
    commands_dropped: int
    commands_refused: int
    last_refusal: str
    callback_errors: int
    audio_late: int = 0
    """Frames of speech that came when a later one had been taken."""
    open_failures: int = 0
    port_losses: int = 0
    uart_overruns: int = 0
    """Bytes that were lost because nobody fetched them in time, by the driver's own count; 0 where it keeps none."""
    uart_framing_errors: int = 0
    rate: int = 0
    """The rate of the port now, in baud."""
    rate_fallbacks: int = 0
    drift_ppm: int = 0
    """How much faster the card's clock runs than ours."""
    card: m.Stats = msgspec.field(default_factory=m.Stats)
    """What the card itself counts since its start, as of a few seconds ago."""
