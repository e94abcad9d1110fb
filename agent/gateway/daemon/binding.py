"""The address that the gateway is bound to, as sockets want it."""

from __future__ import annotations

import socket
from typing import Final

_ANY: Final = ("0.0.0.0", "::")  # noqa: S104  compared, not bound


def bound_address(bind: str) -> str:
    """What to bind to, or to send from; empty: whatever suits the destination."""
    return "" if bind in _ANY else bind


def family_of(address: str) -> socket.AddressFamily:
    """The family of an IP address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET
