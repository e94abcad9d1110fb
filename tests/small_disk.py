"""A disk of a few megabytes that tests can fill: a tmpfs in a mount namespace of its own, reached through /proc.

Run by itself (`python small_disk.py FOLDER KILOBYTES`, inside that namespace) it mounts the disk and obeys.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_WAYS = (["unshare", "-rm"], ["sudo", "-n", "unshare", "-m"])


class SmallDisk:
    """The mounted disk."""

    def __init__(self, process: subprocess.Popen[str], root: Path) -> None:
        self._process = process
        self.path = root
        """Its root folder, as every process of this machine sees it."""

    def fill(self) -> None:
        """Take every byte that is left, whoever may have freed some since."""
        self._order("fill")

    def clear(self) -> None:
        """Give back what `fill` took."""
        self._order("clear")

    def _order(self, word: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(word, file=self._process.stdin, flush=True)
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[SmallDisk]:
    """A disk of so many kilobytes, mounted on `folder` for those who come by `SmallDisk.path`. Raises OSError."""
    said = []
    for way in _WAYS:
        command = [*way, sys.executable, __file__, str(folder), str(kilobytes)]
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        except FileNotFoundError as error:
            said.append(str(error))
            continue
        with process:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            if words[:1] == ["mounted"]:
                try:
                    yield SmallDisk(process, Path(f"/proc/{words[1]}/root") / folder.relative_to("/"))
                finally:
                    process.stdin.close() if process.stdin else None
                return
            _, complaint = process.communicate()
            said.append(f"{way[0]}: {complaint.strip()[-200:]}")
    raise OSError(f"no mount namespace can be made here: {'; '.join(said)}")


def _obey(folder: Path, kilobytes: int) -> None:
    import os

    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=0777", "tmpfs", str(folder)], check=True
    )
    print("mounted", os.getpid(), flush=True)
    filling = folder / "somebody-elses"
    for word in sys.stdin:
        if word.strip() == "clear":
            filling.unlink(missing_ok=True)
        else:
            with filling.open("ab", buffering=0) as file:
                try:
                    while file.write(bytes(4096)):
                        pass
                except OSError:
                    pass
        print("done", flush=True)


if __name__ == "__main__":
    _obey(Path(sys.argv[1]), int(sys.argv[2]))
