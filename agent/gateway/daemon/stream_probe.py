"""One OPTIONS (RFC 3261 §11) over TCP or TLS, by a connection of its own: whether a server lives there for us."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path
from typing import Final

from agent import clock
from agent.core.target import Target
from agent.core.transports import Transport
from agent.gateway.daemon.tls_check import TlsRefusedError, connect

TIMEOUT_S: Final = 3.0
"""For each of connection and answer."""
MAX_MESSAGE: Final = 4096
_STATUS: Final = re.compile(rb"SIP/2\.0 ([1-6]\d\d) ")
SERVER_FAILURES: Final = range(500, 600)
"""A server that says that it can't serve lives, but not for us (RFC 3261 §21.5)."""


def answers(target: Target, message: bytes, ca_file: Path | None, source: str, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether the server at `target` answers the request `message` with anything but a 5xx. Takes up to 2 timeouts."""
    with contextlib.suppress(OSError, TlsRefusedError), _open(target, ca_file, source, timeout_s) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(message)
        deadline_ms = clock.boot_ms() + int(timeout_s * 1000)
        heard = b""
        while len(heard) < MAX_MESSAGE and clock.boot_ms() < deadline_ms:
            more = connection.recv(MAX_MESSAGE)
            if not more:
                return False
            heard = (heard + more).lstrip()
            status = _STATUS.match(heard)
            if status is not None:
                return int(status[1]) not in SERVER_FAILURES
    return False


def _open(target: Target, ca_file: Path | None, source: str, timeout_s: float) -> socket.socket:
    if target.transport is Transport.TLS:
        return connect(target, ca_file, source, timeout_s)
    return socket.create_connection((target.address, target.port), timeout_s, (source, 0) if source else None)
