"""The gateway's end of the socket: one agent at a time, whole records, bounded however slow the agent is.

A thread of its own. A record that can't be sent at once waits in a slot of its object (this line, that call), where a
newer one replaces it: what waits is bounded by what exists, and the agent always ends up with the newest state.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.core.linetest_run import RunPhase
from agent.gateway.card_records import LineTestState
from agent.gateway.protocol import (
    MAX_PACKET,
    AccountState,
    AgentRecord,
    CallState,
    GatewayRecord,
    LineState,
    Log,
    ProtocolError,
    Unlock,
    decode_agent_record,
    encode,
)

_MAX_LOGS = 256
_RETRY_S = 5.0
"""After an error the socket is made anew this much later: without an agent the telephone still reaches 112."""
_UCRED = struct.Struct("3i")


def _slot(record: GatewayRecord, log_number: int) -> tuple[str, str]:
    match record:
        case CallState():
            return "call", record.call_id
        case Unlock():
            return "unlock", str(record.line)
        case LineState():
            return "line", str(record.line)
        case AccountState():
            return "account", record.account
        case LineTestState():
            return "line_test", f"{record.line} {record.request if record.phase is RunPhase.REFUSED else ''}"
        case Log():
            return "log", str(log_number)
        case _:
            return type(record).__name__, ""


class _Outbox:
    """What waits to be sent, at most one record per object and the newest `_MAX_LOGS` log lines."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], GatewayRecord] = {}
        self._logged = 0
        self.dropped_logs = 0

    def put(self, record: GatewayRecord) -> None:
        slot = _slot(record, self._logged)
        if isinstance(record, Log):
            self._logged += 1
            oldest = ("log", str(self._logged - 1 - _MAX_LOGS))
            if self._records.pop(oldest, None) is not None:
                self.dropped_logs += 1
        self._records[slot] = record

    def first(self) -> tuple[tuple[str, str], GatewayRecord] | None:
        return next(iter(self._records.items()), None)

    def sent(self, slot: tuple[str, str], record: GatewayRecord) -> None:
        if self._records.get(slot) is record:
            del self._records[slot]

    def __len__(self) -> int:
        return len(self._records)


class AgentServer:
    """Listens for the agent at `path`; the newest agent wins. A socket that can't be made is tried again for ever.

    `connected` is called when an agent has come (then `begin` must follow), `received` with each record, `lost` when it
    has gone: all three on the server's thread. `publish` and `begin` may be called from any thread.
    """

    def __init__(
        self,
        path: Path,
        *,
        allowed_uids: Iterable[int],
        connected: Callable[[], None],
        received: Callable[[AgentRecord], None],
        lost: Callable[[], None],
        log: Callable[[str, str, str], None],
    ) -> None:
        self._path = path
        self._allowed = frozenset(allowed_uids)
        self._connected, self._received, self._lost, self._log = connected, received, lost, log
        self._lock = threading.Lock()
        self._outbox: _Outbox | None = None
        self._agent: socket.socket | None = None
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)
        self._stopping = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._inode: tuple[int, int] | None = None
        self._unable = ""
        self._thread = threading.Thread(target=self._run, name="agent-socket", daemon=True)

    def _listen(self) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
            listener.bind(str(self._path))
            self._path.chmod(0o660)
            self._inode = self._path_inode()
            listener.listen(4)
        except OSError as error:
            listener.close()
            reason = f"socket {self._path}: {error.strerror or error}"
            if reason != self._unable:
                self._unable = reason
                self._log("error", "agent_socket_unusable", f"{reason}; it is tried again every {_RETRY_S:.0f} s")
            return
        listener.setblocking(False)
        self._unable = ""
        self._listener = listener

    def start(self) -> None:
        """Begin to accept agents."""
        self._listen()
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, as far as it goes at once, and close."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(timeout=2)
        # The file may be a later gateway's by now.
        with contextlib.suppress(OSError):
            if self._inode is not None and self._path_inode() == self._inode:
                self._path.unlink()

    def _path_inode(self) -> tuple[int, int]:
        status = self._path.lstat()
        return status.st_dev, status.st_ino

    def begin(self, records: Iterable[GatewayRecord]) -> None:
        """Give the agent that has just come all there is; from here on it gets what is published."""
        outbox = _Outbox()
        for record in records:
            outbox.put(record)
        with self._lock:
            self._outbox = outbox if self._agent is not None else None
        self._wake()

    def publish(self, record: GatewayRecord) -> None:
        """Send `record` to the agent; without one it is dropped, since `begin` brings the newest state."""
        with self._lock:
            if self._outbox is None:
                return
            self._outbox.put(record)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._wake_out.send(b"\0")

    # --- the server's thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._listener is None:
                self._listen()
            if self._listener is None:
                self._stopping.wait(_RETRY_S)
                continue
            try:
                self._serve(self._listener)
            except Exception as error:  # noqa: BLE001  without this thread no call is ever granted or recorded again
                where = traceback.extract_tb(error.__traceback__)[-1]
                self._log(
                    "error", "agent_socket_failed", f"{type(error).__name__} in {where.name}, line {where.lineno}"
                )
                self._close()
                self._stopping.wait(_RETRY_S)
        self._close()
        for end in (self._wake_in, self._wake_out):
            end.close()

    def _serve(self, listener: socket.socket) -> None:
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        while not self._stopping.is_set():
            for key, events in self._selector.select():
                if key.fileobj is listener:
                    self._accept(listener)
                elif key.fileobj is self._wake_in:
                    with contextlib.suppress(BlockingIOError):
                        self._wake_in.recv(4096)
                elif events & selectors.EVENT_READ:
                    self._read()
            self._write()
        # What was published between the last write and the wish to stop.
        self._write()

    def _close(self) -> None:
        with self._lock:
            agent, self._agent, self._outbox = self._agent, None, None
        self._selector.close()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if agent is not None:
            agent.close()
            if not self._stopping.is_set():
                self._lost()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            pid, uid, _gid = _UCRED.unpack(
                connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size),
            )
            if uid not in self._allowed:
                self._log("warning", "agent_refused", f"process {pid} of user {uid} may not be the agent")
                connection.close()
                return
            if self._agent is not None:
                self._log("warning", "agent_replaced", f"a newer agent, process {pid}, takes over")
                self._drop()
            connection.setblocking(False)
            self._agent = connection
            self._selector.register(connection, selectors.EVENT_READ)
            self._connected()

    def _read(self) -> None:
        agent = self._agent
        if agent is None:
            return
        try:
            packet, _, flags, _ = agent.recvmsg(MAX_PACKET + 1)
        except BlockingIOError:
            return
        except OSError:
            self._drop()
            return
        if not packet:
            self._drop()
            return
        if flags & socket.MSG_TRUNC or len(packet) > MAX_PACKET:
            self._log("error", "agent_packet_too_long", f"more than {MAX_PACKET} bytes in one packet")
            self._drop()
            return
        try:
            record = decode_agent_record(packet)
        except ProtocolError as error:
            self._log("error", "agent_record_refused", str(error))
            return
        self._received(record)

    def _write(self) -> None:
        while True:
            with self._lock:
                agent, outbox = self._agent, self._outbox
                waiting = outbox.first() if outbox is not None else None
            if agent is None or outbox is None:
                return
            if waiting is None:
                self._selector.modify(agent, selectors.EVENT_READ)
                return
            slot, record = waiting
            try:
                agent.send(encode(record))
            except ProtocolError as error:
                # It will not fit the next time either.
                self._log("error", "record_not_sent", str(error))
            except BlockingIOError:
                self._selector.modify(agent, selectors.EVENT_READ | selectors.EVENT_WRITE)
                return
            except OSError:
                self._drop()
                return
            with self._lock:
                outbox.sent(slot, record)

    def _drop(self) -> None:
        with self._lock:
            agent, self._agent, self._outbox = self._agent, None, None
        if agent is None:
            return
        self._selector.unregister(agent)
        agent.close()
        self._lost()


def own_uids(agent_uid: int | None) -> set[int]:
    """Users that may be the agent: root, our own, and the one named."""
    return {0, os.geteuid()} | ({agent_uid} if agent_uid is not None else set())
