"""Names into IP targets: asks what `names.expand` wants to know, and serves what was known when nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from agent.core.transports import Transport
from agent.net.answers import MAX_TTL_S, Answer, Answers
from agent.net.names import DEFAULT_TRANSPORTS, Question, Rdata, Spec, expand, merge
from agent.net.replies import DnsError, Reply, Server
from agent.net.sources import Sources

ASK_TIMEOUT_S: Final = 1.5
MAX_ROUNDS: Final = 6
"""NAPTR, SRV, addresses: three; the rest is for names that lead elsewhere."""
MAX_QUESTIONS: Final = 64
"""In one resolution, whatever the records say."""
MAX_ALIASES: Final = 4
_AT_ONCE: Final = 8


class Resolution(Struct, frozen=True):
    """IP targets, best first. `stale`: some answer is older than it should be. `silent`: some question has none at all,

    because no server answered it; without it, no targets means that the operator has none.
    """

    targets: tuple[str, ...]
    refresh_s: int
    stale: bool
    silent: bool


class Resolver:
    """One memory of answers, and the servers that are asked for more. `now_s` is seconds of the wall clock."""

    def __init__(
        self, sources: Sources, answers: Answers, draw: Callable[[str], float], now_s: Callable[[], float],
        timeout_s: float = ASK_TIMEOUT_S,
    ) -> None:  # fmt: skip
        self._sources = sources
        self._answers = answers
        self._draw = draw
        self._now_s = now_s
        self._timeout_s = timeout_s

    def literal(
        self, specs: Sequence[Spec], transports: Sequence[Transport] = DEFAULT_TRANSPORTS
    ) -> tuple[str, ...] | None:
        """The targets where nothing has to be asked; None: a name is among them."""
        found = merge([expand(spec, {}, self._draw, transports) for spec in specs])
        return None if found.wanted else found.targets

    async def resolve(self, specs: Sequence[Spec], transports: Sequence[Transport] = DEFAULT_TRANSPORTS) -> Resolution:
        """Resolve targets in the operator's order. Never raises because of what servers do."""
        known: dict[Question, Sequence[Rdata]] = {}
        refresh_s, stale, silent = MAX_TTL_S, False, False
        found = merge([])
        for _ in range(MAX_ROUNDS):
            found = merge([expand(spec, known, self._draw, transports) for spec in specs])
            questions = sorted(found.wanted, key=str)[: MAX_QUESTIONS - len(known)]
            if not questions:
                break
            for question, answer in zip(questions, await self._answer_all(questions), strict=True):
                known[question] = answer.records if answer is not None else ()
                if answer is None:
                    silent = True
                    continue
                left_s = answer.since_s + answer.ttl_s - self._now_s()
                stale = stale or left_s <= 0
                refresh_s = min(refresh_s, max(1, int(left_s)))
        return Resolution(found.targets, refresh_s, stale, silent)

    async def _answer_all(self, questions: Sequence[Question]) -> list[Answer | None]:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(question: Question) -> Answer | None:
            async with gate:
                return await self._answer(question)

        return list(await asyncio.gather(*(one(question) for question in questions)))

    async def _answer(self, question: Question) -> Answer | None:
        fresh = self._answers.fresh(question, self._now_s())
        if fresh is not None:
            return fresh
        reply = await self._ask(question)
        if reply is None:
            return self._answers.stale(question, self._now_s())
        return self._answers.learn(question, reply.records, reply.ttl_s, self._now_s())

    async def _ask(self, question: Question) -> Reply | None:
        """The first reply with records; a denial of one source is believed where no other source contradicts it."""
        denial = None
        for group in self._sources.servers():
            for server in group:
                try:
                    reply = await self._follow(server, question)
                except DnsError:
                    continue
                if reply.records:
                    return reply
                denial = reply
                break
        return denial

    async def _follow(self, server: Server, question: Question) -> Reply:
        """Ask a server, and again for the name at the end of a chain of CNAMEs that it did not follow."""
        # Late: an adapter whose operator names addresses never loads the DNS library (7 MB).
        from agent.net.ask import ask

        ttls = []
        asked = question
        for _ in range(MAX_ALIASES):
            reply = await ask(server, asked, self._timeout_s)
            ttls.append(reply.ttl_s)
            if not reply.alias:
                return Reply(reply.records, min(ttls))
            asked = Question(reply.alias, question.kind)
        raise DnsError(f"{question.name} is a chain of too many names")
