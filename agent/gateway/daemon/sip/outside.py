"""From where the far end of a call sees our speech come, behind a router that translates addresses: for the SDP.

The library has sockets for a call before it writes the SDP, and reads from them only when the media begin (pjproject
issue 2097). In between the STUN server is asked by these very sockets: the router maps what leaves by them and nothing
else. The library's own client stays off: it waits 2 s, or 8 s, for an answer that does not come, and takes anybody's.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Protocol

from agent.core.place import Place
from agent.gateway.daemon.sip.own_sockets import own_udp_sockets
from agent.gateway.daemon.sip.sdp import seen_from_outside, speech_ports


class Observer(Protocol):
    """A STUN server, as far as a call asks it."""

    @property
    def answers(self) -> bool:
        """Whether it is worth asking."""
        ...

    def ask_from(self, sockets: Sequence[socket.socket]) -> tuple[Place | None, ...]:
        """From where it sees these sockets; None where it does not say."""
        ...


class Nobody:
    """Observer where there is none."""

    answers = False

    def ask_from(self, sockets: Sequence[socket.socket]) -> tuple[Place | None, ...]:
        """Nothing."""
        return (None,) * len(sockets)


class Outside:
    """What one call is told by: each socket is asked from once, before the library reads from it."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Place | None, ...]] = {}
        """By the socket's inode: a new one of the library's is another mapping of the router's."""
        self._without = False
        """Whether the call began while nobody answered: by now the library may read from its sockets."""

    def described(self, sdp: str, observer: Observer) -> str:
        """The description as the far end has to read it; as it is where nothing else is known. Raises OSError."""
        ports = speech_ports(sdp)
        self._without = self._without or (ports is not None and not (self._known or observer.answers))
        if ports is None or self._without:
            return sdp
        with own_udp_sockets(ports) as sockets:
            if not sockets:
                return sdp
            inode = os.fstat(sockets[0].fileno()).st_ino
            if inode not in self._known:
                self._known[inode] = observer.ask_from(sockets)
        rtp, rtcp = self._known[inode]
        return sdp if rtp is None or rtcp is None else seen_from_outside(sdp, rtp, rtcp)
