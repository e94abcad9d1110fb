"""A disk of a few megabytes that tests can fill: a tmpfs, mounted by root, or through sudo as CI allows it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class SmallDisk:
    """The mounted disk; `path` is its root folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filling = path / "somebody-elses"

    def fill(self) -> None:
        """Take every byte that is left, whoever may have freed some since."""
        with self._filling.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def clear(self) -> None:
        """Give back what `fill` took."""
        self._filling.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[SmallDisk]:
    """A disk of so many kilobytes, mounted on `folder`. Raises OSError where nobody may mount one."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=0777", "tmpfs", str(folder)]
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    mounted = subprocess.run([*rights, *command], check=False, capture_output=True, text=True)
    if mounted.returncode:
        raise OSError(f"no disk can be mounted here: {mounted.stderr.strip()[-200:]}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run([*rights, "umount", "--lazy", str(folder)], check=True)
