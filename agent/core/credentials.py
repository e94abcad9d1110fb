"""One attempt per 20 minutes with a refused credential, however many registrations share it.

A registrar that counts failures counts them by credential or by address, not by line. A line that stands registered
with the same credential is refreshed as if nothing had happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.core.registration import REFUSED_DELAY_MS, Registration


@dataclass(frozen=True, slots=True)
class Credential:
    """Who proves himself where, and with what secret."""

    domain: str
    auth_user: str
    password: str = field(repr=False)


class RefusedCredentials:
    """Which credentials have been refused, and until when each of them rests."""

    def __init__(self) -> None:
        self._rests_until_ms: dict[Credential, int] = {}

    def refused(self, credential: Credential, until_ms: int) -> None:
        """The platform refused it: no attempt before `until_ms`."""
        self._rests_until_ms[credential] = until_ms

    def accepted(self, credential: Credential) -> None:
        """The platform took it: whatever was refused with it may be tried again."""
        self._rests_until_ms.pop(credential, None)

    def keep(self, credentials: set[Credential]) -> None:
        """Forget every other one: it is no longer in use, and a corrected one starts afresh."""
        self._rests_until_ms = {one: until for one, until in self._rests_until_ms.items() if one in credentials}

    def may_begin(self, credential: Credential, registration: Registration, now: int) -> bool:
        """Whether an attempt that is due may go out now; if not, it is put off.

        An attempt with a refused credential uses up its turn for everybody, whatever becomes of it.
        """
        until_ms = self._rests_until_ms.get(credential)
        if until_ms is None or registration.registered:
            return True
        if now < until_ms:
            registration.hold(until_ms)
            return False
        self._rests_until_ms[credential] = now + REFUSED_DELAY_MS
        return True
