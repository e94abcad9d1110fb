"""The pjsua2 endpoint: made, configured, polled and destroyed in the one order that the library survives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pjsua2 as pj

from agent.core.codecs import G711, available
from agent.core.transports import Transport
from agent.gateway.daemon.binding import bound_address
from agent.gateway.daemon.sip.deafen import deafen
from agent.gateway.daemon.sip.native import Native, SipError
from agent.gateway.daemon.sip.server_names import ServerNames
from agent.gateway.daemon.tls_check import system_store

RTP_PORTS = 64
"""Ports above the first that RTP and RTCP may use."""
_TRANSACTION_TIMEOUT_MS = 6000
"""Four sendings of a request (0, 0.5, 1.5 and 3.5 s), then the transaction dies and its call slot is free."""
_TLS_HANDSHAKE_MS = 5000
_WARNING = 2
_MESSAGES = 4
"""The level at which the library logs what it sends and receives."""
_TOP_PRIORITY = 255

_TYPES = {
    Transport.UDP: (pj.PJSIP_TRANSPORT_UDP, pj.PJSIP_TRANSPORT_UDP6),
    Transport.TCP: (pj.PJSIP_TRANSPORT_TCP, pj.PJSIP_TRANSPORT_TCP6),
    Transport.TLS: (pj.PJSIP_TRANSPORT_TLS, pj.PJSIP_TRANSPORT_TLS6),
}
"""For IPv4 and for IPv6."""


class _Writer(pj.LogWriter):
    """Hands on the library's warnings and the messages on the wire. Kept by the engine: the library does not do it."""

    def __init__(self, say: Callable[[int, str], None], trace: Callable[[str], object]) -> None:
        super().__init__()
        self._say = say
        self._trace = trace

    def write(self, entry: pj.LogEntry) -> None:
        try:
            level = int(entry.level)
            if level <= _WARNING:
                self._say(level, str(entry.msg).strip())
            elif level == _MESSAGES:
                self._trace(str(entry.msg))
        except BaseException:  # noqa: BLE001, S110  a log line is never worth the process, and there is nowhere to say so
            pass


class _Endpoint(pj.Endpoint):
    """Asks which account a request is for: the library guesses it by numbers, which our Contacts do not show."""

    def __init__(self, select: Callable[[str], int | None]) -> None:
        super().__init__()
        self._select = select

    def onSelectAccount(self, prm: pj.OnSelectAccountParam) -> None:  # noqa: N802  the library's name
        try:
            account = self._select(str(prm.rdata.wholeMsg))
            if account is not None:
                prm.accountIndex = account
        except BaseException:  # noqa: BLE001, S110  the library's own guess stands
            pass


class Engine:
    """One life of the library. `start`, `poll`, `stop_clock` and `destroy` on one thread."""

    def __init__(
        self, bind: str, port: int, say: Callable[[int, str], None], trace: Callable[[str], object],
        select: Callable[[str], int | None], ca_file: Path | None = None,
    ) -> None:  # fmt: skip
        self._bind = bind
        self._select = select
        self._ca_file = ca_file
        self._port = port
        self._say = say
        self._trace = trace
        self._endpoint: pj.Endpoint | None = None
        self._writer: _Writer | None = None
        self.native = Native()
        self.names = ServerNames(self.native)
        self.max_calls = 0
        self.codecs: tuple[str, ...] = ()
        """What the library has of the codecs that can be listed."""
        self._codec_ids: list[str] = []
        self._codecs_in_use: tuple[str, ...] | None = None
        self.version = ""
        self.transport = -1
        self.local_port = 0
        self.transactions_shortened = False

    @property
    def bound_address(self) -> str:
        """The address to bind media to; empty: all."""
        return bound_address(self._bind)

    @property
    def bell_address(self) -> tuple[str, int]:
        """Where a datagram reaches our own SIP socket."""
        loopback = "::1" if ":" in self._bind else "127.0.0.1"
        return self.bound_address or loopback, self.local_port

    def start(self) -> None:
        """From nothing to a running library with a media clock and two codecs. Raises SipError, leaving nothing."""
        self.native.quiet()
        endpoint = _Endpoint(self._select)
        self._endpoint = endpoint
        try:
            endpoint.libCreate()
            # Before libInit, which copies the timers.
            self.transactions_shortened = self.native.shorten_transactions(_TRANSACTION_TIMEOUT_MS)
            endpoint.libInit(self._configuration())
            self.transport = endpoint.transportCreate(self._transport_type(), self._transport_configuration())
            endpoint.libStart()
            endpoint.audDevManager().setNullDev()
            self._codec_ids = [str(codec.codecId) for codec in endpoint.codecEnum2()]
            self.codecs = available(self._codec_ids)
            self.use_codecs(G711)
            # The text form `address:port` is the library's; the port is what follows its last colon.
            local = str(endpoint.transportGetInfo(self.transport).localName)
            self.local_port = int(local.rpartition(":")[2])
            self.version = str(endpoint.libVersion().full)
        except (pj.Error, ValueError) as error:
            reason = error.reason if isinstance(error, pj.Error) else str(error)
            self.destroy()
            raise SipError(f"SIP cannot start on {self._bind} port {self._port}: {reason}") from error
        self.max_calls = self.native.max_calls()

    @property
    def library(self) -> str:
        """Version of the library and length of its file: another build carries another number of accounts."""
        return f"{self.version} {self.native.size}"

    def out_of_reach(self, address: str) -> str:
        """Why an IP address can't be spoken to from here, whatever the network is like; '' where it can."""
        if ":" not in address:
            return f"{address} is an IPv4 address, and the gateway is bound to an IPv6 one" if ":" in self._bind else ""
        # The default is off only in a library without IPv6, which aborts where it is turned on.
        if pj.AccountConfig().mediaConfig.ipv6Use == pj.PJSUA_IPV6_DISABLED:
            return f"{address} is an IPv6 address, and this SIP library was built without IPv6"
        return "" if ":" in self._bind else f"{address} is an IPv6 address, and the gateway is bound to an IPv4 one"

    def use_codecs(self, codecs: Sequence[str]) -> None:
        """Enable exactly these, the first one first, for what is negotiated from now on. Raises pj.Error."""
        if self._endpoint is None or tuple(codecs) == self._codecs_in_use:
            return
        priorities = {name.casefold(): _TOP_PRIORITY - at for at, name in enumerate(codecs)}
        for identifier in self._codec_ids:
            self._endpoint.codecSetPriority(identifier, priorities.get(identifier.partition("/")[0].casefold(), 0))
        self._codecs_in_use = tuple(codecs)

    def another_transport(self, kind: Transport = Transport.UDP, *, verify: bool = True) -> int:
        """Open one more transport, on a port that the system chooses. Raises pj.Error, OSError.

        With TCP and TLS the library opens a listener whether one wants it or not: nobody gets through to it.
        """
        if self._endpoint is None:
            return -1
        config = self._transport_configuration()
        config.port = 0
        if kind is Transport.TLS:
            _secure(config.tlsConfig, self._ca_file, verify=verify)
        transport = int(self._endpoint.transportCreate(self._transport_type(kind), config))
        if kind is not Transport.UDP:
            deafen(self.port_of(transport))
        return transport

    def port_of(self, transport: int) -> int:
        """The local port of a transport, 0 where the library does not say. The text form `address:port` is its own."""
        if self._endpoint is None:
            return 0
        try:
            return int(str(self._endpoint.transportGetInfo(transport).localName).rpartition(":")[2])
        except (pj.Error, ValueError):
            return 0

    def close_transport(self, transport: int) -> None:
        """Close a transport that nothing uses. Raises pj.Error."""
        if self._endpoint is not None:
            self._endpoint.transportClose(transport)

    def move_address(self) -> None:
        """Our address has changed and the new one is up: bind again, and re-INVITE what goes on. Raises pj.Error."""
        if self._endpoint is not None:
            self._endpoint.handleIpChange(pj.IpChangeParam())

    def poll(self, timeout_ms: int) -> None:
        """Let the library work; an error of its poll is only said."""
        if self._endpoint is not None:
            self._endpoint.libHandleEvents(timeout_ms)

    def stop_clock(self) -> None:
        """Stop the media clock: only now may a port be dropped."""
        if self._endpoint is not None:
            self._endpoint.audDevManager().setNoDev()

    def destroy(self) -> None:
        """End the library, about 1 s; calls and ports must be gone. It must not be polled again."""
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is None:
            return
        try:
            endpoint.libDestroy()
        except pj.Error as error:
            self._say(1, str(error.reason))
        self._writer = None

    def _configuration(self) -> pj.EpConfig:
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.maxCalls = self.native.max_calls()
        config.uaConfig.userAgent = ""
        config.uaConfig.mwiUnsolicitedEnabled = False
        config.medConfig.clockRate = 8000
        config.medConfig.sndClockRate = 8000
        config.medConfig.ecTailLen = 0
        config.medConfig.noVad = True
        # With the default the null device closes when idle; without its clock the bridge never finishes what it began.
        config.medConfig.sndAutoCloseTime = -1
        writer = _Writer(self._say, self._trace)
        self._writer = writer
        # The console's level decides what a writer gets, too; with a writer nothing goes to the console.
        config.logConfig.level = config.logConfig.consoleLevel = _MESSAGES
        config.logConfig.msgLogging = True
        config.logConfig.writer = writer
        return config

    def _transport_type(self, kind: Transport = Transport.UDP) -> int:
        return _TYPES[kind][":" in self._bind]

    def _transport_configuration(self) -> pj.TransportConfig:
        config = pj.TransportConfig()
        config.port = self._port
        config.boundAddress = self.bound_address
        return config


def _secure(config: pj.TlsConfig, ca_file: Path | None, *, verify: bool) -> None:
    """The library's own check, the second one: by default it takes any certificate, and TLS 1.0."""
    config.CaListFile = str(ca_file or system_store() or "")
    config.verifyServer = verify
    config.proto = pj.PJ_SSL_SOCK_PROTO_TLS1_2 | pj.PJ_SSL_SOCK_PROTO_TLS1_3
    config.msecTimeout = _TLS_HANDSHAKE_MS
