"""Builds the reference device with the C compiler of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "c"
_PRODUCTS = {"all": "line-card", "checked": "line-card-checked", "library": "liblinecard.so", "fuzz": "fuzz"}
_BUILD_S = 120


class BuildError(Exception):
    """There is no compiler, or it refused; the text is what it said."""


def build(target: str, folder: Path) -> Path:
    """Build `all` (the process), `checked` (with sanitizers), `library` or `fuzz` into `folder`. Raises BuildError."""
    command = ["make", "-s", "-C", str(SOURCES), f"OUT={folder.resolve()}", target]
    try:
        made = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"make cannot be run: {error}") from error
    if made.returncode:
        raise BuildError(made.stderr.strip())
    return folder.resolve() / _PRODUCTS[target]
