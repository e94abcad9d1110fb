"""Which product a subscription has on a civil day: notice, the end of products, and what they become.

A product ends at the end of its last civil day; its successor's first day is the next. Numbers are counted after those
given up by then. Pure: days are civil days of the operator's time zone, and `day_of` finds the day of an instant.
"""

from __future__ import annotations

import datetime as dt
import enum

import msgspec
from msgspec import Struct

from agent.core.catalogue import Catalogue, Product
from agent.core.succession import NoticeTerms, Succession

_DAY = dt.timedelta(days=1)


class Standing(enum.StrEnum):
    """How a subscription stands on a day; each has a sentence `standing.CODE`."""

    IN_FORCE = "in_force"
    ENDED = "ended"
    UNKNOWN_PRODUCT = "unknown_product"
    """The catalogue does not have the product, or not on that day."""


class HeldNumber(Struct, frozen=True):
    """A number (E.164) of the customer; `notice`: the day on which it was given up, `last_day`: as the operator says.

    A `last_day` counts for more than a `notice`.
    """

    number: str
    notice: dt.date | None = None
    last_day: dt.date | None = None


class Holding(Struct, frozen=True):
    """What a customer has: the product as the operator last named it, the numbers, and notice given for the whole."""

    product: str
    numbers: tuple[HeldNumber, ...]
    notice: dt.date | None = None
    last_day: dt.date | None = None


class Term(Struct, frozen=True):
    """The subscription on a day.

    `product` is as this customer has it: with the services that survived and the price list of those who come from the
    same predecessor. After the end it is the one that ended. `numbers` are those not given up. `history`: the product
    ids from the one the operator named to this one. `last_day`: when the subscription ends, as far as it is known.
    """

    standing: Standing
    product: Product | None
    numbers: tuple[str, ...]
    history: tuple[str, ...]
    last_day: dt.date | None = None


def day_of(at: dt.datetime, zone: dt.tzinfo) -> dt.date:
    """The civil day of an instant. Raises ValueError for a time without zone, which is no instant."""
    if at.utcoffset() is None:
        raise ValueError("a time without zone is no instant")
    return at.astimezone(zone).date()


def end_of(day: dt.date, zone: dt.tzinfo) -> dt.datetime:
    """The instant at which a civil day is over: the next midnight on the clocks of `zone`."""
    return dt.datetime.combine(day + _DAY, dt.time(), zone)


def ordinary_last_day(given: dt.date, terms: NoticeTerms) -> dt.date:
    """The last day of what is given up on a day: whole months from the next turn of the month."""
    month = given.year * 12 + given.month + terms.months
    return dt.date(month // 12, month % 12 + 1, 1) - _DAY


def last_day_after_notice(given: dt.date, product_id: str, catalogue: Catalogue) -> dt.date:
    """The last day of what is given up on a day under a product: its own last day where its end waives the period."""
    rule, last_day = catalogue.succession(product_id), catalogue.last_day(product_id)
    if rule is not None and last_day is not None and rule.waives(given):
        return last_day
    return ordinary_last_day(given, catalogue.notice)


def term_on(catalogue: Catalogue, holding: Holding, day: dt.date) -> Term:
    """The subscription on a civil day, whatever the operator has or has not said since the product ended."""
    walk = _Walk(catalogue, holding)
    while walk.over_by(day) and walk.succeed():
        pass
    return walk.term(day)


class _Walk:
    """From the product that the operator named through its successors."""

    def __init__(self, catalogue: Catalogue, holding: Holding) -> None:
        self._catalogue = catalogue
        self._holding = holding
        self._history = [holding.product]
        self._ends = {one.number: one.last_day for one in holding.numbers}
        self._end = holding.last_day
        self._from: tuple[Product, Succession, str | None] | None = None
        self._hear_notices()

    @property
    def _last_day(self) -> dt.date | None:
        return self._catalogue.last_day(self._history[-1])

    def over_by(self, day: dt.date) -> bool:
        """Whether the product has ended before `day`, and the subscription not with it or earlier."""
        last = self._last_day
        end = self._known_end()
        return last is not None and last < day and (end is None or last < end)

    def succeed(self) -> bool:
        """Go over to the successor; false where there is none."""
        name, last = self._history[-1], self._last_day
        rule = self._catalogue.succession(name)
        before = self._catalogue.find(name, last) if last is not None else None
        if rule is None or last is None or before is None:
            self._end = last
            return False
        successor = rule.successor(len(self._live(last + _DAY)))
        self._from = (self._dressed(before), rule, successor.price_list)
        self._history.append(successor.product)
        self._hear_notices()
        return True

    def term(self, day: dt.date) -> Term:
        end = self._known_end()
        if end is not None and day > end:
            return Term(Standing.ENDED, self._product_on(end), (), tuple(self._history), end)
        product = self._product_on(day)
        standing = Standing.IN_FORCE if product is not None else Standing.UNKNOWN_PRODUCT
        return Term(standing, product, self._live(day), tuple(self._history), end)

    def _product_on(self, day: dt.date) -> Product | None:
        product = self._catalogue.find(self._history[-1], day)
        return self._dressed(product) if product is not None else None

    def _dressed(self, product: Product) -> Product:
        """The product with what this customer brought along from the one before."""
        if self._from is None:
            return product
        before, rule, price_list = self._from
        return msgspec.structs.replace(
            product,
            features=product.features | (before.features & rule.keeps),
            price_list=price_list or product.price_list,
        )

    def _hear_notices(self) -> None:
        """Settle the end of what was given up while the newest product of the walk is the customer's."""
        name, last = self._history[-1], self._last_day
        for one in self._holding.numbers:
            if self._ends[one.number] is None and one.notice is not None and (last is None or one.notice <= last):
                self._ends[one.number] = last_day_after_notice(one.notice, name, self._catalogue)
        given = self._holding.notice
        if self._end is None and given is not None and (last is None or given <= last):
            self._end = last_day_after_notice(given, name, self._catalogue)

    def _known_end(self) -> dt.date | None:
        """When the whole ends: by notice, or with the last of its numbers."""
        ends = list(self._ends.values())
        known = [end for end in ends if end is not None]
        with_numbers = max(known) if known and len(known) == len(ends) else None
        return min((end for end in (self._end, with_numbers) if end is not None), default=None)

    def _live(self, day: dt.date) -> tuple[str, ...]:
        return tuple(number for number, end in self._ends.items() if end is None or day <= end)
