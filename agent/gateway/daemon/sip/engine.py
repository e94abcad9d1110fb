"""The pjsua2 endpoint: made, configured, polled and destroyed in the one order that the library survives."""

from __future__ import annotations

from collections.abc import Callable

import pjsua2 as pj

from agent.gateway.daemon.sip.native import Native, SipError

RTP_PORTS = 64
"""Ports above the first that RTP and RTCP may use."""
_TRANSACTION_TIMEOUT_MS = 6000
"""Four sendings of a request (0, 0.5, 1.5 and 3.5 s), then the transaction dies and its call slot is free."""
_WARNING = 2
_MESSAGES = 4
"""The level at which the library logs what it sends and receives."""
_CODEC_PRIORITY = {"PCMA/8000": 255, "PCMU/8000": 254}


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


class Engine:
    """One life of the library. `start`, `poll`, `stop_clock` and `destroy` on one thread."""

    def __init__(self, bind: str, port: int, say: Callable[[int, str], None], trace: Callable[[str], object]) -> None:
        self._bind = bind
        self._port = port
        self._say = say
        self._trace = trace
        self._endpoint: pj.Endpoint | None = None
        self._writer: _Writer | None = None
        self.native = Native()
        self.max_calls = 0
        self.version = ""
        self.transport = -1
        self.local_port = 0
        self.transactions_shortened = False

    @property
    def bound_address(self) -> str:
        """The address to bind media to; empty: all."""
        return "" if self._bind in ("0.0.0.0", "::") else self._bind  # noqa: S104  compared, not bound

    @property
    def bell_address(self) -> tuple[str, int]:
        """Where a datagram reaches our own SIP socket."""
        loopback = "::1" if ":" in self._bind else "127.0.0.1"
        return self.bound_address or loopback, self.local_port

    def start(self) -> None:
        """From nothing to a running library with a media clock and two codecs. Raises SipError, leaving nothing."""
        self.native.quiet()
        endpoint = pj.Endpoint()
        self._endpoint = endpoint
        try:
            endpoint.libCreate()
            # Before libInit, which copies the timers.
            self.transactions_shortened = self.native.shorten_transactions(_TRANSACTION_TIMEOUT_MS)
            endpoint.libInit(self._configuration())
            self.transport = endpoint.transportCreate(self._transport_type(), self._transport_configuration())
            endpoint.libStart()
            endpoint.audDevManager().setNullDev()
            for codec in endpoint.codecEnum2():
                name = str(codec.codecId)
                endpoint.codecSetPriority(name, next((p for c, p in _CODEC_PRIORITY.items() if name.startswith(c)), 0))
            # The text form `address:port` is the library's; the port is what follows its last colon.
            local = str(endpoint.transportGetInfo(self.transport).localName)
            self.local_port = int(local.rpartition(":")[2])
            self.version = str(endpoint.libVersion().full)
        except (pj.Error, ValueError) as error:
            reason = error.reason if isinstance(error, pj.Error) else str(error)
            self.destroy()
            raise SipError(f"SIP cannot start on {self._bind} port {self._port}: {reason}") from error
        self.max_calls = self.native.max_calls()

    def another_transport(self) -> int:
        """Open one more transport, on a port that the system chooses. Raises pj.Error."""
        if self._endpoint is None:
            return -1
        config = self._transport_configuration()
        config.port = 0
        return int(self._endpoint.transportCreate(self._transport_type(), config))

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

    def _transport_type(self) -> int:
        return pj.PJSIP_TRANSPORT_UDP6 if ":" in self._bind else pj.PJSIP_TRANSPORT_UDP

    def _transport_configuration(self) -> pj.TransportConfig:
        config = pj.TransportConfig()
        config.port = self._port
        config.boundAddress = self.bound_address
        return config
