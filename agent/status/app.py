"""The status page's server: `/` `/events` `/api/status.json` `/healthz` `/metrics`, read-only.

It works without JavaScript (the page then reloads itself) and never shows a full number.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import socket
from collections.abc import Iterable
from datetime import tzinfo
from typing import Final

import msgspec
import structlog
from aiohttp import web

from agent.status import metrics as prometheus
from agent.status.gate import Gate, Limits
from agent.status.live import LiveFeed
from agent.status.masking import masked
from agent.status.metrics import Metrics
from agent.status.page import LANGUAGES, Page, static_files
from agent.status.security import AllowedHosts, add_headers, guard_middleware
from agent.status.snapshot import Snapshot, StatusSource
from agent.status.view import Sentences

_SHUTDOWN_S: Final = 2.0
_LOOP_STALL_S: Final = 3.0
_SILENT_HEARTBEATS: Final = 3
_log = structlog.get_logger("page")

_library_log = logging.getLogger("agent.status.http")
_library_log.setLevel(logging.CRITICAL)
# What the library logs here is each malformed request with a traceback: a stranger could fill the journal with it.


class PageError(Exception):
    """The page cannot be served; the message says why in a sentence."""


class Ailment(enum.StrEnum):
    """Why the adapter is not healthy."""

    AGENT_STALLED = "agent_stalled"
    STORE_FAILED = "store_failed"
    GATEWAY_AWAY = "gateway_away"


class Health(msgspec.Struct, frozen=True):
    """The answer of `/healthz`."""

    status: str
    reasons: list[Ailment]
    version: str = ""
    uptime_s: int = 0


class StatusApp:
    """The handlers, over one source of facts."""

    def __init__(
        self, source: StatusSource, page: Page, metrics: Metrics, feed: LiveFeed, *, lang: str, gate: Gate | None
    ) -> None:
        self._source, self._page, self._metrics, self._feed = source, page, metrics, feed
        self._lang = lang
        self._gate = gate
        self._files = static_files()

    def routes(self) -> list[web.AbstractRouteDef]:
        """Every path that the page has."""
        return [
            web.get("/", self.index),
            web.get("/events", self.events),
            web.get("/api/status.json", self.status),
            web.get("/healthz", self.health),
            web.get("/metrics", self.metrics),
            web.get("/static/{name}", self.static),
        ]

    async def index(self, request: web.Request) -> web.Response:
        """The page."""
        snapshot = masked(await self._source.snapshot())
        lang = self.language(request)
        headers = {"Content-Language": lang, "Vary": "Accept-Language"}
        return web.Response(text=self._page.whole(snapshot, lang), content_type="text/html", headers=headers)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The page's sections as they change."""
        lang = self.language(request)
        return await self._feed.stream(request, lang, self._page.say("busy", lang))

    async def status(self, _: web.Request) -> web.Response:
        """The masked snapshot as JSON."""
        return _json(masked(await self._source.snapshot()), 200)

    async def health(self, _: web.Request) -> web.Response:
        """200 while the agent's loop, its store and the gateway's connection work; 503 with reasons otherwise."""
        try:
            async with asyncio.timeout(_LOOP_STALL_S):
                snapshot = await self._source.snapshot()
        except TimeoutError:
            return _json(Health("failing", [Ailment.AGENT_STALLED]), 503)
        ailments = _ailments(snapshot)
        health = Health("failing" if ailments else "ok", ailments, snapshot.versions.agent, snapshot.uptime_s)
        return _json(health, 503 if ailments else 200)

    async def metrics(self, _: web.Request) -> web.Response:
        """Everything counted, for Prometheus."""
        refused = self._gate.refused if self._gate else 0
        body = self._metrics.render(
            await self._source.snapshot(), watchers=self._feed.watchers, refused_connections=refused
        )
        return web.Response(body=body, headers={"Content-Type": prometheus.CONTENT_TYPE})

    async def static(self, request: web.Request) -> web.Response:
        """Style, script and icon."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        headers = {"ETag": f'"{file.etag}"', "Cache-Control": "no-cache"}
        if any(tag.value in (file.etag, "*") for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)

    def language(self, request: web.Request) -> str:
        """`?lang=`, else the browser's first wish that we speak, else the configured language."""
        asked = request.query.get("lang", "")
        return asked if asked in LANGUAGES else wished_language(request.headers.get("Accept-Language", ""), self._lang)


def make_app(
    source: StatusSource,
    *,
    texts: Sentences,
    zone: tzinfo,
    lang: str = "nb",
    hosts: Iterable[str] = (),
    metrics: Metrics | None = None,
    limits: Limits | None = None,
    gate: Gate | None = None,
) -> web.Application:
    """The page as an application. `hosts`: names beside its own addresses; `lang`: where the browser names none."""
    limits, metrics = limits or Limits(), metrics or Metrics()
    page = Page(texts, zone, silence_s=_SILENT_HEARTBEATS * limits.heartbeat_s)
    feed = LiveFeed(source, page, limits)
    guard = guard_middleware(AllowedHosts(hosts), lambda key: page.say(key, lang), metrics.count_request)
    app = web.Application(middlewares=[guard], client_max_size=1024)
    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.append(feed.lifetime)
    app.on_shutdown.append(feed.close)
    app.add_routes(StatusApp(source, page, metrics, feed, lang=lang, gate=gate).routes())
    return app


class StatusServer:
    """Serves the page on one address and port until stopped."""

    def __init__(
        self,
        source: StatusSource,
        *,
        texts: Sentences,
        zone: tzinfo,
        lang: str = "nb",
        hosts: Iterable[str] = (),
        bind: str = "127.0.0.1",
        port: int = 8080,
        metrics: Metrics | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._bind, self._wanted_port = bind, port
        self._limits = limits or Limits()
        self._gate = Gate(self._protocol, self._limits)
        self._app = make_app(
            source, texts=texts, zone=zone, lang=lang, hosts=hosts, metrics=metrics, limits=limits, gate=self._gate
        )
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self.port = 0
        """The port that is served, while it is served."""

    async def start(self) -> None:
        """Listen. Raises PageError where the address cannot be had."""
        limits = self._limits
        self._runner = web.AppRunner(
            self._app,
            access_log=None,
            logger=_library_log,
            handler_cancellation=True,
            keepalive_timeout=limits.request_wait_s,
            max_line_size=limits.line_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.headers,
            lingering_time=0,
            shutdown_timeout=_SHUTDOWN_S,
        )
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._gate, self._bind, self._wanted_port, backlog=32)
        except OSError as error:
            await self._runner.cleanup()
            self._runner = None
            raise PageError(
                f"the status page cannot listen on {self._bind} port {self._wanted_port}: {error.strerror or error}"
            ) from error
        self.port = _port(self._server.sockets[0])
        _log.info("page_listening", address=self._bind, port=self.port)

    async def stop(self) -> None:
        """Stop listening, end every connection."""
        if self._server:
            self._server.close()
            self._server = None
        if self._runner:
            await self._runner.cleanup()
            self._runner = None
        self.port = 0

    def _protocol(self) -> asyncio.Protocol:
        assert self._runner is not None
        assert self._runner.server is not None
        return self._runner.server()


def wished_language(accept: str, default: str) -> str:
    """The first language of an `Accept-Language` header that the page speaks (RFC 9110 §12.5.4), else `default`."""
    wishes: list[tuple[float, str]] = []
    for item in accept[:256].split(","):
        tag, _, weight = item.strip().partition(";")
        lang = {"no": "nb", "nn": "nb"}.get(tag[:2].lower(), tag[:2].lower())
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            continue
        if lang in LANGUAGES and quality > 0:
            wishes.append((-quality, lang))
    return min(wishes, key=lambda wish: wish[0])[1] if wishes else default


def _ailments(snapshot: Snapshot) -> list[Ailment]:
    found = []
    if not snapshot.store.working:
        found.append(Ailment.STORE_FAILED)
    if not snapshot.gateway.connected:
        found.append(Ailment.GATEWAY_AWAY)
    return found


def _json(body: msgspec.Struct, status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def _port(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])
