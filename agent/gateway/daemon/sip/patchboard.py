"""Who hears whom: which calls and lines are to be connected, whether or not their speech can flow at this moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Final

Place = str | int
"""A call, by its id, or a line, by its number."""
Cord = frozenset[Place]
"""Two places that hear each other."""

MAX_PLACES: Final = 4
"""Two calls and a line make a conference; nobody asks for more."""


class Patchboard:
    """The cords between calls and lines. A place that is not named in any cord hears nothing."""

    def __init__(self) -> None:
        self._cords: set[Cord] = set()

    def connect(self, call_ids: Sequence[str], line: int | None) -> tuple[list[Cord], list[Cord]]:
        """Let these hear each other and nobody else; the cords to be pulled, and those to be put in.

        Raises ValueError where that are more than `MAX_PLACES`, or a call twice.
        """
        places: list[Place] = [*call_ids, *(() if line is None else (line,))]
        if len(places) > MAX_PLACES or len(set(call_ids)) < len(call_ids):
            raise ValueError(f"{len(call_ids)} calls can't be connected")
        wanted = {frozenset(pair) for pair in combinations(places, 2)}
        old = self._at(places)
        self._cords = (self._cords - old) | wanted
        return _ordered(old - wanted), _ordered(wanted - old)

    def drop(self, call_id: str) -> list[Cord]:
        """Disconnect a call from everything; the cords to be pulled."""
        return self.connect((call_id,), None)[0]

    def cords_of(self, call_id: str) -> list[Cord]:
        """The cords of one call."""
        return _ordered(self._at([call_id]))

    def __iter__(self) -> Iterator[Cord]:
        return iter(_ordered(self._cords))

    def _at(self, places: Sequence[Place]) -> set[Cord]:
        return {cord for cord in self._cords if cord.intersection(places)}


def _ordered(cords: Iterable[Cord]) -> list[Cord]:
    return sorted(cords, key=lambda cord: sorted(map(str, cord)))
