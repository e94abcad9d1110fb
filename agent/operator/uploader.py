"""Brings every record to the operator, once in effect: at least once over the wire, each with an identity of its own.

A record leaves the queue only by the operator's verdict, committed in the store. "Under way" is no state: what was
sent and not committed simply goes again, and the operator knows it by its id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC
from typing import Protocol

import structlog
from msgspec import Struct, structs

from agent.clock import Moment
from agent.core.cdr import Cdr
from agent.operator.api import MAX_BATCH, CdrBatch, CdrBatchResult, CdrResult, Verdict
from agent.operator.errors import Broken, CutOff, OperatorError, Rejected
from agent.operator.retry import Retry, Uniform
from agent.operator.trouble import Trouble

MAX_SKIPPED = MAX_BATCH
MAX_POISON_RUN = 10
"""Records turned down alone, one after another with none taken between, before the operator is held to be at fault."""

MAX_CUT_OFF = 3
"""So often in a row may a connection end under a batch before one of its records is suspected of ending it."""

LONE_FAILURES = 5
LONE_MS = 24 * 3600 * 1000
"""A record that failed alone so often and for so long, while the operator took others, is set apart."""

PROGRESS_MS = 10_000
"""How often a backlog tells how far it has come."""

_STILL_RUNNING = 409
_log = structlog.get_logger(__name__)

Wait = Callable[[asyncio.Event, float | None], Awaitable[None]]


class OutboxPort(Protocol):
    """The part of the store that holds what waits for the operator."""

    async def pending(self, limit: int) -> list[Cdr]:
        """The oldest records, at most `limit`."""
        ...

    async def pending_count(self) -> int:
        """How many wait."""
        ...

    async def acknowledge(self, ids: Sequence[str], at: str) -> int:
        """The operator has them; committed when this returns. How many were pending."""
        ...

    async def quarantine(self, cdr_id: str, reason: str) -> None:
        """The operator will never take it; committed when this returns."""
        ...

    async def epoch(self) -> str:
        """Identity of this outbox."""
        ...

    async def numbers(self, ids: Sequence[str]) -> list[int]:
        """Each record's number in the epoch; empty where one has none."""
        ...


class UploadPort(Protocol):
    """The part of the operator's client that takes records."""

    async def upload(self, batch: CdrBatch) -> CdrBatchResult:
        """A verdict for each record. Raises OperatorError."""
        ...


class UploadStatus(Struct, frozen=True):
    """What the page shows: RFC 3339 UTC times, counts since the process began, `next_attempt_ms` of the boot clock."""

    pending: int = 0
    acknowledged: int = 0
    quarantined: int = 0
    failures: int = 0
    """Failed attempts in a row."""
    errors: int = 0
    """Failed attempts in all."""
    last_success: str = ""
    last_error: Trouble | None = None
    """Why the last attempt failed; None once one has succeeded since."""
    next_attempt_ms: int | None = None
    """None: nothing is put off."""
    backlog_done: int = 0
    backlog_total: int = 0
    """While more than a batch waits: how many of how many have left the queue since then. 0 of 0: no backlog."""


class _Lone(Struct, frozen=True):
    """A record that failed alone: how often, since when (boot clock), and how many others had been taken by then."""

    failures: int
    since_ms: int
    taken: int


class Uploader:
    """Empties the outbox whenever it can. One `run` at a time."""

    def __init__(
        self,
        outbox: OutboxPort,
        client: UploadPort,
        *,
        uniform: Uniform,
        clock: Callable[[], Moment],
        wake: asyncio.Event,
        start_within_s: float = 0.0,
        wait: Wait | None = None,
    ) -> None:
        """`wake` is set whenever a record was stored. `start_within_s` spreads a fleet that got its power back."""
        self._outbox = outbox
        self._client = client
        self._uniform = uniform
        self._clock = clock
        self._wake = wake
        self._wait = wait or wait_for_wake
        self._retry = Retry().postponed(clock().boot_ms, uniform(0.0, start_within_s)) if start_within_s else Retry()
        self._size = MAX_BATCH
        self._skipped: dict[str, None] = {}
        self._doubted: dict[str, None] = {}
        self._poison_run = 0
        self._cut_off = 0
        self._lone: dict[str, _Lone] = {}
        self._told_ms = 0
        self._gone_before = 0
        self._status = UploadStatus()

    @property
    def status(self) -> UploadStatus:
        """How it stands."""
        return self._status

    def retry_now(self) -> None:
        """Forget the patience: a technician asks, or records that were set apart wait again."""
        self._retry = Retry()
        self._skipped.clear()
        self._doubted.clear()
        self._lone.clear()
        self._wake.set()

    async def run(self) -> None:
        """Upload until cancelled."""
        while True:
            self._wake.clear()
            delay_s = await self.step()
            await self._wait(self._wake, delay_s)

    async def step(self) -> float | None:
        """Do what is due. Seconds until there may be something to do again; None: not before `wake`."""
        while True:
            remaining_s = self._retry.remaining_s(self._clock().boot_ms)
            if remaining_s > 0:
                await self._count_pending()
                return remaining_s
            try:
                records = await self._next_batch()
                if not records:
                    break
                await self._measure(records)
                await self._send(records)
            except OperatorError as error:
                self._note_failure(error, Trouble.of(error))
            except Exception as error:  # noqa: BLE001 - the outbox's errors are its own; the records are still there
                self._note_failure(error, Trouble.STORAGE)
            else:
                self._note_success()
        self._retry = Retry()
        self._status = structs.replace(self._status, backlog_done=0, backlog_total=0)
        await self._count_pending()
        return None

    async def _next_batch(self) -> list[Cdr]:
        records = await self._outbox.pending(self._size + len(self._skipped))
        fresh = [record for record in records if record.id not in self._skipped][: self._size]
        if records and not fresh:
            # Everything that waits has failed alone: begin another round, after the patience that is due.
            self._skipped.clear()
            return records[: self._size]
        return fresh

    async def _send(self, records: Sequence[Cdr]) -> None:
        """Hand over these records and commit the verdicts. Raises OperatorError, and what the outbox raises."""
        try:
            numbers = await self._outbox.numbers([record.id for record in records])
            batch = CdrBatch(epoch=await self._outbox.epoch(), records=list(records), numbers=numbers)
            result = await self._client.upload(batch)
        except Rejected as error:
            if len(records) == 1:
                await self._turned_down_alone(records[0].id, error)
                return
            middle = len(records) // 2
            await self._send(records[:middle])
            await self._send(records[middle:])
            return
        except CutOff:
            # A record that breaks the operator's server ends the connection, too.
            self._cut_off += 1
            if self._cut_off >= MAX_CUT_OFF or self._size < MAX_BATCH:
                await self._isolate(records)
            raise
        except Broken:
            await self._isolate(records)
            raise
        if not await self._commit(records, result):
            await self._isolate(records)
            raise Broken("the operator's answer holds no verdict for any record that was sent", 200)

    async def _turned_down_alone(self, cdr_id: str, error: Rejected) -> None:
        """Quarantine a poison record. Raises Broken where it is more likely that the operator is in trouble.

        A lone 409 may only mean that an earlier request with this very record is still being worked on; and a server
        that turns everything down must not empty the queue of a whole fleet.
        """
        doubtful = error.status == _STILL_RUNNING and cdr_id not in self._doubted
        if doubtful or self._poison_run >= MAX_POISON_RUN:
            if len(self._doubted) >= MAX_SKIPPED:
                self._doubted.clear()
            self._doubted[cdr_id] = None
            self._pass_by(cdr_id)
            raise Broken(str(error), error.status)
        self._poison_run += 1
        await self._quarantine(cdr_id, f"the operator answered {error.status} to this record alone")

    async def _commit(self, records: Sequence[Cdr], result: CdrBatchResult) -> bool:
        """Whether any record left the queue."""
        verdicts = _verdicts(records, result)
        taken = [id_ for id_, answer in verdicts.items() if answer.verdict in (Verdict.ACCEPTED, Verdict.DUPLICATE)]
        if taken:
            wall = self._clock().wall.astimezone(UTC)
            acknowledged = await self._outbox.acknowledge(taken, wall.isoformat(timespec="seconds"))
            self._status = structs.replace(self._status, acknowledged=self._status.acknowledged + acknowledged)
            self._poison_run = 0
            self._cut_off = 0
            for id_ in taken:
                self._lone.pop(id_, None)
        for id_, answer in verdicts.items():
            if answer.verdict in (Verdict.CONFLICT, Verdict.REJECTED):
                await self._quarantine(id_, f"{answer.verdict}: {answer.reason}" if answer.reason else answer.verdict)
        return bool(verdicts)

    async def _quarantine(self, cdr_id: str, reason: str) -> None:
        await self._outbox.quarantine(cdr_id, reason)
        self._status = structs.replace(self._status, quarantined=self._status.quarantined + 1)
        _log.error("cdr_quarantined", call_id=cdr_id, reason=reason)

    async def _isolate(self, records: Sequence[Cdr]) -> None:
        """After an answer that makes no sense: smaller batches, then past the record that provokes it alone.

        It is not quarantined at once: an operator's broken server must not empty the queue of a whole fleet. Only where
        the operator goes on taking others, a day long, is the record at fault.
        """
        if len(records) > 1:
            self._size = max(1, len(records) // 2)
            return
        cdr_id, now_ms = records[0].id, self._clock().boot_ms
        before = self._lone.get(cdr_id, _Lone(0, now_ms, self._status.acknowledged))
        lone = structs.replace(before, failures=before.failures + 1)
        if (
            lone.failures >= LONE_FAILURES
            and now_ms - lone.since_ms >= LONE_MS
            and self._status.acknowledged > lone.taken
        ):
            self._lone.pop(cdr_id, None)
            await self._quarantine(cdr_id, f"the operator fails at this record alone, {lone.failures} times by now")
            return
        if len(self._lone) >= MAX_SKIPPED:
            self._lone.clear()
        self._lone[cdr_id] = lone
        self._pass_by(cdr_id)

    def _pass_by(self, cdr_id: str) -> None:
        if len(self._skipped) >= MAX_SKIPPED:
            self._skipped.clear()
        self._skipped[cdr_id] = None

    def _note_success(self) -> None:
        self._retry = Retry()
        self._size = min(MAX_BATCH, self._size * 2)
        self._status = structs.replace(
            self._status,
            failures=0,
            last_success=self._clock().wall.astimezone(UTC).isoformat(timespec="seconds"),
            last_error=None,
            next_attempt_ms=None,
        )

    def _note_failure(self, error: Exception, trouble: Trouble) -> None:
        self._retry = self._retry.after(error, self._clock().boot_ms, self._uniform)
        self._status = structs.replace(
            self._status,
            failures=self._retry.failures,
            errors=self._status.errors + 1,
            last_error=trouble,
            next_attempt_ms=self._retry.not_before_ms,
        )
        _log.warning("cdr_upload_failed", trouble=trouble, detail=str(error), failures=self._retry.failures)

    async def _measure(self, records: Sequence[Cdr]) -> None:
        """Begin to count a backlog, or tell how far it has come."""
        now_ms = self._clock().boot_ms
        status = self._status
        gone = status.acknowledged + status.quarantined
        if not status.backlog_total:
            if len(records) < MAX_BATCH:
                return
            self._gone_before, self._told_ms = gone, now_ms
        elif now_ms - self._told_ms < PROGRESS_MS:
            self._status = structs.replace(status, backlog_done=gone - self._gone_before)
            return
        waiting, done = await self._outbox.pending_count(), gone - self._gone_before
        self._status = structs.replace(status, pending=waiting, backlog_done=done, backlog_total=done + waiting)
        self._told_ms = now_ms
        _log.info("upload_progress", done=done, total=done + waiting)

    async def _count_pending(self) -> None:
        try:
            count = await self._outbox.pending_count()
        except Exception as error:  # noqa: BLE001 - a number for the page; the last one stands
            _log.warning("outbox_unreadable", detail=str(error))
            return
        self._status = structs.replace(self._status, pending=count)


async def wait_for_wake(wake: asyncio.Event, seconds: float | None) -> None:
    """Until `wake` is set, or `seconds` have passed (None: however long it takes)."""
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        pass


def _verdicts(records: Sequence[Cdr], result: CdrBatchResult) -> dict[str, CdrResult]:
    """The one verdict for each record sent. Strangers are ignored; contradicting verdicts are none."""
    sent = {record.id for record in records}
    found: dict[str, CdrResult] = {}
    contradicted: set[str] = set()
    for answer in result.results:
        if answer.id not in sent:
            continue
        if answer.id in found and found[answer.id].verdict is not answer.verdict:
            contradicted.add(answer.id)
        found.setdefault(answer.id, answer)
    return {id_: answer for id_, answer in found.items() if id_ not in contradicted}
