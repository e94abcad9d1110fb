"""The words of the journal, and their encoding: one line is one whole transaction.

`serial length crc32 json`, LF. `serial` counts the lines of a journal without a gap, so that what is missing can be
counted; `length` is that of the JSON, `crc32` (8 hex digits) covers serial and JSON. JSON holds no raw line feed, so a
reader that meets garbage goes on at the next line.
"""

from __future__ import annotations

import zlib

import msgspec
from msgspec import Raw, Struct

from agent.core.cdr import OpenCall

MAX_LINE = 1 << 20
"""Longest line that is written or read, in bytes."""

MAX_IDS = 1000
"""Identities in one line."""


class LineError(Exception):
    """Bytes that are no whole line of a journal; the message says which part was wrong."""


class UnknownLineError(LineError):
    """A sound line whose words a newer version knows."""


class Words(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every line. Unknown fields are ignored: an older version may have to read along."""


class Begun(Words, frozen=True, kw_only=True, tag="begun"):
    """First line of a segment. `base`: from here to the next `Based` line all that the store knows is stated anew.

    `details`: with that, the usage by class and by pack.
    """

    base: bool = False
    details: bool = False


class Based(Words, frozen=True, kw_only=True, tag="based"):
    """All is stated: what lies before the `Begun` of this base is no longer needed."""


class Opened(Words, frozen=True, kw_only=True, tag="open"):
    """A call has begun."""

    call: OpenCall


class Answered(Words, frozen=True, kw_only=True, tag="answered"):
    """An open call was answered."""

    id: str
    at_ms: int


class Alive(Words, frozen=True, kw_only=True, tag="alive"):
    """Open calls were still alive."""

    ids: list[str]
    at_ms: int


class Addition(Words, frozen=True, kw_only=True):
    """What a record adds to usage, or what a row of usage holds; `periods` are civil months and days."""

    periods: list[str]
    own_number: str
    currency: str
    calls: int
    seconds: int
    amount_micro: int


class Detail(Words, frozen=True, kw_only=True):
    """What a record adds to (or a correction takes from) the usage of a class of numbers or of a pack in a month."""

    period: str
    kind: str
    name: str
    currency: str = ""
    calls: int = 0
    seconds: int = 0
    amount_micro: int = 0


class Finished(Words, frozen=True, kw_only=True, tag="finished"):
    """A call has its record (`cdr`: its bytes as stored): it is counted, queued, and no longer open.

    A correction counts in other periods than the record it corrects: those it is taken from begin with a minus in
    `periods`, and `taken` is what goes there. `number`: the record's place in the queue, kept where a store is rebuilt.
    """

    id: str
    cdr: Raw
    periods: list[str]
    usage: Addition | None = None
    taken: Addition | None = None
    details: list[Detail] = []
    number: int = 0


class Acknowledged(Words, frozen=True, kw_only=True, tag="acknowledged"):
    """The operator has these records."""

    ids: list[str]
    at_ms: int


class Quarantined(Words, frozen=True, kw_only=True, tag="quarantined"):
    """A record is set apart."""

    id: str
    reason: str


class Requeued(Words, frozen=True, kw_only=True, tag="requeued"):
    """Records that were set apart wait for the operator again."""

    ids: list[str]


class Purged(Words, frozen=True, kw_only=True, tag="purged"):
    """These records are deleted; their identities are remembered."""

    ids: list[str]


class Kept(Words, frozen=True, kw_only=True, tag="kept"):
    """Of a base: a record that the store has, and its state. It counts in the usage that the base states."""

    id: str
    cdr: Raw
    periods: list[str]
    usage: Addition | None = None
    taken: Addition | None = None
    details: list[Detail] = []
    number: int = 0
    state: str = "pending"
    reason: str = ""
    acknowledged_ms: int | None = None


class Totals(Words, frozen=True, kw_only=True, tag="totals"):
    """Of a base: rows of usage as they stand, each with one period, and rows of its details."""

    rows: list[Addition]
    details: list[Detail] = []


Line = (
    Begun | Based | Opened | Answered | Alive | Finished | Acknowledged | Quarantined | Requeued | Purged | Kept
    | Totals
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)


def pack(serial: int, line: Line) -> bytes:
    """One line with its line feed. Raises LineError where it would be longer than `MAX_LINE`."""
    payload = _encoder.encode(line)
    checksum = zlib.crc32(payload, zlib.crc32(b"%d " % serial))
    packed = b"%d %d %08x %b\n" % (serial, len(payload), checksum, payload)
    if len(packed) > MAX_LINE:
        raise LineError(f"the line has {len(packed)} bytes, at most {MAX_LINE} are allowed")
    return packed


def unpack(packed: bytes) -> tuple[int, Line]:
    """Serial and words of one line. Raises LineError."""
    serial, payload = _frame(packed)
    try:
        line: Line = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnknownLineError(f"line {serial} says something that this version does not know: {error}") from error
    return serial, line


def _frame(packed: bytes) -> tuple[int, bytes]:
    if not packed.endswith(b"\n"):
        raise LineError("the line has no end")
    head = packed[:-1].split(b" ", 3)
    if len(head) != 4:
        raise LineError("the line has no serial, length and checksum")
    serial, length, checksum, payload = head
    if not (serial.isdigit() and length.isdigit() and len(serial) <= 18 and len(length) <= 9):
        raise LineError("the line's serial or length is no number")
    if int(length) != len(payload):
        raise LineError(f"the line has {len(payload)} bytes, {int(length)} were written")
    if b"%08x" % zlib.crc32(payload, zlib.crc32(b"%d " % int(serial))) != checksum:
        raise LineError("the line's checksum is wrong")
    return int(serial), payload
