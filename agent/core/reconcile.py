"""Whether the operator's count of a month agrees with what it has acknowledged: pure comparison, nothing is corrected.

What the operator has acknowledged before it was asked, it must have counted. What it has counted, this adapter must
have made: a record under way may be counted already and not be acknowledged yet. So the operator's count of this
adapter lies between the two, and what lies outside is a difference that no other device and no delay explains.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct


class Count(Struct, frozen=True):
    """Answered outgoing calls, their whole seconds, and millionths of the currency."""

    calls: int = 0
    seconds: int = 0
    amount_micro: int = 0

    def plus(self, other: Count, sign: int = 1) -> Count:
        """The sum; with `sign` -1 the difference."""
        return Count(
            self.calls + sign * other.calls,
            self.seconds + sign * other.seconds,
            self.amount_micro + sign * other.amount_micro,
        )


NOTHING = Count()


class MonthCount(Struct, frozen=True):
    """A month of one adapter: by own number, and the seconds of each minute pack."""

    numbers: Mapping[str, Count] = msgspec.field(default_factory=dict)
    packs: Mapping[str, int] = msgspec.field(default_factory=dict)

    def total(self) -> Count:
        """Over all numbers."""
        found = NOTHING
        for count in self.numbers.values():
            found = found.plus(count)
        return found

    def plus(self, other: MonthCount, sign: int = 1) -> MonthCount:
        """The sum, name by name; with `sign` -1 the difference."""
        return MonthCount(
            {
                name: self.numbers.get(name, NOTHING).plus(other.numbers.get(name, NOTHING), sign)
                for name in {*self.numbers, *other.numbers}
            },
            {name: self.packs.get(name, 0) + sign * other.packs.get(name, 0) for name in {*self.packs, *other.packs}},
        )


class Told(Struct, frozen=True):
    """What the operator says of the same month. `numbers` None: it does not tell numbers apart.

    `alone` false: it does not tell devices apart either, so that more than ours says nothing.
    """

    total: Count
    packs: Mapping[str, int]
    numbers: Mapping[str, Count] | None = None
    alone: bool = True


class Difference(Struct, frozen=True):
    """What the operator has counted too much or too little: of an own number, of all (`number` empty), or of a pack."""

    number: str
    pack: str
    here: Count
    told: Count

    @property
    def amount_micro(self) -> int:
        """How much money it is about, without its sign."""
        return abs(self.told.amount_micro - self.here.amount_micro)


def differences(acknowledged: MonthCount, made: MonthCount, told: Told) -> tuple[Difference, ...]:
    """What is outside: `acknowledged` before the operator was asked, `made` by the time of its answer."""
    found = []
    if told.numbers is None:
        wrong = _outside(acknowledged.total(), made.total(), told.total, alone=told.alone)
        found += [Difference("", "", wrong, told.total)] if wrong is not None else []
    else:
        for name in sorted({*acknowledged.numbers, *made.numbers, *told.numbers}):
            one = told.numbers.get(name, NOTHING)
            wrong = _outside(
                acknowledged.numbers.get(name, NOTHING), made.numbers.get(name, NOTHING), one, alone=told.alone
            )
            found += [Difference(name, "", wrong, one)] if wrong is not None else []
    for pack in sorted({*acknowledged.packs, *made.packs, *told.packs}):
        low, high, one = (Count(seconds=counts.get(pack, 0)) for counts in (acknowledged.packs, made.packs, told.packs))
        wrong = _outside(low, high, one, alone=told.alone)
        found += [Difference("", pack, wrong, one)] if wrong is not None else []
    return tuple(found)


def _outside(one: Count, other: Count, told: Count, *, alone: bool) -> Count | None:
    """Which of our two counts the operator's is beyond; None: it lies between. A correction may also make less."""
    for name in ("calls", "seconds", "amount_micro"):
        bounds = getattr(one, name), getattr(other, name)
        value = getattr(told, name)
        if value < min(bounds):
            return one if bounds[0] <= bounds[1] else other
        if alone and value > max(bounds):
            return other if bounds[0] <= bounds[1] else one
    return None
