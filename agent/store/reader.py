"""The questions the store answers without changing anything."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import msgspec
import structlog

from agent.core.cdr import Cdr
from agent.core.reconcile import Count, MonthCount
from agent.store.database import Database, Row, open_for_reading
from agent.store.details import DetailKind, details_of
from agent.store.records import OutboxState, StoredCdr, UsageDetails, UsageRow, counted, merged, taken_back

_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAX_ROWS = 100_000
_MAX_PRICED = 2_000
_MAX_WAITING = 500
_PRICED = b'"amount_micro":'

_decoder = msgspec.json.Decoder(Cdr)
_log = structlog.get_logger(__name__)


class StoreReader:
    """Records, usage and the length of the queue, as of the last commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open_folder(cls, folder: Path) -> StoreReader:
        """A reader beside a running agent. Raises StoreMissing, StoreTooNew, StoreDamaged, StoreError."""
        return StoreReader(await open_for_reading(folder))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the file; does nothing the second time."""
        await self._database.close()

    async def recent(self, limit: int) -> list[StoredCdr]:
        """The newest `limit` records, newest first."""
        rows = await self._database.read(
            "read the records",
            "SELECT id, body, sha256, state, reason FROM cdr ORDER BY seq DESC LIMIT ?",
            (bounded(limit),),
        )
        return _stored(rows)

    async def after(self, place: int, limit: int) -> tuple[int, list[StoredCdr]]:
        """The next `limit` records after a place in the order of their making, and the new place; 0: from the start.

        The place stays the same when there are no more. A record that can't be read is passed by and logged.
        """
        rows = await self._database.read(
            "read the records",
            "SELECT id, body, sha256, state, reason, seq FROM cdr WHERE seq > ? ORDER BY seq LIMIT ?",
            (place, bounded(limit)),
        )
        return (int(rows[-1][5]) if rows else place), _stored(rows)

    async def quarantined(self) -> list[str]:
        """Identities of the records that the operator would not take, oldest first."""
        rows = await self._database.read(
            "look for quarantined records",
            "SELECT id FROM cdr WHERE state = ? ORDER BY seq LIMIT ?",
            (OutboxState.QUARANTINED, _MAX_ROWS),
        )
        return [str(row[0]) for row in rows]

    async def usage(self, month: str) -> list[UsageRow]:
        """Usage of a civil month `YYYY-MM`, a row for each own number (and currency, should there be several)."""
        return await self._usage(checked_period(month, _MONTH))

    async def usage_day(self, day: str) -> list[UsageRow]:
        """Usage of a civil day `YYYY-MM-DD`."""
        return await self._usage(checked_period(day, _DAY))

    async def usage_details(self, month: str) -> UsageDetails:
        """Usage of a civil month by class of number and by minute pack."""
        rows = await self._database.read(
            "read the usage's details",
            "SELECT kind, name, calls, seconds, amount_micro FROM detail WHERE period = ? ORDER BY name, currency",
            (checked_period(month, _MONTH),),
        )
        classes: dict[str, int] = {}
        packs: dict[str, int] = {}
        for kind, name, _calls, seconds, amount_micro in rows:
            if kind == DetailKind.PACK:
                packs[name] = packs.get(name, 0) + seconds
            else:
                classes[name] = classes.get(name, 0) + amount_micro
        return UsageDetails(classes, packs)

    async def reckon(self, month: str) -> tuple[MonthCount, MonthCount] | None:
        """What of a month the operator has acknowledged, and all that was made in it, as of one moment.

        None: more records wait than are looked through for this.
        """
        checked_period(month, _MONTH)
        rows = await self._database.read(
            "reckon the month",
            "SELECT own_number, '', calls, seconds, amount_micro, NULL, NULL FROM usage WHERE period = ? UNION ALL "
            "SELECT '', name, 0, seconds, 0, NULL, NULL FROM detail WHERE period = ? AND kind = ? UNION ALL "
            "SELECT '', '', 0, 0, 0, body, periods FROM "
            "(SELECT body, periods FROM cdr WHERE state <> ? LIMIT ?)",
            (month, month, DetailKind.PACK, OutboxState.ACKNOWLEDGED, _MAX_WAITING + 1),
        )
        made, waiting, left = MonthCount(), MonthCount(), _MAX_WAITING
        for number, pack, calls, seconds, micro, body, periods in rows:
            if body is not None:
                left -= 1
                waiting = waiting.plus(_waiting(body, periods.split(), month))
            elif pack:
                made = made.plus(MonthCount(packs={pack: seconds}))
            else:
                made = made.plus(MonthCount({number: Count(calls, seconds, micro)}))
        return (made.plus(waiting, -1), made) if left >= 0 else None

    async def priced_since(self, at: datetime) -> list[tuple[datetime, int]]:
        """When the calls that ended after `at` did, as far as anybody vouches for it, and their micro-units.

        Only what was not purged; a corrected record's place is its correction's.
        """
        rows = await self._database.read(
            "read the newest prices",
            "SELECT body, sha256 FROM cdr WHERE instr(body, ?) ORDER BY seq DESC LIMIT ?",
            (_PRICED, _MAX_PRICED),
        )
        found = [cdr for body, digest in rows if (cdr := readable(body, digest)) is not None]
        corrected = {cdr.corrects for cdr in found}
        result = []
        for cdr in found:
            if cdr.price is None or not cdr.price.amount_micro or not cdr.time_trusted or cdr.id in corrected:
                continue
            talked = timedelta(milliseconds=cdr.duration_ms)
            try:
                ended = datetime.fromisoformat(cdr.answered_at or cdr.began_at) + talked
            except (ValueError, OverflowError):
                continue
            if ended > at:
                result.append((ended, cdr.price.amount_micro))
        return result

    async def pending_count(self) -> int:
        """How many records wait for the operator."""
        return await self._count(OutboxState.PENDING)

    async def quarantined_count(self) -> int:
        """How many records the operator would not take."""
        return await self._count(OutboxState.QUARANTINED)

    async def _usage(self, period: str) -> list[UsageRow]:
        rows = await self._database.read(
            "read the usage",
            "SELECT own_number, calls, seconds, amount_micro, currency FROM usage WHERE period = ?",
            (period,),
        )
        return merged([UsageRow(*row) for row in rows])

    async def _count(self, state: OutboxState) -> int:
        rows = await self._database.read("count the records", "SELECT count(*) FROM cdr WHERE state = ?", (state,))
        return int(rows[0][0])


def _stored(rows: Iterable[Row]) -> list[StoredCdr]:
    found: list[StoredCdr] = []
    for cdr_id, body, digest, state, reason, *_ in rows:
        cdr = readable(body, digest)
        if cdr is None:
            _log.error("cdr_unreadable", call_id=cdr_id)
            continue
        found.append(StoredCdr(cdr=cdr, state=OutboxState(state), reason=reason))
    return found


def _waiting(body: bytes, periods: list[str], month: str) -> MonthCount:
    """What a record that the operator does not have yet adds to a month."""
    try:
        cdr = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return MonthCount()
    found = MonthCount()
    for period, row in ((month, counted(cdr)), (f"-{month}", taken_back(cdr))):
        if row is not None and period in periods:
            found = found.plus(MonthCount({row.own_number: Count(row.calls, row.seconds, row.amount_micro)}))
    for detail in details_of(cdr, periods):
        if detail.kind == DetailKind.PACK and detail.period == month:
            found = found.plus(MonthCount(packs={detail.name: detail.seconds}))
    return found


def readable(body: bytes, digest: bytes) -> Cdr | None:
    """The record, or None where its bytes are not those that were written or mean nothing to this version."""
    if hashlib.sha256(body).digest() != digest:
        return None
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def bounded(limit: int) -> int:
    """`limit` between nothing and as much as is ever read at once."""
    return max(0, min(limit, _MAX_ROWS))


def checked_month(month: str) -> str:
    """`month` where it is `YYYY-MM`. Raises ValueError."""
    return checked_period(month, _MONTH)


def checked_day(day: str, month: str) -> str:
    """`day` where it is `YYYY-MM-DD` and lies in `month`. Raises ValueError."""
    if not checked_period(day, _DAY).startswith(month):
        raise ValueError(f"day {day} does not lie in month {month}")
    return day


def checked_period(period: str, shape: re.Pattern[str]) -> str:
    """`period` where it has the shape. Raises ValueError."""
    if not shape.fullmatch(period):
        raise ValueError(f"{period!r} is not a period like 2026-01 or 2026-01-31")
    return period
