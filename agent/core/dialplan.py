"""The digit map: which dialled digits are a number, and when nobody needs to wait for more.

A map is data: a list of patterns. A pattern is read from left to right, one element for each digit:

    0-9           this digit
    x             any digit
    [02-57]       one of these digits
    .             after an element: that element as often as you like (it stands at least once)
    Sn            at the end: more digits may follow, so wait n seconds (1-30) before dialling
    <national>    at the end: every pattern of the map that does not begin with the international prefix

`19x.S3` is 190 to 199 with any digits after them, dialled after three seconds of silence. A pattern with `.` and no `S`
waits for the map's own timer. `#` says "that was all" and dials what waits. Any other number dials with its last digit:
112 on the third. Emergency numbers stand apart and are matched first.

`compile_plan` turns the patterns into a trie (equal tails shared) and refuses a map in which a number fits two
patterns, or in which a number dials at once although another pattern continues it: whoever dials the longer one would
reach somebody else.

Codes of supplementary services (`*21*number#`, `#21#`, `*#21#`) are known by their shape: 3GPP TS 22.030 §6.5.2.
Sources: RFC 3435 §2.1.5 (digit maps); the numbering plan of Nkom for the shipped data.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

MAX_DIGITS: Final = 17
"""International prefix of two digits and the fifteen of E.164: the longest number there is."""
MAX_SERVICE_CODE: Final = 40
MAX_PATTERN: Final = 128
MAX_STATES: Final = 4_000
"""Bounds what a map costs in memory and time; the Norwegian map has 177."""

NATIONAL: Final = "<national>"

_DIGITS: Final = frozenset("0123456789")
_TIMER = re.compile(r"S([0-9]+)$", re.ASCII)
_SERVICE_CODE = re.compile(r"(\*|\*\*|#|\*#|##)[0-9]+(\*[0-9+]*)*#", re.ASCII)
_SERVICE_BEGIN = re.compile(r"(\*|\*\*|#|\*#|##)([0-9]+(\*[0-9]*)*)?", re.ASCII)


class DialPlanError(Exception):
    """A digit map can't be used; the sentence names the pattern or patterns, the place and what is allowed."""


class Outcome(enum.Enum):
    """What the digits so far mean."""

    COMPLETE = enum.auto()
    NEED_MORE = enum.auto()
    IMPOSSIBLE = enum.auto()
    SERVICE_CODE = enum.auto()


@dataclass(frozen=True, slots=True)
class Match:
    """The meaning of the digits so far.

    `number`: what is dialled now (COMPLETE), or when `timer_ms` of silence have passed (NEED_MORE with a timer).
    `emergency`: it is an emergency number, which is then `number` as the emergency service knows it.
    """

    outcome: Outcome
    number: str = ""
    timer_ms: int | None = None
    emergency: bool = False


@dataclass(frozen=True, slots=True)
class _Element:
    digits: frozenset[str]
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class _Pattern:
    text: str
    elements: tuple[_Element, ...]
    timer_ms: int | None
    emergency: str = ""


@dataclass(slots=True)
class _Node:
    """A place in the trie. `pattern`: the one whose number is complete here."""

    next: dict[str, _Node] = field(default_factory=dict)
    pattern: _Pattern | None = None


_Position = tuple[int, int]
"""Index of a pattern, and how many of its elements have been matched."""


@dataclass(frozen=True, slots=True)
class DialPlan:
    """A compiled digit map. `first_digit_ms`: patience before the first digit and inside an unfinished number."""

    first_digit_ms: int
    states: int
    _root: _Node = field(repr=False)

    def match(self, digits: str) -> Match:
        """What these digits (`0`-`9`, `*`, `#`, `A`-`D`) mean, all of them, from the first."""
        if digits[:1] in ("*", "#"):
            return _match_service_code(digits)
        number, ended = (digits[:-1], True) if digits.endswith("#") else (digits, False)
        if len(number) > MAX_DIGITS:
            return Match(Outcome.IMPOSSIBLE)
        node = self._root
        for digit in number:
            following = node.next.get(digit)
            if following is None:
                return Match(Outcome.IMPOSSIBLE)
            node = following
        pattern = node.pattern
        if pattern is None:
            return Match(Outcome.IMPOSSIBLE if ended or len(number) >= MAX_DIGITS else Outcome.NEED_MORE)
        reached = pattern.emergency or number
        if pattern.timer_ms is None or ended or len(number) >= MAX_DIGITS:
            return Match(Outcome.COMPLETE, reached, emergency=bool(pattern.emergency))
        return Match(Outcome.NEED_MORE, reached, pattern.timer_ms)


def compile_plan(
    patterns: Sequence[str],
    emergency: Sequence[str],
    *,
    timer_ms: int = 4000,
    first_digit_ms: int = 15_000,
    international_prefix: str = "00",
) -> DialPlan:
    """Compile a digit map. Raises DialPlanError where a pattern can't be read or two of them can't live together."""
    parsed = [
        *(_parse_emergency(number) for number in dict.fromkeys(emergency)),
        *_parse_all(patterns, timer_ms, international_prefix),
    ]
    national = [pattern for pattern in parsed if not _is_abroad(pattern, international_prefix)]
    for prefix in _national_prefixes(patterns):
        parsed.extend(_behind(prefix, pattern) for pattern in national)
    for pattern in parsed:
        if len(pattern.elements) > MAX_DIGITS:
            raise DialPlanError(
                f"pattern {pattern.text!r} wants {len(pattern.elements)} digits; no number has more than {MAX_DIGITS}"
            )
    root, states = _Compiler(parsed).compile()
    return DialPlan(first_digit_ms, states, root)


def _match_service_code(digits: str) -> Match:
    if _SERVICE_CODE.fullmatch(digits):
        return Match(Outcome.SERVICE_CODE, digits)
    if len(digits) < MAX_SERVICE_CODE and _SERVICE_BEGIN.fullmatch(digits):
        return Match(Outcome.NEED_MORE)
    return Match(Outcome.IMPOSSIBLE)


# --- reading patterns ------------------------------------------------------------------------------------------------


def _parse_emergency(number: str) -> _Pattern:
    if not number or len(number) > MAX_DIGITS or not _DIGITS.issuperset(number):
        raise DialPlanError(f"emergency number {number!r} is no number: 1 to {MAX_DIGITS} digits 0-9 are allowed")
    return _Pattern(number, tuple(_Element(frozenset(digit)) for digit in number), None, emergency=number)


def _parse_all(patterns: Sequence[str], timer_ms: int, international_prefix: str) -> list[_Pattern]:
    parsed = [_parse(text, timer_ms) for text in dict.fromkeys(patterns) if not text.endswith(NATIONAL)]
    for pattern in parsed:
        if len(pattern.elements) <= len(international_prefix) and _is_abroad(pattern, international_prefix):
            raise DialPlanError(f"pattern {pattern.text!r} ends inside the international prefix {international_prefix}")
    return parsed


def _parse(text: str, timer_ms: int) -> _Pattern:
    if len(text) > MAX_PATTERN:
        raise DialPlanError(f"pattern {text[:20]!r}... has {len(text)} characters; at most {MAX_PATTERN} are allowed")
    wait: int | None = None
    body = text
    if timer := _TIMER.search(text):
        wait, body = int(timer[1][:6]) * 1000, text[: timer.start()]
        if not 1000 <= wait <= 30_000:
            raise DialPlanError(f"pattern {text!r} waits {timer[1][:6]} seconds; S1 to S30 are allowed")
    elements: list[_Element] = []
    place = 0
    while place < len(body):
        letter = body[place]
        if letter == ".":
            if not elements or elements[-1].repeats:
                raise DialPlanError(f"pattern {text!r}, character {place + 1}: '.' must follow a digit, x or [...]")
            elements[-1] = _Element(elements[-1].digits, repeats=True)
            place += 1
        elif letter == "[":
            digits, place = _parse_set(text, body, place)
            elements.append(_Element(digits))
        elif letter == "x" or letter in _DIGITS:
            elements.append(_Element(_DIGITS if letter == "x" else frozenset(letter)))
            place += 1
        else:
            raise DialPlanError(
                f"pattern {text!r}, character {place + 1}: found {letter!r}; allowed are 0-9, x, [...], ., "
                f"S and seconds at the end, {NATIONAL} at the end"
            )
    if not elements:
        raise DialPlanError(f"pattern {text!r} matches no digit at all")
    open_ended = any(element.repeats for element in elements)
    return _Pattern(text, tuple(elements), timer_ms if wait is None and open_ended else wait)


def _parse_set(text: str, body: str, start: int) -> tuple[frozenset[str], int]:
    end = body.find("]", start)
    if end < 0:
        raise DialPlanError(f"pattern {text!r}, character {start + 1}: '[' without ']'")
    inside = body[start + 1 : end]
    digits: set[str] = set()
    place = 0
    while place < len(inside):
        low = inside[place]
        high = inside[place + 2] if inside[place + 1 : place + 2] == "-" and place + 2 < len(inside) else low
        if low not in _DIGITS or high not in _DIGITS or low > high:
            raise DialPlanError(
                f"pattern {text!r}, character {start + place + 2}: [...] holds digits and rising ranges such as 2-5"
            )
        digits.update(str(value) for value in range(int(low), int(high) + 1))
        place += 1 if high is low else 3
    if not digits:
        raise DialPlanError(f"pattern {text!r}, character {start + 1}: [] holds no digit")
    return frozenset(digits), end + 1


def _national_prefixes(patterns: Sequence[str]) -> list[str]:
    prefixes = [text.removesuffix(NATIONAL) for text in dict.fromkeys(patterns) if text.endswith(NATIONAL)]
    for prefix in prefixes:
        if not prefix or not _DIGITS.issuperset(prefix):
            raise DialPlanError(f"pattern {prefix + NATIONAL!r}: {NATIONAL} must follow digits, such as 0047")
    return prefixes


def _behind(prefix: str, pattern: _Pattern) -> _Pattern:
    elements = (*(_Element(frozenset(digit)) for digit in prefix), *pattern.elements)
    return _Pattern(f"{prefix}{NATIONAL} ({pattern.text})", elements, pattern.timer_ms, pattern.emergency)


def _is_abroad(pattern: _Pattern, international_prefix: str) -> bool:
    return all(digit in element.digits for digit, element in zip(international_prefix, pattern.elements, strict=False))


# --- building the trie -----------------------------------------------------------------------------------------------


class _Compiler:
    """Follows all patterns at once, digit by digit; places where the same patterns are left share one node."""

    def __init__(self, patterns: Sequence[_Pattern]) -> None:
        self._patterns = patterns
        self._nodes: dict[frozenset[_Position], _Node] = {}

    def compile(self) -> tuple[_Node, int]:
        start = frozenset((index, 0) for index in range(len(self._patterns)))
        root = self._nodes[start] = _Node()
        unfinished = [(start, root, "")]
        while unfinished:
            alive, node, dialled = unfinished.pop()
            node.pattern = self._complete(alive, dialled)
            for digit in sorted(_DIGITS):
                following = self._after(alive, digit)
                if not following or len(dialled) >= MAX_DIGITS:
                    continue
                known = self._nodes.get(following)
                if known is None:
                    if len(self._nodes) >= MAX_STATES:
                        raise DialPlanError(f"the digit map is too large: more than {MAX_STATES} places in its trie")
                    known = self._nodes[following] = _Node()
                    unfinished.append((following, known, dialled + digit))
                node.next[digit] = known
        return root, len(self._nodes)

    def _after(self, alive: frozenset[_Position], digit: str) -> frozenset[_Position]:
        following: set[_Position] = set()
        for index, matched in alive:
            elements = self._patterns[index].elements
            if matched < len(elements) and digit in elements[matched].digits:
                following.add((index, matched + 1))
            if matched and elements[matched - 1].repeats and digit in elements[matched - 1].digits:
                following.add((index, matched))
        return frozenset(following)

    def _complete(self, alive: frozenset[_Position], dialled: str) -> _Pattern | None:
        """The pattern whose number ends here; refuses what would be somebody else's number."""
        ended = [self._patterns[index] for index, matched in sorted(alive) if self._is_whole(index, matched)]
        if not ended:
            return None
        first = ended[0]
        for other in ended[1:]:
            if not first.emergency or other.emergency:
                raise DialPlanError(f"{dialled} fits both {first.text!r} and {other.text!r}: one pattern must go")
        if first.timer_ms is None:
            for index, matched in sorted(alive):
                other = self._patterns[index]
                if other is not first and not self._is_whole(index, matched):
                    raise DialPlanError(
                        f"{dialled} is a whole number by {first.text!r} and the beginning of one by {other.text!r}: "
                        "it would dial at once, and nobody could dial the longer one"
                    )
        return first

    def _is_whole(self, index: int, matched: int) -> bool:
        return matched == len(self._patterns[index].elements)
