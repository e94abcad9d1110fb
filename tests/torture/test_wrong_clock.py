"""The whole agent process under a wrong system clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parent / "wrong_clock.py"


@pytest.mark.peer("faketime")
@pytest.mark.timeout(300)
def test_calls_are_dated_right_through_1970_and_steps_of_the_clock() -> None:
    ran = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, check=False, timeout=280)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("calls 7, corrections 1, every one where it was\n")
