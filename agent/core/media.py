"""What is told of a call's speech and packets: from the stack to the Switch, on the gateway's socket, in the record.

One definition for all three: figures of the last seconds, the worst spell, and the statistics of a call that is over.
"""

from __future__ import annotations

import enum
from typing import Annotated

from msgspec import Meta, Struct


class Way(enum.StrEnum):
    """A direction of speech, seen from the household."""

    SENT = "sent"
    HEARD = "heard"


class Told(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of what travels as it is."""


class WayFigures(Told, frozen=True):
    """One direction of a running call over the last seconds."""

    loss_permille: int
    jitter_ms: int
    mos_centi: int


class WorstSpell(Told, frozen=True):
    """The worst five seconds of a call, `from_ms` after the answer; see `agent.core.quality`."""

    way: Way
    from_ms: int
    loss_permille: int
    jitter_ms: int
    rtt_ms: int
    mos_centi: int


class SpeechCounters(Told, frozen=True):
    """One direction of a line's speech between line and RTP, in frames of 10 ms.

    `slips` and `inserts` follow the drift of two clocks; `forced` of them, or after a hold-up, fell into speech.
    `underruns` are gaps, `concealed` the frames that were made up in them or for lost ones.
    """

    frames: int = 0
    slips: int = 0
    inserts: int = 0
    forced: int = 0
    underruns: int = 0
    concealed: int = 0


class SpeechStats(Told, frozen=True):
    """What happened to a call's speech between line and RTP. `lost`: frames that never came from the card.

    `data`: a machine's profile, or its tone, took away all that changes the sound.
    """

    to_network: SpeechCounters = SpeechCounters()
    to_line: SpeechCounters = SpeechCounters()
    lost: int = 0
    bad_frames: int = 0
    digits_muted: int = 0
    data: bool = False


MAX_CODEC = 128
"""Characters of a codec's name: the library's word for it, cut where it is told."""


class MediaStats(Told, frozen=True):
    """RTP statistics of a call, both ways, accumulated over its streams; milliseconds and packets.

    `tx_*` but the packets is what the far end told. `mos_centi`: mean opinion score × 100 over the call, see
    `agent.core.quality`; 0: not known.
    """

    rx_packets: int = 0
    tx_packets: int = 0
    rx_lost: int = 0
    tx_lost: int = 0
    rx_jitter_ms: int = 0
    rtt_ms: int = 0
    codec: Annotated[str, Meta(max_length=MAX_CODEC)] = ""
    speech: SpeechStats | None = None
    rx_discarded: int = 0
    """Packets that came too late to become sound."""
    tx_jitter_ms: int = 0
    heard_mos_centi: int = 0
    sent_mos_centi: int = 0
    worst: WorstSpell | None = None
    one_way: Way | None = None
    """Which direction was dead for `one_way_ms`, if one was."""
    one_way_ms: int = 0
