"""The operator's HTTP API as the adapter sees it (`/v1/`), with the checks every request passes."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import re
import zlib
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, ParamSpec, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta

from agent.core.cdr import Cdr
from agent.lab.operator.bodies import Problem
from agent.lab.operator.config import LabDevice
from agent.lab.operator.desk import Desk
from agent.lab.operator.events import CdrReceived, Sink, Trouble, masked
from agent.lab.operator.ledger import Ledger, LedgerError
from agent.lab.operator.published import Published
from agent.operator.api import (
    MAX_BATCH,
    MAX_BODY,
    CdrBatchResult,
    CdrResult,
    Health,
    Verdict,
)

_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_RECORD_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OPEN: Final = "/v1/health"
_CHUNK: Final = 1 << 16

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A CDR batch whose records are read one by one, so that one bad record does not spoil the others."""

    epoch: str
    records: list[msgspec.Raw]
    numbers: list[Annotated[int, Meta(ge=1, le=2**63 - 1)]] = []


class _Identity(msgspec.Struct, frozen=True, kw_only=True):
    id: str = ""


def answer(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a body as JSON; it is never to be stored by anything in between."""
    all_headers = {"Cache-Control": "no-store", **(headers or {})}
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json", headers=all_headers
    )


def problem(status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    """Return a refusal that says why (RFC 9457)."""
    body = msgspec.json.encode(Problem(status=status.value, title=status.phrase, detail=detail))
    return web.Response(body=body, status=status.value, content_type="application/problem+json", headers=headers)


class Refused(Exception):  # noqa: N818  # an answer, not an error
    """Leaves a handler with a problem to answer."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


async def read_body(request: web.Request, limit: int = MAX_BODY) -> bytes:
    """Return the request's body, gzip undone, at most `limit` bytes packed or unpacked. Raises Refused."""
    raw = bytearray()
    async for chunk in request.content.iter_chunked(_CHUNK):
        raw += chunk
        if len(raw) > limit:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {limit} bytes")
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "identity":
        return bytes(raw)
    if encoding != "gzip":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding: only gzip or identity")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(raw, limit + 1)
    except zlib.error as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "the body is not gzip") from error
    if len(body) > limit:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body unpacks to more than {limit} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise Refused(HTTPStatus.BAD_REQUEST, "the body is not one whole gzip member")
    return body


def decode(data: bytes, kind: type[T]) -> T:
    """Read a JSON body. Raises Refused naming the field."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, masked(str(error))) from error


class OperatorApi:
    """Handlers of `/v1/` and the middleware of the whole application."""

    def __init__(
        self,
        *,
        device: LabDevice,
        desk: Desk,
        published: Published,
        ledger: Ledger,
        ledger_thread: Executor,
        sink: Sink,
        now: Callable[[], datetime],
    ) -> None:
        self._device = device
        self._desk = desk
        self._published = published
        self._ledger = ledger
        self._ledger_thread = ledger_thread
        self._sink = sink
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of `/v1/`."""
        return [
            web.get("/v1/health", self.health),
            web.get("/v1/subscription", self.subscription),
            web.get("/v1/files/{name}", self.file_info),
            web.get("/v1/files/{name}/{sha256}", self.file),
            web.post("/v1/cdr", self.cdr),
            web.get("/v1/usage", self.usage),
        ]

    async def in_ledger_thread(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a ledger call in the thread that owns the ledger."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._ledger_thread, functools.partial(call, *args, **kwargs))

    @property
    def device_id(self) -> str:
        """The one device that the lab knows."""
        return self._device.id

    @property
    def ledger(self) -> Ledger:
        """The ledger, for `in_ledger_thread`."""
        return self._ledger

    # --- what every request passes -----------------------------------------------------------------------------------

    def guard(self) -> Any:
        """Return the middleware: identity, ordered faults, and refusals as problem documents."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                refusal = self._admit(request)
                return refusal if refusal is not None else await handler(request)
            except Refused as refused:
                return problem(refused.status, refused.detail)
            except web.HTTPException as error:
                status = HTTPStatus(error.status)
                keep = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
                return problem(status, "", keep)
            except LedgerError as error:
                self._sink.emit(Trouble(message=str(error)))
                return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

        return guarded

    def _admit(self, request: web.Request) -> web.Response | None:
        if request.path == _OPEN:
            return None
        if not self._is_device(request):
            return problem(
                HTTPStatus.UNAUTHORIZED,
                "Authorization: Bearer <device secret> and X-Device-Id must be those of a known device",
                {"WWW-Authenticate": "Bearer"},
            )
        if not request.path.startswith("/v1/"):
            return None
        if self._desk.faults.blocked:
            return problem(HTTPStatus.FORBIDDEN, "this device is blocked")
        if self._desk.take("unavailable"):
            after = self._desk.faults.retry_after_s
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the lab was told to be unavailable",
                None if after is None else {"Retry-After": str(after)},
            )
        return None

    def _is_device(self, request: web.Request) -> bool:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        # Digests have one length, and both comparisons always run: the time tells neither id nor secret.
        right_secret = _same(secret.strip(), self._device.secret)
        right_id = _same(request.headers.get("X-Device-Id", ""), self._device.id)
        return scheme.lower() == "bearer" and right_secret and right_id

    # --- handlers ----------------------------------------------------------------------------------------------------

    async def health(self, _request: web.Request) -> web.Response:
        """`GET /v1/health`."""
        if self._desk.take("no_time"):
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the lab was told not to tell the time")
        return answer(Health(status="ok", time=self._now().astimezone(UTC).isoformat(timespec="milliseconds")))

    async def subscription(self, _request: web.Request) -> web.Response:
        """`GET /v1/subscription`."""
        price_list = self._desk.price_list()
        if price_list is None:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "no price list is published for the product")
        return answer(self._desk.subscription(price_list))

    async def file_info(self, request: web.Request) -> web.Response:
        """`GET /v1/files/{name}`: the current version, revalidated by ETag."""
        info = self._published.current(request.match_info["name"])
        if info is None:
            raise Refused(HTTPStatus.NOT_FOUND, "no file of this name is published")
        headers = {"ETag": f'"{info.sha256}"', "Cache-Control": "no-cache"}
        if _etag_matches(request, info.sha256):
            return web.Response(status=304, headers=headers)
        return answer(info, headers=headers)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """`GET /v1/files/{name}/{sha256}`: the bytes, which never change."""
        name, sha256 = request.match_info["name"], request.match_info["sha256"]
        data = self._published.read(name, sha256) if _SHA256.fullmatch(sha256) else None
        if data is None:
            raise Refused(HTTPStatus.NOT_FOUND, "no file of this name and digest was published")
        headers = {"ETag": f'"{sha256}"', "Cache-Control": "public, max-age=31536000, immutable"}
        if _etag_matches(request, sha256):
            return web.Response(status=304, headers=headers)
        if self._desk.take("corrupt_file"):
            data = bytes([data[0] ^ 1]) + data[1:]
        if self._desk.take("truncate_file"):
            return await _half(request, data, headers)
        return web.Response(body=data, content_type="application/octet-stream", headers=headers)

    async def usage(self, request: web.Request) -> web.Response:
        """`GET /v1/usage?month=YYYY-MM`."""
        month = request.query.get("month", "")
        if not _MONTH.fullmatch(month):
            raise Refused(HTTPStatus.BAD_REQUEST, "month must be YYYY-MM")
        count = await self.in_ledger_thread(self._ledger.usage, self._device.id, month)
        spent_micro = await self.in_ledger_thread(self._ledger.spent_micro, self._device.id)
        return answer(self._desk.usage(month, count, spent_micro))

    async def cdr(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/cdr`: one verdict per record, given after the commit."""
        envelope = decode(await read_body(request), _Envelope)
        if not 1 <= len(envelope.epoch) <= 128:
            raise Refused(HTTPStatus.BAD_REQUEST, "epoch must have 1 to 128 characters - at `$.epoch`")
        if not 1 <= len(envelope.records) <= MAX_BATCH:
            raise Refused(HTTPStatus.BAD_REQUEST, f"a batch has 1 to {MAX_BATCH} records - at `$.records`")
        read = [self._read_record(index, raw) for index, raw in enumerate(envelope.records)]
        good = [record for record in read if isinstance(record, Cdr)]
        now = self._now()
        if envelope.numbers and len(envelope.numbers) != len(read):
            raise Refused(HTTPStatus.BAD_REQUEST, "there must be a number for each record, or none - at `$.numbers`")
        verdicts = await self.in_ledger_thread(
            self._ledger.receive, self._device.id, envelope.epoch, good, now, envelope.numbers
        )
        kept = iter(verdicts)
        results = []
        for record in read:
            if isinstance(record, CdrResult):
                results.append(record)
            else:
                verdict, reason = next(kept)
                results.append(CdrResult(id=record.id, verdict=verdict, reason=reason))
        for result in results:
            self._sink.emit(CdrReceived(id=result.id, verdict=result.verdict, reason=result.reason))
        if self._desk.take("lose_ack") and request.transport is not None:
            request.transport.abort()
        return answer(CdrBatchResult(results=results))

    def _read_record(self, index: int, raw: msgspec.Raw) -> Cdr | CdrResult:
        try:
            record = msgspec.json.decode(raw, type=Cdr)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return CdrResult(id=_record_id(index, raw), verdict=Verdict.REJECTED, reason=masked(str(error))[:512])
        if record.id in self._desk.faults.reject_ids:
            return CdrResult(id=record.id, verdict=Verdict.REJECTED, reason="the lab was told to reject this record")
        return record


def _record_id(index: int, raw: msgspec.Raw) -> str:
    """Return the id of a record that is otherwise bad. Raises Refused where it has none: nothing can name it then."""
    try:
        identity = msgspec.json.decode(raw, type=_Identity).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        identity = ""
    if not _RECORD_ID.fullmatch(identity):
        raise Refused(HTTPStatus.BAD_REQUEST, f"a record without a readable id - at `$.records[{index}].id`")
    return identity


def _same(given: str, expected: str) -> bool:
    digests = (hashlib.sha256(text.encode(errors="surrogateescape")).digest() for text in (given, expected))
    return hmac.compare_digest(*digests)


def _etag_matches(request: web.Request, sha256: str) -> bool:
    return any(tag.value == sha256 for tag in request.if_none_match or ())


async def _half(request: web.Request, data: bytes, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={**headers, "Content-Length": str(len(data))})
    await response.prepare(request)
    await response.write(data[: len(data) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
