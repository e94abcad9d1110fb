"""When to REGISTER next, and through which target: it never gives up and never hammers.

* Accepted: refresh at a random 50-90 % of the granted time, so that a failed refresh leaves room for more attempts and
  a street of adapters does not refresh in step.
* No answer, or a server error: full jitter, uniform(0, min(300 s, 2 s · 2^n)), n growing once per round of targets; a
  target that did not answer is followed by the next one.
* A way that had lived and is lost: by another source port, then by a target with a safer transport.
* The network has changed: soon, with a small jitter, and patience starts anew. What has failed for long has company:
  the jitter is a sixtieth of that time, 10 s at most, and a lifted handset ends it.
* Retry-After is obeyed for the target that said it (RFC 3261 §20.33, §21.5.4); another one may be asked meanwhile.
* 401, 403, 407: the platform has judged the credential, and asking again soon earns a ban: once per 20 minutes.

Only an answer from the wire is the operator's word: what the library says by itself takes no binding away.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Final

from agent.core.transports import Transport

MAX_DELAY_MS: Final = 300_000
REFUSED_DELAY_MS: Final = 20 * 60_000
MAX_RETRY_AFTER_MS: Final = 3_600_000
"""A Retry-After of days is a mistake: a telephone that is dead until next week helps nobody."""
MAX_GRANTED_S: Final = 86_400
"""What a registrar grants beyond a day is not believed: bindings in routers and registrars do not live that long."""
ATTEMPT_TIMEOUT_MS: Final = 45_000
"""Timer F (RFC 3261 §17.1.2.2: 32 s) ends a REGISTER; one whose end is never reported counts as unanswered."""
JITTER_MS: Final = 10_000
"""Everybody was told the same moment, or was refused in it: come a little later, never earlier."""
HURRY_MS: Final = 1_000
"""The jitter of "at once"."""
_OUTAGE_TO_JITTER: Final = 60
"""An outage of minutes has more victims, who all see its end: who waited ten minutes waits up to ten seconds more."""
CALM_MS: Final = 5_000
"""However often the network changes, attempts in a hurry keep this distance."""

DEAD_MS: Final = 5 * 60_000
"""A target that has failed is not gone back to before this, however soon it answers again."""

_BASE_DELAY_MS: Final = 2_000
_MIN_DELAY_MS: Final = 250
_MAX_DOUBLINGS: Final = 10
CREDENTIAL_REFUSED: Final = frozenset({401, 403, 407})
_BINDING_REFUSED: Final = frozenset({401, 403, 404, 407})
"""The registrar has judged us, or does not know us: it holds no binding of ours (RFC 3261 §10.3)."""


class Status(enum.StrEnum):
    """State of a registration, named as TR-104 issue 2 does (`SIP.Client.{i}.Status`)."""

    INITIALIZING = "Initializing"
    REGISTERING = "Registering"
    UP = "Up"
    ERROR_NETWORK = "Error_Network"
    """Nobody answered: the code is the library's own."""
    ERROR_REGISTRATION = "Error_Registration"
    """The registrar answered, and refused."""
    ERROR_MISCONFIGURED = "Error_Misconfigured"
    """Nothing was sent: the account itself can't be used."""


class Registration:
    """The registration of one account with `targets` targets, first due at `due_ms` (default: `now`).

    `transports` are those of the targets, where they are not all UDP.
    `uniform` returns random numbers in 0 ≤ u < 1. `due_ms` beyond `now` is a courtesy that `lifted` ends.
    """

    def __init__(
        self, targets: int, uniform: Callable[[], float], now: int, due_ms: int | None = None,
        transports: Sequence[Transport] = (),
    ) -> None:  # fmt: skip
        self._transports = tuple(transports) or (Transport.UDP,) * targets
        self._lost = False
        self._not_before_ms = [0] * targets
        self._dead_until_ms = [0] * targets
        self._uniform = uniform
        self._attempt_ends_ms: int | None = None
        self._due_ms: int | None = now if due_ms is None else max(now, due_ms)
        self._courtesy_since_ms = now if due_ms is not None else None
        self._failing_since_ms: int | None = None
        self._refused_until_ms = 0
        self._expires_ms: int | None = None
        self._failures = 0
        self._round = 0
        self._begun_ms: int | None = None
        self._hurried = False
        self._trying: int | None = None
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
    def begun_ms(self) -> int | None:
        """When the last attempt began; None before the first."""
        return self._begun_ms

    @property
    def next_attempt_ms(self) -> int | None:
        """When the next REGISTER is due; None while one is under way."""
        return self._due_ms

    @property
    def status(self) -> Status:
        """The state in TR-104's words; a refresh that fails is no error while the binding stands."""
        if self.registered:
            return Status.UP
        if self._failures == 0:
            return Status.INITIALIZING if self._begun_ms is None else Status.REGISTERING
        if self._due_ms is None:
            return Status.REGISTERING
        if self.on_wire:
            return Status.ERROR_REGISTRATION
        return Status.ERROR_NETWORK if self.code else Status.ERROR_MISCONFIGURED

    def deadline(self) -> int | None:
        """When `tick` wants to be called; an attempt that is due is not its business."""
        ends = [at for at in (self._attempt_ends_ms, self._expires_ms) if at is not None]
        return min(ends, default=None)

    # --- attempts ----------------------------------------------------------------------------------------------------

    def begin(self, now: int) -> int:
        """Note that a REGISTER goes out; returns the number of the target to use."""
        self._due_ms = None
        self._begun_ms = now
        self._trying = self.target
        self._courtesy_since_ms = None
        self._hurried = False
        self._attempt_ends_ms = now + ATTEMPT_TIMEOUT_MS
        return self.target

    def accepted(self, expires_s: int, now: int) -> None:
        """The registrar granted `expires_s` seconds."""
        granted_ms = min(max(1, expires_s), MAX_GRANTED_S) * 1000
        if not self.registered:
            self.since_ms = now
        self._attempt_ends_ms = None
        self._lost = False
        self._expires_ms = now + granted_ms
        self._due_ms = now + int(granted_ms * (0.5 + 0.4 * self._uniform()))
        self._failures = self._round = self._refused_until_ms = 0
        self._failing_since_ms = None
        if self._trying is not None:
            self._not_before_ms[self._trying] = 0
        self.code, self.reason, self.on_wire = 200, "", True
        if self._hurried:
            # It may have left before the change: the binding may lead to an address that we no longer have.
            self.hurry(now)

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
        if self._failing_since_ms is None:
            self._failing_since_ms = now
        asked_ms = self._asked(retry_after_s) if on_wire else 0
        if on_wire and code in CREDENTIAL_REFUSED:
            asked_ms = max(asked_ms, REFUSED_DELAY_MS + int(JITTER_MS * self._uniform()))
            self._refused_until_ms = self._due_ms = now + asked_ms
            return
        delay_ms = self._delay()
        if asked_ms and self._trying is not None:
            self._not_before_ms[self._trying] = now + asked_ms
        if self._trying == self.target and (not on_wire or code >= 500):
            self._dead_until_ms[self.target] = now + DEAD_MS
            following = self._next_target(now, escalate=self._lost and not on_wire)
            # At the top of the ladder every target has its turn again.
            self._lost = self._lost and self._transports[following].rung > self._transports[self.target].rung
            self.target = following
        self._due_ms = max(now + delay_ms, self._not_before_ms[self.target])
        if self._hurried:
            self.hurry(now)

    def removed(self, now: int) -> None:
        """The binding is gone without our asking, or after it: register again at once."""
        self._expires_ms, self.since_ms = None, now
        if self._attempt_ends_ms is None:
            self._due_ms = max(now, self._refused_until_ms, self._not_before_ms[self.target])

    def tick(self, now: int) -> None:
        """Time has passed: an attempt may have gone unreported, a binding may have expired."""
        if self._attempt_ends_ms is not None and now >= self._attempt_ends_ms:
            self.failed(408, "no result", now, on_wire=False)
        if self._expires_ms is not None and now >= self._expires_ms:
            self._expires_ms, self.since_ms = None, now

    # --- the world ---------------------------------------------------------------------------------------------------

    def hurry(self, now: int) -> None:
        """The network has changed: attempt again at once, unless the operator has said when to come back."""
        if self._due_ms is None:
            self._hurried = True
            return
        self._hurried, self._round = False, 0
        earliest = max(now, self._refused_until_ms, self._not_before_ms[self.target])
        if self._begun_ms is not None:
            earliest = max(earliest, self._begun_ms + CALM_MS)
        failing_ms = now - self._failing_since_ms if self._failing_since_ms is not None else 0
        jitter_ms = min(JITTER_MS, max(HURRY_MS, failing_ms // _OUTAGE_TO_JITTER))
        soon = max(earliest, now + int(jitter_ms * self._uniform()))
        if soon < self._due_ms:
            self._due_ms, self._courtesy_since_ms = soon, earliest

    def lost(self, now: int) -> None:
        """The way to the target, which had lived, is dead: attempt again at once, by another source port.

        Where that brings no answer, either, a router may be spoiling what goes by this transport: the next target is
        then one that goes by a safer one, if there is any.
        """
        self._lost = True
        self.hurry(now)

    def lifted(self, now: int) -> None:
        """A handset was lifted: somebody wants to telephone, so nothing that is mere courtesy is waited for."""
        if self._courtesy_since_ms is not None and self._due_ms is not None:
            self._due_ms = min(self._due_ms, max(now, self._courtesy_since_ms))
            self._courtesy_since_ms = None

    def hold(self, until_ms: int) -> None:
        """Put an attempt that is due off: the credential is being judged elsewhere."""
        if self._due_ms is not None:
            self._due_ms = max(self._due_ms, until_ms)

    def retarget(self, kept: Sequence[int | None], now: int, transports: Sequence[Transport] = ()) -> None:
        """Use another list of targets; `kept[new]` is the old number of a target that was in the old list too.

        The binding stays where its target stays; otherwise it is made anew through the best target at once.
        """
        before, dead, at, trying = self._not_before_ms, self._dead_until_ms, self.target, self._trying
        self._transports = tuple(transports) or (Transport.UDP,) * len(kept)
        self._dead_until_ms = [0 if old is None else dead[old] for old in kept]
        self._not_before_ms = [0 if old is None else before[old] for old in kept]
        self._trying = kept.index(trying) if trying in kept and trying is not None else None
        if at in kept:
            self.target = kept.index(at)
            return
        self.target = 0
        self.hurry(now)

    def prefer(self, target: int, now: int) -> bool:
        """Move to this target, which has just been seen to answer, unless it has failed or refused us a while ago."""
        if self._due_ms is None or not 0 <= target < len(self._not_before_ms) or self.target == target:
            return False
        if max(self._not_before_ms[target], self._dead_until_ms[target], self._refused_until_ms) > now:
            return False
        self.target = target
        self.hurry(now)
        return True

    # --- inside ------------------------------------------------------------------------------------------------------

    def _asked(self, retry_after_s: int | None) -> int:
        if retry_after_s is None:
            return 0
        asked_ms = min(max(0, retry_after_s) * 1000, MAX_RETRY_AFTER_MS)
        return max(_MIN_DELAY_MS, asked_ms + int(JITTER_MS * self._uniform()))

    def _next_target(self, now: int, *, escalate: bool) -> int:
        count = len(self._not_before_ms)
        others = [(self.target + step) % count for step in range(1, count + 1)]
        rung = self._transports[self.target].rung
        top = Transport.TLS.rung + 1

        def cost(target: int) -> tuple[int, int]:
            other = self._transports[target].rung
            return max(now, self._not_before_ms[target]), (other if other > rung else top) if escalate else 0

        return min(others, key=cost)

    def _delay(self) -> int:
        if self._failures > 1 and (self._failures - 1) % len(self._not_before_ms) == 0:
            self._round = min(self._round + 1, _MAX_DOUBLINGS)
        ceiling = min(MAX_DELAY_MS, _BASE_DELAY_MS << self._round)
        return max(_MIN_DELAY_MS, int(ceiling * self._uniform()))
