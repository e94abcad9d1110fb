"""What stands before every answer of the page: allowed hosts and methods, security headers, errors as sentences.

The page is read-only and has no login; the Host check is what keeps another site from reading it through the
household's browser (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from agent.logs import scrub

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?", re.ASCII)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_METHODS: Final = frozenset({"GET", "HEAD"})

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "iplink-agent",
}

_log = structlog.get_logger("page")


class AllowedHosts:
    """Names under which the page answers: loopback, the address that the connection came to, and configured ones."""

    def __init__(self, configured: Iterable[str] = ()) -> None:
        self._names = _LOOPBACK | {name.lower().rstrip(".").strip("[]") for name in configured}

    def allows(self, host: str | None, own_address: str | None) -> bool:
        """Whether a `Host` header is ours. `own_address`: the local end of the connection."""
        found = _HOST.fullmatch(host or "")
        if found is None:
            return False
        name = found["name"].lower().rstrip(".").strip("[]")
        return name in self._names or (own_address is not None and _same_address(name, own_address))


def guard_middleware(hosts: AllowedHosts, say: Callable[[str], str], count: Callable[[str, int], None]) -> Middleware:
    """The middleware that lets only good requests through. `count` learns route and status of each answer."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _answer(request, handler)
        count(_route(request), response.status)
        return response

    async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not hosts.allows(request.headers.get("Host"), _own_address(request)):
            return plain(421, say("wrong_host"))
        if request.method not in _METHODS:
            return plain(405, say("read_only"), Allow="GET, HEAD")
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return plain(404, say("not_found"))
        except web.HTTPException as error:
            return plain(error.status, error.reason)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001  # whatever fails in a page, the answer is a sentence without insides
            _log.error("page_failed", path=scrub(request.path[:64]), error=type(error).__name__, exc_info=error)
            return plain(500, say("failed"))

    return guard


def plain(status: int, text: str, **headers: str) -> web.Response:
    """A short answer in words."""
    return web.Response(
        status=status, text=f"{text}\n", headers={"Cache-Control": "no-store", **headers, "Connection": "close"}
    )


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Signal handler: security headers on every answer, nothing cached unless the answer says otherwise."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "other"


def _own_address(request: web.Request) -> str | None:
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return str(name[0]) if isinstance(name, tuple) and name else None


def _same_address(name: str, own: str) -> bool:
    try:
        ours = ipaddress.ip_address(own.partition("%")[0])
        if isinstance(ours, ipaddress.IPv6Address) and ours.ipv4_mapped:
            ours = ours.ipv4_mapped
        return ipaddress.ip_address(name) == ours
    except ValueError:
        return False
