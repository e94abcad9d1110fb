"""A row's price in a few characters, for lists of many rows: `NOK 0.29/min`, `NOK 5.00 + NOK 20.00/min`."""

from __future__ import annotations

from agent.core.money import format_amount
from agent.core.tariff import Rate, Tariff


def price_text(rate: Rate, currency: str, lang: str) -> str:
    """Return a row's price as a person reads it: `NOK 0.29/min`, `NOK 5.00 + NOK 20.00/min`, `–`."""
    tariff = rate.tariff
    if tariff.blocked:
        return "–"
    first, *later = tariff.intervals
    fee = format_amount(tariff.connect_fee_micro, currency, lang) if tariff.connect_fee_micro else ""
    rates = [
        f"{format_amount(part.rate_micro, currency, lang)}/{'min' if part.unit_s == 60 else f'{part.unit_s} s'}"
        for part in (first, *(part for part in later if part.rate_micro != first.rate_micro))
    ]
    return " + ".join(filter(None, (fee, "; ".join(rates))))


def full_text(rate: Rate, currency: str, lang: str) -> str:
    """Return `price_text` with increments in seconds, least and most charge, and hours: all that two rows differ by."""
    tariff = rate.tariff
    if tariff.blocked:
        return price_text(rate, currency, lang)
    bounds = [f"≥ {format_amount(tariff.minimum_micro, currency, lang)}"] if tariff.minimum_micro else []
    if tariff.maximum_micro is not None:
        bounds.append(f"≤ {format_amount(tariff.maximum_micro, currency, lang)}")
    hours = [] if rate.when.is_always else [str(rate.when)]
    return ", ".join((price_text(rate, currency, lang), *_increments(tariff), *bounds, *hours))


def _increments(tariff: Tariff) -> list[str]:
    if not any(part.rate_micro for part in tariff.intervals):
        return []
    first, last = tariff.intervals[0], tariff.intervals[-1]
    return [f"{first.increment_s}/{last.increment_s} s"]
