"""Digit maps as other adapters write them, in our own patterns: Sipura's `(...|...)` and Grandstream's `{...|...}`.

Whoever brings a map from an older adapter pastes it as it is. What a rule there says and ours can't say is refused with
the rule's number; what it says and here goes without saying (service codes, a second dial tone) is noted and left out.

    both          digits, x, [3-5], `|` between rules
    Sipura        `.` the element before it none or more times; `<12:34>`, `<:34>`; `,`; `!` bars; `S0`, `S4` at the end
    Grandstream   `+` and `.` the element before it once or more; `<12=34>`; `^` before a rule bars
    MGCP (RFC 3435 §2.1.5)  a `T` at the end: wait for the map's timer

Sources: Cisco SPA/ATA administration guides (dial plans), Grandstream HT8xx administration guide (dial plan rules).
"""

from __future__ import annotations

import enum
import re
from typing import Final, NoReturn

from msgspec import Struct

from agent.core.digit_pattern import MAX_PATTERN, DialPlanError

MAX_MAP: Final = 4096
"""Characters of a whole map; Sipura's own limit is 2047."""
MAX_RULES: Final = 200

_ELEMENT = re.compile(r"[0-9xX]|\[[^\]]*\]", re.ASCII)
_WAIT = re.compile(r"[Ss]([0-9]{1,3})$", re.ASCII)
_CODE = re.compile(r"[*#]")


class Dialect(enum.StrEnum):
    """Who writes maps like that."""

    OWN = "own"
    SIPURA = "sipura"
    GRANDSTREAM = "grandstream"


class Note(enum.StrEnum):
    """Why a part of a foreign map was left out."""

    SERVICE_CODE = "service_code"
    SECOND_DIAL_TONE = "second_dial_tone"


class LeftOut(Struct, frozen=True):
    """A rule (from 1) of which a part was left out, as it was written."""

    rule: int
    text: str
    why: Note


class ReadMap(Struct, frozen=True):
    """A map in our own patterns."""

    dialect: Dialect
    patterns: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


def read_map(text: str, *, timer_s: int = 4) -> ReadMap:
    """Return the map that a user wrote, in any dialect; `timer_s`: what `T` and open ends wait for.

    Raises DialPlanError naming the rule, the character and what to do.
    """
    text = text.strip()
    if len(text) > MAX_MAP:
        raise DialPlanError(f"the map has {len(text)} characters; at most {MAX_MAP} are allowed")
    dialect, inside = _dialect(text)
    rules = [rule.strip() for rule in inside.split("|")]
    if len(rules) > MAX_RULES:
        raise DialPlanError(f"the map has {len(rules)} rules; at most {MAX_RULES} are allowed")
    patterns: list[str] = []
    left_out: list[LeftOut] = []
    for number, rule in enumerate(rules, 1):
        if not rule:
            raise DialPlanError(f"rule {number} is empty: remove one '|'")
        if dialect is Dialect.OWN:
            patterns.append(rule)
            continue
        if _CODE.match(rule):
            left_out.append(LeftOut(number, rule[:MAX_PATTERN], Note.SERVICE_CODE))
            continue
        reader = _Rule(number, rule, dialect, timer_s)
        patterns.extend(reader.read())
        if reader.second_dial_tone:
            left_out.append(LeftOut(number, rule[:MAX_PATTERN], Note.SECOND_DIAL_TONE))
    return ReadMap(dialect, tuple(dict.fromkeys(patterns)), tuple(left_out))


def _dialect(text: str) -> tuple[Dialect, str]:
    for opening, closing, dialect in (("(", ")", Dialect.SIPURA), ("{", "}", Dialect.GRANDSTREAM)):
        if text.startswith(opening):
            if not text.endswith(closing):
                raise DialPlanError(f"the map begins with '{opening}' and does not end with '{closing}'")
            return dialect, text[1:-1]
    return Dialect.OWN, text


class _Rule:
    """One rule of a foreign map, read character by character."""

    def __init__(self, number: int, rule: str, dialect: Dialect, timer_s: int) -> None:
        self._number, self._rule, self._dialect, self._timer_s = number, rule, dialect, timer_s
        self._place = 0
        self._parts: list[str] = []
        """Elements and substitutions in our own writing; a part that repeats ends with a dot."""
        self._none_too = -1
        """Index of the part that may also be missing; below zero: none."""
        self.second_dial_tone = False

    def read(self) -> list[str]:
        """The rule as patterns: two where a part of it may be missing."""
        barred, wait = self._ends()
        while self._place < len(self._rule):
            self._step()
        if not any(not part.startswith("<:") for part in self._parts):
            self._refuse("it matches no digit at all")
        whole = "".join(self._parts)
        if self._none_too < 0:
            return [f"{whole}{wait}{barred}"]
        without = "".join(self._parts[: self._none_too] + self._parts[self._none_too + 1 :])
        patient = wait or f"S{self._timer_s}"
        return [f"{without}{patient}{barred}", f"{whole}{patient}{barred}"]

    def _refuse(self, what: str) -> NoReturn:
        raise DialPlanError(f"rule {self._number} ({self._rule[:60]!r}): {what}")

    def _ends(self) -> tuple[str, str]:
        """Take bar and timer off the rule: how ours writes them."""
        rule, barred = self._rule, ""
        if self._dialect is Dialect.GRANDSTREAM and rule.startswith("^"):
            rule, barred = rule[1:].lstrip(), "!"
        elif self._dialect is Dialect.SIPURA and rule.endswith("!"):
            rule, barred = rule[:-1], "!"
        wait = ""
        timer = _WAIT.search(rule)
        if timer is not None and self._dialect is Dialect.SIPURA:
            rule = rule[: timer.start()]
            seconds = int(timer[1])
            if seconds > 30:
                self._refuse(f"it waits {seconds} seconds; S0 to S30 are allowed")
            wait = f"S{seconds}" if seconds else ""
        elif rule.endswith(("T", "t")):
            rule, wait = rule[:-1], f"S{self._timer_s}"
        self._rule = rule
        return barred, wait

    def _step(self) -> None:
        letter = self._rule[self._place]
        element = _ELEMENT.match(self._rule, self._place)
        if element is not None:
            self._parts.append(element[0].lower())
            self._place = element.end()
        elif letter == "." or (letter == "+" and self._dialect is Dialect.GRANDSTREAM):
            self._repeat()
        elif letter == "<":
            self._substitute()
        elif letter == "," and self._dialect is Dialect.SIPURA:
            self.second_dial_tone = True
            self._place += 1
        elif letter in " \t-":
            self._place += 1
        elif letter in "PpLlSs":
            self._refuse(
                f"found {letter!r}: timers inside a rule and hot lines are not taken from a map; "
                "a warm line is set with its service code"
            )
        else:
            self._refuse(f"found {letter!r}, which is no element of this kind of map; remove it or correct it")

    def _repeat(self) -> None:
        place = self._place + 1
        if not self._parts or self._parts[-1].endswith((".", ">")):
            self._refuse(f"{self._rule[self._place]!r} must follow a digit, x or [...]")
        repeated = self._parts.pop()
        if self._dialect is Dialect.SIPURA:
            if self._parts and self._parts[-1] == repeated:
                # None or more behind the same element: one or more of it.
                self._parts.pop()
            elif self._parts:
                if self._none_too >= 0:
                    self._refuse("two elements that may be missing in one rule; write a rule for each case")
                self._none_too = len(self._parts)
        self._parts.append(f"{repeated}.")
        self._place = place

    def _substitute(self) -> None:
        end = self._rule.find(">", self._place)
        inside = self._rule[self._place + 1 : end] if end > 0 else ""
        between = ":" if self._dialect is Dialect.SIPURA else "="
        dialled, found, called = inside.partition(between)
        if not found or not re.fullmatch(r"[0-9]*", dialled) or not re.fullmatch(r"\+?[0-9]*", called):
            self._refuse(f"'<' begins a substitution such as <12{between}34>: digits on both sides")
        if called.startswith("+"):
            self._refuse("a substitution calls digits as they are dialled: write 00 in place of +")
        self._parts.append(f"<{dialled}:{called}>")
        self._place = end + 1
