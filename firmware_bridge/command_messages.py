"""The commands of the host, their records and results: kind CMD, each answered with an RSP of its id. Pure."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

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


class ToneSegment(Struct, frozen=True):
    """A piece of a cadence: `frequencies` in hertz (none: silence), for `ms` (0: for ever)."""

    frequencies: Annotated[tuple[int, ...], Many(U16, 4)]
    ms: Annotated[int, U16]


class ToneProgram(Struct, frozen=True):
    """A tone as the card plays it: level of each frequency in dBm0, and segments, repeated unless `once`."""

    level_dbm0: Annotated[int, I8]
    segments: Annotated[tuple[ToneSegment, ...], Many(Layout(ToneSegment), 16)]
    once: Annotated[bool, BOOL] = False


class Stats(Struct, frozen=True):
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


class LineMeasurement(Struct, frozen=True):
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


class FirmwareProgress(Struct, frozen=True):
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
class SetBaud(Struct, frozen=True):
    """Switch to `baud` after the reply; without a valid frame within 200 ms both fall back."""

    baud: Annotated[int, U32]


@command(0x07)
class Reset(Struct, frozen=True):
    """Restart the card, its bootloader, or the session only."""

    mode: Annotated[ResetMode, Choice(ResetMode)]


@command(0x09, Stats)
class GetStats(Struct, frozen=True):
    """Ask for the card's counters."""


@command(0x10)
class SetProfile(Struct, frozen=True):
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
class SetHostLease(Struct, frozen=True):
    """How long the host may be silent before the card acts alone."""

    ms: Annotated[int, U16]
    action: Annotated[LeaseAction, Choice(LeaseAction)]


@command(0x12)
class GetStatus(Struct, frozen=True):
    """Ask for a LINE_STATUS event of the line."""


@command(0x20)
class SetLinefeed(Struct, frozen=True):
    """Set the feed of an idle line; RINGING is refused, that is RING_START's."""

    linefeed: Annotated[Linefeed, Choice(Linefeed)]


@command(0x21)
class RingStart(Struct, frozen=True):
    """Ring in `cadence_ms` (on, off, ...) for at most `max_ms` (0: until told). `caller` is shown; empty: nothing."""

    cadence_ms: Annotated[tuple[int, ...], Many(U16, 8)]
    max_ms: Annotated[int, U32] = 0
    caller: Annotated[str, Text(32)] = ""
    caller_after_ring: Annotated[int, U8] = 1


@command(0x22)
class RingStop(Struct, frozen=True):
    """Stop ringing."""


@command(0x23)
class ToneStart(Struct, frozen=True):
    """Play a tone instead of any other, for `duration_ms` (0: until told)."""

    program: Annotated[ToneProgram, Layout(ToneProgram)]
    duration_ms: Annotated[int, U32] = 0


@command(0x24)
class ToneStop(Struct, frozen=True):
    """Stop the tone."""


@command(0x25)
class CidSend(Struct, frozen=True):
    """Send a prepared SDMF or MDMF message to the telephone."""

    standard: Annotated[CidStandard, Choice(CidStandard)]
    placement: Annotated[CidPlacement, Choice(CidPlacement)]
    message: Annotated[bytes, Blob(200)]


@command(0x26)
class DtmfSend(Struct, frozen=True):
    """Send digits to the telephone."""

    digits: Annotated[str, Text(32)]
    on_ms: Annotated[int, U16] = 80
    off_ms: Annotated[int, U16] = 80


@command(0x27)
class SetPolarity(Struct, frozen=True):
    """Set or wink the polarity."""

    mode: Annotated[PolarityMode, Choice(PolarityMode)]
    wink_ms: Annotated[int, U16] = 0


@command(0x28)
class SetVmwi(Struct, frozen=True):
    """Show that a message waits."""

    mode: Annotated[VmwiMode, Choice(VmwiMode)]


@command(0x29)
class ArmOffHookRule(Struct, frozen=True):
    """What the card plays by itself when the handset is lifted, and what after `reorder_ms` without a digit."""

    program: Annotated[ToneProgram, Layout(ToneProgram)]
    reorder_ms: Annotated[int, U16] = 0


@command(0x2A, LineMeasurement)
class LineMeasure(Struct, frozen=True):
    """Measure the line's voltages and currents."""


@command(0x2B)
class LineTestStart(Struct, frozen=True):
    """Start line tests; the bits are LineTest. Each ends in a LINE_TEST_RESULT. Refused with OFF_HOOK while the loop is
    closed, unless `closed_loop`; a change of the hook, RING_START and a lost session abort it.
    """

    tests: Annotated[int, U16]
    closed_loop: Annotated[bool, BOOL] = False


@command(0x2C)
class LineTestAbort(Struct, frozen=True):
    """Abort the running line test."""


@command(0x2D)
class SetGain(Struct, frozen=True):
    """Gains in hundredths of a decibel, towards the network and towards the telephone."""

    tx_cdb: Annotated[int, I16]
    rx_cdb: Annotated[int, I16]


@command(0x2E)
class SetLoopback(Struct, frozen=True):
    """Turn speech round."""

    mode: Annotated[LoopbackMode, Choice(LoopbackMode)]


@command(0x30)
class Led(Struct, frozen=True):
    """Set a lamp: 0 to 7 are those of the lines, 8 is the adapter's own."""

    lamp: Annotated[int, U8]
    colour: Annotated[LampColour, Choice(LampColour)]
    pattern: Annotated[LampPattern, Choice(LampPattern)]


@command(0x60)
class AudioStart(Struct, frozen=True):
    """Let speech flow; `playout` is how many frames the card holds back against jitter."""

    codec: Annotated[AudioCodec, Choice(AudioCodec)] = AudioCodec.PCMA
    frame_ms: Annotated[int, U8] = 10
    playout: Annotated[int, U8] = 2
    echo_canceller: Annotated[bool, BOOL] = True
    directions: Annotated[int, U8] = AudioDirection.FROM_LINE | AudioDirection.TO_LINE


@command(0x61)
class AudioStop(Struct, frozen=True):
    """Stop speech."""


@command(0x70, FirmwareProgress)
class FirmwareBegin(Struct, frozen=True):
    """Announce an image by its signed header; refused while a line is off-hook or ringing.

    The same header again goes on from `received`; another one makes the card forget what it had and erase.
    """

    header: Annotated[bytes, Blob(128)]
    signature: Annotated[bytes, Blob(64)]


@command(0x71)
class FirmwareData(Struct, frozen=True):
    """A piece of the body at `offset`, in order; what was received already is taken for done."""

    offset: Annotated[int, U32]
    data: Annotated[bytes, Blob(128)]


@command(0x72)
class FirmwareVerify(Struct, frozen=True):
    """Check length, hash and signature of what was received; FIRMWARE_STATUS tells the outcome."""


@command(0x73)
class FirmwareActivate(Struct, frozen=True):
    """Restart into the verified image, on trial (`confirm` false), or keep the one on trial (`confirm` true)."""

    confirm: Annotated[bool, BOOL] = False


@command(0x74, FirmwareProgress)
class FirmwareStatus(Struct, frozen=True):
    """Ask how far the update has come."""
