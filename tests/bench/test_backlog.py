"""Months offline: a hundred thousand records go to the operator in bounded memory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parent / "bench_upload.py"
GROWTH_MB = 16.0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_records_go_in_bounded_memory(capsys: pytest.CaptureFixture[str]) -> None:
    ran = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, check=False, timeout=580)
    with capsys.disabled():
        sys.stdout.write(f"\n{ran.stdout}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "upload of 100,000 records" in ran.stdout
    assert "purge of 100,000 records" in ran.stdout
    grown = re.search(r"^grown ([0-9.]+) MB", ran.stdout, re.MULTILINE)
    assert grown is not None
    assert float(grown[1]) < GROWTH_MB
