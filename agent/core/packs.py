"""Minute packs: included seconds in each calendar month to the destinations that the customer chose.

A pack gives answered time only, in its own increments, and its connect fee (mostly none) in place of the price list's.
Several packs are used up in the order of `order`, then of `id`. What they do not cover goes on at the normal price,
without a connect fee of its own. A pack is never spent where the row in force is free. A call over the
end of a month uses each month's seconds for its own part; an increment belongs to the month in which it began.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct, structs

from agent.core.tariff import MAX_RATE_MICRO, MAX_SECONDS

MAX_PREFIXES: Final = 1_000
MAX_PACK_S: Final = 31 * MAX_SECONDS

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)
_PREFIX = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)


class PackError(ValueError):
    """A pack contradicts itself; the message names the pack, the field and what to do."""


class Pack(Struct, frozen=True):
    """`seconds` a month, counted in whole increments of `increment_s`, to numbers that begin with one of `prefixes`.

    Where `excluded` names a longer beginning of the number, the pack does not hold there. Months are `2026-11`; empty
    is open.
    """

    id: str
    prefixes: tuple[str, ...]
    seconds: int
    increment_s: int = 1
    excluded: tuple[str, ...] = ()
    connect_fee_micro: int = 0
    order: int = 0
    first_month: str = ""
    last_month: str = ""

    def covers(self, digits: str) -> bool:
        """Whether calls to a number (digits from the country code on) are in the pack."""
        return _longest(self.prefixes, digits) > _longest(self.excluded, digits)

    def holds_in(self, month: str) -> bool:
        """Whether the customer has the pack in that month."""
        return self.first_month <= month and (not self.last_month or month <= self.last_month)


class PackUse(Struct, frozen=True):
    """Seconds that one call took from one pack in one month."""

    pack: str
    month: str
    seconds: int


class PackBalance(Struct, frozen=True):
    """A pack and the seconds already used in each month."""

    pack: Pack
    used: tuple[tuple[str, int], ...] = ()

    def left_s(self, month: str) -> int:
        """Seconds left in `month`; never below zero, whatever other devices have used."""
        if not self.pack.holds_in(month):
            return 0
        return max(0, self.pack.seconds - dict(self.used).get(month, 0))


class Meter:
    """The packs of one call while it is being priced: what is left goes down."""

    def __init__(self, balances: Sequence[PackBalance]) -> None:
        self._balances = balances
        self._taken: dict[tuple[str, str], int] = {}

    def usable(self, month: str) -> tuple[Pack, int] | None:
        """Return the pack whose turn it is and how many of its increments are left in `month`; None without any."""
        for balance in self._balances:
            pack = balance.pack
            left = balance.left_s(month) - self._taken.get((pack.id, month), 0)
            if left >= pack.increment_s:
                return pack, left // pack.increment_s
        return None

    def take(self, pack: Pack, month: str, seconds: int) -> None:
        """Use up `seconds` of what `usable` offered."""
        key = (pack.id, month)
        self._taken[key] = self._taken.get(key, 0) + seconds


def validate_pack(pack: Pack) -> None:
    """Raise PackError unless the pack says something possible."""
    if not pack.id or len(pack.id) > 64:
        raise PackError("minute pack: id: write 1 to 64 characters")
    for field in ("prefixes", "excluded"):
        listed: tuple[str, ...] = getattr(pack, field)
        if len(listed) > MAX_PREFIXES or (field == "prefixes" and not listed):
            raise PackError(f"minute pack {pack.id}: {field}: list 1 to {MAX_PREFIXES} beginnings of numbers")
        for prefix in listed:
            if not _PREFIX.fullmatch(prefix):
                raise PackError(f"minute pack {pack.id}: {field}: '{prefix[:24]}': digits from the country code on")
    if not 1 <= pack.increment_s <= MAX_SECONDS:
        raise PackError(f"minute pack {pack.id}: increment_s: {pack.increment_s} is not between 1 and {MAX_SECONDS}")
    if not 1 <= pack.seconds <= MAX_PACK_S or pack.seconds % pack.increment_s:
        raise PackError(
            f"minute pack {pack.id}: seconds: {pack.seconds} is no number of whole increments of {pack.increment_s} s "
            f"between 1 and {MAX_PACK_S} s"
        )
    if not 0 <= pack.connect_fee_micro <= MAX_RATE_MICRO:
        raise PackError(f"minute pack {pack.id}: connect_fee: it is not between 0 and {MAX_RATE_MICRO} micro-units")
    for field in ("first_month", "last_month"):
        month: str = getattr(pack, field)
        if month and not _MONTH.fullmatch(month):
            raise PackError(f"minute pack {pack.id}: {field}: '{month[:24]}': write a month such as 2026-11")


def covering(balances: Iterable[PackBalance], digits: str) -> tuple[PackBalance, ...]:
    """Return the packs that hold for a number, in the order in which they are used up."""
    held = (balance for balance in balances if balance.pack.covers(digits))
    return tuple(sorted(held, key=lambda balance: (balance.pack.order, balance.pack.id)))


def after(balances: Sequence[PackBalance], uses: Iterable[PackUse]) -> tuple[PackBalance, ...]:
    """Return the balances when a call has taken `uses`."""
    taken: dict[str, dict[str, int]] = {}
    for use in uses:
        months = taken.setdefault(use.pack, {})
        months[use.month] = months.get(use.month, 0) + use.seconds
    return tuple(
        structs.replace(balance, used=_added(balance.used, taken[balance.pack.id]))
        if balance.pack.id in taken
        else balance
        for balance in balances
    )


def _added(used: tuple[tuple[str, int], ...], taken: dict[str, int]) -> tuple[tuple[str, int], ...]:
    total = dict(used)
    for month, seconds in taken.items():
        total[month] = total.get(month, 0) + seconds
    return tuple(sorted(total.items()))


def _longest(prefixes: tuple[str, ...], digits: str) -> int:
    return max((len(prefix) for prefix in prefixes if digits.startswith(prefix)), default=0)
