"""Hold and resume of one call: one offer at a time, offered again where it crossed one of the far end.

Whoever has refused to be held need not be resumed: he has been told nothing, and would perhaps refuse that, too.

A re-INVITE that meets the other side's own is refused with 491 on both; who made the Call-ID waits longer, so that the
next attempts do not cross again (RFC 3261 §14.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

MAX_ATTEMPTS: Final = 4
"""Whoever crosses us this often is not somebody who does it by chance."""
_STEP_MS: Final = 10
_OWNER_MS: Final = (2_100, 4_000)
_OTHER_MS: Final = (0, 2_000)
_REQUEST_PENDING: Final = 491


class Offer(Struct, frozen=True):
    """Send a re-INVITE now: `held` a=sendonly, else a=sendrecv."""

    held: bool


class Settled(Struct, frozen=True):
    """An offer has come to its end; `ok`: the far end agreed."""

    held: bool
    ok: bool


HoldStep = Offer | Settled


def crossing_wait_ms(*, owner: bool, uniform: float) -> int:
    """How long to wait before an offer that crossed another is made again, in steps of 10 ms (RFC 3261 §14.1).

    `owner`: whether we made the Call-ID. `uniform`: 0 ≤ u < 1.
    """
    shortest, longest = _OWNER_MS if owner else _OTHER_MS
    steps = (longest - shortest) // _STEP_MS
    return shortest + _STEP_MS * int(uniform * (steps + 1))


class Hold:
    """What has been offered in one call. `owner`: whether we made its Call-ID; times in ms of the boot clock."""

    def __init__(self, *, owner: bool, uniform: Callable[[], float]) -> None:
        self._owner = owner
        self._uniform = uniform
        self._agreed = False
        """What the far end has agreed to last."""
        self._offered: bool | None = None
        self._next: bool | None = None
        self._attempts = 0
        self._again_ms: int | None = None

    @property
    def pending(self) -> bool:
        """Whether an offer is under way, or waits for its next attempt."""
        return self._offered is not None

    def deadline(self) -> int | None:
        """When `tick` wants to be called."""
        return self._again_ms

    def want(self, *, held: bool) -> list[HoldStep]:
        """The user holds or resumes; what comes while an offer is under way waits for its end, only the last of it.

        Of what was overtaken no more is heard.
        """
        if self._offered is None:
            return self._offer(held)
        self._next = held
        return []

    def answered(self, code: int, now: int) -> list[HoldStep]:
        """The final status of the offer; 491 also where it could not be sent because the far end's is under way."""
        offered = self._offered
        if offered is None or self._again_ms is not None:
            return []
        if code == _REQUEST_PENDING and self._attempts < MAX_ATTEMPTS:
            self._again_ms = now + crossing_wait_ms(owner=self._owner, uniform=self._uniform())
            return []
        self._offered = None
        following, self._next = self._next, None
        ok = 200 <= code < 300
        self._agreed = offered if ok else self._agreed
        done: list[HoldStep] = [Settled(offered, ok)]
        return done if following is None else [*done, *self._offer(following)]

    def tick(self, now: int) -> list[HoldStep]:
        """Time has passed."""
        if self._offered is None or self._again_ms is None or now < self._again_ms:
            return []
        self._again_ms = None
        self._attempts += 1
        return [Offer(self._offered)]

    def _offer(self, held: bool) -> list[HoldStep]:  # noqa: FBT001  the only thing an offer says
        if held is self._agreed:
            return [Settled(held, ok=True)]
        self._offered, self._attempts = held, 1
        return [Offer(held)]
