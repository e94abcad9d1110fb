"""Frames on the wire: header, payload and CRC-16, stuffed with COBS and ended by a zero byte.

body = header (kind, line, flags; seq; ack; id) + payload (at most 244 bytes) + CRC-16 (polynomial 0x1021, initial
0xFFFF, little-endian). COBS: Cheshire and Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM ToN 7(2), 1999.
"""

from __future__ import annotations

import binascii
from typing import NamedTuple

from msgspec import Struct

from firmware_bridge.messages import MAX_PAYLOAD

HEADER_BYTES = 4
CRC_BYTES = 2
MAX_BODY = HEADER_BYTES + MAX_PAYLOAD + CRC_BYTES
MAX_ENCODED = MAX_BODY + MAX_BODY // 254 + 1
FLAG_RETRANSMITTED = 1

_BLOCK = 254
_CRC_INIT = 0xFFFF
_CODE = tuple(bytes((code,)) for code in range(256))


class FramingError(Exception):
    """A frame that cannot be sent; the text says why."""


class Frame(NamedTuple):
    """One frame; `kind` is a `messages.Kind` number, `seq` and `ack` count modulo 256."""

    kind: int
    line: int
    flags: int
    seq: int
    ack: int
    id: int
    payload: bytes


class FramingCounters(Struct):
    """What the decoder has met since it was made."""

    frames: int = 0
    bytes: int = 0
    cobs_errors: int = 0
    crc_errors: int = 0
    short: int = 0
    overruns: int = 0

    @property
    def damaged(self) -> int:
        """Frames that were thrown away, for whatever reason."""
        return self.cobs_errors + self.crc_errors + self.short + self.overruns


def stuff(data: bytes) -> bytes:
    """COBS: the same data without zero bytes, without delimiter."""
    out: list[bytes] = []
    for part in data.split(b"\0"):
        rest = part
        while len(rest) >= _BLOCK:
            out += (b"\xff", rest[:_BLOCK])
            rest = rest[_BLOCK:]
        out += (_CODE[len(rest) + 1], rest)
    return b"".join(out)


def unstuff(data: bytes) -> bytes | None:
    """The data behind COBS, None where it is damaged. `data` holds no zero byte."""
    out: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        code = data[at]
        after = at + code
        if after > end:
            return None
        out.append(data[at + 1 : after])
        if code <= _BLOCK and after < end:
            out.append(b"\0")
        at = after
    return b"".join(out)


def encode(body: bytes) -> bytes:
    """A body without CRC as it goes on the wire. Raises FramingError where it is too long."""
    if not HEADER_BYTES <= len(body) <= HEADER_BYTES + MAX_PAYLOAD:
        raise FramingError(f"a body of {len(body)} bytes; {HEADER_BYTES} to {HEADER_BYTES + MAX_PAYLOAD} are allowed")
    crc = binascii.crc_hqx(body, _CRC_INIT)
    return stuff(body + crc.to_bytes(2, "little")) + b"\0"


def encode_frame(frame: Frame) -> bytes:
    """A frame as it goes on the wire. Raises FramingError where a field does not fit."""
    if not (0 <= frame.kind <= 7 and 0 <= frame.line <= 7 and 0 <= frame.flags <= 3):
        raise FramingError(f"kind {frame.kind}, line {frame.line} or flags {frame.flags} do not fit the header")
    return encode(bytes((frame.kind << 5 | frame.line << 2 | frame.flags, *frame[3:6])) + frame.payload)


class Decoder:
    """Bytes in, whole and undamaged frames out. Never holds more than one frame's worth, never raises."""

    def __init__(self) -> None:
        self.counters = FramingCounters()
        self._partial = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes, in their order."""
        self.counters.bytes += len(data)
        *ended, rest = (self._partial + data).split(b"\0")
        frames = [frame for piece in ended if (frame := self._frame(piece)) is not None]
        if len(rest) > MAX_ENCODED:
            if not self._skipping:
                self.counters.overruns += 1
            self._skipping = True
            rest = rest[:1]
        self._partial = rest
        return frames

    def restart(self) -> None:
        """Forget a half frame: what follows comes at another rate."""
        self._partial = b""
        self._skipping = False

    def _frame(self, piece: bytes) -> Frame | None:
        if self._skipping:
            self._skipping = False
            return None
        if not piece:
            return None
        counters = self.counters
        if len(piece) > MAX_ENCODED:
            counters.overruns += 1
            return None
        body = unstuff(piece)
        if body is None:
            counters.cobs_errors += 1
            return None
        if len(body) < HEADER_BYTES + CRC_BYTES or len(body) > MAX_BODY:
            counters.short += 1
            return None
        if binascii.crc_hqx(body[:-2], _CRC_INIT) != body[-2] | body[-1] << 8:
            counters.crc_errors += 1
            return None
        counters.frames += 1
        first = body[0]
        return Frame(first >> 5, first >> 2 & 7, first & 3, body[1], body[2], body[3], body[4:-2])
