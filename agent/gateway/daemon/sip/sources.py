"""Whose datagrams the SIP sockets take: the operator's, where he has told his ranges; no others reach the library."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable

from agent.core.ranges import Network, parse_range
from agent.core.source_filter import take_from
from agent.gateway.daemon.sip.own_sockets import attach, detach, own_sockets

_AGAIN_MS = 10_000
"""The library opens its sockets anew when our address changes, at a time of its own."""
_LOOPBACK = (parse_range("127.0.0.0/8"), parse_range("::1"))


class Sources:
    """Keeps the filters of our UDP sockets as they should be. Without ranges there are none."""

    def __init__(self, log: Callable[[str, str, str], None]) -> None:
        self._log = log
        self._ranges: tuple[Network, ...] = ()
        self._due_ms = 0
        self._filtered = False
        self._told = ""

    def use(self, ranges: Iterable[Network]) -> None:
        """Take these ranges of the operator, at the next `tend`."""
        self._ranges = tuple(ranges)
        self._due_ms = 0

    def look_again(self) -> None:
        """Sockets may be others: put the filters right at the next `tend`."""
        self._due_ms = 0

    def tend(self, now: int, ports: Callable[[], tuple[int, ...]], targets: Callable[[], Iterable[str]]) -> None:
        """Put the filters right where it is time to: `targets` are IP addresses that may speak, too."""
        if now < self._due_ms or not (self._ranges or self._filtered):
            return
        self._due_ms = now + _AGAIN_MS
        self._filtered = bool(self._ranges)
        try:
            program = take_from((*_LOOPBACK, *self._ranges, *(parse_range(one) for one in targets())))
            here = set(ports())
            for sock in own_sockets():
                if sock.type != socket.SOCK_DGRAM or sock.getsockname()[1] not in here:
                    continue
                if self._filtered:
                    attach(sock, program)
                else:
                    detach(sock)
        except (OSError, ValueError) as error:
            if str(error) != self._told:
                self._told = str(error)
                self._log("error", "sip_sources_not_filtered", f"strangers reach the SIP library: {error}")
