"""Which DNS servers are asked, and in which order: those of the network, then those that do not depend on it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agent.net.replies import Server

MAX_SYSTEM_SERVERS: Final = 3
"""What the C library reads of resolv.conf."""
_MAX_FILE: Final = 16_384


class Sources:
    """The servers of `resolv_conf`, read anew each time (the network may be another one), then the `fallback`."""

    def __init__(self, resolv_conf: Path, fallback: Sequence[Server]) -> None:
        self._resolv_conf = resolv_conf
        self._fallback = tuple(fallback)

    def servers(self) -> list[tuple[Server, ...]]:
        """Groups of servers; a later group is asked where no server of an earlier one has said that a name exists."""
        system = self._system()
        spare = tuple(server for server in self._fallback if server not in system)
        return [group for group in (system, spare) if group]

    def _system(self) -> tuple[Server, ...]:
        try:
            with self._resolv_conf.open("rb") as file:
                lines = file.read(_MAX_FILE).decode("ascii", "replace").splitlines()
        except OSError:
            return ()
        found = [words[1] for line in lines if (words := line.split()) and words[0] == "nameserver" and len(words) > 1]
        return tuple(server for text in found[:MAX_SYSTEM_SERVERS] if (server := parse_server(text)) is not None)


def parse_server(text: str) -> Server | None:
    """`192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`; None where it is none of them."""
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        return None
    return Server(str(address), number) if 0 < number < 65_536 else None
