"""How the command line shows products on a day: what a subscription is then, what it becomes, its customer service."""

from __future__ import annotations

from datetime import date

import msgspec
from msgspec import Struct

from agent.core.catalogue import Catalogue, Product
from agent.core.migration import HeldNumber, Holding, Standing, term_on
from agent.core.money import format_amount, parse_amount
from agent.core.support import SupportTier
from agent.texts import Texts


class Asked(Struct, frozen=True, kw_only=True):
    """A subscription as a technician describes it: `given_up` of its `numbers` on `notice`, or all of it then.

    Without `given_up`, `notice` is for the whole subscription.
    """

    product: str
    numbers: int = 1
    given_up: int = 0
    notice: date | None = None


class Answer(Struct, frozen=True, kw_only=True):
    """What the subscription is on `day`. `product` is as this customer has it; None: there is no such product then."""

    day: date
    standing: Standing
    history: tuple[str, ...]
    numbers: int
    last_day: date | None
    product: Product | None
    support: tuple[SupportTier, ...]


def answer(catalogue: Catalogue, asked: Asked, day: date, *, agreement: bool = False) -> Answer:
    """What `asked` is on a civil day; `agreement`: the customer has a Business Support agreement."""
    kept = asked.numbers - asked.given_up
    numbers = tuple(
        HeldNumber(str(index), notice=asked.notice if index >= kept else None) for index in range(asked.numbers)
    )
    whole = asked.notice if not asked.given_up else None
    term = term_on(catalogue, Holding(asked.product, numbers, whole), day)
    alive = term.product if term.standing is Standing.IN_FORCE else None
    return Answer(
        day=day,
        standing=term.standing,
        history=term.history,
        numbers=len(term.numbers),
        last_day=term.last_day,
        product=term.product,
        support=catalogue.support_at(alive.audience, day, agreement=agreement) if alive is not None else (),
    )


def products_on(catalogue: Catalogue, day: date) -> list[Product]:
    """Every product that is in effect on a civil day, in the catalogue's order."""
    found = (catalogue.find(name, day) for name in catalogue.ids())
    return [product for product in found if product is not None]


def as_json(shown: Answer | list[Product]) -> str:
    """An answer or a list of products as JSON: amounts are decimal strings, days are ISO dates."""
    return msgspec.json.format(msgspec.json.encode(shown, order="deterministic")).decode()


def product_line(product: Product, lang: str, texts: Texts) -> str:
    """A product in a line: id, name, monthly fee and what is said of tax; samples call themselves so."""
    name = product.name.nb if lang == "nb" else product.name.en
    fee = format_amount(parse_amount(product.monthly_fee), product.currency, lang)
    sample = f" ({texts.say('page.sample_price', lang)})" if "monthly_fee" in product.sample else ""
    return texts.say(
        "plan.product", lang, id=product.id, name=name, fee=fee + sample, vat=texts.say(f"vat.{product.vat}", lang)
    )


def answer_lines(found: Answer, lang: str, texts: Texts) -> list[str]:
    """An answer in sentences."""

    def say(key: str, **values: object) -> str:
        return texts.say(f"plan.{key}", lang, **values)

    lines = [say("standing", day=found.day, standing=texts.say(f"standing.{found.standing}", lang))]
    if len(found.history) > 1:
        lines.append(say("became", history=" → ".join(found.history)))
    if found.last_day is not None:
        lines.append(say("last_day", day=found.last_day))
    if found.product is not None and found.standing is Standing.IN_FORCE:
        product = found.product
        names = [texts.say(f"feature.{feature}", lang) for feature in sorted(product.features)]
        lines += [product_line(product, lang, texts), say("numbers", numbers=found.numbers)]
        lines += [say("price_list", list=product.price_list), say("features", features=", ".join(names) or "–")]
        if product.sample:
            lines.append(say("samples", settings=", ".join(product.sample)))
    lines += [_support_line(tier, lang, texts) for tier in found.support]
    return lines


def _support_line(tier: SupportTier, lang: str, texts: Texts) -> str:
    price = texts.say("page.free", lang)
    if tier.hourly is not None:
        amount = format_amount(parse_amount(tier.hourly), tier.currency, lang)
        price = texts.say("plan.hourly", lang, amount=amount, vat=texts.say(f"vat.{tier.vat}", lang))
    time = texts.say("plan.at_once", lang)
    if tier.days_max:
        time = texts.say("plan.days", lang, least=tier.days_min, most=tier.days_max)
    told = texts.say(
        "plan.support", lang, kind=texts.say(f"support.{tier.kind}", lang), channel=tier.channel or "–", price=price,
        time=time,
    )  # fmt: skip
    extras = [key for key, holds in (("appointment", tier.by_appointment), ("visit", tier.visit_extra)) if holds]
    return "".join([told, *(f" {texts.say(f'plan.{key}', lang)}" for key in extras)])
