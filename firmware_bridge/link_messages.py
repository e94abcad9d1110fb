"""The messages by which the two ends keep their link: kinds LINK and LOG. Pure."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from firmware_bridge.schema import message
from firmware_bridge.vocabulary import Direction, Kind, NakReason, ResetCause
from firmware_bridge.wire import U8, U32, U64, Choice, Many, Text


@message(0x00, Kind.LINK, Direction.BOTH)
class Ack(Struct, frozen=True):
    """Carries nothing but the header's acknowledgement."""


@message(0x01, Kind.LINK, Direction.TO_CARD)
class Hello(Struct, frozen=True):
    """The host opens a session; a new `session` number makes the card idle and its sequence numbers zero."""

    major: Annotated[int, U8]
    minor: Annotated[int, U8]
    schema: Annotated[int, U32]
    session: Annotated[int, U32]
    max_payload: Annotated[int, U8]
    window: Annotated[int, U8]
    software: Annotated[str, Text(32)]


@message(0x02, Kind.LINK, Direction.TO_HOST)
class HelloAck(Struct, frozen=True):
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


@message(0x03, Kind.LINK, Direction.BOTH)
class Ping(Struct, frozen=True):
    """Asks for a PONG; `t_sender` comes back unchanged."""

    t_sender: Annotated[int, U32]


@message(0x04, Kind.LINK, Direction.BOTH)
class Pong(Struct, frozen=True):
    """Answers a PING, with the answering side's own clock in milliseconds."""

    t_sender: Annotated[int, U32]
    t_own: Annotated[int, U32]


@message(0x06, Kind.LINK, Direction.BOTH)
class Nak(Struct, frozen=True):
    """Asks for everything from sequence number `expected` again."""

    expected: Annotated[int, U8]
    reason: Annotated[NakReason, Choice(NakReason)]


@message(0x08, Kind.LOG, Direction.TO_HOST)
class LogLine(Struct, frozen=True):
    """A line of the card's log; `level` as in syslog (RFC 5424 section 6.2.1)."""

    level: Annotated[int, U8]
    text: Annotated[str, Text(120)]
