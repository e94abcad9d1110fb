"""Makes a listening socket deaf: the kernel drops whatever comes for it, and connections that we open are not touched.

The library opens a listener with every TCP and TLS transport, binds what it connects from to the listener's address,
and cannot be told otherwise. Nobody calls a telephone by connecting to it: requests come by the connection that it
has opened itself.
"""

from __future__ import annotations

import socket

from agent.core.source_filter import drop_all
from agent.gateway.daemon.sip.own_sockets import attach, own_sockets


def deafen(port: int) -> None:
    """Drop what comes for our own TCP listener on this port. Raises OSError: there is none, or the kernel refuses."""
    for sock in own_sockets():
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and sock.getsockname()[1] == port:
            attach(sock, drop_all())
            return
    raise OSError(f"no socket of ours listens on TCP port {port}")
