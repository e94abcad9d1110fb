"""What others would have built: three raters of one deck, with the same rules as ours, to measure beside it.

Each has `find(digits)`, the most specific row; (a) also has `price(digits, duration_ms)`. They know no windows, dates,
lengths or packs, which the deck that they are measured on does not have.
"""

from __future__ import annotations

import sqlite3
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal
from typing import Final, Protocol

import marisa_trie

from agent.core.money import MICRO, Rounding
from agent.core.tariff import AtMaximum, PriceRules, Tariff, Vat
from agent.rating.deck import Deck

_MODES: Final = {
    Rounding.UP: ROUND_UP, Rounding.DOWN: ROUND_DOWN, Rounding.HALF_UP: ROUND_HALF_UP,
    Rounding.HALF_EVEN: ROUND_HALF_EVEN,
}  # fmt: skip


class Finder(Protocol):
    """A way to the most specific row."""

    def find(self, digits: str) -> object:
        """Return destination and tariff."""


class DecimalTariff:
    """A tariff in decimals: what a call costs is counted as on paper."""

    __slots__ = ("fee", "intervals", "least", "most")

    def __init__(self, tariff: Tariff) -> None:
        if tariff.blocked or tariff.at_maximum is not AtMaximum.FREE:
            raise ValueError("a tariff that is not measured")
        self.fee = Decimal(tariff.connect_fee_micro) / MICRO
        self.least = Decimal(tariff.minimum_micro) / MICRO
        self.most = None if tariff.maximum_micro is None else Decimal(tariff.maximum_micro) / MICRO
        self.intervals = [
            (part.from_s, Decimal(part.rate_micro) / MICRO, part.unit_s, part.increment_s) for part in tariff.intervals
        ]


class DecimalPrices:
    """The rules of a price list in decimals."""

    def __init__(self, rules: PriceRules) -> None:
        self.seconds = _MODES[rules.seconds]
        self.rounding = _MODES[rules.rounding]
        self.quantum = Decimal(1).scaleb(-rules.decimals)
        self.factor = Decimal(10_000 + rules.vat_bp) / 10_000 if rules.vat is Vat.ADDED else None

    def amount(self, tariff: DecimalTariff, duration_ms: int) -> tuple[Decimal, Decimal, int]:
        """Return the rounded amount, the unrounded one and the billed seconds of an answered call."""
        seconds = int((Decimal(duration_ms) / 1000).to_integral_value(self.seconds))
        spent, billed_s = Decimal(0), 0
        intervals = tariff.intervals
        for place, (from_s, rate, unit_s, increment_s) in enumerate(intervals):
            if from_s >= seconds:
                break
            end = min(seconds, intervals[place + 1][0]) if place + 1 < len(intervals) else seconds
            charged_s = -(-(end - from_s) // increment_s) * increment_s
            billed_s += charged_s
            spent += rate * charged_s / unit_s
        spent += tariff.fee
        if spent < tariff.least:
            spent = tariff.least
        if tariff.most is not None and spent > tariff.most:
            spent = tariff.most
        if self.factor is not None:
            spent *= self.factor
        return spent.quantize(self.quantum, self.rounding), spent, billed_s


class DictRater:
    """(a) One dict for each length of prefix, longest first, and decimals."""

    def __init__(self, deck: Deck) -> None:
        by_length: dict[int, dict[str, tuple[str, DecimalTariff]]] = {}
        tariffs: dict[Tariff, DecimalTariff] = {}
        for rate in deck.rates:
            tariff = tariffs.setdefault(rate.tariff, DecimalTariff(rate.tariff))
            by_length.setdefault(len(rate.prefix), {})[rate.prefix] = (rate.destination, tariff)
        self._by_length = sorted(by_length.items(), reverse=True)
        self._prices = DecimalPrices(deck.header.rules)

    def find(self, digits: str) -> tuple[str, DecimalTariff] | None:
        """Return the most specific row."""
        for length, prefixes in self._by_length:
            found = prefixes.get(digits[:length])
            if found is not None:
                return found
        return None

    def price(self, digits: str, duration_ms: int) -> tuple[Decimal, Decimal, int]:
        """Return amount, unrounded amount and billed seconds."""
        found = self.find(digits)
        if found is None:
            raise KeyError(digits)
        return self._prices.amount(found[1], duration_ms)


class SqliteRater:
    """(b) A table in memory, asked for all beginnings of the number at once."""

    def __init__(self, deck: Deck, path: str = ":memory:") -> None:
        self._database = sqlite3.connect(path)
        self._database.execute("CREATE TABLE rate(prefix TEXT PRIMARY KEY, destination TEXT, tariff INT) WITHOUT ROWID")
        tariffs: dict[Tariff, int] = {}
        self._database.executemany(
            "INSERT INTO rate VALUES (?, ?, ?)",
            (
                (rate.prefix, rate.destination, tariffs.setdefault(rate.tariff, len(tariffs)))
                for rate in deck.rates
            ),
        )  # fmt: skip
        self._database.commit()
        self.tariffs = list(tariffs)
        marks = ",".join("?" * 15)
        self._query = f"SELECT destination, tariff FROM rate WHERE prefix IN ({marks}) ORDER BY prefix DESC LIMIT 1"

    def find(self, digits: str) -> tuple[str, Tariff] | None:
        """Return the most specific row."""
        beginnings = [digits[:length] for length in range(1, 16)]
        row = self._database.execute(self._query, beginnings).fetchone()
        return None if row is None else (row[0], self.tariffs[row[1]])


class RecordRater:
    """(c) A RecordTrie: destination and tariff by their place."""

    def __init__(self, deck: Deck) -> None:
        tariffs: dict[Tariff, int] = {}
        destinations: dict[str, int] = {}
        self.trie = marisa_trie.RecordTrie(
            "<II",
            (
                (rate.prefix, (destinations.setdefault(rate.destination, len(destinations)),
                               tariffs.setdefault(rate.tariff, len(tariffs))))
                for rate in deck.rates
            ),
        )  # fmt: skip
        self.tariffs = list(tariffs)
        self.destinations = list(destinations)

    def find(self, digits: str) -> tuple[str, Tariff] | None:
        """Return the most specific row."""
        prefixes = self.trie.prefixes(digits)
        if not prefixes:
            return None
        destination, tariff = self.trie[prefixes[-1]][0]
        return self.destinations[destination], self.tariffs[tariff]


class Rivals:
    """All of them, and the bare trie."""

    def __init__(self, deck: Deck) -> None:
        self.decimals, self.sqlite, self.records = DictRater(deck), SqliteRater(deck), RecordRater(deck)
        self.trie = marisa_trie.Trie([rate.prefix for rate in deck.rates])
