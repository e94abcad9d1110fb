"""Which known advisories apply to the SIP library that runs, by the text of its version."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable

from msgspec import Struct, structs

_VERSION = re.compile(r"[vV]?(\d{1,4}(?:\.\d{1,4}){1,3})(?:[-.+ ]?[A-Za-z][\w.+-]*)?")
Release = tuple[int, ...]


class Reached(enum.StrEnum):
    """Whether a fault is reached in this adapter; `mitigated`: only where something else is the case, too."""

    YES = "yes"
    MITIGATED = "mitigated"
    NO = "no"


class Feature(enum.StrEnum):
    """What a configuration may turn on, and some faults with it."""

    SRTP = "srtp"
    OPUS = "opus"


class InBoth(Struct, frozen=True):
    """A sentence in both languages."""

    nb: str
    en: str


class Advisory(Struct, frozen=True):
    """One known fault. `fixed`: the first release without it; None: none was known.

    `when`: what it is reached by, where it is turned on; None: nothing that can be.
    """

    id: str
    what: InBoth
    why: InBoth
    reached: Reached
    fixed: Release | None = None
    commit: str = ""
    when: Feature | None = None


class Standing(Struct, frozen=True):
    """What is known about a version: its open advisories, those that are reached first. Not `known`: nothing."""

    known: bool
    open: tuple[Advisory, ...] = ()

    def count(self, reached: Reached) -> int:
        """How many open ones are reached like this."""
        return sum(one.reached is reached for one in self.open)


def parse_release(text: str) -> Release | None:
    """`2.15.1`, `2.15.1.post1`, `2.17-dev` as the release that it is made from; None where that cannot be told.

    What follows the number says nothing of fixes: PJSIP calls what comes after 2.17 `2.17-dev`, and packagers' own
    numbers count their packages. So a fix counts as there only from the release that has it.
    """
    match = _VERSION.fullmatch(text.strip()[:64])
    if match is None:
        return None
    numbers = [int(part) for part in match[1].split(".")]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def standing(advisories: Iterable[Advisory], version: str, used: Collection[Feature] = ()) -> Standing:
    """What applies to the version with this text, while these are turned on."""
    release = parse_release(version)
    if release is None:
        return Standing(known=False)
    found = [
        structs.replace(one, reached=Reached.YES) if one.when in used else one
        for one in advisories
        if one.fixed is None or release < one.fixed
    ]
    order = list(Reached)
    return Standing(known=True, open=tuple(sorted(found, key=lambda one: order.index(one.reached))))
