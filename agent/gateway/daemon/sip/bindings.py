"""What a registrar's answer tells of our bindings: where we are seen, and which of them lead nowhere any more."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from agent.core.contact import parse_place
from agent.gateway.daemon.sip.headers import header, lines

MAX_LEFTOVERS: Final = 4
_BINDING: Final = re.compile(r"<(sips?:[^<>\s\"]{1,256})>", re.IGNORECASE)
_VIA: Final = re.compile(
    r"SIP/2\.0/(\w+)[ \t]+(\[[^\]\s]{1,64}\]|[^\s:;,]{1,255})(?::(\d{1,5}))?[^,]{0,512}", re.IGNORECASE
)
_RECEIVED: Final = re.compile(r";[ \t]*received=(\[[^\]\s]{1,64}\]|[^\s;,\[\]]{1,64})", re.IGNORECASE)
_RPORT: Final = re.compile(r";[ \t]*rport=(\d{1,5})", re.IGNORECASE)
_PLACE: Final = re.compile(r"@(\[[^\]]{1,64}\]|[^:;>\]]{1,255}):(\d{1,5})")


class Ours(Struct, frozen=True):
    """What shows a binding to be one of ours: the user part, or the `line` parameter, of an earlier version as well.

    `port`: our local one. `standing`: the places, `address:port`, where a binding with this user part may lead.
    """

    user: str
    token: str
    port: int
    standing: frozenset[str]


def seen_as(message: str) -> str:
    """`address:port` that a request of ours was seen to come from, as its response says (RFC 3581 §4), or nothing.

    A response that says the port only has found the address to be what we said.
    """
    via = _VIA.match(header(message, "Via", "v"))
    port = _RPORT.search(via[0]) if via else None
    if via is None or port is None:
        return ""
    received = _RECEIVED.search(via[0])
    return f"{(received[1] if received else via[2]).strip('[]').lower()}:{port[1]}"


def came_from(message: str) -> str:
    """The same, where our Via says whence the connection goes and the server has nothing to add (RFC 3261 §18.2.1)."""
    via = _VIA.match(header(message, "Via", "v"))
    if via is not None and via[1].upper() != "UDP" and via[3] and not _RPORT.search(via[0]):
        received = _RECEIVED.search(via[0])
        return "" if received else f"{via[2].strip('[]').lower()}:{via[3]}"
    return seen_as(message)


def leftovers(message: str, ours: Ours) -> tuple[str, ...]:
    """The bindings in a registrar's answer (RFC 3261 §10.3) that we made, and that lead nowhere, or to us once more.

    A router may show them under any address; the user part and the parameters that we wrote are ours wherever they turn
    up. Where one of them is where it should be, that one lives and all others do not; otherwise those of another local
    port, or with another user part, do not.
    """
    uris = [uri for line in lines(message, "Contact", "m") for uri in _BINDING.findall(line)]
    named = [uri for uri in uris if uri.partition(":")[2].startswith(f"{ours.user}@")]
    known = [uri for uri in uris if uri in named or f";line={ours.token}" in f"{uri};"]
    living = [uri for uri in named if str(parse_place(place_in(uri))) in ours.standing]
    if not living:
        living = [uri for uri in named if f";p={ours.port};" in f"{uri};"]
    return tuple(dict.fromkeys(uri for uri in known if uri not in living))[:MAX_LEFTOVERS]


def place_in(uri: str) -> str:
    """`address:port` of a SIP URI that says both, or nothing."""
    match = _PLACE.search(uri)
    return f"{match[1].strip('[]').lower()}:{match[2]}" if match else ""
