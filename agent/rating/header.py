"""The header of a deck: what a price list says once for all its rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Final

from msgspec import Struct

from agent.core.civil import Days, WindowError, parse_days
from agent.core.explanation import percent_text
from agent.core.money import Rounding
from agent.core.tariff import PriceRules, Vat

NOTE: Final = "note"
"""The one key that may be repeated, and says nothing to a program."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_PERCENT = re.compile(r"(0|[1-9][0-9]?)(?:\.[0-9]{1,2})?", re.ASCII)
MAX_HOLIDAYS: Final = 100
_LABEL_ADVICE: Final = "use 1 to 64 letters, digits, points, hyphens or underscores"


class Header(Struct, frozen=True):
    """Rules for every price, the products that the list belongs to, and the civil date from which it prices."""

    rules: PriceRules
    products: tuple[str, ...]
    valid_from: date


def _products(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _is_label(text: str) -> bool:
    return _LABEL.fullmatch(text) is not None


def _days(text: str) -> tuple[Days, ...] | None:
    parts = text.split(",")
    if len(parts) > MAX_HOLIDAYS:
        return None
    try:
        return tuple(parse_days(part.strip()) for part in parts)
    except WindowError:
        return None


def _basis_points(text: str) -> int:
    whole, _, decimals = text.partition(".")
    return int(whole) * 100 + int(decimals.ljust(2, "0"))


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
_OPTIONAL: Final[dict[str, tuple[Callable[[str], bool], str]]] = {
    "vat_percent": (
        lambda text: _PERCENT.fullmatch(text) is not None,
        "use a percentage from 0 to 99.99 with a decimal point, such as 25 or 12.5",
    ),
    "holidays": (
        lambda text: _days(text) is not None,
        f"list at most {MAX_HOLIDAYS} days with commas between, such as 12-25 or 2026-04-03",
    ),
}
KEYS: Final = (*_CHECKS, *_OPTIONAL)


def faults(values: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return (key, value, advice) for everything that is missing or wrong; empty where `read` will do."""
    found = []
    for key, (is_right, advice) in _CHECKS.items():
        if key not in values:
            found.append((key, "", f"the header lacks the line '# {key}: …'"))
        elif not is_right(values[key]):
            found.append((key, values[key], advice))
    for key, (is_right, advice) in _OPTIONAL.items():
        if key in values and not is_right(values[key]):
            found.append((key, values[key], advice))
    if (values.get("vat") == Vat.ADDED) is not ("vat_percent" in values):
        found.append(("vat_percent", values.get("vat_percent", ""), "a list with 'vat: added' names it, and no other"))
    return found


def read(values: dict[str, str]) -> Header:
    """Return the header of values without `faults`."""
    rules = PriceRules(
        price_list=values["price_list"], version=values["version"], currency=values["currency"], vat=Vat(values["vat"]),
        rounding=Rounding(values["rounding"]), decimals=int(values["decimals"]), seconds=Rounding(values["seconds"]),
        vat_bp=_basis_points(values.get("vat_percent", "0")),
        holidays=(_days(values["holidays"]) or ()) if "holidays" in values else (),
    )  # fmt: skip
    return Header(rules, _products(values["product"]), date.fromisoformat(values["valid_from"]))


def write(header: Header) -> dict[str, str]:
    """Return the values that `read` reads as `header`, in canonical order."""
    rules = header.rules
    texts = (
        rules.price_list, ",".join(header.products), rules.currency, rules.vat.value, rules.version,
        header.valid_from.isoformat(), rules.rounding.value, str(rules.decimals), rules.seconds.value,
    )  # fmt: skip
    written = dict(zip(_CHECKS, texts, strict=True))
    if rules.vat is Vat.ADDED:
        written["vat_percent"] = percent_text(rules.vat_bp)
    if rules.holidays:
        written["holidays"] = ",".join(map(str, rules.holidays))
    return written
