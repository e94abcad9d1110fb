"""The ways to the targets: whether those in use live, what to do when one dies, and back to the better one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.core.events import NewPort, ProbePath, ProbeTarget
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


class Paths:
    """The ways of all registrations of one exchange."""

    def __init__(self, exchange: Exchange, uniform: Callable[[], float]) -> None:
        self._x = exchange
        self._uniform = uniform
        self._paths: dict[str, _Path] = {}

    def in_use(self, account: str) -> None:
        """A registrar has accepted the account by its present way."""
        self._path(account).liveness.start(self._x.now)

    def alive_ms(self, account: str) -> int | None:
        """When the way of an account last answered."""
        path = self._paths.get(account)
        return path.liveness.answered_ms if path is not None else None

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

    def heard(self, account: str, *, alive: bool) -> None:
        """The end of an OPTIONS that went an account's own way."""
        path, registration = self._paths.get(account), self._x.registrations.get(account)
        if path is None or registration is None:
            return
        if path.liveness.heard(self._x.now, alive=alive):
            self._died(account, path, registration)

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
        """Another source port, where a router may be to blame. If that REGISTER fails, another target's turn comes."""
        self._x.log("warning", "path_dead", f"{account}: target {registration.target} answers no OPTIONS any more")
        path.liveness.stop()
        self._x.act(NewPort(account))
        registration.hurry(self._x.now)

    def _look_for_better(self, account: str, path: _Path, registration: Registration) -> None:
        if registration.target == 0:
            path.better_ms = None
        elif path.better_ms is None:
            path.better_ms = self._x.now + BETTER_MS
        elif self._x.now >= path.better_ms:
            path.better_ms = self._x.now + BETTER_MS
            for target in range(registration.target):
                self._x.act(ProbeTarget("", account, target))
