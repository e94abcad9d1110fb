"""Loaders of the shipped data: products, numbering, services, tones. Errors name the file and the key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct, structs

from agent.core.advisories import Advisory, Feature, InBoth, Reached, parse_release
from agent.core.catalogue import Catalogue, CatalogueError
from agent.core.foreign_map import read_map
from agent.core.services import ServiceProfile
from agent.core.terms import Tone
from agent.core.tonescript import ToneScriptError, read_cadence, read_tone
from agent.gateway.analogue import (
    Analogue,
    Cadence,
    CallerDisplay,
    DisplayMethod,
    DisplayMoment,
    Feed,
    HookTimes,
    RingPattern,
)
from agent.gateway.protocol import DigitMap, NumberFormat, ToneSegment, ToneSpec
from agent.paths import data_dir
from agent.toml_file import TomlFileError, read_toml

MAX_BYTES = 1 << 20
NORWAY = "no"
COUNTRY = "country"
"""In a setting: as the country's file says."""

Kind = TypeVar("Kind")


class DataError(Exception):
    """A data file is missing or wrong; the message names file, key and what was expected."""


class Numbering(Struct, frozen=True):
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
        return Numbering(structs.replace(self.digit_map, patterns=list(patterns)), self.numbers)


class Tones(Struct, frozen=True):
    """Every tone of a country, its ring cadence (milliseconds of ringing and silence in turn), and its wires."""

    tones: dict[Tone, ToneSpec]
    ring_cadence_ms: tuple[int, ...]
    analogue: Analogue = msgspec.field(default_factory=Analogue)

    def with_telephones(
        self, *, flash_min_ms: int, flash_max_ms: int, caller_id: str, moment: str, in_calls: bool
    ) -> Tones:
        """The same with what is particular about the telephones; 0 and `country` change nothing. Raises DataError."""
        kept = self.analogue
        hook = {"flash_min_ms": flash_min_ms, "flash_max_ms": flash_max_ms}
        display = {
            "method": DisplayMethod(caller_id) if caller_id != COUNTRY else None,
            "moment": DisplayMoment(moment) if moment != COUNTRY else None,
            "in_calls": kept.caller_display.in_calls and in_calls,
        }
        try:
            analogue = structs.replace(
                kept,
                hook=structs.replace(kept.hook, **{key: ms for key, ms in hook.items() if ms}),
                caller_display=structs.replace(
                    kept.caller_display, **{key: value for key, value in display.items() if value is not None}
                ),
            )
        except ValueError as error:
            raise DataError(f"telephones: {error}") from error
        return structs.replace(self, analogue=analogue)


class _NumberingFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    digit_map: DigitMap
    numbers: NumberFormat


class _ServicesFile(ServiceProfile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The profile, with nothing beside it."""


class _RingEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern="^[a-z0-9_-]{1,32}$")]
    cadence: str
    alert: Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(max_length=16)] = []


class _Advisory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Annotated[str, Meta(pattern="^[A-Za-z0-9-]{4,64}$")]
    what: InBoth
    why: InBoth
    reached: Reached
    fixed: Annotated[str, Meta(max_length=32)]
    commit: Annotated[str, Meta(pattern="^[0-9a-f]{0,40}$")]
    when: Feature | None = None


class _AdvisoriesFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    advisory: Annotated[list[_Advisory], Meta(max_length=512)]


class _TonesFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ring_cadence_ms: Cadence
    tones: dict[Tone, str]
    country: Annotated[str, Meta(pattern="^[a-z]{2}$")] = NORWAY
    howler_s: Annotated[int, Meta(ge=10, le=600)] = 60
    feed: Feed = Feed()
    hook: HookTimes = HookTimes()
    caller_id: CallerDisplay = CallerDisplay()
    ring: Annotated[list[_RingEntry], Meta(max_length=16)] = []


def load_products(folder: Path | None = None) -> Catalogue:
    """The products of `products.toml` in `folder` (default: the shipped data). Raises DataError."""
    return _load("products.toml", Catalogue, folder)


def load_numbering(folder: Path | None = None) -> Numbering:
    """The numbering plan of `numbering.toml` in `folder` (default: the shipped data). Raises DataError."""
    found = _load("numbering.toml", _NumberingFile, folder)
    return Numbering(found.digit_map, found.numbers)


def load_services(folder: Path | None = None) -> ServiceProfile:
    """The supplementary services of `services.toml` in `folder` (default: the shipped data). Raises DataError."""
    found = _load("services.toml", _ServicesFile, folder)
    return ServiceProfile(**structs.asdict(found))


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
    analogue = Analogue(
        country=found.country, feed=found.feed, hook=found.hook, caller_display=found.caller_id,
        rings=_rings(path, found.ring), howler_s=found.howler_s,
    )  # fmt: skip
    return Tones(
        {tone: _tone(path, tone, script) for tone, script in found.tones.items()}, tuple(found.ring_cadence_ms),
        analogue,
    )  # fmt: skip


def _rings(path: Path, entries: Sequence[_RingEntry]) -> list[RingPattern]:
    found: dict[str, RingPattern] = {}
    for entry in entries:
        if entry.name in found:
            raise DataError(f"{path}: ring: {entry.name} stands there twice; give each a name of its own")
        try:
            cadence = read_cadence(entry.cadence)
        except ToneScriptError as error:
            raise DataError(f"{path}: ring.{entry.name}: {error}") from error
        found[entry.name] = RingPattern(name=entry.name, cadence_ms=list(cadence), alert=entry.alert)
    return list(found.values())


def load_advisories(folder: Path | None = None) -> tuple[Advisory, ...]:
    """The known advisories of the SIP library. Raises DataError, also where one has no release that can be read."""
    folder = data_dir() if folder is None else folder
    found = []
    for one in _load("advisories.toml", _AdvisoriesFile, folder).advisory:
        fixed = parse_release(one.fixed)
        if one.fixed and fixed is None:
            raise DataError(f"{folder / 'advisories.toml'}: {one.id}: fixed: {one.fixed!r} is no release; 2.17 is one")
        found.append(Advisory(one.id, one.what, one.why, one.reached, fixed, one.commit, one.when))
    return tuple(found)


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
