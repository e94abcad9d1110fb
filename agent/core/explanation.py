"""Why a call costs what it costs: one step for every row, window, pack, interval, fee, bound, tax and rounding.

The steps are what the command line, the record and the page show. Their number is bounded however long a call lasted.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Protocol

from agent.core.cdr import Step
from agent.core.money import exact_text
from agent.core.packs import Pack
from agent.core.schedule import Span
from agent.core.tariff import PriceRules, Rate, Tariff, Vat

MAX_PARTS: Final = 24
"""Parts of a call that are explained one by one; what follows is one step."""


class Charged(Protocol):
    """A part of a call as it was charged (see `agent.core.charge.Part`)."""

    @property
    def span(self) -> Span: ...
    @property
    def rate(self) -> Rate: ...
    @property
    def from_s(self) -> int: ...
    @property
    def increments(self) -> int: ...
    @property
    def increment_s(self) -> int: ...
    @property
    def rate_micro(self) -> int: ...
    @property
    def unit_s(self) -> int: ...
    @property
    def pack(self) -> Pack | None: ...
    @property
    def charged_s(self) -> int: ...
    @property
    def cost(self) -> Fraction: ...


def explain_unanswered(rate: Rate, rules: PriceRules) -> tuple[Step, ...]:
    """The steps of a call that nobody answered."""
    return (_row(rate, rules), _step("unanswered"))


def explain_free() -> tuple[Step, ...]:
    """The last step of a call that costs nothing."""
    return (_step("free"),)


def explain_parts(
    parts: Sequence[Charged], rate: Rate, duration_ms: int, seconds: int, rules: PriceRules
) -> tuple[Step, ...]:
    """The steps from the row to the last increment."""
    steps = [_row(rate, rules)]
    if not rate.when.is_always:
        steps.append(_step("window", when=str(rate.when)))
    steps.append(_step(f"seconds_{rules.seconds}", duration_ms=duration_ms, seconds=seconds))
    before = rate
    for part in parts[:MAX_PARTS]:
        if part.rate is not before:
            steps.append(_change(part))
            before = part.rate
        steps.append(_part(part))
    if len(parts) > MAX_PARTS:
        steps.append(_rest(parts[MAX_PARTS:]))
    return tuple(steps)


def explain_sum(
    usage: Fraction, fee_micro: int, net: Fraction, exact: Fraction, amount_micro: int, tariff: Tariff,
    rules: PriceRules,
) -> tuple[Step, ...]:  # fmt: skip
    """The steps from the connect fee to the rounded amount; all but `amount_micro` are micro-units, unrounded."""
    steps = []
    if fee_micro:
        per_call = fee_micro == tariff.connect_fee_micro and not any(part.rate_micro for part in tariff.intervals)
        steps.append(_step("per_call" if per_call else "connect_fee", fee_micro=fee_micro))
    reached = usage + fee_micro
    if reached < net:
        steps.append(_step("minimum", minimum_micro=int(net), amount_exact=exact_text(reached)))
    elif reached > net:
        steps.append(_step("maximum", maximum_micro=int(net), amount_exact=exact_text(reached)))
    if rules.vat is Vat.ADDED:
        steps.append(
            _step(
                "vat_added",
                percent=percent_text(rules.vat_bp),
                amount_exact=exact_text(net),
                total_exact=exact_text(exact),
            )
        )
    steps.append(
        _step(
            f"rounding_{rules.rounding}", amount_exact=exact_text(exact), decimals=rules.decimals,
            total_micro=amount_micro,
        )
    )  # fmt: skip
    if rules.vat is not Vat.ADDED:
        steps.append(_step(f"vat_{rules.vat}"))
    return tuple(steps)


def percent_text(basis_points: int) -> str:
    """Return hundredths of a percent as a decimal text: 2500 is `25`, 1250 is `12.5`."""
    return f"{basis_points // 100}.{basis_points % 100:02d}".rstrip("0").rstrip(".")


def _row(rate: Rate, rules: PriceRules) -> Step:
    return _step(
        "row", prefix=rate.prefix, destination=rate.destination, row=rate.row, list=rules.price_list,
        version=rules.version,
    )  # fmt: skip


def _change(part: Charged) -> Step:
    shown = part.span.shown
    return _step(
        "row_change", from_s=part.span.begin_s, at=shown.isoformat(" ", "seconds")[:19] if shown else "",
        prefix=part.rate.prefix, destination=part.rate.destination, row=part.rate.row, when=str(part.rate.when),
    )  # fmt: skip


def _part(part: Charged) -> Step:
    counted = {
        "from_s": part.from_s, "increments": part.increments, "increment_s": part.increment_s,
        "charged_s": part.charged_s,
    }  # fmt: skip
    if part.pack is not None:
        return _step("pack", **counted, pack=part.pack.id, month=part.span.month)
    if not part.rate_micro:
        return _step("interval_free", **counted)
    cost = exact_text(part.cost)
    return _step("interval", **counted, rate_micro=part.rate_micro, unit_s=part.unit_s, amount_exact=cost)


def _rest(parts: Sequence[Charged]) -> Step:
    cost = sum((part.cost for part in parts), Fraction(0))
    return _step(
        "more_parts", from_s=parts[0].from_s, parts=len(parts), charged_s=sum(part.charged_s for part in parts),
        amount_exact=exact_text(cost),
    )  # fmt: skip


def _step(name: str, **values: str | int) -> Step:
    return Step(key=f"price.{name}", values={field: str(value) for field, value in values.items()})
