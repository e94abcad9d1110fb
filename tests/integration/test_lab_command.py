"""`iplink-agent lab` as a newcomer, a script and an impatient person meet it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

LAB = [sys.executable, "-m", "agent", "lab"]


def children(marker: str) -> list[int]:
    """Processes of a lab: all of them carry the name of its folder in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if marker in words and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "lab"
    for pid in children(str(tmp_path)):
        os.kill(pid, signal.SIGKILL)


def test_the_lab_ends_by_itself_and_every_step_happened(folder: Path) -> None:
    command = [*LAB, "--seconds", "15", "--json", "--keep", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    summary = json.loads(result.stdout)
    assert [step for step in summary["steps"] if not step["ok"]] == []
    assert result.returncode == 0
    names = [step["name"] for step in summary["steps"]]
    for name in (
        "registered_line1", "registered_line2", "invite_after_last_digit", "answered", "tone_at_far_end",
        "tone_at_phone", "echo_at_phone", "price_runs_on_the_page", "price_equals_rate", "acknowledged_outgoing",
        "acknowledged_incoming", "totals_equal",
    ):  # fmt: skip
        assert name in names
    assert summary["adapter_amount_micro"] == summary["operator_amount_micro"] > 0
    assert summary["acknowledged"] == summary["records"] >= 2
    assert children(str(folder)) == []


def test_ctrl_c_ends_it_in_order(folder: Path) -> None:
    process = subprocess.Popen([*LAB, "--keep", str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "answered" in line:
            break
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    assert "Everything happened." in rest
    assert children(str(folder)) == []


def test_a_killed_lab_leaves_nothing_behind(folder: Path) -> None:
    process = subprocess.Popen([*LAB, "--keep", str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "is registered" in line and "line2" in line:
            break
    handles = [os.pidfd_open(pid) for pid in children(str(folder)) if pid != process.pid]
    assert len(handles) == 4, "operator, subscribers, gateway, agent"
    process.kill()
    process.wait(timeout=10)
    process.stdout.close()
    try:
        for handle in handles:
            assert select.select([handle], [], [], 20)[0], "a process of the lab outlived it"
    finally:
        for handle in handles:
            os.close(handle)
