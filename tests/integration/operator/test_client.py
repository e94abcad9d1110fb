"""The client against a real HTTP server on loopback, and against the worst that one can do."""

import asyncio
import gzip
import hashlib
import socket
import uuid
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web

from agent.core.cdr import Cdr, Price, Step
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.operator.api import MAX_BODY, CdrBatch, CdrBatchResult, CdrResult, FileInfo, Verdict
from agent.operator.client import OperatorClient, Timeouts
from agent.operator.errors import Broken, Busy, CutOff, Misconfigured, OperatorError, Refused, Rejected, Unreachable
from agent.operator.partial import StorageError

SECRET = "hemmelig-nok-4711"
QUICK = Timeouts(connect_s=2.0, silence_s=0.3, exchange_s=0.8, download_s=0.8)
BODY = b"prefix;rate\n47;0.10\n" * 10_000
INFO = FileInfo(name="privat.csv", version="1", length=len(BODY), sha256=hashlib.sha256(BODY).hexdigest())


def cdr(number, **changes):
    fields = {
        "id": str(uuid.UUID(int=number)),
        "direction": Direction.OUTGOING,
        "kind": CallKind.ORDINARY,
        "line": 0,
        "account": "privat",
        "own_number": "+4722000001",
        "number": "+4791000000",
        "boot_id": "boot-1",
        "began_ms": 1,
        "began_at": "2026-03-01T12:00:00Z",
        "time_trusted": True,
        "duration_ms": 1000,
        "setup_ms": 10,
        "cause": Cause.NORMAL,
        "released_by": Party.LOCAL,
    }
    return Cdr(**(fields | changes))


BATCH = CdrBatch(epoch="e", records=[cdr(1), cdr(2)])


@asynccontextmanager
async def serving(method, path, handler):
    app = web.Application(client_max_size=4 << 20)
    app.router.add_route(method, path, handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    port = listener.getsockname()[1]
    client = OperatorClient(f"http://127.0.0.1:{port}", "device-1", SECRET, timeouts=QUICK)
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


@asynccontextmanager
async def raw_serving(talk):
    """A server that speaks whatever bytes `talk(reader, writer)` says."""

    async def handle(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = OperatorClient(f"http://127.0.0.1:{port}", "device-1", SECRET, timeouts=QUICK)
    try:
        yield client
    finally:
        await client.close()
        server.close()
        await server.wait_closed()


def answering(status=200, body=b"{}", headers=None):
    async def handler(request):
        return web.Response(status=status, body=body, headers=headers)

    return handler


async def test_a_batch_travels_compressed_identified_and_with_the_key_of_its_bytes():
    seen = {}

    async def handler(request):
        seen["headers"] = dict(request.headers)
        body = await request.read()
        seen["body"] = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        result = CdrBatchResult(results=[CdrResult(id=cdr(1).id, verdict=Verdict.ACCEPTED)])
        return web.Response(body=msgspec.json.encode(result))

    async with serving("POST", "/v1/cdr", handler) as client:
        result = await client.upload(BATCH)
    assert result.results[0].verdict is Verdict.ACCEPTED
    assert msgspec.json.decode(seen["body"], type=CdrBatch) == BATCH
    assert seen["headers"]["Authorization"] == f"Bearer {SECRET}"
    assert seen["headers"]["X-Device-Id"] == "device-1"
    assert seen["headers"]["Content-Encoding"] == "gzip"
    assert seen["headers"]["Idempotency-Key"] == hashlib.sha256(msgspec.json.encode(BATCH)).hexdigest()


async def test_questions_are_answered():
    async def usage(request):
        return web.json_response({"month": request.query["month"], "calls": 3, "seconds": 60, "amount_micro": 5})

    async with serving("GET", "/v1/usage", usage) as client:
        assert (await client.usage("2026-03")).calls == 3


async def test_health_brings_the_time_and_gives_no_identity_away():
    async def health(request):
        assert "Authorization" not in request.headers
        assert "X-Device-Id" not in request.headers
        return web.json_response({"status": "ok", "time": "2026-03-01T12:00:00Z"})

    async with serving("GET", "/v1/health", health) as client:
        told, moment = await client.health()
    assert (told.status, moment.isoformat()) == ("ok", "2026-03-01T12:00:00+00:00")
    oslo = msgspec.json.encode({"status": "ok", "time": "2026-07-01T14:00:00+02:00"})
    async with serving("GET", "/v1/health", answering(body=oslo)) as client:
        assert (await client.health())[1].isoformat() == "2026-07-01T12:00:00+00:00"
    for wrong in ("noon", "2026-03-01T12:00:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"):
        async with serving(
            "GET", "/v1/health", answering(body=msgspec.json.encode({"status": "ok", "time": wrong}))
        ) as client:
            with pytest.raises(Broken, match="RFC 3339"):
                await client.health()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected), (409, Rejected), (413, Rejected), (422, Rejected), (401, Refused), (403, Refused),
        (404, Broken),
        (429, Busy), (500, Broken), (502, Busy), (503, Busy), (504, Busy), (202, Broken), (204, Broken),
    ],
)  # fmt: skip
async def test_each_status_means_one_thing(status, kind):
    async with serving("POST", "/v1/cdr", answering(status)) as client:
        with pytest.raises(OperatorError, match=str(status)) as caught:
            await client.upload(BATCH)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:10:00 GMT", "Date": "Thu, 01 Jan 1970 00:00:00 GMT"}, 600.0),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
async def test_a_busy_operator_says_how_long_by_its_own_clock(headers, seconds):
    async with serving("POST", "/v1/cdr", answering(503, headers=headers)) as client:
        with pytest.raises(Busy) as caught:
            await client.upload(BATCH)
    assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_refused_and_the_secret_goes_nowhere_else(status):
    elsewhere = []

    async def trap(reader, writer):
        elsewhere.append(True)
        writer.close()

    server = await asyncio.start_server(trap, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    location = {"Location": f"http://127.0.0.1:{port}/"}
    async with serving("GET", "/v1/subscription", answering(status, headers=location)) as client:
        with pytest.raises(Broken, match="redirects are not followed"):
            await client.subscription()
    server.close()
    await server.wait_closed()
    assert elsewhere == []


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"{}", "results"),
        (b'{"results": [{"id": "x", "verdict": "perhaps"}]}', r"\$.results\[0\].verdict"),
        (b"[" * 500_000, "not as agreed"),
    ],
)
async def test_an_answer_that_is_not_as_agreed_is_named(body, names):
    async with serving("POST", "/v1/cdr", answering(body=body)) as client:
        with pytest.raises(Broken, match=names):
            await client.upload(BATCH)


async def test_an_answer_without_end_is_cut_off():
    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(64 * 1024))
        except ConnectionError:
            return response

    async with serving("GET", "/v1/subscription", endless) as client:
        with pytest.raises(Broken, match=f"longer than {MAX_BODY}"):
            await client.subscription()


async def test_a_compressed_bomb_is_not_unpacked():
    bomb = gzip.compress(bytes(50 << 20))
    async with serving("GET", "/v1/subscription", answering(body=bomb, headers={"Content-Encoding": "gzip"})) as client:
        with pytest.raises(Broken, match="compressed"):
            await client.subscription()


async def test_an_answer_that_drips_is_given_up():
    async def drip(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.1)

    async with raw_serving(drip) as client:
        with pytest.raises(Unreachable, match="in time"):
            await client.subscription()


async def test_a_connection_that_ends_under_a_request_is_told_from_one_that_was_never_made():
    async def slam(reader, writer):
        await reader.readuntil(b"\r\n\r\n")

    async with raw_serving(slam) as client:
        with pytest.raises(CutOff):
            await client.upload(BATCH)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with OperatorClient(f"http://127.0.0.1:{port}", "device-1", SECRET, timeouts=QUICK) as client:
        with pytest.raises(Unreachable) as nobody:
            await client.upload(BATCH)
        assert not isinstance(nobody.value, CutOff)


async def test_headers_that_drip_are_given_up():
    async def drip(reader, writer):
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.1)

    async with raw_serving(drip) as client:
        with pytest.raises(Unreachable, match="in time"):
            await client.subscription()


async def test_silence_is_given_up():
    async def silent(reader, writer):
        await reader.read()

    async with raw_serving(silent) as client:
        with pytest.raises(Unreachable, match="in time"):
            await client.subscription()


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"\x00" * 5000 + b"\r\n\r\n",
    ],
)
async def test_whatever_comes_back_is_one_of_our_errors(bytes_sent):
    async def talk(reader, writer):
        writer.write(bytes_sent)
        await writer.drain()

    async with raw_serving(talk) as client:
        with pytest.raises((Unreachable, Broken)):
            await client.upload(BATCH)


async def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with OperatorClient(f"http://127.0.0.1:{port}", "device-1", SECRET, timeouts=QUICK) as client:
        with pytest.raises(Unreachable):
            await client.health()


async def test_a_batch_too_large_for_a_body_is_rejected_before_it_is_sent():
    price = Price(
        product="p", price_list="p", version="1", prefix="4", destination="d", currency="NOK", vat="included",
        amount_micro=1, exact="1/1", billed_s=1, steps=[Step(key="k", values={"text": "x" * (MAX_BODY + 1)})],
    )  # fmt: skip
    async with serving("POST", "/v1/cdr", answering()) as client:
        with pytest.raises(Rejected, match="at most") as caught:
            await client.upload(CdrBatch(epoch="e", records=[cdr(1, price=price)]))
    assert caught.value.status == 413


# --- files -----------------------------------------------------------------------------------------------------------

FILE = "/v1/files/{name}/{sha256}"


async def test_a_file_arrives_whole_under_its_name(tmp_path):
    target = tmp_path / "lists" / "privat.csv"
    async with serving("GET", FILE, answering(body=BODY)) as client:
        await client.download(INFO, target)
    assert target.read_bytes() == BODY
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["privat.csv"]


async def endless_file(request):
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(BODY)
    except ConnectionError:
        return response


async def short_chunked_file(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(BODY[:-1])
    await response.write_eof()
    return response


async def broken_off_file(request):
    response = web.StreamResponse(headers={"Content-Length": str(len(BODY))})
    await response.prepare(request)
    await response.write(BODY[: len(BODY) // 2])
    request.transport.close()
    return response


async def dripping_file(request):
    response = web.StreamResponse(headers={"Content-Length": str(len(BODY))})
    await response.prepare(request)
    try:
        for byte in BODY:
            await response.write(bytes([byte]))
            await asyncio.sleep(0.1)
    except ConnectionError:
        pass
    return response


@pytest.mark.parametrize(
    ("handler", "kind", "words"),
    [
        (endless_file, Broken, "longer than"),
        (short_chunked_file, Broken, "were promised"),
        (broken_off_file, Unreachable, "failed"),
        (dripping_file, Unreachable, "in time"),
        (answering(body=BODY[:-1]), Broken, "announced with"),
        (answering(body=BODY[:-1] + b"!"), Broken, "another SHA-256"),
        (answering(404), Broken, "404"),
        (answering(503), Busy, "503"),
    ],
)
async def test_a_file_that_is_not_the_promised_one_is_never_seen(tmp_path, handler, kind, words):
    target = tmp_path / "privat.csv"
    target.write_bytes(b"the old one")
    async with serving("GET", FILE, handler) as client:
        with pytest.raises(kind, match=words):
            await client.download(INFO, target)
    assert target.read_bytes() == b"the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["privat.csv"]


async def test_what_a_power_cut_left_is_overwritten(tmp_path):
    (tmp_path / ".privat.csv.part").write_bytes(b"half a file, much longer than nothing" * 100_000)
    async with serving("GET", FILE, answering(body=BODY)) as client:
        await client.download(INFO, tmp_path / "privat.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["privat.csv"]


async def test_a_folder_that_cannot_be_written_is_our_trouble_not_the_operators(tmp_path):
    (tmp_path / "lists").write_text("a file is in the way")
    async with serving("GET", FILE, answering(body=BODY)) as client:
        with pytest.raises(StorageError, match="could not write"):
            await client.download(INFO, tmp_path / "lists" / "privat.csv")


# --- address, secret, certificate ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["", "operator.example", "ftp://operator.example", "http://operator.example", "http://192.0.2.1", "https://", "https://u:p@h",
     "https://h/?q=1", "https://h:99999", "http://[::", "http://127.0.0.1.example"],
)  # fmt: skip
def test_an_address_that_cannot_be_used_safely_is_refused(url):
    with pytest.raises(Misconfigured):
        OperatorClient(url, "d", "s")


@pytest.mark.parametrize("url", ["https://operator.example/base/", "http://localhost:8080", "http://[::1]:80"])
def test_an_address_that_can_is_taken_and_the_secret_is_not_shown(url):
    assert SECRET not in repr(OperatorClient(url, "d", SECRET))


@pytest.mark.parametrize("secret", ["", " ", "two\nlines", "blåbær", "x" * 2000])
def test_a_secret_that_cannot_be_sent_is_refused_without_being_shown(secret):
    with pytest.raises(Misconfigured) as caught:
        OperatorClient("https://operator.example", "d", secret)
    assert not secret.strip() or secret not in str(caught.value)


async def test_a_ca_file_that_is_none_is_named(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    async with OperatorClient("https://127.0.0.1:1", "d", "s", ca_file=tmp_path / "ca.pem") as client:
        with pytest.raises(Misconfigured, match=r"ca\.pem"):
            await client.health()
