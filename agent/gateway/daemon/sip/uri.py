"""The little SIP text that this adapter reads and writes by itself: AORs, a header of a received message."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from agent.core.foreign_text import one_line

_REQUEST_LINE = re.compile(r"[A-Z]+ sips?:(?:(?P<user>[^@\s;:]*)(?:[;:][^@\s]*)?@)?(?P<rest>[^\s]*) SIP/2\.0")
_LINE_PARAMETER = re.compile(r";line=([0-9a-f]{16})(?:;|$)")
_RETRY_AFTER = re.compile(r"^Retry-After[ \t]*:[ \t]*(\d{1,9})", re.IGNORECASE | re.MULTILINE)
_ADDRESS_URI = re.compile(r"\s*(?:sips?:(?:([^@>\s]*)@)?|tel:([^>\s]*))", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)', re.DOTALL)
"""A quoted string (RFC 3261 §25.1); one that never ends takes the rest with it."""
_QUOTED_NAME = re.compile(r'"((?:[^"\\]|\\.)*)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_USER_UNRESERVED = "-_.!~*'()&=+$,/"
"""Besides letters and digits, what a user part may hold unescaped (RFC 3261 §25.1, less `;` and `?`)."""
_MAX_USER = 128
_MAX_MESSAGE = 65_535


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


def unquoted(text: str) -> str:
    """A header's value without its quoted strings, in which anything may stand."""
    return _QUOTED.sub("", text)


def display_name(name_address: str) -> str:
    """The display name of a From or To value, unquoted (RFC 3261 §25.1); empty where there is none."""
    text = name_address.strip()
    if quoted := _QUOTED_NAME.match(text):
        return one_line(_ESCAPED.sub(r"\1", quoted[1]), _MAX_USER).strip()
    bare, bracket, _ = text.partition("<")
    return one_line(bare, _MAX_USER).strip() if bracket else ""


def _user(written: str | None) -> str:
    return one_line(unquote((written or "").partition(";")[0]), _MAX_USER)


def text_of(message: str) -> str:
    """A message as the library gives it, as text that can be encoded: it carries over foreign bytes as surrogates."""
    return message[:_MAX_MESSAGE].encode("utf-8", "replace").decode()


def retry_after_s(message: str) -> int | None:
    """Retry-After of a received response in seconds (RFC 3261 §20.33), None where it says nothing usable."""
    head = message.replace("\r\n", "\n").partition("\n\n")[0]
    match = _RETRY_AFTER.search(head)
    return int(match[1]) if match else None


def address_of(source: str) -> str:
    """The IP address of `ip:port` or `[ip]:port`."""
    return source.rpartition(":")[0].strip("[]") if ":" in source else source
