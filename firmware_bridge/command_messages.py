"""The commands of the host, their records and results: kind CMD, each answered with an RSP of its id. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from firmware_bridge.schema import command
from firmware_bridge.vocabulary import (
    AudioCodec,
    AudioDirection,
    CidPlacement,
    CidStandard,
    FirmwareError,
    FirmwareState,
    LampColour,
    LampPattern,
    LeaseAction,
    Linefeed,
    LineProfile,
    LoopbackMode,
    PolarityMode,
    ResetMode,
    RingWave,
    VmwiMode,
)
from firmware_bridge.wire import BOOL, I8, I16, I32, U8, U16, U32, U64, Blob, Choice, Layout, Many, Text


@dataclass(frozen=True, slots=True)
class ToneSegment:
    """A piece of a cadence: `frequencies` in hertz (none: silence), for `ms` (0: for ever)."""

    frequencies: Annotated[tuple[int, ...], Many(U16, 4)]
    ms: Annotated[int, U16]


@dataclass(frozen=True, slots=True)
class ToneProgram:
    """A tone as the card plays it: level of each frequency in dBm0, and segments, repeated unless `once`."""

    level_dbm0: Annotated[int, I8]
    segments: Annotated[tuple[ToneSegment, ...], Many(Layout(ToneSegment), 16)]
    once: Annotated[bool, BOOL] = False


@dataclass(frozen=True, slots=True)
class Stats:
    """The card's own counters since its boot."""

    crc_errors: Annotated[int, U32] = 0
    cobs_errors: Annotated[int, U32] = 0
    sequence_gaps: Annotated[int, U32] = 0
    retransmissions: Annotated[int, U32] = 0
    rx_overruns: Annotated[int, U32] = 0
    audio_lost: Annotated[int, U32] = 0
    audio_late: Annotated[int, U32] = 0
    audio_underruns: Annotated[int, U32] = 0
    drift_ppm: Annotated[int, I16] = 0
    rtt_us: Annotated[int, U32] = 0
    uptime_ms: Annotated[int, U64] = 0


@dataclass(frozen=True, slots=True)
class LineMeasurement:
    """Voltages in millivolts and currents in microamperes of a line; tip-ring, tip, ring, battery, longitudinal."""

    tip_ring_mv: Annotated[int, I32] = 0
    tip_mv: Annotated[int, I32] = 0
    ring_mv: Annotated[int, I32] = 0
    battery_mv: Annotated[int, I32] = 0
    dc_mv: Annotated[int, I32] = 0
    loop_ua: Annotated[int, I32] = 0
    tip_ua: Annotated[int, I32] = 0
    ring_ua: Annotated[int, I32] = 0
    longitudinal_ua: Annotated[int, I32] = 0
    power_mw: Annotated[int, U16] = 0


@dataclass(frozen=True, slots=True)
class FirmwareProgress:
    """How far an update has come.

    `received`: bytes of the body that will survive; `capacity`: the longest body there is room for; `running`: as in
    HELLO_ACK; `trial_ms`: how long a TRIAL still waits to be confirmed.
    """

    state: Annotated[FirmwareState, Choice(FirmwareState)]
    error: Annotated[FirmwareError, Choice(FirmwareError)]
    received: Annotated[int, U32]
    capacity: Annotated[int, U32]
    running: Annotated[str, Text(32)]
    trial_ms: Annotated[int, U32] = 0


@command(0x05)
@dataclass(frozen=True, slots=True)
class SetBaud:
    """Switch to `baud` after the reply; without a valid frame within 200 ms both fall back."""

    baud: Annotated[int, U32]


@command(0x07)
@dataclass(frozen=True, slots=True)
class Reset:
    """Restart the card, its bootloader, or the session only."""

    mode: Annotated[ResetMode, Choice(ResetMode)]


@command(0x09, Stats)
@dataclass(frozen=True, slots=True)
class GetStats:
    """Ask for the card's counters."""


@command(0x10)
@dataclass(frozen=True, slots=True)
class SetProfile:
    """The electrical life of a line. `crc32`: of the country's whole preset, so that a mismatch shows."""

    country: Annotated[str, Text(2)]
    profile: Annotated[LineProfile, Choice(LineProfile)]
    impedance: Annotated[int, U8]
    feed_ma: Annotated[int, U8]
    ring_hz: Annotated[int, U8]
    ring_vrms: Annotated[int, U8]
    ring_dc_v: Annotated[int, U8]
    ring_wave: Annotated[RingWave, Choice(RingWave)]
    tx_gain_cdb: Annotated[int, I16]
    rx_gain_cdb: Annotated[int, I16]
    hook_debounce_ms: Annotated[int, U16]
    flash_min_ms: Annotated[int, U16]
    flash_max_ms: Annotated[int, U16]
    pulse_break_max_ms: Annotated[int, U16]
    pulse_interdigit_ms: Annotated[int, U16]
    crc32: Annotated[int, U32]


@command(0x11)
@dataclass(frozen=True, slots=True)
class SetHostLease:
    """How long the host may be silent before the card acts alone."""

    ms: Annotated[int, U16]
    action: Annotated[LeaseAction, Choice(LeaseAction)]


@command(0x12)
@dataclass(frozen=True, slots=True)
class GetStatus:
    """Ask for a LINE_STATUS event of the line."""


@command(0x20)
@dataclass(frozen=True, slots=True)
class SetLinefeed:
    """Set the feed of an idle line; RINGING is refused, that is RING_START's."""

    linefeed: Annotated[Linefeed, Choice(Linefeed)]


@command(0x21)
@dataclass(frozen=True, slots=True)
class RingStart:
    """Ring in `cadence_ms` (on, off, ...) for at most `max_ms` (0: until told). `caller` is shown; empty: nothing."""

    cadence_ms: Annotated[tuple[int, ...], Many(U16, 8)]
    max_ms: Annotated[int, U32] = 0
    caller: Annotated[str, Text(32)] = ""
    caller_after_ring: Annotated[int, U8] = 1


@command(0x22)
@dataclass(frozen=True, slots=True)
class RingStop:
    """Stop ringing."""


@command(0x23)
@dataclass(frozen=True, slots=True)
class ToneStart:
    """Play a tone instead of any other, for `duration_ms` (0: until told)."""

    program: Annotated[ToneProgram, Layout(ToneProgram)]
    duration_ms: Annotated[int, U32] = 0


@command(0x24)
@dataclass(frozen=True, slots=True)
class ToneStop:
    """Stop the tone."""


@command(0x25)
@dataclass(frozen=True, slots=True)
class CidSend:
    """Send a prepared SDMF or MDMF message to the telephone."""

    standard: Annotated[CidStandard, Choice(CidStandard)]
    placement: Annotated[CidPlacement, Choice(CidPlacement)]
    message: Annotated[bytes, Blob(200)]


@command(0x26)
@dataclass(frozen=True, slots=True)
class DtmfSend:
    """Send digits to the telephone."""

    digits: Annotated[str, Text(32)]
    on_ms: Annotated[int, U16] = 80
    off_ms: Annotated[int, U16] = 80


@command(0x27)
@dataclass(frozen=True, slots=True)
class SetPolarity:
    """Set or wink the polarity."""

    mode: Annotated[PolarityMode, Choice(PolarityMode)]
    wink_ms: Annotated[int, U16] = 0


@command(0x28)
@dataclass(frozen=True, slots=True)
class SetVmwi:
    """Show that a message waits."""

    mode: Annotated[VmwiMode, Choice(VmwiMode)]


@command(0x29)
@dataclass(frozen=True, slots=True)
class ArmOffHookRule:
    """What the card plays by itself when the handset is lifted, and what after `reorder_ms` without a digit."""

    program: Annotated[ToneProgram, Layout(ToneProgram)]
    reorder_ms: Annotated[int, U16] = 0


@command(0x2A, LineMeasurement)
@dataclass(frozen=True, slots=True)
class LineMeasure:
    """Measure the line's voltages and currents."""


@command(0x2B)
@dataclass(frozen=True, slots=True)
class LineTestStart:
    """Start line tests; the bits are LineTest. Each ends in a LINE_TEST_RESULT. Refused with OFF_HOOK while the loop is
    closed, unless `closed_loop`; a change of the hook, RING_START and a lost session abort it.
    """

    tests: Annotated[int, U16]
    closed_loop: Annotated[bool, BOOL] = False


@command(0x2C)
@dataclass(frozen=True, slots=True)
class LineTestAbort:
    """Abort the running line test."""


@command(0x2D)
@dataclass(frozen=True, slots=True)
class SetGain:
    """Gains in hundredths of a decibel, towards the network and towards the telephone."""

    tx_cdb: Annotated[int, I16]
    rx_cdb: Annotated[int, I16]


@command(0x2E)
@dataclass(frozen=True, slots=True)
class SetLoopback:
    """Turn speech round."""

    mode: Annotated[LoopbackMode, Choice(LoopbackMode)]


@command(0x30)
@dataclass(frozen=True, slots=True)
class Led:
    """Set a lamp: 0 to 7 are those of the lines, 8 is the adapter's own."""

    lamp: Annotated[int, U8]
    colour: Annotated[LampColour, Choice(LampColour)]
    pattern: Annotated[LampPattern, Choice(LampPattern)]


@command(0x60)
@dataclass(frozen=True, slots=True)
class AudioStart:
    """Let speech flow; `playout` is how many frames the card holds back against jitter."""

    codec: Annotated[AudioCodec, Choice(AudioCodec)] = AudioCodec.PCMA
    frame_ms: Annotated[int, U8] = 10
    playout: Annotated[int, U8] = 2
    echo_canceller: Annotated[bool, BOOL] = True
    directions: Annotated[int, U8] = AudioDirection.FROM_LINE | AudioDirection.TO_LINE


@command(0x61)
@dataclass(frozen=True, slots=True)
class AudioStop:
    """Stop speech."""


@command(0x70, FirmwareProgress)
@dataclass(frozen=True, slots=True)
class FirmwareBegin:
    """Announce an image by its signed header; refused while a line is off-hook or ringing.

    The same header again goes on from `received`; another one makes the card forget what it had and erase.
    """

    header: Annotated[bytes, Blob(128)]
    signature: Annotated[bytes, Blob(64)]


@command(0x71)
@dataclass(frozen=True, slots=True)
class FirmwareData:
    """A piece of the body at `offset`, in order; what was received already is taken for done."""

    offset: Annotated[int, U32]
    data: Annotated[bytes, Blob(128)]


@command(0x72)
@dataclass(frozen=True, slots=True)
class FirmwareVerify:
    """Check length, hash and signature of what was received; FIRMWARE_STATUS tells the outcome."""


@command(0x73)
@dataclass(frozen=True, slots=True)
class FirmwareActivate:
    """Restart into the verified image, on trial (`confirm` false), or keep the one on trial (`confirm` true)."""

    confirm: Annotated[bool, BOOL] = False


@command(0x74, FirmwareProgress)
@dataclass(frozen=True, slots=True)
class FirmwareStatus:
    """Ask how far the update has come."""
