"""Verifies Ed25519 signatures (RFC 8032 §5.1), and nothing else: there is no secret here whose timing could tell.

One signature is verified for each firmware update, in a few milliseconds. A library for it would be the largest part
of the whole installation.
"""

from __future__ import annotations

import hashlib
from typing import Final

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_P: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, _P - 2, _P) % _P
_SQRT_MINUS_1: Final = pow(2, (_P - 1) // 4, _P)

_Point = tuple[int, int, int, int]
"""X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z."""

_NEUTRAL: Final[_Point] = (0, 1, 1, 0)


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) of `message` was made by the owner of `public_key` (32 bytes)."""
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    key = _decoded(public_key)
    scalar = int.from_bytes(signature[32:], "little")
    # A scalar beyond the order would be a second signature of the same message (RFC 8032 §8.4).
    if key is None or scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    x, y, z, t = key
    point = _sum_of_products(scalar, _BASE, challenge, (-x % _P, y, z, -t % _P))
    return _encoded(point) == signature[:32]


def base_times(scalar: int) -> bytes:
    """The encoded point scalar·B: not for secrets that matter, see above."""
    return _encoded(_sum_of_products(scalar, _BASE, 0, _NEUTRAL))


def _root(y: int, sign: int) -> int | None:
    """The x of a point by its y and the lowest bit of x (RFC 8032 §5.1.3); None where there is no such point."""
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    if square == 0:
        return None if sign else 0
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _SQRT_MINUS_1 % _P
    if (x * x - square) % _P:
        return None
    return _P - x if x & 1 != sign else x


def _decoded(data: bytes) -> _Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= _P:
        return None
    x = _root(y, sign)
    return None if x is None else (x, y, 1, x * y % _P)


def _encoded(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, _P - 2, _P)
    x, y = x * inverse % _P, y * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _add(one: _Point, other: _Point) -> _Point:
    """RFC 8032 §5.1.4; complete, so that it also doubles."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _sum_of_products(a: int, one: _Point, b: int, other: _Point) -> _Point:
    """a·one + b·other, both scalars at once."""
    choices = {(1, 0): one, (0, 1): other, (1, 1): _add(one, other)}
    total = _NEUTRAL
    for bit in range(max(a.bit_length(), b.bit_length()) - 1, -1, -1):
        total = _add(total, total)
        chosen = choices.get((a >> bit & 1, b >> bit & 1))
        if chosen is not None:
            total = _add(total, chosen)
    return total


_BASE_Y: Final = 4 * pow(5, _P - 2, _P) % _P
_BASE_X: Final = _root(_BASE_Y, 0) or 0
_BASE: Final[_Point] = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)
