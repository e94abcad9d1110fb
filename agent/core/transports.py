"""How SIP travels to a target (RFC 3261 §18)."""

from __future__ import annotations

import enum


class Transport(enum.StrEnum):
    """A transport as a SIP URI names it, the one that a router mangles most first."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"

    @property
    def default_port(self) -> int:
        """The port where nothing says another (RFC 3261 §19.1.2)."""
        return 5061 if self is Transport.TLS else 5060

    @property
    def rung(self) -> int:
        """How little of it a router can spoil: what is tried next where a way is lost is further up."""
        return (Transport.UDP, Transport.TCP, Transport.TLS).index(self)
