"""The gateway as a process: what must not end it, and what must."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

START = (sys.executable, "-m", "agent", "gateway")

Starter = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Start a gateway on the one state folder of the test."""
    made: list[subprocess.Popen[bytes]] = []

    def begin(stderr: int | IO[bytes] = subprocess.PIPE, *options: str) -> subprocess.Popen[bytes]:
        words = ["--socket", str(tmp_path / "s"), "--card", str(tmp_path / "no-card"), "--state",
                 str(tmp_path / "state"), "--bind", "127.0.0.1"]  # fmt: skip
        made.append(subprocess.Popen([*START, *words, *options], stderr=stderr))
        return made[-1]

    yield begin
    for process in made:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def is_up(process: subprocess.Popen[bytes]) -> bool:
    """Wait for its first line: the card that is not there."""
    assert process.stderr is not None
    return json.loads(process.stderr.readline())["event"] == "card_down"


def test_a_log_on_a_full_disk_does_not_end_the_telephone(start: Starter, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(full)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)
    process.terminate()
    assert process.wait(20) == 0


def test_traces_asked_for_close_together_do_not_stop_the_telephone(start: Starter, tmp_path: Path) -> None:
    process = start()
    assert is_up(process)
    for _ in range(300):
        process.send_signal(signal.SIGUSR1)
        os.sched_yield()
    process.terminate()
    assert process.wait(20) == 0
    assert "asked for by signal" in (tmp_path / "state" / "line-trace.txt").read_text()
