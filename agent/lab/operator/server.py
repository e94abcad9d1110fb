"""The HTTP side in a thread of its own, with its own event loop: the SIP library keeps the main thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from agent.lab.operator.api import OperatorApi
from agent.lab.operator.config import LabConfig
from agent.lab.operator.control import Control
from agent.lab.operator.desk import Desk
from agent.lab.operator.events import Sink
from agent.lab.operator.ledger import Ledger
from agent.lab.operator.published import Published, price_list_name, read_price_list, shipped_price_list
from agent.lab.operator.sip_faults import SipFaults

_START_S: Final = 15.0
_STOP_S: Final = 5.0


class HttpError(Exception):
    """The HTTP side cannot start."""


class HttpServer:
    """Serves the operator's API until `stop()`."""

    def __init__(
        self,
        config: LabConfig,
        *,
        sip_target: str,
        sip_faults: SipFaults,
        sink: Sink,
        now: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._sip_target = sip_target
        self._sip_faults = sip_faults
        self._sink = sink
        self._now = now
        self._started: Future[int] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> int:
        """Start and return the port. Raises what hindered it: HttpError, LedgerError, PublishError."""
        self._thread.start()
        return self._started.result(_START_S)

    def stop(self) -> None:
        """Stop serving and wait for the thread."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_STOP_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # whatever it is, the thread that waits for the start must hear it
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        published = self._publish_price_list()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger") as ledger_thread:
            ledger = await self._loop.run_in_executor(ledger_thread, Ledger, Path(self._config.ledger))
            try:
                await self._serve_with(published, ledger, ledger_thread)
            finally:
                await self._loop.run_in_executor(ledger_thread, ledger.close)

    async def _serve_with(self, published: Published, ledger: Ledger, ledger_thread: ThreadPoolExecutor) -> None:
        desk = Desk(self._config, published, self._sip_target, self._sip_faults)
        api = OperatorApi(
            device=self._config.device,
            desk=desk,
            published=published,
            ledger=ledger,
            ledger_thread=ledger_thread,
            sink=self._sink,
            now=self._now,
        )
        app = web.Application(middlewares=[api.guard()])
        app.add_routes([*api.routes(), *Control(api=api, desk=desk, published=published).routes()])
        # Bodies are unpacked by the handlers, which know the bound.
        runner = web.AppRunner(app, auto_decompress=False, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._config.host, self._config.http_port)
            try:
                await site.start()
            except OSError as error:
                message = f"cannot bind HTTP to {self._config.host}:{self._config.http_port}: {error.strerror}"
                raise HttpError(message) from error
            self._started.set_result(int(runner.addresses[0][1]))
            await self._stopping.wait()
        finally:
            await runner.cleanup()

    def _publish_price_list(self) -> Published:
        published = Published()
        product = self._config.subscription.product
        path = self._config.price_list
        data = read_price_list(Path(path)) if path else shipped_price_list(product)
        published.publish(price_list_name(product), data)
        return published
