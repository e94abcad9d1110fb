"""Tones as a line of text, in the way of Sipura's ToneScript: frequencies with levels, then their rhythm.

    425@-10; *(1/4/1)                    425 Hz at -10 dBm0: 1 s on, 4 s off, for ever
    425@-10; *(*/0/1)                    425 Hz without end
    950@-12,1400@-12; *(.33/0/1,.33/0/2) first 950 Hz, then 1400 Hz, 0.33 s each, over and over
    1400@-16; .6(.2/.2/1)                0.6 s of it, once: 0.2 s on, 0.2 s off, 0.2 s on
    350@-13,440@-13; 3(.1/.1/1+2);*(*/0/1+2)   several rhythms one after the other; only the last may be endless
    *(.4/.2,.4/2)                        ringing, without frequencies: 0.4 s, 0.2 s of silence, 0.4 s, 2 s of silence

Before the first `;` stand up to six frequencies in hertz with their levels. A rhythm is its length in seconds (`*`: for
ever) and, in brackets, up to six parts `on/off/which`: seconds of sound (`*`: for ever), seconds of silence, and the
numbers of the frequencies, joined by `+` (0: silence). The line card plays all of a tone at one level, so the levels
must agree. Source of the syntax: Cisco SPA and ATA administration guides (ToneScript); of the levels: ITU-T G.711 dBm0.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from msgspec import Struct

MAX_SCRIPT: Final = 256
MAX_FREQUENCIES: Final = 6
MAX_PARTS: Final = 6
MAX_SEGMENTS: Final = 16
MAX_TOGETHER: Final = 4
MAX_MS: Final = 60_000
MIN_HZ: Final = 100
MAX_HZ: Final = 3800

_FREQUENCY = re.compile(r"([0-9]{1,5})@(-?[0-9]{1,3})", re.ASCII)
_RHYTHM = re.compile(r"(\*|[0-9.]{1,8})\((.*)\)", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?|\.[0-9]{1,3}", re.ASCII)
_WHICH = re.compile(r"[0-9](\+[0-9])*", re.ASCII)


class ToneScriptError(ValueError):
    """A tone can't be read; the sentence says which part, and what is allowed there."""


class Segment(Struct, frozen=True):
    """`frequencies` in hertz (none: silence) for `ms` (0: for ever)."""

    frequencies: tuple[int, ...]
    ms: int


class ToneProgram(Struct, frozen=True):
    """Segments one after the other, repeated unless `once`, all at `level_dbm0`."""

    level_dbm0: int
    segments: tuple[Segment, ...]
    once: bool


def read_tone(script: str) -> ToneProgram:
    """Read one tone. Raises ToneScriptError."""
    if len(script) > MAX_SCRIPT:
        raise ToneScriptError(f"the tone has {len(script)} characters; at most {MAX_SCRIPT} are allowed")
    first, *rhythms = [part.strip() for part in script.split(";")]
    frequencies, level_dbm0 = _frequencies(first)
    if not rhythms:
        raise ToneScriptError("the tone has no rhythm: write ; and for example *(*/0/1)")
    segments: list[Segment] = []
    once = True
    for index, rhythm in enumerate(rhythms):
        endless, more = _rhythm(rhythm, frequencies)
        if endless and (index < len(rhythms) - 1):
            raise ToneScriptError(f"rhythm {rhythm!r} never ends, so what stands behind it would never be heard")
        if endless and index and not (len(more) == 1 and more[0].ms == 0):
            raise ToneScriptError(
                f"rhythm {rhythm!r}: behind another one only a last part without end is possible, such as *(*/0/1)"
            )
        once = once and not endless
        segments += more
    if len(segments) > MAX_SEGMENTS:
        raise ToneScriptError(f"the tone has {len(segments)} parts when written out; the card takes {MAX_SEGMENTS}")
    # A last part without end is never repeated, so it may stand behind others that are heard once.
    return ToneProgram(level_dbm0, tuple(segments), once or (len(segments) > 1 and segments[-1].ms == 0))


MAX_BURSTS: Final = 4
MIN_RING_MS: Final = 50


def read_cadence(script: str) -> tuple[int, ...]:
    """Read a ringing: milliseconds of ringing and of silence in turn, over and over. Raises ToneScriptError."""
    match = _RHYTHM.fullmatch(script.strip()[:MAX_SCRIPT])
    if match is None or match[1] != "*":
        raise ToneScriptError(f"found {script[:32]!r} where a ringing stands; write for example *(1/4)")
    bursts = match[2].split(",")
    if len(bursts) > MAX_BURSTS:
        raise ToneScriptError(f"the ringing has {len(bursts)} parts; the card takes {MAX_BURSTS}")
    found: list[int] = []
    for burst in bursts:
        fields = burst.strip().split("/")
        if len(fields) != 2:
            raise ToneScriptError(f"found {burst.strip()[:32]!r} where on/off stands; write for example 1/4")
        found += [_milliseconds(field) for field in fields]
    if min(found) < MIN_RING_MS:
        raise ToneScriptError(f"the ringing has a part of {min(found)} ms; a bell needs {MIN_RING_MS}")
    return tuple(found)


def _frequencies(text: str) -> tuple[tuple[int, ...], int]:
    found: list[int] = []
    levels: set[int] = set()
    for part in text.split(","):
        match = _FREQUENCY.fullmatch(part.strip())
        if match is None:
            raise ToneScriptError(f"found {part.strip()[:32]!r} where a frequency stands; write for example 425@-10")
        hertz, level = int(match[1]), int(match[2])
        if not MIN_HZ <= hertz <= MAX_HZ:
            raise ToneScriptError(f"found {hertz} Hz; {MIN_HZ} to {MAX_HZ} Hz are heard on a telephone")
        if not -60 <= level <= 0:
            raise ToneScriptError(f"found a level of {level}; -60 to 0 dBm0 are allowed")
        found.append(hertz)
        levels.add(level)
    if len(found) > MAX_FREQUENCIES:
        raise ToneScriptError(f"found {len(found)} frequencies; at most {MAX_FREQUENCIES} are allowed")
    if len(levels) > 1:
        raise ToneScriptError("the frequencies have different levels; the card plays all of a tone at one level")
    return tuple(found), levels.pop()


def _rhythm(text: str, frequencies: tuple[int, ...]) -> tuple[bool, list[Segment]]:
    """One rhythm written out, and whether it goes on for ever."""
    match = _RHYTHM.fullmatch(text)
    if match is None:
        raise ToneScriptError(f"found {text[:32]!r} where a rhythm stands; write for example *(.5/.5/1)")
    parts = match[2].split(",")
    if len(parts) > MAX_PARTS:
        raise ToneScriptError(f"rhythm {text[:32]!r} has {len(parts)} parts; at most {MAX_PARTS} are allowed")
    cycle: list[Segment] = []
    for part in parts:
        if cycle and cycle[-1].ms == 0:
            raise ToneScriptError(f"rhythm {text[:32]!r}: what stands behind a part without end is never heard")
        cycle += _part(part.strip(), frequencies)
    if match[1] == "*":
        return True, cycle
    return False, _cut(cycle, _milliseconds(match[1]), text)


def _part(text: str, frequencies: tuple[int, ...]) -> list[Segment]:
    fields = text.split("/")
    if len(fields) != 3 or not _WHICH.fullmatch(fields[2]):
        raise ToneScriptError(f"found {text[:32]!r} where a part stands; write on/off/which, for example .5/.5/1")
    on, off, which = fields
    numbers = [int(number) for number in which.split("+")]
    if any(number > len(frequencies) for number in numbers) or (0 in numbers and len(numbers) > 1):
        raise ToneScriptError(f"part {text!r}: there are frequencies 1 to {len(frequencies)}, and 0 for silence")
    if len(numbers) > MAX_TOGETHER:
        raise ToneScriptError(f"part {text!r}: the card plays at most {MAX_TOGETHER} frequencies together")
    heard = tuple(frequencies[number - 1] for number in numbers if number)
    if on == "*":
        return [Segment(heard, 0)]
    segments = [Segment(heard, _milliseconds(on)), Segment((), _milliseconds(off))]
    found = [segment for segment in segments if segment.ms]
    if not found:
        raise ToneScriptError(f"part {text!r} lasts no time")
    return found


def _cut(cycle: list[Segment], total_ms: int, text: str) -> list[Segment]:
    """The cycle over and over until `total_ms` have passed."""
    if not total_ms:
        raise ToneScriptError(f"rhythm {text[:32]!r} lasts no time")
    found: list[Segment] = []
    left = total_ms
    while left and len(found) <= MAX_SEGMENTS:
        segment = cycle[len(found) % len(cycle)]
        ms = left if segment.ms == 0 else min(segment.ms, left)
        found.append(Segment(segment.frequencies, ms))
        left -= ms
    if len(found) > 1 and not found[-1].frequencies:
        found.pop()
    return found


def _milliseconds(text: str) -> int:
    if not _SECONDS.fullmatch(text):
        raise ToneScriptError(f"found {text[:16]!r} where seconds stand; write for example .5 or 10")
    ms = int(Decimal(text) * 1000)
    if ms > MAX_MS:
        raise ToneScriptError(f"found {text} seconds; at most {MAX_MS // 1000} are allowed")
    return ms
