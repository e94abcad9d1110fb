"""Products as data, and what a subscription is entitled to under its product.

What a product does not list, it does not have. Limits refuse the surplus and leave the rest working: a third line does
not silence the other two. Products carry the day they take effect; what a product costs or is at a day is the entry
with the latest `effective_from` up to that day.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

Id = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]
Words = Annotated[str, Meta(min_length=1, max_length=128)]
Amount = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?$")]
Count = Annotated[int, Meta(ge=1, le=10_000)]


class CatalogueError(Exception):
    """The catalogue contradicts itself; the message names the product."""


class Feature(enum.StrEnum):
    """Something a product can have beyond a dial tone."""

    SOFTPHONE = "softphone"
    CALL_FORWARDING = "call_forwarding"
    CALLER_ID_RESTRICTION = "caller_id_restriction"
    MINUTE_PACK = "minute_pack"
    RING_GROUP = "ring_group"
    QUEUE = "queue"
    OPENING_HOURS = "opening_hours"
    WELCOME_MESSAGE = "welcome_message"
    VOICEMAIL = "voicemail"


class Audience(enum.StrEnum):
    """Who may have a product."""

    PRIVATE = "private"
    BUSINESS = "business"


class Vat(enum.StrEnum):
    """What a price says of value added tax."""

    INCLUDED = "included"
    EXCLUDED = "excluded"
    NOT_STATED = "not_stated"


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what the catalogue's file holds."""


class Name(Entry, frozen=True, kw_only=True):
    """A product's name in both languages."""

    nb: Words
    en: Words


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
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "NOK"
    vat: Vat = Vat.NOT_STATED
    limits: Limits = Limits()
    features: frozenset[Feature] = frozenset()
    price_list: Id
    sample: Annotated[tuple[Words, ...], Meta(max_length=32)] = ()
    """Settings whose value is a sample: the operator's published terms leave them open."""

    def has(self, feature: Feature) -> bool:
        """Whether the product lists `feature`."""
        return feature in self.features


class Catalogue(Entry, frozen=True, kw_only=True):
    """Every product the operator sells, and those to come."""

    version: Words
    products: Annotated[tuple[Product, ...], Meta(min_length=1, max_length=256)]

    def __post_init__(self) -> None:
        seen: set[tuple[str, dt.date]] = set()
        for product in self.products:
            key = (product.id, product.effective_from)
            limits = product.limits
            if key in seen:
                raise CatalogueError(f"product {product.id} is there twice for {product.effective_from}; remove one")
            if limits.numbers_max is not None and limits.numbers_min > limits.numbers_max:
                raise CatalogueError(f"product {product.id}: numbers_min is above numbers_max; no customer could fit")
            if limits.call_warn_s >= limits.call_max_s:
                raise CatalogueError(f"product {product.id}: call_warn_s must be shorter than call_max_s")
            seen.add(key)

    def ids(self) -> tuple[str, ...]:
        """The product ids, in the file's order, each once."""
        return tuple(dict.fromkeys(product.id for product in self.products))

    def find(self, product_id: str, day: dt.date) -> Product | None:
        """The product as it is on `day` (civil, Europe/Oslo); None: unknown, or not yet in effect."""
        entries = [entry for entry in self.products if entry.id == product_id and entry.effective_from <= day]
        return max(entries, key=lambda entry: entry.effective_from, default=None)


@dataclass(frozen=True, slots=True)
class LineFact:
    """An analog line (from 0) of the subscription and the number (E.164) it calls from."""

    line: int
    number: str


@dataclass(frozen=True, slots=True)
class NumberFact:
    """A number (E.164) of the subscription and the lines on which it rings."""

    number: str
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """What the operator says that the customer has, in the operator's order."""

    lines: tuple[LineFact, ...]
    numbers: tuple[NumberFact, ...]
    active: bool = True


class Excess(enum.StrEnum):
    """Why a part of the subscription does not work; each has a sentence `excess.CODE`."""

    TOO_MANY_LINES = "too_many_lines"
    DUPLICATE_LINE = "duplicate_line"
    TOO_MANY_NUMBERS = "too_many_numbers"
    DUPLICATE_NUMBER = "duplicate_number"
    TOO_FEW_NUMBERS = "too_few_numbers"
    RING_GROUP_NOT_INCLUDED = "ring_group_not_included"


class Part(enum.StrEnum):
    """What kind of thing was refused."""

    LINE = "line"
    NUMBER = "number"
    SUBSCRIPTION = "subscription"


@dataclass(frozen=True, slots=True)
class Refused:
    """One part of the subscription that the product does not allow.

    `line` (from 0) and `number` (E.164; mask it before showing) say which one, where that applies; `limit` is the
    product's limit that was met.
    """

    what: Part
    code: Excess
    limit: int = 0
    line: int | None = None
    number: str = ""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What of a subscription works: lines, numbers with the lines they ring, and what was refused and why."""

    product: Product
    active: bool
    lines: tuple[LineFact, ...]
    numbers: tuple[NumberFact, ...]
    refused: tuple[Refused, ...]

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
    return Entitlement(product, facts.active, lines, numbers, (*refused_lines, *refused_numbers))


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
