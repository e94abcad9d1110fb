"""The agent's end of the socket: connects, comes back, and hands over each record as it arrives.

asyncio's streams refuse SOCK_SEQPACKET, so the socket is read with `add_reader` and `recvmsg`. A packet that was cut
(MSG_TRUNC) or is no record of the protocol ends the connection: what follows it can't be believed either.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from agent.clock import boot_ms
from agent.gateway.protocol import (
    MAX_PACKET,
    PROTOCOL_VERSION,
    AgentRecord,
    GatewayRecord,
    Hello,
    ProtocolError,
    decode_gateway_record,
    encode,
)

_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 0.5
"""A killed gateway is back within half a second, and until we are, too, nobody can be called."""
_STRANGER_RETRY_S = 2.0
"""Whoever closed the connection without a Hello of our protocol, or does not keep to it, will do so again."""
_LASTING_MS = 5_000
"""A connection that held this long was a good one: the next is tried without the patience learnt before it."""
_MAX_UNSENT = 1024


class GatewayUnavailableError(Exception):
    """There is no gateway to send to, or it does not read; the message says which."""


class GatewayClient:
    """One connection at a time to the gateway at `path`.

    `on_record` gets every record in the order in which it was sent, `on_lost` is told when the connection has ended and
    why; both are called on the event loop and must not block. Raises nothing by itself: `run` comes back for ever.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_record: Callable[[GatewayRecord], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._path = path
        self._on_record, self._on_lost = on_record, on_lost
        self._socket: socket.socket | None = None
        self._unsent: list[bytes] = []
        self._ended: asyncio.Future[str] | None = None

    @property
    def connected(self) -> bool:
        """Whether a gateway has said Hello and is still there."""
        return self._socket is not None

    async def run(self) -> None:
        """Connect, read until the end, and again with growing patience, until cancelled."""
        patience = _FIRST_RETRY_S
        while True:
            began_ms = boot_ms()
            connection = self._connect()
            believable = connection is None or await self._serve(connection)
            if connection is not None and boot_ms() - began_ms >= _LASTING_MS:
                # The gateway was killed: it is on its way back, and until we are, too, nobody can be called.
                patience = _FIRST_RETRY_S
            await asyncio.sleep(patience if believable else _STRANGER_RETRY_S)
            patience = min(_LONGEST_RETRY_S, patience * 2)

    def _connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            return None
        return connection

    async def _serve(self, connection: socket.socket) -> bool:
        """Read until the end. Whether all that was said was of our protocol, a Hello first."""
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        self._unsent.clear()
        greeted = False
        believable = True

        def disbelieve(reason: str) -> None:
            nonlocal believable
            believable = False
            self._end(reason)

        def read() -> None:
            nonlocal greeted
            try:
                packet, _, flags, _ = connection.recvmsg(MAX_PACKET + 1)
            except BlockingIOError:
                return
            except OSError as error:
                self._end(f"reading from the gateway: {error.strerror or error}")
                return
            if not packet:
                self._end("the gateway closed the connection")
                return
            if flags & socket.MSG_TRUNC:
                disbelieve(f"the gateway sent a packet of more than {MAX_PACKET} bytes")
                return
            try:
                record = decode_gateway_record(packet)
            except ProtocolError as error:
                disbelieve(str(error))
                return
            if not greeted:
                if not isinstance(record, Hello) or record.protocol != PROTOCOL_VERSION:
                    disbelieve(f"the gateway does not speak protocol {PROTOCOL_VERSION}: upgrade both halves together")
                    return
                greeted = True
                self._socket = connection
            self._on_record(record)

        loop.add_reader(connection, read)
        try:
            reason = await self._ended
        finally:
            loop.remove_reader(connection)
            loop.remove_writer(connection)
            was_up, self._socket = self._socket is not None, None
            connection.close()
        if was_up:
            self._on_lost(reason)
        return was_up and believable

    def _end(self, reason: str) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(reason)

    def send(self, record: AgentRecord) -> None:
        """Send one record, in order. Raises GatewayUnavailableError where nobody is there to read it."""
        connection = self._socket
        if connection is None:
            raise GatewayUnavailableError("the gateway is not connected")
        packet = encode(record)
        if not self._unsent:
            try:
                connection.send(packet)
            except BlockingIOError:
                pass
            except OSError as error:
                self._end(f"writing to the gateway: {error.strerror or error}")
                raise GatewayUnavailableError("the gateway has just gone") from error
            else:
                return
        if len(self._unsent) >= _MAX_UNSENT:
            self._end("the gateway has stopped reading")
            raise GatewayUnavailableError("the gateway does not read")
        self._unsent.append(packet)
        asyncio.get_running_loop().add_writer(connection, self._flush, connection)

    def _flush(self, connection: socket.socket) -> None:
        while self._unsent:
            try:
                connection.send(self._unsent[0])
            except BlockingIOError:
                return
            except OSError as error:
                self._end(f"writing to the gateway: {error.strerror or error}")
                return
            self._unsent.pop(0)
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().remove_writer(connection)
