"""Which way an emergency call goes first: the targets are asked whether they live, all at once, for half a second.

The line's own account wins with its first answer, because its number tells the emergency centre who calls and from
where. An answer by way of another account counts when the time is up. Silent targets stay, as a last resort: a server
may pass over an OPTIONS and take an INVITE.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

RACE_MS: Final = 500


class Attempt(Struct, frozen=True):
    """One way to set a call up: account, its target, and the SIP user part to call."""

    account: str
    target: int
    user: str


class Race:
    """One race between the attempts of a call, of which the first is by its own account."""

    def __init__(self, attempts: Sequence[Attempt], now: int) -> None:
        self._attempts = tuple(attempts)
        self._alive: list[Attempt] = []
        self.ends_ms = now + RACE_MS

    def answered(self, account: str, target: int) -> bool:
        """A target lives; whether the race is decided by that."""
        found = [one for one in self._attempts if (one.account, one.target) == (account, target)]
        self._alive += [one for one in found if one not in self._alive]
        return bool(found) and account == self._attempts[0].account

    def order(self) -> tuple[Attempt, ...]:
        """The attempts, the living ones first, among them those of the line's own account first."""
        own = self._attempts[0].account
        alive = sorted(self._alive, key=lambda one: one.account != own)
        return (*alive, *(one for one in self._attempts if one not in alive))
