"""The little SIP text that this adapter reads and writes by itself: targets, AORs, a header of a received message."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

_TARGET = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:;\[\]\s]+)(?::(?P<port>\d{1,5}))?(?:;transport=(?P<transport>\w+))?"
)
_REQUEST_LINE = re.compile(r"[A-Z]+ sips?:(?:(?P<user>[^@\s;:]*)(?:[;:][^@\s]*)?@)?(?P<rest>[^\s]*) SIP/2\.0")
_LINE_PARAMETER = re.compile(r";line=([0-9a-f]{8})(?:;|$)")
_RETRY_AFTER = re.compile(r"^Retry-After[ \t]*:[ \t]*(\d{1,9})", re.IGNORECASE | re.MULTILINE)
_ADDRESS_URI = re.compile(r"\s*(?:sips?:(?:([^@>\s]*)@)?|tel:([^>\s]*))", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)', re.DOTALL)
"""A quoted string (RFC 3261 §25.1); one that never ends takes the rest with it."""
_NUMBER = re.compile(r"\d(?:[ \t\u00a0-]?\d){4,}")
_KEPT_DIGITS = 4
_USER_UNRESERVED = "-_.!~*'()&=+$,/"
"""Besides letters and digits, what a user part may hold unescaped (RFC 3261 §25.1, less `;` and `?`)."""
_DEFAULT_PORT = 5060
_MAX_PORT = 65_535
_MAX_USER = 128
_MAX_MESSAGE = 65_535
MAX_PHRASE = 200
_TRANSPORTS = ("udp",)


class TargetError(ValueError):
    """A target is not one that this adapter can send to; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send: an IP address and a port. Names are resolved before they come here: the library would block."""

    address: str
    port: int

    @property
    def route(self) -> str:
        """The loose route that leads to it (RFC 3261 §8.1.1.1)."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"<sip:{host}:{self.port};transport=udp;lr>"


def parse_target(text: str) -> Target:
    """`host:port;transport=udp` as a Target. Raises TargetError for a name, a port or a transport that cannot be."""
    match = _TARGET.fullmatch(text)
    if match is None:
        raise TargetError(f"target {text!r} is not of the form host:port;transport=udp")
    transport = (match["transport"] or "udp").lower()
    if transport not in _TRANSPORTS:
        raise TargetError(f"target {text!r} asks for transport {transport}; this gateway speaks udp")
    port = int(match["port"] or _DEFAULT_PORT)
    if not 0 < port <= _MAX_PORT:
        raise TargetError(f"target {text!r} has port {port}, which does not exist")
    try:
        address = ipaddress.ip_address(match["host"].strip("[]"))
    except ValueError:
        raise TargetError(f"target {text!r} is a name, not an IP address: resolve it first") from None
    return Target(str(address), port)


def sip_uri(user: str, domain: str) -> str:
    """`sip:user@domain` with the user part escaped. Raises ValueError where either part cannot be written."""
    if not user or len(user) > _MAX_USER:
        raise ValueError(f"a SIP user part has 1 to {_MAX_USER} characters, this one {len(user)}")
    if not domain or not re.fullmatch(r"[A-Za-z0-9.\-:\[\]]+", domain):
        raise ValueError(f"domain {domain!r} is not a host name or address")
    return f"sip:{quote(user, safe=_USER_UNRESERVED)}@{domain}"


def called_user(message: str) -> str:
    """The user part of a request's Request-URI, unescaped; empty where there is none."""
    match = _REQUEST_LINE.match(message)
    return _user(match["user"]) if match else ""


def line_token(message: str) -> str:
    """The `line` parameter that our Contact carries, from the Request-URI of a request; empty where there is none."""
    match = _REQUEST_LINE.match(message)
    found = _LINE_PARAMETER.search(match["rest"]) if match else None
    return found[1] if found else ""


def user_of(name_address: str) -> str:
    """The user part of a From or To value (`"Name" <sip:user@host>;tag=...`), or the number of a `tel:` one, unescaped;
    empty where there is none.

    Whoever calls writes the display name as he likes: an address in there is not his.
    """
    bare = _QUOTED.sub("", name_address)
    _, bracket, rest = bare.partition("<")
    match = _ADDRESS_URI.match(rest.partition(">")[0] if bracket else bare)
    return _user(match[1] or match[2]) if match else ""


def _user(written: str | None) -> str:
    return one_line(unquote((written or "").partition(";")[0]), _MAX_USER)


def text_of(message: str) -> str:
    """A message as the library gives it, as text that can be encoded: it carries over foreign bytes as surrogates."""
    return message[:_MAX_MESSAGE].encode("utf-8", "replace").decode()


def one_line(text: str, limit: int = MAX_PHRASE) -> str:
    """Foreign words for a log, a record or a page: one line of at most `limit` characters that can be encoded."""
    clean = text[:limit].encode("utf-8", "replace").decode()
    return "".join(character if character.isprintable() else " " for character in clean)


def phrase(text: str, limit: int = MAX_PHRASE) -> str:
    """A reason phrase, or the library's own words: one line without the telephone numbers in it."""
    return one_line(mask_numbers(one_line(text, limit)), limit)


def retry_after_s(message: str) -> int | None:
    """Retry-After of a received response in seconds (RFC 3261 §20.33), None where it says nothing usable."""
    head = message.replace("\r\n", "\n").partition("\n\n")[0]
    match = _RETRY_AFTER.search(head)
    return int(match[1]) if match else None


def address_of(source: str) -> str:
    """The IP address of `ip:port` or `[ip]:port`."""
    return source.rpartition(":")[0].strip("[]") if ":" in source else source


def mask_numbers(text: str) -> str:
    """The text with all but the last four digits of every number of five or more hidden, also where it is written in
    groups (`41 23 45 12`).
    """
    return _NUMBER.sub(_masked, text)


def _masked(number: re.Match[str]) -> str:
    characters = list(number[0])
    places = [at for at, character in enumerate(characters) if character.isdecimal()]
    for at in places[:-_KEPT_DIGITS]:
        characters[at] = "*"
    return "".join(characters)
