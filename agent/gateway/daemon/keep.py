"""What the gateway keeps on disk so that it can start alone: its last good configuration, its SIP port, and what the
users of its lines have set.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, inspect

from agent.core.services import LineServices
from agent.files import write_whole
from agent.gateway.protocol import Configure

_MAX_FILE = 1 << 20
_SEED_BYTES = 16


class KeepError(Exception):
    """A kept file can't be read, understood or written; the message names it."""


class Capacity(Struct, frozen=True, kw_only=True):
    """What a SIP library carries."""

    library: str
    accounts: Annotated[int, Meta(ge=1, le=64)]


class Kept:
    """The folder of the gateway's files, readable by its own user and group only."""

    def __init__(self, folder: Path) -> None:
        self._configuration = folder / "configuration.json"
        self._services = folder / "services.json"
        self._port = folder / "sip-port"
        self._capacity = folder / "sip-capacity.json"
        self._seed = folder / "contact-seed"
        self._folder = folder
        self._claim: int | None = None
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise KeepError(f"{folder}: {error.strerror or error}") from error

    def claim(self) -> None:
        """Hold the folder for as long as this process lives. Raises KeepError where another gateway holds it.

        The folder itself is locked, not a file in it: that works on a disk that is full or can't be written.
        """
        try:
            self._claim = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise KeepError(f"{self._folder}: another gateway is running with this state folder") from error
        except OSError as error:
            self.release()
            raise KeepError(f"{self._folder}: {error.strerror or error}") from error

    def release(self) -> None:
        """Let another gateway have the folder; only needed by a process that goes on without its gateway."""
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def configuration(self) -> Configure | None:
        """The last good configuration, None where there never was one. Raises KeepError where the file is damaged.

        What a newer version has added to the file is passed over: after a step back it must still reach 112.
        """
        try:
            with self._configuration.open("rb") as file:
                body = file.read(_MAX_FILE)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeepError(f"{self._configuration}: {error.strerror or error}") from error
        try:
            return msgspec.convert(_known_part(msgspec.json.decode(body), _CONFIGURE), Configure)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise KeepError(f"{self._configuration}: {error}") from error

    def keep(self, configuration: Configure) -> None:
        """Replace the last good configuration: whole or not at all, on disk before this returns."""
        _replace(self._configuration, msgspec.json.encode(configuration))

    def services(self) -> dict[int, LineServices]:
        """What users have set, by line; nothing where nobody ever did. Raises KeepError where the file is damaged."""
        try:
            with self._services.open("rb") as file:
                return msgspec.json.decode(file.read(_MAX_FILE), type=dict[int, LineServices])
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise KeepError(f"{self._services}: {error.strerror or error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise KeepError(f"{self._services}: {error}") from error

    def keep_services(self, settings: Mapping[int, LineServices]) -> None:
        """Replace what users have set: whole or not at all, on disk before this returns. Raises KeepError."""
        _replace(self._services, msgspec.json.encode(dict(settings)))

    def capacity(self, library: str) -> int | None:
        """How many accounts this SIP library was found to carry; None where it never was tried, or not this one."""
        try:
            with self._capacity.open("rb") as file:
                kept = msgspec.json.decode(file.read(_MAX_FILE), type=Capacity)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return kept.accounts if kept.library == library else None

    def keep_capacity(self, library: str, accounts: int) -> None:
        """Remember that, for as long as the library is the same. Raises KeepError."""
        _replace(self._capacity, msgspec.json.encode(Capacity(library=library, accounts=accounts)))

    def sip_port(self, low: int, high: int) -> int:
        """The local SIP port: the kept one, or one drawn from `low`…`high` that `keep_sip_port` is to keep."""
        try:
            port = int(self._port.read_text(encoding="ascii"))
        except (OSError, ValueError):
            port = 0
        if not low <= port <= high:
            port = random.SystemRandom().randint(low, high)
        return port

    def keep_sip_port(self, port: int) -> None:
        """Use this port again at the next start: a new one would leave a dead contact. Raises KeepError."""
        try:
            if self._port.read_bytes() == f"{port}\n".encode():
                return
        except OSError:
            pass
        _replace(self._port, f"{port}\n".encode())

    def contact_seed(self) -> bytes:
        """What the tokens in our Contacts are made from: drawn once, so that a start knows the bindings before it.

        Raises KeepError where it can't be kept.
        """
        try:
            seed = bytes.fromhex(self._seed.read_text(encoding="ascii"))
            if len(seed) == _SEED_BYTES:
                return seed
        except (OSError, ValueError):
            pass
        seed = secrets.token_bytes(_SEED_BYTES)
        _replace(self._seed, f"{seed.hex()}\n".encode())
        return seed

    def forget_sip_port(self) -> None:
        """The kept port can't be used: the next start draws another one. Raises KeepError."""
        try:
            self._port.unlink(missing_ok=True)
        except OSError as error:
            raise KeepError(f"{self._port}: {error.strerror or error}") from error


_CONFIGURE = inspect.type_info(Configure)


def _known_part(value: object, kind: inspect.Type) -> object:
    """`value` without the fields and keys that `kind` does not know; what is wrong otherwise stays wrong."""
    match value, kind:
        case dict(), inspect.StructType(fields=fields, tag_field=tag_field):
            kinds = {field.encode_name: field.type for field in fields}
            known = {name: _known_part(part, kinds[name]) for name, part in value.items() if name in kinds}
            return known | ({tag_field: value[tag_field]} if tag_field in value else {})
        case dict(), inspect.DictType(key_type=inspect.EnumType(cls=names), value_type=part_kind):
            words = {name.value for name in names}
            return {key: _known_part(part, part_kind) for key, part in value.items() if key in words}
        case list(), inspect.ListType(item_type=part_kind):
            return [_known_part(part, part_kind) for part in value]
        case _:
            return value


def _replace(path: Path, body: bytes) -> None:
    try:
        try:
            write_whole(path, body, mode=0o640)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            # On a full disk what was traced for technicians goes first: the telephone has to start alone.
            for trace in path.parent.glob("*-trace*"):
                trace.unlink()
            write_whole(path, body, mode=0o640)
    except OSError as error:
        raise KeepError(f"{path}: {error.strerror or error}") from error
