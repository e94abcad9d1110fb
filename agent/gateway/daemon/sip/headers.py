"""Headers of a received message that the library does not hand out: found in its text, unfolded, bounded."""

from __future__ import annotations

import re
from typing import Final

from agent.gateway.daemon.sip.uri import user_of

MAX_HEADER: Final = 1024
_FOLD: Final = re.compile(r"\r?\n[ \t]+")


def header(message: str, name: str, compact: str = "") -> str:
    """The first value of a header (RFC 3261 §7.3), also by its compact name or folded; empty where there is none."""
    names = re.escape(name) + (f"|{re.escape(compact)}" if compact else "")
    head = _FOLD.sub(" ", message).replace("\r\n", "\n").partition("\n\n")[0]
    match = re.search(rf"^(?:{names})[ \t]*:[ \t]*([^\n]*)", head, re.IGNORECASE | re.MULTILINE)
    return match[1].strip()[:MAX_HEADER] if match else ""


def called_party(message: str) -> str:
    """The user part of P-Called-Party-ID (RFC 7315 §4.2): what was dialled, where the Request-URI is our contact."""
    return user_of(header(message, "P-Called-Party-ID"))


def addressed(message: str) -> str:
    """The user part of To (RFC 3261 §8.1.1.2): whom the caller meant; after a diversion not us."""
    return user_of(header(message, "To", "t"))
