"""`make` finds a fitting interpreter, or says in two sentences what is missing. The interpreters here are stubs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH with a shell's own tools and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def machine(folder: Path, name: str) -> None:
    (folder / "uname").write_text(f"#!/bin/sh\necho {name}\n")
    (folder / "uname").chmod(0o755)


def interpreter(folder: Path, name: str, *, version: tuple[int, int], pjsua2: bool = False, venv: bool = True) -> None:
    """A stub that answers the script's questions as such a Python would."""
    lines = ["#!/bin/sh", 'case "$2" in']
    if not pjsua2:
        lines.append("  *'import pjsua2'*) exit 1 ;;")
    else:
        lines.append(f"  *'import pjsua2'*) exit {0 if venv and version >= (3, 11) else 1} ;;")
    wheel = venv and (3, 11) <= version <= (3, 12)
    lines += [f"  *cpython*) exit {0 if wheel else 1} ;;", "esac", "exit 1"]
    (folder / name).write_text("\n".join(lines) + "\n")
    (folder / name).chmod(0o755)


def find(repository: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(repository / ".ci/find-python")],
        env={"PATH": str(folder)}, capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip


def test_prefers_the_newest_that_has_a_wheel(repository: Path, bare: Path) -> None:
    machine(bare, "x86_64")
    interpreter(bare, "python3.11", version=(3, 11))
    interpreter(bare, "python3.12", version=(3, 12))
    assert find(repository, bare).stdout == "wheel python3.12\n"


def test_plain_python3_will_do(repository: Path, bare: Path) -> None:
    machine(bare, "x86_64")
    interpreter(bare, "python3", version=(3, 11))
    assert find(repository, bare).stdout == "wheel python3\n"


def test_too_new_for_the_wheel_but_with_the_systems_pjsua2(repository: Path, bare: Path) -> None:
    machine(bare, "aarch64")
    interpreter(bare, "python3", version=(3, 13), pjsua2=True)
    assert find(repository, bare).stdout == "system python3\n"


def test_uv_can_fetch_one(repository: Path, bare: Path) -> None:
    machine(bare, "x86_64")
    interpreter(bare, "python3", version=(3, 13))
    interpreter(bare, "uv", version=(3, 9))
    assert find(repository, bare).stdout == "uv 3.12\n"


@pytest.mark.parametrize("name", ["x86_64", "aarch64"])
def test_says_in_two_sentences_what_is_missing(repository: Path, bare: Path, name: str) -> None:
    machine(bare, name)
    interpreter(bare, "python3", version=(3, 13))
    result = find(repository, bare)
    assert result.returncode == 3
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 2
    assert "pjsua2" in result.stderr
    assert "Install" in result.stderr


def test_an_interpreter_without_venv_is_passed_over(repository: Path, bare: Path) -> None:
    machine(bare, "x86_64")
    interpreter(bare, "python3.12", version=(3, 12), venv=False)
    interpreter(bare, "python3.11", version=(3, 11))
    assert find(repository, bare).stdout == "wheel python3.11\n"
