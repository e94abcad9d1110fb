"""Headers of a received message that the library does not hand out: found in its text, unfolded, bounded."""

from __future__ import annotations

import re
from typing import Final

from agent.gateway.daemon.sip.uri import user_of

MAX_HEADER: Final = 1024
MAX_LEFTOVERS: Final = 4
_BINDING: Final = re.compile(r"<(sips?:[^<>\s\"]{1,256})>", re.IGNORECASE)
_FOLD: Final = re.compile(r"\r?\n[ \t]+")


def header(message: str, name: str, compact: str = "") -> str:
    """The first value of a header (RFC 3261 §7.3), also by its compact name or folded; empty where there is none."""
    names = re.escape(name) + (f"|{re.escape(compact)}" if compact else "")
    head = _FOLD.sub(" ", message).replace("\r\n", "\n").partition("\n\n")[0]
    match = re.search(rf"^(?:{names})[ \t]*:[ \t]*([^\n]*)", head, re.IGNORECASE | re.MULTILINE)
    return match[1].strip()[:MAX_HEADER] if match else ""


def leftovers(message: str, token: str, port: int) -> tuple[str, ...]:
    """The bindings in a registrar's answer (RFC 3261 §10.3) that we made with `token` from another local port.

    A router may show them under any address; the parameters that we wrote are ours wherever they turn up.
    """
    head = _FOLD.sub(" ", message).replace("\r\n", "\n").partition("\n\n")[0]
    values = re.findall(r"^(?:Contact|m)[ \t]*:[ \t]*([^\n]{1,4096})", head, re.IGNORECASE | re.MULTILINE)
    uris = [uri for value in values for uri in _BINDING.findall(value)]
    ours = [uri for uri in uris if f";line={token}" in f"{uri};" and f";p={port};" not in f"{uri};"]
    return tuple(dict.fromkeys(ours))[:MAX_LEFTOVERS]


def called_party(message: str) -> str:
    """The user part of P-Called-Party-ID (RFC 7315 §4.2): what was dialled, where the Request-URI is our contact."""
    return user_of(header(message, "P-Called-Party-ID"))


def addressed(message: str) -> str:
    """The user part of To (RFC 3261 §8.1.1.2): whom the caller meant; after a diversion not us."""
    return user_of(header(message, "To", "t"))
