"""A street of adapters that register at one server, in virtual time: what an outage or a power cut costs the server.

Each adapter has one registration by the policy that is asked for; messages, retransmissions (RFC 3261 §17.1.2.2) and
the digest challenge are counted as they would be on the wire. Nothing sleeps and nothing is random but by the seed.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from agent.core.registration import Registration

GRANTED_S: Final = 300
ROUND_TRIP_MS: Final = 20
TIMER_F_MS: Final = 32_000
"""When a REGISTER without an answer is given up (RFC 3261 table 4)."""
OUR_TIMER_MS: Final = 6_000
"""The gateway tells its SIP library to give up so soon."""
_T1_MS, _T2_MS = 500, 4_000


class Policy(Protocol):
    """When an adapter registers next; `agent.core.registration.Registration` is one."""

    @property
    def next_attempt_ms(self) -> int | None:
        """When the next REGISTER is due."""

    def begin(self, now: int) -> int:
        """A REGISTER goes out."""

    def accepted(self, expires_s: int, now: int) -> None:
        """It was granted."""

    def failed(self, code: int, reason: str, now: int, *, on_wire: bool, retry_after_s: int | None = None) -> None:
        """It was refused, or nobody answered."""

    def hurry(self, now: int) -> None:
        """The network is back."""


class Fixed:
    """What most adapters do: refresh at 90 %, and a fixed time after whatever went wrong."""

    def __init__(self, retry_s: int, refused_s: int, due_ms: int) -> None:
        self._retry_ms, self._refused_ms = retry_s * 1000, refused_s * 1000
        self.next_attempt_ms: int | None = due_ms

    def begin(self, now: int) -> int:
        """Nothing but that one is under way."""
        del now
        self.next_attempt_ms = None
        return 0

    def accepted(self, expires_s: int, now: int) -> None:
        """Refresh at nine tenths."""
        self.next_attempt_ms = now + expires_s * 900

    def failed(self, code: int, reason: str, now: int, *, on_wire: bool, retry_after_s: int | None = None) -> None:
        """Retry-After is passed over, as common adapters and libraries do."""
        del reason, retry_after_s
        self.next_attempt_ms = now + (self._refused_ms if on_wire and code == 403 else self._retry_ms)

    def hurry(self, now: int) -> None:
        """At once."""
        if self.next_attempt_ms is not None:
            self.next_attempt_ms = now


class Outbound(Fixed):
    """The curve of RFC 5626 §4.5: 50-100 % of min(1800 s, 30 s · 2^failures)."""

    def __init__(self, uniform: Callable[[], float], due_ms: int) -> None:
        super().__init__(0, 0, due_ms)
        self._uniform = uniform
        self._failures = 0

    def accepted(self, expires_s: int, now: int) -> None:
        """Refresh at nine tenths, and the curve begins anew."""
        super().accepted(expires_s, now)
        self._failures = 0

    def failed(self, code: int, reason: str, now: int, *, on_wire: bool, retry_after_s: int | None = None) -> None:
        """One step further on the curve."""
        del code, reason, on_wire
        self._failures += 1
        wait_ms = min(1800, 30 << min(self._failures, 10)) * 1000
        self.next_attempt_ms = now + max(int(wait_ms * (0.5 + 0.5 * self._uniform())), (retry_after_s or 0) * 1000)


Make = Callable[[Callable[[], float], int, int], Policy]
"""`uniform`, now, when the first REGISTER is due."""


def ours(uniform: Callable[[], float], now: int, due_ms: int) -> Policy:
    """The product's own policy."""
    return Registration(1, uniform, now, due_ms)


@dataclass(frozen=True, slots=True)
class Kind:
    """An adapter of a kind: its policy, and when its SIP library gives a silent server up."""

    name: str
    make: Make
    timer_ms: int = TIMER_F_MS


OURS: Final = Kind("ours", ours, OUR_TIMER_MS)
PEERS: Final = (
    Kind("fixed 20 s", lambda _uniform, _now, due_ms: Fixed(20, 1200, due_ms)),
    Kind("fixed 60 s", lambda _uniform, _now, due_ms: Fixed(60, 60, due_ms)),
    Kind("RFC 5626", lambda uniform, _now, due_ms: Outbound(uniform, due_ms)),
)


@dataclass(slots=True)
class Server:
    """A registrar: when it can't be reached, when it refuses all, and how many REGISTERs a second it carries."""

    outage_ms: tuple[int, int] = (0, 0)
    refusing_ms: tuple[int, int] = (0, 0)
    capacity: int = 0
    """What it can't answer within a second it drops; 0: it carries all."""
    arrived: list[int] = field(default_factory=list)
    """When each message came that reached it."""
    in_vain: list[int] = field(default_factory=list)
    """When each message was sent that did not reach it."""
    served: list[int] = field(default_factory=list)
    """When each message came that it answered."""

    def hears(self, now: int) -> bool:
        """A message was sent; whether the server answers it."""
        if self.outage_ms[0] <= now < self.outage_ms[1]:
            self.in_vain.append(now)
            return False
        self.arrived.append(now)
        if self.capacity and len(self.served) - bisect.bisect_right(self.served, now - 1000) >= self.capacity:
            return False
        self.served.append(now)
        return True

    def refuses(self, now: int) -> bool:
        """Whether it answers 403."""
        return self.refusing_ms[0] <= now < self.refusing_ms[1]


@dataclass(slots=True)
class _Adapter:
    policy: Policy
    attempt: int = 0
    sent: int = 0
    gives_up_ms: int = 0
    challenged: bool = False
    registered_ms: int = -1


class Street:
    """`count` adapters of one kind at one server."""

    def __init__(self, kind: Kind, count: int, seed: int, server: Server) -> None:
        self.server = server
        self.registered: list[tuple[int, int]] = []
        """When which adapter was accepted, in order."""
        self._kind = kind
        self._chance = random.Random(seed)
        self._serial = itertools.count()
        self._events: list[tuple[int, int, Callable[[int], None]]] = []
        self.adapters: list[_Adapter] = [_Adapter(kind.make(self._chance.random, 0, 0)) for _ in range(count)]

    def begin(self, spread_ms: int) -> None:
        """All of them start at time 0, the first REGISTER within the spread."""
        for index, adapter in enumerate(self.adapters):
            due = int(spread_ms * self._chance.random())
            adapter.policy = self._kind.make(self._chance.random, 0, due)
            self._follow(index)

    def at(self, when_ms: int, do: Callable[[int], None]) -> None:
        """Do something at a moment."""
        heapq.heappush(self._events, (when_ms, next(self._serial), do))

    def hurry_all(self, now: int) -> None:
        """Every link comes back in the same instant."""
        for index, adapter in enumerate(self.adapters):
            adapter.policy.hurry(now)
            self._follow(index)

    def run(self, until_ms: int) -> None:
        """Let the time pass."""
        while self._events and self._events[0][0] <= until_ms:
            now, _, do = heapq.heappop(self._events)
            do(now)

    # --- one adapter -------------------------------------------------------------------------------------------------

    def _follow(self, index: int) -> None:
        due = self.adapters[index].policy.next_attempt_ms
        if due is not None:
            self.at(due, lambda now: self._begin(index, now))

    def _begin(self, index: int, now: int) -> None:
        adapter = self.adapters[index]
        if adapter.policy.next_attempt_ms is None or adapter.policy.next_attempt_ms > now:
            return
        adapter.policy.begin(now)
        adapter.challenged = False
        self._request(index, now)

    def _request(self, index: int, now: int) -> None:
        """A new transaction: the REGISTER, or its repetition with the answer to the challenge."""
        adapter = self.adapters[index]
        adapter.attempt += 1
        adapter.sent = 0
        adapter.gives_up_ms = now + self._kind.timer_ms
        self._send(index, adapter.attempt, now)

    def _send(self, index: int, attempt: int, now: int) -> None:
        adapter = self.adapters[index]
        if adapter.attempt != attempt:
            return
        if now >= adapter.gives_up_ms:
            adapter.attempt += 1
            adapter.policy.failed(408, "", now, on_wire=False)
            self._follow(index)
        elif self.server.hears(now):
            adapter.attempt += 1
            self.at(now + ROUND_TRIP_MS, lambda then: self._answered(index, then))
        else:
            adapter.sent += 1
            wait = min(_T1_MS << (adapter.sent - 1), _T2_MS)
            self.at(min(now + wait, adapter.gives_up_ms), lambda then: self._send(index, attempt, then))

    def _answered(self, index: int, now: int) -> None:
        adapter = self.adapters[index]
        if not adapter.challenged:
            adapter.challenged = True
            self._request(index, now)
            return
        if self.server.refuses(now):
            adapter.policy.failed(403, "Forbidden", now, on_wire=True)
        else:
            adapter.policy.accepted(GRANTED_S, now)
            self.registered.append((now, index))
        self._follow(index)


# --- what is read off it ---------------------------------------------------------------------------------------------


def peak(times: list[int], since_ms: int = 0) -> int:
    """The most messages within any second from `since_ms` on."""
    ordered = [at for at in times if at >= since_ms]
    return max((bisect.bisect_left(ordered, at + 1000) - first for first, at in enumerate(ordered)), default=0)


def back(street: Street, since_ms: int, share: float) -> float | None:
    """Seconds from `since_ms` until so many of the adapters were registered again; None: they were not."""
    wanted = round(share * len(street.adapters))
    seen: set[int] = set()
    for at, index in street.registered:
        if at >= since_ms:
            seen.add(index)
            if len(seen) >= wanted:
                return (at - since_ms) / 1000
    return None


# --- what befalls it -------------------------------------------------------------------------------------------------

BEGUN_MS: Final = 30 * 60_000
"""By then they have all been registered for a while, and are out of step."""
OUTAGE_MS: Final = 10 * 60_000
BACK_MS: Final = BEGUN_MS + OUTAGE_MS
_AFTER_MS: Final = 15 * 60_000
REFUSED_FOR_MS: Final = 60 * 60_000


def outage(kind: Kind, count: int = 1000, seed: int = 1, *, links: bool = False, capacity: int = 0) -> Street:
    """The server can't be reached for ten minutes. `links`: and every adapter sees its link come back."""
    street = Street(kind, count, seed, Server(outage_ms=(BEGUN_MS, BACK_MS), capacity=capacity))
    street.begin(GRANTED_S * 1000)
    if links:
        street.at(BACK_MS, street.hurry_all)
    street.run(BACK_MS + _AFTER_MS)
    return street


def power_cut(kind: Kind, spread_s: int, count: int = 1000, seed: int = 1, *, capacity: int = 0) -> Street:
    """All of them start in the same millisecond."""
    street = Street(kind, count, seed, Server(capacity=capacity))
    street.begin(spread_s * 1000)
    street.run(_AFTER_MS)
    return street


def refusal(kind: Kind, count: int = 1000, seed: int = 1) -> Street:
    """After the outage the server refuses every credential, for an hour; then it has its data again."""
    refusing = (BACK_MS, BACK_MS + REFUSED_FOR_MS)
    street = Street(kind, count, seed, Server(outage_ms=(BEGUN_MS, BACK_MS), refusing_ms=refusing))
    street.begin(GRANTED_S * 1000)
    street.run(BACK_MS + REFUSED_FOR_MS + 2 * _AFTER_MS)
    return street
