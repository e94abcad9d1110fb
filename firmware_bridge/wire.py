"""How the fields of a message become bytes: little-endian, every length bounded, errors that name the field.

A codec stands in the annotation of a field (`Annotated[int, U16]`); `Layout` reads the annotations once, so that a
message is described in one place and packed, parsed, documented and hashed from there.
"""

from __future__ import annotations

import enum
import struct
import typing
from abc import ABC, abstractmethod
from typing import Any

from msgspec import Struct


class WireError(Exception):
    """Bytes that are no message, or a value that does not fit its field; the text names the field."""


class Codec(ABC):
    """One field's way to bytes and back. `text` is its line in the schema."""

    text: str

    @abstractmethod
    def pack(self, value: Any, out: bytearray) -> None:
        """Append the bytes of `value`. Raises WireError where it is out of bounds."""

    @abstractmethod
    def parse(self, data: bytes, at: int) -> tuple[Any, int]:
        """The value at offset `at` and the offset behind it. Raises WireError."""


class Scalar(Codec):
    """A number of fixed size, in the letters of `struct`."""

    def __init__(self, text: str, letter: str) -> None:
        self.text = text
        self._struct = struct.Struct("<" + letter)

    def pack(self, value: Any, out: bytearray) -> None:
        try:
            out += self._struct.pack(value)
        except struct.error as error:
            raise WireError(f"{value!r} does not fit {self.text}") from error

    def parse(self, data: bytes, at: int) -> tuple[Any, int]:
        end = at + self._struct.size
        if end > len(data):
            raise WireError(f"message ends at byte {len(data)}, {self.text} needs {end}")
        return self._struct.unpack_from(data, at)[0], end


class Flag(Codec):
    """A truth value in one byte: 0 or 1, nothing else."""

    text = "bool"

    def pack(self, value: Any, out: bytearray) -> None:
        out.append(1 if value else 0)

    def parse(self, data: bytes, at: int) -> tuple[Any, int]:
        value, end = U8.parse(data, at)
        if value > 1:
            raise WireError(f"byte {at} is {value}, a bool is 0 or 1")
        return value == 1, end


class Choice(Codec):
    """A member of an IntEnum in one byte; its numbers are part of the schema."""

    def __init__(self, members: type[enum.IntEnum]) -> None:
        self.members = members
        self.text = f"{members.__name__}({','.join(f'{m.name}={m.value}' for m in members)})"

    def pack(self, value: Any, out: bytearray) -> None:
        out.append(self.members(value))

    def parse(self, data: bytes, at: int) -> tuple[Any, int]:
        value, end = U8.parse(data, at)
        try:
            return self.members(value), end
        except ValueError as error:
            raise WireError(f"byte {at} is {value}, which is no {self.members.__name__}") from error


class Blob(Codec):
    """Bytes behind their length in one byte, at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.text = f"bytes<={limit}"

    def pack(self, value: Any, out: bytearray) -> None:
        if len(value) > self.limit:
            raise WireError(f"{len(value)} bytes, at most {self.limit} are allowed")
        out.append(len(value))
        out += value

    def parse(self, data: bytes, at: int) -> tuple[Any, int]:
        length, start = U8.parse(data, at)
        if length > self.limit:
            raise WireError(f"length {length} at byte {at}, at most {self.limit} are allowed")
        end = start + length
        if end > len(data):
            raise WireError(f"message ends at byte {len(data)}, {self.text} at byte {at} needs {end}")
        return bytes(data[start:end]), end


class Text(Codec):
    """UTF-8 behind its length, at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._blob = Blob(limit)
        self.text = f"utf8<={limit}"

    def pack(self, value: Any, out: bytearray) -> None:
        try:
            encoded = value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise WireError("text that is not Unicode") from error
        self._blob.pack(encoded, out)

    def parse(self, data: bytes, at: int) -> tuple[Any, int]:
        raw, end = self._blob.parse(data, at)
        try:
            return raw.decode("utf-8"), end
        except UnicodeDecodeError as error:
            raise WireError(f"text at byte {at} is not UTF-8") from error


class Rest(Codec):
    """All bytes up to the end of the message, at most `limit`; only as the last field."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.text = f"rest<={limit}"

    def pack(self, value: Any, out: bytearray) -> None:
        if len(value) > self.limit:
            raise WireError(f"{len(value)} bytes, at most {self.limit} are allowed")
        out += value

    def parse(self, data: bytes, at: int) -> tuple[Any, int]:
        if len(data) - at > self.limit:
            raise WireError(f"{len(data) - at} bytes at byte {at}, at most {self.limit} are allowed")
        return bytes(data[at:]), len(data)


class Many(Codec):
    """A tuple behind its count in one byte, at most `limit` elements."""

    def __init__(self, element: Codec, limit: int) -> None:
        self.element, self.limit = element, limit
        self.text = f"[{element.text}]<={limit}"

    def pack(self, value: Any, out: bytearray) -> None:
        if len(value) > self.limit:
            raise WireError(f"{len(value)} elements, at most {self.limit} are allowed")
        out.append(len(value))
        for element in value:
            self.element.pack(element, out)

    def parse(self, data: bytes, at: int) -> tuple[Any, int]:
        count, at = U8.parse(data, at)
        if count > self.limit:
            raise WireError(f"{count} elements at byte {at - 1}, at most {self.limit} are allowed")
        elements = []
        for _ in range(count):
            element, at = self.element.parse(data, at)
            elements.append(element)
        return tuple(elements), at


class Layout(Codec):
    """The fields of a frozen Struct in their order; also a codec, so that records may nest."""

    def __init__(self, record: type[Struct]) -> None:
        hints = typing.get_type_hints(record, include_extras=True)
        self.record = record
        self.fields: list[tuple[str, Codec]] = []
        for name in record.__struct_fields__:
            codecs = [extra for extra in typing.get_args(hints[name])[1:] if isinstance(extra, Codec)]
            if len(codecs) != 1:
                raise TypeError(f"{record.__name__}.{name} needs exactly one codec in its annotation")
            self.fields.append((name, codecs[0]))
        self.text = "{" + ",".join(f"{name}:{codec.text}" for name, codec in self.fields) + "}"

    @property
    def name(self) -> str:
        """The name of the record."""
        return self.record.__name__

    def pack(self, value: Any, out: bytearray) -> None:
        for name, codec in self.fields:
            try:
                codec.pack(getattr(value, name), out)
            except (WireError, ValueError, TypeError) as error:
                raise WireError(f"{self.record.__name__}.{name}: {error}") from error

    def parse(self, data: bytes, at: int) -> tuple[Any, int]:
        values: dict[str, Any] = {}
        for name, codec in self.fields:
            try:
                values[name], at = codec.parse(data, at)
            except WireError as error:
                raise WireError(f"{self.record.__name__}.{name}: {error}") from error
        return self.record(**values), at


U8 = Scalar("u8", "B")
U16 = Scalar("u16", "H")
U32 = Scalar("u32", "I")
U64 = Scalar("u64", "Q")
I8 = Scalar("i8", "b")
I16 = Scalar("i16", "h")
I32 = Scalar("i32", "i")
BOOL = Flag()
