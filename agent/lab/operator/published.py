"""The files the operator publishes: content-addressed, every version kept, one of them current."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from agent.operator.api import MAX_FILE, FileInfo
from agent.paths import data_dir

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION_LINE = re.compile(rb"^#?\s*version\s*[:=,]\s*\"?([0-9A-Za-z][0-9A-Za-z._-]{0,63})", re.MULTILINE)
_HEADER_BYTES = 4096


class PublishError(Exception):
    """A file that cannot be published; the sentence says why."""


class Published:
    """Names, their versions and bytes, in memory."""

    def __init__(self) -> None:
        self._current: dict[str, FileInfo] = {}
        self._bytes: dict[tuple[str, str], bytes] = {}

    def publish(self, name: str, data: bytes, version: str = "") -> FileInfo:
        """Make `data` the current version of `name`. Without `version`: the file's own word, else its digest.

        Raises PublishError.
        """
        if not _NAME.fullmatch(name):
            raise PublishError("name: only a-z, 0-9, dot, dash and underscore, at most 64 characters")
        if not 1 <= len(data) <= MAX_FILE:
            raise PublishError(f"the file must have 1 to {MAX_FILE} bytes")
        if len(version) > 128:
            raise PublishError("version: at most 128 characters")
        sha256 = hashlib.sha256(data).hexdigest()
        info = FileInfo(
            name=name, version=version or _own_version(data) or sha256[:12], length=len(data), sha256=sha256
        )
        self._current[name] = info
        self._bytes[name, sha256] = data
        return info

    def current(self, name: str) -> FileInfo | None:
        """Return the current version of a file."""
        return self._current.get(name)

    def read(self, name: str, sha256: str) -> bytes | None:
        """Return the bytes of any version that was ever published."""
        return self._bytes.get((name, sha256))


def price_list_name(product: str) -> str:
    """Return the published name of a product's price list."""
    return f"{product}.csv"


def shipped_price_list(product: str) -> bytes:
    """Return the price list that comes with the software. Raises PublishError."""
    return read_price_list(data_dir() / "price-lists" / price_list_name(product))


def read_price_list(path: Path) -> bytes:
    """Return the bytes of a price list. Raises PublishError naming the file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise PublishError(f"the price list {path} cannot be read: {error.strerror}") from error


def _own_version(data: bytes) -> str:
    match = _VERSION_LINE.search(data[:_HEADER_BYTES])
    return match[1].decode("ascii") if match else ""
