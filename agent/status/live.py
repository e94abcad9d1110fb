"""Live sections over server-sent events (HTML Living Standard §9.2).

One task renders for all watchers, and only while somebody watches. Watchers take the newest state when they are ready
for it: a slow one skips states, none has a queue.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

import msgspec
import structlog
from aiohttp import web
from msgspec import Struct

from agent.status.gate import Limits
from agent.status.masking import masked
from agent.status.page import LANGUAGES, Page
from agent.status.security import plain
from agent.status.snapshot import Snapshot, StatusSource

_PACE_S: Final = 0.3
"""At most some three renderings a second, however busy the telephone is."""
_TICK_S: Final = 1.0
"""A live call's price and duration move by the second."""
_ALIVE: Final = b"event: alive\ndata:\n\n"
"""A rendering that changed nothing: what the page shows is still true."""
_COMMENT: Final = b":\n\n"
"""Says nothing, but finds out whether the watcher is still there."""

_log = structlog.get_logger("page")


class Fragment(msgspec.Struct, frozen=True):
    """One section of the page, as sent: the element's id and its new content."""

    id: str
    html: str


class _State(Struct):
    revision: int = 0
    by_language: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=dict)


class LiveFeed:
    """Renders sections as the source changes, and streams them to at most `limits.streams` watchers."""

    def __init__(self, source: StatusSource, page: Page, limits: Limits) -> None:
        self._source, self._page, self._limits = source, page, limits
        self._state = _State()
        self._news = asyncio.Condition()
        self._watched = asyncio.Event()
        self._closing = False
        self.watchers = 0

    async def lifetime(self, _: web.Application) -> AsyncIterator[None]:
        """Run the renderer while the application runs (`Application.cleanup_ctx`), as often as it is set up."""
        self._closing = False
        task = asyncio.create_task(self._render())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def close(self, _: web.Application) -> None:
        """End every stream (`Application.on_shutdown`)."""
        self._closing = True
        async with self._news:
            self._news.notify_all()

    async def stream(self, request: web.Request, lang: str, busy: str) -> web.StreamResponse:
        """Answer with sections until the watcher leaves; 503 with the sentence `busy` where there are too many."""
        if self.watchers >= self._limits.streams:
            return plain(503, busy, **{"Retry-After": "30"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        self.watchers += 1
        self._watched.set()
        try:
            async with asyncio.timeout(self._limits.stream_age_s):
                await self._send_all(response, lang)
        except (TimeoutError, ConnectionError):
            # Old enough, or gone: the browser opens a new stream when it still cares.
            pass
        finally:
            self.watchers -= 1
            if not self.watchers:
                self._watched.clear()
                self._state = _State(self._state.revision)
        return response

    async def _send_all(self, response: web.StreamResponse, lang: str) -> None:
        sent: dict[str, str] = {}
        revision = 0
        await response.write(b"retry: 2000\n\n")
        while not self._closing:
            state = await self._newer(revision)
            if state is None:
                await response.write(_COMMENT)
                continue
            revision = state.revision
            news = {name: html for name, html in state.by_language[lang].items() if sent.get(name) != html}
            for name, html in news.items():
                await response.write(_event(Fragment(name, html)))
            sent |= news
            if not news:
                await response.write(_ALIVE)

    async def _newer(self, revision: int) -> _State | None:
        try:
            async with asyncio.timeout(self._limits.heartbeat_s), self._news:
                await self._news.wait_for(lambda: self._closing or self._has_news(revision))
                return self._state if self._has_news(revision) else None
        except TimeoutError:
            return None

    def _has_news(self, revision: int) -> bool:
        return bool(self._state.by_language) and self._state.revision > revision

    async def _render(self) -> None:
        change = 0
        while True:
            await self._watched.wait()
            try:
                snapshot = await self._source.snapshot()
                await self._publish(snapshot)
                change = await self._next_change(change, ticking=bool(snapshot.calls))
            except Exception as error:  # noqa: BLE001  # the feed outlives a failing source; the page, hearing nothing, says that it is old
                _log.error("live_feed_failed", error=type(error).__name__, exc_info=error)
                await asyncio.sleep(self._limits.heartbeat_s)
            await asyncio.sleep(_PACE_S)

    async def _next_change(self, change: int, *, ticking: bool) -> int:
        try:
            async with asyncio.timeout(_TICK_S - _PACE_S if ticking else self._limits.heartbeat_s):
                return await self._source.wait_change(change)
        except TimeoutError:
            return change

    async def _publish(self, snapshot: Snapshot) -> None:
        seen = masked(snapshot)
        rendered = {lang: self._page.fragments(seen, lang) for lang in LANGUAGES}
        async with self._news:
            self._state = _State(self._state.revision + 1, rendered)
            self._news.notify_all()


def _event(fragment: Fragment) -> bytes:
    return b"event: fragment\ndata: " + msgspec.json.encode(fragment) + b"\n\n"
