"""The simulated card in memory: the card's end of the link, its lines, lamps, button and lease. Time is an argument."""

from __future__ import annotations

from collections.abc import Callable

from firmware_bridge import messages as m
from firmware_bridge.card_events import ADAPTER_LAMP
from firmware_bridge.link_events import AudioReceived, DownReason, LinkDown, LinkEvent, LinkUp, Received
from firmware_bridge.reliable import LinkBusyError
from firmware_bridge.session import CardLink
from firmware_bridge.simulator.firmware import SimulatedFirmware
from firmware_bridge.simulator.flash import Flash, PowerCut
from firmware_bridge.simulator.line import SimulatedLine
from firmware_bridge.simulator.player import TICK_MS
from firmware_bridge.terms import CardIdentity
from firmware_bridge.vocabulary import (
    TRIAL_MS,
    Capability,
    Kind,
    LampColour,
    LampPattern,
    LeaseAction,
    Linefeed,
    ResetCause,
    ResetMode,
    Status,
)

FIRMWARE = "sim-1.0.0"
HARDWARE = "simulated"
BAUDS = (115_200, 460_800, 921_600, 1_000_000, 2_000_000)
CAPABILITIES = (
    Capability.DTMF_DECODER
    | Capability.PULSE_DECODER
    | Capability.CALLER_ID
    | Capability.POLARITY
    | Capability.VMWI
    | Capability.LAMPS
    | Capability.BUTTON
    | Capability.BAUD_SWITCH
    | Capability.LINE_TEST
    | Capability.FIRMWARE_UPDATE
)
_REORDER = m.ToneStart(m.ToneProgram(-10, (m.ToneSegment((425,), 200), m.ToneSegment((), 200))))
"""What a lifted handset hears when the host has gone, if the host wanted so (ITU-T E.180, Norway's congestion)."""
STATUS_MS = 1000


class SimulatedCard:
    """A card with `lines` lines. `note(now, line, what)` gets its transcript; `boot_id` is the first start's number.

    Give it bytes with `receive`, time with `tick` (every 10 ms), and take bytes from `data_to_send`.
    """

    def __init__(
        self,
        lines: int = 2,
        *,
        boot_id: int = 1,
        firmware: str = FIRMWARE,
        capabilities: Capability = CAPABILITIES,
        note: Callable[[int, int, str], None] = lambda _now, _line, _what: None,
        flash: Flash | None = None,
        firmware_key: bytes | None = None,
        trial_ms: int = TRIAL_MS,
    ) -> None:
        if not 1 <= lines <= m.MAX_LINES:
            raise ValueError(f"a card has 1 to {m.MAX_LINES} lines, not {lines}")
        self._boot_id = boot_id
        self.firmware = SimulatedFirmware(flash or Flash(), firmware, HARDWARE, key=firmware_key, trial_ms=trial_ms)
        self._capabilities = capabilities
        self._now = 0
        self._note = note
        self.lamps: dict[int, LampPattern] = {}
        self.colours: dict[int, LampColour] = {}
        self.profiles: dict[int, m.SetProfile] = {}
        self.ignored_events = 0
        self.lines = [SimulatedLine(index, self._emit, self._speak, self._write) for index in range(lines)]
        self._boot(ResetCause.POWER_ON)

    def _boot(self, cause: ResetCause) -> None:
        self.firmware.boot(self._now)
        self._restart: ResetCause | None = None
        self.link = CardLink(
            CardIdentity(
                boot_id=self._boot_id,
                lines=len(self.lines),
                firmware=self.firmware.running,
                hardware=HARDWARE,
                capabilities=self._capabilities,
                reset_cause=cause,
                bauds=BAUDS,
            )
        )
        self._status_ms = 0
        self._button_ms: int | None = None
        self.lamps.clear()
        self.profiles.clear()
        for line in self.lines:
            line.idle()

    def start(self, now: int) -> None:
        """Power on."""
        self._now = now
        self.link.start(now)

    def reset(self, now: int, cause: ResetCause = ResetCause.WATCHDOG) -> None:
        """The microcontroller restarts: everything asked is forgotten, handsets stay where they are."""
        self._now = now
        self._boot_id += 1
        self._write(0, "the card restarts")
        self._boot(cause)
        self.link.start(now)

    @property
    def connected(self) -> bool:
        """Whether a host has a session."""
        return self.link.up

    def receive(self, data: bytes, now: int) -> None:
        """Bytes from the host."""
        self._now = now
        if self.firmware.mute:
            return
        self.link.receive(data, now)
        self._powered(self._events)

    def data_to_send(self, now: int) -> bytes:
        """Bytes for the host; empty: nothing."""
        if self.firmware.mute:
            return b""
        data = self.link.data_to_send(now)
        if self._restart is not None and not data:
            # The answer to ACTIVATE is on its way.
            self.reset(now, self._restart)
        return data

    def tick(self, now: int) -> None:
        """Live through 10 ms."""
        self._now = now
        self.link.on_timer(now)
        self._powered(self._events)
        self._powered(self._tick_firmware)
        for line in self.lines:
            line.tick(now)
        if self.link.up and now >= self._status_ms:
            self._report(now)

    def _tick_firmware(self) -> None:
        if self.firmware.tick(self._now):
            self.reset(self._now, ResetCause.WATCHDOG)

    def _powered(self, do: Callable[[], None]) -> None:
        """Do something during which the power may fail; it comes back at once."""
        try:
            do()
        except PowerCut:
            self.reset(self._now, ResetCause.BROWN_OUT)

    def _in_use(self) -> Status:
        if any(line.off_hook for line in self.lines):
            return Status.OFF_HOOK
        busy = any(line.ringing or line.playout is not None or line.tester.running for line in self.lines)
        return Status.BUSY if busy else Status.OK

    def press_button(self, held_ms: int) -> None:
        """Press the adapter's button and release it after `held_ms`."""
        t_us = self._now * 1000
        self._emit(m.ButtonEvent(t_us, down=True), 0)
        self._emit(m.ButtonEvent(t_us + held_ms * 1000, down=False, held_ms=held_ms), 0)

    def _report(self, now: int) -> None:
        self._status_ms = now + STATUS_MS
        for line in self.lines:
            self._emit(line.status(now), line.index)

    def _write(self, line: int, what: str) -> None:
        self._note(self._now, line, what)

    def _emit(self, event: object, line: int) -> None:
        if not self.link.up:
            return
        try:
            self.link.send(event, line)
        except LinkBusyError:
            self.ignored_events += 1

    def _speak(self, line: int, counter: int, flags: int, alaw: bytes) -> None:
        if self.link.up:
            self.link.send_audio(line, counter, flags, alaw)

    def _events(self) -> None:
        link = self.link
        # A command may restart the card: what the old link still had to say is then void.
        while link is self.link and (event := link.next_event()) is not None:
            self._event(event)

    def _event(self, event: LinkEvent) -> None:
        match event:
            case LinkUp():
                self._write(0, "the host opens a session")
                self._report(self._now)
            case LinkDown(reason=reason, detail=detail):
                self._write(0, f"the session ends: {detail}")
                reorder = reason is DownReason.SILENT and self.link.lease_action is LeaseAction.REORDER
                for line in self.lines:
                    line.idle()
                    if reorder and line.off_hook:
                        line.play(_REORDER)
            case AudioReceived(line=line, counter=counter, data=data) if line < len(self.lines):
                self.lines[line].hear(counter, data)
            case Received(kind=Kind.CMD):
                self._command(event)
            case _:
                pass

    def _command(self, command: Received) -> None:
        match command.message:
            case m.Reset(mode=ResetMode.LINK_ONLY):
                self.link.respond(command, Status.OK)
                self.link.close(self._now)
            case m.Reset(mode=ResetMode.SOFT):
                self.reset(self._now, ResetCause.SOFTWARE)
            case m.GetStats():
                self.link.respond(command, Status.OK, self._stats())
            case m.Led(lamp=lamp, colour=colour, pattern=pattern):
                exists = lamp < len(self.lines) or lamp == ADAPTER_LAMP
                if exists:
                    self.lamps[lamp] = pattern
                    self.colours[lamp] = colour
                self.link.respond(command, Status.OK if exists else Status.INVALID)
            case (
                m.FirmwareBegin() | m.FirmwareData() | m.FirmwareVerify() | m.FirmwareActivate() | m.FirmwareStatus()
            ) if Capability.FIRMWARE_UPDATE in self._capabilities:
                status, result, restart = self.firmware.order(command.message, self._now, self._in_use)
                self.link.respond(command, status, result)
                if restart:
                    self._restart = ResetCause.UPDATE
            case _ if command.line >= len(self.lines):
                self.link.respond(command, Status.BAD_LINE)
            case m.LineTestStart() | m.LineTestAbort():
                self.link.respond(command, self._line_test(self.lines[command.line], command.message))
            case m.LineMeasure():
                self.link.respond(command, Status.OK, self._measure(self.lines[command.line]))
            case _:
                self.link.respond(command, self._order(self.lines[command.line], command.message))

    def _order(self, line: SimulatedLine, order: object) -> Status:
        status = Status.OK
        match order:
            case m.RingStart():
                status = line.ring(order, self._now)
            case m.RingStop():
                line.stop_ring()
            case m.ToneStart():
                status = line.play(order)
            case m.ToneStop():
                line.stop_tone()
            case m.AudioStart():
                line.open_audio(order)
            case m.AudioStop():
                line.close_audio()
            case m.GetStatus():
                self._emit(line.status(self._now), line.index)
            case m.DtmfSend():
                status = line.send_digits(order)
            case m.SetGain():
                line.use_gain(order)
            case m.SetProfile():
                self.profiles[line.index] = order
                line.use_profile(order)
            case m.SetLinefeed(linefeed=Linefeed.RINGING):
                status = Status.INVALID
            case _:
                status = self._display(line, order)
        return status

    def _display(self, line: SimulatedLine, order: object) -> Status:
        match order:
            case m.CidSend() if Capability.CALLER_ID in self._capabilities:
                return line.present(order, self._now)
            case m.SetVmwi() if Capability.VMWI in self._capabilities:
                return line.show_messages(order.mode)
            case m.SetPolarity() if Capability.POLARITY in self._capabilities:
                return line.turn(order)
            case _:
                return Status.UNSUPPORTED

    def _line_test(self, line: SimulatedLine, order: m.LineTestStart | m.LineTestAbort) -> Status:
        if Capability.LINE_TEST not in self._capabilities:
            return Status.UNSUPPORTED
        if isinstance(order, m.LineTestStart):
            return line.start_test(order, self._now)
        line.abort_test(self._now)
        return Status.OK

    def _stats(self) -> m.Stats:
        framing = self.link.decoder.counters
        return m.Stats(
            crc_errors=framing.crc_errors,
            cobs_errors=framing.cobs_errors,
            sequence_gaps=self.link.sequence_gaps,
            retransmissions=self.link.retransmissions,
            rx_overruns=framing.overruns,
            audio_lost=sum(line.lost for line in self.lines),
            audio_late=sum(line.late for line in self.lines),
            audio_underruns=sum(line.playout.underruns for line in self.lines if line.playout is not None),
            rtt_us=self.link.rtt_ms * 1000,
            uptime_ms=self._now,
        )

    def _measure(self, line: SimulatedLine) -> m.LineMeasurement:
        status = line.status(self._now)
        return m.LineMeasurement(
            tip_ring_mv=status.tip_ring_mv, battery_mv=-52_000, dc_mv=status.tip_ring_mv, loop_ua=status.loop_ua
        )


assert STATUS_MS % TICK_MS == 0
