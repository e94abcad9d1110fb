"""One call under several price lists: those that were known when it began, each from its own midnight on.

The rows of each are candidates of one price, as far as they are in force between two midnights, so a call over a change
of price list or product is split there like over any change of row. Rounding and the rule to seconds are those of the
list under which the call was answered. A list that counts otherwise (another currency, tax or rule to seconds) can't be
added up with it: from its midnight on there is no price, and the call ends there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, tzinfo

from msgspec import Struct, structs

from agent.core.cdr import Price, PriceListUse
from agent.core.charge import Terms
from agent.core.packs import PackBalance, covering
from agent.core.schedule import limited
from agent.core.tariff import PriceRules, Rate, whole_seconds
from agent.rating.errors import NoRate, PriceListError
from agent.rating.rater import find_rates, price_terms
from agent.rating.table import RateTable, rating_key

_DAY = timedelta(days=1)


class ListInForce(Struct, frozen=True):
    """A price list that prices calls of a product from the civil day `from_day` on (None: always)."""

    table: RateTable
    product: str
    from_day: date | None = None


def terms_over(
    lists: Sequence[ListInForce],
    number: str,
    *,
    start: datetime,
    zone: tzinfo,
    packs: Iterable[PackBalance] = (),
) -> Terms:
    """Return all that prices a call answered at `start` but its duration; `lists` by growing `from_day`.

    Raises NoRate where the list of the answer has no row for the number, PriceListError where there is no list.
    """
    lists = _from(lists, start, zone)
    opening = lists[0]
    rules = opening.table.rules
    rates: list[Rate] = []
    for one, until in zip(lists, [*(later.from_day for later in lists[1:]), None], strict=True):
        try:
            if not _adds_up(one.table.rules, rules):
                continue
            found = find_rates(one.table, number, one.product)
        except NoRate:
            if one is opening:
                raise
            continue
        rates += limited(
            found, None if one is opening else one.from_day, until - _DAY if until is not None else None
        ) if len(lists) > 1 else found  # fmt: skip
    holidays = tuple(dict.fromkeys(day for one in lists for day in one.table.rules.holidays))
    if holidays != rules.holidays:
        rules = structs.replace(rules, holidays=holidays)
    return Terms(tuple(rates), rules, start, zone, covering(packs, rating_key(number) or ""))


def rate_over(
    lists: Sequence[ListInForce],
    number: str,
    duration_ms: int,
    *,
    start: datetime,
    zone: tzinfo,
    packs: Iterable[PackBalance] = (),
) -> Price:
    """Price `duration_ms` of time answered at `start`; the price names every list that had a part in it.

    Raises NoRate, PriceListError.
    """
    terms = terms_over(lists, number, start=start, zone=zone, packs=packs)
    lists = _from(lists, start, zone)
    price = price_terms(terms, number, duration_ms, lists[0].product)
    # An increment that began before a midnight belongs to the list before it.
    seconds = max(0, whole_seconds(duration_ms, terms.rules.seconds) - 1)
    ended = (start + timedelta(seconds=seconds)).astimezone(zone).date()
    used = [one for one in lists if one.from_day is None or one is lists[0] or one.from_day <= ended]
    if len(used) < 2:
        return price
    return structs.replace(price, lists=[_use(one) for one in used])


def _from(lists: Sequence[ListInForce], start: datetime, zone: tzinfo) -> Sequence[ListInForce]:
    """The list in force at the answer, and those that follow."""
    day = start.astimezone(zone).date()
    begun = [index for index, one in enumerate(lists) if one.from_day is None or one.from_day <= day]
    if not begun:
        raise PriceListError("no price list was in force when the call was answered")
    return lists[begun[-1] :]


def _adds_up(rules: PriceRules, opening: PriceRules) -> bool:
    same = ("currency", "vat", "vat_bp", "seconds")
    return all(getattr(rules, name) == getattr(opening, name) for name in same)


def _use(one: ListInForce) -> PriceListUse:
    return PriceListUse(
        from_day=one.from_day.isoformat() if one.from_day is not None else "", product=one.product,
        price_list=one.table.rules.price_list, version=one.table.rules.version,
    )  # fmt: skip
