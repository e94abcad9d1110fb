"""Loaders of the shipped data: products, numbering, tones. Errors name the file and the key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from agent.core.catalogue import Catalogue, CatalogueError
from agent.core.events import Tone
from agent.core.foreign_map import read_map
from agent.gateway.protocol import DigitMap, NumberFormat, ToneSpec
from agent.paths import data_dir
from agent.toml_file import TomlFileError, read_toml

MAX_BYTES = 1 << 20

Kind = TypeVar("Kind")
CadenceMs = Annotated[int, Meta(ge=50, le=60_000)]


class DataError(Exception):
    """A data file is missing or wrong; the message names file, key and what was expected."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """The digit map, and how numbers travel in SIP."""

    digit_map: DigitMap
    numbers: NumberFormat

    def with_map(self, text: str) -> Numbering:
        """The same with a user's own map in place of the shipped patterns; empty: unchanged. Raises DialPlanError.

        Emergency numbers and timers stay.
        """
        if not text:
            return self
        patterns = read_map(text, timer_s=self.digit_map.timer_ms // 1000).patterns
        return Numbering(msgspec.structs.replace(self.digit_map, patterns=list(patterns)), self.numbers)


@dataclass(frozen=True, slots=True)
class Tones:
    """Every tone, and the ring cadence: milliseconds of ringing and silence in turn."""

    tones: dict[Tone, ToneSpec]
    ring_cadence_ms: tuple[int, ...]


class _NumberingFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    digit_map: DigitMap
    numbers: NumberFormat


class _TonesFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ring_cadence_ms: Annotated[list[CadenceMs], Meta(min_length=2, max_length=8)]
    tones: dict[Tone, ToneSpec]


def load_products(folder: Path | None = None) -> Catalogue:
    """The products of `products.toml` in `folder` (default: the shipped data). Raises DataError."""
    return _load("products.toml", Catalogue, folder)


def load_numbering(folder: Path | None = None) -> Numbering:
    """The numbering plan of `numbering.toml` in `folder` (default: the shipped data). Raises DataError."""
    found = _load("numbering.toml", _NumberingFile, folder)
    return Numbering(found.digit_map, found.numbers)


def load_tones(folder: Path | None = None) -> Tones:
    """All tones of `tones.toml` in `folder` (default: the shipped data). Raises DataError, also where one lacks."""
    found = _load("tones.toml", _TonesFile, folder)
    missing = [tone.value for tone in Tone if tone not in found.tones]
    if missing:
        raise DataError(
            f"tones.toml: tones: {', '.join(missing)} not there; every tone needs its frequencies and cadence"
        )
    return Tones(found.tones, tuple(found.ring_cadence_ms))


def _load(name: str, kind: type[Kind], folder: Path | None) -> Kind:
    path = (data_dir() if folder is None else folder) / name
    try:
        return msgspec.convert(read_toml(path, max_bytes=MAX_BYTES), kind, strict=True)
    except TomlFileError as error:
        raise DataError(f"{path}: {error}") from error
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        raise DataError(f"{path}: {where.rstrip('`').lstrip('.') or 'the file'}: {reason}") from error
    except CatalogueError as error:
        raise DataError(f"{path}: {error}") from error
