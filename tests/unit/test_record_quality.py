"""What a record keeps of how its call sounded."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from agent import records
from agent.clock import Moment
from agent.core.cdr import Cdr, Quality
from agent.core.media import MediaStats, Way, WorstSpell
from agent.core.terms import CallKind, CallPhase, Cause, Direction, Party
from agent.gateway import protocol

NOW = Moment("boot", 60_000, datetime(2026, 11, 22, 12, tzinfo=UTC), True)  # type: ignore[misc]


def _record(stats: MediaStats | None) -> Cdr:
    state = protocol.CallState(
        call_id="0199a000-0000-7000-8000-000000000001", direction=Direction.OUTGOING, kind=CallKind.ORDINARY,
        phase=CallPhase.ENDED, line=0, account="home", number="+4722334455", own_number="+4721000000", asked_ms=10_000,
        answered_ms=20_000, ended_ms=50_000, cause=Cause.NORMAL, released_by=Party.LOCAL, stats=stats,
    )  # fmt: skip
    opened = records.open_call(state, "instance", NOW, product="privat", price_list_sha256="")
    return records.ended_record(opened, state, None, "")


def test_all_figures_of_the_call_are_kept_and_travel_as_json():
    stats = MediaStats(
        rx_packets=1000, tx_packets=1500, rx_lost=7, tx_lost=3, rx_jitter_ms=4, rtt_ms=40, codec="PCMA/8000",
        rx_discarded=2, tx_jitter_ms=5, heard_mos_centi=431, sent_mos_centi=428, one_way=Way.HEARD, one_way_ms=5000,
        worst=WorstSpell(
            way=Way.SENT, from_ms=7000, loss_permille=40, jitter_ms=12, rtt_ms=41, mos_centi=380
        ),
    )  # fmt: skip
    cdr = _record(stats)
    assert cdr.quality == Quality(
        codec="PCMA/8000", rx_packets=1000, tx_packets=1500, rx_lost=7, tx_lost=3, rx_jitter_ms=4, rtt_ms=40,
        rx_discarded=2, tx_jitter_ms=5, heard_mos_centi=431, sent_mos_centi=428, one_way=Way.HEARD, one_way_ms=5000,
        worst=WorstSpell(way=Way.SENT, from_ms=7000, loss_permille=40, jitter_ms=12, rtt_ms=41, mos_centi=380),
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(cdr), type=Cdr) == cdr


def test_a_call_without_media_has_no_quality():
    assert _record(None).quality is None
