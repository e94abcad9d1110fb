"""STUN (RFC 8489) as far as a telephone needs it: where the server is, a Binding request, and the answer to that one.

The answer says from which address and port the server saw the request come: where the far end of a call has to send its
speech to, behind a router that translates addresses.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Final

from agent.core.place import Place

TRANSACTION_BYTES: Final = 12
MAX_MESSAGE: Final = 1024
"""No answer to a Binding request is nearly as long; what is longer is not read."""
MAX_TEXT: Final = 64

_COOKIE: Final = 0x2112A442
_REQUEST, _SUCCESS = 0x0001, 0x0101
"""Binding, by class (§5)."""
_HEADER: Final = struct.Struct("!HHI12s")
_ATTRIBUTE: Final = struct.Struct("!HH")
_MAPPED_ADDRESS, _XOR_MAPPED_ADDRESS = 0x0001, 0x0020
_UNDERSTOOD: Final = frozenset(
    {
        *(_MAPPED_ADDRESS, 0x0004, 0x0005, 0x0006, 0x0008, 0x0009, 0x000A, 0x000B),
        *(0x0014, 0x0015, 0x001C, 0x001D, 0x001E, _XOR_MAPPED_ADDRESS),
    }
)
"""§18.3, and what RFC 3489 §11.2 put into its answers (SOURCE-ADDRESS, CHANGED-ADDRESS, REFLECTED-FROM)."""
_OPTIONAL: Final = 0x8000
"""From here on an attribute may be passed over (§14); one below that is unknown spoils the answer (§6.3.3)."""
_ADDRESS_BYTES: Final = {1: 4, 2: 16}
"""By family (§14.1)."""

_SERVER = re.compile(r"(?:\[(?P<sixth>[^\[\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})", re.ASCII)
_MAX_PORT = 65_535


class StunError(ValueError):
    """A text is no STUN server that this adapter could ask; the message names the setting, quotes it and says why."""


def parse_server(text: str) -> Place:
    """`192.0.2.1:3478` or `[2001:db8::1]:3478`. Raises StunError.

    A name is refused: the gateway, which asks the server, looks up none.
    """
    shown = f"stun_server {text[:MAX_TEXT]!a}"
    match = _SERVER.fullmatch(text) if len(text) <= MAX_TEXT else None
    if match is None:
        raise StunError(f"{shown} is not an IP address and a port; 192.0.2.1:3478 or [2001:db8::1]:3478 is right")
    try:
        address = ipaddress.IPv4Address(match["host"]) if match["sixth"] is None else _sixth(match["sixth"])
    except ValueError:
        raise StunError(f"{shown} is a name, or no address at all; it has to be an IP address and a port") from None
    port = int(match["port"])
    if not 0 < port <= _MAX_PORT:
        raise StunError(f"{shown} has port {port}, which does not exist")
    if not _can_be_spoken_to(address):
        raise StunError(f"{shown} has an address that is no single server's")
    return Place(str(address), port)


def _sixth(text: str) -> ipaddress.IPv6Address:
    found = ipaddress.IPv6Address(text)
    if found.scope_id is not None or found.ipv4_mapped is not None:
        raise ValueError("it is of this machine alone, or an IPv4 address in IPv6 clothes")
    return found


def binding_request(transaction: bytes) -> bytes:
    """The request with this transaction id, which has to be random (§5): an answer is told by it alone."""
    return _HEADER.pack(_REQUEST, 0, _COOKIE, transaction)


def mapped_place(message: bytes, transaction: bytes) -> Place | None:
    """From where the request with this id was seen to come, as its answer says; None where this is no such answer.

    XOR-MAPPED-ADDRESS counts for more than MAPPED-ADDRESS: some routers rewrite addresses that they find (§14.2).
    """
    if not _HEADER.size <= len(message) <= MAX_MESSAGE:
        return None
    kind, length, cookie, identity = _HEADER.unpack_from(message)
    if (kind, cookie, identity) != (_SUCCESS, _COOKIE, transaction) or length != len(message) - _HEADER.size:
        return None
    mapped = xored = None
    at = _HEADER.size
    while at < len(message):
        if len(message) - at < _ATTRIBUTE.size:
            return None
        attribute, size = _ATTRIBUTE.unpack_from(message, at)
        value = message[at + _ATTRIBUTE.size : at + _ATTRIBUTE.size + size]
        at += _ATTRIBUTE.size + (size + 3) // 4 * 4
        if len(value) < size or at > len(message) or (attribute < _OPTIONAL and attribute not in _UNDERSTOOD):
            return None
        if attribute == _XOR_MAPPED_ADDRESS and xored is None:
            xored = _address(value, message[4 : _HEADER.size])
        elif attribute == _MAPPED_ADDRESS and mapped is None:
            mapped = _address(value, bytes(16))
    return xored or mapped


def _address(value: bytes, mask: bytes) -> Place | None:
    """The value of an address attribute; the port is hidden by the first two bytes of what hides the address."""
    size = _ADDRESS_BYTES.get(value[1]) if len(value) > 1 else None
    if size is None or len(value) != 4 + size:
        return None
    port = int.from_bytes(value[2:4]) ^ int.from_bytes(mask[:2])
    address = ipaddress.ip_address(bytes(one ^ other for one, other in zip(value[4:], mask[:size], strict=True)))
    return Place(str(address), port) if port and _can_be_spoken_to(address) else None


def _can_be_spoken_to(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return not (address.is_unspecified or address.is_multicast or str(address) == "255.255.255.255")
