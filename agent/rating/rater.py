"""The one function that prices a call: for the command line, the running price, and the record."""

from __future__ import annotations

from typing import Final, Protocol

from agent.core.cdr import Price, Step
from agent.core.money import exact_text, format_amount, format_exact, parse_exact
from agent.core.numbers import EMERGENCY, mask
from agent.core.tariff import Rate, price
from agent.rating.errors import NoRate, NoRateReason
from agent.rating.table import RateTable, rating_key

_MONEY: Final = "_micro"
_EXACT_MONEY: Final = "_exact"


class Texts(Protocol):
    """The catalogue of sentences."""

    def say(self, key: str, lang: str, **values: str) -> str:
        """Return the sentence `key` in `lang` with its fields filled in."""


def find_rate(table: RateTable, number: str, product: str) -> Rate:
    """Return the row that prices a canonical number. Raises NoRate: what has no row may not be called."""
    if product not in table.header.products:
        name = table.rules.price_list
        raise NoRate(NoRateReason.WRONG_PRODUCT, f"the price list {name} does not belong to the product {product}")
    key = rating_key(number)
    if key is None:
        raise NoRate(NoRateReason.IMPOSSIBLE_NUMBER, f"no telephone has the number {mask(number)}: check its digits")
    rate = table.look_up(key)
    if rate is None:
        name = table.rules.price_list
        raise NoRate(NoRateReason.NO_MATCH, f"the price list {name} has no price for {mask(number)}")
    if rate.tariff.blocked:
        raise NoRate(NoRateReason.BLOCKED, f"calls to {rate.destination} ({rate.prefix}) are blocked")
    return rate


def rate_call(table: RateTable, number: str, duration_ms: int, product: str) -> Price:
    """Price `duration_ms` of answered time to a canonical number. Raises NoRate.

    Emergency calls are free by law (ekomloven § 2-6) and need no row.
    """
    if number in EMERGENCY:
        return emergency_price(table, number, product)
    rate = find_rate(table, number, product)
    rules = table.rules
    charge = price(rate, duration_ms, rules)
    return Price(
        product=product,
        price_list=rules.price_list,
        version=rules.version,
        prefix=rate.prefix,
        destination=rate.destination,
        currency=rules.currency,
        vat=rules.vat.value,
        amount_micro=charge.amount_micro,
        exact=exact_text(charge.exact_micro),
        billed_s=charge.billed_s,
        steps=list(charge.steps),
    )


def emergency_price(table: RateTable, number: str, product: str) -> Price:
    """Return the price of an emergency call, which is nothing whatever the price list says."""
    rules = table.rules
    return Price(
        product=product,
        price_list=rules.price_list,
        version=rules.version,
        prefix="",
        destination=number,
        currency=rules.currency,
        vat=rules.vat.value,
        amount_micro=0,
        exact="0/1",
        billed_s=0,
        steps=[Step(key="price.emergency", values={"number": number})],
    )


def explain(price: Price, lang: str, texts: Texts) -> list[str]:
    """Return a price's steps as sentences in `lang` (`nb` or `en`), one a line, amounts written as people write them.

    A value named `…_micro` or `…_exact` fills the field without that ending.
    """
    return [texts.say(step.key, lang, **_fields(step, price.currency, lang)) for step in price.steps]


def _fields(step: Step, currency: str, lang: str) -> dict[str, str]:
    fields = {}
    for name, value in step.values.items():
        if name.endswith(_MONEY):
            fields[name.removesuffix(_MONEY)] = format_amount(int(value), currency, lang)
        elif name.endswith(_EXACT_MONEY):
            fields[name.removesuffix(_EXACT_MONEY)] = format_exact(parse_exact(value), currency, lang)
        else:
            fields[name] = value
    return fields
