"""Asks a STUN server from where it sees given sockets (RFC 8489 §6.2.1), within a time that no caller notices.

The times are shorter than the RFC's, which lets half a minute pass: a call goes without sooner than it waits.
"""

from __future__ import annotations

import ipaddress
import secrets
import select
import socket
from collections.abc import Sequence
from typing import Final

from agent import clock
from agent.core.place import Place
from agent.core.stun import MAX_MESSAGE, TRANSACTION_BYTES, binding_request, mapped_place

PATIENCE_MS: Final = 150
"""What a caller does not notice before the ringing; a server that takes longer is taken for silent."""
_SENDINGS: Final = 2
"""A datagram may be lost."""


def ask(sockets: Sequence[socket.socket], server: Place, patience_ms: int = PATIENCE_MS) -> tuple[Place | None, ...]:
    """From where the server sees each of these UDP sockets, None where it has not said so in `patience_ms`.

    Nobody else may read from the sockets meanwhile. What else is received on them is lost; of the server's answers only
    one with the id of the question counts. Never raises.
    """
    questions = [secrets.token_bytes(TRANSACTION_BYTES) for _ in sockets]
    found: list[Place | None] = [None] * len(sockets)
    poll = select.poll()
    for sock in sockets:
        poll.register(sock, select.POLLIN)
    began = clock.boot_ms()
    for sending in range(1, _SENDINGS + 1):
        until = began + patience_ms * sending // _SENDINGS
        for at, sock in enumerate(sockets):
            if found[at] is None and not _send(sock, binding_request(questions[at]), server):
                return tuple(found)
        while None in found and (left := until - clock.boot_ms()) > 0:
            ready = {descriptor for descriptor, _ in poll.poll(left)}
            for at, sock in enumerate(sockets):
                if sock.fileno() in ready:
                    found[at] = _receive(sock, questions[at], server) or found[at]
        if None not in found:
            break
    return tuple(found)


def _send(sock: socket.socket, request: bytes, server: Place) -> bool:
    try:
        return sock.sendto(request, socket.MSG_DONTWAIT, (server.address, server.port)) > 0
    except OSError:
        return False


def _receive(sock: socket.socket, question: bytes, server: Place) -> Place | None:
    try:
        message, source = sock.recvfrom(MAX_MESSAGE + 1, socket.MSG_DONTWAIT)
    except OSError:
        return None  # an ICMP error of an earlier datagram, or another's checksum was wrong
    if source[1] != server.port or ipaddress.ip_address(source[0]) != ipaddress.ip_address(server.address):
        return None
    return mapped_place(message, question)
