"""The one function that prices a call: for the command line, the running price, and the record."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Final, Protocol

from agent.core.cdr import PackTake, Price, Step
from agent.core.charge import NoPriceFrom, Terms, price_by
from agent.core.money import exact_text, format_amount, format_exact, parse_exact
from agent.core.numbers import EMERGENCY, mask
from agent.core.packs import PackBalance, covering
from agent.core.schedule import rate_at
from agent.core.tariff import PriceRules, Rate, Vat
from agent.rating.errors import NoRate, NoRateReason
from agent.rating.table import RateTable, rating_key

_MONEY: Final = "_micro"
_EXACT_MONEY: Final = "_exact"
_WINDOW: Final = "when"
_CURRENCY: Final = "NOK"
"""Of nothing, where no price list says otherwise."""
_WORD = re.compile(r"[a-z]+")
_DAYS: Final = {
    "nb": {
        "mon": "man", "tue": "tir", "wed": "ons", "thu": "tor", "fri": "fre", "sat": "lør", "sun": "søn",
        "hol": "helligdag",
    },
    "en": {
        "mon": "Mon", "tue": "Tue", "wed": "Wed", "thu": "Thu", "fri": "Fri", "sat": "Sat", "sun": "Sun",
        "hol": "holiday",
    },
}  # fmt: skip
_ALWAYS: Final = {"nb": "alle dager", "en": "every day"}


class Texts(Protocol):
    """The catalogue of sentences."""

    def say(self, key: str, lang: str, **values: str) -> str:
        """Return the sentence `key` in `lang` with its fields filled in."""


def find_rates(table: RateTable, number: str, product: str) -> tuple[Rate, ...]:
    """Return the rows that may price a canonical number, in order of preference (see `RateTable.candidates`).

    Raises NoRate: what has no row may not be called.
    """
    if product not in table.header.products:
        name = table.rules.price_list
        raise NoRate(NoRateReason.WRONG_PRODUCT, f"the price list {name} does not belong to the product {product}")
    key = rating_key(number)
    if key is None:
        raise NoRate(NoRateReason.IMPOSSIBLE_NUMBER, f"no telephone has the number {mask(number)}: check its digits")
    rates = table.candidates(key)
    if rates:
        return rates
    name = table.rules.price_list
    known = table.look_up(key)
    if known is not None:
        raise NoRate(
            NoRateReason.IMPOSSIBLE_NUMBER,
            f"the price list {name} knows no numbers of {len(key)} digits in {known.prefix} {known.destination}",
        )
    raise NoRate(NoRateReason.NO_MATCH, f"the price list {name} has no price for {mask(number)}")


def find_rate(
    table: RateTable, number: str, product: str, *, start: datetime | None = None, zone: tzinfo | None = None
) -> Rate:
    """Return the row that prices a canonical number at `start`, an aware time, by the clocks of `zone`.

    Raises NoRate, and TariffError where the row depends on time and `start` or `zone` is missing.
    """
    return _in_force(table.rules, number, find_rates(table, number, product), start, zone)


def _in_force(
    rules: PriceRules, number: str, rates: tuple[Rate, ...], start: datetime | None, zone: tzinfo | None
) -> Rate:
    rate = rate_at(rates, rules.holidays, start, zone)
    if rate is None:
        name = rules.price_list
        raise NoRate(NoRateReason.NO_MATCH, f"the price list {name} has no price for {mask(number)} at that time")
    if rate.tariff.blocked:
        raise NoRate(NoRateReason.BLOCKED, f"calls to {rate.destination} ({rate.prefix}) are blocked")
    return rate


def terms_of(
    table: RateTable,
    number: str,
    product: str,
    *,
    start: datetime | None = None,
    zone: tzinfo | None = None,
    packs: Iterable[PackBalance] = (),
) -> Terms:
    """Return all that prices a call to a canonical number but its duration; `packs` are the customer's, unsorted.

    Raises NoRate. An emergency number has no terms: it is free.
    """
    rates = find_rates(table, number, product)
    return Terms(rates, table.rules, start, zone, covering(packs, rating_key(number) or ""))


def rate_call(
    table: RateTable,
    number: str,
    duration_ms: int,
    product: str,
    *,
    start: datetime | None = None,
    zone: tzinfo | None = None,
    packs: Iterable[PackBalance] = (),
) -> Price:
    """Price `duration_ms` of time answered at `start` (aware) to a canonical number, by the clocks of `zone`.

    Without `start` and `zone` only rows that do not depend on time can price. Raises NoRate, TariffError where time is
    missing. Emergency calls are free by law (ekomloven § 2-6) and need no row.
    """
    if number in EMERGENCY:
        return emergency_price(table, number, product)
    return price_terms(
        terms_of(table, number, product, start=start, zone=zone, packs=packs), number, duration_ms, product
    )


def price_terms(terms: Terms, number: str, duration_ms: int, product: str) -> Price:
    """Price `duration_ms` of answered time by the terms of a call under a product. Raises NoRate, TariffError."""
    rules = terms.rules
    _in_force(rules, number, terms.rates, terms.start, terms.zone)
    try:
        charge = price_by(terms, duration_ms)
    except NoPriceFrom as error:
        raise NoRate(NoRateReason.BLOCKED, str(error)) from error
    return Price(
        product=product,
        price_list=rules.price_list,
        version=rules.version,
        prefix=charge.rate.prefix,
        destination=charge.rate.destination,
        currency=rules.currency,
        vat=rules.vat.value,
        amount_micro=charge.amount_micro,
        exact=exact_text(charge.exact_micro),
        billed_s=charge.billed_s,
        pack_s=charge.pack_s,
        paid_s=charge.paid_s,
        packs=[PackTake(pack=use.pack, month=use.month, seconds=use.seconds) for use in charge.pack_uses],
        steps=list(charge.steps),
    )


def emergency_price(table: RateTable | None, number: str, product: str) -> Price:
    """Return the price of an emergency call, which is nothing whatever the price list says, and without any."""
    rules = None if table is None else table.rules
    return Price(
        product=product,
        price_list="" if rules is None else rules.price_list,
        version="" if rules is None else rules.version,
        prefix="",
        destination=number,
        currency=_CURRENCY if rules is None else rules.currency,
        vat=Vat.NOT_STATED.value if rules is None else rules.vat.value,
        amount_micro=0,
        exact="0/1",
        billed_s=0,
        steps=[Step(key="price.emergency", values={"number": number})],
    )


def explain(price: Price, lang: str, texts: Texts) -> list[str]:
    """Return a price's steps as sentences in `lang` (`nb` or `en`), one a line, amounts written as people write them.

    A value named `…_micro` or `…_exact` fills the field without that ending; the days of a window are translated.
    """
    return [texts.say(step.key, lang, **_fields(step, price.currency, lang)) for step in price.steps]


def _fields(step: Step, currency: str, lang: str) -> dict[str, str]:
    fields = {}
    for name, value in step.values.items():
        if name.endswith(_MONEY):
            fields[name.removesuffix(_MONEY)] = format_amount(int(value), currency, lang)
        elif name.endswith(_EXACT_MONEY):
            fields[name.removesuffix(_EXACT_MONEY)] = format_exact(parse_exact(value), currency, lang)
        elif name == _WINDOW:
            fields[name] = _window(value, lang)
        else:
            fields[name] = value
    return fields


def _window(text: str, lang: str) -> str:
    words = _DAYS.get(lang, {})
    return _WORD.sub(lambda match: words.get(match[0], match[0]), text) or _ALWAYS.get(lang, text)
