"""The sockets that the library has opened and does not show: found among our own descriptors, given packet filters."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from agent.core.source_filter import Instruction

_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
"""asm-generic/socket.h; the socket module names neither."""


def own_sockets() -> Iterator[socket.socket]:
    """Copies of all IP sockets of this process, each until the next is asked for. Raises OSError."""
    for entry in Path("/proc/self/fd").iterdir():
        # Other threads open and close theirs meanwhile: what is gone, or no socket any more, is passed over.
        with contextlib.suppress(OSError), contextlib.ExitStack() as copy:
            if not str(entry.readlink()).startswith("socket:"):
                continue
            # A copy of the descriptor, so that closing it does not close the library's.
            descriptor = os.dup(int(entry.name))
            copy.callback(os.close, descriptor)
            sock = socket.socket(fileno=descriptor)
            copy.callback(sock.detach)
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                yield sock


@contextlib.contextmanager
def own_udp_sockets(ports: Sequence[int]) -> Iterator[list[socket.socket]]:
    """Copies of our UDP sockets on these ports, in their order; empty unless each has exactly one. Raises OSError."""
    with contextlib.ExitStack() as copies:
        found: dict[int, list[socket.socket]] = {port: [] for port in ports}
        for sock in own_sockets():
            if sock.type == socket.SOCK_DGRAM and (port := sock.getsockname()[1]) in found:
                # Not by its own dup(), which makes the library's descriptor, too, a blocking one.
                found[port].append(copies.enter_context(socket.socket(fileno=os.dup(sock.fileno()))))
        yield [here[0] for here in found.values()] if all(len(here) == 1 for here in found.values()) else []


def attach(sock: socket.socket, program: Sequence[Instruction]) -> None:
    """Let the kernel drop what the program does not take, in place of an earlier program. Raises OSError."""
    body = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    instructions = ctypes.create_string_buffer(body, len(body))
    sock.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(instructions))
    )


def detach(sock: socket.socket) -> None:
    """Let everything in again; a socket without a filter is left as it is. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
