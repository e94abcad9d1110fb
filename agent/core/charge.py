"""What a call costs: closed form, exact until one rounding. Live price, record and re-rated price are `price`.

A call is split where another row comes into force. An increment that began before the split belongs to the side on
which it began, so it eats into the next span (the customer never pays both sides for one moment). Group intervals
count from the answer on every side. Connect fee, minimum and maximum are those of the row under which the call began.
An unanswered call costs nothing, without connect fee. Time and memory grow with the number of spans and intervals,
never with the duration.

Sums are integers, in grains: a micro-unit divided by the seconds of a day, which every `unit_s` divides. What is made
for each call cannot be part of a cycle, so the collector of garbage need not look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from fractions import Fraction
from typing import Final, assert_never

from msgspec import Struct

from agent.core.cdr import Step
from agent.core.civil import DAY_S
from agent.core.explanation import explain_free, explain_parts, explain_sum, explain_unanswered
from agent.core.money import Rounding, round_amount, round_ratio
from agent.core.packs import Meter, Pack, PackBalance, PackUse
from agent.core.schedule import Span, spans
from agent.core.tariff import AtMaximum, PriceRules, Rate, TariffError, Vat, whole_seconds

HORIZON_MS: Final = 72 * 3_600_000
"""How far ahead `max_duration` looks: no call is let to last longer without being asked again."""

_WHOLE_BP: Final = 10_000
_GRAINS: Final = DAY_S
"""Grains in a micro-unit."""
_TAXED_GRAINS: Final = _GRAINS * _WHOLE_BP


class NoPriceFrom(TariffError):  # noqa: N818 - reads as what it says: no price from a second on
    """From `second` of the call on there is no price: the row then in force is blocked, or there is none."""

    def __init__(self, second: int, why: str) -> None:
        super().__init__(why)
        self.second = second


class Terms(Struct, frozen=True, gc=False):
    """All that prices a call but its duration.

    `rates`: the rows that may apply to the number, in order of preference. `start` is the answer, aware; it and `zone`
    may be missing where nothing depends on time. `packs`: those that hold for the number, in the order of their use.
    """

    rates: tuple[Rate, ...]
    rules: PriceRules
    start: datetime | None = None
    zone: tzinfo | None = None
    packs: tuple[PackBalance, ...] = ()


class Part(Struct, frozen=True, gc=False):
    """Increments of one price, from second `from_s` of the call. `pack` has them if they come from a minute pack."""

    span: Span
    rate: Rate
    from_s: int
    increments: int
    increment_s: int
    rate_micro: int
    unit_s: int
    grains_per_s: int
    charged_s: int
    """Seconds that all its increments last."""
    pack: Pack | None = None

    @property
    def cost(self) -> Fraction:
        """Micro-units of all its increments, unrounded."""
        return Fraction(self.charged_s * self.grains_per_s, DAY_S)


class Charge(Struct, frozen=True, gc=False):
    """What one call costs. `billed_s` is the sum of the charged increments in seconds.

    Of these `pack_s` came from minute packs and `paid_s` cost money; the rest was free. `rate` is the row under which
    the call began. `taxed_grains`: the sum as it is before rounding, in ten-thousandths of a grain.
    """

    amount_micro: int
    taxed_grains: int
    seconds: int
    billed_s: int
    steps: tuple[Step, ...]
    rate: Rate
    pack_s: int = 0
    paid_s: int = 0
    pack_uses: tuple[PackUse, ...] = ()

    @property
    def exact_micro(self) -> Fraction:
        """Micro-units, unrounded."""
        return Fraction(self.taxed_grains, _TAXED_GRAINS)


def price(
    rates: Rate | Sequence[Rate],
    duration_ms: int,
    rules: PriceRules,
    *,
    start: datetime | None = None,
    zone: tzinfo | None = None,
    packs: Sequence[PackBalance] = (),
    explain: bool = True,
) -> Charge:
    """Price `duration_ms` of answered time by `rates`, or by the terms they and the keywords make (see `Terms`).

    Raises NoPriceFrom where the destination is blocked or no row is in force, TariffError where time is missing.
    """
    rows = (rates,) if isinstance(rates, Rate) else tuple(rates)
    return price_by(Terms(rows, rules, start, zone, tuple(packs)), duration_ms, explain=explain)


def price_by(terms: Terms, duration_ms: int, *, explain: bool = True) -> Charge:
    """Price `duration_ms` of answered time. Raises as `price` does; `explain=False` leaves the steps out."""
    rules = terms.rules
    if duration_ms <= 0:
        rate = _first_part(terms).rate
        return Charge(0, 0, 0, 0, explain_unanswered(rate, rules) if explain else (), rate)
    seconds = round_ratio(duration_ms, 1000, rules.seconds)
    parts = list(_parts(terms, seconds))
    # Where the list rounds seconds down, an answered call may have none: it has begun all the same.
    first = parts[0] if parts else _first_part(terms)
    usage = billed_s = pack_s = paid_s = 0
    uses: dict[tuple[str, str], int] = {}
    for part in parts:
        charged_s = part.charged_s
        billed_s += charged_s
        if part.pack is not None:
            pack_s += charged_s
            key = (part.pack.id, part.span.month)
            uses[key] = uses.get(key, 0) + charged_s
        elif part.rate_micro:
            paid_s += charged_s
            usage += charged_s * part.grains_per_s
    net = _net(first, usage)
    taxed = _taxed(net, rules)
    amount = round_amount(taxed, _TAXED_GRAINS, rules.rounding, rules.decimals)
    steps: tuple[Step, ...] = ()
    if explain:
        spent, before_tax, exact = Fraction(usage, _GRAINS), Fraction(net, _GRAINS), Fraction(taxed, _TAXED_GRAINS)
        fee, tariff = _bounds(first)[0], first.rate.tariff
        steps = (
            *explain_parts(parts, first.rate, duration_ms, seconds, rules),
            *(explain_sum(spent, fee, before_tax, exact, amount, tariff, rules) if exact else explain_free()),
        )
    pack_uses = tuple(PackUse(pack, month, taken) for (pack, month), taken in uses.items()) if uses else ()
    return Charge(amount, taxed, seconds, billed_s, steps, first.rate, pack_s, paid_s, pack_uses)


def max_duration(terms: Terms, budget_micro: int | None, *, horizon_ms: int = HORIZON_MS) -> int:
    """Return the longest answered time in milliseconds, `horizon_ms` at most, whose price stays within `budget_micro`.

    The inverse of `price_by`: one millisecond more would cost more, pass a maximum at which the list disconnects, or
    have no price. 0: connect fee and first increment do not fit, or there is no price, so the call is refused. None as
    a budget limits nothing.
    """
    rules = terms.rules
    try:
        first = _first_part(terms)
    except NoPriceFrom:
        return 0
    tariff = first.rate.tariff

    def fits(usage: int) -> bool:
        net = _net(first, usage)
        over = (
            tariff.maximum_micro is not None
            and tariff.at_maximum is AtMaximum.DISCONNECT
            and net > tariff.maximum_micro * _GRAINS
        )
        return not over and (budget_micro is None or _settled(net, rules) <= budget_micro)

    usage = covered_s = 0
    try:
        for part in _parts(terms, whole_seconds(horizon_ms, rules.seconds)):
            affordable = _most(part, usage, fits)
            covered_s = part.from_s + affordable * part.increment_s
            if affordable < part.increments:
                return _milliseconds(covered_s, rules.seconds, horizon_ms)
            usage += part.charged_s * part.grains_per_s
    except NoPriceFrom:
        return _milliseconds(covered_s, rules.seconds, horizon_ms)
    return horizon_ms if covered_s else 0


def _most(part: Part, usage: int, fits: Callable[[int], bool]) -> int:
    """How many increments of a part fit when `usage` has been spent before it."""
    low, high = 0, part.increments
    increment = part.increment_s * part.grains_per_s
    while low < high:
        middle = (low + high + 1) // 2
        if fits(usage + middle * increment):
            low = middle
        else:
            high = middle - 1
    return low


def _milliseconds(seconds: int, rule: Rounding, horizon_ms: int) -> int:
    """The longest time that counts as `seconds`; none where not even the first second is paid."""
    if seconds == 0:
        return 0
    match rule:
        case Rounding.UP:
            beyond = 0
        case Rounding.DOWN:
            beyond = 999
        case Rounding.HALF_UP:
            beyond = 499
        case Rounding.HALF_EVEN:
            beyond = 499 if seconds % 2 else 500
        case _:
            assert_never(rule)
    return min(seconds * 1000 + beyond, horizon_ms)


def _first_part(terms: Terms) -> Part:
    """The part with which a call begins, however short; there may be no other where a list rounds seconds down."""
    return next(iter(_parts(terms, 1)))


def _bounds(first: Part) -> tuple[int, int]:
    """Connect fee and minimum, in micro-units, of a call that begins with `first`."""
    if first.pack is not None:
        return first.pack.connect_fee_micro, 0
    tariff = first.rate.tariff
    return tariff.connect_fee_micro, tariff.minimum_micro


def _net(first: Part, usage: int) -> int:
    """Grains before tax: what was used, the connect fee, minimum and a maximum that frees applied."""
    fee_micro, minimum_micro = _bounds(first)
    net = usage + fee_micro * _GRAINS
    if minimum_micro:
        net = max(net, minimum_micro * _GRAINS)
    tariff = first.rate.tariff
    if tariff.maximum_micro is not None and tariff.at_maximum is AtMaximum.FREE:
        net = min(net, tariff.maximum_micro * _GRAINS)
    return net


def _parts(terms: Terms, seconds: int) -> Iterable[Part]:
    """Return what is charged for `seconds`, in order of time; the last increment may reach beyond. Raises NoPriceFrom.

    What comes for fewer seconds is always a beginning of what comes for more.
    """
    rates = terms.rates
    if rates and not terms.packs and rates[0].is_timeless:
        span = Span(rates[0], 0, None)
        return _interval_parts(span, _priced(span, 0), 0, seconds)
    return _timed_parts(terms, seconds)


def _timed_parts(terms: Terms, seconds: int) -> Iterator[Part]:
    """Yield the parts of a call that time or minute packs divide."""
    meter = Meter(terms.packs) if terms.packs else None
    at = 0
    rules = terms.rules
    for span in spans(terms.rates, rules.holidays, terms.start, terms.zone, seconds, by_month=meter is not None):
        end = seconds if span.end_s is None else min(span.end_s, seconds)
        if at >= end:
            continue
        rate = _priced(span, at)
        if meter is not None and not rate.tariff.is_free:
            for part in _pack_parts(meter, span, at, end):
                yield part
                at += part.charged_s
        for part in _interval_parts(span, rate, at, end):
            yield part
            at += part.charged_s


def _pack_parts(meter: Meter, span: Span, at: int, end: int) -> Iterator[Part]:
    """Yield what the packs have for the seconds from `at` to `end`."""
    while at < end:
        offer = meter.usable(span.month)
        if offer is None or span.rate is None:
            return
        pack, left = offer
        step_s = pack.increment_s
        increments = min(-(-(end - at) // step_s), left)
        part = Part(span, span.rate, at, increments, step_s, 0, 1, 0, increments * step_s, pack)
        meter.take(pack, span.month, part.charged_s)
        yield part
        at += part.charged_s


def _priced(span: Span, second: int) -> Rate:
    if span.rate is None:
        raise NoPriceFrom(second, f"from second {second} of the call on no row of the price list is in force")
    if span.rate.tariff.blocked:
        raise NoPriceFrom(second, f"{span.rate.destination}: this destination is blocked and has no price")
    return span.rate


def _interval_parts(span: Span, rate: Rate, at: int, end: int) -> list[Part]:
    """Charge from second `at` to `end` by the group intervals of a row."""
    parts = []
    intervals = rate.tariff.intervals
    place, last = 0, len(intervals) - 1
    while at < end:
        while place < last and intervals[place + 1].from_s <= at:
            place += 1
        found = intervals[place]
        stop = end if place == last else min(end, intervals[place + 1].from_s)
        rate_micro, unit_s, step_s = found.rate_micro, found.unit_s, found.increment_s
        grains_per_s, rest = divmod(rate_micro * _GRAINS, unit_s)
        if rest:
            raise TariffError(f"unit_s: a day is no whole number of {unit_s} s")
        increments = -(-(stop - at) // step_s)
        charged_s = increments * step_s
        parts.append(Part(span, rate, at, increments, step_s, rate_micro, unit_s, grains_per_s, charged_s))
        at += charged_s
    return parts


def _taxed(net: int, rules: PriceRules) -> int:
    """A sum of grains with tax where the list adds it, in ten-thousandths of a grain."""
    return net * (_WHOLE_BP + rules.vat_bp) if rules.vat_bp and rules.vat is Vat.ADDED else net * _WHOLE_BP


def _settled(net: int, rules: PriceRules) -> int:
    """The micro-units that are asked for a sum of grains."""
    return round_amount(_taxed(net, rules), _TAXED_GRAINS, rules.rounding, rules.decimals)
