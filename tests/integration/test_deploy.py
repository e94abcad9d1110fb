"""The systemd units say what they should, and systemd itself finds nothing wrong with them."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

from agent.filter_file import REQUEST
from agent.packet_filter import STATE

UNITS = ["iplink-gateway.service", "iplink-agent.service"]
FILTER = "iplink-packet-filter"


def read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path, encoding="utf-8")
    return parser


@pytest.mark.peer("systemd-analyze")
@pytest.mark.parametrize("name", [*UNITS, *(f"{FILTER}.{kind}" for kind in ("service", "path", "timer"))])
def test_systemd_verifies_the_unit(repository: Path, tmp_path: Path, name: str) -> None:
    text = (repository / "deploy/raspberrypi" / name).read_text(encoding="utf-8")
    # Only the program is exchanged for one that exists here; every other line is what is shipped.
    unit = tmp_path / name
    service = (repository / "deploy/raspberrypi" / name).with_suffix(".service")
    (tmp_path / service.name).write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", service.read_text("utf-8")))
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE), encoding="utf-8")
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    complaints = [line for line in result.stderr.splitlines() if name in line]
    assert complaints == []
    assert result.returncode == 0, result.stderr


@pytest.mark.peer("systemd-analyze")
@pytest.mark.parametrize("name", [*UNITS, f"{FILTER}.service"])
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


def test_root_does_for_the_packet_filter_what_the_gateway_asks_for_and_has_no_right_but_that(repository: Path) -> None:
    folder = repository / "deploy/raspberrypi"
    service, path = read(folder / f"{FILTER}.service"), read(folder / f"{FILTER}.path")
    state = read(folder / "iplink-gateway.service")["Service"]["StateDirectory"]
    asked = f"/var/lib/{state}/{REQUEST}"
    assert path["Path"]["PathChanged"] == asked
    assert service["Unit"]["ConditionPathExists"] == asked
    assert service["Service"]["ExecStart"].split(" ", 1)[1] == f"packet-filter apply {asked}"
    assert set(service["Service"]["CapabilityBoundingSet"].split()) == {"CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH"}
    assert Path("/run", service["Service"]["RuntimeDirectory"]) == STATE.parent
    for name in UNITS:
        assert read(folder / name)["Service"]["CapabilityBoundingSet"] == ""
