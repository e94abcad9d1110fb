"""What a technician asks of the outbox: a small file in the store's folder, since only the agent may write the store.

The command line writes it, the running agent (or the next one to start) obeys and removes it.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from agent.files import write_whole

NAME = "retry-quarantined.json"
LOOK_S = 5.0
MAX_IDS = 1000
_MAX_BYTES = 64 * 1024

RecordId = Annotated[str, Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class RequestError(Exception):
    """The request cannot be written or read; the message says why."""


class RetryRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records that were set apart and shall wait for the operator again; None: all of them."""

    ids: Annotated[list[RecordId], Meta(max_length=MAX_IDS)] | None = None


def ask(folder: Path, ids: Collection[str] | None) -> None:
    """Ask for these records, or (None) for all, beside what was asked before. Raises RequestError."""
    try:
        before = read(folder)
    except RequestError:
        before = None
    if ids is not None and before is not None:
        ids = None if before.ids is None else sorted({*before.ids, *ids})
    if ids is not None and len(ids) > MAX_IDS:
        ids = None
    path = folder / NAME
    try:
        write_whole(path, msgspec.json.encode(RetryRequest(ids=list(ids) if ids is not None else None)))
        if os.geteuid() == 0:
            owner = folder.stat()
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    except OSError as error:
        raise RequestError(f"{path}: it cannot be written ({error.strerror}); run this as root") from error


def read(folder: Path) -> RetryRequest | None:
    """What is asked, None where nothing is. Raises RequestError, also while it is being handed over."""
    path = folder / NAME
    try:
        with path.open("rb") as file:
            body = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RequestError(f"{path}: it cannot be read ({error.strerror})") from error
    try:
        return msgspec.json.decode(body, type=RetryRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"{path}: it is no request ({error})") from error


def done(folder: Path) -> None:
    """Remove the request. Raises RequestError."""
    path = folder / NAME
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RequestError(f"{path}: it cannot be removed ({error.strerror})") from error
