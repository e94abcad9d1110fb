"""The agent dies at every named point and at random, gateway and card do their worst: no record lost, none twice."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parent


def tortured(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, int]:
    """Run the torture and show what it counted; how often each point was met."""
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=False, timeout=800
    )
    with capsys.disabled():
        said = ran.stdout.strip().splitlines()
        sys.stdout.write(f"\n{said[-1] if said else 'nothing was said'}\n")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^kills \d+, records [1-9]\d*, missing 0, extra 0, money difference 0$", ran.stdout, re.MULTILINE)
    met = re.search(r"^met: (.*)$", ran.stdout, re.MULTILINE)
    assert met is not None
    return {point: int(count) for point, count in (one.split() for one in met[1].split(", "))}


@pytest.mark.timeout(200)
def test_an_agent_killed_at_each_named_point_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    met = tortured(capsys, "--kills", "15", "--seed", "2")
    assert sum(met.values()) == 15
    assert len(met) >= 10, "most of the points were really met"


@pytest.mark.slow
@pytest.mark.timeout(850)
@pytest.mark.parametrize("more", [[], ["--gateway"], ["--gateway", "--lying-card"]], ids=["agent", "both", "card"])
def test_two_hundred_kills_lose_nothing(capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    met = tortured(capsys, "--kills", "67", *more)
    assert len(met) == 14, "every named point, and kills at random"
