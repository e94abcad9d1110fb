"""The line card as its owner sees it: commands that never block, events, and speech in 10 ms frames."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct, structs

from firmware_bridge import g711
from firmware_bridge import messages as m
from firmware_bridge.card_events import (
    ADAPTER_LAMP,
    LAMPS,
    Button,
    CardDown,
    CardEvent,
    CardStats,
    CardUp,
    Digit,
    Flash,
    Hook,
    LampState,
    LineTested,
    SpeechFrame,
)
from firmware_bridge.image import FirmwareImage
from firmware_bridge.link_events import Answered, AudioReceived, DownReason, LinkDown, LinkEvent, LinkUp, Received
from firmware_bridge.messages import ToneProgram
from firmware_bridge.port import PortThread, boot_ms
from firmware_bridge.reliable import LinkBusyError
from firmware_bridge.session import HostLink
from firmware_bridge.terms import HostLease
from firmware_bridge.update import Order, Updater
from firmware_bridge.vocabulary import (
    AudioFlag,
    Capability,
    CidPlacement,
    CidStandard,
    LineTest,
    LineTestStatus,
    PolarityMode,
    ResetMode,
    Status,
    VmwiMode,
)

DEFAULT_BAUD = 1_000_000
DEFAULT_LEASE = HostLease()
_CARD_STATS_MS = 5000
SILENCE_FRAME = bytes([g711.SILENCE]) * m.AUDIO_BYTES
_CALLER_BYTES = 32
_OUTBOX = 256
_FRAME_SAMPLES = m.AUDIO_BYTES
ANSWERED_LOST = 8
_STATUS_PATIENCE_MS = 1500
"""The card says how its lines are when a session begins and each second; one that never does is taken as it is."""
_LATE_SAMPLES = 8000
"""A counter that is further behind is one that began anew."""

_LOSSES = frozenset(DownReason) - {DownReason.NO_ANSWER, DownReason.REFUSED}
"""Ends of a session that was; the others are about sessions that never began."""

_SINGLE_TESTS = frozenset(int(test) for test in LineTest)

_log = logging.getLogger(__name__)

_NOT_BEGUN = {
    Status.OFF_HOOK: LineTestStatus.LINE_IN_USE,
    Status.BUSY: LineTestStatus.LINE_IN_USE,
    Status.FAILED: LineTestStatus.ABORTED,
}
"""What a refused LINE_TEST_START comes to; any other refusal: the card cannot do this test."""


class _Rising(Struct):
    """A card whose session has begun, while it is not known yet which handsets are lifted."""

    lines: int
    firmware: str
    unknown: set[int]
    until_ms: int


class LineCard:
    """The client of a line card on a serial port.

    All methods may be called from any thread and return at once. `on_event` and `on_audio` are called on the card's
    thread and must not block: `on_audio(frame)` gets 10 ms of A-law and returns the 10 ms (80 bytes) to send back, None
    for silence; exactly one frame goes back for each of the line's clock, also for one that was lost on its way here
    (up to `ANSWERED_LOST` at once: behind a longer gap the telephone's buffer is empty anyway).
    A command given while the card is away, or before it came back, is dropped: the owner orders anew after CardUp.
    What the card cannot do (`capabilities`) is not asked of it.

    `baud`: the highest rate that may be agreed on. `lease`: when a card whose host has died falls silent.
    `on_trace(reason, lines)` is called on the card's thread when a session was lost, with the last frames.
    """

    def __init__(
        self,
        path: str,
        *,
        on_event: Callable[[CardEvent], None],
        on_audio: Callable[[SpeechFrame], bytes | None],
        baud: int = DEFAULT_BAUD,
        software: str = "iplink",
        lease: HostLease = DEFAULT_LEASE,
        on_trace: Callable[[str, tuple[str, ...]], None] | None = None,
    ) -> None:
        self._on_event = on_event
        self._on_audio = on_audio
        self._on_trace = on_trace
        self._link = HostLink(secrets.randbits(32), software, baud=baud, lease=lease, stats_ms=_CARD_STATS_MS)
        self._port = PortThread(path, self._link, self)
        self._updater = Updater(self._emit)
        self._update_orders: deque[Order | str] = deque(maxlen=_OUTBOX)
        self._outbox: deque[tuple[int, int, object]] = deque()
        self._outbox_lock = threading.Lock()
        self._generation = 0
        self._off_hook: dict[int, bool] = {}
        self._expected_counter: dict[int, int] = {}
        self._audio_open: set[int] = set()
        self._down_reason: str | None = None
        self._rising: _Rising | None = None
        self._leaving = False
        self._commands_dropped = 0
        self._commands_refused = 0
        self._last_refusal = ""
        self._audio_lost = self._audio_late = 0
        self._callback_errors = 0

    # --- for the owner, from any thread ---

    def start(self) -> None:
        """Open the port and keep it open. A card that is missing gives CardDown, and CardUp when it comes."""
        self._port.start()

    def stop(self) -> None:
        """Leave the card idle and close the port."""
        self._port.stop()

    def present(self, line: int, standard: CidStandard, placement: CidPlacement, message: bytes) -> None:
        """Show a caller with the ringing that is ordered next, or NOW: in a conversation, or that messages wait.

        `message`: see `firmware_bridge.caller_id`. A card without a caller display is not asked.
        """
        self._post(line, m.CidSend(standard, placement, message))

    def reverse(self, line: int, *, reversed_: bool) -> None:
        """Let the two wires change places, or have their own again. A card that cannot is not asked."""
        self._post(line, m.SetPolarity(PolarityMode.REVERSE if reversed_ else PolarityMode.FORWARD))

    def ring(self, line: int, cadence_ms: Sequence[int], caller: str = "") -> None:
        """Ring in `cadence_ms` (on, off, ...) until `stop_ring` or off-hook.

        `caller` (at most 32 bytes) is what a card shows by itself where nothing was announced.
        """
        shown = caller.encode("utf-8", "ignore")[:_CALLER_BYTES].decode("utf-8", "ignore")
        self._post(line, m.RingStart(cadence_ms=tuple(cadence_ms), caller=shown))

    def stop_ring(self, line: int) -> None:
        """Stop ringing."""
        self._post(line, m.RingStop())

    def tone(self, line: int, program: ToneProgram, duration_ms: int = 0) -> None:
        """Play `program` instead of any other tone, for `duration_ms` (0: until `stop_tone`)."""
        self._post(line, m.ToneStart(program, duration_ms))

    def stop_tone(self, line: int) -> None:
        """Stop the tone."""
        self._post(line, m.ToneStop())

    def messages(self, line: int, *, waiting: bool) -> None:
        """Light or clear the telephone's message lamp."""
        self._post(line, m.SetVmwi(VmwiMode.FSK if waiting else VmwiMode.OFF))

    def open_audio(self, line: int, *, playout: int = 2, echo_canceller: bool = True) -> None:
        """Let speech flow: from now on `on_audio` is called 100 times a second. `playout`: frames that wait."""
        self._post(line, m.AudioStart(playout=playout, echo_canceller=echo_canceller))

    def close_audio(self, line: int) -> None:
        """Stop speech."""
        self._post(line, m.AudioStop())

    def profile(self, line: int, profile: m.SetProfile) -> None:
        """Give a line its electrical life, and the times by which it tells dial pulses, recall and hanging up apart."""
        self._post(line, profile)

    def gain(self, line: int, tx_cdb: int, rx_cdb: int) -> None:
        """Make speech louder, in hundredths of a decibel: towards the network, and towards the telephone."""
        self._post(line, m.SetGain(tx_cdb, rx_cdb))

    def send_digits(self, line: int, digits: str, on_ms: int = 80, off_ms: int = 40) -> None:
        """Play keys to the telephone, instead of any tone."""
        self._post(line, m.DtmfSend(digits, on_ms, off_ms))

    def lamp(self, line: int, state: LampState) -> None:
        """Show `state` for `line`."""
        self._post(line, m.Led(line, *LAMPS[LampState(state)]))

    def adapter_lamp(self, state: LampState) -> None:
        """Show `state` on the lamp that belongs to no line."""
        self._post(0, m.Led(ADAPTER_LAMP, *LAMPS[LampState(state)]))

    def start_line_test(self, line: int, test: LineTest, *, closed_loop: bool = False) -> None:
        """Do one test on the wires of `line`; its end is told by LineTested. A card without tests is not asked."""
        self._post(line, m.LineTestStart(LineTest(test), closed_loop=closed_loop))

    def abort_line_test(self, line: int) -> None:
        """Give the wires of `line` back to the telephone."""
        self._post(line, m.LineTestAbort())

    def update(self, image: FirmwareImage, request: str, *, forced: bool = False) -> None:
        """Give the card new firmware, whose signature is checked already; `Progress` tells how it goes.

        No line may be in use. A lifted handset ends it by itself, as long as the card has not been restarted.
        """
        self._update_orders.append(Order(image, request, forced))
        self._port.wake()

    def abort_update(self, reason: str) -> None:
        """Leave the card with the firmware it has, if it is not too late; `reason` comes back in `Progress`."""
        self._update_orders.append(reason)
        self._port.wake()

    @property
    def capabilities(self) -> Capability:
        """What the card can do; nothing before the first CardUp."""
        return self._link.capabilities

    def stats(self) -> CardStats:
        """The counters now."""
        link = self._link
        framing, counters = link.decoder.counters, link.counters
        return CardStats(
            up=link.up,
            opens=self._port.opens,
            sessions=counters.sessions,
            rtt_ms=link.rtt_ms,
            bytes_in=framing.bytes,
            frames_in=framing.frames,
            crc_errors=framing.crc_errors,
            cobs_errors=framing.cobs_errors + framing.short,
            overruns=framing.overruns,
            malformed=counters.malformed,
            unknown=counters.unknown,
            retransmissions=link.retransmissions,
            sequence_gaps=link.sequence_gaps,
            duplicates=link.duplicates,
            audio_in=counters.audio_in,
            audio_out=counters.audio_out,
            audio_lost=self._audio_lost,
            audio_dropped=counters.audio_dropped,
            commands_dropped=self._commands_dropped,
            commands_refused=self._commands_refused,
            last_refusal=self._last_refusal,
            callback_errors=self._callback_errors,
            audio_late=self._audio_late,
            open_failures=self._port.open_failures,
            port_losses=self._port.losses,
            uart_overruns=self._port.errors.overruns + self._port.errors.buffer_overruns,
            uart_framing_errors=self._port.errors.framing + self._port.errors.parity,
            rate=link.rate,
            rate_fallbacks=link.rate_fallbacks,
            drift_ppm=link.clock.drift_ppm,
            card=link.card_stats,
        )

    def trace(self) -> tuple[str, ...]:
        """The last frames that were not speech, oldest first, a line each; without digits or numbers."""
        return self._link.trace.lines()

    def _post(self, line: int, message: object) -> None:
        """Queue a command. Raises MessageError at once where it could never be sent."""
        if not 0 <= line < m.MAX_LINES:
            raise m.MessageError(f"line {line} does not exist, lines are 0 to {m.MAX_LINES - 1}")
        m.pack(message)
        with self._outbox_lock:
            if len(self._outbox) >= _OUTBOX:
                self._commands_dropped += 1
                return
            self._outbox.append((self._generation, line, message))
        self._port.wake()

    # --- on the card's thread ---

    def woken(self, link: HostLink) -> None:
        """Send what was posted in this session; drop what was meant for an earlier one."""
        if self._rising is not None and boot_ms() >= self._rising.until_ms:
            self._rise()
        while self._outbox:
            generation, line, message = self._outbox[0]
            if not link.up or generation != self._generation:
                self._commands_dropped += 1
            else:
                try:
                    self._send(link, line, message)
                except LinkBusyError:
                    return  # The window is full: the next acknowledgement brings us here again.
                self._note_audio(line, message)
            self._outbox.popleft()
        self._update(link)

    def _update(self, link: HostLink) -> None:
        """Take what was ordered of the firmware, and send what that takes; whatever else there is to say goes first."""
        updater, now = self._updater, boot_ms()
        while self._update_orders:
            order = self._update_orders.popleft()
            if isinstance(order, str):
                updater.abort(order)
            elif any(self._off_hook.values()):
                updater.refuse(order, "refused_in_use")
            else:
                updater.order(order, now)
        updater.tick(now)
        while link.up and (command := updater.wanted(now)) is not None:
            try:
                link.send(command)
            except LinkBusyError:
                return
            updater.sent(command)

    def deadline(self) -> int | None:
        """When there is something to do without a word from the card."""
        due = self._updater.deadline()
        rising = self._rising.until_ms if self._rising is not None else None
        return rising if due is None else due if rising is None else min(due, rising)

    def _send(self, link: HostLink, line: int, message: object) -> None:
        """Send what this card can do."""
        match message:
            case m.Led() if Capability.LAMPS not in link.capabilities:
                return
            case m.CidSend() if Capability.CALLER_ID not in link.capabilities:
                return
            case m.SetPolarity() if Capability.POLARITY not in link.capabilities:
                return
            case m.SetVmwi() if Capability.VMWI not in link.capabilities:
                return
            case m.LineTestStart() | m.LineTestAbort() if Capability.LINE_TEST not in link.capabilities:
                return
            case m.RingStart(caller=caller) if caller and Capability.CALLER_ID not in link.capabilities:
                link.send(structs.replace(message, caller=""), line)
            case _:
                link.send(message, line)

    def leaving(self, link: HostLink) -> None:
        """Give the session back, so that the card falls silent now and not when its lease ends."""
        self._leaving = True
        self.woken(link)
        if link.up:
            try:
                link.send(m.Reset(ResetMode.LINK_ONLY))
            except LinkBusyError:
                return

    def port_lost(self, reason: str) -> None:
        """The port cannot be opened or is gone."""
        self._down(reason)

    def link_event(self, link: HostLink, event: LinkEvent) -> None:
        """Turn what the link says into what the owner understands."""
        match event:
            case AudioReceived():
                self._audio(link, event)
            case Received():
                self._received(event)
            case Answered() if self._updater.answered(event.command, event.status, event.result, boot_ms()):
                pass
            case Answered() if event.status is not Status.OK:
                self._commands_refused += 1
                self._last_refusal = f"{type(event.command).__name__} on line {event.line}: {event.status.name}"
                if isinstance(event.command, m.LineTestStart):
                    why = _NOT_BEGUN.get(event.status, LineTestStatus.UNSUPPORTED)
                    self._emit(LineTested(event.line, LineTest(event.command.tests), why))
            case LinkUp(peer=m.HelloAck() as card):
                self._updater.session(card, boot_ms())
                self._rising = _Rising(
                    card.lines, card.firmware, set(range(min(card.lines, m.MAX_LINES))),
                    boot_ms() + _STATUS_PATIENCE_MS,
                )  # fmt: skip
                if not card.lines:
                    self._rise()
            case LinkDown(reason=reason, detail=detail):
                self._down(detail)
                if reason in _LOSSES and not self._leaving:
                    self._dump(self._down_reason or detail)
            case _:
                pass

    def _note_audio(self, line: int, message: object) -> None:
        if isinstance(message, m.AudioStart):
            self._audio_open.add(line)
            self._expected_counter.pop(line, None)
        elif isinstance(message, m.AudioStop):
            self._audio_open.discard(line)

    def _rise(self) -> None:
        rising, self._rising = self._rising, None
        if rising is not None:
            self._down_reason = None
            lifted = tuple(line for line in range(rising.lines) if self._off_hook.get(line, False))
            self._emit(CardUp(rising.lines, rising.firmware, self._link.capabilities, lifted))

    def _down(self, reason: str) -> None:
        self._rising = None
        with self._outbox_lock:
            self._generation += 1
        self._audio_open.clear()
        self._expected_counter.clear()
        self._off_hook.clear()
        self._updater.lost(boot_ms())
        if self._down_reason is None:
            self._down_reason = reason
            self._emit(CardDown(reason))

    def _audio(self, link: HostLink, frame: AudioReceived) -> None:
        line = frame.line
        if line not in self._audio_open or len(frame.data) != m.AUDIO_BYTES:
            return
        expected = self._expected_counter.get(line, frame.counter)
        if 0 < (expected - frame.counter) & 0xFFFFFFFF <= _LATE_SAMPLES:
            self._audio_late += 1
            return
        missing = (frame.counter - expected) & 0xFFFFFFFF
        if missing < 1 << 31:
            lost = missing // _FRAME_SAMPLES
            self._audio_lost += lost
            told = min(lost, ANSWERED_LOST)
            for back in range(told, 0, -1):
                skipped = lost - told if back == told else 0
                self._exchange(
                    link, (frame.counter - back * _FRAME_SAMPLES) & 0xFFFFFFFF, SpeechFrame(line, None, skipped=skipped)
                )
        self._expected_counter[line] = (frame.counter + _FRAME_SAMPLES) & 0xFFFFFFFF
        self._exchange(link, frame.counter, SpeechFrame(line, frame.data, bool(frame.flags & AudioFlag.DTMF)))

    def _exchange(self, link: HostLink, counter: int, frame: SpeechFrame) -> None:
        """Give a frame to the owner, and the owner's to the card."""
        try:
            answer = self._on_audio(frame)
        except Exception:  # noqa: BLE001 -- a fault of the owner must not silence the other line
            self._callback_failed()
            answer = None
        if answer is None or len(answer) != m.AUDIO_BYTES:
            answer = SILENCE_FRAME
        link.send_audio(frame.line, counter, 0, answer)

    def _received(self, received: Received) -> None:
        line, at_ms = received.line, received.at_ms
        if self._rising is not None and self._first_status(self._rising, line, received.message):
            return
        match received.message:
            case m.HookEvent(off_hook=off_hook) | m.LineStatus(off_hook=off_hook):
                if self._off_hook.get(line, False) is not off_hook:
                    self._off_hook[line] = off_hook
                    if off_hook:
                        self._updater.abort("aborted_line_needed")
                    self._emit(Hook(line, off_hook, at_ms))
            case m.DigitEvent(digit=digit) if digit and digit in "0123456789*#ABCD":
                self._emit(Digit(line, digit, at_ms))
            case m.FlashEvent(ms=ms):
                self._emit(Flash(line, ms, at_ms))
            case m.LineTestResultEvent(test=test, status=status, values=values) if test in _SINGLE_TESTS:
                self._emit(LineTested(line, LineTest(test), status, values))
            case m.ButtonEvent(down=False, held_ms=held_ms):
                self._emit(Button(held_ms))
            case _:
                pass

    def _first_status(self, rising: _Rising, line: int, message: object) -> bool:
        """Take how a line is when a session begins; false where the message is something else."""
        if not isinstance(message, (m.HookEvent, m.LineStatus)):
            return False
        self._off_hook[line] = message.off_hook
        if message.off_hook:
            self._updater.abort("aborted_line_needed")
        rising.unknown.discard(line)
        if not rising.unknown:
            self._rise()
        return True

    def _dump(self, reason: str) -> None:
        if self._on_trace is None:
            return
        try:
            self._on_trace(reason, self._link.trace.lines())
        except Exception:  # noqa: BLE001 -- a full disk must not end the card's thread
            self._callback_failed()

    def _emit(self, event: CardEvent) -> None:
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 -- a fault of the owner must not end the card's thread
            self._callback_failed()

    def _callback_failed(self) -> None:
        self._callback_errors += 1
        if self._callback_errors == 1:
            _log.exception("a callback of the line card failed; later failures are only counted")
