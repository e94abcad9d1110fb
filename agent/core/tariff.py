"""What a row of a price list says, and which tariffs contradict themselves.

A tariff is a connect fee, a minimum and a maximum charge, and group intervals: from second `from_s` on, `rate` per
`unit_s` seconds, counted in whole increments of `increment_s` seconds that start where the interval starts. So the
second block is measured from the end of the first, never from zero, and a 30/6 tariff charges 32 s as 36 s. Within one
tariff no increment overruns the next interval's beginning: `validate` refuses such a tariff.
A price for each call, however long, is a connect fee with a rate of zero.

A row may be in force only between two civil days, only inside a window, and only for numbers of some lengths. Of the
rows of one prefix the first that fits applies; `agent.core.schedule` finds it, `agent.core.charge` prices with it.
"""

from __future__ import annotations

import enum
from datetime import date
from typing import Final

from msgspec import Struct

from agent.core.civil import ALWAYS, Days, Window
from agent.core.money import Rounding, round_ratio
from agent.core.numbers import MAX_E164_DIGITS

MAX_RATE_MICRO: Final = 10**9
"""A thousand currency units: nothing in a rate may be dearer, so that a call of weeks fits a record's amount."""

MAX_SECONDS: Final = 86_400
MAX_INTERVALS: Final = 8


class Vat(enum.StrEnum):
    """What a price list says of value added tax in its prices."""

    INCLUDED = "included"
    EXCLUDED = "excluded"
    NOT_STATED = "not_stated"
    ADDED = "added"
    """Prices exclude it, and what a call costs has it added."""


class AtMaximum(enum.StrEnum):
    """What happens when a call reaches its maximum charge."""

    FREE = "free"
    """It goes on and costs no more."""
    DISCONNECT = "disconnect"
    """It is ended before it would cost more; a call that went on all the same is charged in full."""


class TariffError(ValueError):
    """A tariff contradicts itself; the message names the field and says what to do."""


class Interval(Struct, frozen=True):
    """From second `from_s` of the call: `rate_micro` per `unit_s` seconds, in increments of `increment_s` seconds."""

    from_s: int
    rate_micro: int
    unit_s: int
    increment_s: int


class Tariff(Struct, frozen=True):
    """The price shared by all prefixes that cost the same. A blocked tariff prices nothing: the call is refused.

    `minimum_micro` is the least that an answered call costs, connect fee included; `maximum_micro` the most.
    """

    connect_fee_micro: int
    intervals: tuple[Interval, ...]
    minimum_micro: int = 0
    blocked: bool = False
    maximum_micro: int | None = None
    at_maximum: AtMaximum = AtMaximum.FREE

    @property
    def is_free(self) -> bool:
        """Whether every call of any length costs nothing."""
        costs = self.connect_fee_micro or self.minimum_micro or any(part.rate_micro for part in self.intervals)
        return not self.blocked and not costs


class Lengths(Struct, frozen=True):
    """How many digits a number may have, country code included. `exact`: the prefix is the whole number."""

    low: int = 1
    high: int = MAX_E164_DIGITS
    exact: bool = False

    def fit(self, digits: str, prefix: str) -> bool:
        """Whether a number that begins with `prefix` has one of these lengths."""
        return digits == prefix if self.exact else self.low <= len(digits) <= self.high

    def contain(self, other: Lengths, prefix: str) -> bool:
        """Whether every number of `other` lengths that begins with `prefix` has one of these."""
        if self.exact or other.exact:
            return other.exact and self.fit(prefix, prefix)
        return self.low <= other.low and other.high <= self.high


ANY_LENGTH: Final = Lengths()


class Rate(Struct, frozen=True, gc=False):
    """One row of a price list. `row` is its line number in the file; `prefix` its digits, from the country code on.

    In force on civil days from `valid_from` to `valid_until` (both included, None: open), inside the window `when`.
    """

    prefix: str
    destination: str
    tariff: Tariff
    row: int
    when: Window = ALWAYS
    valid_from: date | None = None
    valid_until: date | None = None
    lengths: Lengths = ANY_LENGTH

    @property
    def is_timeless(self) -> bool:
        """Whether it is in force whatever the time."""
        when = self.when
        return self.valid_from is None and self.valid_until is None and (when is ALWAYS or when.is_always)

    def is_valid_on(self, day: date) -> bool:
        """Whether the row is in force at some hour of days like this one."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )


class PriceRules(Struct, frozen=True):
    """What a price list says once for all its rows. `seconds` turns milliseconds into seconds, `rounding` the sum.

    `vat_bp` is the rate of value added tax in hundredths of a percent, for `Vat.ADDED`.
    """

    price_list: str
    version: str
    currency: str
    vat: Vat
    rounding: Rounding
    decimals: int
    seconds: Rounding = Rounding.UP
    vat_bp: int = 0
    holidays: tuple[Days, ...] = ()


def validate(tariff: Tariff) -> None:
    """Raise TariffError unless every second of a call has exactly one price and no number is out of bounds."""
    if tariff.blocked:
        if tariff.intervals or tariff.connect_fee_micro or tariff.minimum_micro or tariff.maximum_micro is not None:
            raise TariffError("a blocked destination has no price: leave the price columns empty")
        return
    _bounded("connect_fee", tariff.connect_fee_micro, 0, MAX_RATE_MICRO)
    _bounded("minimum", tariff.minimum_micro, 0, MAX_RATE_MICRO)
    if not 1 <= len(tariff.intervals) <= MAX_INTERVALS:
        raise TariffError(f"next: a tariff has 1 to {MAX_INTERVALS} intervals, not {len(tariff.intervals)}")
    if tariff.intervals[0].from_s != 0:
        raise TariffError("rate: the first interval begins at second 0")
    before: Interval | None = None
    for interval in tariff.intervals:
        _bounded("rate", interval.rate_micro, 0, MAX_RATE_MICRO)
        _bounded("unit_s", interval.unit_s, 1, MAX_SECONDS)
        if MAX_SECONDS % interval.unit_s:
            # So every sum of every call is a fraction of one small denominator, however many rows it crosses.
            raise TariffError(f"unit_s: a day is no whole number of {interval.unit_s} s: write 1, 6, 30, 60, 3600 …")
        _bounded("increment_s", interval.increment_s, 1, MAX_SECONDS)
        _bounded("from_s", interval.from_s, 0, MAX_SECONDS)
        if before is not None:
            length = interval.from_s - before.from_s
            if length <= 0:
                raise TariffError("next: intervals are listed by rising beginning, each once")
            if length % before.increment_s:
                raise TariffError(
                    f"next: second {interval.from_s} is no end of an increment: the interval before it counts in "
                    f"{before.increment_s} s from second {before.from_s}"
                )
        before = interval
    _check_maximum(tariff)


def _check_maximum(tariff: Tariff) -> None:
    if tariff.maximum_micro is None:
        return
    _bounded("maximum", tariff.maximum_micro, 1, MAX_RATE_MICRO)
    first = tariff.intervals[0]
    begun = tariff.connect_fee_micro * first.unit_s + first.rate_micro * first.increment_s
    if tariff.maximum_micro < tariff.minimum_micro:
        raise TariffError("maximum: it is below the minimum charge")
    if tariff.at_maximum is AtMaximum.DISCONNECT and begun > tariff.maximum_micro * first.unit_s:
        raise TariffError("maximum: connect fee and first increment cost more, so no call could begin")


def whole_seconds(duration_ms: int, rule: Rounding) -> int:
    """Return the seconds that `duration_ms` counts as; a duration below zero counts as none."""
    return round_ratio(max(duration_ms, 0), 1000, rule)


def _bounded(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise TariffError(f"{field}: {value} is not between {low} and {high}")
