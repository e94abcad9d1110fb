"""A simulated line card with telephones on it: the far end of the link, for tests, the lab and people."""

from firmware_bridge.simulator.card import SimulatedCard
from firmware_bridge.simulator.loop import LOOPS, Loop
from firmware_bridge.simulator.maker import Maker
from firmware_bridge.simulator.phone import SimulatedPhone, TranscriptEntry
from firmware_bridge.simulator.pty import PtyCard
from firmware_bridge.simulator.unkind import ROUGH, Mischief, UnkindWire

__all__ = [
    "LOOPS",
    "ROUGH",
    "Loop",
    "Maker",
    "Mischief",
    "PtyCard",
    "SimulatedCard",
    "SimulatedPhone",
    "TranscriptEntry",
    "UnkindWire",
]
