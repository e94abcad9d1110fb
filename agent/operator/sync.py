"""Keeps the subscription and the price list as the operator has them, and the last good ones for when it is away."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
import structlog
from msgspec import Struct, structs

from agent.clock import Moment
from agent.operator.api import MAX_FILE, FileInfo, Subscription
from agent.operator.errors import OperatorError
from agent.operator.partial import StorageError
from agent.operator.retry import Retry, Uniform
from agent.operator.trouble import Trouble
from agent.operator.uploader import Wait, wait_for_wake

SUBSCRIPTION = "subscription"
PRICE_LISTS = "price_lists"
PERIOD_S = 6 * 3600.0
_LIST_FILES = frozenset({".deck", ".table"})
_SPREAD = (0.8, 1.2)
_log = structlog.get_logger(__name__)

T = TypeVar("T")


class DocumentPort(Protocol):
    """The part of the store that keeps documents, secrets among them."""

    async def put_document(self, name: str, body: bytes) -> None:
        """Keep it, committed when this returns."""
        ...

    async def document(self, name: str) -> bytes | None:
        """The last one of that name."""
        ...


class SourcePort(Protocol):
    """The part of the operator's client that tells what there is."""

    async def subscription(self) -> Subscription:
        """What the customer has. Raises OperatorError."""
        ...

    async def download(self, info: FileInfo, target: Path) -> None:
        """Bring a file, whole and verified or not at all. Raises OperatorError, StorageError."""
        ...


class Change(Struct, frozen=True):
    """What is newly in force; None: as before. A subscription holds credentials: it is never logged."""

    subscription: Subscription | None = None
    price_list: FileInfo | None = None


class SyncStatus(Struct, frozen=True):
    """What the page shows: times in RFC 3339 UTC, `next_attempt_ms` of the boot clock."""

    failures: int = 0
    last_success: str = ""
    """When the operator last told everything and nothing of it was refused."""
    last_error: Trouble | None = None
    detail: str = ""
    """A sentence for a technician about the last error."""
    next_attempt_ms: int | None = None


class _Kept(msgspec.Struct, frozen=True):
    """The price lists on disk, newest first: the one in force and the one before it."""

    lists: list[FileInfo]


class _Refusal(Struct, frozen=True):
    """A price list that was not taken. Not `permanent`: the reason may pass, and it is tried again."""

    sha256: str
    reason: str
    permanent: bool


Install = Callable[[Path, FileInfo], Awaitable[None]]
"""Parses, checks and puts a price list into force; whatever it raises is a refusal, and the old list stays."""


class Syncer:
    """Asks the operator now and then. Call `restore` first, then `run`."""

    def __init__(
        self,
        client: SourcePort,
        documents: DocumentPort,
        folder: Path,
        *,
        install: Install,
        on_change: Callable[[Change], Awaitable[None]],
        uniform: Uniform,
        clock: Callable[[], Moment],
        wake: asyncio.Event,
        period_s: float = PERIOD_S,
        in_use: Callable[[], Awaitable[Collection[str]]] | None = None,
        permanent: tuple[type[Exception], ...] = (),
        wait: Wait | None = None,
    ) -> None:
        """`folder` holds the price lists, each under its digest. `in_use`: digests that live calls are priced with.

        `permanent`: what `install` raises for a fault of the list itself, which is not tried again until the
        subscription changes. Every other refusal may pass (a full disk, a product not yet mended) and is tried again.
        """
        self._client = client
        self._documents = documents
        self._folder = folder
        self._install = install
        self._on_change = on_change
        self._uniform = uniform
        self._clock = clock
        self._wake = wake
        self._period_s = period_s
        self._in_use = in_use
        self._permanent = permanent
        self._wait = wait or wait_for_wake
        self._retry = Retry()
        self._status = SyncStatus()
        self._subscription: Subscription | None = None
        self._price_list: FileInfo | None = None
        self._kept: list[FileInfo] = []
        self._unkept = False
        self._refused: _Refusal | None = None
        self._turned = False

    @property
    def status(self) -> SyncStatus:
        """How it stands."""
        return self._status

    @property
    def subscription(self) -> Subscription | None:
        """The subscription in force; None: never had one."""
        return self._subscription

    @property
    def price_list(self) -> FileInfo | None:
        """The price list in force; None: never had one that could be installed."""
        return self._price_list

    def path_of(self, sha256: str) -> Path:
        """Where the price list of that digest lies, if it is still kept."""
        return self._folder / f"{sha256}.deck"

    def spare_files(self, needed: Collection[str]) -> list[Path]:
        """Files of the lists that are neither in force nor `needed` (digests): they can be fetched again."""
        keep = {*needed, *([self._price_list.sha256] if self._price_list is not None else [])}
        return [path for path in self._folder.glob("*.*") if path.suffix in _LIST_FILES and path.stem not in keep]

    def product_turned(self) -> None:
        """Another product is in force, to which the price list does not belong: the next one's turn has come."""
        self._turned = True
        self._wake.set()

    async def restore(self) -> None:
        """Put the last good subscription and price list into force, without the operator.

        A price list whose file is gone, changed or refused yields to the one before it. Raises what the store raises.
        """
        self._subscription = _decoded(await self._documents.document(SUBSCRIPTION), Subscription)
        kept = _decoded(await self._documents.document(PRICE_LISTS), _Kept)
        self._kept = list(kept.lists) if kept else []
        for info in self._kept:
            path = self.path_of(info.sha256)
            if not await asyncio.to_thread(_is_intact, path, info):
                _log.error("price_list_damaged", name=info.name, version=info.version)
                continue
            if await self._installed(path, info):
                self._price_list = info
                break
        if self._subscription or self._price_list:
            await self._on_change(Change(self._subscription, self._price_list))

    async def run(self) -> None:
        """Keep up with the operator until cancelled."""
        while True:
            self._wake.clear()
            delay_s = await self.step()
            await self._wait(self._wake, delay_s)

    async def step(self) -> float:
        """Ask if it is time. Seconds until it is time again."""
        if self._turned:
            await self._turn()
        remaining_s = self._retry.remaining_s(self._clock().boot_ms)
        if remaining_s > 0:
            return remaining_s
        try:
            subscription = await self._client.subscription()
            await self._take_subscription(subscription)
            await self._take_price_list(subscription.price_list)
            await self._fetch_ahead()
        except OperatorError as error:
            self._note_failure(error, Trouble.of(error))
        except StorageError as error:
            self._note_failure(error, Trouble.STORAGE)
        else:
            self._note_success()
        return self._retry.remaining_s(self._clock().boot_ms)

    async def _take_subscription(self, subscription: Subscription) -> None:
        if subscription == self._subscription:
            return
        await self._keep(SUBSCRIPTION, msgspec.json.encode(subscription))
        self._subscription = subscription
        # A list may have been refused for the subscription's fault, which may now be mended.
        self._refused = None
        await self._on_change(Change(subscription=subscription))

    async def _take_price_list(self, info: FileInfo) -> None:
        """In force first, then on record: after a crash between the two the old list prices until the next sync."""
        if self._price_list is not None and info.sha256 == self._price_list.sha256:
            self._refused = None
        elif self._refused is None or not self._refused.permanent or info.sha256 != self._refused.sha256:
            await self._change_price_list(info)
        await self._record_lists()

    async def _record_lists(self) -> None:
        if self._unkept:
            await self._keep(PRICE_LISTS, msgspec.json.encode(_Kept(self._kept)))
            self._unkept = False
            await self._tidy()

    @property
    def _next(self) -> FileInfo | None:
        return self._subscription.next_price_list if self._subscription is not None else None

    async def _fetch_ahead(self) -> None:
        """Everybody's product may turn at the same midnight: nobody should have to fetch a list then."""
        info = self._next
        if info is None or (self._price_list is not None and info.sha256 == self._price_list.sha256):
            return
        path = self.path_of(info.sha256)
        if not await asyncio.to_thread(_is_intact, path, info):
            await self._client.download(info, path)

    async def _turn(self) -> None:
        """Put the list that was fetched ahead into force. What the product before would not take may be right now."""
        self._turned = False
        self._refused = None
        info = self._next
        if info is None or not await asyncio.to_thread(_is_intact, self.path_of(info.sha256), info):
            return
        try:
            await self._change_price_list(info)
            await self._record_lists()
        except StorageError as error:
            # It prices all the same; the next sync tries again to keep it on record.
            _log.error("price_list_not_recorded", detail=str(error))
        if self._refused_for_now:
            # Tried again with the next sync, which is due at once.
            self._turned = True
            self._retry = self._retry.postponed(self._clock().boot_ms, 0.0)

    async def _change_price_list(self, info: FileInfo) -> None:
        path = self.path_of(info.sha256)
        if not await asyncio.to_thread(_is_intact, path, info):
            await self._client.download(info, path)
        if not await self._installed(path, info):
            if self._refused_for_now:
                # It stays on disk, so that nothing is fetched to try it again; the one before it may go.
                await self._tidy()
            elif info not in self._kept:
                await asyncio.to_thread(_remove, self._folder, info.sha256)
            return
        self._kept = [info, *([self._price_list] if self._price_list else [])]
        self._price_list = info
        self._unkept = True
        await self._on_change(Change(price_list=info))

    async def _installed(self, path: Path, info: FileInfo) -> bool:
        try:
            await self._install(path, info)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the new list, the old one goes on pricing
            _log.error("price_list_refused", name=info.name, version=info.version, reason=str(error))
            self._refused = _Refusal(info.sha256, str(error), isinstance(error, self._permanent))
            return False
        self._refused = None
        return True

    @property
    def _refused_for_now(self) -> bool:
        return self._refused is not None and not self._refused.permanent

    async def _keep(self, name: str, body: bytes) -> None:
        try:
            await self._documents.put_document(name, body)
        except Exception as error:  # the store's errors are its own; ours says which half failed
            raise StorageError(f"could not keep the {name.replace('_', ' ')}: {error}") from error

    async def _tidy(self) -> None:
        """Remove lists that nothing needs: not in force, nor the one before, of a live call or to be tried again."""
        needed = {info.sha256 for info in (*self._kept, *([self._next] if self._next else []))}
        if self._refused is not None and not self._refused.permanent:
            needed.add(self._refused.sha256)
        if self._in_use is not None:
            try:
                needed |= set(await self._in_use())
            except Exception as error:  # noqa: BLE001 - the store's errors are its own; too many files do no harm
                _log.warning("price_lists_not_tidied", detail=str(error))
                return
        await asyncio.to_thread(_remove_others, self._folder, needed)

    def _note_success(self) -> None:
        moment = self._clock()
        refused = self._refused
        if self._turned or self._refused_for_now:
            self._retry = self._retry.failed(moment.boot_ms, self._uniform)
        else:
            self._retry = Retry().postponed(moment.boot_ms, self._period_s * self._uniform(*_SPREAD))
        at = moment.wall.astimezone(UTC).isoformat(timespec="seconds")
        self._status = SyncStatus(
            failures=self._retry.failures,
            last_success=self._status.last_success if refused else at,
            last_error=Trouble.PRICE_LIST_REFUSED if refused else None,
            detail=refused.reason if refused else "",
            next_attempt_ms=self._retry.not_before_ms,
        )

    def _note_failure(self, error: Exception, trouble: Trouble) -> None:
        self._retry = self._retry.after(error, self._clock().boot_ms, self._uniform)
        self._status = structs.replace(
            self._status,
            failures=self._retry.failures,
            last_error=trouble,
            detail=str(error),
            next_attempt_ms=self._retry.not_before_ms,
        )
        _log.warning("sync_failed", trouble=trouble, detail=str(error), failures=self._retry.failures)


def _decoded(body: bytes | None, kind: type[T]) -> T | None:
    """The kept document, or None where there is none that this version understands: the operator tells it again."""
    if body is None:
        return None
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        _log.error("document_unreadable", kind=kind.__name__)
        return None


def _is_intact(path: Path, info: FileInfo) -> bool:
    try:
        if path.stat().st_size != info.length or info.length > MAX_FILE:
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == info.sha256
    except OSError:
        return False


def _remove(folder: Path, sha256: str) -> None:
    """The list, and whatever was built from it under the same name."""
    for path in folder.glob(f"{sha256}.*"):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"could not remove {path.name}: {error.strerror}") from error


def _remove_others(folder: Path, needed: Collection[str]) -> None:
    for path in folder.glob("*.deck"):
        if path.stem not in needed:
            _remove(folder, path.stem)
