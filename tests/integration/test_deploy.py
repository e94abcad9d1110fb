"""The systemd units say what they should, and systemd itself finds nothing wrong with them."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

UNITS = ["iplink-gateway.service", "iplink-agent.service"]


def read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path, encoding="utf-8")
    return parser


@pytest.mark.peer("systemd-analyze")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_verifies_the_unit(repository: Path, tmp_path: Path, name: str) -> None:
    text = (repository / "deploy/raspberrypi" / name).read_text(encoding="utf-8")
    # Only the program is exchanged for one that exists here; every other line is what is shipped.
    unit = tmp_path / name
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE), encoding="utf-8")
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    complaints = [line for line in result.stderr.splitlines() if name in line]
    assert complaints == []
    assert result.returncode == 0, result.stderr


@pytest.mark.peer("systemd-analyze")
@pytest.mark.parametrize("name", UNITS)
def test_the_unit_is_sandboxed(repository: Path, name: str) -> None:
    unit = repository / "deploy/raspberrypi" / name
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(unit)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-400:]


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_is_started_again_without_limit(repository: Path, name: str) -> None:
    unit = read(repository / "deploy/raspberrypi" / name)
    assert unit["Service"]["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    for relation in ("Requires", "BindsTo", "PartOf"):
        assert relation not in unit["Unit"], "neither half may take the other down"


def test_the_agent_waits_for_the_clock_to_be_set_and_not_for_the_network_to_set_it(repository: Path) -> None:
    unit = read(repository / "deploy/raspberrypi/iplink-agent.service")["Unit"]
    assert "time-set.target" in unit["After"].split()
    assert "time-sync.target" not in str(dict(unit))
    assert "time-" not in str(dict(read(repository / "deploy/raspberrypi/iplink-gateway.service")["Unit"]))
