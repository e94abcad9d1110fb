"""Notices that the network has changed: rtnetlink says that something did, and a look at our own address says what.

What counts is the address from which this machine sends to the operator: that of another interface, a container's
bridge or a second router advertisement change nothing for us.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from agent.core.events import NetworkChanged
from agent.core.target import Target
from agent.core.terms import NetworkChange
from agent.gateway.daemon.binding import family_of

_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR and IPV6_ROUTE of linux/rtnetlink.h."""
_SETTLE_S: Final = 0.3
"""A router that comes up sends many changes: the last one counts."""
_LONGEST_SETTLE: Final = 10
_LOOK_S: Final = 30.0
"""And this often even if nothing is said, for a kernel that has lost a message."""
_MESSAGE: Final = 65_536

Addresses = Mapping[Target, str]
"""From which address each target is reached; empty: there is no way to it."""


class Seen:
    """What has been seen of our own addresses: pure."""

    def __init__(self) -> None:
        self._now: dict[Target, str] = {}
        self._last: dict[Target, str] = {}

    def look(self, addresses: Addresses) -> NetworkChange | None:
        """What this look shows against the one before; None: nothing that matters, or only that something is gone.

        A target that was not looked at before is no news.
        """
        reached = {target: address for target, address in addresses.items() if address}
        moved = any(self._last.get(target, address) != address for target, address in reached.items())
        back = any(self._now.get(target) == "" for target in reached)
        self._now = dict(addresses)
        self._last = {target: address or self._last.get(target, "") for target, address in addresses.items()}
        self._last = {target: address for target, address in self._last.items() if address}
        if moved:
            return NetworkChange.ADDRESS
        return NetworkChange.LINK_UP if back else None


class LinkWatch:
    """Posts NetworkChanged from a thread of its own."""

    def __init__(self, post: Callable[[NetworkChanged], None]) -> None:
        self._post = post
        self._targets: tuple[Target, ...] = ()
        self._bell: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def watch(self, targets: Iterable[Target]) -> None:
        """Whom to look at from now on. For any thread."""
        self._targets = tuple(dict.fromkeys(targets))
        self._ring(b"w")

    def start(self) -> None:
        """Begin to look."""
        self._bell, other = socket.socketpair()
        self._thread = threading.Thread(target=self._run, args=(other,), name="link-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        if self._thread is None or self._bell is None:
            return
        self._ring(b"")
        self._thread.join()

    def _ring(self, byte: bytes) -> None:
        bell = self._bell
        if bell is None:
            return
        if byte:
            with contextlib.suppress(OSError):
                bell.send(byte)
        else:
            bell.close()

    def _run(self, bell: socket.socket) -> None:
        with bell, contextlib.ExitStack() as stack:
            news = _rtnetlink()
            if news is not None:
                stack.enter_context(news)
            seen = Seen()
            seen.look(self._addresses())
            while self._wait(bell, news):
                change = seen.look(self._addresses())
                if change is not None:
                    self._post(NetworkChanged(change))

    def _addresses(self) -> Addresses:
        return {target: own_address(target) for target in self._targets}

    def _wait(self, bell: socket.socket, news: socket.socket | None) -> bool:
        """Until there is something to look at, and it has settled; false: it is time to end."""
        heard, timeout = False, _LOOK_S
        for _ in range(_LONGEST_SETTLE):
            ready, _, _ = select.select([one for one in (bell, news) if one is not None], [], [], timeout)
            if bell in ready:
                return bool(_read(bell))
            if not ready:
                break
            heard, timeout = True, _SETTLE_S
            if news is not None:
                _read(news)
        return heard or timeout == _LOOK_S


def own_address(target: Target) -> str:
    """The address from which this machine sends to the target; empty where there is no way to it."""
    try:
        with socket.socket(family_of(target.address), socket.SOCK_DGRAM) as probe:
            probe.connect((target.address, target.port))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def _read(source: socket.socket) -> bytes:
    try:
        return source.recv(_MESSAGE)
    except OSError:
        return b"lost"  # ENOBUFS: the kernel had more to say than we read, which is news as well


def _rtnetlink() -> socket.socket | None:
    news = None
    try:
        news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        news.bind((0, _GROUPS))
    except OSError:
        if news is not None:
            news.close()
        return None
    return news
