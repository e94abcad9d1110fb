"""Rules for the end of products: what each becomes, how notice works, and what survives. Data only.

The decisions are in `agent.core.migration`; the operator's rules are in the catalogue's file.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from msgspec import Meta

from agent.core.entry import Count, Entry, Feature, Id, Samples


class NoticeTerms(Entry, frozen=True, kw_only=True):
    """Ordinary notice: so many whole months from the next turn of the month."""

    months: Annotated[int, Meta(ge=0, le=24)] = 1


class Successor(Entry, frozen=True, kw_only=True):
    """The product for a customer with at most `numbers_max` numbers (absent: with any number of them)."""

    product: Id
    numbers_max: Count | None = None
    price_list: Id | None = None
    """Price list of those who come from these predecessors; absent: the product's own."""


class Succession(Entry, frozen=True, kw_only=True):
    """What becomes of the subscriptions to products that end: the first successor that has room for the numbers.

    Numbers are counted on the day after the predecessor's last: those given up by then do not count.
    """

    predecessors: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=64)]
    successors: Annotated[tuple[Successor, ...], Meta(min_length=1, max_length=16)]
    keeps: frozenset[Feature] = frozenset()
    """Services that a customer goes on having where the predecessor had them, whatever the successor lists."""
    notice_by: dt.date | None = None
    """Last civil day on which notice ends at the predecessor's last day, without the ordinary notice period."""
    notice_from: dt.date | None = None
    """First such day; absent: however early notice was given."""
    sample: Samples = ()

    def waives(self, given: dt.date) -> bool:
        """Whether notice given on that civil day is spared the ordinary period."""
        if self.notice_by is None or given > self.notice_by:
            return False
        return self.notice_from is None or given >= self.notice_from

    def successor(self, numbers: int) -> Successor:
        """The product for so many numbers. The catalogue makes sure that the last one takes any number."""
        for one in self.successors:
            if one.numbers_max is None or numbers <= one.numbers_max:
                return one
        return self.successors[-1]
