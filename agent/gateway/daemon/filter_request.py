"""Asks for a packet filter: what the gateway knows of its ports and of the operator's addresses, in a file for root."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.core.packet_filter import FilterError, PacketFilter
from agent.core.ranges import Network, RangeError, parse_range, parse_ranges
from agent.files import write_whole
from agent.filter_file import REQUEST, encode_request
from agent.gateway.protocol import Configure

_AGAIN_MS = 60_000
_LOOK_MS = 1000
"""How often the ports are looked at: a new one is opened when a way is dead."""


class FilterRequests:
    """The file in the state folder; written when what it would say has changed, and when writing has failed."""

    def __init__(self, folder: Path, rtp_ports: tuple[int, int], log: Callable[[str, str, str], None]) -> None:
        self._path = folder / REQUEST
        self._rtp_ports = rtp_ports
        self._log = log
        self._written: tuple[object, ...] = ()
        """What the file says."""
        self._ranges: tuple[tuple[Network, ...], tuple[Network, ...]] = ((), ())
        self._due_ms = 0

    def use(self, configuration: Configure, targets: Iterable[str]) -> None:
        """Take the operator's ranges, and the IP addresses of the targets; at once to be asked for."""
        single = tuple(_networks(targets))
        signalling = (*parse_ranges(configuration.signalling_ranges), *single)
        media = (*parse_ranges(configuration.media_ranges), *single) if configuration.media_ranges else ()
        self._ranges = (tuple(dict.fromkeys(signalling)), tuple(dict.fromkeys(media)))
        self._due_ms = 0

    def tend(self, now: int, sip_ports: Callable[[], tuple[int, ...]]) -> None:
        """Write the file where it is time to look and it would say something new."""
        signalling, media = self._ranges
        if now < self._due_ms or not signalling:
            return
        self._due_ms = now + _LOOK_MS
        wanted = (sip_ports(), signalling, media)
        if wanted == self._written:
            return
        try:
            body = encode_request(PacketFilter(wanted[0], self._rtp_ports, signalling, media))
            write_whole(self._path, body, mode=0o640, durable=False)
            self._written = wanted
        except FilterError as error:
            self._due_ms = now + _AGAIN_MS
            self._log("error", "packet_filter_not_asked_for", str(error))
        except OSError as error:
            self._due_ms = now + _AGAIN_MS
            self._log("error", "packet_filter_not_asked_for", f"{self._path}: {error.strerror or error}")


def _networks(addresses: Iterable[str]) -> Iterable[Network]:
    for address in addresses:
        with contextlib.suppress(RangeError):
            yield parse_range(address)
