"""A price list of the whole world: 316,000 prefixes that are in use, with prices made up for them.

The prefixes and the names of the networks are those of libphonenumber (the `phonenumbers` package): where fixed numbers
are, and which network has which mobile numbers. Each destination has a price of its own, and some of its prefixes one
of a few others, so that there are some 3,000 prices, as in real lists of this size.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from phonenumbers.carrierdata import CARRIER_DATA
from phonenumbers.geodata import GEOCODE_DATA

from agent.core.numbers import split_country_code

HEADER = """\
# price_list: world
# product: world
# currency: NOK
# vat: included
# version: 1
# valid_from: 2026-01-01
# rounding: half_up
# decimals: 4
# seconds: up
prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum
"""
INCREMENTS = ("60,1,,", "60,60,,", "60,30,30:{rate}/60/6,")


def rows(seed: int = 7) -> Iterator[str]:
    """Yield a line of the deck for each prefix, sorted."""
    dice = random.Random(seed)
    prices: dict[str, str] = {}
    for prefix in sorted(set(GEOCODE_DATA) | set(CARRIER_DATA)):
        country, _ = split_country_code(f"+{prefix}")
        network = CARRIER_DATA.get(prefix, {}).get("en", "")
        destination = f"+{country} Mobile {network}".strip() if prefix in CARRIER_DATA else f"+{country}"
        destination = "".join(letter for letter in destination if letter.isprintable() and letter not in ',"')
        if destination not in prices or dice.random() < 0.005:
            price = f"{dice.randint(1, 60 if network else 30) * 0.05 + dice.randint(0, 9) * 0.001:.3f}"
            fee = dice.choice(("0", "0", "0", "0.49"))
            prices[destination] = f"{fee},{price},{dice.choice(INCREMENTS).format(rate=price)}"
        yield f"{prefix},{destination},{prices[destination]}"


def deck_text() -> str:
    """Return the whole deck."""
    return HEADER + "\n".join(rows()) + "\n"


def numbers(count: int, seed: int = 11) -> list[str]:
    """Return canonical numbers of 10 to 13 digits that begin with prefixes of the list, no two alike."""
    dice = random.Random(seed)
    known = sorted(set(GEOCODE_DATA) | set(CARRIER_DATA))
    found: dict[str, None] = {}
    while len(found) < count:
        rest = "".join(dice.choices("0123456789", k=10))
        found[f"{dice.choice(known)}{rest}"[: dice.randint(10, 13)]] = None
    return list(found)
