"""What must be true in the end, held against what operator and store have."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from adapter import MICRO_PER_SECOND, Adapter

from agent.core.cdr import Cdr
from agent.core.terms import CallKind, Direction
from agent.gateway.protocol import CallState
from agent.store import Store


@dataclass(slots=True)
class Verdict:
    """Empty everywhere but in `records` where nothing was lost, doubled or mistimed."""

    records: int = 0
    missing: set[str] = field(default_factory=set)
    extra: set[str] = field(default_factory=set)
    mistimed: set[str] = field(default_factory=set)
    money_micro: int = 0
    usage_micro: int = 0
    usage_calls: int = 0
    unsettled: int = 0
    """Records that the operator refused, or that still wait."""

    @property
    def good(self) -> bool:
        """Whether everything is as it was."""
        return not (
            self.missing or self.extra or self.mistimed or self.money_micro or self.usage_micro or self.usage_calls
            or self.unsettled
        )  # fmt: skip

    def __str__(self) -> str:
        text = (
            f"records {self.records}, missing {len(self.missing)}, extra {len(self.extra)}, "
            f"money difference {self.money_micro / 1_000_000:g}"
        )
        if not self.good:
            text += (
                f"\nmistimed {len(self.mistimed)}, usage difference {self.usage_calls} calls and "
                f"{self.usage_micro / 1_000_000:g}, unsettled {self.unsettled}\nmissing {sorted(self.missing)[:5]}"
                f"\nextra {sorted(self.extra)[:5]}\nmistimed {sorted(self.mistimed)[:5]}"
            )
        return text


def compare(adapter: Adapter) -> Verdict:
    """The gateway's memory against the operator's ledger and the store's totals."""
    received = {one.record.id: one.record for one in adapter.received()}
    must = {call_id for call_id in adapter.ended if call_id not in adapter.lost} | (adapter.lost & adapter.granted)
    verdict = Verdict(records=len(received), missing=must - received.keys())
    verdict.extra = received.keys() - adapter.asked
    calls = money = 0
    for call_id, cdr in received.items():
        state = adapter.ended.get(call_id)
        if not cdr.recovered and state is not None and duration(state) != cdr.duration_ms:
            verdict.mistimed.add(call_id)
        expected = price_of(cdr, cdr.duration_ms if cdr.recovered or state is None else duration(state))
        money += expected
        verdict.money_micro += (cdr.price.amount_micro if cdr.price else 0) - expected
        calls += cdr.direction is Direction.OUTGOING and cdr.duration_ms > 0
    verdict.money_micro -= sum(
        price_of(adapter.ended[call_id], duration(adapter.ended[call_id]))
        for call_id in verdict.missing & adapter.ended.keys()
    )
    usage_calls, usage_micro, verdict.unsettled = asyncio.run(_store_totals(adapter))
    verdict.usage_calls, verdict.usage_micro = usage_calls - calls, usage_micro - money
    return verdict


def duration(state: CallState) -> int:
    """Answered milliseconds, as the gateway saw them."""
    if state.answered_ms is None or state.ended_ms is None:
        return 0
    return state.ended_ms - state.answered_ms


def price_of(call: Cdr | CallState, duration_ms: int) -> int:
    """A price by arithmetic of its own: one øre for each second begun."""
    if call.direction is not Direction.OUTGOING or call.kind is not CallKind.ORDINARY:
        return 0
    return -(-duration_ms // 1000) * MICRO_PER_SECOND


async def _store_totals(adapter: Adapter) -> tuple[int, int, int]:
    async with await Store.open_reader(adapter.store) as reader:
        rows = await reader._database.read(
            "add up",
            "SELECT coalesce(sum(calls), 0), coalesce(sum(amount_micro), 0) FROM usage WHERE length(period) = 7",
        )
        unsettled = await reader.pending_count() + await reader.quarantined_count()
    return int(rows[0][0]), int(rows[0][1]), unsettled
