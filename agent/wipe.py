"""Makes an adapter forget its customer: finds what there is to forget, removes it, and looks whether it is gone.

Files are overwritten before they are deleted. On flash memory that promises little, since the old blocks may live on
where no program reaches; whoever must be sure destroys the card. What is left to prove is that no file holds any of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.core.cdr import Cdr
from agent.files import sync_folder
from agent.store.folder import LOCK
from agent.store.records import OutboxState
from agent.store.store import Store

GATEWAY_FILES = ("configuration.json", "services.json", "sip-port", "line-trace.txt", "packet-filter.json")
"""What the gateway keeps; a folder with something else and none of these is not its folder."""

_SECRET_KEY = re.compile(r"passw|secret|token|credential|ha1$", re.IGNORECASE)
_NUMBER = re.compile(r"\+?[0-9]{7,15}")
_SPARED = frozenset({"lost+found"})
_BLOCK = 1 << 16
_CHUNK = 500
_TELLING_DIGITS = 8
"""The last digits of a number are looked for: it may be written with or without its country's code."""
_SHORTEST_SECRET = 6


class WipeError(Exception):
    """What could not be wiped, and why."""


class Unsent(Struct):
    """Records that the operator does not have: how many, what they cost by currency, and when they began."""

    count: int = 0
    micro: dict[str, int] = msgspec.field(default_factory=dict)
    first: str = ""
    last: str = ""

    def add(self, cdr: Cdr) -> None:
        """Count one. A correction counts with what it changes."""
        self.count += 1
        self.first = min(self.first or cdr.began_at, cdr.began_at)
        self.last = max(self.last, cdr.began_at)
        before = cdr.superseded.price if cdr.superseded is not None else None
        for price, sign in ((cdr.price, 1), (before, -1)):
            if price is not None:
                self.micro[price.currency] = self.micro.get(price.currency, 0) + sign * price.amount_micro


@dataclass(slots=True)  # not a Struct: nothing of it is shown
class Needles:
    """Every secret and number that was found, as it would stand in a file. Never shown."""

    found: set[bytes] = field(default_factory=set, repr=False)

    def __len__(self) -> int:
        return len(self.found)

    def add_secret(self, text: str) -> None:
        """Look for this text."""
        if len(text) >= _SHORTEST_SECRET:
            self.found.add(text.encode())
            self.found.add(msgspec.json.encode(text)[1:-1])

    def add_number(self, number: str) -> None:
        """Look for this number, if it has digits enough to be somebody's."""
        if _NUMBER.fullmatch(number):
            self.found.add(number[-_TELLING_DIGITS:].encode())

    def add_document(self, body: bytes) -> None:
        """Look for every secret and number in a JSON document; anything else holds none that could be told."""
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        for key, text in _texts("", document):
            if _SECRET_KEY.search(key):
                self.add_secret(text)
            else:
                self.add_number(text)

    def in_bytes(self, body: bytes) -> bool:
        """Whether any of them is in there."""
        return any(needle in body for needle in self.found)


class Removed(Struct, frozen=True):
    """What was removed."""

    files: int
    bytes: int


async def survey(store: Store, needles: Needles) -> Unsent:
    """What of the store the operator does not have; `needles` gets what to look for. Raises StoreError."""
    unsent = Unsent()
    place, before = 0, -1
    while place != before:
        before = place
        place, found = await store.after(before, _CHUNK)
        for stored in found:
            needles.add_number(stored.cdr.number)
            needles.add_number(stored.cdr.own_number)
            if stored.state is not OutboxState.ACKNOWLEDGED:
                unsent.add(stored.cdr)
    for call in await store.open_calls():
        needles.add_number(call.number)
        needles.add_number(call.own_number)
    for body in await store.documents():
        needles.add_document(body)
    return unsent


def files_of(folder: Path) -> list[Path]:
    """Every file of a folder and its subfolders, without what a file system keeps for itself; the lock comes last.

    Raises WipeError.
    """
    try:
        found = sorted(_files(folder), key=lambda path: path.name == LOCK)
    except OSError as error:
        raise WipeError(f"{folder}: {error.strerror or error}") from error
    return found


def remove(files: list[Path]) -> Removed:
    """Overwrite each file with zeros, on disk, then delete it. Raises WipeError, which names the first that resists."""
    size = 0
    for path in files:
        try:
            size += _overwrite(path)
            path.unlink()
            sync_folder(path.parent)
        except OSError as error:
            raise WipeError(f"{path}: {error.strerror or error}; part of the data is still there") from error
    return Removed(len(files), size)


def traces(folders: list[Path], needles: Needles) -> list[Path]:
    """The files of these folders, or the files themselves, that still hold something. Raises WipeError."""
    found = []
    for folder in folders:
        for path in files_of(folder) if folder.is_dir() else [folder] if folder.exists() else []:
            try:
                if path.is_file() and needles.in_bytes(path.read_bytes()):
                    found.append(path)
            except OSError as error:
                raise WipeError(f"{path}: it cannot be looked into ({error.strerror})") from error
    return found


def began(text: str) -> str:
    """The day of an instant, for a person."""
    return datetime.fromisoformat(text).date().isoformat()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if path.name not in _SPARED:
                yield from _files(path)
        else:
            yield path


def _overwrite(path: Path) -> int:
    """Zeros over everything, on disk; how many. What is no file of its own (a link, a socket) is left as it is."""
    if path.is_symlink() or not path.is_file():
        return 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size = os.fstat(descriptor).st_size
        written = 0
        while written < size:
            written += os.write(descriptor, bytes(min(_BLOCK, size - written)))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return size


def _texts(key: str, value: object) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield key, value
        case list():
            for one in value:
                yield from _texts(key, one)
        case dict():
            for name, one in value.items():
                yield from _texts(str(name), one)
