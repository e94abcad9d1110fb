"""What is doubtful in a price list that is sound: prices that look like slips, rows that say nothing, old lists.

What a deck may not have at all (an hour without price, a free bare 47, a code mangled by a spreadsheet) is refused
where it is read, in `agent.rating.deck`. Here are the findings about which a person decides.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby, pairwise
from operator import attrgetter
from statistics import median_low
from typing import Final

import msgspec
from msgspec import Struct

from agent.core.civil import DAY_S
from agent.core.money import format_amount
from agent.core.numbers import split_country_code
from agent.core.tariff import Rate
from agent.rating.deck import Deck
from agent.rating.wording import price_text

STALE_DAYS: Final = 90
_SLIP_IN_DESTINATION: Final = 5
"""A price this many times below the others of the same destination is a likely slip: they are usually one price."""
_SLIP_ABOVE: Final = 10
"""So many times above the others of the destination: a decimal sign was lost. Countries have their dear numbers."""
_SLIP_IN_COUNTRY: Final = 50
"""The same among all prices of a country, where fixed and mobile numbers differ by up to 30 times in real decks."""
_SLIP_BELOW_COUNTRY: Final = 10
"""The same against the country's own row, which is what its cheapest numbers cost."""
_MIN_OTHERS: Final = 2
_NORWAY: Final = "47"
_NATIONAL_DIGITS: Final = 8
_LONG_SERIES: Final = "4758"
"""Machines: the one Norwegian series of twelve digits (Nkom)."""


class FindingKind(enum.StrEnum):
    """What may be wrong."""

    SLIP = "slip"
    FREE = "free"
    FUTURE = "future"
    GAP = "gap"
    UNREACHABLE = "unreachable"
    EXPIRED = "expired"
    STALE = "stale"


class Finding(Struct, frozen=True):
    """One doubt. `row` is the line of the deck, 0 where it is about the whole list.

    `values` fill the sentence `deck-check.<sentence>`; texts of amounts are written in the language asked for.
    """

    kind: FindingKind
    row: int
    prefix: str
    sentence: str
    values: Mapping[str, str] = msgspec.field(default_factory=dict)


def check(deck: Deck, today: date, lang: str = "en", *, newest: date | None = None) -> list[Finding]:
    """Return all doubts about a deck as of `today`, in the order of its rows. `newest`: latest day its sheet names."""
    found = [*_stale(deck, today, newest)]
    by_prefix = {prefix: tuple(rows) for prefix, rows in groupby(deck.rates, attrgetter("prefix"))}
    rows_found: list[Finding] = []
    for prefix, rows in by_prefix.items():
        rows_found += _dated(prefix, rows, by_prefix, today, deck, lang)
        rows_found += _unreachable(prefix, rows, by_prefix)
        rows_found += _free_abroad(prefix, rows)
    rows_found += _slips(deck, lang)
    return found + sorted(rows_found, key=lambda finding: (finding.row, finding.kind))


def _stale(deck: Deck, today: date, newest: date | None) -> Iterator[Finding]:
    days = [deck.header.valid_from, *(rate.valid_from for rate in deck.rates if rate.valid_from is not None)]
    latest = newest or max(days)
    if today - latest > timedelta(days=STALE_DAYS):
        values = {"day": latest.isoformat(), "days": str((today - latest).days), "limit": str(STALE_DAYS)}
        yield Finding(FindingKind.STALE, 0, "", "stale", values)


def _dated(
    prefix: str, rows: Sequence[Rate], by_prefix: Mapping[str, tuple[Rate, ...]], today: date, deck: Deck, lang: str
) -> Iterator[Finding]:
    for rate in rows:
        if rate.valid_until is not None and rate.valid_until < today:
            values = {"prefix": prefix, "until": rate.valid_until.isoformat()}
            yield Finding(FindingKind.EXPIRED, rate.row, prefix, "expired", values)
    starts = [rate.valid_from for rate in rows]
    first = min((day for day in starts if day is not None), default=None)
    if first is not None and None not in starts and first > today:
        yield _until_then(prefix, rows[0], first, by_prefix, deck, lang)
    for end, begin in _holes(rows):
        values = {"prefix": prefix, "from": end.isoformat(), "until": begin.isoformat()}
        yield Finding(FindingKind.GAP, rows[0].row, prefix, "gap", values)


def _until_then(
    prefix: str, rate: Rate, first: date, by_prefix: Mapping[str, tuple[Rate, ...]], deck: Deck, lang: str
) -> Finding:
    values = {"prefix": prefix, "destination": rate.destination, "day": first.isoformat()}
    above = (prefix[:length] for length in range(len(prefix) - 1, 0, -1))
    shorter = next((by_prefix[code] for code in above if code in by_prefix), None)
    if shorter is None:
        return Finding(FindingKind.FUTURE, rate.row, prefix, "future_alone", values)
    currency = deck.header.rules.currency
    values |= {
        "shorter": shorter[0].prefix, "price": price_text(rate, currency, lang),
        "until_then": price_text(shorter[0], currency, lang),
    }  # fmt: skip
    return Finding(FindingKind.FUTURE, rate.row, prefix, "future", values)


def _holes(rows: Sequence[Rate]) -> Iterator[tuple[date, date]]:
    """Yield first day and last of each time between two rows of a prefix in which none is in force."""
    if any(rate.valid_from is None and rate.valid_until is None for rate in rows):
        return
    spans = sorted((rate.valid_from or date.min, rate.valid_until or date.max) for rate in rows)
    covered = spans[0][1]
    for (_, _), (begin, end) in pairwise(spans):
        if begin > covered and begin - covered > timedelta(days=1):
            yield covered + timedelta(days=1), begin - timedelta(days=1)
        covered = max(covered, end)


def _unreachable(prefix: str, rows: Sequence[Rate], by_prefix: Mapping[str, tuple[Rate, ...]]) -> Iterator[Finding]:
    for index, rate in enumerate(rows):
        reason = _no_number(rate)
        if not reason and all(_hides(by_prefix.get(f"{prefix}{digit}", ())) for digit in range(10)):
            reason = "unreachable_below"
        if not reason and _is_covered(rate, rows[:index]):
            reason = "unreachable_window"
        if reason:
            yield Finding(FindingKind.UNREACHABLE, rate.row, prefix, reason, {"prefix": prefix})


def _no_number(rate: Rate) -> str:
    national = rate.prefix.removeprefix(_NORWAY)
    longest = 12 if rate.prefix.startswith(_LONG_SERIES) else _NATIONAL_DIGITS
    if rate.prefix.startswith(_NORWAY) and len(national) > longest:
        return "unreachable_long"
    return "unreachable_length" if not rate.lengths.exact and rate.lengths.high < len(rate.prefix) else ""


def _hides(rows: Sequence[Rate]) -> bool:
    return any(rate.is_timeless and not rate.lengths.exact and rate.lengths.high == 15 for rate in rows)


def _is_covered(rate: Rate, earlier: Sequence[Rate]) -> bool:
    """Whether the earlier rows of the prefix leave no hour to this one. Dates in its window promise nothing."""
    window = rate.when
    before = [
        other.when
        for other in earlier
        if other.lengths.contain(rate.lengths, rate.prefix)
        and (other.valid_from is None or (rate.valid_from is not None and other.valid_from <= rate.valid_from))
        and (other.valid_until is None or (rate.valid_until is not None and rate.valid_until <= other.valid_until))
    ]
    if not before:
        return False
    edges = sorted({0, *(at for one in (window, *before) for pair in one.times for at in pair if at < DAY_S)})
    for weekday in range(1, 8):
        for holiday in (False, True):
            for second in edges:
                mine = window.dates or window.covers(weekday, second, holiday=holiday)
                if (
                    mine
                    and window.fits_time(second)
                    and not any(other.covers(weekday, second, holiday=holiday) for other in before)
                ):
                    return False
    return True


def _free_abroad(prefix: str, rows: Sequence[Rate]) -> Iterator[Finding]:
    for rate in rows:
        if rate.tariff.is_free and not prefix.startswith(_NORWAY):
            values = {"prefix": prefix, "destination": rate.destination}
            yield Finding(FindingKind.FREE, rate.row, prefix, "free", values)


def _slips(deck: Deck, lang: str) -> Iterator[Finding]:
    """Yield rows far below their destination or country, or far above their destination.

    Free rows and prices per call are no slips.
    """
    paid = [(rate, rate.tariff.intervals[0]) for rate in deck.rates if not rate.tariff.blocked]
    prices = {rate.row: first.rate_micro * 60 // first.unit_s for rate, first in paid if first.rate_micro}
    countries: dict[str, list[Rate]] = {}
    destinations: dict[tuple[str, str], list[Rate]] = {}
    for rate, _ in paid:
        if rate.row in prices:
            country, _ = split_country_code(rate.prefix)
            countries.setdefault(country, []).append(rate)
            destinations.setdefault((country, rate.destination), []).append(rate)
    medians = {name: median_low(prices[rate.row] for rate in rows) for name, rows in countries.items()}
    usual = {name: median_low(prices[rate.row] for rate in rows) for name, rows in destinations.items()}
    for country, rows in countries.items():
        own = min((prices[rate.row] for rate in rows if rate.prefix == country), default=0)
        for rate in rows:
            here, sentence, against = prices[rate.row], "slip", 0
            same = (country, rate.destination)
            beside = usual[same] if len(destinations[same]) > _MIN_OTHERS else 0
            if here * _SLIP_IN_DESTINATION <= beside:
                against = beside
            elif here >= beside * _SLIP_ABOVE > 0:
                sentence, against = "slip_above", beside
            elif here * _SLIP_BELOW_COUNTRY <= own:
                against = own
            elif len(rows) > _MIN_OTHERS and here * _SLIP_IN_COUNTRY <= medians[country]:
                against = medians[country]
            if against:
                currency = deck.header.rules.currency
                values = {
                    "prefix": rate.prefix, "destination": rate.destination, "country": country,
                    "price": format_amount(here, currency, lang), "usual": format_amount(against, currency, lang),
                }  # fmt: skip
                yield Finding(FindingKind.SLIP, rate.row, rate.prefix, sentence, values)
