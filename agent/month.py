"""The month's estimate for the page: what the plan and the counted calls come to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from agent.core.catalogue import Name
from agent.core.estimate import CallTotal, Estimate, Item, PackFee, estimate, first_day
from agent.core.migration import Standing
from agent.core.money import parse_amount
from agent.core.tariff import Vat
from agent.plan import Plan
from agent.status import snapshot as page
from agent.store.records import UsageRow


def month_view(plan: Plan, month: str, usage: Sequence[UsageRow], today: date) -> page.MonthView | None:
    """What `month` (`2018-12`) comes to as the invoice would show it, asked on `today`; None where nothing does.

    Calls are named by the tax of the price list in force: a usage row does not say which list priced it.
    """
    term = plan.term_on(first_day(month))
    product = term.product if term is not None and term.standing is Standing.IN_FORCE else None
    packs = _packs(plan, month) if product is not None else []
    numbers = len(term.numbers) if term is not None else 0
    found = estimate(month, product, numbers, _calls(plan, usage), packs, today=today)
    return _view(found) if found.items else None


def _packs(plan: Plan, month: str) -> list[PackFee]:
    """What the operator says that the customer's minute packs cost in a month."""
    held = {pack.id for pack in plan.packs if pack.holds_in(month)}
    return [
        PackFee(
            Name(nb=pack.name.nb, en=pack.name.en), parse_amount(pack.monthly_fee), pack.seconds, pack.currency,
            Vat(pack.vat),
        )
        for pack in (plan.subscription.packs if plan.subscription is not None else ()) if pack.id in held
    ]  # fmt: skip


def _calls(plan: Plan, usage: Sequence[UsageRow]) -> list[CallTotal]:
    rules = plan.table.rules if plan.table is not None else None
    vat = rules.vat if rules is not None else Vat.NOT_STATED
    own = rules.currency if rules is not None else "NOK"
    sums: dict[str, list[int]] = {}
    for row in usage:
        total = sums.setdefault(row.currency or own, [0, 0, 0])
        for place, value in enumerate((row.calls, row.seconds, row.amount_micro)):
            total[place] += value
    return [CallTotal(calls, seconds, micro, currency, vat) for currency, (calls, seconds, micro) in sums.items()]


def _view(found: Estimate) -> page.MonthView:
    return page.MonthView(
        month=found.month,
        invoiced_in=found.invoiced_in,
        complete=found.complete,
        items=[_item(item) for item in found.items],
        totals=[
            page.MonthTotal(amount_micro=one.amount_micro, currency=one.currency, vat=one.vat.value)
            for one in found.totals
        ],
    )


def _item(item: Item) -> page.MonthItem:
    return page.MonthItem(
        kind=item.kind.value,
        count=item.count,
        seconds=item.seconds,
        amount_micro=item.amount_micro,
        currency=item.currency,
        vat=item.vat.value,
        name_nb=item.name.nb if item.name is not None else "",
        name_en=item.name.en if item.name is not None else "",
        sample=item.sample,
    )
