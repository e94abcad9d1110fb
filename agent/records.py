"""How a call becomes a record: pure steps from what the gateway says to what is stored, uploaded and shown."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

from agent.clock import Anchor, Moment
from agent.core.cdr import Basis, Cdr, HeldPack, OpenCall, Price, Quality, Superseded
from agent.core.media import MediaStats, SpeechStats
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.gateway.protocol import CallState, Decide


def rfc3339(at: datetime) -> str:
    """`2026-11-22T20:15:00.123Z`: UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def period_of(at: str, zone: tzinfo) -> tuple[str, str]:
    """Civil month (`2026-11`) and day (`2026-11-22`) of an RFC 3339 instant in the operator's time zone."""
    day = datetime.fromisoformat(at).astimezone(zone).date().isoformat()
    return day[:7], day


def open_call(
    state: CallState,
    instance: str,
    now: Moment,
    *,
    product: str,
    price_list_sha256: str,
    later: Sequence[Basis] = (),
    packs: Sequence[HeldPack] = (),
    decision: Decide | None = None,
) -> OpenCall:
    """The row that recovery needs, made when the call is first seen; its id and start never change again."""
    return OpenCall(
        id=state.call_id,
        instance=instance,
        direction=state.direction,
        kind=state.kind,
        line=state.line,
        account=state.account,
        own_number=state.own_number,
        number=state.number,
        diverted_from=state.diverted_from,
        boot_id=now.boot_id,
        began_ms=state.asked_ms,
        began_at=rfc3339(now.wall_at(state.asked_ms)),
        time_trusted=now.trusted,
        time_source=now.source.value if now.trusted else "",
        answered_ms=state.answered_ms,
        last_alive_ms=now.boot_ms,
        product=product,
        price_list_sha256=price_list_sha256,
        until_ms=decision.until_ms if decision is not None else None,
        warn_at_ms=decision.warn_at_ms if decision is not None else None,
        later=list(later),
        packs=list(packs),
    )


def anchor_in(now: Moment) -> Anchor | None:
    """The anchor that a trusted moment is; None where nobody vouches for it."""
    if not now.trusted:
        return None
    return Anchor(boot_id=now.boot_id, boot_ms=now.boot_ms, wall=now.wall, source=now.source)


def dated(call: OpenCall, anchor: Anchor | None) -> OpenCall:
    """The row with its true beginning where nobody vouched for it yet; `anchor` is that of the boot it began in."""
    if call.time_trusted or anchor is None or call.boot_id != anchor.boot_id:
        return call
    began_at = rfc3339(anchor.wall_at(call.began_ms))
    return msgspec.structs.replace(call, began_at=began_at, time_trusted=True, time_source=anchor.source.value)


def reopened(cdr: Cdr, began_at: datetime) -> OpenCall:
    """A recorded call as if it had been opened at `began_at`, without what prices it."""
    return OpenCall(
        id=cdr.id, instance="", direction=cdr.direction, kind=cdr.kind, line=cdr.line, account=cdr.account,
        own_number=cdr.own_number, number=cdr.number, diverted_from=cdr.diverted_from,
        boot_id=cdr.boot_id, began_ms=cdr.began_ms,
        began_at=rfc3339(began_at), time_trusted=True, answered_ms=cdr.began_ms + cdr.setup_ms,
        last_alive_ms=cdr.began_ms + cdr.setup_ms + cdr.duration_ms,
    )  # fmt: skip


def correction_id(cdr_id: str) -> str:
    """The id of the record that corrects this one: always the same, so it is made once whoever dies meanwhile."""
    return str(uuid.uuid5(uuid.UUID(cdr_id), "began_at"))


def correction(cdr: Cdr, began_at: datetime, source: str, price: Price | None, unpriced: str) -> Cdr:
    """The record in the place of `cdr`: the same call, its beginning vouched for by `source`, its price anew."""
    began = rfc3339(began_at)
    was = cdr.price
    return msgspec.structs.replace(
        cdr,
        id=correction_id(cdr.id),
        began_at=began,
        answered_at=rfc3339(answered_at(began, cdr.began_ms, cdr.began_ms + cdr.setup_ms)) if cdr.answered_at else "",
        time_trusted=True,
        time_source=source,
        price=price,
        unpriced=unpriced,
        corrects=cdr.id,
        superseded=Superseded(
            began_at=cdr.began_at, price=msgspec.structs.replace(was, steps=[]) if was is not None else None
        ),
    )


def is_chargeable(direction: Direction, kind: CallKind) -> bool:
    """Only outgoing ordinary calls cost money; emergency calls are free by law (ekomloven 2003 § 2-6)."""
    return direction is Direction.OUTGOING and kind is CallKind.ORDINARY


def answered_duration_ms(answered_ms: int | None, ended_ms: int) -> int:
    """Answered time; never negative, 0 where nobody answered."""
    return max(0, ended_ms - answered_ms) if answered_ms is not None else 0


def answered_at(began_at: str, began_ms: int, answered_ms: int | None) -> datetime:
    """The wall time of the answer: what the record shows and what prices the call. Without an answer, the beginning."""
    offset_ms = answered_ms - began_ms if answered_ms is not None else 0
    return datetime.fromisoformat(began_at) + timedelta(milliseconds=offset_ms)


def ended_record(call: OpenCall, state: CallState, price: Price | None, unpriced: str) -> Cdr:
    """The record of a call whose end the gateway saw."""
    ended_ms = state.ended_ms if state.ended_ms is not None else call.last_alive_ms
    return _record(
        call, ended_ms=ended_ms, answered_ms=state.answered_ms, cause=state.cause or Cause.NORMAL,
        released_by=state.released_by or Party.SYSTEM, price=price, unpriced=unpriced, refusal=state.refusal,
        limit=state.limit, sip_code=state.sip_code, line=state.line, quality=_quality(state.stats),
    )  # fmt: skip


def recovered_record(call: OpenCall, last_alive_ms: int, price: Price | None, unpriced: str) -> Cdr:
    """The record of a call whose gateway died: it ends at the last sign of life."""
    return _record(
        call, ended_ms=max(last_alive_ms, call.answered_ms or call.began_ms), answered_ms=call.answered_ms,
        cause=Cause.GATEWAY_LOST, released_by=Party.SYSTEM, price=price, unpriced=unpriced, line=call.line,
        recovered=True,
    )  # fmt: skip


def _record(
    call: OpenCall,
    *,
    ended_ms: int,
    answered_ms: int | None,
    cause: Cause,
    released_by: Party,
    price: Price | None,
    unpriced: str,
    line: int | None,
    refusal: str = "",
    limit: str = "",
    sip_code: int = 0,
    quality: Quality | None = None,
    recovered: bool = False,
) -> Cdr:
    answered_text = ""
    if answered_ms is not None:
        answered_text = rfc3339(answered_at(call.began_at, call.began_ms, answered_ms))
    return Cdr(
        id=call.id,
        direction=call.direction,
        kind=call.kind,
        line=line,
        account=call.account,
        own_number=call.own_number,
        number=call.number,
        diverted_from=call.diverted_from,
        boot_id=call.boot_id,
        began_ms=call.began_ms,
        began_at=call.began_at,
        answered_at=answered_text,
        time_trusted=call.time_trusted,
        time_source=call.time_source,
        duration_ms=answered_duration_ms(answered_ms, ended_ms),
        setup_ms=max(0, (answered_ms if answered_ms is not None else ended_ms) - call.began_ms),
        cause=cause,
        released_by=released_by,
        refusal=refusal,
        limit=limit,
        sip_code=sip_code,
        recovered=recovered,
        price=price,
        unpriced=unpriced,
        quality=quality,
    )


def _quality(stats: MediaStats | None) -> Quality | None:
    if stats is None:
        return None
    speech = stats.speech or SpeechStats()
    return Quality(
        codec=stats.codec, rx_packets=stats.rx_packets, tx_packets=stats.tx_packets, rx_lost=stats.rx_lost,
        tx_lost=stats.tx_lost, rx_jitter_ms=stats.rx_jitter_ms, rtt_ms=stats.rtt_ms,
        sent_concealed_ms=10 * speech.to_network.concealed, heard_concealed_ms=10 * speech.to_line.concealed,
        clock_corrections=sum(way.slips + way.inserts for way in (speech.to_network, speech.to_line)),
        rx_discarded=stats.rx_discarded, tx_jitter_ms=stats.tx_jitter_ms, heard_mos_centi=stats.heard_mos_centi,
        sent_mos_centi=stats.sent_mos_centi, worst=stats.worst, one_way=stats.one_way,
        one_way_ms=stats.one_way_ms, machine=speech.data,
    )  # fmt: skip
