"""Lets requests through to a TLS server only while a check of its certificate is fresh; checks on threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from agent.core.target import Target
from agent.core.transports import Transport

FRESH_MS: Final = 10 * 60_000
"""How long a check counts: the library may connect again by itself in this time."""

Then = Callable[[str], None]
"""Told the outcome: empty, or why the server is refused."""


class TlsGate:
    """One for all accounts. `check` says why a target is refused, or '', and may take seconds; `later` runs a job on

    the stack's thread, to which all of this but the checks belongs.
    """

    def __init__(
        self, check: Callable[[Target], str], later: Callable[[Callable[[], None]], None], clock: Callable[[], int]
    ) -> None:
        self._check = check
        self._later = later
        self._clock = clock
        self._good_until_ms: dict[Target, int] = {}
        self._waiting: dict[Target, list[Then]] = {}

    def ask(self, target: Target, then: Then) -> None:
        """Call `then` at once where there is nothing to check, otherwise when the check has ended."""
        if target.transport is not Transport.TLS or self._clock() < self._good_until_ms.get(target, 0):
            then("")
            return
        waiting = self._waiting.setdefault(target, [])
        waiting.append(then)
        if len(waiting) == 1:
            threading.Thread(target=self._run, args=(target,), name="tls-check", daemon=True).start()

    def _run(self, target: Target) -> None:
        refusal = self._check(target)
        self._later(lambda: self._done(target, refusal))

    def _done(self, target: Target, refusal: str) -> None:
        if refusal:
            self._good_until_ms.pop(target, None)
        else:
            self._good_until_ms[target] = self._clock() + FRESH_MS
        for then in self._waiting.pop(target, []):
            then(refusal)
