"""The message table as the generators walk it: records with what they nest, enumerations, and their names in C."""

from __future__ import annotations

import enum
import inspect
import re
from typing import Any

from firmware_bridge import messages as m
from firmware_bridge import vocabulary
from firmware_bridge.wire import Blob, Choice, Codec, Flag, Layout, Many, Rest, Scalar, Text

REPLY = Layout(m.Reply)

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_UNITS = (
    ("_ms", "ms"), ("_us", "µs"), ("_mv", "mV"), ("_ua", "µA"), ("_mw", "mW"), ("_hz", "Hz"), ("_vrms", "V rms"),
    ("_dc_v", "V"), ("_ma", "mA"), ("_cdb", "0.01 dB"), ("_dbm0", "dBm0"), ("_ppm", "ppm"), ("temperature_c", "°C"),
    ("baud", "baud"), ("bauds", "baud"), ("frequencies", "Hz"), ("counter", "samples"),
)  # fmt: skip


def snake(name: str) -> str:
    """`RingStart` as `ring_start`."""
    return _WORD.sub("_", name).lower()


def constant(name: str) -> str:
    """`RingStart` as `RING_START`."""
    return snake(name).upper()


def enumerations() -> list[type[enum.IntEnum] | type[enum.IntFlag]]:
    """Every enumeration and bit set whose numbers travel, in the order of the vocabulary."""
    return [
        member for _, member in inspect.getmembers_static(vocabulary, inspect.isclass)
        if member.__module__ == vocabulary.__name__ and issubclass(member, enum.IntEnum | enum.IntFlag)
    ]  # fmt: skip


def layouts() -> list[Layout]:
    """Every record that travels, those that others nest before them; results and the reply included."""
    found: dict[str, Layout] = {}

    def enter(codec: Codec) -> None:
        if isinstance(codec, Many):
            enter(codec.element)
        elif isinstance(codec, Layout):
            for _, field in codec.fields:
                enter(field)
            found.setdefault(codec.name, codec)

    for spec in m.TABLE:
        enter(spec.layout)
        if spec.result is not None:
            enter(spec.result)
    enter(REPLY)
    return list(found.values())


def sentence(thing: type[Any]) -> str:
    """The documentation of a record or an enumeration, on one line."""
    return " ".join((thing.__doc__ or "").split())


def unit(field: str) -> str:
    """The unit of a field, by the ending of its name; empty where it has none."""
    return next((unit for ending, unit in _UNITS if field.endswith(ending)), "")


def bounds(codec: Codec) -> tuple[int, int]:
    """The lowest and the highest number of a scalar."""
    bits = int(codec.text[1:])
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if codec.text[0] == "i" else (0, (1 << bits) - 1)


def size(codec: Codec) -> tuple[int, int]:
    """How few and how many bytes a field takes."""
    match codec:
        case Scalar():
            return (octets := int(codec.text[1:]) // 8), octets
        case Flag() | Choice():
            return 1, 1
        case Blob() | Text():
            return 1, 1 + codec.limit
        case Rest():
            return 0, codec.limit
        case Many():
            return 1, 1 + codec.limit * size(codec.element)[1]
        case Layout():
            sizes = [size(field) for _, field in codec.fields]
            return sum(low for low, _ in sizes), sum(high for _, high in sizes)
        case _:
            raise TypeError(f"no size is known for {codec.text}")
