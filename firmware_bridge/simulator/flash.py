"""The flash of a simulated card: two slots for firmware and a boot record, on a power supply that may fail.

Everything here survives a restart. An operation that is cut in two leaves what a real chip leaves: an erased page that
is partly erased, a programmed one that is partly programmed. `cut_after` makes the power fail.
"""

from __future__ import annotations

import hashlib
import struct
import zlib

from msgspec import Struct, structs

from firmware_bridge.image import HEADER_BYTES, SIGNATURE_BYTES, ImageError, ImageHeader, parse_header
from firmware_bridge.vocabulary import FirmwareError

PAGE = 4096
ERASED = 0xFF
_RECORD = struct.Struct("<IBBBB")
_SIGNED = HEADER_BYTES + SIGNATURE_BYTES


class PowerCut(Exception):  # noqa: N818 -- what happens, and no mistake of anybody
    """The power has failed in the middle of an operation."""


class BootRecord(Struct, frozen=True):
    """Which slot runs, and what there is to know of the other: `trial` 1 is to be tried, 2 has been."""

    sequence: int = 0
    active: int = 0
    trial: int = 0
    outcome: int = 0
    error: FirmwareError = FirmwareError.NONE


NOTHING, CONFIRMED, ROLLED_BACK = 0, 1, 2


class Flash:
    """`pages`: size of one slot's body. Slot 0 holds the firmware that the card was made with."""

    def __init__(self, pages: int = 64) -> None:
        self.capacity = pages * PAGE
        self._slots = [bytearray([ERASED]) * (PAGE * (pages + 1)) for _ in range(2)]
        """Each: a page for header, signature and the marks of finished pages, then the body."""
        self._records = [bytearray([ERASED]) * (_RECORD.size + 4) for _ in range(2)]
        self.operations = 0
        self._cut_at: int | None = None
        self.cuts = 0
        self._write_record(BootRecord(sequence=1))
        self.operations = 0

    def cut_after(self, operations: int | None) -> None:
        """Let the power fail in the middle of the operation after so many more; None: never."""
        self._cut_at = None if operations is None else self.operations + operations

    def _operate(self) -> bool:
        """Count an operation; whether the power fails in the middle of this one."""
        self.operations += 1
        if self._cut_at is None or self.operations <= self._cut_at:
            return False
        self._cut_at = None
        self.cuts += 1
        return True

    def _erase(self, memory: bytearray, start: int, size: int) -> None:
        cut = self._operate()
        end = start + (size // 2 if cut else size)
        memory[start:end] = bytes([ERASED]) * (end - start)
        if cut:
            raise PowerCut

    def _program(self, memory: bytearray, start: int, data: bytes) -> None:
        cut = self._operate()
        wanted = data[: len(data) // 2] if cut else data
        for at, byte in enumerate(wanted, start):
            memory[at] &= byte  # Programming only clears bits, so that a page which was not erased ends in rubbish.
        if cut:
            raise PowerCut

    # --- the boot record ---

    def record(self) -> BootRecord:
        """The newest record that is whole; there always is one."""
        found = [record for raw in self._records if (record := _record(raw)) is not None]
        return max(found, key=lambda record: record.sequence)

    def change_record(self, **changes: int) -> None:
        """Write a record that differs from the present one; a cut leaves one of the two."""
        before = self.record()
        self._write_record(structs.replace(before, sequence=before.sequence + 1, **changes))

    def _write_record(self, record: BootRecord) -> None:
        memory = self._records[record.sequence % 2]
        packed = _RECORD.pack(record.sequence, record.active, record.trial, record.outcome, record.error)
        self._erase(memory, 0, len(memory))
        self._program(memory, 0, packed + zlib.crc32(packed).to_bytes(4, "little"))

    # --- the slots ---

    def header(self, slot: int) -> ImageHeader | None:
        """What a slot says it holds; None: nothing."""
        try:
            return parse_header(bytes(self._slots[slot][:HEADER_BYTES]))
        except ImageError:
            return None

    def signed(self, slot: int) -> bytes:
        """Header and signature of a slot as they were written."""
        return bytes(self._slots[slot][:_SIGNED])

    def body(self, slot: int) -> bytes:
        """The body of a slot, as long as its header says."""
        header = self.header(slot)
        return b"" if header is None else bytes(self._slots[slot][PAGE : PAGE + header.length])

    def whole(self, slot: int) -> bool:
        """Whether a slot holds what its header says; the boot loader looks before it starts it."""
        header = self.header(slot)
        return header is not None and hashlib.sha256(self.body(slot)).digest() == header.sha256

    def erase_page(self, slot: int, page: int) -> None:
        """Erase a page; page 0 is the one of header and marks."""
        self._erase(self._slots[slot], page * PAGE, PAGE)

    def write_signed(self, slot: int, signed: bytes) -> None:
        """Write header and signature into an erased slot."""
        self._program(self._slots[slot], 0, signed)

    def write_body(self, slot: int, offset: int, data: bytes) -> None:
        """Write a piece of the body into erased pages, and mark the pages that are full."""
        self._program(self._slots[slot], PAGE + offset, data)
        end = offset + len(data)
        for page in range(offset // PAGE, end // PAGE):
            self._program(self._slots[slot], _SIGNED + page, b"\0")

    def marked(self, slot: int) -> int:
        """How many bytes of the body are in full pages: what can be vouched for after a restart."""
        marks = self._slots[slot][_SIGNED : _SIGNED + self.capacity // PAGE]
        return PAGE * (len(marks) - len(marks.lstrip(b"\0")))


def _record(raw: bytearray) -> BootRecord | None:
    packed, check = bytes(raw[: _RECORD.size]), raw[_RECORD.size :]
    if zlib.crc32(packed) != int.from_bytes(check, "little"):
        return None
    sequence, active, trial, outcome, error = _RECORD.unpack(packed)
    return BootRecord(sequence, active, trial, outcome, FirmwareError(error))
