"""What is installed is whole: the built wheel, alone in an empty environment, finds its data and does its work."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(*argv: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [str(word) for word in argv], cwd=cwd, capture_output=True, text=True, timeout=500, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=repository)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def agent(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    run(folder / "venv/bin/python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return folder / "venv/bin/iplink-agent"


def test_the_data_travels_inside(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "agent.toml",
        "products.toml",
        "numbering.toml",
        "services.toml",
        "tones.toml",
        "texts.toml",
        "price-lists/privat.csv",
    ):
        assert f"agent/_config/{name}" in names
    assert any(name.startswith("agent/status/templates/") for name in names)
    assert not any(name.startswith(("tests/", "config/")) for name in names)


def test_check_config_accepts_the_shipped_example(agent: Path, tmp_path: Path) -> None:
    config = agent.parent.parent / "lib"
    (example,) = config.glob("python3*/site-packages/agent/_config/agent.toml")
    run(agent, "check-config", example, cwd=tmp_path)


def test_rate_prices_a_call_to_sweden(agent: Path, tmp_path: Path) -> None:
    result = run(
        agent, "rate", "4681234567", "--product", "privat", "--duration", "125", "--json", cwd=tmp_path
    )  # fmt: skip
    price = json.loads(result.stdout)
    assert price["prefix"].startswith("46")
    assert price["amount_micro"] > 0
