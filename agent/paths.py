"""Where the shipped data lies."""

from __future__ import annotations

import os
from pathlib import Path


def data_dir() -> Path:
    """The folder of shipped data (price lists, products, tones …): inside the wheel, or `config/` of a checkout."""
    here = Path(__file__).resolve().parent
    installed = here / "_config"
    return installed if installed.is_dir() else here.parent / "config"


def kept_configuration() -> Path:
    """Where the last good configuration is kept: in the folder that systemd names, whatever the broken file says."""
    return Path(os.environ.get("STATE_DIRECTORY", "/var/lib/iplink-agent")) / "agent.toml.last-good"
