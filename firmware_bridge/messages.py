"""The message table of the line-card link: every id, name, direction, kind and field, in one place.

Entered in `link_messages`, `command_messages` and `event_messages`; others read it from here.
Ids and layouts are fixed; a later minor version may append fields, so bytes behind the last known field are ignored.
The line a message speaks of travels in the frame header. `t_us`: microseconds of the card's own clock since its boot.
Commands are answered with an RSP of the same id: a `Reply`, whose `result` is the record named in `result_of`.
"""

from __future__ import annotations

import zlib

from firmware_bridge.command_messages import (
    ArmOffHookRule,
    AudioStart,
    AudioStop,
    CidSend,
    DtmfSend,
    FirmwareActivate,
    FirmwareBegin,
    FirmwareData,
    FirmwareProgress,
    FirmwareStatus,
    FirmwareVerify,
    GetStats,
    GetStatus,
    Led,
    LineMeasure,
    LineMeasurement,
    LineTestAbort,
    LineTestStart,
    Reset,
    RingStart,
    RingStop,
    SetBaud,
    SetGain,
    SetHostLease,
    SetLinefeed,
    SetLoopback,
    SetPolarity,
    SetProfile,
    SetVmwi,
    Stats,
    ToneProgram,
    ToneSegment,
    ToneStart,
    ToneStop,
)
from firmware_bridge.event_messages import (
    AudioRx,
    AudioStatsEvent,
    AudioTx,
    ButtonEvent,
    CidDoneEvent,
    DigitEndEvent,
    DigitEvent,
    FaultClearedEvent,
    FaultEvent,
    FlashEvent,
    HookEvent,
    LinefeedEvent,
    LineStatus,
    LineTestResultEvent,
    MeasuredValue,
    ModemToneEvent,
    RingPhaseEvent,
    ToneDoneEvent,
)
from firmware_bridge.link_messages import (
    Ack,
    Hello,
    HelloAck,
    LogLine,
    Nak,
    Ping,
    Pong,
)
from firmware_bridge.schema import (
    AUDIO_BYTES,
    MAX_LINES,
    MAX_PAYLOAD,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    MessageError,
    Reply,
    Spec,
    find_spec,
    pack,
    pack_reply,
    pack_result,
    parse,
    parse_reply,
    parse_result,
    reply_text,
    rows,
    spec_of,
)

__all__ = [
    "AUDIO_BYTES",
    "MAX_LINES",
    "MAX_PAYLOAD",
    "PROTOCOL_MAJOR",
    "PROTOCOL_MINOR",
    "SCHEMA_HASH",
    "SCHEMA_TEXT",
    "TABLE",
    "Ack",
    "ArmOffHookRule",
    "AudioRx",
    "AudioStart",
    "AudioStatsEvent",
    "AudioStop",
    "AudioTx",
    "ButtonEvent",
    "CidDoneEvent",
    "CidSend",
    "DigitEndEvent",
    "DigitEvent",
    "DtmfSend",
    "FaultClearedEvent",
    "FaultEvent",
    "FirmwareActivate",
    "FirmwareBegin",
    "FirmwareData",
    "FirmwareProgress",
    "FirmwareStatus",
    "FirmwareVerify",
    "FlashEvent",
    "GetStats",
    "GetStatus",
    "Hello",
    "HelloAck",
    "HookEvent",
    "Led",
    "LineMeasure",
    "LineMeasurement",
    "LineStatus",
    "LineTestAbort",
    "LineTestResultEvent",
    "LineTestStart",
    "LinefeedEvent",
    "LogLine",
    "MeasuredValue",
    "MessageError",
    "ModemToneEvent",
    "Nak",
    "Ping",
    "Pong",
    "Reply",
    "Reset",
    "RingPhaseEvent",
    "RingStart",
    "RingStop",
    "SetBaud",
    "SetGain",
    "SetHostLease",
    "SetLinefeed",
    "SetLoopback",
    "SetPolarity",
    "SetProfile",
    "SetVmwi",
    "Spec",
    "Stats",
    "ToneDoneEvent",
    "ToneProgram",
    "ToneSegment",
    "ToneStart",
    "ToneStop",
    "find_spec",
    "pack",
    "pack_reply",
    "pack_result",
    "parse",
    "parse_reply",
    "parse_result",
    "spec_of",
]

TABLE: tuple[Spec, ...] = rows()


def _schema_text() -> str:
    rows = [
        f"{spec.kind.name} {spec.id:02x} {spec.name} {spec.direction.value} {spec.layout.text}"
        + (f" -> {spec.result.text}" if spec.result else "")
        for spec in TABLE
    ]
    return "\n".join([*rows, f"RSP {reply_text()}"])


SCHEMA_TEXT = _schema_text()
"""The whole table, a message a line: what documentation and the hash are made of."""

SCHEMA_HASH = zlib.crc32(SCHEMA_TEXT.encode("ascii"))
"""Both ends of a link compare this in HELLO: equal versions with unequal tables do not talk."""
