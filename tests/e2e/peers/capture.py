"""Capture files that SIPp plays (`play_pcap_audio`): RTP as it would have been caught on a wire."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_FRAME_MS: Final = 20
_SAMPLES: Final = 160
_HEADER: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
"""Classic pcap, microseconds, Ethernet."""
_UDP: Final = 17
_KEYS: Final = "0123456789*#ABCD"
_UPDATES: Final = 5
_KEY_MS: Final = 400
_SSRC: Final = 0x5EEC4


def write_speech(path: Path, alaw: bytes, payload_type: int = 8) -> None:
    """A-law speech as RTP, a packet each 20 ms (RFC 3550, 3551); what does not fill a packet is left out."""
    frames = [alaw[at : at + _SAMPLES] for at in range(0, len(alaw) - _SAMPLES + 1, _SAMPLES)]
    _write(path, [
        (at * _FRAME_MS, struct.pack("!BBHII", 0x80, payload_type, at, at * _SAMPLES, _SSRC) + frame)
        for at, frame in enumerate(frames)
    ])  # fmt: skip


def write_keys(path: Path, keys: str, payload_type: int) -> None:
    """Keys as telephone-events (RFC 4733 §2.5): 100 ms each, its end three times, and a pause."""
    packets: list[tuple[int, bytes]] = []
    for at, key in enumerate(keys):
        begun_ms = at * _KEY_MS
        for step in range(_UPDATES + 3):
            kind = payload_type | 0x80 * (step == 0)
            header = struct.pack("!BBHII", 0x80, kind, len(packets), begun_ms * _SAMPLES // _FRAME_MS, _SSRC)
            end = 0x80 * (step >= _UPDATES)
            event = struct.pack("!BBH", _KEYS.index(key), end | 10, min(step + 1, _UPDATES) * _SAMPLES)
            packets.append((begun_ms + step * _FRAME_MS, header + event))
    _write(path, packets)


def _write(path: Path, packets: Iterable[tuple[int, bytes]]) -> None:
    """UDP payloads with their times in ms. SIPp puts in its own addresses and ports."""
    records = [_HEADER]
    for at_ms, payload in packets:
        frame = b"\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\0" + _ip(payload)
        seconds, millis = divmod(at_ms, 1000)
        records += [struct.pack("<IIII", seconds, millis * 1000, len(frame), len(frame)), frame]
    path.write_bytes(b"".join(records))


def _ip(payload: bytes) -> bytes:
    length = 28 + len(payload)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, _UDP, 0, bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2)))
    return ip + struct.pack("!HHHH", 5004, 5004, 8 + len(payload), 0) + payload
