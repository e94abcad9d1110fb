"""The two ends of the link: the host opens sessions, the card answers; both notice when the other is gone. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge import messages as m
from firmware_bridge.link import HEARTBEAT_MS, SILENCE_MS, DownReason, Link, LinkDown
from firmware_bridge.reliable import WINDOW
from firmware_bridge.vocabulary import Direction, Kind, ResetCause

_HELLO_MS = 200
_HELLO_REFUSED_MS = 2000
_HELLO_MIN_MS = 40
_CRY_MS = 1000
_CRY_MIN_MS = 100
_SESSION_MODULUS = 1 << 32


@dataclass(frozen=True, slots=True)
class CardIdentity:
    """What a card says of itself. `boot_id` is random, not 0, new at each start."""

    boot_id: int
    lines: int
    firmware: str
    hardware: str = ""
    capabilities: int = 0
    reset_cause: ResetCause = ResetCause.POWER_ON
    bauds: tuple[int, ...] = ()


class HostLink(Link):
    """The host's end. `session` is random: the first session number, later ones count up from it."""

    _hears = Direction.TO_HOST
    _audio_out, _audio_in = 0x63, 0x62

    def __init__(self, session: int, software: str) -> None:
        super().__init__()
        self._session = session % _SESSION_MODULUS or 1
        self._software = software
        self._boot_id: int | None = None
        self._hello_ms: int | None = None
        self._hello_sent_ms = -_HELLO_MS
        self._ping_ms = 0
        self._refusal = ""
        self._give_up_ms: int | None = None

    def start(self, now: int) -> None:
        """Begin to seek the card, on a port that was just opened."""
        self._raw.clear()
        self._give_up_ms = now + SILENCE_MS
        self._hello(now)

    def close(self, now: int) -> None:
        """The port is gone: end the session without a word to the card."""
        if self.up:
            self._lose(DownReason.CLOSED, "the port was closed", now)
        self._raw.clear()
        self._hello_ms = self._give_up_ms = None
        self._refusal = ""

    def next_timer(self) -> int | None:
        if not self.up:
            return self._hello_ms
        due = super().next_timer()
        return self._ping_ms if due is None else min(due, self._ping_ms)

    def on_timer(self, now: int) -> None:
        super().on_timer(now)
        if not self.up:
            if self._hello_ms is not None and now >= self._hello_ms:
                self._hello(now)
            if self._give_up_ms is not None and now >= self._give_up_ms:
                self._give_up_ms = None
                self._events.append(LinkDown(DownReason.NO_ANSWER, "the port is open, but no card answers"))
        elif now >= self._ping_ms:
            self._ping_ms = now + HEARTBEAT_MS
            self._link_queue.append(m.Ping(now & 0xFFFFFFFF))

    def _hello(self, now: int) -> None:
        self.trace.now = self._hello_sent_ms = now
        self._hello_ms = now + (_HELLO_REFUSED_MS if self._refusal else _HELLO_MS)
        hello = m.Hello(
            major=m.PROTOCOL_MAJOR, minor=m.PROTOCOL_MINOR, schema=m.SCHEMA_HASH, session=self._session,
            max_payload=m.MAX_PAYLOAD, window=WINDOW, software=self._software,
        )  # fmt: skip
        # Two delimiters first: whatever half frame the card has from before ends there.
        self._raw.append(b"\0\0" + self._encode_message(Kind.LINK, hello))

    def _lost(self, now: int) -> None:
        self._session = (self._session + 1) % _SESSION_MODULUS or 1
        self._hello(now)

    def _handshake(self, message: object, now: int) -> None:
        if not isinstance(message, m.HelloAck):
            return
        if message.session == 0:
            self._card_without_session(message, now)
        elif message.session != self._session:
            return
        elif self.up:
            if message.boot_id != self._boot_id:
                self._lose(DownReason.RESET, "the card restarted", now)
        elif refusal := _incompatible(message):
            if refusal != self._refusal:
                self._refusal = refusal
                self._give_up_ms = None
                self._events.append(LinkDown(DownReason.REFUSED, refusal))
            self._hello_ms = now + _HELLO_REFUSED_MS
        else:
            self._refusal = ""
            self._boot_id = message.boot_id
            self._begin(message, now)
            self._ping_ms = now
            self._hello_ms = self._give_up_ms = None

    def _card_without_session(self, cry: m.HelloAck, now: int) -> None:
        if self.up:
            if cry.boot_id != self._boot_id:
                self._lose(DownReason.RESET, f"the card restarted ({cry.reset_cause.name.lower()})", now)
            else:
                self._lose(DownReason.SESSION_LOST, "the card has given the session up", now)
        elif self._hello_ms is not None and not self._refusal and now - self._hello_sent_ms >= _HELLO_MIN_MS:
            self._hello(now)


class CardLink(Link):
    """The card's end. It has no session until a HELLO, and says so to whoever speaks to it meanwhile."""

    _hears = Direction.TO_CARD
    _audio_out, _audio_in = 0x62, 0x63

    def __init__(self, identity: CardIdentity) -> None:
        super().__init__()
        self._identity = identity
        self._session = 0
        self._cry_ms = 0

    def start(self, now: int) -> None:
        """The card has started: say so."""
        self._cry(now)

    def next_timer(self) -> int | None:
        return super().next_timer() if self.up else self._cry_ms

    def on_timer(self, now: int) -> None:
        super().on_timer(now)
        if not self.up and now >= self._cry_ms:
            self._cry(now)

    def _cry(self, now: int) -> None:
        self._cry_ms = now + _CRY_MS
        self._raw.append(b"\0\0" + self._encode_message(Kind.LINK, self._ack(0)))

    def _ack(self, session: int) -> m.HelloAck:
        identity = self._identity
        return m.HelloAck(
            major=m.PROTOCOL_MAJOR, minor=m.PROTOCOL_MINOR, schema=m.SCHEMA_HASH, session=session,
            boot_id=identity.boot_id, reset_cause=identity.reset_cause, max_payload=m.MAX_PAYLOAD, window=WINDOW,
            capabilities=identity.capabilities, lines=identity.lines, bauds=identity.bauds,
            firmware=identity.firmware, hardware=identity.hardware,
        )  # fmt: skip

    def close(self, now: int) -> None:
        """Give the session up without a word."""
        if self.up:
            self._lose(DownReason.CLOSED, "the card gave the session up", now)

    def _lost(self, now: int) -> None:
        self._session = 0
        self._cry_ms = now + _CRY_MS

    def _without_session(self, now: int) -> None:
        if self._cry_ms - now <= _CRY_MS - _CRY_MIN_MS:
            self._cry(now)

    def _handshake(self, message: object, now: int) -> None:
        if not isinstance(message, m.Hello):
            return
        if not (self.up and message.session == self._session):
            if self.up:
                self._lose(DownReason.REPLACED, "the host opened a new session", now)
            if not _incompatible(message):
                self._raw.clear()
                self._session = message.session
                self._begin(message, now)
        else:
            self._heard_ms = now
        self._link_queue.append(self._ack(message.session))


def _incompatible(peer: m.Hello | m.HelloAck) -> str:
    """Why this end cannot talk with `peer`; empty where it can."""
    if peer.major != m.PROTOCOL_MAJOR:
        return f"the other end speaks protocol {peer.major}.{peer.minor}, this one {m.PROTOCOL_MAJOR}"
    if peer.minor == m.PROTOCOL_MINOR and peer.schema != m.SCHEMA_HASH:
        return f"the other end has message table {peer.schema:08x}, this one {m.SCHEMA_HASH:08x}"
    return ""
