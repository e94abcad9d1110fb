"""Bounds on connections: how many in all, how many from one peer, and how long one may refuse to read.

The HTTP library bounds header size and the wait for a request; it neither counts connections nor gives up on a peer
that asks and never reads.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

_REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)


class Limits(Struct, frozen=True):
    """Bounds of the page's server; seconds and bytes."""

    connections: int = 40
    connections_per_peer: int = 8
    request_wait_s: float = 10.0
    """From connecting, or from the last answer, to a whole request header."""
    stall_s: float = 15.0
    """How long a peer may leave an answer unread."""
    line_bytes: int = 4096
    header_bytes: int = 4096
    headers: int = 64
    streams: int = 12
    heartbeat_s: float = 15.0
    stream_age_s: float = 3600.0


class Gate:
    """Counts connections; call it to make the protocol of a new one."""

    def __init__(self, make_protocol: Callable[[], asyncio.Protocol], limits: Limits) -> None:
        self._make, self.limits = make_protocol, limits
        self._peers: Counter[str] = Counter()
        self.refused = 0

    @property
    def connections(self) -> int:
        """Connections that are let in now."""
        return self._peers.total()

    def __call__(self) -> asyncio.Protocol:
        """The protocol for one connection."""
        return _Guarded(self, self._make)

    def enter(self, peer: str) -> bool:
        """Count `peer` in, unless it or everyone together has enough connections."""
        full = self.connections >= self.limits.connections or self._peers[peer] >= self.limits.connections_per_peer
        if full:
            self.refused += 1
            self._peers += Counter()
        else:
            self._peers[peer] += 1
        return not full

    def leave(self, peer: str) -> None:
        """Count one connection of `peer` out."""
        self._peers[peer] -= 1
        if self._peers[peer] <= 0:
            del self._peers[peer]


class _Guarded(asyncio.Protocol):
    def __init__(self, gate: Gate, make: Callable[[], asyncio.Protocol]) -> None:
        self._gate, self._make = gate, make
        self._inner: asyncio.Protocol | None = None
        self._peer = ""
        self._transport: asyncio.Transport | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        name: Any = transport.get_extra_info("peername")
        self._peer = str(name[0]) if isinstance(name, tuple) and name else ""
        if not self._gate.enter(self._peer):
            transport.write(_REFUSAL)
            transport.close()
            return
        self._inner = self._make()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._inner:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inner else None

    def pause_writing(self) -> None:
        self._stall = asyncio.get_running_loop().call_later(self._gate.limits.stall_s, self._give_up)
        if self._inner:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._forgive()
        if self._inner:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forgive()
        if self._inner:
            self._gate.leave(self._peer)
            self._inner.connection_lost(exc)
            self._inner = None

    def _give_up(self) -> None:
        if self._transport:
            self._transport.abort()

    def _forgive(self) -> None:
        if self._stall:
            self._stall.cancel()
            self._stall = None
