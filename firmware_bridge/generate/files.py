"""Every generated file, by its path in the checkout."""

from __future__ import annotations

from firmware_bridge.generate.c_codec import codec_source
from firmware_bridge.generate.c_header import header
from firmware_bridge.generate.c_recode import recode_source
from firmware_bridge.generate.page import page
from firmware_bridge.generate.vectors import vectors_json


def generated_files() -> dict[str, str]:
    """Path and text of each; the same table always gives the same texts."""
    return {
        "firmware_bridge/c/lc_messages.h": header(),
        "firmware_bridge/c/lc_messages.c": codec_source(),
        "firmware_bridge/c/host/recode.c": recode_source(),
        "firmware_bridge/c/vectors.json": vectors_json(),
        "docs/line-card-protocol.md": page(),
    }
