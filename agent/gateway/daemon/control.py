"""Serves the technician's socket: takes orders, reads and checks firmware images, and tells each what becomes of his.

A thread of its own, so that the disk a technician has brought can be as slow as it likes.
"""

from __future__ import annotations

import collections
import contextlib
import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

import firmware_bridge as bridge
from agent.core.update import UpdatePhase
from agent.gateway.card_records import LineTestState, UpdateState
from agent.gateway.control import Answer, UpdateCard, decode_order, regular_file
from agent.gateway.daemon.actions import SwitchEvent, UpdateAbandoned, UpdateOrdered
from agent.gateway.protocol import MAX_PACKET, Exercise, GatewayRecord, ProtocolError, encode
from firmware_bridge.image import MAX_IMAGE

_MAX_VISITORS: Final = 8
_MAX_WAITING: Final = 64
_RETRY_S: Final = 5.0
_MAX_KEY_BYTES: Final = 1024
_MAX_KEYS: Final = 16
_UCRED = struct.Struct("3i")


class _Visitor(Struct, eq=False):
    connection: socket.socket
    request: str = ""
    updating: bool = False
    waiting: collections.deque[Answer] = msgspec.field(default_factory=lambda: collections.deque(maxlen=_MAX_WAITING))
    """Whole records: where a visitor reads slowly, the oldest are the ones to lose."""


class ControlServer:
    """Listens at `path`. `post` gets orders, `offer(request, image)` a genuine image before its order.

    `keys`: folder with the public keys (*.pem) of those whose firmware is trusted; read at each order.
    """

    def __init__(
        self,
        path: Path,
        *,
        allowed_uids: Iterable[int],
        keys: Path,
        post: Callable[[SwitchEvent], None],
        offer: Callable[[str, bridge.FirmwareImage], None],
        log: Callable[[str, str, str], None],
    ) -> None:
        self._path, self._allowed, self._keys = path, frozenset(allowed_uids), keys
        self._post, self._offer, self._log = post, offer, log
        self._lock = threading.Lock()
        self._news: collections.deque[Answer] = collections.deque(maxlen=4 * _MAX_WAITING)
        self._visitors: dict[socket.socket, _Visitor] = {}
        self._selector = selectors.DefaultSelector()
        self._bell: tuple[socket.socket, socket.socket] | None = None
        """Wakes the thread: written to at one end, watched at the other."""
        self._stopping = threading.Event()
        self._unable = ""
        self._listener: socket.socket | None = None
        self._inode: tuple[int, int] | None = None
        self._thread = threading.Thread(target=self._run, name="control-socket", daemon=True)

    def start(self) -> None:
        """Begin to listen; a socket that can't be made is tried again."""
        self._bell = socket.socketpair()
        for end in self._bell:
            end.setblocking(False)
        self._listener = self._listen()
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, as far as it goes at once, and close."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def publish(self, record: GatewayRecord) -> None:
        """Tell whoever waits for it; from any thread."""
        if isinstance(record, LineTestState | UpdateState) and record.request:
            with self._lock:
                self._news.append(record)
            self._wake()

    def _wake(self) -> None:
        if self._bell is not None:
            with contextlib.suppress(OSError):
                self._bell[0].send(b"\0")

    # --- the server's thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            listener, self._listener = self._listener or self._listen(), None
            if listener is None:
                self._stopping.wait(_RETRY_S)
                continue
            try:
                self._serve(listener)
            except Exception as error:  # noqa: BLE001  a technician's order must not cost the next one its socket
                self._log("error", "control_socket_failed", type(error).__name__)
                self._stopping.wait(_RETRY_S)
            finally:
                self._close(listener)
        if self._listener is not None:
            self._close(self._listener)
        for end in self._bell or ():
            end.close()

    def _listen(self) -> socket.socket | None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
            listener.bind(str(self._path))
            self._path.chmod(0o600)
            self._inode = self._path_inode()
            listener.listen(_MAX_VISITORS)
        except OSError as error:
            listener.close()
            reason = f"socket {self._path}: {error.strerror or error}"
            if reason != self._unable:
                self._unable = reason
                self._log("warning", "control_socket_unusable", reason)
            return None
        listener.setblocking(False)
        self._unable = ""
        return listener

    def _serve(self, listener: socket.socket) -> None:
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        assert self._bell is not None
        bell = self._bell[1]
        self._selector.register(bell, selectors.EVENT_READ)
        while not self._stopping.is_set():
            for key, _ in self._selector.select():
                if key.fileobj is listener:
                    self._accept(listener)
                elif key.fileobj is bell:
                    with contextlib.suppress(BlockingIOError):
                        bell.recv(4096)
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._visitors:
                    self._read(self._visitors[key.fileobj])
            self._deliver()

    def _close(self, listener: socket.socket) -> None:
        self._selector.close()
        listener.close()
        for visitor in list(self._visitors.values()):
            visitor.connection.close()
        self._visitors.clear()
        # The file may be a later gateway's by now.
        with contextlib.suppress(OSError):
            if self._path_inode() == self._inode:
                self._path.unlink()

    def _path_inode(self) -> tuple[int, int]:
        status = self._path.lstat()
        return status.st_dev, status.st_ino

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            pid, uid, _gid = _UCRED.unpack(
                connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size),
            )
            if uid not in self._allowed or len(self._visitors) >= _MAX_VISITORS:
                self._log("warning", "technician_refused", f"process {pid} of user {uid}")
                connection.close()
                return
            connection.setblocking(False)
            self._visitors[connection] = _Visitor(connection)
            self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, visitor: _Visitor) -> None:
        try:
            packet, files, flags, _ = socket.recv_fds(visitor.connection, MAX_PACKET, 1)
        except BlockingIOError:
            return
        except OSError:
            self._drop(visitor)
            return
        try:
            if not packet or flags & socket.MSG_TRUNC:
                self._drop(visitor)
            else:
                self._order(visitor, packet, files)
        finally:
            for descriptor in files:
                os.close(descriptor)

    def _order(self, visitor: _Visitor, packet: bytes, files: list[int]) -> None:
        if visitor.request:
            self._drop(visitor)
            return
        try:
            order = decode_order(packet)
        except ProtocolError as error:
            self._log("error", "technician_not_understood", str(error))
            self._drop(visitor)
            return
        visitor.request = order.request
        match order:
            case Exercise():
                self._post(order)
            case UpdateCard():
                self._update(visitor, order, files)

    def _update(self, visitor: _Visitor, order: UpdateCard, files: list[int]) -> None:
        try:
            if not files:
                raise bridge.ImageError("no file came with the order")
            image = bridge.parse_image(_contents(files[0]))
            bridge.verify_image(image, self._trusted_keys())
        except bridge.ImageError as error:
            self._log("warning", "firmware_image_refused", str(error))
            refused = UpdateState(
                phase=UpdatePhase.REFUSED, request=order.request, reason="refused_image", detail=str(error)
            )
            visitor.waiting.append(refused)
            return
        visitor.updating = True
        self._offer(order.request, image)
        about = image.header
        self._post(UpdateOrdered(order.request, str(about.version), about.length, order.forced))

    def _trusted_keys(self) -> list[bytes]:
        keys = []
        for path in sorted(self._keys.glob("*.pem"))[:_MAX_KEYS]:
            try:
                with path.open("rb") as file:
                    keys.append(bridge.parse_public_key(file.read(_MAX_KEY_BYTES).decode("ascii", "replace")))
            except OSError as error:
                raise bridge.ImageError(f"the maker's key {path} cannot be read: {error.strerror}") from error
            except bridge.ImageError as error:
                raise bridge.ImageError(f"the maker's key {path}: {error}") from error
        if not keys:
            raise bridge.ImageError(f"no maker's key is installed: put the public key as a .pem file into {self._keys}")
        return keys

    def _deliver(self) -> None:
        with self._lock:
            news = list(self._news)
            self._news.clear()
        for record in news:
            for visitor in self._visitors.values():
                if visitor.request == record.request:
                    visitor.waiting.append(record)
        for visitor in list(self._visitors.values()):
            self._write(visitor)

    def _write(self, visitor: _Visitor) -> None:
        while visitor.waiting:
            record = visitor.waiting[0]
            try:
                visitor.connection.send(encode(record))
            except BlockingIOError:
                self._selector.modify(visitor.connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
                return
            except (OSError, ProtocolError):
                self._drop(visitor)
                return
            visitor.waiting.popleft()
            if isinstance(record, UpdateState) and record.phase.over:
                visitor.updating = False
        self._selector.modify(visitor.connection, selectors.EVENT_READ)

    def _drop(self, visitor: _Visitor) -> None:
        self._visitors.pop(visitor.connection, None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(visitor.connection)
        visitor.connection.close()
        if visitor.updating:
            self._post(UpdateAbandoned(visitor.request))


def _contents(descriptor: int) -> bytes:
    """A whole file, however its offset stands. Raises ImageError."""
    try:
        size = regular_file(descriptor)
        if size > MAX_IMAGE:
            raise bridge.ImageError(f"it has {size} bytes; at most {MAX_IMAGE} are allowed")
        read = bytearray()
        while len(read) < size and (piece := os.pread(descriptor, size - len(read), len(read))):
            read += piece
    except OSError as error:
        raise bridge.ImageError(f"it cannot be read: {error.strerror or error}") from error
    return bytes(read)
