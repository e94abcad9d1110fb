"""Where the shipped data lies."""

from __future__ import annotations

from pathlib import Path


def data_dir() -> Path:
    """The folder of shipped data (price lists, products, tones …): inside the wheel, or `config/` of a checkout."""
    here = Path(__file__).resolve().parent
    installed = here / "_config"
    return installed if installed.is_dir() else here.parent / "config"
