"""The header of a deck: what a price list says once for all its rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from agent.core.money import Rounding
from agent.core.tariff import PriceRules, Vat

NOTE: Final = "note"
"""The one key that may be repeated, and says nothing to a program."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_LABEL_ADVICE: Final = "use 1 to 64 letters, digits, points, hyphens or underscores"


@dataclass(frozen=True, slots=True)
class Header:
    """Rules for every price, the products that the list belongs to, and the civil date from which it prices."""

    rules: PriceRules
    products: tuple[str, ...]
    valid_from: date


def _products(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _is_label(text: str) -> bool:
    return _LABEL.fullmatch(text) is not None


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


_CHECKS: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "price_list": (_is_label, _LABEL_ADVICE),
    "product": (lambda text: all(_is_label(part) for part in _products(text)), f"{_LABEL_ADVICE}; commas between"),
    "currency": (
        lambda text: re.fullmatch("[A-Z]{3}", text) is not None,
        "use three capital letters of ISO 4217, such as NOK",
    ),
    "vat": (lambda text: text in set(Vat), f"use one of {', '.join(Vat)}"),
    "version": (_is_label, _LABEL_ADVICE),
    "valid_from": (_is_date, "use a date such as 2026-01-01"),
    "rounding": (lambda text: text in set(Rounding), f"use one of {', '.join(Rounding)}"),
    "decimals": (lambda text: re.fullmatch("[0-6]", text) is not None, "use a number from 0 to 6"),
    "seconds": (lambda text: text in set(Rounding), f"use one of {', '.join(Rounding)}"),
}
KEYS: Final = tuple(_CHECKS)


def faults(values: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return (key, value, advice) for everything that is missing or wrong; empty where `read` will do."""
    found = []
    for key, (is_right, advice) in _CHECKS.items():
        if key not in values:
            found.append((key, "", f"the header lacks the line '# {key}: …'"))
        elif not is_right(values[key]):
            found.append((key, values[key], advice))
    return found


def read(values: dict[str, str]) -> Header:
    """Return the header of values without `faults`."""
    rules = PriceRules(
        price_list=values["price_list"], version=values["version"], currency=values["currency"], vat=Vat(values["vat"]),
        rounding=Rounding(values["rounding"]), decimals=int(values["decimals"]), seconds=Rounding(values["seconds"]),
    )  # fmt: skip
    return Header(rules, _products(values["product"]), date.fromisoformat(values["valid_from"]))


def write(header: Header) -> dict[str, str]:
    """Return the values that `read` reads as `header`, in canonical order."""
    rules = header.rules
    texts = (
        rules.price_list, ",".join(header.products), rules.currency, rules.vat.value, rules.version,
        header.valid_from.isoformat(), rules.rounding.value, str(rules.decimals), rules.seconds.value,
    )  # fmt: skip
    return dict(zip(KEYS, texts, strict=True))
