"""What a calendar month comes to, as the invoice would show it: monthly fee, extra numbers, minute packs, calls.

Billed in arrears: December is invoiced in January. The fee is that of the product on the month's first day, in full.
Each item says of tax what its own price says; items that say different things are never added to one total. It is an
estimate: the operator's invoice is what counts.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from agent.core.catalogue import Name, Product
from agent.core.money import parse_amount
from agent.core.tariff import Vat

_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)


class MonthError(ValueError):
    """A text is no calendar month; the message says what one looks like."""


class ItemKind(enum.StrEnum):
    """What an item of the invoice is for; each has a sentence `item.KIND`."""

    MONTHLY_FEE = "monthly_fee"
    EXTRA_NUMBERS = "extra_numbers"
    MINUTE_PACK = "minute_pack"
    CALLS = "calls"


class CallTotal(Struct, frozen=True):
    """Answered outgoing calls of a month by one price list: number, seconds, micro-units. Each was rounded already."""

    calls: int
    seconds: int
    amount_micro: int
    currency: str
    vat: Vat


class PackFee(Struct, frozen=True):
    """A minute pack that the customer has, billed monthly, and the seconds of talk that it includes."""

    name: Name
    fee_micro: int
    seconds: int
    currency: str = "NOK"
    vat: Vat = Vat.NOT_STATED


class Item(Struct, frozen=True):
    """A line of the invoice. `count`: months, numbers, packs or calls; `seconds`: included (packs) or talked (calls).

    `name`: of the product or pack. `sample`: the price is a sample, not the operator's.
    """

    kind: ItemKind
    count: int
    amount_micro: int
    currency: str
    vat: Vat
    name: Name | None = None
    seconds: int = 0
    sample: bool = False


class Total(Struct, frozen=True):
    """The sum of all items of one currency that say the same of tax."""

    amount_micro: int
    currency: str
    vat: Vat


class Estimate(Struct, frozen=True):
    """A calendar month (`2018-12`) as it would be invoiced in the next (`2019-01`).

    `product` is its id, empty where there was no subscription on the first day. `complete`: the month is over.
    """

    month: str
    invoiced_in: str
    complete: bool
    product: str
    items: tuple[Item, ...]
    totals: tuple[Total, ...]


def first_day(month: str) -> dt.date:
    """The first day of a month such as `2018-12`. Raises MonthError."""
    match = _MONTH.fullmatch(month)
    if match is None or month.startswith("0000"):
        raise MonthError(f"'{month[:24]}' is no month: write year and month such as 2018-12")
    return dt.date(int(match[1]), int(match[2]), 1)


def month_of(day: dt.date) -> str:
    """The calendar month of a day."""
    return f"{day.year:04d}-{day.month:02d}"


def month_before(month: str) -> str:
    """The calendar month before another. Raises MonthError."""
    return month_of(first_day(month) - dt.timedelta(days=1))


def month_after(month: str) -> str:
    """The calendar month after another: the one in which it is invoiced. Raises MonthError."""
    # Every month is over 31 days after its first, and the next is not.
    return month_of(first_day(month) + dt.timedelta(days=31))


def estimate(
    month: str,
    product: Product | None,
    numbers: int,
    calls: Sequence[CallTotal],
    packs: Iterable[PackFee] = (),
    *,
    today: dt.date,
) -> Estimate:
    """What `month` comes to for `numbers` numbers under the product of its first day (None: no subscription then).

    `today` is the civil day on which it is asked. Raises MonthError.
    """
    items = [*_fees(product, numbers), *map(_pack, packs), *map(_calls, calls)]
    return Estimate(
        month=month,
        invoiced_in=month_after(month),
        complete=month_of(today) > month,
        product=product.id if product is not None else "",
        items=tuple(items),
        totals=_totals(items),
    )


def _fees(product: Product | None, numbers: int) -> Iterable[Item]:
    if product is None:
        return
    vat = Vat(product.vat.value)
    fee = parse_amount(product.monthly_fee)
    yield Item(
        ItemKind.MONTHLY_FEE, 1, fee, product.currency, vat, product.name, sample="monthly_fee" in product.sample
    )
    extra = max(0, numbers - product.numbers_included) if product.numbers_included is not None else 0
    each = parse_amount(product.extra_number_fee)
    if extra and each:
        sample = "extra_number_fee" in product.sample
        yield Item(ItemKind.EXTRA_NUMBERS, extra, extra * each, product.currency, vat, product.name, sample=sample)


def _pack(pack: PackFee) -> Item:
    return Item(ItemKind.MINUTE_PACK, 1, pack.fee_micro, pack.currency, pack.vat, pack.name, pack.seconds)


def _calls(total: CallTotal) -> Item:
    return Item(ItemKind.CALLS, total.calls, total.amount_micro, total.currency, total.vat, seconds=total.seconds)


def _totals(items: Iterable[Item]) -> tuple[Total, ...]:
    sums: dict[tuple[str, Vat], int] = {}
    for item in items:
        # A list that adds the tax has added it to what its calls cost: they include it.
        key = (item.currency, Vat.INCLUDED if item.vat is Vat.ADDED else item.vat)
        sums[key] = sums.get(key, 0) + item.amount_micro
    return tuple(Total(amount, currency, vat) for (currency, vat), amount in sums.items())
