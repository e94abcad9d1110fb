"""The header in which some telephones and platforms tell each other how a call sounded: `X-RTP-Stat`, in a BYE.

It has no standard. The fields are those that FRITZ!Box, Snom, Poly and baresip have in common, as AVM once wrote them
down; readers take what they know and skip the rest.
"""

from __future__ import annotations

from typing import Final

from agent.core.quality import Counters

NAME: Final = "X-RTP-Stat"
_UNITS_PER_MS: Final = 8
"""Jitter is in units of 1/8000 s, as RTCP has it (RFC 3550 §6.4.1); G.722 counts so, too (RFC 3551 §4.5.2)."""


def value(totals: Counters, codec: str, *, setup_ms: int, talk_ms: int, mos_centi: int) -> str:
    """The header's value. Pairs are received, sent; what the far end never told is left out.

    CS setup (ms), CD conversation (s), PS and OS packets and octets sent, PR and OR received, PL lost, PD too late,
    JI jitter, LA round trip (ms), EN and DE codecs, MOS of what was received.
    """
    told = totals.reports > 0
    fields = [
        f"CS={setup_ms}", f"CD={talk_ms // 1000}", f"PS={totals.sent}", f"OS={totals.sent_octets}",
        f"PR={totals.received}", f"OR={totals.received_octets}",
        f"PL={totals.lost},{totals.far_lost}" if told else f"PL={totals.lost}", f"PD={totals.discarded}",
        f"JI={_units(totals.jitter_us)},{_units(totals.far_jitter_us)}" if told else f"JI={_units(totals.jitter_us)}",
        *((f"LA={totals.rtt_us // 1000}",) if totals.rtt_us else ()),
        *((f"EN={codec}", f"DE={codec}") if codec else ()),
        *((f"MOS={mos_centi / 100:.2f}",) if mos_centi else ()),
    ]  # fmt: skip
    return ";".join(fields)


def _units(us: int) -> str:
    return f"{us * _UNITS_PER_MS / 1000:.1f}"
