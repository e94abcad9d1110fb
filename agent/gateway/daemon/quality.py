"""What the Switch makes of the quality of running calls: notes, records, and the alarm for one-way audio."""

from __future__ import annotations

from typing import Final

from agent.core import events
from agent.core.call import Call
from agent.core.events import MediaStats
from agent.core.quality import Spell, Way, WayFigures
from agent.core.terms import CallPhase, Cause, Party
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.protocol import CallQuality, CallStats, WayQuality, WorstSpell

_WORDS: Final = {
    Way.HEARD: "nothing is received from the far end while we send",
    Way.SENT: "nothing arrives at the far end, as it reports",
}


def note_quality(exchange: Exchange, event: events.CallSampled | events.OneWayAudio) -> None:
    """Keep the newest figures of a call, or that one direction of it is dead, or no longer."""
    call = exchange.calls.get(event.call_id)
    if call is None or call.phase is not CallPhase.ANSWERED:
        return
    if isinstance(event, events.CallSampled):
        call.figures = event.figures
        _end_where_gone(exchange, call, event.silent_ms)
        return
    call.one_way, call.one_way_ms = event.way, event.since_ms
    if event.way is None:
        exchange.log("info", "one_way_audio_over", line=call.line, call_id=call.call_id)
    else:
        exchange.log("warning", "one_way_audio", _WORDS[event.way], line=call.line, call_id=call.call_id)


def _end_where_gone(exchange: Exchange, call: Call, silent_ms: int) -> None:
    """End a call whose far end has not been heard for the configured time; an emergency call ends by its parties."""
    limit_ms = exchange.configuration.rtp_timeout_s * 1000 if exchange.configuration is not None else 0
    if limit_ms and silent_ms >= limit_ms and not call.emergency:
        exchange.log("warning", "media_lost", f"nothing received for {silent_ms // 1000} s", call_id=call.call_id)
        exchange.end(call, Cause.MEDIA_LOST, Party.SYSTEM)


def quality_record(call: Call) -> CallQuality | None:
    """The record of how a call sounds now; None unless it is answered and has been looked at."""
    if call.phase is not CallPhase.ANSWERED or call.figures is None:
        return None
    figures = call.figures
    return CallQuality(
        call_id=call.call_id, heard=_way(figures.heard), sent=_way(figures.sent), rtt_ms=figures.rtt_ms
    )  # fmt: skip


def media_record(stats: MediaStats) -> CallStats:
    """The RTP statistics of a call that is over, without those of its speech inside the adapter."""
    return CallStats(
        rx_packets=stats.rx_packets, tx_packets=stats.tx_packets, rx_lost=stats.rx_lost, tx_lost=stats.tx_lost,
        rx_jitter_ms=stats.rx_jitter_ms, rtt_ms=stats.rtt_ms, codec=stats.codec[:128], rx_discarded=stats.rx_discarded,
        tx_jitter_ms=stats.tx_jitter_ms, heard_mos_centi=stats.heard_mos_centi, sent_mos_centi=stats.sent_mos_centi,
        worst=_spell(stats.worst), one_way=stats.one_way, one_way_ms=stats.one_way_ms,
    )  # fmt: skip


def _way(figures: WayFigures | None) -> WayQuality | None:
    if figures is None:
        return None
    return WayQuality(
        loss_permille=figures.loss_permille, jitter_ms=figures.jitter_ms, mos_centi=figures.mos_centi
    )  # fmt: skip


def _spell(spell: Spell | None) -> WorstSpell | None:
    if spell is None:
        return None
    return WorstSpell(
        way=spell.way, from_ms=spell.from_ms, loss_permille=spell.loss_permille, jitter_ms=spell.jitter_ms,
        rtt_ms=spell.rtt_ms, mos_centi=spell.mos_centi,
    )  # fmt: skip
