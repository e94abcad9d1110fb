"""What a process holds, read from /proc, and how that grows with the calls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SOCKET = re.compile(r"socket:\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds: open files, UDP ports among them, threads, and private memory in kB."""

    files: int
    ports: int
    threads: int
    memory_kb: int


def held(pid: int) -> Held:
    """What this process holds now. Raises OSError where it is gone."""
    process = Path(f"/proc/{pid}")
    links = []
    for descriptor in (process / "fd").iterdir():
        try:
            links.append(str(descriptor.readlink()))
        except OSError:
            continue  # closed meanwhile
    inodes = {match[1] for link in links if (match := _SOCKET.fullmatch(link))}
    udp = [line.split()[9] for name in ("udp", "udp6") for line in _lines(process / "net" / name)[1:]]
    memory = re.search(r"^RssAnon:\s+(\d+) kB", (process / "status").read_text(), re.MULTILINE)
    assert memory is not None
    return Held(
        files=len(links),
        ports=sum(inode in inodes for inode in udp),
        threads=len(list((process / "task").iterdir())),
        memory_kb=int(memory[1]),
    )


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the straight line that fits these points best (least squares); 0 where there is none."""
    count = len(points)
    if count < 2:
        return 0.0
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
