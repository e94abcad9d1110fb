"""One attempt per 20 minutes with a refused credential, however many registrations share it.

A registrar that counts failures counts them by credential or by address, not by line. A line that stands registered
with the same credential is refreshed as if nothing had happened. A process that begins is told what rested when the
one before it ended: a restart is no reason to ask again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.core.registration import REFUSED_DELAY_MS, Registration

_MARK_DIGITS = 32


@dataclass(frozen=True, slots=True)  # not a Struct: the password is not shown
class Credential:
    """Who proves himself where, and with what secret."""

    domain: str
    auth_user: str
    password: str = field(repr=False)

    @property
    def mark(self) -> str:
        """What a file may hold to know it again."""
        parts = (part.encode("utf-8", "surrogatepass") for part in (self.domain, self.auth_user, self.password))
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:_MARK_DIGITS]


class RefusedCredentials:
    """Which credentials have been refused, and until when each of them rests; `rests`: by mark, from before."""

    def __init__(self, rests: Mapping[str, int]) -> None:
        self._rests_until_ms: dict[str, int] = dict(rests)

    @property
    def rests(self) -> dict[str, int]:
        """By mark, until when each refused credential rests."""
        return dict(self._rests_until_ms)

    def refused(self, credential: Credential, until_ms: int) -> None:
        """The platform refused it: no attempt before `until_ms`."""
        self._rests_until_ms[credential.mark] = until_ms

    def accepted(self, credential: Credential) -> None:
        """The platform took it: whatever was refused with it may be tried again."""
        self._rests_until_ms.pop(credential.mark, None)

    def keep(self, credentials: set[Credential]) -> None:
        """Forget every other one: it is no longer in use, and a corrected one starts afresh."""
        marks = {credential.mark for credential in credentials}
        self._rests_until_ms = {mark: until for mark, until in self._rests_until_ms.items() if mark in marks}

    def may_begin(self, credential: Credential, registration: Registration, now: int) -> bool:
        """Whether an attempt that is due may go out now; if not, it is put off.

        An attempt with a refused credential uses up its turn for everybody, whatever becomes of it.
        """
        until_ms = self._rests_until_ms.get(credential.mark)
        if until_ms is None or registration.registered:
            return True
        if now < until_ms:
            registration.hold(until_ms)
            return False
        self._rests_until_ms[credential.mark] = now + REFUSED_DELAY_MS
        return True
