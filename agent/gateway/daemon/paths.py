"""The ways to the targets: whether those in use live, what to do when one dies or moves, and back to the better one.

A router that has forgotten us, or has another address itself, lets our questions out by a new way: they are answered,
and calls to us still go to the old one. Only the answers tell, by where they saw us.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.core.actions import MoveAddress, NewPort, ProbePath, ProbeTarget
from agent.core.liveness import Liveness
from agent.core.registration import Registration
from agent.gateway.daemon.exchange import Exchange

BETTER_MS: Final = 60_000
"""How often a registration that is not at its first target asks whether a better one lives."""


class _Path:
    def __init__(self, period_s: int, uniform: Callable[[], float]) -> None:
        self.period_s = period_s
        self.liveness = Liveness(period_s * 1000, uniform)
        self.better_ms: int | None = None
        self.request_ms: int | None = None
        self.bound = ""
        """Where the registrar saw us."""


class Paths:
    """The ways of all registrations of one exchange."""

    def __init__(self, exchange: Exchange, uniform: Callable[[], float]) -> None:
        self._x = exchange
        self._uniform = uniform
        self._paths: dict[str, _Path] = {}
        self._moved_to = ""

    def in_use(self, account: str, seen_as: str = "") -> None:
        """A registrar has accepted the account by its present way, and has seen it there."""
        path = self._path(account)
        path.bound = seen_as
        path.liveness.start(self._x.now)

    def alive_ms(self, account: str) -> int | None:
        """When the way of an account last answered."""
        path = self._paths.get(account)
        return path.liveness.answered_ms if path is not None else None

    def request_seen(self, account: str) -> None:
        """A request has come to the account's contact."""
        if account in self._x.registrations:
            self._path(account).request_ms = self._x.now

    def request_ms(self, account: str) -> int | None:
        """When a request last came to the account's contact."""
        path = self._paths.get(account)
        return path.request_ms if path is not None else None

    def ask_due(self) -> None:
        """Send the OPTIONS that are due."""
        x = self._x
        self._paths = {name: path for name, path in self._paths.items() if name in x.registrations}
        for name, registration in x.registrations.items():
            path = self._path(name)
            if not registration.registered:
                path.liveness.stop()
                path.better_ms = None
                continue
            if path.liveness.tick(x.now):
                self._died(name, path, registration)
            if path.liveness.due(x.now):
                x.act(ProbePath(name))
            self._look_for_better(name, path, registration)

    def heard(self, account: str, *, alive: bool, seen_as: str = "") -> None:
        """The end of an OPTIONS that went an account's own way, and where it was seen to come from."""
        path, registration = self._paths.get(account), self._x.registrations.get(account)
        if path is None or registration is None:
            return
        if path.liveness.heard(self._x.now, alive=alive):
            self._died(account, path, registration)
        elif alive and seen_as and path.bound and seen_as != path.bound:
            self._moved(account, path, registration, seen_as)

    def unanswered(self, account: str, target: int) -> None:
        """Nobody has answered an INVITE that went to a target. If calls come to us by it, a REGISTER tells at once."""
        registration = self._x.registrations.get(account)
        if registration is not None and registration.registered and registration.target == target:
            self._x.log("warning", "target_silent", f"{account}: target {target} has answered no INVITE")
            registration.hurry(self._x.now)

    def better_answered(self, account: str, target: int) -> None:
        """A target that was asked for because it is better than the one in use has answered."""
        registration = self._x.registrations.get(account)
        if registration is not None and target < registration.target and registration.prefer(target, self._x.now):
            self._x.log("info", "target_preferred", f"{account}: back to target {target}")

    def deadline(self) -> int | None:
        """When `ask_due` wants to be called."""
        wanted = [at for path in self._paths.values() for at in (path.liveness.next_ms, path.better_ms)]
        return min((at for at in wanted if at is not None), default=None)

    def _path(self, account: str) -> _Path:
        period_s = self._x.configuration.options_s if self._x.configuration is not None else 0
        path = self._paths.get(account)
        if path is None or path.period_s != period_s:
            path = self._paths[account] = _Path(period_s, self._uniform)
            registration = self._x.registrations.get(account)
            if registration is not None and registration.registered:
                path.liveness.start(self._x.now)
        return path

    def _died(self, account: str, path: _Path, registration: Registration) -> None:
        """Another source port, where a router may be to blame. If that fails, too, a target with a safer transport."""
        self._x.log("warning", "path_dead", f"{account}: target {registration.target} answers no OPTIONS any more")
        path.liveness.stop()
        self._x.act(NewPort(account))
        registration.lost(self._x.now)

    def _moved(self, account: str, path: _Path, registration: Registration, seen_as: str) -> None:
        """Register anew; and where the address is another one, let the far ends of calls know it."""
        x = self._x
        x.log("info", "path_moved", f"{account}: seen at {seen_as}, registered at {path.bound}")
        before, address = path.bound.rpartition(":")[0], seen_as.rpartition(":")[0]
        path.bound = ""
        in_call = any(call.live and call.answered_ms is not None for call in x.calls.values())
        if in_call and address not in (before, self._moved_to):
            self._moved_to = address
            x.act(MoveAddress())
        registration.hurry(x.now)

    def _look_for_better(self, account: str, path: _Path, registration: Registration) -> None:
        if registration.target == 0:
            path.better_ms = None
        elif path.better_ms is None:
            path.better_ms = self._x.now + BETTER_MS
        elif self._x.now >= path.better_ms:
            path.better_ms = self._x.now + BETTER_MS
            for target in range(registration.target):
                self._x.act(ProbeTarget("", account, target))
