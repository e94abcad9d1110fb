"""Where datagrams come from and go to: an IP address and a port."""

from __future__ import annotations

from msgspec import Struct


def uri_host(address: str) -> str:
    """An IP address as the host of a URI: an IPv6 one in brackets (RFC 3986 §3.2.2)."""
    return f"[{address}]" if ":" in address else address


class Place(Struct, frozen=True):
    """An IP address, as `ipaddress` writes it, and a port."""

    address: str
    port: int

    def __str__(self) -> str:
        """As it is written: `192.0.2.1:3478`, `[2001:db8::1]:3478`."""
        return f"{uri_host(self.address)}:{self.port}"
