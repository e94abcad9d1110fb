"""Holds the operator's count of the month against our own, each time that it is asked for.

A difference is shown, logged and counted, and never set right by itself: somebody has to find out who is wrong. It has
to be seen twice in a row, for the operator may count a moment later than it acknowledges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog

from agent.core.reconcile import Count, Difference, MonthCount, Told, differences
from agent.operator.api import NumberUsage, PackSeconds, Usage, UsageCount
from agent.operator.usage import UsagePort
from agent.store.errors import StoreError

BASELINE = "usage_baseline"
"""Document: what the operator knew of this adapter before its store began (another card, another adapter)."""

_log = structlog.get_logger("usage")


class ReckonedStore(Protocol):
    """The part of the store that counts."""

    async def reckon(self, month: str) -> tuple[MonthCount, MonthCount] | None:
        """What was acknowledged and what was made in a month; None: too much waits to tell. Raises StoreError."""
        ...

    async def put_document(self, name: str, body: bytes) -> None: ...
    async def document(self, name: str) -> bytes | None: ...


class _Baseline(msgspec.Struct, frozen=True):
    month: str
    count: UsageCount


class Reconciler:
    """Stands between the poll and the operator's client."""

    def __init__(self, client: UsagePort, store: ReckonedStore, *, touch: Callable[[], None]) -> None:
        self._client, self._store, self._touch = client, store, touch
        self._suspected: tuple[Difference, ...] = ()
        self.month = ""
        self.found: tuple[Difference, ...] = ()
        """What differs, seen twice in a row; empty where all agrees or nothing could be compared."""

    async def usage(self, month: str) -> Usage:
        """The operator's answer, unchanged. Raises OperatorError."""
        before = await self._reckoned(month)
        usage = await self._client.usage(month)
        after = await self._reckoned(usage.month)
        if before is not None and after is not None and usage.month == month:
            try:
                await self._compare(before[0], after[1], usage)
            except StoreError as error:
                _log.warning("usage_not_compared", detail=str(error))
        return usage

    async def _reckoned(self, month: str) -> tuple[MonthCount, MonthCount] | None:
        try:
            return await self._store.reckon(month)
        except StoreError as error:
            _log.warning("usage_not_compared", detail=str(error))
            return None

    async def _compare(self, acknowledged: MonthCount, made: MonthCount, usage: Usage) -> None:
        told = _told(usage)
        baseline = await self._baseline(acknowledged, made, usage, told)
        if baseline is None:
            return
        found = differences(acknowledged.plus(baseline), made.plus(baseline), told)
        confirmed = found if found == self._suspected else ()
        self._suspected = found
        if confirmed == self.found and (not confirmed or usage.month == self.month):
            return
        if confirmed:
            for one in confirmed:
                _log.error(
                    "usage_differs", month=usage.month, pack=one.pack, calls_here=one.here.calls,
                    calls_told=one.told.calls, seconds_here=one.here.seconds, seconds_told=one.told.seconds,
                    micro_here=one.here.amount_micro, micro_told=one.told.amount_micro,
                )  # fmt: skip
        elif self.found and not found:
            _log.warning("usage_agrees_again", month=usage.month)
        if confirmed or not found:
            self.month, self.found = usage.month, confirmed
            self._touch()

    async def _baseline(
        self, acknowledged: MonthCount, made: MonthCount, usage: Usage, told: Told
    ) -> MonthCount | None:
        """What of the month was before this store; told and kept once, at the first answer that a store ever hears.

        None: not before everything that waits is acknowledged, for until then nobody knows which of it is counted.
        """
        body = await self._store.document(BASELINE)
        if body is not None:
            try:
                kept = msgspec.json.decode(body, type=_Baseline)
            except (msgspec.DecodeError, UnicodeDecodeError):
                return MonthCount()
            return _month(kept.count) if kept.month == usage.month else MonthCount()
        if acknowledged != made:
            return None
        missing = _as_month(told).plus(_like(acknowledged, told), -1) if told.alone else MonthCount()
        baseline = _at_least_nothing(missing)
        await self._store.put_document(BASELINE, msgspec.json.encode(_Baseline(usage.month, _count(baseline))))
        if baseline.total().calls:
            _log.warning(
                "usage_taken_over", month=usage.month, calls=baseline.total().calls,
                micro=baseline.total().amount_micro,
            )  # fmt: skip
        return baseline


def _told(usage: Usage) -> Told:
    count: UsageCount = usage.device if usage.device is not None else usage
    numbers = {one.number: Count(one.calls, one.seconds, one.amount_micro) for one in count.numbers}
    return Told(
        total=Count(count.calls, count.seconds, count.amount_micro),
        packs={one.pack: one.seconds for one in count.packs},
        numbers=numbers if numbers or not count.calls else None,
        alone=usage.device is not None,
    )


def _as_month(told: Told) -> MonthCount:
    return MonthCount(told.numbers if told.numbers is not None else {"": told.total}, told.packs)


def _like(count: MonthCount, told: Told) -> MonthCount:
    """Our count in as few numbers as the operator tells."""
    return count if told.numbers is not None else MonthCount({"": count.total()}, count.packs)


def _at_least_nothing(count: MonthCount) -> MonthCount:
    return MonthCount(
        {
            name: Count(max(0, one.calls), max(0, one.seconds), max(0, one.amount_micro))
            for name, one in count.numbers.items()
        },
        {name: max(0, seconds) for name, seconds in count.packs.items()},
    )


def _count(month: MonthCount) -> UsageCount:
    total = month.total()
    return UsageCount(
        calls=total.calls, seconds=total.seconds, amount_micro=total.amount_micro,
        packs=[PackSeconds(pack=name, seconds=seconds) for name, seconds in sorted(month.packs.items())],
        numbers=[
            NumberUsage(number=name, calls=one.calls, seconds=one.seconds, amount_micro=one.amount_micro)
            for name, one in sorted(month.numbers.items())
        ],
    )  # fmt: skip


def _month(count: UsageCount) -> MonthCount:
    return MonthCount(
        {one.number: Count(one.calls, one.seconds, one.amount_micro) for one in count.numbers},
        {one.pack: one.seconds for one in count.packs},
    )
