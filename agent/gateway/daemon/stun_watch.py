"""Knows at any moment whether the STUN server answers, so that no call ever waits for one that does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from agent import clock
from agent.core.place import Place
from agent.gateway.daemon.binding import family_of
from agent.gateway.daemon.stun_question import PATIENCE_MS, ask

_LOOK_MS: Final = 30_000
_LEAST_BETWEEN_MS: Final = 1000
"""Handsets may be lifted as often as one likes."""
_TRIES: Final = 2
"""Each has two datagrams."""


class Seen(Struct, frozen=True):
    """What is known of the server. `outside`: the address from which it saw us when it answered last; empty: never."""

    server: Place | None = None
    answers: bool = False
    outside: str = ""


class StunWatch:
    """Asks the server twice a minute, and before it is needed, from a socket and a thread of its own.

    Both are there only while there is a server to ask. All methods are for any thread, and none but `stop` waits for
    more than a lock. `told` runs on the thread, when what is known has changed.
    """

    def __init__(self, bind: str, told: Callable[[Seen], None], patience_ms: int = PATIENCE_MS) -> None:
        self._bind = bind
        self._told = told
        self._patience_ms = patience_ms
        self._changed = threading.Condition()
        self._seen = Seen()
        self._due_ms = 0
        self._asked_ms = -_LEAST_BETWEEN_MS
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def seen(self) -> Seen:
        """What is known now."""
        return self._seen

    @property
    def answers(self) -> bool:
        """Whether the server answered when it was asked last."""
        return self._seen.answers

    def use(self, server: Place | None) -> None:
        """Watch this server from now on; None: none."""
        with self._changed:
            if self._stopped or server == self._seen.server:
                return
            self._seen = Seen(server)
            self._due_ms = 0
            self._changed.notify()
            if server is not None and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stun-watch", daemon=True)
                self._thread.start()

    def look(self) -> None:
        """Ask now, unless that was done just before: somebody is about to telephone."""
        with self._changed:
            self._due_ms = min(self._due_ms, self._asked_ms + _LEAST_BETWEEN_MS)
            self._changed.notify()

    def ask_from(self, sockets: Sequence[socket.socket]) -> tuple[Place | None, ...]:
        """From where the server sees these sockets; at once, and without asking, nothing while it does not answer.

        A server that is found silent here costs this one time; it is asked again by the watch alone.
        """
        seen = self._seen
        if seen.server is None or not seen.answers:
            return (None,) * len(sockets)
        found = ask(sockets, seen.server, self._patience_ms)
        if None in found:
            self._learn(seen.server, None)
            self.look()
        return found

    def stop(self) -> None:
        """End; at most one question is waited for."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _learn(self, server: Place, outside: Place | None) -> None:
        with self._changed:
            before = self._seen
            if server != before.server:
                return  # another one was named while this one was asked
            address = outside.address if outside is not None else before.outside
            self._seen = Seen(server, outside is not None, address)
            news = self._seen != before
        if news:
            self._told(self._seen)

    def _run(self) -> None:
        while (server := self._next()) is not None:
            found = None
            for _ in range(_TRIES):
                if found is None and not self._stopped:
                    found = self._ask_once(server)
            self._learn(server, found)

    def _ask_once(self, server: Place) -> Place | None:
        """By a socket of its own each time: our address may be another one by now."""
        try:
            with socket.socket(family_of(self._bind), socket.SOCK_DGRAM) as sock:
                sock.bind((self._bind, 0))
                (found,) = ask([sock], server, self._patience_ms)
                return found
        except OSError:
            return None  # no such address at this moment: nothing that could be answered

    def _next(self) -> Place | None:
        """The server when it is time to ask it; None: the end has come, or there is none any more."""
        with self._changed:
            while not self._stopped and self._seen.server is not None:
                left = self._due_ms - clock.boot_ms()
                if left <= 0:
                    self._asked_ms = clock.boot_ms()
                    self._due_ms = self._asked_ms + _LOOK_MS
                    return self._seen.server
                self._changed.wait(left / 1000)
            if not self._stopped:
                self._thread = None
            return None
