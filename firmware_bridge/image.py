"""A firmware image for the line card: a header of 128 bytes, an Ed25519 signature of that header, and the body.

The header names the hash of the body, so that its signature vouches for both; the card gets exactly the bytes that
were signed. Everything is little-endian. `python -m firmware_bridge.image` writes a header for a body and checks an
image. Pure, but for that.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import re
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from firmware_bridge import ed25519

MAGIC: Final = b"IPLKFW\r\n"
"""Like PNG's: a transfer that changes line ends shows at once."""
FORMAT: Final = 1
PRODUCT: Final = "iplink-line-card"
HEADER_BYTES: Final = 128
SIGNATURE_BYTES: Final = ed25519.SIGNATURE_BYTES
MAX_BODY: Final = 4 * 1024 * 1024
MAX_IMAGE: Final = HEADER_BYTES + SIGNATURE_BYTES + MAX_BODY

_HEADER = struct.Struct("<8sHHI16s32sHHHH32s24s")
_VERSION = re.compile(r"(?<![0-9.])([0-9]{1,5})\.([0-9]{1,5})\.([0-9]{1,5})$", re.ASCII)
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,32}", re.ASCII)
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]{1,200})-----END PUBLIC KEY-----\s*", re.ASCII)
_DER_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")
"""SubjectPublicKeyInfo of an Ed25519 key, up to the key itself (RFC 8410 §4)."""
_MAX_PART: Final = 0xFFFF


class ImageError(Exception):
    """No firmware image for this product, or not a genuine one; the message is a sentence for a technician."""


class Version(Struct, frozen=True, order=True):
    """A firmware version; a later one compares greater."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def version_of(firmware: str) -> Version | None:
    """The version at the end of what a card calls its firmware (`sim-1.0.0`); None where there is none."""
    found = _VERSION.search(firmware)
    if found is None or any(int(part) > _MAX_PART for part in found.groups()):
        return None
    return Version(*map(int, found.groups()))


class ImageHeader(Struct, frozen=True):
    """What is signed: for which product and hardware, which version, and length and SHA-256 of the body."""

    product: str
    hardware: str
    version: Version
    length: int
    sha256: bytes


class FirmwareImage(Struct, frozen=True):
    """A whole image, its hash already checked."""

    header: ImageHeader
    header_bytes: bytes
    signature: bytes
    body: bytes


def parse_header(data: bytes) -> ImageHeader:
    """The header in the first HEADER_BYTES. Raises ImageError naming what is wrong."""
    if len(data) < HEADER_BYTES:
        raise ImageError(f"it has {len(data)} bytes, the header alone has {HEADER_BYTES}")
    magic, form, size, length, product, hardware, major, minor, patch, zero, sha256, rest = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ImageError("it does not begin like a firmware image; was it transferred as text?")
    if form != FORMAT or size != HEADER_BYTES:
        raise ImageError(f"it has format {form} with a header of {size} bytes; known is {FORMAT} with {HEADER_BYTES}")
    if zero or any(rest):
        raise ImageError("reserved bytes of the header are not zero")
    if not 0 < length <= MAX_BODY:
        raise ImageError(f"the header tells of a body of {length} bytes; 1 to {MAX_BODY} are allowed")
    return ImageHeader(
        _name(product, "product"), _name(hardware, "hardware"), Version(major, minor, patch), length, sha256
    )


def parse_image(data: bytes) -> FirmwareImage:
    """The image in `data`, its product, length and hash checked, its signature not yet. Raises ImageError."""
    header = parse_header(data)
    if header.product != PRODUCT:
        raise ImageError(f"it is for the product {header.product}, not {PRODUCT}")
    body_at = HEADER_BYTES + SIGNATURE_BYTES
    body = data[body_at:]
    if len(body) != header.length:
        raise ImageError(f"its body has {max(0, len(data) - body_at)} bytes, the header tells of {header.length}")
    if hashlib.sha256(body).digest() != header.sha256:
        raise ImageError("its body is damaged: the hash is not the one in the header")
    return FirmwareImage(header, data[:HEADER_BYTES], data[HEADER_BYTES:body_at], body)


def verify_image(image: FirmwareImage, keys: Sequence[bytes]) -> None:
    """Raise ImageError unless one of `keys` (32 bytes each) has signed the image."""
    if not keys:
        raise ImageError("no key of a maker of firmware is installed, so no image can be trusted")
    if not any(ed25519.verify(key, image.header_bytes, image.signature) for key in keys):
        raise ImageError("it is not signed by any of the makers whose keys are installed")


def make_header(body: bytes, hardware: str, version: Version) -> bytes:
    """The bytes to sign for `body`. Raises ImageError where a value does not fit."""
    if not 0 < len(body) <= MAX_BODY:
        raise ImageError(f"the body has {len(body)} bytes; 1 to {MAX_BODY} are allowed")
    if _PRINTABLE.fullmatch(hardware) is None:
        raise ImageError("hardware is 1 to 32 printable ASCII characters without spaces")
    if max(version.major, version.minor, version.patch) > _MAX_PART:
        raise ImageError(f"no part of a version may exceed {_MAX_PART}")
    return _HEADER.pack(
        MAGIC, FORMAT, HEADER_BYTES, len(body), PRODUCT.encode(), hardware.encode(), version.major, version.minor,
        version.patch, 0, hashlib.sha256(body).digest(), bytes(24),
    )  # fmt: skip


def parse_public_key(pem: str) -> bytes:
    """The 32 bytes of an Ed25519 public key in PEM, as `openssl pkey -pubout` writes it. Raises ImageError."""
    found = _PEM.fullmatch(pem.strip() + "\n")
    try:
        der = base64.b64decode("".join(found[1].split()), validate=True) if found else b""
    except binascii.Error as error:
        raise ImageError("it is no public key in PEM: its base64 is damaged") from error
    if not der.startswith(_DER_PREFIX) or len(der) != len(_DER_PREFIX) + ed25519.PUBLIC_KEY_BYTES:
        raise ImageError("it is no Ed25519 public key in PEM, as openssl pkey -pubout writes one")
    return der[len(_DER_PREFIX) :]


def _name(field: bytes, what: str) -> str:
    name = field.rstrip(b"\0").decode("latin-1")
    if _PRINTABLE.fullmatch(name) is None:
        raise ImageError(f"the {what} in its header is empty or not printable")
    return name


def main(arguments: Sequence[str] | None = None) -> int:
    """`header BODY --hardware H --version V` writes the bytes to sign to stdout; `check IMAGE --key PEM` checks."""
    parser = argparse.ArgumentParser(prog="python -m firmware_bridge.image", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    header = commands.add_parser("header", help="write the 128 bytes that are to be signed")
    header.add_argument("body", type=Path)
    header.add_argument("--hardware", required=True, help="what the card calls its hardware")
    header.add_argument("--version", required=True, help="MAJOR.MINOR.PATCH")
    check = commands.add_parser("check", help="check an image")
    check.add_argument("image", type=Path)
    check.add_argument("--key", type=Path, required=True, action="append", help="the maker's public key in PEM")
    options = parser.parse_args(arguments)
    try:
        if options.command == "header":
            version = version_of(options.version)
            if version is None:
                raise ImageError("the version is three numbers: MAJOR.MINOR.PATCH")
            sys.stdout.buffer.write(make_header(options.body.read_bytes(), options.hardware, version))
            return 0
        image = parse_image(options.image.read_bytes())
        verify_image(image, [parse_public_key(path.read_text("ascii", "replace")) for path in options.key])
    except (ImageError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    about = image.header
    sys.stdout.write(f"good: {about.hardware} {about.version}, {about.length} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
