"""Which dialled digits are a number, and when nobody needs to wait for more.

`compile_plan` turns a digit map (patterns: `agent.core.digit_pattern`) into a trie (equal tails shared) and refuses a
map in which a number fits two patterns, or in which a number dials at once although another pattern continues it:
whoever dials the longer one would reach somebody else. Emergency numbers stand apart and are matched first; a bar
comes before whatever else its numbers fit.

Codes of supplementary services (`*21*number#`, `#21#`, `*#21#`) are known by their shape: 3GPP TS 22.030 §6.5.2.
Sources: RFC 3435 §2.1.5 (digit maps); the numbering plan of Nkom for the shipped data.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from agent.core.digit_pattern import (
    DIGITS,
    MAX_DIGITS,
    MAX_PATTERN,
    DialPlanError,
    Pattern,
    Position,
    follow,
    read_patterns,
)

__all__ = [
    "MAX_DIGITS",
    "MAX_PATTERN",
    "MAX_SERVICE_CODE",
    "MAX_STATES",
    "DialPlan",
    "DialPlanError",
    "Match",
    "Outcome",
    "Step",
    "compile_plan",
    "explain",
    "match_code_shape",
    "unlock_code",
]  # fmt: skip

MAX_SERVICE_CODE: Final = 40
MAX_STATES: Final = 4_000
"""Bounds what a map costs in memory and time; the Norwegian map has 177."""

_SERVICE_CODE = re.compile(r"(\*|\*\*|#|\*#|##)[0-9]+(\*[0-9+]*)*#", re.ASCII)
_SERVICE_BEGIN = re.compile(r"(\*|\*\*|#|\*#|##)([0-9]+(\*[0-9]*)*)?", re.ASCII)
_UNLOCK = re.compile(r"\*99\*([0-9]{6})#?", re.ASCII)


class Outcome(enum.Enum):
    """What the digits so far mean."""

    COMPLETE = enum.auto()
    NEED_MORE = enum.auto()
    IMPOSSIBLE = enum.auto()
    SERVICE_CODE = enum.auto()


class Match(Struct, frozen=True):
    """The meaning of the digits so far.

    `number`: what is dialled now (COMPLETE), or when `timer_ms` of silence have passed (NEED_MORE with a timer).
    `emergency`: it is an emergency number, which is then `number` as the emergency service knows it. `barred`: the map
    says that nobody may dial it (IMPOSSIBLE).
    """

    outcome: Outcome
    number: str = ""
    timer_ms: int | None = None
    emergency: bool = False
    barred: bool = False


class _Node(Struct):
    """A place in the trie. `pattern`: the one whose number is complete here."""

    next: dict[str, _Node] = msgspec.field(default_factory=dict)
    pattern: Pattern | None = None


class Codes(Protocol):
    """The codes that a telephone knows by name: see `agent.core.services`."""

    def match(self, digits: str, plan: DialPlan) -> Match:
        """What digits that begin with `*` or `#` mean."""
        ...


@dataclass(frozen=True, slots=True)  # not a Struct: the trie is not shown, and the codes are not compared
class DialPlan:
    """A compiled digit map. `first_digit_ms`: patience before the first digit and inside an unfinished number."""

    first_digit_ms: int
    states: int
    _root: _Node = field(repr=False)
    _emergency: frozenset[str] = field(default=frozenset(), repr=False)
    codes: Codes | None = field(default=None, repr=False, compare=False)

    @property
    def emergency(self) -> frozenset[str]:
        """The emergency numbers that it knows."""
        return self._emergency

    def match(self, digits: str) -> Match:
        """What these digits (`0`-`9`, `*`, `#`, `A`-`D`) mean, all of them, from the first."""
        if digits[:1] in ("*", "#"):
            if unlock_code(digits):
                return Match(Outcome.SERVICE_CODE, digits)
            return match_code_shape(digits) if self.codes is None else self.codes.match(digits, self)
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
        reached = pattern.reached(number)
        if pattern.timer_ms is None or ended or len(number) >= MAX_DIGITS:
            if pattern.barred:
                return Match(Outcome.IMPOSSIBLE, barred=True)
            return Match(Outcome.COMPLETE, reached, emergency=reached in self._emergency)
        return Match(Outcome.NEED_MORE, reached, pattern.timer_ms)


def unlock_code(digits: str) -> str:
    """The six digits behind `*99*`, by which a technician is admitted; empty: it is another code, or no whole one."""
    found = _UNLOCK.fullmatch(digits)
    return found[1] if found is not None else ""


def compile_plan(
    patterns: Sequence[str],
    emergency: Sequence[str],
    *,
    timer_ms: int = 4000,
    first_digit_ms: int = 15_000,
    international_prefix: str = "00",
) -> DialPlan:
    """Compile a digit map. Raises DialPlanError where a pattern can't be read or two of them can't live together."""
    parsed = read_patterns(patterns, emergency, timer_ms=timer_ms, international_prefix=international_prefix)
    root, states = _Compiler(parsed).compile()
    return DialPlan(first_digit_ms, states, root, frozenset(emergency))


class Step(Struct, frozen=True):
    """What the digits so far mean, and which patterns (as written) they may still become, the one they fit first."""

    digits: str
    match: Match
    patterns: tuple[str, ...]


def explain(plan: DialPlan, patterns: Sequence[Pattern], digits: str) -> tuple[Step, ...]:
    """Follow digits one by one to where the telephone stops taking them; `patterns` are those of the plan."""
    alive = frozenset((index, 0) for index in range(len(patterns)))
    steps = []
    for end in range(1, len(digits) + 1):
        match = plan.match(digits[:end])
        if digits[end - 1] in DIGITS:
            alive = follow(patterns, alive, digits[end - 1])
        ranked = sorted(alive, key=lambda at: (not patterns[at[0]].is_whole(at[1]), at[0]))
        named = tuple(dict.fromkeys(patterns[index].text for index, _ in ranked))
        steps.append(Step(digits[:end], match, named))
        if match.outcome is not Outcome.NEED_MORE:
            break
    return tuple(steps)


def match_code_shape(digits: str) -> Match:
    """What digits that begin with `*` or `#` mean by the shape of service codes alone."""
    if _SERVICE_CODE.fullmatch(digits):
        return Match(Outcome.SERVICE_CODE, digits)
    if len(digits) < MAX_SERVICE_CODE and _SERVICE_BEGIN.fullmatch(digits):
        return Match(Outcome.NEED_MORE)
    return Match(Outcome.IMPOSSIBLE)


# --- building the trie -----------------------------------------------------------------------------------------------


class _Compiler:
    """Follows all patterns at once, digit by digit; places where the same patterns are left share one node."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = patterns
        self._nodes: dict[frozenset[Position], _Node] = {}

    def compile(self) -> tuple[_Node, int]:
        start = frozenset((index, 0) for index in range(len(self._patterns)))
        root = self._nodes[start] = _Node()
        unfinished = [(start, root, "")]
        while unfinished:
            alive, node, dialled = unfinished.pop()
            node.pattern = self._complete(alive, dialled)
            for digit in sorted(DIGITS):
                following = follow(self._patterns, alive, digit)
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

    def _complete(self, alive: frozenset[Position], dialled: str) -> Pattern | None:
        """The pattern whose number ends here; refuses what would be somebody else's number."""
        ended = [self._patterns[index] for index, matched in sorted(alive) if self._is_whole(index, matched)]
        if not ended:
            return None
        first = min(ended, key=lambda one: (not one.emergency, not one.barred))
        rivals = [one for one in ended if one is not first]
        if first.emergency:
            rivals = [one for one in rivals if one.emergency]
        if rivals and not first.barred:
            raise DialPlanError(f"{dialled} fits both {first.text!r} and {rivals[0].text!r}: one pattern must go")
        unfinished = [self._patterns[index] for index, matched in sorted(alive) if not self._is_whole(index, matched)]
        if first.barred:
            cut_off = next((one for one in unfinished if one.emergency), None)
            if cut_off is not None and first.timer_ms is None:
                raise DialPlanError(f"{first.text!r} bars {dialled}: emergency number {cut_off.text!r} begins so")
        elif first.timer_ms is None and unfinished:
            raise DialPlanError(
                f"{dialled} is a whole number by {first.text!r} and the beginning of one by {unfinished[0].text!r}: "
                "it would dial at once, and nobody could dial the longer one"
            )
        return first

    def _is_whole(self, index: int, matched: int) -> bool:
        return self._patterns[index].is_whole(matched)
