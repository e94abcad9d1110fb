"""The file of a rate table: the one that a price list is packed into and that a telephone call is priced from.

Layout: magic, format, length of the head, head (JSON), the sections in the order of the head, and SHA-256 of
everything before. A section is a trie, a column of unsigned integers, or the bytes of a pool. Columns are as narrow as
their greatest value allows. A pool is a list of distinct byte strings: the strings one after the other, and a column
of where each ends. Strings that are not text are MessagePack arrays of integers.

* `trie`, `entries`: the prefixes, and for each (by its id in the trie) its place in the pool of entries.
* pool of entries: what a prefix has apart from its digits: destination and tariff where it is one row that always
  applies, otherwise destination and seven integers for each row: tariff, window, first
  and last day (ordinals, 0 is open), least and most digits of a number, and whether the prefix is the whole number.
* pools of tariffs, windows, destinations: each is stored once, however many prefixes share it.
* `milestone_rows` and the pool of milestones: beginnings of numbers, each with the line of its first row. All prefixes
  that begin like it, 256 at most, follow on the lines after it, so a row's line is found by counting.

Integers have the byte order of the machine: a table is a local cache of a deck and never travels.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct, structs

from agent.core.tariff import AtMaximum
from agent.rating import header
from agent.rating.deck import MAX_ROWS
from agent.rating.errors import TableError

MAGIC: Final = b"IPLKRATE"
FORMAT: Final = 3
MAX_FILE: Final = 64 << 20

HEAD: Final = struct.Struct("<8sHHI")
DIGEST_BYTES: Final = 32
ROW_INTEGERS: Final = 7
MILESTONE_PREFIXES: Final = 256
ALIGNMENT: Final = 8
"""The trie is read in place as words of so many bytes."""
TYPES: Final[dict[int, Literal["B", "H", "I"]]] = {1: "B", 2: "H", 4: "I"}


class Section(Struct, frozen=True, array_like=True):
    """Length in bytes, and how many of them one integer of a column has (1 where it is no column)."""

    length: Annotated[int, Meta(ge=0, le=MAX_FILE)]
    width: Annotated[int, Meta(ge=1, le=4)] = 1


class Sections(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What follows the head, in this order."""

    trie: Section
    entries: Section
    entry_ends: Section
    entry_pool: Section
    tariff_ends: Section
    tariff_pool: Section
    window_ends: Section
    window_pool: Section
    destination_ends: Section
    destination_pool: Section
    milestone_ends: Section
    milestone_pool: Section
    milestone_rows: Section


class Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a table says of itself. `order`: byte order of its integers; `prefixes`: how many it has."""

    deck: Annotated[str, Meta(max_length=128)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    header: dict[str, str]
    prefixes: Annotated[int, Meta(ge=1, le=MAX_ROWS)]
    order: str
    sections: Sections


class PackedTariff(Struct, frozen=True, array_like=True):
    """A tariff as packed. An interval is from_s, rate_micro, unit_s, increment_s; defaults fall off at the end."""

    intervals: tuple[tuple[int, int, int, int], ...] = ()
    connect_fee_micro: int = 0
    minimum_micro: int = 0
    blocked: bool = False
    maximum_micro: int | None = None
    at_maximum: AtMaximum = AtMaximum.FREE


def open_parts(view: memoryview, name: str) -> tuple[Head, dict[str, memoryview]]:
    """Return the head and the sections of a table, its columns as integers. Raises TableError."""
    head, start = _read_head(view, name)
    sections: dict[str, Section] = structs.asdict(head.sections)
    if start + sum(section.length for section in sections.values()) != len(view) - DIGEST_BYTES:
        raise TableError(f"{name}: the sections do not fill the file: build the table again")
    parts = {}
    for field, section in sections.items():
        if section.width not in TYPES or section.length % section.width:
            raise TableError(f"{name}: the column {field} has no whole number of integers: build the table again")
        parts[field] = view[start : start + section.length].cast(TYPES[section.width])
        start += section.length
    return head, parts


def _read_head(view: memoryview, name: str) -> tuple[Head, int]:
    if len(view) < HEAD.size + DIGEST_BYTES:
        raise TableError(f"{name}: {len(view)} bytes are no rate table: build it again")
    magic, file_format, _, length = HEAD.unpack_from(view)
    if magic != MAGIC:
        raise TableError(f"{name}: this is no rate table: build it again")
    if file_format != FORMAT:
        raise TableError(f"{name}: a rate table of format {file_format}, this program reads {FORMAT}: build it again")
    if hashlib.sha256(view[:-DIGEST_BYTES]).digest() != view[-DIGEST_BYTES:]:
        raise TableError(f"{name}: the checksum is wrong, the file is damaged or cut short: build the table again")
    start = HEAD.size + length
    try:
        head = msgspec.json.decode(view[HEAD.size : min(start, len(view))], type=Head)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TableError(f"{name}: the head cannot be read ({error}): build the table again") from error
    if head.order != sys.byteorder:
        raise TableError(f"{name}: the table was built on another kind of machine: build it again")
    if header.faults(head.header):
        raise TableError(f"{name}: the head describes no price list: build the table again")
    return head, start
