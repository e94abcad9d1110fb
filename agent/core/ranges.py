"""Ranges of addresses from which an operator speaks to its adapters: what may be one, and whose an address is."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from msgspec import Struct

MAX_RANGES = 32
MAX_TEXT = 64
_SHORTEST_PREFIX = {4: 8, 6: 16}
"""No operator has more of the Internet than a /8; whoever writes a shorter prefix means everybody, or has mistyped."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class RangeError(ValueError):
    """A text is no range that strangers could be told by; the message quotes it and says why."""


def parse_range(text: str) -> Network:
    """`192.0.2.0/24` (RFC 4632 §3.1), `2001:db8::/32` (RFC 4291 §2.3) or one address. Raises RangeError."""
    shown = ascii(text[:MAX_TEXT])
    if len(text) > MAX_TEXT or not text.isascii() or "%" in text:
        raise RangeError(f"{shown} is no address range; 192.0.2.0/24 or 2001:db8::/32 is one")
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise RangeError(f"{shown} is no address range; 192.0.2.0/24 or 2001:db8::/32 is one") from None
    if found.prefixlen < (shortest := _SHORTEST_PREFIX[found.version]):
        raise RangeError(f"{shown} is far too wide: a range has at least a /{shortest}")
    # Dotted netmasks (192.0.2.0/255.255.255.0) are understood, and so is an address with its prefix left out.
    if ipaddress.ip_interface(text).ip != found.network_address:
        raise RangeError(f"{shown} has bits set beyond its prefix; {found} may be meant")
    if found.is_multicast or found.network_address.is_unspecified:
        raise RangeError(f"{shown} is no range that anybody sends from")
    if found.version == 6 and (mapped := found.network_address.ipv4_mapped) is not None:
        raise RangeError(f"{shown} is an IPv4 address in IPv6 clothes: write it as {mapped}")
    return found


def parse_ranges(texts: Iterable[str]) -> tuple[Network, ...]:
    """All of them, in their order. Raises RangeError for the first that is none."""
    return tuple(parse_range(text) for text in texts)


class Ranges(Struct, frozen=True):
    """Where the operator's signalling comes from; empty: not told."""

    networks: tuple[Network, ...] = ()

    def __contains__(self, address: str) -> bool:
        """Whether the IP address lies in one of them; false for what is no address."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self.networks)
