"""The two files of the packet filter: what the gateway asks for, and what root says is in force.

Standard library and msgspec only: the gateway writes the one, the agent reads the other.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from agent.core.packet_filter import MAX_NETWORKS, MAX_PORTS, FilterError, PacketFilter
from agent.core.ranges import MAX_TEXT, RangeError, parse_range

REQUEST = "packet-filter.json"
"""In the gateway's state folder."""
MAX_BYTES = 64 * 1024
_FORMAT = 1

_Port = Annotated[int, Meta(ge=0, le=65_535)]
_Ports = Annotated[list[_Port], Meta(max_length=MAX_PORTS)]
_Texts = Annotated[list[Annotated[str, Meta(max_length=MAX_TEXT)]], Meta(max_length=MAX_NETWORKS)]


class _Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Annotated[int, Meta(ge=_FORMAT, le=_FORMAT)]
    sip_udp: _Ports
    rtp: tuple[_Port, _Port]
    signalling: _Texts
    media: _Texts


class FilterState(Struct, frozen=True, kw_only=True):
    """What root last did, at `boot_ms` of the boot `boot_id`. `error`: why the last request is not in force.

    `in_force`: there is a filter; after an error it is an earlier one, whose counts these are, 0 where not known.
    """

    boot_id: Annotated[str, Meta(max_length=64)]
    boot_ms: Annotated[int, Meta(ge=0)]
    in_force: bool
    signalling: Annotated[int, Meta(ge=0)] = 0
    media: Annotated[int, Meta(ge=0)] = 0
    error: Annotated[str, Meta(max_length=512)] = ""


def encode_request(wanted: PacketFilter) -> bytes:
    """The file that asks for a filter."""
    request = _Request(
        format=_FORMAT, sip_udp=list(wanted.sip_udp), rtp=wanted.rtp,
        signalling=[str(network) for network in wanted.signalling], media=[str(network) for network in wanted.media],
    )  # fmt: skip
    return msgspec.json.encode(request)


def decode_request(body: bytes) -> PacketFilter:
    """The filter that a file asks for. Raises FilterError naming the field, and nothing else whatever the bytes are."""
    if len(body) > MAX_BYTES:
        raise FilterError(f"it is larger than {MAX_BYTES} bytes")
    try:
        request = msgspec.json.decode(body, type=_Request)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FilterError(f"it cannot be read: {error}") from error
    fields = {}
    for name in ("signalling", "media"):
        try:
            fields[name] = tuple(parse_range(text) for text in getattr(request, name))
        except RangeError as error:
            raise FilterError(f"{name}: {error}") from error
    return PacketFilter(
        sip_udp=tuple(request.sip_udp), rtp=request.rtp,
        signalling=fields["signalling"], media=fields["media"],
    )  # fmt: skip


def encode_state(state: FilterState) -> bytes:
    """The file that tells of a filter."""
    return msgspec.json.encode(state)


def decode_state(body: bytes) -> FilterState | None:
    """What a file tells; None where it tells nothing."""
    try:
        return msgspec.json.decode(body[: MAX_BYTES + 1], type=FilterState)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
