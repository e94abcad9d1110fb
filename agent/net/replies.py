"""What goes to and comes from a DNS server, in words that need no DNS library."""

from __future__ import annotations

from msgspec import Struct

from agent.core.place import uri_host
from agent.net.names import Rdata


class DnsError(Exception):
    """A server gave no usable answer; the message says what it did instead."""


class Server(Struct, frozen=True):
    """Where to ask."""

    ip: str
    port: int = 53

    def __str__(self) -> str:
        return f"{uri_host(self.ip)}:{self.port}"


class Reply(Struct, frozen=True):
    """The records of the question itself (none: the server says that there are none), and their shortest TTL.

    `alias`: the name that a chain of CNAMEs ends at, where the server did not follow it further.
    """

    records: tuple[Rdata, ...]
    ttl_s: int
    alias: str = ""
