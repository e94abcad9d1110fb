"""One end of the line-card link, without any input or output: bytes and the time in, bytes and events out.

The owner passes what it read to `receive`, writes what `data_to_send` gives, calls `on_timer` when `next_timer` is
due, and takes events from `next_event` until there are none. `now` is milliseconds of a monotonic clock.
`session.py` has the two ends that open and lose sessions; here is what they share.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Any

from msgspec import Struct

from firmware_bridge import messages as m
from firmware_bridge.framing import FLAG_RETRANSMITTED, Decoder, Frame, encode
from firmware_bridge.link_events import Answered, AudioReceived, DownReason, LinkDown, LinkEvent, LinkUp, Received
from firmware_bridge.messages import MessageError, Spec
from firmware_bridge.reliable import QUEUE_LIMIT, Arrival, Receiver, Sender
from firmware_bridge.trace import Trace
from firmware_bridge.vocabulary import Direction, Kind, NakReason, Status

SILENCE_MS = 3000
"""A peer that is not heard for this long is gone."""

HEARTBEAT_MS = 1000
REPLY_TIMEOUT_MS = 2000
AUDIO_QUEUE = 8
"""Frames of speech of one line that wait for the wire: 80 ms, as much as the other end plays out of its own buffer."""
AUDIO_TURN = 4
"""Frames of speech after which one of what waits behind them has its turn, where the wire is too slow for all."""
LOG_QUEUE = 16
_BURST_BYTES = 1024
"""At most this much is handed out at once, so that speech overtakes what is less urgent."""

_SEQUENCED = (Kind.CMD, Kind.RSP, Kind.EVT)
_AUDIO_HEAD = struct.Struct("<IB")


class LinkCounters(Struct):
    """What this end has met since it was made."""

    sessions: int = 0
    unknown: int = 0
    malformed: int = 0
    audio_in: int = 0
    audio_out: int = 0
    audio_dropped: int = 0
    retransmissions: int = 0
    sequence_gaps: int = 0
    duplicates: int = 0


class _Pending(Struct):
    command: Any
    spec: Spec
    line: int
    first_sent_ms: int | None = None


class Link:
    """What both ends do. Not usable by itself: see HostLink and CardLink."""

    _hears: Direction
    _audio_out: int
    _audio_in: int

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.counters = LinkCounters()
        self.trace = Trace()
        self.up = False
        self._heard_ms = 0
        self._noise_ms: int | None = None
        self._last = False
        self._events: deque[LinkEvent] = deque()
        self._raw: deque[bytes] = deque()
        self._clear()

    def _clear(self) -> None:
        """Forget everything that belongs to one session."""
        self._sender = Sender()
        self._receiver = Receiver()
        self._pending: dict[int, _Pending] = {}
        self._link_queue: deque[object] = deque()
        self._audio_queue: deque[tuple[int, int, int, bytes]] = deque()
        self._audio_run = 0
        self._log_queue: deque[m.LogLine] = deque()
        self._ack_due = False
        self._owed = 0
        self._silence_ms = SILENCE_MS
        self._held = False

    # --- what the two ends add ---

    def _handshake(self, message: object, now: int) -> None:
        """A HELLO or HELLO_ACK arrived."""
        raise NotImplementedError

    def _valid(self) -> None:
        """A whole frame arrived, be it what it may."""

    def _without_session(self, now: int) -> None:
        """A frame of a session that this end does not have arrived."""

    def _own_command(self, command: Received) -> bool:
        """Whether a command was the link's own business, and is answered."""
        del command
        return False

    def _own_answer(self, answer: Answered, took_ms: int, now: int) -> bool:
        """Whether an answer was to a command of the link itself."""
        del answer, took_ms, now
        return False

    def _handed_out(self, kind: int, seq: int, now: int) -> bool:
        """A reliable frame is about to be written; true where nothing may follow it for now."""
        del kind, seq, now
        return False

    def _pong(self, pong: m.Pong, now: int) -> None:
        """A PING was answered."""

    def _edge_ms(self, message: object, now: int) -> int:
        """When on this end's clock a message happened that arrives now."""
        del message
        return now

    def _lost(self, now: int) -> None:
        """The session has just ended."""
        raise NotImplementedError

    def _lose(self, reason: DownReason, detail: str, now: int) -> None:
        """End the session and say why."""
        self.up = False
        self.trace.now = now
        self.trace.note(f"session lost: {detail}")
        self._note_session_counters()
        self._clear()
        self._events.append(LinkDown(reason, detail))
        self._lost(now)

    # --- in ---

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes as they come, in pieces of any size. Damaged ones are counted and dropped."""
        self.trace.now = now
        counters = self.decoder.counters
        damaged = counters.damaged
        frames = self.decoder.feed(data)
        if counters.damaged != damaged:
            self._noise_ms = now
            self.trace.damage(counters.damaged - damaged, len(data))
        for frame in frames:
            self.trace.add((frame.kind, frame.line, frame.seq, frame.ack, frame.id), len(frame.payload), sent=False)
            self._frame(frame, now)

    def next_event(self) -> LinkEvent | None:
        """The oldest event, None where there is none."""
        return self._events.popleft() if self._events else None

    def _frame(self, frame: Frame, now: int) -> None:
        self._valid()
        if frame.kind == Kind.LINK and frame.id in (0x01, 0x02):
            message = self._parse(frame)
            if message is not None:
                self._handshake(message, now)
            return
        if not self.up:
            self._without_session(now)
            return
        self._heard_ms = now
        self._sender.acknowledge(frame.ack, now)
        if frame.kind == Kind.AUDIO:
            self._audio(frame)
        elif frame.kind in _SEQUENCED:
            self._sequenced(frame, now)
        elif frame.kind == Kind.LINK:
            self._link(frame, now)
        elif frame.kind == Kind.LOG and (message := self._parse(frame)) is not None:
            self._events.append(Received(Kind.LOG, frame.line, 0, message, now, self.counters.sessions))

    def _audio(self, frame: Frame) -> None:
        payload = frame.payload
        if frame.id != self._audio_in or len(payload) < _AUDIO_HEAD.size:
            self.counters.malformed += 1
            return
        self.counters.audio_in += 1
        counter, flags = _AUDIO_HEAD.unpack_from(payload)
        self._events.append(AudioReceived(frame.line, counter, flags, payload[_AUDIO_HEAD.size :]))

    def _sequenced(self, frame: Frame, now: int) -> None:
        if frame.kind == Kind.CMD and self._sender.waiting + self._owed >= QUEUE_LIMIT // 2:
            return  # There is no room for an answer: as if it had not arrived, it will come again.
        arrival = self._receiver.arrive(frame.seq)
        self._ack_due = True
        if arrival is Arrival.GAP and self._receiver.complain():
            self._link_queue.append(m.Nak(self._receiver.expected, NakReason.GAP))
        if arrival is not Arrival.NEW:
            return
        if frame.kind == Kind.RSP:
            self._reply(frame, now)
            return
        kind = Kind(frame.kind)
        spec = self._spec(frame)
        if spec is None:
            if kind is Kind.CMD:
                self._answer(frame.line, frame.id, frame.seq, Status.UNKNOWN)
            return
        try:
            message = m.parse(spec, frame.payload)
        except MessageError as error:
            self.counters.malformed += 1
            if kind is Kind.CMD:
                text = str(error).encode("ascii", "replace")[:100]
                self._answer(frame.line, frame.id, frame.seq, Status.INVALID, text)
            return
        self._owed += kind is Kind.CMD
        at_ms = self._edge_ms(message, now)
        received = Received(kind, frame.line, frame.seq, message, at_ms, self.counters.sessions)
        if not (kind is Kind.CMD and self._own_command(received)):
            self._events.append(received)

    def _reply(self, frame: Frame, now: int) -> None:
        try:
            reply = m.parse_reply(frame.payload)
        except MessageError:
            self.counters.malformed += 1
            return
        pending = self._pending.pop(reply.command_seq, None)
        if pending is None or pending.spec.id != frame.id:
            self.counters.unknown += 1
            return
        result = None
        if reply.status is Status.OK:
            try:
                result = m.parse_result(pending.spec, reply.result)
            except MessageError:
                self.counters.malformed += 1
        answer = Answered(reply.command_seq, pending.line, pending.command, reply.status, result)
        first_sent_ms = now if pending.first_sent_ms is None else pending.first_sent_ms
        if not self._own_answer(answer, now - first_sent_ms, now):
            self._events.append(answer)

    def _link(self, frame: Frame, now: int) -> None:
        match self._parse(frame):
            case m.Ping(t_sender):
                self._link_queue.append(m.Pong(t_sender, now & 0xFFFFFFFF))
            case m.Pong() as pong:
                self._pong(pong, now)
            case m.Nak(expected):
                self._sender.acknowledge(expected, now)
                self._sender.rewind()
            case _:
                pass

    def _spec(self, frame: Frame) -> Spec | None:
        spec = m.find_spec(frame.kind, frame.id)
        if spec is None or spec.direction not in (self._hears, Direction.BOTH):
            self.counters.unknown += 1
            return None
        return spec

    def _parse(self, frame: Frame) -> Any:
        spec = self._spec(frame)
        if spec is None:
            return None
        try:
            return m.parse(spec, frame.payload)
        except MessageError:
            self.counters.malformed += 1
            return None

    # --- out ---

    def send(self, message: object, line: int = 0) -> int:
        """Queue a command or event; its sequence number, by which `Answered` names it.

        Raises LinkBusyError where too much waits already, MessageError where the message does not fit its fields.
        """
        spec = m.spec_of(message)
        if not 0 <= line < m.MAX_LINES:
            raise MessageError(f"line {line} does not exist, lines are 0 to {m.MAX_LINES - 1}")
        if spec.kind not in _SEQUENCED:
            raise MessageError(f"{spec.name} is sent by the link itself")
        seq = self._sender.offer(spec.kind, line, spec.id, m.pack(message))
        if spec.kind is Kind.CMD:
            self._pending[seq] = _Pending(message, spec, line)
        return seq

    def respond(self, command: Received, status: Status, result: object | None = None) -> int | None:
        """Answer a command; `result` is the record the table names. Gives the reply's number, raises as `send`.

        None, and nothing is sent, where the session in which it was asked is over: its numbers mean others now.
        """
        if not self.up or command.session != self.counters.sessions:
            return None
        self._owed = max(0, self._owed - 1)
        packed = m.pack_result(command.message, result) if status is Status.OK else b""
        return self._answer(command.line, m.spec_of(command.message).id, command.seq, status, packed)

    def send_audio(self, line: int, counter: int, flags: int, data: bytes) -> None:
        """Queue a frame of speech; the oldest is dropped where the wire cannot keep up."""
        queue = self._audio_queue
        if len(queue) >= AUDIO_QUEUE:
            own = [at for at, frame in enumerate(queue) if frame[0] == line]
            if len(own) >= AUDIO_QUEUE:
                del queue[own[0]]
                self.counters.audio_dropped += 1
        queue.append((line, counter, flags, data))

    def send_log(self, level: int, text: str) -> None:
        """Queue a line for the other end's log; lost where too many wait."""
        if len(self._log_queue) < LOG_QUEUE:
            self._log_queue.append(m.LogLine(level, text[:40]))

    @property
    def unsent(self) -> bool:
        """Whether something that was queued has not been on the wire yet, since the window is full."""
        return self.up and self._sender.unsent

    def data_to_send(self, now: int) -> bytes:
        """The next bytes for the wire, most urgent first (LINK, AUDIO, CMD/RSP/EVT, LOG); empty: nothing to say."""
        out: list[bytes] = []
        size = 0
        self.trace.now = now
        self._last = False
        while size < _BURST_BYTES and not self._last and (data := self._next_data(now)):
            out.append(data)
            size += len(data)
        return b"".join(out)

    def _next_data(self, now: int) -> bytes:
        if self._raw:
            return self._raw.popleft()
        if self._link_queue:
            return self._encode_message(Kind.LINK, self._link_queue.popleft())
        if self._audio_queue and not self._held:
            self._audio_run += 1
            # Asked for only when it is their turn: taking a frame of the reliable half means sending it.
            waited = self._reliable(now) if self._audio_run > AUDIO_TURN else b""
            return waited or self._speech()
        if self.up:
            if data := self._reliable(now):
                return data
            if self._ack_due:
                return self._encode_message(Kind.LINK, m.Ack())
        if self._log_queue and not self._held:
            return self._encode_message(Kind.LOG, self._log_queue.popleft())
        return b""

    def _speech(self) -> bytes:
        line, counter, flags, data = self._audio_queue.popleft()
        self.counters.audio_out += 1
        return self._encode(Kind.AUDIO, line, 0, 0, self._audio_out, _AUDIO_HEAD.pack(counter, flags) + data)

    def _reliable(self, now: int) -> bytes:
        self._audio_run = 0
        frame = self._sender.take(now, fresh=not self._held) if self.up else None
        if frame is None:
            return b""
        self._last = self._handed_out(frame.kind, frame.seq, now)
        if frame.kind == Kind.CMD and (pending := self._pending.get(frame.seq)) and frame.sends == 1:
            pending.first_sent_ms = now
        flags = FLAG_RETRANSMITTED if frame.sends > 1 else 0
        return self._encode(frame.kind, frame.line, flags, frame.seq, frame.id, frame.payload)

    def _encode_message(self, kind: Kind, message: object) -> bytes:
        return self._encode(kind, 0, 0, 0, m.spec_of(message).id, m.pack(message))

    def _encode(self, kind: int, line: int, flags: int, seq: int, ident: int, payload: bytes) -> bytes:
        self._ack_due = False
        ack = self._receiver.expected
        self.trace.add((kind, line, seq, ack, ident), len(payload), sent=True)
        return encode(bytes((kind << 5 | line << 2 | flags, seq, ack, ident)) + payload)

    def _answer(self, line: int, ident: int, seq: int, status: Status, result: bytes = b"") -> int:
        return self._sender.offer(Kind.RSP, line, ident, m.pack_reply(m.Reply(seq, status, result)))

    # --- time ---

    def next_timer(self) -> int | None:
        """When `on_timer` wants to be called next."""
        if not self.up:
            return None
        due = self._heard_ms + self._silence_ms
        retransmit = self._sender.deadline()
        if retransmit is not None:
            due = min(due, retransmit)
        oldest = self._oldest_command_ms()
        if oldest is not None:
            due = min(due, oldest + REPLY_TIMEOUT_MS)
        return due

    def on_timer(self, now: int) -> None:
        """Do what is due. Calling it early or often does no harm."""
        if not self.up:
            return
        oldest = self._oldest_command_ms()
        if now - self._heard_ms >= self._silence_ms:
            self._lose(DownReason.SILENT, f"nothing was heard for {self._silence_ms} ms", now)
        elif not self._sender.expire(now, self._heard_ms):
            self._lose(DownReason.UNACKNOWLEDGED, "the other end speaks, but acknowledges nothing", now)
        elif oldest is not None and now - oldest >= REPLY_TIMEOUT_MS:
            self._lose(DownReason.UNANSWERED, f"a command was not answered within {REPLY_TIMEOUT_MS} ms", now)

    def _oldest_command_ms(self) -> int | None:
        for pending in self._pending.values():
            return pending.first_sent_ms
        return None

    def _begin(self, peer: m.Hello | m.HelloAck, now: int) -> None:
        self._clear()
        self._sender.use_window(peer.window)
        self.up = True
        self._heard_ms = now
        self._noise_ms = None
        self.counters.sessions += 1
        self.trace.note("session begins")
        self._events.append(LinkUp(peer))

    def _fresh_rate(self) -> None:
        """What follows goes at another rate: end whatever half frame of noise either side has from before."""
        self.decoder.restart()
        self._raw.append(b"\0")

    def _note_session_counters(self) -> None:
        self.counters.retransmissions += self._sender.retransmissions
        self.counters.sequence_gaps += self._receiver.gaps
        self.counters.duplicates += self._receiver.duplicates

    @property
    def waiting(self) -> int:
        """How many reliable frames are queued or unacknowledged."""
        return self._sender.waiting

    @property
    def rtt_ms(self) -> int:
        """The smoothed round trip of this session, 0 before the first measurement."""
        return self._sender.rtt_ms

    @property
    def retransmissions(self) -> int:
        """Frames sent again, over all sessions."""
        return self.counters.retransmissions + self._sender.retransmissions

    @property
    def sequence_gaps(self) -> int:
        """Frames that arrived before their turn, over all sessions."""
        return self.counters.sequence_gaps + self._receiver.gaps

    @property
    def duplicates(self) -> int:
        """Frames that arrived again, over all sessions."""
        return self.counters.duplicates + self._receiver.duplicates
