"""Stands in for the agent while its store can't be opened: says so on the page, refuses calls at once, tries again.

The telephone goes on alone: 112, incoming calls, registration. What ends meanwhile waits in the gateway for its record.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from agent import __version__, clock
from agent.calls import StoreRefusal
from agent.config import Config
from agent.core.announcement import known
from agent.core.terms import CallPhase, Tone
from agent.gateway.client import GatewayClient, GatewayUnavailableError
from agent.gateway.protocol import AccountState, CallState, CardState, Decide, GatewayRecord, Hello, LineState
from agent.notify import notify
from agent.seen import SeenGateway, account_view
from agent.status import snapshot as page
from agent.status.app import PageError, StatusServer
from agent.status.metrics import Metrics
from agent.store.errors import StoreError, StoreLocked, StoreTooNew
from agent.store.store import Store
from agent.texts import Texts

_RETRY_S = 5.0
_log = structlog.get_logger("standby")


class Standby:
    """One wait for the store of one configuration. It is the page's source meanwhile."""

    def __init__(self, config: Config, source: Path) -> None:
        self._folder = Path(config.store.folder)
        self._source = source
        self._clock = clock.Clock()
        self._started_ms = clock.boot_ms()
        self._reason = ""
        self._change = 1
        self._changed = asyncio.Condition()
        self._seen = SeenGateway()
        self._gateway = GatewayClient(Path(config.gateway.socket), on_record=self._heard, on_lost=self._lost)
        self._page = StatusServer(
            self, texts=Texts.load(), zone=ZoneInfo(config.general.time_zone), lang=config.general.language,
            bind=config.page.bind, port=config.page.port, hosts=config.page.hosts, metrics=Metrics(),
        )  # fmt: skip

    async def opened(self, error: StoreError) -> Store:
        """The store, once it can be opened. Raises StoreLocked and StoreTooNew, which no patience mends."""
        self._reason = str(error)
        _log.critical("store_not_opened", detail=self._reason)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._gateway.run()), group.create_task(self._serve_page())]
                notify("READY=1")
                store = await self._open()
                for task in tasks:
                    task.cancel()
        except* (StoreLocked, StoreTooNew) as failed:
            raise failed.exceptions[0] from None
        finally:
            await self._page.stop()
        _log.warning("store_opened")
        return store

    async def _open(self) -> Store:
        while True:
            await asyncio.sleep(_RETRY_S)
            notify("WATCHDOG=1")
            try:
                return await Store.open(self._folder)
            except (StoreLocked, StoreTooNew):
                raise
            except StoreError as error:
                if str(error) != self._reason:
                    self._reason = str(error)
                    _log.critical("store_not_opened", detail=self._reason)
                await self._touch()

    async def _serve_page(self) -> None:
        with contextlib.suppress(PageError):
            await self._page.start()

    async def _touch(self) -> None:
        async with self._changed:
            self._change += 1
            self._changed.notify_all()

    def _heard(self, record: GatewayRecord) -> None:
        match record:
            case Hello():
                self._seen.greet(record, self._clock.now())
            case CardState() | LineState() | AccountState():
                self._seen.note(record)
            case CallState(phase=CallPhase.ASKED):
                refusal = Decide(
                    call_id=record.call_id, granted=False, refusal=StoreRefusal.STORE_UNAVAILABLE.value,
                    tone=Tone.CONGESTION,
                )  # fmt: skip
                with contextlib.suppress(GatewayUnavailableError):
                    self._gateway.send(refusal)

    def _lost(self, reason: str) -> None:
        _log.error("gateway_lost", reason=reason)
        self._seen.forget()

    # --- the page's source -------------------------------------------------------------------------------------------

    async def snapshot(self) -> page.Snapshot:
        """What can be said without a store."""
        now, seen = self._clock.now(), self._seen
        hello = seen.hello
        return page.Snapshot(
            at=now.wall,
            time_trusted=now.trusted,
            uptime_s=(now.boot_ms - self._started_ms) // 1000,
            gateway=page.GatewayView(
                connected=hello is not None, version=hello.version if hello is not None else "",
                configuration=seen.configuration, since=seen.since,
            ),
            card=page.CardView(up=seen.card.up, lines=seen.card.lines, firmware=seen.card.firmware),
            lines=[
                page.LineView(
                    line=line, off_hook=state.off_hook, ringing=state.ringing, tone=state.tone,
                    announcement=known(state.announcement),
                )
                for line, state in sorted(seen.lines.items())
            ],
            accounts=[account_view(state, now) for _, state in sorted(seen.accounts.items())],
            store=page.StoreView(working=False, reason=self._reason),
            configuration=page.ConfigurationView(source=str(self._source)),
            problems=[page.Notice(key="problem.store_not_opened")],
            versions=page.Versions(agent=__version__, python=platform.python_version()),
        )  # fmt: skip

    async def wait_change(self, since: int) -> int:
        """Wait for the next try."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._change > since)
            return self._change
