"""A country's wires and displays in the words of the line card."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

import firmware_bridge as bridge
from agent.core.terms import LineProfile
from agent.gateway.analogue import Analogue, Impedance, Wave
from agent.gateway.protocol import Line

IMPEDANCE: Final = {Impedance.REAL_600: 0, Impedance.TBR21: 1, Impedance.BT: 2}
"""The numbers of docs/line-card-protocol.md."""
_PROFILES: Final = {
    LineProfile.PHONE: bridge.LineProfile.PHONE,
    LineProfile.FAX: bridge.LineProfile.FAX,
    LineProfile.ALARM: bridge.LineProfile.ALARM,
    LineProfile.CARD_TERMINAL: bridge.LineProfile.CARD_TERMINAL,
}


def line_profile(analogue: Analogue, setting: Line) -> bridge.SetProfile:
    """The electrical life of one line; its checksum is that of the country's part, which all lines share."""
    feed, hook = analogue.feed, analogue.hook
    return bridge.SetProfile(
        country=analogue.country, profile=_PROFILES[setting.profile], impedance=IMPEDANCE[feed.impedance],
        feed_ma=feed.feed_ma, ring_hz=feed.ring_hz, ring_vrms=feed.ring_vrms, ring_dc_v=feed.ring_dc_v,
        ring_wave=bridge.RingWave.TRAPEZOID if feed.ring_wave is Wave.TRAPEZOID else bridge.RingWave.SINE,
        tx_gain_cdb=10 * setting.send_gain_ddb, rx_gain_cdb=10 * setting.receive_gain_ddb,
        hook_debounce_ms=hook.debounce_ms, flash_min_ms=hook.flash_min_ms, flash_max_ms=hook.flash_max_ms,
        pulse_break_max_ms=hook.pulse_break_max_ms, pulse_interdigit_ms=hook.pulse_interdigit_ms,
        crc32=zlib.crc32(msgspec.json.encode([analogue.country, feed, hook], order="sorted")),
    )  # fmt: skip


def cadence_of(analogue: Analogue, name: str, usual: Sequence[int]) -> Sequence[int]:
    """The named ringing, or the usual one where the country has none of this name."""
    return next((ring.cadence_ms for ring in analogue.rings if ring.name == name), usual)
