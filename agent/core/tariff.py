"""What a call costs: closed form, exact until one rounding, with a line of explanation for every step.

A tariff is a connect fee, a minimum charge and group intervals: from second `from_s` on, `rate` per `unit_s` seconds,
counted in whole increments of `increment_s` seconds that start where the interval starts. So the second block is
measured from the end of the first, never from zero, and a 30/6 tariff charges 32 s as 36 s.
An unanswered call costs nothing, without connect fee. An increment that overruns the next interval's beginning cannot
occur: `validate` refuses such a tariff.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from agent.core.cdr import Step
from agent.core.money import Rounding, exact_text, round_amount, round_ratio

MAX_RATE_MICRO: Final = 10**9
"""A thousand currency units: nothing in a rate may be dearer, so that a call of weeks fits a record's amount."""

MAX_SECONDS: Final = 86_400
MAX_INTERVALS: Final = 8


class Vat(enum.StrEnum):
    """What a price list says of value added tax in its prices."""

    INCLUDED = "included"
    EXCLUDED = "excluded"
    NOT_STATED = "not_stated"


class TariffError(ValueError):
    """A tariff contradicts itself; the message names the field and says what to do."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From second `from_s` of the call: `rate_micro` per `unit_s` seconds, in increments of `increment_s` seconds."""

    from_s: int
    rate_micro: int
    unit_s: int
    increment_s: int


@dataclass(frozen=True, slots=True)
class Tariff:
    """The price shared by all prefixes that cost the same. A blocked tariff prices nothing: the call is refused.

    `minimum_micro` is the least that an answered call costs, connect fee included.
    """

    connect_fee_micro: int
    intervals: tuple[Interval, ...]
    minimum_micro: int = 0
    blocked: bool = False

    @property
    def is_free(self) -> bool:
        """Whether every call of any length costs nothing."""
        costs = self.connect_fee_micro or self.minimum_micro or any(part.rate_micro for part in self.intervals)
        return not self.blocked and not costs


@dataclass(frozen=True, slots=True)
class Rate:
    """One row of a price list. `row` is its line number in the file; `prefix` its digits, from the country code on."""

    prefix: str
    destination: str
    tariff: Tariff
    row: int


@dataclass(frozen=True, slots=True)
class PriceRules:
    """What a price list says once for all its rows. `seconds` turns milliseconds into seconds, `rounding` the sum."""

    price_list: str
    version: str
    currency: str
    vat: Vat
    rounding: Rounding
    decimals: int
    seconds: Rounding = Rounding.UP


@dataclass(frozen=True, slots=True)
class Charge:
    """What one call costs. `exact_micro` is unrounded; `billed_s` is the sum of the charged increments in seconds."""

    amount_micro: int
    exact_micro: Fraction
    seconds: int
    billed_s: int
    steps: tuple[Step, ...]


def validate(tariff: Tariff) -> None:
    """Raise TariffError unless every second of a call has exactly one price and no number is out of bounds."""
    if tariff.blocked:
        if tariff.intervals or tariff.connect_fee_micro or tariff.minimum_micro:
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


def whole_seconds(duration_ms: int, rule: Rounding) -> int:
    """Return the seconds that `duration_ms` counts as; a duration below zero counts as none."""
    return round_ratio(max(duration_ms, 0), 1000, rule)


def price(rate: Rate, duration_ms: int, rules: PriceRules) -> Charge:
    """Price `duration_ms` of answered time. Raises TariffError where the destination is blocked.

    Time and memory grow with the number of intervals, never with the duration.
    """
    tariff = rate.tariff
    if tariff.blocked:
        raise TariffError(f"{rate.destination}: this destination is blocked and has no price")
    steps = [
        _step(
            "row", prefix=rate.prefix, destination=rate.destination, row=rate.row, list=rules.price_list,
            version=rules.version,
        )
    ]  # fmt: skip
    if duration_ms <= 0:
        steps.append(_step("unanswered"))
        return Charge(amount_micro=0, exact_micro=Fraction(0), seconds=0, billed_s=0, steps=tuple(steps))
    seconds = whole_seconds(duration_ms, rules.seconds)
    steps.append(_step(f"seconds_{rules.seconds}", duration_ms=duration_ms, seconds=seconds))
    exact, billed_s, interval_steps = _usage(tariff.intervals, seconds)
    steps.extend(interval_steps)
    if tariff.connect_fee_micro:
        exact += tariff.connect_fee_micro
        steps.append(_step("connect_fee", fee_micro=tariff.connect_fee_micro))
    if exact < tariff.minimum_micro:
        steps.append(_step("minimum", minimum_micro=tariff.minimum_micro, amount_exact=exact_text(exact)))
        exact = Fraction(tariff.minimum_micro)
    amount = round_amount(exact, rules.rounding, rules.decimals)
    if exact:
        shown = exact_text(exact)
        steps.append(
            _step(f"rounding_{rules.rounding}", amount_exact=shown, decimals=rules.decimals, total_micro=amount)
        )
        steps.append(_step(f"vat_{rules.vat}"))
    else:
        steps.append(_step("free"))
    return Charge(amount_micro=amount, exact_micro=exact, seconds=seconds, billed_s=billed_s, steps=tuple(steps))


def _usage(intervals: tuple[Interval, ...], seconds: int) -> tuple[Fraction, int, list[Step]]:
    exact = Fraction(0)
    billed_s = 0
    steps: list[Step] = []
    for index, interval in enumerate(intervals):
        if seconds <= interval.from_s:
            break
        end = intervals[index + 1].from_s if index + 1 < len(intervals) else seconds
        used = min(seconds, end) - interval.from_s
        increments = -(-used // interval.increment_s)
        charged_s = increments * interval.increment_s
        cost = Fraction(charged_s * interval.rate_micro, interval.unit_s)
        exact = exact + cost if exact else cost
        billed_s += charged_s
        shown = {"from_s": interval.from_s, "increments": increments, "increment_s": interval.increment_s}
        if interval.rate_micro:
            steps.append(
                _step(
                    "interval", **shown, charged_s=charged_s, rate_micro=interval.rate_micro, unit_s=interval.unit_s,
                    amount_exact=exact_text(cost),
                )
            )  # fmt: skip
        else:
            steps.append(_step("interval_free", **shown, charged_s=charged_s))
    return exact, billed_s, steps


def _step(name: str, **values: str | int) -> Step:
    return Step(key=f"price.{name}", values={field: str(value) for field, value in values.items()})


def _bounded(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise TariffError(f"{field}: {value} is not between {low} and {high}")
