"""The message table of the line-card link: every id, name, direction, kind and field, in one place.

Ids and layouts are fixed; a later minor version may append fields, so bytes behind the last known field are ignored.
The line a message speaks of travels in the frame header. `t_us`: microseconds of the card's own clock since its boot.
Commands are answered with an RSP of the same id: a `Reply`, whose `result` is the record named in `result_of`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from firmware_bridge.vocabulary import (
    AudioCodec,
    AudioDirection,
    CidPlacement,
    CidStandard,
    DigitMethod,
    Direction,
    DoneResult,
    FaultAction,
    FirmwareState,
    HookCause,
    Kind,
    LampColour,
    LampPattern,
    LeaseAction,
    Linefeed,
    LinefeedCause,
    LineProfile,
    LineTestStatus,
    LoopbackMode,
    ModemTone,
    NakReason,
    PolarityMode,
    ResetCause,
    ResetMode,
    RingWave,
    Status,
    Unit,
    VmwiMode,
)
from firmware_bridge.wire import (
    BOOL,
    I8,
    I16,
    I32,
    U8,
    U16,
    U32,
    U64,
    Blob,
    Choice,
    Layout,
    Many,
    Rest,
    Text,
    WireError,
)

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0
MAX_PAYLOAD = 244
MAX_LINES = 8
AUDIO_BYTES = 80
"""One frame of speech: 10 ms of G.711."""

_M = TypeVar("_M")


class MessageError(Exception):
    """Bytes that are not the message their id names, or a message that does not fit; names message and field."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One row of the table."""

    id: int
    kind: Kind
    direction: Direction
    record: type[Any]
    layout: Layout
    result: Layout | None

    @property
    def name(self) -> str:
        """The message's name."""
        return self.record.__name__


_by_key: dict[tuple[int, int], Spec] = {}
_by_type: dict[type[Any], Spec] = {}


def _message(
    ident: int, kind: Kind, direction: Direction, result: type[Any] | None = None
) -> Callable[[type[_M]], type[_M]]:
    """Enter a frozen dataclass in the table."""

    def enter(record: type[_M]) -> type[_M]:
        if (kind, ident) in _by_key:
            raise ValueError(f"{record.__name__} has the id of {_by_key[kind, ident].name}")
        spec = Spec(ident, kind, direction, record, Layout(record), Layout(result) if result else None)
        _by_key[kind, ident] = _by_type[record] = spec
        return record

    return enter


def _command(ident: int, result: type[Any] | None = None) -> Callable[[type[_M]], type[_M]]:
    return _message(ident, Kind.CMD, Direction.TO_CARD, result)


def _event(ident: int) -> Callable[[type[_M]], type[_M]]:
    return _message(ident, Kind.EVT, Direction.TO_HOST)


# --- records inside messages ----------------------------------------------------------------------------------------


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
class MeasuredValue:
    """One number of a line test."""

    unit: Annotated[Unit, Choice(Unit)]
    value: Annotated[int, I32]


# --- results of commands ---------------------------------------------------------------------------------------------


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
    """How far an update has come."""

    state: Annotated[FirmwareState, Choice(FirmwareState)]
    received: Annotated[int, U32]
    running: Annotated[str, Text(32)]


# --- link ------------------------------------------------------------------------------------------------------------


@_message(0x00, Kind.LINK, Direction.BOTH)
@dataclass(frozen=True, slots=True)
class Ack:
    """Carries nothing but the header's acknowledgement."""


@_message(0x01, Kind.LINK, Direction.TO_CARD)
@dataclass(frozen=True, slots=True)
class Hello:
    """The host opens a session; a new `session` number makes the card idle and its sequence numbers zero."""

    major: Annotated[int, U8]
    minor: Annotated[int, U8]
    schema: Annotated[int, U32]
    session: Annotated[int, U32]
    max_payload: Annotated[int, U8]
    window: Annotated[int, U8]
    software: Annotated[str, Text(32)]


@_message(0x02, Kind.LINK, Direction.TO_HOST)
@dataclass(frozen=True, slots=True)
class HelloAck:
    """The card's answer; with `session` 0, its cry that it has no session (it started, or its host was silent)."""

    major: Annotated[int, U8]
    minor: Annotated[int, U8]
    schema: Annotated[int, U32]
    session: Annotated[int, U32]
    boot_id: Annotated[int, U64]
    reset_cause: Annotated[ResetCause, Choice(ResetCause)]
    max_payload: Annotated[int, U8]
    window: Annotated[int, U8]
    capabilities: Annotated[int, U32]
    lines: Annotated[int, U8]
    bauds: Annotated[tuple[int, ...], Many(U32, 8)]
    firmware: Annotated[str, Text(32)]
    hardware: Annotated[str, Text(32)]


@_message(0x03, Kind.LINK, Direction.BOTH)
@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a PONG; `t_sender` comes back unchanged."""

    t_sender: Annotated[int, U32]


@_message(0x04, Kind.LINK, Direction.BOTH)
@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a PING, with the answering side's own clock in milliseconds."""

    t_sender: Annotated[int, U32]
    t_own: Annotated[int, U32]


@_message(0x06, Kind.LINK, Direction.BOTH)
@dataclass(frozen=True, slots=True)
class Nak:
    """Asks for everything from sequence number `expected` again."""

    expected: Annotated[int, U8]
    reason: Annotated[NakReason, Choice(NakReason)]


@_message(0x08, Kind.LOG, Direction.TO_HOST)
@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the card's log; `level` as in syslog (RFC 5424 section 6.2.1)."""

    level: Annotated[int, U8]
    text: Annotated[str, Text(120)]


@dataclass(frozen=True, slots=True)
class Reply:
    """The payload of every RSP: which command (by its sequence number), how it ended, and its packed result."""

    command_seq: Annotated[int, U8]
    status: Annotated[Status, Choice(Status)]
    result: Annotated[bytes, Rest(MAX_PAYLOAD - 2)] = b""


# --- commands --------------------------------------------------------------------------------------------------------


@_command(0x05)
@dataclass(frozen=True, slots=True)
class SetBaud:
    """Switch to `baud` after the reply; without a valid frame within 200 ms both fall back."""

    baud: Annotated[int, U32]


@_command(0x07)
@dataclass(frozen=True, slots=True)
class Reset:
    """Restart the card, its bootloader, or the session only."""

    mode: Annotated[ResetMode, Choice(ResetMode)]


@_command(0x09, Stats)
@dataclass(frozen=True, slots=True)
class GetStats:
    """Ask for the card's counters."""


@_command(0x10)
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


@_command(0x11)
@dataclass(frozen=True, slots=True)
class SetHostLease:
    """How long the host may be silent before the card acts alone."""

    ms: Annotated[int, U16]
    action: Annotated[LeaseAction, Choice(LeaseAction)]


@_command(0x12)
@dataclass(frozen=True, slots=True)
class GetStatus:
    """Ask for a LINE_STATUS event of the line."""


@_command(0x20)
@dataclass(frozen=True, slots=True)
class SetLinefeed:
    """Set the feed of an idle line; RINGING is refused, that is RING_START's."""

    linefeed: Annotated[Linefeed, Choice(Linefeed)]


@_command(0x21)
@dataclass(frozen=True, slots=True)
class RingStart:
    """Ring in `cadence_ms` (on, off, ...) for at most `max_ms` (0: until told). `caller` is shown; empty: nothing."""

    cadence_ms: Annotated[tuple[int, ...], Many(U16, 8)]
    max_ms: Annotated[int, U32] = 0
    caller: Annotated[str, Text(32)] = ""
    caller_after_ring: Annotated[int, U8] = 1


@_command(0x22)
@dataclass(frozen=True, slots=True)
class RingStop:
    """Stop ringing."""


@_command(0x23)
@dataclass(frozen=True, slots=True)
class ToneStart:
    """Play a tone instead of any other, for `duration_ms` (0: until told)."""

    program: Annotated[ToneProgram, Layout(ToneProgram)]
    duration_ms: Annotated[int, U32] = 0


@_command(0x24)
@dataclass(frozen=True, slots=True)
class ToneStop:
    """Stop the tone."""


@_command(0x25)
@dataclass(frozen=True, slots=True)
class CidSend:
    """Send a prepared SDMF or MDMF message to the telephone."""

    standard: Annotated[CidStandard, Choice(CidStandard)]
    placement: Annotated[CidPlacement, Choice(CidPlacement)]
    message: Annotated[bytes, Blob(200)]


@_command(0x26)
@dataclass(frozen=True, slots=True)
class DtmfSend:
    """Send digits to the telephone."""

    digits: Annotated[str, Text(32)]
    on_ms: Annotated[int, U16] = 80
    off_ms: Annotated[int, U16] = 80


@_command(0x27)
@dataclass(frozen=True, slots=True)
class SetPolarity:
    """Set or wink the polarity."""

    mode: Annotated[PolarityMode, Choice(PolarityMode)]
    wink_ms: Annotated[int, U16] = 0


@_command(0x28)
@dataclass(frozen=True, slots=True)
class SetVmwi:
    """Show that a message waits."""

    mode: Annotated[VmwiMode, Choice(VmwiMode)]


@_command(0x29)
@dataclass(frozen=True, slots=True)
class ArmOffHookRule:
    """What the card plays by itself when the handset is lifted, and what after `reorder_ms` without a digit."""

    program: Annotated[ToneProgram, Layout(ToneProgram)]
    reorder_ms: Annotated[int, U16] = 0


@_command(0x2A, LineMeasurement)
@dataclass(frozen=True, slots=True)
class LineMeasure:
    """Measure the line's voltages and currents."""


@_command(0x2B)
@dataclass(frozen=True, slots=True)
class LineTestStart:
    """Start line tests; the bits are LineTest."""

    tests: Annotated[int, U16]


@_command(0x2C)
@dataclass(frozen=True, slots=True)
class LineTestAbort:
    """Abort the running line test."""


@_command(0x2D)
@dataclass(frozen=True, slots=True)
class SetGain:
    """Gains in hundredths of a decibel, towards the network and towards the telephone."""

    tx_cdb: Annotated[int, I16]
    rx_cdb: Annotated[int, I16]


@_command(0x2E)
@dataclass(frozen=True, slots=True)
class SetLoopback:
    """Turn speech round."""

    mode: Annotated[LoopbackMode, Choice(LoopbackMode)]


@_command(0x30)
@dataclass(frozen=True, slots=True)
class Led:
    """Set a lamp."""

    lamp: Annotated[int, U8]
    colour: Annotated[LampColour, Choice(LampColour)]
    pattern: Annotated[LampPattern, Choice(LampPattern)]


@_command(0x60)
@dataclass(frozen=True, slots=True)
class AudioStart:
    """Let speech flow; `playout` is how many frames the card holds back against jitter."""

    codec: Annotated[AudioCodec, Choice(AudioCodec)] = AudioCodec.PCMA
    frame_ms: Annotated[int, U8] = 10
    playout: Annotated[int, U8] = 2
    echo_canceller: Annotated[bool, BOOL] = True
    directions: Annotated[int, U8] = AudioDirection.FROM_LINE | AudioDirection.TO_LINE


@_command(0x61)
@dataclass(frozen=True, slots=True)
class AudioStop:
    """Stop speech."""


@_command(0x70)
@dataclass(frozen=True, slots=True)
class FirmwareBegin:
    """Announce an image; refused while a line is off-hook or ringing."""

    size: Annotated[int, U32]
    version: Annotated[str, Text(32)]
    sha256: Annotated[bytes, Blob(32)]
    signature: Annotated[bytes, Blob(96)]


@_command(0x71)
@dataclass(frozen=True, slots=True)
class FirmwareData:
    """A piece of the image at `offset`."""

    offset: Annotated[int, U32]
    data: Annotated[bytes, Blob(128)]


@_command(0x72)
@dataclass(frozen=True, slots=True)
class FirmwareVerify:
    """Check length, hash and signature of what was received."""


@_command(0x73)
@dataclass(frozen=True, slots=True)
class FirmwareActivate:
    """Start the new image (`confirm` false), or keep the one that runs (`confirm` true)."""

    confirm: Annotated[bool, BOOL] = False


@_command(0x74, FirmwareProgress)
@dataclass(frozen=True, slots=True)
class FirmwareStatus:
    """Ask how far the update has come."""


# --- events ----------------------------------------------------------------------------------------------------------


@_event(0x12)
@dataclass(frozen=True, slots=True)
class LineStatus:
    """The whole state of a line: at the start of a session, each second, and on request. `faults`: bits of Fault."""

    t_us: Annotated[int, U64]
    off_hook: Annotated[bool, BOOL]
    linefeed: Annotated[Linefeed, Choice(Linefeed)]
    ringing: Annotated[bool, BOOL]
    tone: Annotated[bool, BOOL]
    audio: Annotated[bool, BOOL]
    faults: Annotated[int, U16] = 0
    temperature_c: Annotated[int, I8] = 25
    tip_ring_mv: Annotated[int, I32] = 0
    loop_ua: Annotated[int, I32] = 0


@_event(0x40)
@dataclass(frozen=True, slots=True)
class HookEvent:
    """The handset was lifted or replaced."""

    t_us: Annotated[int, U64]
    off_hook: Annotated[bool, BOOL]
    cause: Annotated[HookCause, Choice(HookCause)] = HookCause.LOOP


@_event(0x41)
@dataclass(frozen=True, slots=True)
class FlashEvent:
    """A hook press inside the flash window."""

    t_us: Annotated[int, U64]
    ms: Annotated[int, U16]


@_event(0x42)
@dataclass(frozen=True, slots=True)
class DigitEvent:
    """A digit began (DTMF) or was counted (pulse): `0`-`9`, `*`, `#`, `A`-`D`."""

    t_us: Annotated[int, U64]
    digit: Annotated[str, Text(1)]
    method: Annotated[DigitMethod, Choice(DigitMethod)] = DigitMethod.DTMF


@_event(0x43)
@dataclass(frozen=True, slots=True)
class DigitEndEvent:
    """A DTMF digit was released."""

    t_us: Annotated[int, U64]
    digit: Annotated[str, Text(1)]
    ms: Annotated[int, U16]


@_event(0x44)
@dataclass(frozen=True, slots=True)
class RingPhaseEvent:
    """Ringing burst number `burst` (from 1) began or ended."""

    t_us: Annotated[int, U64]
    burst: Annotated[int, U16]
    on: Annotated[bool, BOOL]


@_event(0x45)
@dataclass(frozen=True, slots=True)
class ToneDoneEvent:
    """A tone ended."""

    t_us: Annotated[int, U64]
    result: Annotated[DoneResult, Choice(DoneResult)]


@_event(0x46)
@dataclass(frozen=True, slots=True)
class CidDoneEvent:
    """A caller display was sent, or not."""

    t_us: Annotated[int, U64]
    result: Annotated[DoneResult, Choice(DoneResult)]


@_event(0x47)
@dataclass(frozen=True, slots=True)
class ModemToneEvent:
    """A machine speaks."""

    t_us: Annotated[int, U64]
    tone: Annotated[ModemTone, Choice(ModemTone)]


@_event(0x48)
@dataclass(frozen=True, slots=True)
class FaultEvent:
    """Something is wrong with the line, and what the card did about it."""

    t_us: Annotated[int, U64]
    faults: Annotated[int, U16]
    action: Annotated[FaultAction, Choice(FaultAction)]


@_event(0x49)
@dataclass(frozen=True, slots=True)
class FaultClearedEvent:
    """These faults are gone."""

    t_us: Annotated[int, U64]
    faults: Annotated[int, U16]


@_event(0x4A)
@dataclass(frozen=True, slots=True)
class LineTestResultEvent:
    """The outcome of one line test."""

    t_us: Annotated[int, U64]
    test: Annotated[int, U16]
    status: Annotated[LineTestStatus, Choice(LineTestStatus)]
    values: Annotated[tuple[MeasuredValue, ...], Many(Layout(MeasuredValue), 16)] = ()


@_event(0x4B)
@dataclass(frozen=True, slots=True)
class LinefeedEvent:
    """The feed of the line changed."""

    t_us: Annotated[int, U64]
    linefeed: Annotated[Linefeed, Choice(Linefeed)]
    cause: Annotated[LinefeedCause, Choice(LinefeedCause)]


@_event(0x4C)
@dataclass(frozen=True, slots=True)
class ButtonEvent:
    """The adapter's button went down (`held_ms` 0) or up."""

    t_us: Annotated[int, U64]
    down: Annotated[bool, BOOL]
    held_ms: Annotated[int, U32] = 0


@_event(0x64)
@dataclass(frozen=True, slots=True)
class AudioStatsEvent:
    """How the playout of the line fares, since AUDIO_START."""

    t_us: Annotated[int, U64]
    underruns: Annotated[int, U32]
    overruns: Annotated[int, U32]
    depth: Annotated[int, U8]
    drift_ppm: Annotated[int, I16]


# --- speech ----------------------------------------------------------------------------------------------------------


@_message(0x62, Kind.AUDIO, Direction.TO_HOST)
@dataclass(frozen=True, slots=True)
class AudioRx:
    """Speech from the line; `counter` counts samples of the line's own clock. `flags`: bits of AudioFlag."""

    counter: Annotated[int, U32]
    flags: Annotated[int, U8]
    data: Annotated[bytes, Rest(160)]


@_message(0x63, Kind.AUDIO, Direction.TO_CARD)
@dataclass(frozen=True, slots=True)
class AudioTx:
    """Speech to the line; `counter` repeats that of the frame it answers."""

    counter: Annotated[int, U32]
    flags: Annotated[int, U8]
    data: Annotated[bytes, Rest(160)]


# --- the table -------------------------------------------------------------------------------------------------------

TABLE: tuple[Spec, ...] = tuple(sorted(_by_type.values(), key=lambda spec: (spec.kind, spec.id)))
_REPLY = Layout(Reply)


def _schema_text() -> str:
    rows = [
        f"{spec.kind.name} {spec.id:02x} {spec.name} {spec.direction.value} {spec.layout.text}"
        + (f" -> {spec.result.text}" if spec.result else "")
        for spec in TABLE
    ]
    return "\n".join([*rows, f"RSP {_REPLY.text}"])


SCHEMA_TEXT = _schema_text()
"""The whole table, a message a line: what documentation and the hash are made of."""

SCHEMA_HASH = zlib.crc32(SCHEMA_TEXT.encode("ascii"))
"""Both ends of a link compare this in HELLO: equal versions with unequal tables do not talk."""


def spec_of(message: object) -> Spec:
    """The table row of a message. Raises MessageError where it has none."""
    try:
        return _by_type[type(message)]
    except KeyError:
        raise MessageError(f"{type(message).__name__} is not in the message table") from None


def find_spec(kind: int, ident: int) -> Spec | None:
    """The table row of an id, or None where this version knows none."""
    return _by_key.get((kind, ident))


def pack(message: object) -> bytes:
    """The payload of a message. Raises MessageError naming the field that does not fit."""
    return _pack(spec_of(message).layout, message)


def pack_reply(reply: Reply) -> bytes:
    """The payload of an RSP."""
    return _pack(_REPLY, reply)


def _pack(layout: Layout, record: object) -> bytes:
    out = bytearray()
    try:
        layout.pack(record, out)
    except WireError as error:
        raise MessageError(str(error)) from error
    if len(out) > MAX_PAYLOAD:
        raise MessageError(f"{type(record).__name__} has {len(out)} bytes, at most {MAX_PAYLOAD} fit in a frame")
    return bytes(out)


def parse(spec: Spec, payload: bytes) -> Any:
    """The message in a payload. Raises MessageError naming the field and byte that are wrong."""
    return _parse(spec.layout, payload)


def parse_reply(payload: bytes) -> Reply:
    """The reply in the payload of an RSP. Raises MessageError."""
    reply: Reply = _parse(_REPLY, payload)
    return reply


def parse_result(spec: Spec, result: bytes) -> Any:
    """The typed result of a command, None for a command that has none. Raises MessageError."""
    return None if spec.result is None else _parse(spec.result, result)


def pack_result(command: object, result: object | None) -> bytes:
    """The packed result of a command. Raises MessageError where it is not the record the table names."""
    layout = spec_of(command).result
    if layout is None or result is None:
        if layout is not result:
            raise MessageError(f"the result of {type(command).__name__} is not what the message table names")
        return b""
    return _pack(layout, result)


def _parse(layout: Layout, payload: bytes) -> Any:
    if len(payload) > MAX_PAYLOAD:
        raise MessageError(f"payload has {len(payload)} bytes, at most {MAX_PAYLOAD} are allowed")
    try:
        return layout.parse(payload, 0)[0]
    except WireError as error:
        raise MessageError(str(error)) from error
