"""The page over real sockets: what browsers, probes and strangers get."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from msgspec import structs

from agent.status.app import PageError, StatusServer
from agent.status.gate import Limits
from agent.status.metrics import Metrics
from agent.status.page import SECTIONS
from agent.status.sample import FIRST, SampleSource, healthy_snapshot, sample_snapshot
from agent.status.snapshot import GatewayView, StoreView
from agent.texts import Texts

LIMITS = Limits(connections=6, connections_per_peer=4, request_wait_s=0.4, stall_s=0.4, streams=2, heartbeat_s=0.2)


@contextlib.asynccontextmanager
async def serving(source=None, limits=LIMITS, **options):
    source = source or SampleSource()
    server = StatusServer(
        source,
        texts=Texts.load(),
        zone=ZoneInfo("Europe/Oslo"),
        port=0,
        limits=limits,
        hosts=["adapter.local"],
        **options,
    )
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
            yield server, source, session
    finally:
        await server.stop()


async def ask(session, path, method="GET", **headers):
    async with session.request(method, path, headers=headers) as response:
        return response.status, response.headers, await response.text()


async def raw(port, request: bytes, limit_s=5.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(limit_s):
            return await reader.read()
    finally:
        writer.close()


async def test_page_comes_in_the_readers_language_with_strict_headers():
    async with serving() as (_, _, session):
        status, headers, body = await ask(session, "/")
        assert status == 200
        assert "Pågående samtaler" in body
        assert FIRST[3:] not in body
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "iplink-agent"
        assert "Calls in progress" in (await ask(session, "/?lang=en"))[2]
        assert "Calls in progress" in (await ask(session, "/", **{"Accept-Language": "en-GB"}))[2]


async def test_foreign_host_is_told_to_use_the_address():
    async with serving() as (_, source, session):
        status, headers, body = await ask(session, "/", Host="evil.example")
        assert status == 421
        assert "Content-Security-Policy" in headers
        assert "+47" not in body
        assert source.taken == 0
        assert (await ask(session, "/", Host="adapter.local:80"))[0] == 200


@pytest.mark.parametrize("path", ["/admin", "/static/", "/static/..%2fapp.py", "/static/../app.py", "/page.html"])
async def test_unknown_paths_are_not_found(path):
    async with serving() as (server, _, _):
        answer = await raw(server.port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 404")
        assert b"import" not in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_page_is_read_only(method):
    async with serving() as (_, source, session):
        status, headers, _ = await ask(session, "/", method)
        assert status == 405
        assert headers["Allow"] == "GET, HEAD"
        assert source.taken == 0


async def test_head_has_no_body():
    async with serving() as (_, _, session):
        for path in ("/", "/events", "/healthz", "/metrics"):
            status, _, body = await ask(session, path, "HEAD")
            assert (status, body) == (200, "")


async def test_static_files_are_revalidated():
    async with serving() as (_, _, session):
        status, headers, body = await ask(session, "/static/live.js")
        assert (status, "EventSource" in body) == (200, True)
        assert headers["Content-Type"].startswith("text/javascript")
        assert (await ask(session, "/static/live.js", **{"If-None-Match": headers["ETag"]}))[0] == 304
        assert (await ask(session, "/static/page.css"))[0] == 200


async def test_status_json_is_masked():
    async with serving() as (_, _, session):
        _, headers, body = await ask(session, "/api/status.json")
        assert headers["Content-Type"].startswith("application/json")
        assert json.loads(body)["lines"][0]["number"] == "+47 2•• •• •55"


async def test_health_is_good_only_while_store_and_gateway_are():
    async with serving() as (_, source, session):
        status, _, body = await ask(session, "/healthz")
        assert (status, json.loads(body)["status"]) == (200, "ok")
        await source.show(
            structs.replace(
                healthy_snapshot(), gateway=GatewayView(), store=StoreView(working=False, reason="disk full")
            )
        )
        status, _, body = await ask(session, "/healthz")
        assert status == 503
        assert json.loads(body)["reasons"] == ["store_failed", "gateway_away"]


async def test_failing_source_gives_a_sentence_and_unhealthy_never_a_traceback():
    class Broken(SampleSource):
        async def snapshot(self):
            raise OSError("database /secret/path is locked")

    async with serving(Broken()) as (_, _, session):
        for path in ("/", "/healthz"):
            status, _, body = await ask(session, path)
            assert status in {500, 503}
            assert "secret" not in body


async def test_metrics_count_pages_by_route_not_by_path():
    metrics = Metrics()
    async with serving(metrics=metrics) as (_, _, session):
        await ask(session, "/")
        await ask(session, "/secret/4741234512")
        _, _, body = await ask(session, "/metrics")
        assert 'iplink_page_requests_total{route="/",status="200"} 1.0' in body
        assert 'iplink_page_requests_total{route="other",status="404"} 1.0' in body
        assert "41234512" not in body


async def fragments(response, wanted):
    """Sections by id, read until `wanted(sections)`."""
    seen: dict[str, str] = {}
    async with asyncio.timeout(5):
        while not wanted(seen):
            line = (await response.content.readline()).decode()
            assert line, "the stream ended"
            if line.startswith("data: {"):
                fragment = json.loads(line.removeprefix("data: "))
                seen[fragment["id"]] = fragment["html"]
    return seen


async def test_stream_brings_every_section_then_only_what_changed():
    async with serving() as (_, source, session), session.get("/events?lang=en") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        first = await fragments(response, lambda seen: set(SECTIONS) <= set(seen))
        assert "NOK 1.98" in first["calls"]
        assert FIRST[3:] not in "".join(first.values())
        await source.show(healthy_snapshot())
        later = await fragments(response, lambda seen: "service" in seen)
        assert "No calls right now" in later["calls"]
        assert "Everything works" in later["headline"]
        assert "cdrs" not in later


async def test_quiet_stream_is_kept_alive():
    async with serving(SampleSource(healthy_snapshot())) as (_, _, session), session.get("/events") as response:
        async with asyncio.timeout(5):
            while (await response.content.readline()) != b"event: alive\n":
                pass


async def test_stream_says_when_a_look_at_the_adapter_brought_nothing_new():
    async with serving(limits=Limits(heartbeat_s=30)) as (_, source, session), session.get("/events") as response:
        await fragments(response, lambda seen: set(SECTIONS) <= set(seen))
        await source.show(sample_snapshot())
        async with asyncio.timeout(5):
            while (await response.content.readline()) != b"event: alive\n":
                pass


async def test_stream_of_a_failing_source_claims_no_life():
    class Broken(SampleSource):
        async def snapshot(self):
            raise OSError("database is locked")

    async with serving(Broken()) as (_, _, session), session.get("/events") as response:
        async with asyncio.timeout(5):
            heard = [await response.content.readline() for _ in range(8)]
        assert heard[0].startswith(b"retry:")
        assert set(heard[1:]) == {b":\n", b"\n"}


async def test_streams_are_bounded_and_freed():
    async with serving() as (_, _, session):
        one, two = await session.get("/events"), await session.get("/events")
        status, headers, _ = await ask(session, "/events")
        assert (status, headers["Retry-After"]) == (503, "30")
        one.close()
        async with asyncio.timeout(5):
            while (response := await session.get("/events")).status != 200:
                response.close()
        response.close()
        two.close()


async def test_nobody_watching_costs_nothing():
    async with serving() as (_, source, session):
        await ask(session, "/")
        before = source.taken
        for _ in range(3):
            await source.show(healthy_snapshot())
        assert source.taken == before


async def test_stop_ends_open_streams():
    async with serving() as (server, _, session):
        response = await session.get("/events")
        async with asyncio.timeout(1.5):
            await server.stop()
            with contextlib.suppress(aiohttp.ClientError):
                await response.content.read()
        response.close()


async def test_one_peer_cannot_take_every_connection():
    async with serving() as (server, _, _):
        idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(4)]
        answer = await raw(server.port, b"")
        assert answer.startswith(b"HTTP/1.1 503")
        for _, writer in idle:
            writer.close()


@pytest.mark.parametrize("beginning", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
async def test_half_a_request_is_not_waited_for(beginning):
    async with serving() as (server, _, _):
        assert await raw(server.port, beginning, limit_s=3) == b""


async def test_trickled_header_is_cut_off():
    async with serving() as (server, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(4):
                while not reader.at_eof():
                    writer.write(b"X-A: b\r\n")
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(100), 0.1)
        writer.close()


async def test_large_headers_are_refused():
    async with serving() as (server, _, _):
        answer = await raw(server.port, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n")
        assert b" 400 " in answer.splitlines()[0]


async def test_peer_that_asks_and_never_reads_is_dropped():
    async with serving() as (server, _, _):
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.transport.pause_reading()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(8):
                while not writer.transport.is_closing():
                    writer.write(request * 50)
                    await asyncio.wait_for(writer.drain(), 5)
                    await asyncio.sleep(0.01)
        # He is gone for the server although he holds on to his end.
        async with asyncio.timeout(20):
            while server._gate.connections:  # noqa: ASYNC110  only the gate tells
                await asyncio.sleep(0.01)
        writer.close()


async def test_taken_port_is_told_in_a_sentence():
    async with serving() as (server, _, _):
        second = StatusServer(SampleSource(), texts=Texts.load(), zone=ZoneInfo("UTC"), port=server.port)
        with pytest.raises(PageError, match=f"cannot listen on 127.0.0.1 port {server.port}"):
            await second.start()


async def test_live_page_works_after_the_port_was_taken_at_first():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = StatusServer(
            SampleSource(), texts=Texts.load(), zone=ZoneInfo("Europe/Oslo"), port=port, limits=LIMITS
        )
        with pytest.raises(PageError, match="cannot listen"):
            await server.start()
    await server.start()
    try:
        async with (
            asyncio.timeout(5),
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
            session.get("/events") as response,
        ):
            while not (await response.content.readline()).startswith(b"event: fragment"):
                assert not response.content.at_eof(), "the stream ended before it told anything"
    finally:
        await server.stop()
