"""The two ends of the link: the host opens sessions, the card answers; both notice when the other is gone. Pure."""

from __future__ import annotations

from firmware_bridge import messages as m
from firmware_bridge.clockmap import ClockMap
from firmware_bridge.link import HEARTBEAT_MS, SILENCE_MS, Link
from firmware_bridge.link_events import Answered, DownReason, LinkDown, Received
from firmware_bridge.rates import BASE_RATE, CardRate, HostRate, Phase
from firmware_bridge.reliable import QUEUE_LIMIT, WINDOW, LinkBusyError
from firmware_bridge.terms import LEASE_MAX_MS, LEASE_MIN_MS, CardIdentity, HostLease, incompatible
from firmware_bridge.vocabulary import Capability, Direction, Kind, LeaseAction, Status

HELLO_MS = 200
HELLO_REFUSED_MS = 2000
_HELLO_MIN_MS = 40
CRY_MS = 1000
CRY_MIN_MS = 100
SETTLING_PING_MS = 50
_SESSION_MODULUS = 1 << 32


class HostLink(Link):
    """The host's end. `session` is random: the first session number, later ones count up from it.

    `baud` is the highest rate it may choose, `lease` what it asks of the card (None: the card's own), `stats_ms` how
    often it asks for the card's counters (0: never). The owner gives its port the `rate` before it writes.
    """

    _hears = Direction.TO_HOST
    _audio_out, _audio_in = 0x63, 0x62

    def __init__(
        self, session: int, software: str, *, baud: int = BASE_RATE, lease: HostLease | None = None, stats_ms: int = 0
    ) -> None:
        super().__init__()
        self.clock = ClockMap()
        self.card_stats = m.Stats()
        """The card's counters, as it told them last."""
        self.capabilities = Capability(0)
        """What the card of this session can do; of the last session while there is none."""
        self._rates = HostRate(baud)
        self._lease, self._stats_ms = lease, stats_ms
        self._session = session % _SESSION_MODULUS or 1
        self._software = software
        self._boot_id: int | None = None
        self._hello_ms: int | None = None
        self._hello_sent_ms = -HELLO_MS
        self._ping_ms = self._ask_stats_ms = 0
        self._baud_seq: int | None = None
        self._own: set[int] = set()
        self._card_bauds: tuple[int, ...] = ()
        self._refusal = ""
        self._give_up_ms: int | None = None

    @property
    def session(self) -> int:
        """The number of the session; without one, that which is wanted (host) or 0 (card)."""
        return self._session

    @property
    def rate(self) -> int:
        """The rate that the port should have now."""
        return self._rates.rate

    @property
    def rate_fallbacks(self) -> int:
        """How often a higher rate was given up."""
        return self._rates.fallbacks

    def start(self, now: int) -> None:
        """Begin to seek the card, on a port that was just opened."""
        self._raw.clear()
        self._rates.seek()
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
        due = [super().next_timer(), self._ping_ms, self._rates.deadline(), self._suspect_ms()]
        return min(at for at in due if at is not None)

    def on_timer(self, now: int) -> None:
        super().on_timer(now)
        if not self.up:
            if self._hello_ms is not None and now >= self._hello_ms:
                if not self._refusal:
                    self._rates.probe()
                    self.decoder.restart()
                self._hello(now)
            if self._give_up_ms is not None and now >= self._give_up_ms:
                self._give_up_ms = None
                self._events.append(LinkDown(DownReason.NO_ANSWER, "the port is open, but no card answers"))
            return
        self._settle_rate(now)
        if now >= self._ping_ms:
            self._heartbeat(now)

    def _heartbeat(self, now: int) -> None:
        lease = SILENCE_MS if self._lease is None else self._lease.ms
        settled = self._rates.phase is Phase.SETTLED
        self._ping_ms = now + (min(HEARTBEAT_MS, lease // 3) if settled else SETTLING_PING_MS)
        self._link_queue.append(m.Ping(now & 0xFFFFFFFF))
        if self._stats_ms and settled and now >= self._ask_stats_ms:
            self._ask_stats_ms = now + self._stats_ms
            self._order(m.GetStats())

    def _order(self, command: object) -> int | None:
        """Send a command of the link's own; None where too much waits, the next turn asks again."""
        try:
            seq = self.send(command)
        except LinkBusyError:
            return None
        self._own.add(seq)
        return seq

    # --- the rate ---

    def _suspect_ms(self) -> int | None:
        noisy = self._noise_ms is not None and self._noise_ms >= self._heard_ms
        return self._rates.suspect_ms(self._heard_ms, noisy=noisy)

    def _settle_rate(self, now: int) -> None:
        before = self._rates.rate
        self._rates.expire(now)
        suspect = self._suspect_ms()
        if suspect is not None and now >= suspect:
            self._rates.listen(now)
            self._ping_ms = now
        self._note_rate(before)
        self._held = self._rates.phase is not Phase.SETTLED
        self._ask_rate()

    def _ask_rate(self) -> None:
        if (
            self._baud_seq is None
            and self._sender.waiting < QUEUE_LIMIT
            and (baud := self._rates.next_wish()) is not None
        ):
            self._baud_seq = self._order(m.SetBaud(baud))

    def _note_rate(self, before: int) -> None:
        if self._rates.rate != before:
            self.trace.note(f"rate {self._rates.rate}")
            self._fresh_rate()

    def _valid(self) -> None:
        listening = self._rates.phase is Phase.LISTENING
        self._rates.heard()
        self._held = self._rates.phase is not Phase.SETTLED
        if listening and self.up:
            # It has gone back without us; what it says next tells whether it has also restarted.
            self._rates.begin(self._card_bauds)

    def _handed_out(self, kind: int, seq: int, now: int) -> bool:
        del now
        if kind == Kind.CMD and seq == self._baud_seq:
            self._rates.asked()
            self._held = True
        return False

    def _own_answer(self, answer: Answered, took_ms: int, now: int) -> bool:
        if answer.seq not in self._own:
            return False
        self._own.discard(answer.seq)
        match answer.command:
            case m.SetBaud(baud):
                self._baud_seq = None
                before = self._rates.rate
                self._rates.answered(baud if answer.status is Status.OK else None, took_ms, now)
                self._note_rate(before)
                self._ping_ms = now
                self._settle_rate(now)
            case m.GetStats() if isinstance(answer.result, m.Stats):
                self.card_stats = answer.result
            case _:
                pass
        return answer.status is Status.OK

    # --- the clock ---

    def _pong(self, pong: m.Pong, now: int) -> None:
        self.clock.sample(pong.t_sender, pong.t_own, now)

    def _edge_ms(self, message: object, now: int) -> int:
        t_us = getattr(message, "t_us", None)
        return now if t_us is None else self.clock.to_host(t_us, now)

    # --- the session ---

    def _hello(self, now: int) -> None:
        self.trace.now = self._hello_sent_ms = now
        self._hello_ms = now + (HELLO_REFUSED_MS if self._refusal else HELLO_MS)
        hello = m.Hello(
            major=m.PROTOCOL_MAJOR, minor=m.PROTOCOL_MINOR, schema=m.SCHEMA_HASH, session=self._session,
            max_payload=m.MAX_PAYLOAD, window=WINDOW, software=self._software,
        )  # fmt: skip
        # Two delimiters first: whatever half frame the card has from before ends there.
        self._raw.append(b"\0\0" + self._encode_message(Kind.LINK, hello))

    def _lost(self, now: int) -> None:
        self._session = (self._session + 1) % _SESSION_MODULUS or 1
        self._baud_seq = None
        self._own.clear()
        self._rates.lost()
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
        elif refusal := incompatible(message):
            if refusal != self._refusal:
                self._refusal = refusal
                self._give_up_ms = None
                self._events.append(LinkDown(DownReason.REFUSED, refusal))
            self._hello_ms = now + HELLO_REFUSED_MS
        else:
            self._refusal = ""
            self._open(message, now)

    def _open(self, card: m.HelloAck, now: int) -> None:
        if card.boot_id != self._boot_id:
            self._boot_id = card.boot_id
            self.clock.forget()
        self.capabilities = Capability(card.capabilities)
        self._begin(card, now)
        self._ping_ms = self._ask_stats_ms = now
        self._hello_ms = self._give_up_ms = None
        self._card_bauds = card.bauds if Capability.BAUD_SWITCH in self.capabilities else ()
        self._rates.begin(self._card_bauds)
        self._ask_rate()
        if self._lease is not None:
            self._order(m.SetHostLease(self._lease.ms, self._lease.action))

    def _card_without_session(self, cry: m.HelloAck, now: int) -> None:
        if self.up:
            if cry.boot_id != self._boot_id:
                self._lose(DownReason.RESET, f"the card restarted ({cry.reset_cause.name.lower()})", now)
            else:
                self._lose(DownReason.SESSION_LOST, "the card has given the session up", now)
        elif self._hello_ms is not None and not self._refusal and now - self._hello_sent_ms >= _HELLO_MIN_MS:
            self._hello(now)


class CardLink(Link):
    """The card's end. It has no session until a HELLO, and says so to whoever speaks to it meanwhile.

    SET_BAUD and SET_HOST_LEASE are its own business. The owner gives its port the `rate` after it wrote what
    `data_to_send` gave.
    """

    _hears = Direction.TO_CARD
    _audio_out, _audio_in = 0x62, 0x63

    def __init__(self, identity: CardIdentity) -> None:
        super().__init__()
        self.lease_action = LeaseAction.SILENCE
        """What the host wanted for the time after its lease; of the last session while there is none."""
        self._identity = identity
        self._rates = CardRate()
        self._session = 0
        self._cry_ms = 0

    @property
    def session(self) -> int:
        """The number of the session; without one, that which is wanted (host) or 0 (card)."""
        return self._session

    @property
    def rate(self) -> int:
        """The rate that the port should have now."""
        return self._rates.rate

    @property
    def rate_fallbacks(self) -> int:
        """How often a higher rate was given up."""
        return self._rates.fallbacks

    def start(self, now: int) -> None:
        """The card has started: say so."""
        self._cry(now)

    def next_timer(self) -> int | None:
        if not self.up:
            return self._cry_ms
        due = super().next_timer()
        back = self._rates.deadline()
        return back if due is None else due if back is None else min(due, back)

    def on_timer(self, now: int) -> None:
        before = self._rates.rate
        self._rates.expire(now)
        if self._rates.rate != before:
            self.trace.now = now
            self.trace.note(f"rate {self._rates.rate}")
            self._fresh_rate()
        super().on_timer(now)
        if not self.up and now >= self._cry_ms:
            self._cry(now)

    def _cry(self, now: int) -> None:
        self._cry_ms = now + CRY_MS
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

    def _valid(self) -> None:
        self._rates.heard()

    def _own_command(self, command: Received) -> bool:
        match command.message:
            case m.SetBaud(baud):
                offered = baud in self._identity.bauds and Capability.BAUD_SWITCH in Capability(
                    self._identity.capabilities
                )
                seq = self.respond(command, Status.OK if offered else Status.UNSUPPORTED)
                if offered and seq is not None:
                    self._rates.agree(seq, baud)
            case m.SetHostLease(ms, action):
                allowed = LEASE_MIN_MS <= ms <= LEASE_MAX_MS
                if allowed:
                    self._silence_ms, self.lease_action = ms, action
                self.respond(command, Status.OK if allowed else Status.INVALID)
            case _:
                return False
        return True

    def _handed_out(self, kind: int, seq: int, now: int) -> bool:
        switched = kind == Kind.RSP and self._rates.sent(seq, now)
        if switched:
            self.trace.note(f"rate {self._rates.rate}")
            self._fresh_rate()
        return switched

    def _lost(self, now: int) -> None:
        self._rates.forget()
        self._session = 0
        self._cry_ms = now + CRY_MS

    def _without_session(self, now: int) -> None:
        if self._cry_ms - now <= CRY_MS - CRY_MIN_MS:
            self._cry(now)

    def _handshake(self, message: object, now: int) -> None:
        if not isinstance(message, m.Hello):
            return
        if not (self.up and message.session == self._session):
            rate = self._rates.rate
            if self.up:
                self._lose(DownReason.REPLACED, "the host opened a new session", now)
            self._rates.rate = rate  # The HELLO came at this rate, and there its answer is awaited.
            if not incompatible(message):
                self._raw.clear()
                self._session = message.session
                self.lease_action = LeaseAction.SILENCE
                self._begin(message, now)
        else:
            self._heard_ms = now
        self._link_queue.append(self._ack(message.session))
