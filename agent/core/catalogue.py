"""Products as data, and what a subscription is entitled to under its product.

What a product does not list, it does not have. Limits refuse the surplus and leave the rest working: a third line does
not silence the other two. Products carry the day they take effect; what a product costs or is at a day is the entry
with the latest `effective_from` up to that day. A product that has a last day ends with it, and the rules of
succession say what its customers have then.
"""

from __future__ import annotations

import datetime as dt
import enum
from typing import Annotated

from msgspec import Meta, Struct

from agent.core.entry import (
    Amount,
    Audience,
    CatalogueError,
    Count,
    Currency,
    Entry,
    Feature,
    Id,
    Name,
    Samples,
    Vat,
    Words,
)
from agent.core.succession import NoticeTerms, Succession
from agent.core.support import SupportTier, tiers_at

__all__ = [
    "Amount", "Audience", "Catalogue", "CatalogueError", "Count", "Entitlement", "Entry", "Excess", "Feature", "Id",
    "Limits", "LineFact", "Name", "NumberFact", "NumberRefusal", "Part", "Product", "Refused", "SubscriptionFacts",
    "Vat", "Words", "entitle",
]  # fmt: skip


class Limits(Entry, frozen=True, kw_only=True):
    """How much of everything a subscription may use. An absent maximum: the product names no ceiling."""

    lines_max: Count | None = None
    """Analog lines of the adapter."""
    numbers_min: Count = 1
    numbers_max: Count | None = None
    lines_per_number: Annotated[int, Meta(ge=1, le=8)] = 1
    """How many lines one number may ring without the feature `ring_group`."""
    call_max_s: Annotated[int, Meta(ge=60, le=7 * 86_400)] = 12 * 3600
    """Longest call, counted from the grant: a handset left off the hook must not run for a week."""
    call_warn_s: Annotated[int, Meta(ge=5, le=600)] = 60
    """How long before its end such a call hears the warning tone."""


class Product(Entry, frozen=True, kw_only=True):
    """One product from the day `effective_from` (Europe/Oslo) on."""

    id: Id
    name: Name
    audience: Audience
    effective_from: dt.date
    monthly_fee: Amount
    """Currency units for each calendar month, billed in arrears, as an exact decimal string."""
    currency: Currency = "NOK"
    vat: Vat = Vat.NOT_STATED
    numbers_included: Count | None = None
    """Numbers in the monthly fee; absent: all of them."""
    extra_number_fee: Amount = "0"
    """Currency units a month for each number beyond those included."""
    last_day: dt.date | None = None
    """Last civil day of the product; absent: it goes on."""
    limits: Limits = Limits()
    features: frozenset[Feature] = frozenset()
    price_list: Id
    sample: Samples = ()

    def has(self, feature: Feature) -> bool:
        """Whether the product lists `feature`."""
        return feature in self.features


class Catalogue(Entry, frozen=True, kw_only=True):
    """Every product the operator sells, has sold, and will sell; what those that end become; customer service."""

    version: Words
    products: Annotated[tuple[Product, ...], Meta(min_length=1, max_length=256)]
    notice: NoticeTerms = NoticeTerms()
    successions: Annotated[tuple[Succession, ...], Meta(max_length=64)] = ()
    support: Annotated[tuple[SupportTier, ...], Meta(max_length=64)] = ()

    def __post_init__(self) -> None:
        seen: set[tuple[str, dt.date]] = set()
        for product in self.products:
            key = (product.id, product.effective_from)
            if key in seen:
                raise CatalogueError(f"product {product.id} is there twice for {product.effective_from}; remove one")
            _check_product(product)
            seen.add(key)
        inherited: set[str] = set()
        for rule in self.successions:
            for name in rule.predecessors:
                if name in inherited:
                    raise CatalogueError(f"succession of {name}: it is there twice; remove one")
                inherited.add(name)
                self._check_succession(name, rule)
        _check_support(self.support)

    def _check_succession(self, name: str, rule: Succession) -> None:
        last_day = self.last_day(name)
        if last_day is None:
            raise CatalogueError(f"succession of {name}: there is no such product that has a last_day; give it one")
        if rule.notice_by is not None and rule.notice_by > last_day:
            raise CatalogueError(f"succession of {name}: notice_by is after the product's last_day")
        bands = [one.numbers_max for one in rule.successors]
        sizes = [size for size in bands if size is not None]
        if bands[-1] is not None or len(sizes) != len(bands) - 1 or sizes != sorted(set(sizes)):
            raise CatalogueError(
                f"succession of {name}: successors: list them by growing numbers_max, the last one without any, "
                "so that every customer gets one product"
            )
        next_day = last_day + dt.timedelta(days=1)
        for one in rule.successors:
            if self.find(one.product, next_day) is None:
                raise CatalogueError(f"succession of {name}: {one.product} is not in effect on {next_day}")

    def ids(self) -> tuple[str, ...]:
        """The product ids, in the file's order, each once."""
        return tuple(dict.fromkeys(product.id for product in self.products))

    def find(self, product_id: str, day: dt.date) -> Product | None:
        """The product as it is on `day` (civil, Europe/Oslo); None: unknown, not yet in effect, or ended."""
        entries = [entry for entry in self.products if entry.id == product_id and entry.effective_from <= day]
        found = max(entries, key=lambda entry: entry.effective_from, default=None)
        return found if found is None or found.last_day is None or day <= found.last_day else None

    def last_day(self, product_id: str) -> dt.date | None:
        """The last civil day of a product by its newest entry; None: it goes on, or is unknown."""
        entries = [entry for entry in self.products if entry.id == product_id]
        newest = max(entries, key=lambda entry: entry.effective_from, default=None)
        return newest.last_day if newest is not None else None

    def succession(self, product_id: str) -> Succession | None:
        """What becomes of a product's customers when it ends; None: they have nothing then."""
        return next((rule for rule in self.successions if product_id in rule.predecessors), None)

    def support_at(self, audience: Audience, day: dt.date, *, agreement: bool = False) -> tuple[SupportTier, ...]:
        """The customer service that `audience` gets on a civil day; see `agent.core.support.tiers_at`."""
        return tiers_at(self.support, audience, day, agreement=agreement)


def _check_product(product: Product) -> None:
    limits = product.limits
    if limits.numbers_max is not None and limits.numbers_min > limits.numbers_max:
        raise CatalogueError(f"product {product.id}: numbers_min is above numbers_max; no customer could fit")
    if limits.call_warn_s >= limits.call_max_s:
        raise CatalogueError(f"product {product.id}: call_warn_s must be shorter than call_max_s")
    if product.last_day is not None and product.last_day < product.effective_from:
        raise CatalogueError(f"product {product.id}: last_day is before effective_from; it would never be in effect")


def _check_support(tiers: tuple[SupportTier, ...]) -> None:
    seen = set()
    for tier in tiers:
        key = (tier.key, tier.effective_from)
        where = f"support {tier.kind} for {tier.audience} from {tier.effective_from}"
        if key in seen:
            raise CatalogueError(f"{where} is there twice; remove one")
        if tier.days_min > tier.days_max:
            raise CatalogueError(f"{where}: days_min is above days_max")
        seen.add(key)


class LineFact(Struct, frozen=True):
    """An analog line (from 0) of the subscription and the number (E.164) it calls from."""

    line: int
    number: str


class NumberFact(Struct, frozen=True):
    """A number (E.164) of the subscription and the lines on which it rings."""

    number: str
    lines: tuple[int, ...]


class SubscriptionFacts(Struct, frozen=True):
    """What the operator says that the customer has, in the operator's order."""

    lines: tuple[LineFact, ...]
    numbers: tuple[NumberFact, ...]
    active: bool = True
    ended: bool = False
    """Whether its last day is over."""


class Excess(enum.StrEnum):
    """Why a part of the subscription does not work; each has a sentence `excess.CODE`."""

    TOO_MANY_LINES = "too_many_lines"
    DUPLICATE_LINE = "duplicate_line"
    TOO_MANY_NUMBERS = "too_many_numbers"
    DUPLICATE_NUMBER = "duplicate_number"
    TOO_FEW_NUMBERS = "too_few_numbers"
    RING_GROUP_NOT_INCLUDED = "ring_group_not_included"


class NumberRefusal(enum.StrEnum):
    """Why a call to a number that still arrives rings nowhere; each has a sentence `refusal.CODE`."""

    OVER_LIMIT = "number_over_limit"
    ENDED = "number_ended"


class Part(enum.StrEnum):
    """What kind of thing was refused."""

    LINE = "line"
    NUMBER = "number"
    SUBSCRIPTION = "subscription"


class Refused(Struct, frozen=True):
    """One part of the subscription that the product does not allow.

    `line` (from 0) and `number` (E.164; mask it before showing) say which one, where that applies; `limit` is the
    product's limit that was met.
    """

    what: Part
    code: Excess
    limit: int = 0
    line: int | None = None
    number: str = ""


class Entitlement(Struct, frozen=True):
    """What of a subscription works: lines, numbers with the lines they ring, and what was refused and why."""

    product: Product
    active: bool
    lines: tuple[LineFact, ...]
    numbers: tuple[NumberFact, ...]
    refused: tuple[Refused, ...]
    ended: bool = False

    def line_allowed(self, line: int) -> bool:
        """Whether the subscription may call from `line`."""
        return any(fact.line == line for fact in self.lines)

    def number_allowed(self, number: str) -> bool:
        """Whether `number` (E.164) is one of the subscription's working numbers."""
        return any(fact.number == number for fact in self.numbers)


def entitle(product: Product, facts: SubscriptionFacts) -> Entitlement:
    """What `facts` may use under `product`: lowest lines and first numbers up to the limits; the rest is refused."""
    usable, lines, refused_lines = _entitle_lines(product.limits, facts)
    numbers, refused_numbers = _entitle_numbers(product, facts, usable)
    return Entitlement(product, facts.active, lines, numbers, (*refused_lines, *refused_numbers), facts.ended)


def _entitle_lines(
    limits: Limits, facts: SubscriptionFacts
) -> tuple[frozenset[int], tuple[LineFact, ...], list[Refused]]:
    ringing = {line for fact in facts.numbers for line in fact.lines}
    used = sorted({fact.line for fact in facts.lines} | ringing)
    ceiling = len(used) if limits.lines_max is None else limits.lines_max
    usable = frozenset(used[:ceiling])
    refused = [Refused(Part.LINE, Excess.TOO_MANY_LINES, ceiling, line) for line in used[ceiling:]]
    kept: dict[int, LineFact] = {}
    for fact in facts.lines:
        if fact.line in kept:
            refused.append(Refused(Part.LINE, Excess.DUPLICATE_LINE, 1, fact.line))
        elif fact.line in usable:
            kept[fact.line] = fact
    return usable, tuple(kept.values()), refused


def _entitle_numbers(
    product: Product, facts: SubscriptionFacts, usable: frozenset[int]
) -> tuple[tuple[NumberFact, ...], list[Refused]]:
    limits = product.limits
    refused: list[Refused] = []
    kept: dict[str, NumberFact] = {}
    for fact in facts.numbers:
        if fact.number in kept:
            refused.append(Refused(Part.NUMBER, Excess.DUPLICATE_NUMBER, 1, number=fact.number))
            continue
        if limits.numbers_max is not None and len(kept) >= limits.numbers_max:
            refused.append(Refused(Part.NUMBER, Excess.TOO_MANY_NUMBERS, limits.numbers_max, number=fact.number))
            continue
        rings = tuple(line for line in dict.fromkeys(fact.lines) if line in usable)
        if len(rings) > limits.lines_per_number and not product.has(Feature.RING_GROUP):
            refused.append(
                Refused(Part.NUMBER, Excess.RING_GROUP_NOT_INCLUDED, limits.lines_per_number, number=fact.number)
            )
            rings = rings[: limits.lines_per_number]
        kept[fact.number] = NumberFact(fact.number, rings)
    if len(kept) < limits.numbers_min:
        refused.append(Refused(Part.SUBSCRIPTION, Excess.TOO_FEW_NUMBERS, limits.numbers_min))
    return tuple(kept.values()), refused
