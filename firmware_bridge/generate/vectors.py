"""Golden vectors: messages with their payloads and frames, and what must be refused, with the verdict each must get."""

from __future__ import annotations

import enum
import json
import random
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, structs

from firmware_bridge import messages as m
from firmware_bridge.framing import MAX_ENCODED, Frame, encode_frame, stuff
from firmware_bridge.generate.table import REPLY, bounds
from firmware_bridge.vocabulary import Kind, Status
from firmware_bridge.wire import Blob, Choice, Codec, Flag, Layout, Many, Rest, Scalar, Text, WireError

_LETTERS = "ÆØÅ 0123456789*#ABCD"
_SEED = 1876


class _Values:
    """Values for any field: the least there may be, the most, or something between."""

    def __init__(self, case: str) -> None:
        self._case = case
        self._chance = random.Random(_SEED)  # noqa: S311 -- the same vectors each time, no secret

    def of(self, codec: Codec) -> Any:
        """A value for a field."""
        match codec:
            case Scalar():
                return self._number(*bounds(codec))
            case Flag():
                return self._number(0, 1) == 1
            case Choice():
                members = list(codec.members)
                return members[self._number(0, len(members) - 1)]
            case Text():
                return self._text(self._number(0, codec.limit))
            case Blob() | Rest():
                return self._chance.randbytes(self._number(0, codec.limit))
            case Many():
                return tuple(self.of(codec.element) for _ in range(self._number(0, codec.limit)))
            case Layout():
                return codec.record(**{name: self.of(field) for name, field in codec.fields})
            case _:
                raise TypeError(codec.text)

    def _number(self, low: int, high: int) -> int:
        if self._case == "some":
            return self._chance.randint(low, high)
        return high if self._case == "most" else low

    def _text(self, octets: int) -> str:
        letters = "".join(self._chance.choice(_LETTERS) for _ in range(octets))
        return letters.encode()[:octets].decode(errors="ignore")


def _plain(value: Any) -> Any:
    """A value as JSON tells it: names of enumerations, hexadecimal bytes."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(element) for element in value]
    if isinstance(value, Struct):
        return {name: _plain(field) for name, field in structs.asdict(value).items()}
    return value


def _payload(layout: Layout, record: object) -> bytes:
    out = bytearray()
    layout.pack(record, out)
    if len(out) > m.MAX_PAYLOAD:
        raise WireError("longer than a frame")
    return bytes(out)


def sources() -> Iterator[tuple[str, Kind, int, Layout]]:
    """Name, kind, id and layout of every message and every result."""
    for spec in m.TABLE:
        yield spec.name, spec.kind, spec.id, spec.layout
    for spec in m.TABLE:
        if spec.result is not None:
            yield spec.result.name, Kind.RSP, spec.id, spec.result


def _messages() -> Iterator[dict[str, Any]]:
    chance = random.Random(_SEED)  # noqa: S311 -- the same vectors each time, no secret
    for name, kind, ident, layout in sources():
        for case in ("least", "some", "most") if layout.fields else ("only",):
            record = _Values(case).of(layout)
            try:
                payload = _payload(layout, record)
            except WireError:
                continue
            carried = payload
            if kind is Kind.RSP:
                carried = _payload(REPLY, m.Reply(chance.randrange(256), Status.OK, payload))
            frame = Frame(
                kind, chance.randrange(8), chance.randrange(2), chance.randrange(256), chance.randrange(256), ident,
                carried,
            )  # fmt: skip
            yield {
                "message": name, "case": case, "fields": _plain(record), "payload": payload.hex(),
                "header": {"kind": kind.name, "line": frame.line, "flags": frame.flags, "seq": frame.seq,
                           "ack": frame.ack, "id": ident},
                "frame": encode_frame(frame).hex(),
            }  # fmt: skip


def _bad_frames() -> Iterator[tuple[str, bytes, list[str]]]:
    good = encode_frame(Frame(Kind.LINK, 0, 0, 0, 0, 0, b""))
    hook = encode_frame(Frame(Kind.EVT, 1, 0, 7, 3, 0x40, bytes(9) + b"\x01"))
    yield "delimiters alone are no frames", b"\0\0\0", []
    yield "a good frame, for comparison", good, ["good"]
    yield "two frames and the delimiter between them twice", good + b"\0" + hook, ["good", "good"]
    yield "a code that leads beyond the end", b"\x05\x11\x22\0", ["cobs"]
    yield "a flipped bit in the CRC", hook[:-2] + bytes([hook[-2] ^ 0x10]) + b"\0", ["crc"]
    yield "two bytes exchanged", hook[:1] + hook[2:3] + hook[1:2] + hook[3:], ["crc"]
    yield "header without CRC", stuff(bytes((0x20, 1, 2, 3))) + b"\0", ["short"]
    yield "a CRC alone", stuff(b"\xff\xff") + b"\0", ["short"]
    yield "a body of 251 bytes", stuff(bytes([1]) * 251) + b"\0", ["overrun"]
    yield "longer than any frame", bytes([2]) * (MAX_ENCODED + 1) + b"\0", ["overrun"]
    yield "endless, then a delimiter and a good frame", bytes([3]) * 3000 + b"\0" + good, ["overrun", "good"]
    yield "half a frame that sticks to the next", hook[:6] + hook, ["crc"]
    yield "a frame lost in noise, and one after it", b"\xa5\x5a" + good + good, ["cobs", "good"]


def _bad_payloads() -> Iterator[tuple[str, Kind, int, bytes, str]]:
    yield "no such command", Kind.CMD, 0xEE, b"", "unknown"
    yield "an event is no command", Kind.CMD, 0x40, bytes(10), "unknown"
    yield "too short", Kind.CMD, 0x05, b"\x01", "malformed"
    yield "nine elements where eight are allowed", Kind.CMD, 0x21, bytes([9] + 18 * [1] + 6 * [0]), "malformed"
    yield "a number that is no VmwiMode", Kind.CMD, 0x28, b"\x09", "malformed"
    yield "a codec between two that exist", Kind.CMD, 0x60, bytes((4, 10, 2, 1, 3)), "malformed"
    yield "a bool of two", Kind.CMD, 0x60, bytes((8, 10, 2, 2, 3)), "malformed"
    yield "a length that leads beyond the end", Kind.CMD, 0x26, b"\x05123", "malformed"
    yield "text longer than allowed", Kind.CMD, 0x26, b"\x21" + b"1" * 33 + bytes(4), "malformed"
    yield "text that is not UTF-8", Kind.CMD, 0x26, b"\x02\xc0\x80" + bytes(4), "malformed"
    yield "a surrogate in UTF-8", Kind.CMD, 0x26, b"\x03\xed\xa0\x80" + bytes(4), "malformed"
    yield "a nested element that ends early", Kind.CMD, 0x23, bytes.fromhex("f60201a901c800"), "malformed"
    yield "bytes behind the last field", Kind.CMD, 0x28, b"\x01later", "good"


def vectors_json() -> str:
    """The text of the file: one vector a line within its list."""
    lists = {
        "messages": list(_messages()),
        "frames": [{"name": name, "bytes": data.hex(), "verdicts": verdicts} for name, data, verdicts in _bad_frames()],
        "payloads": [
            {"name": name, "kind": kind.name, "id": ident, "payload": payload.hex(), "verdict": verdict}
            for name, kind, ident, payload, verdict in _bad_payloads()
        ],
    }
    head = f'{{\n"protocol": "{m.PROTOCOL_MAJOR}.{m.PROTOCOL_MINOR}",\n"schema": "{m.SCHEMA_HASH:08x}"'
    body = [
        f'"{name}": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]"
        for name, rows in lists.items()
    ]
    return ",\n".join([head, *body]) + "\n}\n"
