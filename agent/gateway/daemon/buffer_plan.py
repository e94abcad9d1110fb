"""The buffers between card and media bridge, in figures: docs/speech.md is where each of them is argued for."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

CARD_FRAME: Final = 80
"""Bytes of one A-law frame of the card: 10 ms at 8000 samples per second."""
CARD_FRAME_US: Final = 10_000
MEDIA_FRAME: Final = 320
"""Bytes of one frame of the media bridge: 20 ms of 16-bit little-endian PCM at 8000 samples per second."""


class BufferPlan(Struct, frozen=True):
    """How one direction is buffered. Microseconds of slack: how long the last frame taken had waited.

    Speech begins with a slack of `begin` up to `begin` plus one frame. Below `low` for a whole window one frame is
    inserted, above `high` one is left out, both in silence. `capacity` frames at most wait.
    """

    begin_us: int
    low_us: int
    high_us: int
    capacity: int
    adaptive: bool
    window_us: int = 1_000_000


SPEECH: Final = BufferPlan(begin_us=10_000, low_us=3_000, high_us=28_000, capacity=8, adaptive=True)
"""10 ms: what a thread may be late. 60 s of two clocks 100 ppm apart use 6 ms of it, and leave `low`; the other way
they add 6 ms to the 20 ms that it begins with at most, and stay below `high`."""
DATA: Final = BufferPlan(begin_us=30_000, low_us=0, high_us=0, capacity=12, adaptive=False)
"""For machines: nothing is ever inserted or left out while it can be helped, and delay costs them little."""

CARD_PLAYOUT: Final = 2
"""Frames that the card holds back before it plays them."""
FADE_AFTER: Final = 1
"""Frames of concealment at full level; each later one loses a fifth of it (after ITU-T G.711 Appendix I)."""
MUTE_AFTER: Final = 6
"""Frames of concealment, 60 ms, after which there is silence."""
