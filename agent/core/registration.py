"""When to REGISTER next, and through which target: it never gives up and never hammers.

* Accepted: refresh at a random 50-90 % of the granted time, so that a failed refresh leaves room for more attempts and
  a street of adapters does not refresh in step.
* No answer, or a server error: full jitter, uniform(0, min(300 s, 2 s · 2^n)), n growing once per round of targets; a
  target that did not answer is followed by the next one.
* Retry-After (RFC 3261 §20.33) is obeyed. 401, 403, 407: the platform has judged the credential, and asking again soon
  earns a ban: once per 20 minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MAX_DELAY_MS: Final = 300_000
REFUSED_DELAY_MS: Final = 20 * 60_000
MAX_RETRY_AFTER_MS: Final = 3_600_000
"""A Retry-After of days is a mistake: a telephone that is dead until next week helps nobody."""
ATTEMPT_TIMEOUT_MS: Final = 45_000
"""Timer F (RFC 3261 §17.1.2.2: 32 s) ends a REGISTER; one whose end is never reported counts as unanswered."""

_BASE_DELAY_MS: Final = 2_000
_MIN_DELAY_MS: Final = 250
_JITTER_MS: Final = 10_000
_MAX_DOUBLINGS: Final = 10
_CREDENTIAL_REFUSED: Final = frozenset({401, 403, 407})
_BINDING_REFUSED: Final = frozenset({401, 403, 404, 407})
"""The registrar has judged us, or does not know us: it holds no binding of ours (RFC 3261 §10.3)."""


class Registration:
    """The registration of one account with `targets` targets. `uniform` returns random numbers in 0 ≤ u < 1."""

    def __init__(self, targets: int, uniform: Callable[[], float], now: int) -> None:
        self._targets = targets
        self._uniform = uniform
        self._attempt_ends_ms: int | None = None
        self._due_ms: int | None = now
        self._expires_ms: int | None = None
        self._failures = 0
        self._round = 0
        self.target = 0
        """The target of the next attempt, or the one that answered last."""
        self.code = 0
        self.reason = ""
        self.on_wire = True
        self.since_ms = now
        """When `registered`, or the reason why not, last changed."""

    @property
    def registered(self) -> bool:
        """Whether the registrar holds our binding, as far as can be known."""
        return self._expires_ms is not None

    @property
    def attempts(self) -> int:
        """Failed attempts since the last success."""
        return self._failures

    @property
    def next_attempt_ms(self) -> int | None:
        """When the next REGISTER is due; None while one is under way."""
        return self._due_ms

    def deadline(self) -> int | None:
        """When `tick` wants to be called; an attempt that is due is not its business."""
        ends = [at for at in (self._attempt_ends_ms, self._expires_ms) if at is not None]
        return min(ends, default=None)

    def begin(self, now: int) -> int:
        """Note that a REGISTER goes out; returns the number of the target to use."""
        self._due_ms = None
        self._attempt_ends_ms = now + ATTEMPT_TIMEOUT_MS
        return self.target

    def accepted(self, expires_s: int, now: int) -> None:
        """The registrar granted `expires_s` seconds."""
        granted_ms = max(1, expires_s) * 1000
        if not self.registered:
            self.since_ms = now
        self._attempt_ends_ms = None
        self._expires_ms = now + granted_ms
        self._due_ms = now + int(granted_ms * (0.5 + 0.4 * self._uniform()))
        self._failures = self._round = 0
        self.code, self.reason, self.on_wire = 200, "", True

    def failed(self, code: int, reason: str, now: int, *, on_wire: bool, retry_after_s: int | None = None) -> None:
        """A REGISTER did not succeed; `on_wire` false: nobody answered and `code` is the library's own."""
        self._attempt_ends_ms = None
        if on_wire and code in _BINDING_REFUSED:
            # Silence and an overloaded registrar (RFC 3261 §21.5.4) prove nothing before the granted time has run out.
            self._expires_ms = None
        if (self.code, self.on_wire) != (code, on_wire):
            self.since_ms = now
        self.code, self.reason, self.on_wire = code, reason, on_wire
        self._failures += 1
        self._due_ms = now + self._delay(code, retry_after_s, on_wire=on_wire)
        if not on_wire or code >= 500:
            self.target = (self.target + 1) % self._targets

    def removed(self, now: int) -> None:
        """The binding is gone without our asking, or after it: register again at once."""
        self._expires_ms, self.since_ms = None, now
        if self._attempt_ends_ms is None:
            self._due_ms = now

    def tick(self, now: int) -> None:
        """Time has passed: an attempt may have gone unreported, a binding may have expired."""
        if self._attempt_ends_ms is not None and now >= self._attempt_ends_ms:
            self.failed(408, "no result", now, on_wire=False)
        if self._expires_ms is not None and now >= self._expires_ms:
            self._expires_ms, self.since_ms = None, now

    def _delay(self, code: int, retry_after_s: int | None, *, on_wire: bool) -> int:
        if on_wire and retry_after_s is not None:
            asked_ms = min(max(0, retry_after_s) * 1000, MAX_RETRY_AFTER_MS)
            # Everybody was told the same moment: come a little later, never earlier.
            return max(_MIN_DELAY_MS, asked_ms + int(_JITTER_MS * self._uniform()))
        if on_wire and code in _CREDENTIAL_REFUSED:
            return REFUSED_DELAY_MS + int(_JITTER_MS * self._uniform())
        if self._failures > 1 and (self._failures - 1) % self._targets == 0:
            self._round = min(self._round + 1, _MAX_DOUBLINGS)
        ceiling = min(MAX_DELAY_MS, _BASE_DELAY_MS << self._round)
        return max(_MIN_DELAY_MS, int(ceiling * self._uniform()))
