"""The one HTTP client of the operator's interface: bounded in time and size, and it follows nobody elsewhere."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from agent.operator.api import (
    MAX_BODY,
    CdrBatch,
    CdrBatchResult,
    FileInfo,
    Health,
    Subscription,
    Usage,
)
from agent.operator.errors import (
    Broken,
    Busy,
    CutOff,
    Misconfigured,
    OperatorError,
    Refused,
    Rejected,
    Unreachable,
)
from agent.operator.partial import PartialFile
from agent.operator.retry import retry_after_s

T = TypeVar("T")

_BUSY = frozenset({429, 502, 503, 504})
_REFUSED = frozenset({401, 403})
_REJECTED = frozenset({400, 409, 413, 422})
_CHUNK = 64 * 1024


class Timeouts(Struct, frozen=True):
    """Seconds: to connect, of silence, for a whole exchange, and for a whole download (16 MB at 30 kB/s)."""

    connect_s: float = 10.0
    silence_s: float = 15.0
    exchange_s: float = 30.0
    download_s: float = 600.0

    def of_exchange(self) -> aiohttp.ClientTimeout:
        """For a request with a short answer."""
        return aiohttp.ClientTimeout(total=self.exchange_s, connect=self.connect_s, sock_read=self.silence_s)

    def of_download(self) -> aiohttp.ClientTimeout:
        """For a file."""
        return aiohttp.ClientTimeout(total=self.download_s, connect=self.connect_s, sock_read=self.silence_s)


class OperatorClient:
    """Asks and tells the operator. Every method raises OperatorError and nothing else of the network's."""

    def __init__(
        self, url: str, device_id: str, secret: str, *, ca_file: Path | None = None, timeouts: Timeouts | None = None
    ) -> None:
        """`url`: base address, https (http towards this machine only). Raises Misconfigured."""
        self._base = _checked_base(url)
        self._identity = {"X-Device-Id": _header_value(device_id, "device id")}
        self._identity["Authorization"] = "Bearer " + _header_value(secret, "device secret")
        self._ca_file = ca_file
        self._timeouts = timeouts or Timeouts()
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"OperatorClient({str(self._base)!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the connections; the next request makes new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def subscription(self) -> Subscription:
        """What the customer has. Raises OperatorError."""
        return await self._get("v1/subscription", Subscription)

    async def usage(self, month: str) -> Usage:
        """The operator's own count of a month `YYYY-MM`. Raises OperatorError."""
        return await self._get("v1/usage", Usage, {"month": month})

    async def health(self) -> tuple[Health, datetime]:
        """The platform's word about itself and its time, in UTC. Sent without identity. Raises OperatorError."""
        health = await self._get("v1/health", Health, identified=False)
        try:
            moment = datetime.fromisoformat(health.time)
            if moment.tzinfo is None:
                raise ValueError("no zone")
            moment = moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            # Overflow: a zone that takes the time out of the years 1 to 9999.
            raise Broken("the operator's health has a time that is not RFC 3339", 200) from error
        return health, moment

    async def upload(self, batch: CdrBatch) -> CdrBatchResult:
        """Hand over records; the answer holds a verdict for each.

        A batch whose encoding is longer than a body may be is Rejected without asking. Raises OperatorError.
        """
        body = msgspec.json.encode(batch)
        if len(body) > MAX_BODY:
            raise Rejected(f"the batch has {len(body)} bytes, at most {MAX_BODY} are allowed", 413)
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "Idempotency-Key": hashlib.sha256(body).hexdigest(),
        }
        compressed = gzip.compress(body, compresslevel=6, mtime=0)
        async with self._ask("POST", "v1/cdr", headers=headers, data=compressed) as response:
            return _decoded(await _bounded_body(response), CdrBatchResult, response)

    async def download(self, info: FileInfo, target: Path) -> None:
        """Bring a file to `target`, whole and verified or not at all; what lay there before stays until then.

        Length and SHA-256 are checked while it streams into a hidden file of the same folder, which is synced and
        renamed. Raises OperatorError; StorageError where the disk is the trouble.
        """
        digest = hashlib.sha256()
        length = 0
        path = f"v1/files/{info.name}/{info.sha256}"
        async with self._ask("GET", path, limits=self._timeouts.of_download()) as response:
            if response.content_length not in (None, info.length):
                raise Broken(
                    f"{info.name} is announced with {response.content_length} bytes, {info.length} were promised",
                    response.status,
                )
            partial = await asyncio.to_thread(PartialFile.begin, target)
            try:
                async for chunk in response.content.iter_chunked(_CHUNK):
                    length += len(chunk)
                    if length > info.length:
                        raise Broken(f"{info.name} is longer than the {info.length} bytes promised", response.status)
                    digest.update(chunk)
                    await asyncio.to_thread(partial.write, chunk)
                if length != info.length:
                    raise Broken(f"{info.name} has {length} bytes, {info.length} were promised", response.status)
                if digest.hexdigest() != info.sha256:
                    raise Broken(f"{info.name} has another SHA-256 than promised", response.status)
                await asyncio.to_thread(partial.finish)
            finally:
                await asyncio.to_thread(partial.discard)

    async def _get(
        self, path: str, kind: type[T], query: dict[str, str] | None = None, *, identified: bool = True
    ) -> T:
        async with self._ask("GET", path, query=query, identified=identified) as response:
            return _decoded(await _bounded_body(response), kind, response)

    @asynccontextmanager
    async def _ask(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        data: bytes | None = None,
        identified: bool = True,
        limits: aiohttp.ClientTimeout | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        session = await self._open_session()
        sent = (headers or {}) | (self._identity if identified else {})
        url = self._base.joinpath(*path.split("/")).with_query(query)
        try:
            async with session.request(
                method,
                url,
                headers=sent,
                data=data,
                allow_redirects=False,
                timeout=limits or self._timeouts.of_exchange(),
            ) as response:
                _check_status(response, path)
                yield response
        except OperatorError:
            raise
        except aiohttp.ConnectionTimeoutError as error:
            raise Unreachable("the operator did not answer in time") from error
        except TimeoutError as error:
            raise CutOff("the operator did not answer in time") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise Unreachable("the operator's certificate could not be verified") from error
        except aiohttp.ClientResponseError as error:
            raise Broken("the operator's answer is not HTTP", error.status) from error
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(f"the connection to the operator failed ({type(error).__name__})") from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError) as error:
            raise CutOff(f"the connection to the operator failed ({type(error).__name__})") from error
        except aiohttp.ClientError as error:
            raise Broken(f"the operator's answer could not be read ({type(error).__name__})", 0) from error

    async def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            verify = await asyncio.to_thread(_tls_context, self._ca_file) if self._base.scheme == "https" else True
            if self._session is None:
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=4, ssl=verify),
                    headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                    auto_decompress=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    trust_env=False,
                )
        return self._session


def _check_status(response: aiohttp.ClientResponse, path: str) -> None:
    status = response.status
    if status == 200:
        coding = response.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            raise Broken("the operator sent a compressed answer, which was not asked for", status)
        return
    what = f"the operator answered {status} to {path.split('/')[1]}"
    if status in _BUSY:
        raise Busy(what, retry_after_s(response.headers.get("Retry-After"), response.headers.get("Date")))
    if status in _REFUSED:
        raise Refused(what)
    if status in _REJECTED:
        raise Rejected(what, status)
    if 300 <= status < 400:
        raise Broken(f"{what}: redirects are not followed", status)
    raise Broken(what, status)


async def _bounded_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > MAX_BODY:
            raise Broken(f"the operator's answer is longer than {MAX_BODY} bytes", response.status)
    return bytes(body)


def _decoded(body: bytes, kind: type[T], response: aiohttp.ClientResponse) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        detail = str(error) if isinstance(error, msgspec.ValidationError) else "it is not JSON"
        raise Broken(f"the operator's {kind.__name__} is not as agreed: {detail}", response.status) from error


def _checked_base(url: str) -> URL:
    try:
        base = URL(url)
    except ValueError as error:
        raise Misconfigured("the operator's url is not a URL") from error
    if base.scheme not in ("https", "http") or not base.host:
        raise Misconfigured("the operator's url does not begin with https:// and a host name")
    if base.user or base.password or base.query_string or base.fragment:
        raise Misconfigured("the operator's url may hold only scheme, host, port and path")
    if base.scheme == "http" and not _is_this_machine(base.host):
        raise Misconfigured("the operator's url is http; without https it may only name this machine")
    return base


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _header_value(value: str, what: str) -> str:
    stripped = value.strip()
    if not (0 < len(stripped) <= 1024 and stripped.isascii() and stripped.isprintable()):
        raise Misconfigured(f"the {what} is empty, too long or holds characters that cannot be sent")
    return stripped


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(f"the CA file {ca_file} could not be read: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
