"""What the DNS has said, how long it counts, and how long it serves when the DNS is silent (RFC 8767): pure.

`now_s` is seconds of the wall clock. A clock that is wrong makes answers look old or new; it never loses one that is
not MAX_STALE_S old, and a telephone prefers an old address to none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct, structs

from agent.net.names import MAX_RECORDS, Question, Rdata

MIN_TTL_S: Final = 60
"""TTL 0 is taken for a minute: a registration lives longer than that."""
MAX_TTL_S: Final = 3600
NEGATIVE_TTL_S: Final = 300
MAX_STALE_S: Final = 7 * 86_400
DENIED_STALE_S: Final = 86_400
"""Servers that say that a name is gone are believed after a day: until then it is their mistake."""
MAX_ANSWERS: Final = 256


class Answer(Struct, frozen=True):
    """The records of one question (none: there are none), since when, and for how long fresh."""

    question: Question
    records: tuple[Rdata, ...]
    since_s: float
    ttl_s: int


class Answers:
    """The memory of one resolver."""

    def __init__(self, kept: Iterable[Answer] = ()) -> None:
        self._answers = {one.question: one for one in list(kept)[-MAX_ANSWERS:]}

    def all(self) -> list[Answer]:
        """Everything worth keeping across a restart: what has records."""
        return [one for one in self._answers.values() if one.records]

    def fresh(self, question: Question, now_s: float) -> Answer | None:
        """The answer while its time has not run out; one from the future is not fresh."""
        answer = self._answers.get(question)
        return answer if answer is not None and answer.since_s <= now_s < answer.since_s + answer.ttl_s else None

    def stale(self, question: Question, now_s: float) -> Answer | None:
        """The answer with records that serves when nobody gives a newer one."""
        answer = self._answers.get(question)
        return answer if answer is not None and answer.records and now_s < answer.since_s + MAX_STALE_S else None

    def learn(self, question: Question, records: Sequence[Rdata], ttl_s: int, now_s: float) -> Answer:
        """Somebody answered. A denial does not replace an answer that is younger than a day."""
        before = self.stale(question, now_s)
        if not records and before is not None and now_s < before.since_s + DENIED_STALE_S:
            return before
        bounded = min(max(ttl_s, MIN_TTL_S), MAX_TTL_S) if records else NEGATIVE_TTL_S
        # In an order of their own: servers turn theirs round with every answer.
        answer = Answer(question, tuple(sorted(records, key=_key)[:MAX_RECORDS]), now_s, bounded)
        self._answers.pop(question, None)
        self._answers[question] = answer
        while len(self._answers) > MAX_ANSWERS:
            self._answers.pop(next(iter(self._answers)))
        return answer


def _key(record: Rdata) -> tuple[object, ...]:
    return structs.astuple(record)
