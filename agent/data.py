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
from agent.core.tonescript import ToneScriptError, read_tone
from agent.gateway.protocol import DigitMap, NumberFormat, ToneSegment, ToneSpec
from agent.paths import data_dir
from agent.toml_file import TomlFileError, read_toml

MAX_BYTES = 1 << 20
NORWAY = "no"

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
    """Every tone of a country, and its ring cadence: milliseconds of ringing and silence in turn."""

    tones: dict[Tone, ToneSpec]
    ring_cadence_ms: tuple[int, ...]


class _NumberingFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    digit_map: DigitMap
    numbers: NumberFormat


class _TonesFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ring_cadence_ms: Annotated[list[CadenceMs], Meta(min_length=2, max_length=8)]
    tones: dict[Tone, str]


def load_products(folder: Path | None = None) -> Catalogue:
    """The products of `products.toml` in `folder` (default: the shipped data). Raises DataError."""
    return _load("products.toml", Catalogue, folder)


def load_numbering(folder: Path | None = None) -> Numbering:
    """The numbering plan of `numbering.toml` in `folder` (default: the shipped data). Raises DataError."""
    found = _load("numbering.toml", _NumberingFile, folder)
    return Numbering(found.digit_map, found.numbers)


def load_tones(folder: Path | None = None, country: str = NORWAY) -> Tones:
    """All tones of a country, or of the file whose path `country` is. Raises DataError, also where one lacks.

    Norway's are in `tones.toml` of `folder` (default: the shipped data), others in `tones.d`.
    """
    folder = data_dir() if folder is None else folder
    if country.startswith("/"):
        path = Path(country)
    else:
        path = folder / ("tones.toml" if country == NORWAY else f"tones.d/{country}.toml")
    found = _read(path, _TonesFile)
    missing = [tone.value for tone in Tone if tone not in found.tones]
    if missing:
        raise DataError(f"{path}: tones: {', '.join(missing)} not there; every tone needs its frequencies and rhythm")
    return Tones(
        {tone: _tone(path, tone, script) for tone, script in found.tones.items()}, tuple(found.ring_cadence_ms)
    )


def _tone(path: Path, tone: Tone, script: str) -> ToneSpec:
    try:
        program = read_tone(script)
    except ToneScriptError as error:
        raise DataError(f"{path}: tones.{tone.value}: {error}") from error
    return ToneSpec(
        level_dbm0=program.level_dbm0,
        segments=[ToneSegment(frequencies=list(part.frequencies), ms=part.ms) for part in program.segments],
        once=program.once,
    )


def _load(name: str, kind: type[Kind], folder: Path | None) -> Kind:
    return _read((data_dir() if folder is None else folder) / name, kind)


def _read(path: Path, kind: type[Kind]) -> Kind:
    try:
        return msgspec.convert(read_toml(path, max_bytes=MAX_BYTES), kind, strict=True)
    except TomlFileError as error:
        raise DataError(f"{path}: {error}") from error
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        raise DataError(f"{path}: {where.rstrip('`').lstrip('.') or 'the file'}: {reason}") from error
    except CatalogueError as error:
        raise DataError(f"{path}: {error}") from error
