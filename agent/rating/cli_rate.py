"""What a call would cost, asked at a keyboard: number as typed, product, seconds, folder of price lists."""

from __future__ import annotations

from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final

from agent.core.cdr import Price
from agent.core.numbers import EMERGENCY, normalise
from agent.core.packs import Pack, PackBalance
from agent.rating.deck import Deck, load
from agent.rating.errors import NoPriceList, PriceListError
from agent.rating.rater import emergency_price, rate_call
from agent.rating.table import RateTable, rating_key

MAX_LISTS: Final = 32


def rate_report(
    number_as_typed: str,
    product: str,
    duration_s: int,
    price_list_dir: Path,
    *,
    start: datetime | None = None,
    zone: tzinfo | None = None,
    pack_s: int = 0,
) -> Price:
    """Price a call of `duration_s` seconds answered at `start` (aware), by the clocks of `zone`.

    `pack_s`: as if a minute pack that holds for the number had so many seconds left; that needs `start` and `zone`.

    Raises NoRate, NoPriceList, and PriceListError where the product's price list is refused; ValueError for a
    duration below zero. An emergency number needs no price list.
    """
    if duration_s < 0:
        raise ValueError(f"a call cannot last {duration_s} seconds")
    number = normalise(number_as_typed)
    try:
        table = RateTable.of(find_deck(product, price_list_dir))
    except PriceListError:
        if number in EMERGENCY:
            return emergency_price(None, number, product)
        raise
    digits = rating_key(number)
    packs = [PackBalance(Pack("--pack", (digits,), pack_s))] if pack_s > 0 and digits else []
    return rate_call(table, number, duration_s * 1000, product, start=start, zone=zone, packs=packs)


def find_deck(product: str, price_list_dir: Path) -> Deck:
    """Return the price list that names `product` in its header: the file of the product's name first, then the others.

    Raises NoPriceList, and PriceListError where a list is refused before the right one is found: it might be the one.
    """
    if not price_list_dir.is_dir():
        raise NoPriceList(f"{price_list_dir}: there is no such folder of price lists")
    known: set[str] = set()
    paths = sorted(price_list_dir.glob("*.csv"), key=lambda path: (path.stem != product, path.name))
    for path in paths[:MAX_LISTS]:
        deck = load(path)
        if product in deck.header.products:
            return deck
        known.update(deck.header.products)
    advice = f"known are {', '.join(sorted(known))}" if known else "put its list (NAME.csv) there"
    raise NoPriceList(f"{price_list_dir.name}: no price list belongs to the product '{product[:64]}': {advice}")
