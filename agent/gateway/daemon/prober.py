"""Asks targets whether they live: an OPTIONS (RFC 3261 §11) from a socket of its own, many at once.

The SIP library is not asked to: it would need an account's route for each target, and may be busy or gone just then.
A thread reads the answers and posts them; nothing that is received is more than compared. Over TCP and TLS each
question has a connection and a thread of its own.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import secrets
import selectors
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.core.events import TargetAnswered
from agent.core.place import uri_host
from agent.core.target import Target
from agent.core.transports import Transport
from agent.gateway.daemon.binding import bound_address, family_of
from agent.gateway.daemon.link_watch import own_address
from agent.gateway.daemon.stream_probe import MAX_MESSAGE, SERVER_FAILURES, answers

MAX_PENDING: Final = 64
"""Questions that an answer is still taken for; the oldest is given up for a new one."""
MAX_STREAMS: Final = 16
"""Questions by TCP and TLS at a time; each has a thread and a connection."""
_STATUS: Final = re.compile(rb"SIP/2\.0 ([1-6]\d\d) ")
_CALL_ID: Final = re.compile(rb"^(?:Call-ID|i)[ \t]*:[ \t]*([0-9a-f]{32})\r?$", re.IGNORECASE | re.MULTILINE)


class Prober:
    """Sends OPTIONS and posts TargetAnswered. `probe` for any thread; it never blocks and never raises."""

    def __init__(self, bind: str, post: Callable[[TargetAnswered], None], ca_file: Path | None = None) -> None:
        self._bind = bind
        self._ca_file = ca_file
        self._streams = 0
        self._post = post
        self._lock = threading.Lock()
        self._pending: dict[bytes, tuple[str, TargetAnswered]] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._selector: selectors.BaseSelector | None = None
        self._bell: socket.socket | None = None
        self._ringer: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open a socket of the family that SIP speaks, and listen: a target of the other one could not be called."""
        selector = self._selector = selectors.DefaultSelector()
        bell, self._ringer = socket.socketpair()
        self._bell = bell
        family = family_of(self._bind)
        sock = self._open(family)
        if sock is not None:
            self._sockets[family] = sock
            selector.register(sock, selectors.EVENT_READ)
        selector.register(bell, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._listen, args=(selector,), name="prober", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; answers that are still under way are lost."""
        if self._thread is None or self._ringer is None or self._selector is None:
            return
        self._ringer.send(b"x")
        self._thread.join()
        self._selector.close()
        for sock in (*self._sockets.values(), self._bell, self._ringer):
            if sock is not None:
                sock.close()

    def probe(self, target: Target, answer: TargetAnswered) -> None:
        """Ask; `answer` is posted if the target gives any response but a 5xx."""
        family = family_of(target.address)
        sock = self._sockets.get(family)
        if sock is None:
            return
        if target.transport is not Transport.UDP:
            self._probe_stream(target, answer)
            return
        call_id = secrets.token_hex(16).encode()
        with self._lock:
            self._pending[call_id] = (target.address, answer)
            while len(self._pending) > MAX_PENDING:
                self._pending.pop(next(iter(self._pending)))
        with contextlib.suppress(OSError):
            # No route to it: that is an answer too, and the silence says it.
            port = sock.getsockname()[1]
            message = _options(target, own_address(target), port, call_id.decode())
            sock.sendto(message, (target.address, target.port))

    def _probe_stream(self, target: Target, answer: TargetAnswered) -> None:
        with self._lock:
            if self._streams >= MAX_STREAMS:
                return
            self._streams += 1
        threading.Thread(target=self._ask_stream, args=(target, answer), name="prober-stream", daemon=True).start()

    def _ask_stream(self, target: Target, answer: TargetAnswered) -> None:
        message = _options(target, own_address(target), 0, secrets.token_hex(16))
        alive = answers(target, message, self._ca_file, bound_address(self._bind))
        with self._lock:
            self._streams -= 1
        if alive:
            self._post(answer)

    def _open(self, family: int) -> socket.socket | None:
        sock = None
        try:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.bind((self._bind, 0))
        except OSError:
            if sock is not None:
                sock.close()
            return None
        return sock

    def _listen(self, selector: selectors.BaseSelector) -> None:
        while True:
            for key, _ in selector.select():
                if key.fileobj is self._bell:
                    return
                if isinstance(key.fileobj, socket.socket):
                    self._receive(key.fileobj)

    def _receive(self, sock: socket.socket) -> None:
        try:
            message, source = sock.recvfrom(MAX_MESSAGE)
        except OSError:
            return  # an ICMP error of an earlier question: the silence says it
        status, call_id = _STATUS.match(message), _CALL_ID.search(message)
        if status is None or call_id is None or int(status[1]) in SERVER_FAILURES:
            return
        with self._lock:
            address, answer = self._pending.get(call_id[1], ("", None))
            if answer is None or ipaddress.ip_address(source[0].partition("%")[0]) != ipaddress.ip_address(address):
                return
            del self._pending[call_id[1]]
        self._post(answer)


def _options(target: Target, address: str, port: int, call_id: str) -> bytes:
    host = uri_host(address)
    here = f"{host}:{port}" if port else host
    there = f"{uri_host(target.address)}:{target.port}"
    lines = (
        f"OPTIONS sip:{there} SIP/2.0",
        f"Via: SIP/2.0/{target.transport.upper()} {here};rport;branch=z9hG4bK{call_id}",
        "Max-Forwards: 70",
        f"From: <sip:probe@{here}>;tag={call_id[:8]}",
        f"To: <sip:{there}>",
        f"Call-ID: {call_id}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:probe@{here};transport={target.transport}>",
        "Accept: application/sdp",
        "Content-Length: 0",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()
