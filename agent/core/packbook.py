"""What is left of each minute pack: used here, used elsewhere, and held for calls in progress.

A call in progress holds the seconds that its granted time would take, so that no other call is priced with them: the
price for which money was set aside stays true whatever other calls do. What it did not need it gives back at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.core.packs import Pack, PackBalance, PackUse

PackSeconds = Mapping[str, int]
"""Seconds used of each pack, by its id."""


class PackBook:
    """Seconds of the packs of one customer, by civil month (`2026-11`)."""

    def __init__(self) -> None:
        self._here: dict[str, dict[str, int]] = {}
        self._told: dict[str, dict[str, int]] = {}
        self._elsewhere: dict[str, dict[str, int]] = {}
        self._held: dict[str, tuple[PackUse, ...]] = {}

    def load(self, month: str, here: PackSeconds) -> None:
        """Take this adapter's own count of a month."""
        self._here[month] = dict(here)

    def observe(self, month: str, elsewhere: PackSeconds, told: PackSeconds) -> None:
        """Take the operator's word: what other devices have used, and what it knows of this one."""
        self._elsewhere[month] = dict(elsewhere)
        self._told[month] = dict(told)

    def used_s(self, pack: str, month: str) -> int:
        """Seconds used of a pack in a month, here and elsewhere; those that are held are not among them."""
        here, told = (count.get(month, {}).get(pack, 0) for count in (self._here, self._told))
        return max(here, told) + self._elsewhere.get(month, {}).get(pack, 0)

    def balances(self, packs: Iterable[Pack], call_id: str = "") -> tuple[PackBalance, ...]:
        """Return what one call finds of each pack: what other calls hold is gone, what it holds itself is not."""
        held: dict[tuple[str, str], int] = {}
        for name, uses in self._held.items():
            for use in uses if name != call_id else ():
                held[use.pack, use.month] = held.get((use.pack, use.month), 0) + use.seconds
        months = {*self._here, *self._told, *self._elsewhere, *(month for _, month in held)}
        return tuple(
            PackBalance(
                pack,
                tuple((month, self.used_s(pack.id, month) + held.get((pack.id, month), 0)) for month in sorted(months)),
            )
            for pack in packs
        )

    def hold(self, call_id: str, uses: Iterable[PackUse]) -> None:
        """Keep for a call what its granted time takes, in place of what was kept for it before."""
        self._held[call_id] = tuple(uses)

    def settle(self, call_id: str, uses: Iterable[PackUse]) -> None:
        """Count what a call has taken, and give back what was held for it."""
        self._held.pop(call_id, None)
        for use in uses:
            month = self._here.setdefault(use.month, {})
            month[use.pack] = month.get(use.pack, 0) + use.seconds

    def release(self, call_id: str) -> None:
        """Give back what was held for a call that took nothing."""
        self._held.pop(call_id, None)
