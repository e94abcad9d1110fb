"""What a message is: a row of the table, entered by a decorator, packed and parsed by its layout. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from msgspec import Struct

from firmware_bridge.vocabulary import Direction, Kind, Status
from firmware_bridge.wire import U8, Choice, Layout, Rest, WireError

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0
MAX_PAYLOAD = 244
MAX_LINES = 8
AUDIO_BYTES = 80
"""One frame of speech: 10 ms of G.711."""

_M = TypeVar("_M", bound=Struct)


class MessageError(Exception):
    """Bytes that are not the message their id names, or a message that does not fit; names message and field."""


class Reply(Struct, frozen=True):
    """The payload of every RSP: which command (by its sequence number), how it ended, and its packed result."""

    command_seq: Annotated[int, U8]
    status: Annotated[Status, Choice(Status)]
    result: Annotated[bytes, Rest(MAX_PAYLOAD - 2)] = b""


class Spec(Struct, frozen=True):
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


def message(
    ident: int, kind: Kind, direction: Direction, result: type[Any] | None = None
) -> Callable[[type[_M]], type[_M]]:
    """Enter a frozen Struct in the table."""

    def enter(record: type[_M]) -> type[_M]:
        if (kind, ident) in _by_key:
            raise ValueError(f"{record.__name__} has the id of {_by_key[kind, ident].name}")
        spec = Spec(ident, kind, direction, record, Layout(record), Layout(result) if result else None)
        _by_key[kind, ident] = _by_type[record] = spec
        return record

    return enter


def command(ident: int, result: type[Any] | None = None) -> Callable[[type[_M]], type[_M]]:
    """Enter a command, with the record of its result."""
    return message(ident, Kind.CMD, Direction.TO_CARD, result)


def event(ident: int) -> Callable[[type[_M]], type[_M]]:
    """Enter an event."""
    return message(ident, Kind.EVT, Direction.TO_HOST)


_REPLY = Layout(Reply)


def rows() -> tuple[Spec, ...]:
    """Every row that has been entered, by kind and id."""
    return tuple(sorted(_by_type.values(), key=lambda spec: (spec.kind, spec.id)))


def reply_text() -> str:
    """The layout of every RSP, as it stands in the schema."""
    return _REPLY.text


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
