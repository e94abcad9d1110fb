"""The records that the agent sees: built whole from the Switch's state, published where they have changed."""

from __future__ import annotations

import msgspec

from agent.core.call import Call
from agent.core.line import Line
from agent.core.linetest_run import RunPhase
from agent.core.media import MAX_CODEC, MediaStats
from agent.core.registration import Registration
from agent.core.terms import CallPhase
from agent.core.update import UpdatePhase
from agent.gateway.card_records import LineTestState, UpdateState
from agent.gateway.daemon.actions import Publish
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.daemon.lamps import Lamps
from agent.gateway.daemon.paths import Paths
from agent.gateway.daemon.quality import quality_record
from agent.gateway.protocol import (
    AccountState,
    CallQuality,
    CallState,
    CardState,
    GatewayRecord,
    LineSettings,
    LineState,
)

_SHORT = 128
_TEXT = 1024

_Key = tuple[type[GatewayRecord], str]


class Records:
    """What has been published of one exchange, so that only changes are published again."""

    def __init__(self, exchange: Exchange, paths: Paths) -> None:
        self._x = exchange
        self._paths = paths
        self._published: dict[_Key, GatewayRecord] = {}
        self._lamps = Lamps(exchange)

    def all(self) -> list[GatewayRecord]:
        """Every record there is, for an agent that has just connected."""
        x = self._x
        return [
            x.card,
            *(line_state(line) for line in x.lines),
            *(LineSettings(line=line, services=one) for line, one in sorted(x.settings.items())),
            *(self._account_state(name, one) for name, one in x.registrations.items()),
            *(self._call_state(call) for call in x.calls.values() if call.call_id not in x.released),
            *(one for one in map(quality_record, x.calls.values()) if one is not None),
            *x.line_tests.values(),
            *((x.update,) if x.update is not None else ()),
        ]

    def _account_state(self, name: str, registration: Registration) -> AccountState:
        return account_state(name, registration, self._paths.alive_ms(name), self._paths.request_ms(name))

    def _call_state(self, call: Call) -> CallState:
        published = self._published.get((CallState, call.call_id))
        if isinstance(published, CallState) and published.phase is CallPhase.ENDED:
            # It stays as it is until the agent has it, which may take weeks.
            return published
        return call_state(call)

    def publish_changes(self) -> None:
        """Publish every record that differs from what was published last, and log what it means."""
        seen: set[_Key] = set()
        for record in self.all():
            key = _key(record)
            seen.add(key)
            before = self._published.get(key)
            if before is not record and before != record:
                self._published[key] = record
                self._x.act(Publish(record))
                self._log_change(before, record)
        for key in self._published.keys() - seen:
            self._forget(key)
        self._lamps.show()

    def forget_lamps(self) -> None:
        """The card has restarted: its lamps are dark whatever they were told."""
        self._lamps.forget()

    def _forget(self, key: _Key) -> None:
        record = self._published.pop(key)
        if isinstance(record, LineSettings):
            self._x.act(Publish(LineSettings(line=record.line)))
        if isinstance(record, AccountState):
            gone = AccountState(account=record.account, registered=False, reason="removed", since_ms=self._x.now)
            self._x.act(Publish(gone))

    def _log_change(self, before: GatewayRecord | None, record: GatewayRecord) -> None:
        x = self._x
        match record:
            case CallState():
                if not isinstance(before, CallState) or before.phase is not record.phase:
                    x.log(
                        "info", f"call_{record.phase}", _call_detail(record), line=record.line, call_id=record.call_id
                    )
            case AccountState():
                if not isinstance(before, AccountState) or (before.registered, before.code, before.on_wire) != (
                    record.registered,
                    record.code,
                    record.on_wire,
                ):
                    level = "info" if record.registered or not record.attempts else "warning"
                    origin = "" if record.on_wire else " (no answer)"
                    state = "registered" if record.registered else "not_registered"
                    x.log(level, f"account_{state}", f"{record.account}: {record.code}{origin} {record.reason}")
            case CardState():
                known = isinstance(before, CardState) and (before.up, before.reason) == (record.up, record.reason)
                if (before is not None or record.up) and not known:
                    x.log("info" if record.up else "error", "card_up" if record.up else "card_down", record.reason)
            case LineTestState() | UpdateState():
                self._log_trial(before, record)
            case LineState():
                was_off_hook = isinstance(before, LineState) and before.off_hook
                if was_off_hook is not record.off_hook:
                    x.log("debug", "line_off_hook" if record.off_hook else "line_on_hook", line=record.line)

    def _log_trial(self, before: GatewayRecord | None, record: LineTestState | UpdateState) -> None:
        if isinstance(before, type(record)) and before.phase is record.phase:
            return
        match record:
            case LineTestState(phase=phase, line=index):
                outcome = ("passed" if record.passed else "failed") if phase is RunPhase.DONE else record.reason
                self._x.log("info", f"line_test_{phase}", outcome, line=index)
            case UpdateState(phase=step):
                level = "error" if step is UpdatePhase.FAILED else "info"
                detail = f"{record.version} {record.reason} {record.detail}".strip()
                self._x.log(level, f"card_update_{step}", detail)


def line_state(line: Line) -> LineState:
    """The record of a line."""
    return LineState(
        line=line.index, off_hook=line.off_hook, ringing=line.ringing, tone=line.tone,
        announcement=line.announcement or "", digits=len(line.digits), call_id=line.call_id,
    )  # fmt: skip


def account_state(
    account: str, registration: Registration, alive_ms: int | None = None, request_ms: int | None = None
) -> AccountState:
    """The record of a registration."""
    return AccountState(
        account=account, registered=registration.registered, code=registration.code,
        reason=registration.reason[:_TEXT], on_wire=registration.on_wire, since_ms=registration.since_ms,
        next_attempt_ms=registration.next_attempt_ms, attempts=registration.attempts,
        status=registration.status, target=registration.target, alive_ms=alive_ms,
        request_ms=request_ms,
    )  # fmt: skip


def call_state(call: Call) -> CallState:
    """The record of a call. Cause, party and end appear with the ended phase, when they are final."""
    ended = call.phase is CallPhase.ENDED
    return CallState(
        call_id=call.call_id, direction=call.direction, kind=call.kind, phase=call.phase, line=call.line,
        account=call.account[:_SHORT], number=call.number[:_SHORT], own_number=call.own_number,
        diverted_from=call.diverted_from[:_SHORT],
        asked_ms=call.asked_ms, invited_ms=call.invited_ms, ringing_ms=call.ringing_ms, answered_ms=call.answered_ms,
        until_ms=call.until_ms, held=call.held,
        ended_ms=call.ended_ms if ended else None, cause=call.cause if ended else None,
        released_by=call.released_by if ended else None, refusal=call.refusal,
        max_talk_ms=call.max_talk_ms, limit=call.limit if ended else "", sip_code=call.sip_code,
        stats=_stats(call.stats) if call.stats is not None else None,
        one_way=call.one_way if call.phase is CallPhase.ANSWERED else None,
        one_way_since_ms=call.one_way_ms if call.one_way is not None and call.phase is CallPhase.ANSWERED else None,
    )  # fmt: skip


def _stats(stats: MediaStats) -> MediaStats:
    if len(stats.codec) <= MAX_CODEC:
        return stats
    return msgspec.structs.replace(stats, codec=stats.codec[:MAX_CODEC])


def _key(record: GatewayRecord) -> _Key:
    match record:
        case CallState(call_id=name) | CallQuality(call_id=name) | AccountState(account=name):
            return type(record), name
        case LineState(line=index) | LineTestState(line=index) | LineSettings(line=index):
            return type(record), str(index)
        case _:
            return type(record), ""


def _call_detail(record: CallState) -> str:
    parts = [record.direction.value, record.kind.value]
    if record.cause is not None and record.released_by is not None:
        parts += [record.cause.value, f"by {record.released_by.value}"]
    if record.sip_code:
        parts.append(str(record.sip_code))
    return " ".join(parts)
