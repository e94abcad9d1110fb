"""Headers of a received message that the library does not hand out: found in its text, unfolded, bounded."""

from __future__ import annotations

import re
from typing import Final

from agent.core.redirect import Elsewhere
from agent.gateway.daemon.sip.uri import unquoted, user_of

MAX_HEADER: Final = 1024
MAX_LINE: Final = 4096
MAX_CONTACTS: Final = 8
MAX_VALUES: Final = 16
_CONTACT: Final = re.compile(r"<([^<>]{1,512})>([^,<>]*)|([^,<>;\s]{1,512})([^,<>]*)")
_SIP_URI: Final = re.compile(
    r"sips?:(?P<user>[^@\s]*)@(?P<host>\[[0-9A-Fa-f:.]+\]|[^:;?\[\]\s]+)(?::(?P<port>[0-9]{1,5}))?(?:[;?].*)?",
    re.IGNORECASE | re.DOTALL,
)
_VALUE: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|<[^<>]*>|[^,"<>]|[<>"])+')
"""A value up to the comma that ends it, which none in quotes or in angle brackets does."""
_PREFERENCE: Final = re.compile(r";\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)", re.IGNORECASE)
_FOLD: Final = re.compile(r"\r?\n[ \t]+")
_FLAGS: Final = re.IGNORECASE | re.MULTILINE


def header(message: str, name: str, compact: str = "") -> str:
    """The first value of a header (RFC 3261 §7.3), also by its compact name or folded; empty where there is none."""
    match = re.search(rf"^(?:{_names(name, compact)})[ \t]*:[ \t]*([^\n]*)", _head(message), _FLAGS)
    return match[1].strip()[:MAX_HEADER] if match else ""


def lines(message: str, name: str, compact: str = "") -> list[str]:
    """What stands behind each header of this name, whole, in their order; of each at most MAX_LINE characters."""
    return re.findall(rf"^(?:{_names(name, compact)})[ \t]*:[ \t]*([^\n]{{1,{MAX_LINE}}})", _head(message), _FLAGS)


def values(message: str, name: str) -> tuple[str, ...]:
    """Every value of a header that may have several, in their order (RFC 3261 §7.3.1); the first MAX_VALUES of them."""
    found = [value.strip() for line in lines(message, name) for value in _VALUE.findall(line)]
    return tuple(value[:MAX_HEADER] for value in found if value)[:MAX_VALUES]


def redirections(message: str) -> tuple[Elsewhere, ...]:
    """Where the Contacts of a 3xx lead, by their `q` (RFC 3261 §21.3, §20.10); the first MAX_CONTACTS of them."""
    found: list[tuple[float, Elsewhere]] = []
    contacts = unquoted(",".join(lines(message, "Contact", "m")))
    for bracketed, parameters, bare, rest in _CONTACT.findall(contacts)[:MAX_CONTACTS]:
        uri = _SIP_URI.fullmatch(bracketed or bare)
        if uri is not None:
            preference = _PREFERENCE.search(parameters or rest)
            place = Elsewhere(user_of(f"<{uri[0]}>"), uri["host"].strip("[]"), int(uri["port"] or 0))
            found.append((-float(preference[1]) if preference else -1.0, place))
    return tuple(place for _, place in sorted(found, key=lambda one: one[0]))


def called_party(message: str) -> str:
    """The user part of P-Called-Party-ID (RFC 7315 §4.2): what was dialled, where the Request-URI is our contact."""
    return user_of(header(message, "P-Called-Party-ID"))


def addressed(message: str) -> str:
    """The user part of To (RFC 3261 §8.1.1.2): whom the caller meant; after a diversion not us."""
    return user_of(header(message, "To", "t"))


def _head(message: str) -> str:
    """The headers of a message, unfolded, a line each."""
    return _FOLD.sub(" ", message).replace("\r\n", "\n").partition("\n\n")[0]


def _names(name: str, compact: str) -> str:
    return re.escape(name) + (f"|{re.escape(compact)}" if compact else "")
