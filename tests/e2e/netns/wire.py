"""A slow wire between two network namespaces: every packet comes late, by a delay that varies.

Run as a program: `python wire.py NAMESPACE ADDRESS NAMESPACE ADDRESS DELAY_MS JITTER_MS`. It makes an interface `far`
(tun) with the address in each of the namespaces, given as files, says `ready`, and carries packets until it is ended.
What is sent first arrives first, as on a line: jitter delays what follows.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import sys
import time
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001
_MTU = 2048
_NAME = "far"


def end_in(namespace: str, address: str) -> int:
    """The wire's end in a namespace, up and with its address."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(namespace).open("rb") as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH", _NAME.encode(), _IFF_TUN_NO_PI))
    for words in (f"addr add {address} dev {_NAME}", f"link set {_NAME} up"):
        subprocess.run(["ip", *words.split()], check=True)
    return end


def carry(ends: tuple[int, int], delay_s: float, jitter_s: float) -> None:
    """Carry packets both ways, for ever."""
    chance, serial = random.Random(1), itertools.count()
    under_way: list[tuple[float, int, int, bytes]] = []
    last = dict.fromkeys(ends, 0.0)
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        ready, _, _ = select.select(ends, [], [], wait)
        now = time.monotonic()
        for end in ready:
            other = ends[1] if end == ends[0] else ends[0]
            last[other] = max(last[other], now + delay_s + jitter_s * chance.random())
            heapq.heappush(under_way, (last[other], next(serial), other, os.read(end, _MTU)))
        while under_way and under_way[0][0] <= now:
            _, _, end, packet = heapq.heappop(under_way)
            os.write(end, packet)


def main() -> None:
    """Make both ends and carry."""
    one, address, other, other_address, delay_ms, jitter_ms = sys.argv[1:]
    # The files are of processes of this namespace's own view: opened before the first move.
    paths = [f"/proc/self/fd/{os.open(path, os.O_RDONLY)}" for path in (one, other)]
    ends = end_in(paths[0], address), end_in(paths[1], other_address)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    carry(ends, int(delay_ms) / 1000, int(jitter_ms) / 1000)


if __name__ == "__main__":
    main()
