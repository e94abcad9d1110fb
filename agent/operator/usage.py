"""Asks the operator what the customer has used: other devices' calls, minute packs, what is left of prepaid money."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct, structs

from agent.clock import FLOOR, Moment
from agent.operator.api import Usage
from agent.operator.errors import OperatorError
from agent.operator.retry import Retry, Uniform
from agent.operator.sync import DocumentPort
from agent.operator.trouble import Trouble
from agent.operator.uploader import Wait, wait_for_wake

USAGE = "usage"
PERIOD_S = 900.0
SOON_S = 10.0
"""After a call: time for its record to arrive at the operator first."""
_SPREAD = (0.8, 1.2)
_log = structlog.get_logger(__name__)


class UsagePort(Protocol):
    """The part of the operator's client that tells what was used."""

    async def usage(self, month: str) -> Usage:
        """The operator's count of a month. Raises OperatorError."""
        ...


class UsageStatus(Struct, frozen=True):
    """How the last question went. `last_success`: RFC 3339 UTC; `next_attempt_ms` of the boot clock."""

    failures: int = 0
    last_success: str = ""
    last_error: Trouble | None = None
    detail: str = ""
    next_attempt_ms: int | None = None


class UsagePoller:
    """Call `restore` first, then `run`. The newest answer is kept for an agent that starts with the operator away."""

    def __init__(
        self,
        client: UsagePort,
        documents: DocumentPort,
        *,
        observed: Callable[[Usage], None],
        uniform: Uniform,
        clock: Callable[[], Moment],
        zone: tzinfo,
        period_s: float = PERIOD_S,
        wait: Wait | None = None,
    ) -> None:
        self._client, self._documents, self._observed = client, documents, observed
        self._uniform, self._clock, self._zone, self._period_s = uniform, clock, zone, period_s
        self._wait = wait or wait_for_wake
        self._wake = asyncio.Event()
        self._retry = Retry()
        self._status = UsageStatus()
        self._usage: Usage | None = None

    @property
    def status(self) -> UsageStatus:
        """How it stands."""
        return self._status

    @property
    def usage(self) -> Usage | None:
        """The operator's newest count; None: never heard."""
        return self._usage

    def soon(self) -> None:
        """A call has ended, or the subscription has changed: the count is about to change. A refusal is respected."""
        now_ms = self._clock().boot_ms
        if not self._retry.failures and self._retry.remaining_s(now_ms) > SOON_S:
            self._retry = self._retry.postponed(now_ms, SOON_S)
            self._wake.set()

    async def restore(self) -> None:
        """Take the last answer that was kept. Raises what the store raises."""
        body = await self._documents.document(USAGE)
        if body is None:
            return
        try:
            self._usage = msgspec.json.decode(body, type=Usage)
        except (msgspec.DecodeError, UnicodeDecodeError):
            _log.error("document_unreadable", kind="Usage")
        else:
            self._observed(self._usage)

    async def run(self) -> None:
        """Keep asking until cancelled."""
        while True:
            self._wake.clear()
            delay_s = await self.step()
            await self._wait(self._wake, delay_s)

    async def step(self) -> float:
        """Ask if it is time. Seconds until it is time again."""
        now = self._clock()
        remaining_s = self._retry.remaining_s(now.boot_ms)
        if remaining_s > 0:
            return remaining_s
        month = max(now.wall, FLOOR).astimezone(self._zone).strftime("%Y-%m")
        try:
            usage = await self._client.usage(month)
        except OperatorError as error:
            self._failed(error)
        else:
            await self._take(usage)
        return self._retry.remaining_s(self._clock().boot_ms)

    async def _take(self, usage: Usage) -> None:
        self._observed(usage)
        if usage != self._usage:
            self._usage = usage
            try:
                await self._documents.put_document(USAGE, msgspec.json.encode(usage))
            except Exception as error:  # noqa: BLE001 - the store's errors are its own; the answer holds all the same
                _log.error("usage_not_kept", detail=str(error))
        now = self._clock()
        self._retry = Retry().postponed(now.boot_ms, self._period_s * self._uniform(*_SPREAD))
        self._status = UsageStatus(
            last_success=now.wall.astimezone(UTC).isoformat(timespec="seconds"),
            next_attempt_ms=self._retry.not_before_ms,
        )

    def _failed(self, error: OperatorError) -> None:
        self._retry = self._retry.after(error, self._clock().boot_ms, self._uniform)
        self._status = structs.replace(
            self._status, failures=self._retry.failures, last_error=Trouble.of(error), detail=str(error),
            next_attempt_ms=self._retry.not_before_ms,
        )  # fmt: skip
        _log.warning("usage_not_told", detail=str(error), failures=self._retry.failures)
