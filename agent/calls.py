"""The agent's half of every call: decide, record, release. One function for live events and for recovery.

What the gateway sends is taken as a statement of fact about the call, whole and possibly repeated: after a restart of
either process the same records come again, and `reconcile` brings the store to the same end.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import Awaitable, Callable, Sequence
from datetime import tzinfo
from typing import Protocol, TypeVar

import msgspec
import structlog
from msgspec import Struct

from agent import records
from agent.clock import Anchor, Moment
from agent.core.announcement import Announcement
from agent.core.cdr import Basis, Cdr, HeldPack, OpenCall, Price
from agent.core.terms import CallPhase, Tone
from agent.gateway.protocol import AgentRecord, CallState, Decide, Hello, Release

_RETRY_S = 2.0
_HEARTBEAT_S = 10.0
_RENEWAL_PAUSE_S = 0.2
_MAX_LOST = 64
"""So many gateways may die before the store takes the records of the first one's calls."""

_log = structlog.get_logger("calls")
_T = TypeVar("_T")


class StoreRefusal(enum.StrEnum):
    """Why a call that admission grants may not start after all; each has a sentence `refusal.CODE`."""

    STORE_UNAVAILABLE = "store_unavailable"


class CallStore(Protocol):
    """What a call needs of the store. Each method has committed when it returns; failures are among `troubles`."""

    async def open_call(self, call: OpenCall) -> None: ...
    async def mark_answered(self, call_id: str, answered_ms: int) -> None: ...
    async def mark_alive(self, call_ids: Sequence[str], boot_ms: int) -> None: ...
    async def open_calls(self) -> list[OpenCall]: ...
    async def finish(self, cdr: Cdr, month: str, day: str) -> bool: ...


class Judgement(Struct, frozen=True):
    """What admission says of an asked call, and what will price it if it is granted."""

    decision: Decide
    product: str
    price_list_sha256: str
    later: Sequence[Basis] = ()
    packs: Sequence[HeldPack] = ()


class Judge(Protocol):
    """Admission and price, as the composition root wires them."""

    def judge(self, state: CallState, now: Moment) -> Judgement:
        """May this call start, until when, and if not why."""

    def basis(self) -> tuple[str, str]:
        """Product and price-list digest in force now."""

    def on_its_day(self, call: OpenCall, duration_ms: int) -> OpenCall:
        """A call whose beginning has become known, with what prices it on that day and those after it."""

    def price(self, call: OpenCall, duration_ms: int) -> tuple[Price | None, str]:
        """The price of an answered chargeable call by the list it began with, or why there is none."""


class Purse(Protocol):
    """What a call may still cost: asked when it is answered and from time to time, told when it has ended."""

    def withdraw(self, call_id: str) -> None:
        """The call will not start after all."""

    def lease(self, call: OpenCall, state: CallState, now: Moment) -> Decide | None:
        """The grant of an answered call as it is due now; None: the gateway has it already, or needs none."""

    def renewal_ms(self) -> int | None:
        """When a grant has to be renewed next, in boot time; None: none, until something changes."""

    def settle(self, call: Cdr, price: Price | None, now: Moment, *, counted: bool) -> None:
        """The call has its record; `counted`: it is new, and counts."""


class LiveCall(Struct):
    """A call in progress: the gateway's newest word, and our row for it once that is committed."""

    state: CallState
    row: OpenCall | None = None


class _Lost(Struct, frozen=True):
    """The gateway's connection has ended; what it said before that stands before this in the queue."""


class Calls:
    """Takes every `Hello` and `CallState` in order, and sees each ended call through to its record and release."""

    def __init__(
        self,
        *,
        store: CallStore,
        judge: Judge,
        send: Callable[[AgentRecord], None],
        now: Callable[[], Moment],
        zone: tzinfo,
        recorded: Callable[[Cdr], Awaitable[None]],
        troubles: tuple[type[Exception], ...],
        unsendable: type[Exception],
        anchor_of: Callable[[str], Anchor | None] | None = None,
        purse: Purse | None = None,
    ) -> None:
        """`purse`: without one, calls last as they were granted.

        `anchor_of`: what the time of a boot hangs on, by its id; without it only the present boot is known.
        """
        self._store, self._judge, self._send, self._now, self._zone = store, judge, send, now, zone
        self._recorded = recorded
        self._troubles, self._unsendable = troubles, unsendable
        self._anchor_of = anchor_of or (lambda _boot_id: records.anchor_in(self._now()))
        self._purse = purse
        self._renewal = asyncio.Event()
        self._inbox: asyncio.Queue[Hello | CallState | _Lost] = asyncio.Queue()
        self._instance = ""
        self._greeted = ""
        self._lost_at: dict[str, int] = {}
        self._unfinished: dict[str, CallState] = {}
        self._unfollowed: dict[str, CallState] = {}
        self._unkept_answers: dict[str, int] = {}
        self._ended_ms: dict[str, int] = {}
        """When those calls ended of whose end no record could be made: none is billed beyond it."""
        self._unreconciled = False
        self._rows: dict[str, OpenCall] = {}
        self.live: dict[str, LiveCall] = {}
        self._unread = ""
        self._unwritten = ""

    @property
    def trouble(self) -> str:
        """Why the store refuses, as it said the last time it was written or read; empty while it works."""
        return self._unwritten or self._unread

    def store_works(self) -> None:
        """Somebody has written to the store since: what was refused before would be taken now."""
        self._unwritten = ""

    def price_lists_in_use(self) -> set[str] | None:
        """Digests of the lists that the open calls began with; None while the open calls are not all known."""
        if self._unreconciled or not self._instance:
            return None
        rows = self._rows.values()
        return {row.price_list_sha256 for row in rows} | {one.price_list_sha256 for row in rows for one in row.later}

    def take(self, record: Hello | CallState) -> None:
        """Queue one record from the gateway; called on the event loop, never blocks."""
        if isinstance(record, Hello):
            self._greeted = record.instance
            self._lost_at.pop(record.instance, None)
        self._inbox.put_nowait(record)

    def lost(self) -> None:
        """Note that the gateway's connection has ended: its calls were alive until now, and none of them after."""
        self._lost_at[self._greeted or self._instance] = self._now().boot_ms
        while len(self._lost_at) > _MAX_LOST:
            del self._lost_at[next(iter(self._lost_at))]
        self.live.clear()
        self._inbox.put_nowait(_Lost())

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work())
            group.create_task(self._heartbeat())
            group.create_task(self._renew())

    async def _renew(self) -> None:
        """Renew grants as they come due, whatever the store is doing: a disk that hangs ends no call."""
        while True:
            self._renewal.clear()
            due_ms = self._purse.renewal_ms() if self._purse is not None else None
            wait_s = max(0, due_ms - self._now().boot_ms) / 1000 if due_ms is not None else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._renewal.wait(), wait_s)
            self.renew()
            # A grant that can't be renewed yet (its gateway is away) is not asked for without a pause.
            await asyncio.sleep(_RENEWAL_PAUSE_S)

    def look_at_grants(self) -> None:
        """What may be spent has changed."""
        self._renewal.set()

    def renew(self) -> None:
        """Tell the gateway of every grant that is due, of the calls that it carries."""
        for live in list(self.live.values()):
            row = live.row if live.row is not None else self._rows.get(live.state.call_id)
            if row is None:
                continue
            try:
                self._lease(row, live.state)
            except Exception as error:  # noqa: BLE001 - one call's price ends neither the agent nor another call
                _log.error("grant_not_renewed", call_id=row.id, error=type(error).__name__, exc_info=error)

    def _lease(self, row: OpenCall, state: CallState) -> None:
        decision = self._purse.lease(row, state, self._now()) if self._purse is not None else None
        if decision is None:
            return
        _log.info("grant_renewed", call_id=row.id, talk_ms=decision.max_talk_ms, limit=decision.limit)
        self._tell(decision)
        self._renewal.set()

    async def _work(self) -> None:
        while True:
            try:
                timeout = _RETRY_S if self._unfinished or self._unfollowed or self._unreconciled else None
                record = await asyncio.wait_for(self._inbox.get(), timeout)
            except TimeoutError:
                await self._again()
            else:
                await self.reconcile(record)

    async def _again(self) -> None:
        if self._unreconciled:
            try:
                await self._close_lost_calls()
            except self._troubles as error:
                _log.error("store_failed", detail=str(error))
                return
        for state in [*self._unfollowed.values(), *self._unfinished.values()]:
            await self.reconcile(state)

    async def reconcile(self, record: Hello | CallState | _Lost) -> None:
        """Bring the store in line with one statement of the gateway. Repeating it changes nothing."""
        if isinstance(record, _Lost):
            self.live.clear()
            return
        try:
            if isinstance(record, Hello):
                self._take_over(record.instance)
                await self._close_lost_calls()
            elif record.phase is CallPhase.ENDED:
                await self._finish(record)
            elif record.phase is CallPhase.ASKED:
                await self._decide(record)
            else:
                await self._follow(record)
        except self._troubles as error:
            _log.error("store_failed", detail=str(error))
        except Exception as error:  # noqa: BLE001 - whatever one record holds, the calls of the other lines go on
            self._set_aside(record, error)

    def _set_aside(self, record: Hello | CallState, error: Exception) -> None:
        """Leave a record that nothing can be made of: unreleased, so its gateway keeps it and sends it again."""
        if isinstance(record, CallState):
            self._unfinished.pop(record.call_id, None)
            self._unfollowed.pop(record.call_id, None)
            if record.ended_ms is not None:
                self._ended_ms[record.call_id] = record.ended_ms
        call_id = record.call_id if isinstance(record, CallState) else ""
        _log.error("record_unprocessable", call_id=call_id, error=type(error).__name__, exc_info=error)

    async def _written(self, write: Awaitable[_T]) -> _T:
        """What a write of the store returns; remembers whether the store took it."""
        try:
            done = await write
        except self._troubles as error:
            self._unwritten = str(error)
            raise
        self._unwritten = ""
        return done

    async def _kept_calls(self) -> list[OpenCall]:
        try:
            kept = await self._store.open_calls()
        except self._troubles as error:
            self._unread = str(error)
            raise
        self._unread = ""
        return kept

    def _take_over(self, instance: str) -> None:
        if instance != self._instance:
            # These calls are over, and what their gateway said of them is all that anybody will ever know.
            for state in self._unfollowed.values():
                if state.answered_ms is not None:
                    self._unkept_answers[state.call_id] = state.answered_ms
            self._unfollowed.clear()
        self._instance = instance
        self.live.clear()

    async def _close_lost_calls(self) -> None:
        self._unreconciled = True
        now = self._now()
        for kept in await self._kept_calls():
            call = kept
            if call.answered_ms is None and call.id in self._unkept_answers:
                call = msgspec.structs.replace(call, answered_ms=self._unkept_answers[call.id])
            self._rows[call.id] = call
            if call.instance == self._instance or call.id in self._unfinished:
                continue
            try:
                await self._recover(call, now)
            except self._troubles:
                raise
            except Exception as error:  # noqa: BLE001 - its row stays open for a better agent; the others are closed
                _log.error("call_unrecoverable", call_id=call.id, error=type(error).__name__, exc_info=error)
        self._unreconciled = False
        self._unkept_answers.clear()

    async def _recover(self, call: OpenCall, now: Moment) -> None:
        """Record a call whose gateway is gone, up to the last moment at which it was alive."""
        last = call.last_alive_ms
        if call.boot_id == now.boot_id:
            last = self._lost_at.get(call.instance, last)
            last = min(last, self._ended_ms.get(call.id, last))
        duration_ms = records.answered_duration_ms(call.answered_ms, last)
        call = self._dated(call, duration_ms)
        price, unpriced = self._price(call, duration_ms)
        await self._commit(records.recovered_record(call, last, price, unpriced))

    async def _read_rows(self) -> None:
        """What was opened by an earlier agent has to be known before a call is opened or priced anew."""
        if self._unreconciled:
            await self._close_lost_calls()

    async def _decide(self, state: CallState) -> None:
        now = self._now()
        judgement = self._judge.judge(state, now)
        decision = judgement.decision
        if decision.granted:
            row = records.open_call(
                state, self._instance, now,
                product=judgement.product, price_list_sha256=judgement.price_list_sha256, later=judgement.later,
                packs=judgement.packs, decision=decision,
            )  # fmt: skip
            try:
                await self._written(self._store.open_call(row))
            except self._troubles as error:
                _log.error("call_not_opened", call_id=state.call_id, detail=str(error))
                if self._purse is not None:
                    self._purse.withdraw(state.call_id)
                decision = Decide(
                    call_id=state.call_id, granted=False, refusal=StoreRefusal.STORE_UNAVAILABLE.value,
                    tone=Tone.CONGESTION, announcement=Announcement.UNAVAILABLE.value,
                )  # fmt: skip
            else:
                self._rows[row.id] = row
                self._show(LiveCall(state, row))
        _log.info(
            "call_decided", call_id=state.call_id, line=state.line, granted=decision.granted, refusal=decision.refusal
        )
        self._tell(decision)

    def _show(self, call: LiveCall) -> None:
        """Count a call as alive, unless its gateway was lost while its word waited here."""
        if self._instance not in self._lost_at:
            self.live[call.state.call_id] = call

    async def _follow(self, state: CallState) -> None:
        live = LiveCall(state, self._rows.get(state.call_id))
        self._show(live)
        if live.row is not None:
            self._lease(live.row, state)
        self._unfollowed[state.call_id] = state
        await self._read_rows()
        known = live.row is not None
        row = live.row = await self._row(state)
        if not known:
            self._lease(row, state)
        if state.answered_ms is not None and row.answered_ms is None:
            await self._written(self._store.mark_answered(state.call_id, state.answered_ms))
            row = live.row = self._rows[row.id] = msgspec.structs.replace(row, answered_ms=state.answered_ms)
            _log.debug("call_answered", call_id=state.call_id, line=state.line)
        self._unfollowed.pop(state.call_id, None)

    async def _row(self, state: CallState) -> OpenCall:
        row = self._rows.get(state.call_id)
        if row is None:
            product, digest = self._judge.basis()
            row = records.open_call(state, self._instance, self._now(), product=product, price_list_sha256=digest)
            alive_ms = min(row.last_alive_ms, self._lost_at.get(self._instance, row.last_alive_ms))
            row = msgspec.structs.replace(row, last_alive_ms=alive_ms)
            await self._written(self._store.open_call(row))
            self._rows[row.id] = row
        return row

    async def _finish(self, state: CallState) -> None:
        self._unfinished[state.call_id] = state
        self._unfollowed.pop(state.call_id, None)
        self.live.pop(state.call_id, None)
        await self._read_rows()
        row = self._rows.get(state.call_id)
        if row is None:
            product, digest = self._judge.basis()
            row = records.open_call(state, self._instance, self._now(), product=product, price_list_sha256=digest)
        if row.answered_ms is None and state.answered_ms is not None:
            row = msgspec.structs.replace(row, answered_ms=state.answered_ms)
        now = self._now()
        ended = state.ended_ms if state.ended_ms is not None else now.boot_ms
        duration_ms = records.answered_duration_ms(state.answered_ms, ended)
        row = self._dated(row, duration_ms)
        price, unpriced = self._price(row, duration_ms)
        await self._commit(records.ended_record(row, state, price, unpriced))
        del self._unfinished[state.call_id]
        self._tell(Release(call_id=state.call_id))

    def _dated(self, call: OpenCall, duration_ms: int) -> OpenCall:
        """The call with its true beginning, if that has become known, and what prices it on that day."""
        found = records.dated(call, self._anchor_of(call.boot_id))
        if found is call or duration_ms == 0 or not records.is_chargeable(call.direction, call.kind):
            return found
        return self._judge.on_its_day(found, duration_ms)

    def _price(self, call: OpenCall, duration_ms: int) -> tuple[Price | None, str]:
        if duration_ms == 0 or not records.is_chargeable(call.direction, call.kind):
            return None, ""
        return self._judge.price(call, duration_ms)

    async def _commit(self, cdr: Cdr) -> None:
        counted = await self._written(self._store.finish(cdr, *records.period_of(cdr.began_at, self._zone)))
        if self._purse is not None:
            self._purse.settle(cdr, cdr.price, self._now(), counted=counted)
        if counted:
            _log.info(
                "call_recorded", call_id=cdr.id, line=cdr.line, direction=cdr.direction.value, cause=cdr.cause.value,
                duration_ms=cdr.duration_ms, amount_micro=cdr.price.amount_micro if cdr.price else 0,
                recovered=cdr.recovered,
            )  # fmt: skip
            await self._recorded(cdr)
        self._rows.pop(cdr.id, None)
        self._ended_ms.pop(cdr.id, None)

    def _tell(self, record: AgentRecord) -> None:
        try:
            self._send(record)
        except self._unsendable:
            # The gateway has gone; when it is back it sends the call again, and this answer with it.
            _log.warning("gateway_gone", call_id=getattr(record, "call_id", ""))

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            alive = [call_id for call_id, call in self.live.items() if call.row is not None]
            if alive:
                try:
                    await self._written(self._store.mark_alive(alive, self._now().boot_ms))
                except self._troubles as error:
                    _log.error("store_failed", detail=str(error))
