"""Where SIP is sent to, as the gateway keeps it: an IP address that the agent has found, a port, a transport."""

from __future__ import annotations

import ipaddress
import re

from msgspec import Struct

from agent.core.place import uri_host
from agent.core.transports import Transport

_TARGET = re.compile(
    r"(?:(?P<name>[A-Za-z0-9_.-]{1,253})@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:;\[\]\s]+)(?::(?P<port>\d{1,5}))?(?:;transport=(?P<transport>\w+))?"
)
_MAX_PORT = 65_535


class TargetError(ValueError):
    """A target is not one that this adapter can send to; the message names it and says why."""


class Target(Struct, frozen=True):
    """Where to send: an IP address and a port. Names are resolved before they come here: the library would block."""

    address: str
    port: int
    transport: Transport = Transport.UDP
    name: str = ""
    """Whom a TLS server's certificate must name; empty: its address."""

    @property
    def route(self) -> str:
        """The loose route that leads to it (RFC 3261 §8.1.1.1)."""
        host = self.name or uri_host(self.address)
        return f"<sip:{host}:{self.port};transport={self.transport};lr>"


def parse_target(text: str) -> Target:
    """`address:port;transport=udp` as a Target; with tls a name may stand before it, `sip.example.net@192.0.2.1:5061`.

    Raises TargetError for a name alone, a port or a transport that cannot be.
    """
    match = _TARGET.fullmatch(text)
    if match is None:
        raise TargetError(f"target {text!r} is not of the form [name@]address:port;transport=udp")
    word = (match["transport"] or Transport.UDP).lower()
    if word not in set(Transport):
        raise TargetError(f"target {text!r} asks for transport {word}; this gateway speaks {', '.join(Transport)}")
    transport = Transport(word)
    port = int(match["port"] or transport.default_port)
    if not 0 < port <= _MAX_PORT:
        raise TargetError(f"target {text!r} has port {port}, which does not exist")
    try:
        address = ipaddress.ip_address(match["host"].strip("[]"))
    except ValueError:
        raise TargetError(f"target {text!r} is a name, not an IP address: resolve it first") from None
    name = (match["name"] or "").lower()
    if name and transport is not Transport.TLS:
        raise TargetError(f"target {text!r} has a name, which only tls makes use of")
    return Target(str(address), port, transport, name)


def usable(text: str) -> Target | None:
    """The same; None for a target that nothing can be sent to."""
    try:
        return parse_target(text)
    except TargetError:
        return None
