"""A trace of SIP messages: what the gateway writes to disk, and how it is shown, as ladder, as text, as a capture."""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from agent.core.numbers import mask, normalise

FILE: Final = "sip-trace.json"
MAX_MESSAGES: Final = 300
MAX_MESSAGE: Final = 4096
MAX_FILE: Final = 2 * 1024 * 1024
"""What JSON makes of all that the gateway keeps, at worst."""

_USER = re.compile(r"(sips?:|tel:)(\+?[0-9*#.()-]{5,40})(?=[@;>\s\"]|$)", re.IGNORECASE)
_NAME = re.compile(r"\"[^\"\r\n]{1,128}\"\s*<")


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message. `at_ms`: boot clock; `peer`: the other end's address and port; `cut`: the library showed no more."""

    at_ms: int
    sent: bool
    transport: Annotated[str, Meta(max_length=8)]
    peer: Annotated[str, Meta(max_length=80)]
    text: Annotated[str, Meta(max_length=MAX_MESSAGE)]
    cut: bool = False


class Trace(Struct, frozen=True, kw_only=True):
    """What is written to disk: the wall clock (RFC 3339) at a moment of the boot clock, our own end, the messages."""

    wall: str
    boot_ms: int
    local: str
    messages: Annotated[list[Message], Meta(max_length=MAX_MESSAGES)]


class TraceError(Exception):
    """A file is no trace; the message says what was wrong."""


# --- on disk ---------------------------------------------------------------------------------------------------------

_decoder = msgspec.json.Decoder(Trace)


def encode(trace: Trace) -> bytes:
    """A trace as a file."""
    return msgspec.json.encode(trace)


def decode(body: bytes) -> Trace:
    """The trace in a file. Raises TraceError."""
    if len(body) > MAX_FILE:
        raise TraceError(f"the file has more than {MAX_FILE} bytes")
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TraceError(f"not a SIP trace: {error}") from error


def masked(text: str) -> str:
    """A message without full telephone numbers and without display names."""
    text = _USER.sub(lambda found: found[1] + mask(normalise(found[2])).replace(" ", ""), text)
    return _NAME.sub('"…" <', text)


# --- shown -----------------------------------------------------------------------------------------------------------


def ladder(messages: Sequence[Message]) -> list[str]:
    """A line for each message: seconds since the first one, which way, the peer, what it is; without full numbers."""
    first = messages[0].at_ms if messages else 0
    return [
        f"{(message.at_ms - first) / 1000:9.3f}  {'──▶' if message.sent else '◀──'}  {message.transport} "
        f"{message.peer:<24} {_summary(message)}"
        for message in messages
    ]


def _summary(message: Message) -> str:
    first, _, rest = message.text.partition("\n")
    sequence = re.search(r"(?im)^cseq\s*:\s*([^\r\n]{1,40})", rest)
    call = re.search(r"(?im)^(?:call-id|i)\s*:\s*([^\r\n]{1,8})", rest)
    line = masked(first.strip().removesuffix(" SIP/2.0").removeprefix("SIP/2.0 "))[:80]
    parts = [line, f"({sequence[1].strip()})" if sequence else "", f"[{call[1].strip()}]" if call else ""]
    return " ".join(part for part in parts if part) + (" … cut" if message.cut else "")


def pcap(trace: Trace, messages: Iterable[Message], wall_ms: int) -> bytes:
    """Messages of a trace as a capture file (libpcap, raw IP), as if all had come over UDP.

    `wall_ms`: milliseconds since 1970 at the trace's `boot_ms`. Credentials are missing, as they are everywhere.
    """
    local = _endpoint(trace.local)
    packets = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, _LINKTYPE_RAW)]
    for message in messages:
        at_ms = max(0, wall_ms - trace.boot_ms + message.at_ms)
        peer = _endpoint(message.peer)
        ends = (local, peer) if message.sent else (peer, local)
        packet = _datagram(*ends, message.text.encode())
        packets.append(struct.pack("<IIII", at_ms // 1000, at_ms % 1000 * 1000, len(packet), len(packet)) + packet)
    return b"".join(packets)


_LINKTYPE_RAW: Final = 101
_Endpoint = tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]


def _endpoint(text: str) -> _Endpoint:
    host, _, port = text.rpartition(":")
    try:
        return ipaddress.ip_address(host.strip("[]")), int(port) & 0xFFFF
    except ValueError:
        return ipaddress.IPv4Address(0), 0


def _datagram(source: _Endpoint, target: _Endpoint, payload: bytes) -> bytes:
    udp = struct.pack(">HHHH", source[1], target[1], 8 + len(payload), 0) + payload
    if source[0].version == 6 or target[0].version == 6:
        ends = b"".join(_as_ipv6(end[0]).packed for end in (source, target))
        return struct.pack(">IHBB", 6 << 28, len(udp), 17, 64) + ends + udp
    ends = source[0].packed + target[0].packed
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + ends
    checksum = _checksum(header)
    return header[:10] + struct.pack(">H", checksum) + header[12:] + udp


def _as_ipv6(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    return address if address.version == 6 else ipaddress.IPv6Address(f"::ffff:{address}")


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def shown(messages: Iterable[Message], *, numbers: bool) -> list[str]:
    """Whole messages as text, with a rule between them; without full numbers unless `numbers`."""
    lines: list[str] = []
    for message in messages:
        lines.append(f"--- {'to' if message.sent else 'from'} {message.transport} {message.peer}")
        text = message.text if numbers else masked(message.text)
        lines += [line.rstrip() for line in text.strip().splitlines()]
        if message.cut:
            lines.append("… the library shows no more of it")
    return lines


def of_call(messages: Sequence[Message], call: str) -> list[Message]:
    """The messages whose Call-ID begins with `call`."""
    wanted = re.compile(rf"(?im)^(?:call-id|i)\s*:\s*{re.escape(call)}")
    return [message for message in messages if wanted.search(message.text)]
