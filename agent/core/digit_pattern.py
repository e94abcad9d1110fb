"""The language of digit maps: one pattern says how a kind of number is dialled.

A map is data: a list of patterns. A pattern is read from left to right, one element for each digit:

    0-9           this digit
    x             any digit
    [02-57]       one of these digits
    .             after an element: that element as often as you like (it stands at least once)
    <12:34>       dial 12, and 34 is called in its place; <:34> adds digits, <12:> takes them away
    Sn            at the end: more digits may follow, so wait n seconds (1-30) before dialling
    !             at the end: nobody may dial this, nor anything that begins so
    <national>    at the end: every pattern of the map that does not begin with the international prefix

`19x.S3` is 190 to 199 with any digits after them, dialled after three seconds of silence. A pattern with `.` and no `S`
waits for the map's own timer. `#` says "that was all" and dials what waits. Any other number dials with its last digit:
112 on the third.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NoReturn

from msgspec import Struct, structs

MAX_DIGITS: Final = 17
"""International prefix of two digits and the fifteen of E.164: the longest number there is."""
MAX_PATTERN: Final = 128

NATIONAL: Final = "<national>"
DIGITS: Final = frozenset("0123456789")

_TIMER = re.compile(r"S([0-9]+)$", re.ASCII)
_SUBSTITUTION = re.compile(r"<([0-9]*):([0-9]*)>", re.ASCII)


class DialPlanError(Exception):
    """A digit map can't be used; the sentence names the pattern or patterns, the place and what is allowed."""


class Element(Struct, frozen=True):
    """One dialled digit out of several; `repeats`: as often as you like, once at least."""

    digits: frozenset[str]
    repeats: bool = False


class Substitution(Struct, frozen=True):
    """`removed` digits from the digit with index `at` on are called as `inserted`."""

    at: int
    removed: int
    inserted: str


class Pattern(Struct, frozen=True):
    """A pattern, read. `text` is how it was written; `emergency` the number that it is, for one of those."""

    text: str
    elements: tuple[Element, ...]
    timer_ms: int | None
    emergency: str = ""
    barred: bool = False
    substitutions: tuple[Substitution, ...] = ()

    def reached(self, digits: str) -> str:
        """The number that is called when `digits`, which fit the pattern, were dialled."""
        if self.emergency:
            return self.emergency
        called, done = "", 0
        for one in self.substitutions:
            called += digits[done : one.at] + one.inserted
            done = one.at + one.removed
        return called + digits[done:]

    def is_whole(self, matched: int) -> bool:
        """Whether the pattern is fulfilled by its first `matched` elements."""
        return matched == len(self.elements)


Position = tuple[int, int]
"""Index of a pattern, and how many of its elements have been matched."""


def follow(patterns: Sequence[Pattern], alive: frozenset[Position], digit: str) -> frozenset[Position]:
    """Where all patterns stand when one more digit has been dialled; those that it does not fit are gone."""
    following: set[Position] = set()
    for index, matched in alive:
        elements = patterns[index].elements
        if matched < len(elements) and digit in elements[matched].digits:
            following.add((index, matched + 1))
        if matched and elements[matched - 1].repeats and digit in elements[matched - 1].digits:
            following.add((index, matched))
    return frozenset(following)


def read_patterns(
    patterns: Sequence[str],
    emergency: Sequence[str],
    *,
    timer_ms: int = 4000,
    international_prefix: str = "00",
) -> list[Pattern]:
    """Read a map, its emergency numbers first, `<national>` written out. Raises DialPlanError."""
    read = [
        *(_read_emergency(number) for number in dict.fromkeys(emergency)),
        *_read_all(patterns, timer_ms, international_prefix),
    ]
    national = [pattern for pattern in read if not _is_abroad(pattern, international_prefix)]
    for prefix in _national_prefixes(patterns):
        read.extend(_behind(prefix, pattern) for pattern in national)
    for pattern in read:
        if len(pattern.elements) > MAX_DIGITS:
            raise DialPlanError(
                f"pattern {pattern.text!r} wants {len(pattern.elements)} digits; no number has more than {MAX_DIGITS}"
            )
    return read


def _read_emergency(number: str) -> Pattern:
    if not number or len(number) > MAX_DIGITS or not DIGITS.issuperset(number):
        raise DialPlanError(f"emergency number {number!r} is no number: 1 to {MAX_DIGITS} digits 0-9 are allowed")
    return Pattern(number, tuple(Element(frozenset(digit)) for digit in number), None, emergency=number)


def _read_all(patterns: Sequence[str], timer_ms: int, international_prefix: str) -> list[Pattern]:
    read = [read_pattern(text, timer_ms) for text in dict.fromkeys(patterns) if not text.endswith(NATIONAL)]
    for pattern in read if _national_prefixes(patterns) else ():
        if len(pattern.elements) <= len(international_prefix) and _is_abroad(pattern, international_prefix):
            raise DialPlanError(
                f"pattern {pattern.text!r} ends inside the international prefix {international_prefix}: "
                f"what {NATIONAL} repeats would not be known"
            )
    return read


def read_pattern(text: str, timer_ms: int) -> Pattern:
    """Read one pattern; `timer_ms` is the map's own timer. Raises DialPlanError."""
    if len(text) > MAX_PATTERN:
        raise DialPlanError(f"pattern {text[:20]!r}... has {len(text)} characters; at most {MAX_PATTERN} are allowed")
    body = text.removesuffix("!")
    barred = body != text
    wait: int | None = None
    if timer := _TIMER.search(body):
        wait, body = int(timer[1][:6]) * 1000, body[: timer.start()]
        if not 1000 <= wait <= 30_000:
            raise DialPlanError(f"pattern {text!r} waits {timer[1][:6]} seconds; S1 to S30 are allowed")
    elements, substitutions = _Reader(text, body).read()
    if not elements:
        raise DialPlanError(f"pattern {text!r} matches no digit at all")
    open_ended = any(element.repeats for element in elements)
    return Pattern(
        text, elements, timer_ms if wait is None and open_ended else wait, barred=barred, substitutions=substitutions
    )


class _Reader:
    """Reads the elements of one pattern, character by character."""

    def __init__(self, text: str, body: str) -> None:
        self._text, self._body = text, body
        self._place = 0
        self._elements: list[Element] = []
        self._substitutions: list[Substitution] = []

    def read(self) -> tuple[tuple[Element, ...], tuple[Substitution, ...]]:
        while self._place < len(self._body):
            letter = self._body[self._place]
            if letter == ".":
                self._repeat()
            elif letter == "[":
                self._elements.append(Element(self._set()))
            elif letter == "<":
                self._substitute()
            elif letter == "x" or letter in DIGITS:
                self._elements.append(Element(DIGITS if letter == "x" else frozenset(letter)))
                self._place += 1
            else:
                self._refuse(
                    f"found {letter!r}; allowed are 0-9, x, [...], ., <12:34>, S and seconds at the end, ! at the "
                    f"end, {NATIONAL} at the end"
                )
        return tuple(self._elements), tuple(self._substitutions)

    def _refuse(self, what: str, place: int | None = None) -> NoReturn:
        place = self._place if place is None else place
        raise DialPlanError(f"pattern {self._text!r}, character {place + 1}: {what}")

    def _repeat(self) -> None:
        if self._body[self._place - 1 : self._place] in ("", ">") or self._elements[-1].repeats:
            self._refuse("'.' must follow a digit, x or [...]")
        self._elements[-1] = structs.replace(self._elements[-1], repeats=True)
        self._place += 1

    def _substitute(self) -> None:
        found = _SUBSTITUTION.match(self._body, self._place)
        if found is None or not (found[1] or found[2]):
            self._refuse("'<' begins a substitution such as <12:34>, digits on both sides of the colon")
        if any(element.repeats for element in self._elements):
            self._refuse("a substitution must stand before '.': where it is to happen would not be known")
        self._substitutions.append(Substitution(len(self._elements), len(found[1]), found[2]))
        self._elements.extend(Element(frozenset(digit)) for digit in found[1])
        self._place = found.end()

    def _set(self) -> frozenset[str]:
        start = self._place
        end = self._body.find("]", start)
        if end < 0:
            self._refuse("'[' without ']'")
        inside = self._body[start + 1 : end]
        digits: set[str] = set()
        place = 0
        while place < len(inside):
            low = inside[place]
            high = inside[place + 2] if inside[place + 1 : place + 2] == "-" and place + 2 < len(inside) else low
            if low not in DIGITS or high not in DIGITS or low > high:
                self._refuse("[...] holds digits and rising ranges such as 2-5", start + place + 1)
            digits.update(str(value) for value in range(int(low), int(high) + 1))
            place += 1 if high is low else 3
        if not digits:
            self._refuse("[] holds no digit", start)
        self._place = end + 1
        return frozenset(digits)


def _national_prefixes(patterns: Sequence[str]) -> list[str]:
    prefixes = [text.removesuffix(NATIONAL) for text in dict.fromkeys(patterns) if text.endswith(NATIONAL)]
    for prefix in prefixes:
        if not prefix or not DIGITS.issuperset(prefix):
            raise DialPlanError(f"pattern {prefix + NATIONAL!r}: {NATIONAL} must follow digits, such as 0047")
    return prefixes


def _behind(prefix: str, pattern: Pattern) -> Pattern:
    return structs.replace(
        pattern,
        text=f"{prefix}{NATIONAL} ({pattern.text})",
        elements=(*(Element(frozenset(digit)) for digit in prefix), *pattern.elements),
        substitutions=tuple(structs.replace(one, at=one.at + len(prefix)) for one in pattern.substitutions),
    )


def _is_abroad(pattern: Pattern, international_prefix: str) -> bool:
    return all(digit in element.digits for digit, element in zip(international_prefix, pattern.elements, strict=False))
