"""A socket's own packet filter as a program: the kernel drops a datagram whose source lies in no range, unread.

Classic BPF (linux/filter.h), which any process may attach to its own sockets. The program looks at the IP header only.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.core.ranges import Network

Instruction = tuple[int, int, int, int]
"""Code, jump where true, jump where false, operand."""
MAX_INSTRUCTIONS = 4096
"""BPF_MAXINSNS."""

_LOAD_WORD, _LOAD_BYTE, _AND, _SHIFT_RIGHT, _IF_EQUAL, _JUMP, _RETURN = 0x20, 0x30, 0x54, 0x74, 0x15, 0x05, 0x06
_IP_HEADER = 0xFFF0_0000
"""SKF_NET_OFF: offsets from here count from the IP header, whatever the socket sees first."""
_SOURCE = {4: 12, 6: 8}
"""Where the source address begins (RFC 791 §3.1, RFC 8200 §3)."""
_WHOLE = 0xFFFF_FFFF
_DROP, _TAKE = (_RETURN, 0, 0, 0), (_RETURN, 0, 0, _WHOLE)


def drop_all() -> list[Instruction]:
    """Takes nothing."""
    return [_DROP]


def take_from(networks: Iterable[Network]) -> list[Instruction]:
    """Takes what comes from one of these. Raises ValueError where they are too many for one program."""
    blocks: dict[int, list[Instruction]] = {4: [], 6: []}
    for network in dict.fromkeys(networks):
        blocks[network.version] += _take_from(network)
    fourth = [*blocks[4], _DROP]
    program = [
        (_LOAD_BYTE, 0, 0, _IP_HEADER), (_SHIFT_RIGHT, 0, 0, 4), (_IF_EQUAL, 1, 0, 4), (_JUMP, 0, 0, len(fourth)),
        *fourth, *blocks[6], _DROP,
    ]  # fmt: skip
    if len(program) > MAX_INSTRUCTIONS:
        raise ValueError(f"{len(program)} instructions; at most {MAX_INSTRUCTIONS} are allowed")
    return program


def _take_from(network: Network) -> list[Instruction]:
    """Compares the address word by word, and goes on behind the block at the first that differs."""
    size = network.max_prefixlen // 8
    value, mask = int(network.network_address), int(network.netmask)
    compared: list[Instruction] = []
    for at in range(0, size, 4):
        shift = 8 * (size - 4 - at)
        word, bits = value >> shift & _WHOLE, mask >> shift & _WHOLE
        if not bits:
            break
        compared.append((_LOAD_WORD, 0, 0, _IP_HEADER + _SOURCE[network.version] + at))
        if bits != _WHOLE:
            compared.append((_AND, 0, 0, bits))
        compared.append((_IF_EQUAL, 0, 0, word))
    ends = len(compared)
    return [
        (code, jump, ends - at if code == _IF_EQUAL else skip, operand)
        for at, (code, jump, skip, operand) in enumerate(compared)
    ] + [_TAKE]
