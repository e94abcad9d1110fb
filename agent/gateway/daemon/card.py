"""Joins the line card (`firmware_bridge`) with the Switch: its events in our words, our actions in its words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import firmware_bridge as bridge
from agent.core import actions, events, terms
from agent.core.update import UpdatePhase, UpdateProgress
from agent.gateway.analogue import Analogue, CallerDisplay
from agent.gateway.daemon.analogue import cadence_of, line_profile
from agent.gateway.daemon.announcer import Announcer, Playback
from agent.gateway.daemon.audio import LineAudio
from agent.gateway.daemon.buffer_plan import CARD_FRAME_US, CARD_PLAYOUT
from agent.gateway.daemon.display import announcement, waiting_announcement
from agent.gateway.daemon.line_test import TESTS, line_tested
from agent.gateway.protocol import Configure, Line, ToneSpec


def _program(spec: ToneSpec) -> bridge.ToneProgram:
    return bridge.ToneProgram(
        level_dbm0=spec.level_dbm0,
        segments=tuple(bridge.ToneSegment(tuple(part.frequencies), part.ms) for part in spec.segments),
        once=spec.once,
    )


class Card:
    """The card and the speech of its lines. `post` gets every event, on the card's own thread.

    `on_trace(reason, lines)` gets the last frames where the link was lost, on the card's thread too. `log(level, event,
    detail)` hears of an action that the card's protocol has no room for. Without `announcer` only tones are heard.
    """

    def __init__(
        self,
        path: str,
        audio: Sequence[LineAudio],
        post: Callable[[events.TelephoneEvent], None],
        on_trace: Callable[[str, Sequence[str]], None] = lambda _reason, _lines: None,
        log: Callable[[str, str, str], None] = lambda _level, _event, _detail: None,
        announcer: Announcer | None = None,
    ) -> None:
        self._audio = audio
        self._announcer = announcer
        self._post = post
        self._tones: dict[terms.Tone, bridge.ToneProgram] = {}
        self._cadence: Sequence[int] = (1000, 4000)
        self._settings: dict[int, Line] = {}
        self._analogue: Analogue | None = None
        self._card_lines = 0
        self._reversed: set[int] = set()
        """Lines whose wires have changed places until their ringing ends."""
        self._machines: set[int] = set()
        """Lines in whose present conversation a machine was heard, and the card told."""
        self._images: dict[str, bridge.FirmwareImage] = {}
        self._on_trace = on_trace
        self._log = log
        self._card = bridge.LineCard(path, on_event=self._heard, on_audio=self._speech, on_trace=on_trace)

    def start(self) -> None:
        """Open the serial port, and again whenever it is lost."""
        self._card.start()

    def stop(self) -> None:
        """Leave the card idle and close the port."""
        self._card.stop()

    def dump_trace(self, reason: str) -> None:
        """Give the last frames to `on_trace` now."""
        self._on_trace(reason, self._card.trace())

    def use(self, configuration: Configure) -> None:
        """Take tones, cadences, what the wires are like and how announcements sound from the configuration."""
        if self._announcer is not None:
            self._announcer.use(configuration.language, configuration.announcements)
        self._tones = {tone: _program(spec) for tone, spec in configuration.tones.items()}
        self._cadence = tuple(configuration.ring_cadence_ms)
        settings = {entry.line: entry for entry in configuration.lines if entry.line < len(self._audio)}
        changed = [line for line in range(len(self._audio)) if _gain(settings, line) != _gain(self._settings, line)]
        before = self._profiles()
        self._settings, self._analogue = settings, configuration.analogue
        profiles = self._profiles()
        self._send_profiles([line for line, profile in profiles.items() if profile != before.get(line)])
        for line, audio in enumerate(self._audio):
            audio.use(self._setting(line).profile)
        self._send_gains(changed)

    def perform(self, action: actions.CardAction) -> None:
        """Do what the Switch decided. Never blocks; a line that the card does not have is ignored.

        Never raises either: what the card can't be told is logged, and the telephone goes on.
        """
        if not 0 <= action.line < len(self._audio):
            return
        try:
            self._perform(action)
        except bridge.MessageError as error:
            self._log("error", "card_action_impossible", f"{type(action).__name__} on line {action.line}: {error}")

    def perform_for_adapter(self, action: actions.AdapterAction) -> None:
        """Do what the Switch decided of the card as a whole. Never blocks, never raises."""
        match action:
            case actions.SetAdapterLamp(lamp):
                self._card.adapter_lamp(bridge.LampState(lamp.value))
            case actions.StartUpdate(request, forced):
                image = self._images.pop(request, None)
                if image is None:
                    gone = UpdateProgress(UpdatePhase.FAILED, request, reason="image_gone")
                    self._post(events.UpdateProgressed(gone))
                else:
                    self._card.update(image, request, forced=forced)
            case actions.AbortUpdate(reason):
                self._card.abort_update(reason)

    def offer(self, request: str, image: bridge.FirmwareImage) -> None:
        """Keep an image for the update that the Switch may start; only the last one that was offered is kept."""
        self._images = {request: image}

    def _perform(self, action: actions.CardAction) -> None:
        match action:
            case actions.Ring() | actions.StopRing() | actions.ShowWaiting() | actions.ShowMessages():
                self._alert(action)
            case actions.PlayTone(line, tone, duration_ms):
                self._card.tone(line, self._tones.get(tone, _FALLBACK), duration_ms)
            case actions.StopTone(line):
                self._card.stop_tone(line)
            case actions.PlayDtmf(line, digit):
                self._card.send_digits(line, digit)
            case actions.OpenAudio() | actions.CloseAudio() | actions.Announce() | actions.StopAnnouncement():
                self._perform_speech(action)
            case actions.SetLamp(line, lamp):
                self._card.lamp(line, bridge.LampState(lamp.value))
            case actions.StartLineTest(line, test, closed_loop):
                self._card.start_line_test(line, TESTS[test], closed_loop=closed_loop)
            case actions.AbortLineTest(line):
                self._card.abort_line_test(line)

    def _perform_speech(
        self, action: actions.OpenAudio | actions.CloseAudio | actions.Announce | actions.StopAnnouncement
    ) -> None:
        match action:
            case actions.OpenAudio(line):
                self._machines.discard(line)
                self._audio[line].open()
                self._open_audio(line)
            case actions.Announce():
                self._announce(action)
            case actions.StopAnnouncement(line):
                self._card.close_audio(line)
                self._audio[line].announce(None)
            case actions.CloseAudio(line):
                self._card.close_audio(line)
                self._audio[line].close()

    def _open_audio(self, line: int) -> None:
        self._card.open_audio(line, playout=CARD_PLAYOUT, echo_canceller=not self._setting(line).profile.is_data)

    def _announce(self, order: actions.Announce) -> None:
        playback = Playback(order.take, order.after_ms * 1000 // CARD_FRAME_US)
        self._audio[order.line].announce(playback)
        if order.take:
            self._open_audio(order.line)
        if self._announcer is None:
            playback.give(None)
        else:
            self._announcer.fetch(order.announcement, playback)

    def _alert(self, action: actions.Ring | actions.StopRing | actions.ShowWaiting | actions.ShowMessages) -> None:
        match action:
            case actions.Ring():
                self._ring(action)
            case actions.StopRing(line):
                self._card.stop_ring(line)
                if line in self._reversed:
                    self._reversed.discard(line)
                    self._card.reverse(line, reversed_=False)
            case actions.ShowWaiting(line, caller, when):
                message = waiting_announcement(self._display, caller, when)
                if message is not None:
                    self._card.present(line, bridge.CidStandard.ETSI_FSK, bridge.CidPlacement.NOW, message)
            case actions.ShowMessages(line, waiting):
                self._card.messages(line, waiting=waiting)

    @property
    def _display(self) -> CallerDisplay:
        return self._analogue.caller_display if self._analogue is not None else CallerDisplay()

    def _ring(self, order: actions.Ring) -> None:
        line, shown = order.line, ""
        announced = announcement(self._display, order.caller, order.when) if order.caller is not None else None
        if order.caller is not None and announced is not None:
            shown = order.caller.shown_number
            if self._display.line_reversal:
                self._reversed.add(line)
                self._card.reverse(line, reversed_=True)
            self._card.present(line, *announced)
        cadence = self._cadence if self._analogue is None else cadence_of(self._analogue, order.cadence, self._cadence)
        self._card.ring(line, cadence, shown)

    def _setting(self, line: int) -> Line:
        return self._settings.get(line, _UNSET)

    def _profiles(self) -> dict[int, bridge.SetProfile]:
        """What each line of ours should be like; nothing before the first configuration."""
        if self._analogue is None:
            return {}
        return {line: line_profile(self._analogue, self._setting(line)) for line in range(len(self._audio))}

    def _send_profiles(self, lines: Iterable[int]) -> None:
        profiles = self._profiles()
        for line in lines:
            if line < self._card_lines:
                self._card.profile(line, profiles[line])

    def _send_gains(self, lines: Sequence[int]) -> None:
        for line in lines:
            if line < self._card_lines:
                self._card.gain(line, *_gain(self._settings, line))

    def _speech(self, frame: bridge.SpeechFrame) -> bytes | None:
        if frame.line >= len(self._audio):
            return None
        audio = self._audio[frame.line]
        answer = audio.card_frame(frame.alaw, dtmf=frame.dtmf, skipped=frame.skipped)
        if audio.data and frame.line not in self._machines:
            self._machine_heard(frame.line)
        if (take := audio.announced()) is not None:
            self._post(events.AnnouncementOver(frame.line, take))
        return answer

    def _machine_heard(self, line: int) -> None:
        """Only the echo canceller changes when open speech is opened again; modems cancel their own echo."""
        self._machines.add(line)
        if not self._setting(line).profile.is_data:
            self._card.open_audio(line, playout=CARD_PLAYOUT, echo_canceller=False)
            self._post(events.MachineHeard(line))

    def _heard(self, event: bridge.CardEvent) -> None:
        match event:
            case bridge.CardUp(lines=lines, firmware=firmware, capabilities=able, off_hook=off_hook):
                self._card_lines = min(lines, len(self._audio))
                self._send_profiles(self._profiles())
                self._send_gains([line for line in range(self._card_lines) if any(_gain(self._settings, line))])
                self._post(
                    events.CardUp(
                        self._card_lines, firmware, bridge.Capability.LINE_TEST in able,
                        bridge.Capability.FIRMWARE_UPDATE in able, off_hook,
                    )
                )  # fmt: skip
            case bridge.CardDown(reason=reason):
                for audio in self._audio:
                    audio.announce(None)
                self._post(events.CardDown(reason))
            case bridge.Hook(line=line, off_hook=True):
                self._post(events.OffHook(line))
            case bridge.Hook(line=line, at_ms=at_ms):
                self._post(events.OnHook(line, at_ms))
            case bridge.Digit(line=line, digit=digit):
                self._post(events.DigitDialled(line, digit))
            case bridge.Flash(line=line):
                self._post(events.HookFlash(line))
            case bridge.LineTested():
                if (tested := line_tested(event)) is not None:
                    self._post(tested)
            case bridge.Progress():
                self._post(
                    events.UpdateProgressed(
                        UpdateProgress(
                            UpdatePhase(event.phase.value), event.request, event.version, event.sent, event.total,
                            event.reason, event.detail,
                        )
                    )
                )  # fmt: skip
            case bridge.Button(held_ms=held_ms):
                self._post(events.ButtonPressed(held_ms))


def _gain(settings: Mapping[int, Line], line: int) -> tuple[int, int]:
    """Hundredths of a decibel towards the network and towards the telephone."""
    setting = settings.get(line, _UNSET)
    return 10 * setting.send_gain_ddb, 10 * setting.receive_gain_ddb


_UNSET = Line(line=0, account="", number="")
_FALLBACK = bridge.ToneProgram(level_dbm0=-10, segments=(bridge.ToneSegment((425,), 0),), once=False)
"""Before the first configuration: a continuous 425 Hz says at least that the box is alive (ITU-T E.180, Norway)."""
