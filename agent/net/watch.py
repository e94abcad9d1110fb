"""The targets of every registration, resolved and kept fresh while the agent runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
from msgspec import Struct

from agent.core.transports import Transport
from agent.net.answers import Answers
from agent.net.memory import Memory
from agent.net.names import DEFAULT_TRANSPORTS, Spec, TargetError, parse_spec
from agent.net.resolver import ASK_TIMEOUT_S, Resolution, Resolver
from agent.net.sources import Sources

_FIRST_RETRY_S: Final = 5.0
_LONGEST_RETRY_S: Final = 300.0

_log = structlog.get_logger("agent.net")


class Wanted(Struct, frozen=True):
    """The targets of one registration as the operator writes them; `domain` where there are none."""

    id: str
    domain: str
    targets: tuple[str, ...]
    transports: tuple[Transport, ...] = DEFAULT_TRANSPORTS
    """What the operator speaks, preferred first; used where neither a target nor the DNS says which."""


class _Asked(Struct, frozen=True):
    """What one registration needs resolved."""

    specs: tuple[Spec, ...]
    transports: tuple[Transport, ...]


class TargetWatch:
    """Resolves what `use` names, again before answers run out. `changed` and `dns_back` are called on the loop.

    `uniform` returns random numbers in 0 ≤ u < 1, `now_s` seconds of the wall clock.
    """

    def __init__(
        self, sources: Sources, memory: Memory, *, changed: Callable[[], None], dns_back: Callable[[], None],
        uniform: Callable[[], float], now_s: Callable[[], float], timeout_s: float = ASK_TIMEOUT_S,
    ) -> None:  # fmt: skip
        self._memory = memory
        self._answers = Answers(memory.load())
        self._kept = self._answers.all()
        self._resolver = Resolver(sources, self._answers, memory.draw, now_s, timeout_s)
        self._changed = changed
        self._dns_back = dns_back
        self._uniform = uniform
        self._asked: dict[str, _Asked] = {}
        self._resolved: dict[str, tuple[str, ...]] = {}
        self._news = asyncio.Event()
        self._down = False

    def use(self, wanted: Sequence[Wanted]) -> None:
        """Resolve exactly these registrations; those that need no DNS have their targets when this returns."""
        asked = {one.id: _Asked(self._parse(one), one.transports) for one in wanted}
        for name, one in asked.items():
            literal = self._resolver.literal(one.specs, one.transports)
            if literal is not None:
                self._resolved[name] = literal
            elif self._asked.get(name) != one:
                self._resolved.pop(name, None)
        self._asked = asked
        self._resolved = {name: targets for name, targets in self._resolved.items() if name in asked}
        self._news.set()

    def targets(self, name: str) -> tuple[str, ...] | None:
        """The IP targets of a registration, best first; None: no DNS server has answered for it yet."""
        return self._resolved.get(name)

    @property
    def complete(self) -> bool:
        """Whether every registration has been resolved, be it to nothing."""
        return self._asked.keys() <= self._resolved.keys()

    async def run(self) -> None:
        """Resolve until cancelled."""
        retry_s = _FIRST_RETRY_S
        while True:
            self._news.clear()
            refresh_s, failing = await self._resolve_all(dict(self._asked))
            self._save()
            if failing:
                # Full jitter: a town that loses its DNS comes back to it together.
                wait_s = max(1.0, retry_s * self._uniform())
                retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
            else:
                wait_s, retry_s = refresh_s * (0.8 + 0.2 * self._uniform()), _FIRST_RETRY_S
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _resolve_all(self, wanted: Mapping[str, _Asked]) -> tuple[float, bool]:
        refresh_s, failing, asked, changed = _LONGEST_RETRY_S * 12, False, False, False
        for name, one in wanted.items():
            if self._resolver.literal(one.specs, one.transports) is not None:
                continue
            asked = True
            found = await self._resolver.resolve(one.specs, one.transports)
            failing = failing or found.stale or found.silent
            refresh_s = min(refresh_s, found.refresh_s)
            changed = self._take(name, one, found) or changed
        if asked:
            self._judge(failing=failing)
        if changed:
            self._changed()
        return refresh_s, failing

    def _take(self, name: str, asked: _Asked, found: Resolution) -> bool:
        """Keep a result; an empty one only where the DNS has spoken, and never in place of one that has targets."""
        before = self._resolved.get(name)
        if self._asked.get(name) != asked or found.targets == before:
            return False
        if not found.targets and (before or found.silent):
            return False
        self._resolved[name] = found.targets
        level = _log.info if found.targets else _log.error
        level("targets_resolved", registration=name, targets=list(found.targets), stale=found.stale)
        return True

    def _judge(self, *, failing: bool) -> None:
        if failing and not self._down:
            _log.warning("dns_silent", detail="no server answers; targets that were known go on serving")
        elif self._down and not failing:
            _log.info("dns_back")
            self._dns_back()
        self._down = failing

    def _save(self) -> None:
        kept = self._answers.all()
        if kept == self._kept:
            return
        self._kept = kept
        try:
            self._memory.save(kept)
        except OSError as error:
            _log.error("targets_not_kept", detail=error.strerror or str(error))

    def _parse(self, wanted: Wanted) -> tuple[Spec, ...]:
        specs = []
        for text in wanted.targets or (wanted.domain,):
            try:
                specs.append(parse_spec(text))
            except TargetError as error:
                _log.error("target_refused", registration=wanted.id, detail=str(error))
        return tuple(specs)
