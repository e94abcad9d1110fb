"""What the Switch makes of the quality of running calls: notes, records, and the alarm for one-way audio."""

from __future__ import annotations

from typing import Final

from agent.core import events
from agent.core.call import Call
from agent.core.media import Way
from agent.core.terms import CallPhase, Cause, Party
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.protocol import CallQuality

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
    return CallQuality(call_id=call.call_id, heard=figures.heard, sent=figures.sent, rtt_ms=figures.rtt_ms)
