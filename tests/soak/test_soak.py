"""The soak in short, and what it measures with."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.measure import held, slope

PROGRAM = Path(__file__).resolve().parent


def test_a_slope_is_that_of_the_best_line():
    assert slope([(at, 3 * at + 7) for at in range(10)]) == pytest.approx(3)
    assert slope([(0, 1), (1, 0), (2, 2), (3, 1)]) == pytest.approx(0.2)
    assert slope([(5, 1), (5, 9)]) == slope([(1, 1)]) == slope([]) == 0


def test_an_open_port_is_seen():
    before = held(os.getpid())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        after = held(os.getpid())
    assert (after.ports, after.files) == (before.ports + 1, before.files + 1)
    assert held(os.getpid()).ports == before.ports
    assert after.memory_kb > 1000
    assert after.threads >= 1


@pytest.mark.slow
@pytest.mark.peer("kamailio", "sipp")
@pytest.mark.timeout(400)
def test_a_minute_of_calls_and_faults_leaves_nothing_behind(capsys):
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), "--seconds", "60"], capture_output=True, text=True, check=False, timeout=380
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{ran.stdout}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^leaked: 0 calls, 0 ports, 0 file descriptors, 0 threads$", ran.stdout, re.MULTILINE)
    records = re.search(r"^records: (\d+), missing 0, extra 0, double 0$", ran.stdout, re.MULTILINE)
    assert records is not None
    assert int(records[1]) >= 10
    assert "killed" in re.search(r"^faults: (.*)$", ran.stdout, re.MULTILINE)[1]
