"""A maker of firmware for tests and the lab: signs images with a key that is worth nothing.

Real keys sign with a tool made for it (docs/line-card-update.md); this signer takes no care of its secret.
"""

from __future__ import annotations

import base64
import hashlib

from firmware_bridge import ed25519
from firmware_bridge.image import Version, make_header
from firmware_bridge.simulator.card import HARDWARE


class Maker:
    """Signs with the key of `name` (RFC 8032 §5.1.6)."""

    def __init__(self, name: str = "test") -> None:
        digest = hashlib.sha512(hashlib.sha256(name.encode()).digest()).digest()
        scalar = int.from_bytes(digest[:32], "little")
        self._scalar = (scalar & (1 << 254) - 8) | 1 << 254
        self._prefix = digest[32:]
        self.public_key = ed25519.base_times(self._scalar)

    @property
    def pem(self) -> str:
        """The public key as it is installed."""
        der = bytes.fromhex("302a300506032b6570032100") + self.public_key
        return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"

    def sign(self, message: bytes) -> bytes:
        """The signature of `message`."""
        nonce = int.from_bytes(hashlib.sha512(self._prefix + message).digest(), "little") % ed25519.ORDER
        point = ed25519.base_times(nonce)
        digest = hashlib.sha512(point + self.public_key + message).digest()
        scalar = (nonce + int.from_bytes(digest, "little") * self._scalar) % ed25519.ORDER
        return point + scalar.to_bytes(32, "little")

    def image(self, body: bytes, version: str, hardware: str = HARDWARE) -> bytes:
        """A whole image, as it stands in a file. `version`: MAJOR.MINOR.PATCH."""
        major, minor, patch = map(int, version.split("."))
        header = make_header(body, hardware, Version(major, minor, patch))
        return header + self.sign(header) + body
