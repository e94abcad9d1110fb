"""One simulated analog line: hook, ringing, tone, speech, and the script of the telephone on it."""

from __future__ import annotations

import array
import enum
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from firmware_bridge import messages as m
from firmware_bridge import tonemeter
from firmware_bridge.caller_id import message_waiting
from firmware_bridge.g711 import SILENCE, decode_alaw, encode_alaw
from firmware_bridge.simulator.display import ANSWER, ANSWER_MS, Display
from firmware_bridge.simulator.hook import HookDecoder, HookNews, HookTimes, HookWhat
from firmware_bridge.simulator.loop import LineTester, Loop
from firmware_bridge.simulator.player import (
    RATE,
    SILENT_TICK,
    TICK_MS,
    TICK_SAMPLES,
    Playout,
    TonePlayer,
    amplified,
    dtmf_program,
    key_press,
)
from firmware_bridge.simulator.presenter import Presenter
from firmware_bridge.vocabulary import (
    AudioFlag,
    CidPlacement,
    CidStandard,
    DigitMethod,
    DoneResult,
    HookCause,
    Linefeed,
    LineTest,
    PolarityMode,
    Status,
    VmwiMode,
)

SPEECH_DBM0 = -10
DETECT_MS = 30
"""How long a key is down before the decoder believes it: until then its tone is in the speech like any other sound."""
_SILENT_ALAW = bytes([SILENCE]) * TICK_SAMPLES
HEARD_TICKS = 1500
"""So much of what was heard is kept: three rounds of any ringing tone."""
_SAMPLE_MIN, _SAMPLE_MAX = -32_768, 32_767


class Act(enum.Enum):
    """What a telephone can be told to do."""

    LIFT = "lift"
    REPLACE = "replace"
    PRESS = "press"
    RELEASE = "release"
    BREAK = "break"
    """The loop is opened although the handset is up: by the dial, the recall key or a finger on the hook."""
    MAKE = "make"
    WAIT = "wait"


class Step(Struct, frozen=True):
    """One act of a script; the next follows `ms` later."""

    act: Act
    ms: int = 0
    digit: str = ""


def _add(one: bytes, other: bytes) -> bytes:
    """The sum of two ticks, clipped."""
    if one is SILENT_TICK:
        return other
    if other is SILENT_TICK:
        return one
    pairs = zip(array.array("h", one), array.array("h", other), strict=True)
    return array.array("h", [max(_SAMPLE_MIN, min(_SAMPLE_MAX, a + b)) for a, b in pairs]).tobytes()


class SimulatedLine:
    """The card's half of a line and the telephone's half; `tick` moves both on by 10 ms.

    `emit(event, line)` sends an event to the host, `speak(line, counter, flags, alaw)` a frame of speech,
    `note(line, what)` writes the transcript.
    """

    def __init__(
        self,
        index: int,
        emit: Callable[[object, int], None],
        speak: Callable[[int, int, int, bytes], None],
        note: Callable[[int, str], None],
    ) -> None:
        self.index = index
        self.off_hook = False
        """Whether the card sees loop current: a lifted handset, or a fault that looks like one."""
        self.handset_up = False
        self.hook = HookDecoder()
        self._broken = False
        self.loop = Loop()
        self.next_loop: Loop | None = None
        """What somebody has just made of the wiring."""
        self.tester = LineTester(index)
        self.ringing = False
        self.bursts = 0
        self.presenter = Presenter(self._presented)
        self.display = Display()
        self.reversed = False
        """Whether the wires have changed places."""
        self._now = 0
        self._held_ring: m.RingStart | None = None
        """Ringing that waits until the caller has been told."""
        self._messages: bool | None = None
        """What the lamp for messages is to show, and does not yet."""
        self._answer_ends_ms: int | None = None
        self.player: TonePlayer | None = None
        self.playout: Playout | None = None
        self.script: deque[Step] = deque()
        self.lost = 0
        """Frames of speech that the host numbered and that never came, since the card was made."""
        self.late = 0
        """Frames that came when their time was over."""
        self.frames_in = 0
        self.frames_out = 0
        self.ticks = 0
        self.heard: deque[bytes] = deque([SILENT_TICK] * HEARD_TICKS, maxlen=HEARD_TICKS)
        self._emit, self._speak, self._note = emit, speak, note
        self._busy_until = 0
        self.cadence: tuple[int, ...] = ()
        self._ring_started = 0
        self._ring_max = 0
        self._burst_on = False
        self._counter = 0
        self._awaited: int | None = None
        self.mouth: Callable[[int], bytes] | None = None
        """What is said instead of a voice: 10 ms of A-law for the tick at this time."""
        self.ear: Callable[[int, bytes], None] | None = None
        """Hears what is played in the tick at this time, as A-law where it came as such: see `Playout.last_alaw`."""
        self._voice = b""
        self._voice_at = 0
        self.tx_cdb = self.rx_cdb = 0
        self.echo_canceller = True
        self._key = ""
        self._pressed_ms = 0
        self._detected = False

    # --- the card's half ---

    def idle(self) -> None:
        """The card forgets what it was asked; the handset stays where it is."""
        if self.ringing:
            self._note(self.index, "ringing ends")
        self.ringing = self._burst_on = False
        self._held_ring = self._messages = None
        self.presenter.stop(DoneResult.STOPPED)
        self.reversed = False
        self.player = None
        self.playout = None
        self.tx_cdb = self.rx_cdb = 0
        self.tester.abort(0)

    def ring(self, order: m.RingStart, now: int) -> Status:
        """Begin to ring."""
        if not order.cadence_ms or len(order.cadence_ms) % 2 or not sum(order.cadence_ms):
            return Status.INVALID
        if self.off_hook:
            return Status.OFF_HOOK
        self.abort_test(now)
        self.ringing = True
        self.display.ringing()
        self._held_ring = order if self.presenter.ringing_begins(order) else None
        self.cadence, self._ring_started, self._ring_max = order.cadence_ms, now, order.max_ms
        self._burst_on, self.bursts = False, 0
        self._note(self.index, "ringing begins")
        return Status.OK

    def stop_ring(self) -> None:
        """Stop ringing."""
        if self.ringing:
            self.ringing = self._burst_on = False
            self._held_ring = None
            self.presenter.stop(DoneResult.STOPPED)
            self._note(self.index, "ringing ends")

    def present(self, order: m.CidSend, now: int) -> Status:
        """Show the telephone who calls, or that messages wait."""
        status = self.presenter.order(order, off_hook=self.off_hook, ringing=self.ringing)
        if status is Status.OK:
            self.abort_test(now)
            if order.placement is CidPlacement.NOW:
                self.stop_tone()
        return status

    def turn(self, order: m.SetPolarity) -> Status:
        """Let the wires change places."""
        if order.mode is PolarityMode.WINK:
            return Status.UNSUPPORTED
        self.reversed = order.mode is PolarityMode.REVERSE
        return Status.OK

    def show_messages(self, mode: VmwiMode) -> Status:
        """Light or put out the telephone's lamp for messages, as soon as the handset is down."""
        if mode not in (VmwiMode.OFF, VmwiMode.FSK):
            return Status.UNSUPPORTED
        self._messages = mode is VmwiMode.FSK
        return Status.OK

    def _tell_messages(self) -> None:
        if self._messages is None or self.off_hook or self.ringing or self.presenter.busy or self.tester.running:
            return
        message = message_waiting(waiting=self._messages)
        self._messages = None
        self.presenter.order(m.CidSend(CidStandard.ETSI_FSK, CidPlacement.NOW, message), off_hook=False, ringing=False)

    def _presented(self, result: DoneResult) -> None:
        held, self._held_ring = self._held_ring, None
        if held is not None and self.ringing:
            self._ring_started = self._now
        self._note(self.index, f"caller display: {result.name.lower()}")
        self._emit(m.CidDoneEvent(self._now * 1000, result), self.index)

    def start_test(self, order: m.LineTestStart, now: int) -> Status:
        """Begin to measure the wires."""
        if self.ringing or self.player is not None or self.playout is not None or self.tester.running:
            return Status.BUSY
        if self.off_hook and not order.closed_loop:
            return Status.OFF_HOOK
        if not self.tester.start(LineTest(order.tests), now):
            return Status.UNSUPPORTED
        self._note(self.index, "line test begins")
        return Status.OK

    def abort_test(self, now: int) -> None:
        """The wires are needed."""
        gone = self.tester.abort(now)
        for result in gone:
            self._emit(result, self.index)
        if gone:
            self._note(self.index, "line test aborted")

    def play(self, order: m.ToneStart) -> Status:
        """Begin a tone, instead of any other."""
        if not order.program.segments:
            return Status.INVALID
        self.player = TonePlayer(order.program, order.duration_ms)
        self._note(self.index, "tone begins")
        return Status.OK

    def send_digits(self, order: m.DtmfSend) -> Status:
        """Play digits to the telephone, instead of any tone."""
        if not order.digits or not set(order.digits) <= tonemeter.DTMF_HZ.keys() or not order.on_ms:
            return Status.INVALID
        self.player = TonePlayer(dtmf_program(order.digits, order.on_ms, order.off_ms), 0)
        self._note(self.index, f"digits {order.digits} are played")
        return Status.OK

    def use_profile(self, profile: m.SetProfile) -> None:
        """Tell flashes and dial pulses apart as the host wants it, and amplify."""
        self.hook.times = HookTimes.of(profile)
        self.tx_cdb, self.rx_cdb = profile.tx_gain_cdb, profile.rx_gain_cdb

    def use_gain(self, order: m.SetGain) -> None:
        """Amplify what is said and what is heard."""
        self.tx_cdb, self.rx_cdb = order.tx_cdb, order.rx_cdb

    def stop_tone(self) -> None:
        """Stop the tone."""
        if self.player is not None:
            self.player = None
            self._note(self.index, "tone ends")

    def open_audio(self, order: m.AudioStart) -> None:
        """Let speech flow; a second order changes nothing but the echo canceller."""
        self.echo_canceller = order.echo_canceller
        if self.playout is None:
            self.playout = Playout()
            self._awaited = None
            self._note(self.index, "speech begins")

    def close_audio(self) -> None:
        """Stop speech."""
        if self.playout is not None:
            self.playout = None
            self._note(self.index, "speech ends")

    def hear(self, counter: int, alaw: bytes) -> None:
        """A frame of speech came from the host, in answer to ours with this sample counter."""
        self.frames_in += 1
        if self.playout is None:
            return
        if self._awaited is not None:
            missing = (counter - self._awaited) & 0xFFFFFFFF
            if missing >= 1 << 31:
                self.late += 1
                return
            self.lost += missing // TICK_SAMPLES
        self._awaited = (counter + TICK_SAMPLES) & 0xFFFFFFFF
        self.playout.put(alaw)

    def status(self, now: int) -> m.LineStatus:
        """The line as it is."""
        feed = Linefeed.RINGING if self.ringing else Linefeed.FORWARD_ACTIVE
        return m.LineStatus(
            t_us=now * 1000, off_hook=self.off_hook, linefeed=feed, ringing=self.ringing,
            tone=self.player is not None, audio=self.playout is not None,
            tip_ring_mv=8000 if self.off_hook else 48_000, loop_ua=23_000 if self.off_hook else 0,
        )  # fmt: skip

    # --- the telephone's half ---

    @property
    def _at_ear(self) -> bool:
        """Whether the handset is up and the loop closed: what sounds is heard, and what is said goes out."""
        return self.handset_up and not self._broken

    def use_voice(self, hz: float | None) -> None:
        """Speak a steady tone, None: nothing."""
        self._voice_at = 0
        self._voice = b"" if hz is None else encode_alaw(tonemeter.tone(hz, 1000, SPEECH_DBM0))

    @property
    def scripted(self) -> bool:
        """Whether the script still has something to do."""
        return bool(self.script)

    def tick(self, now: int) -> None:
        """Live through 10 ms."""
        self._now = now
        while self.script and now >= self._busy_until:
            step = self.script.popleft()
            self._perform(step, now)
            self._busy_until = now + step.ms
        self._detect(now)
        if self._answer_ends_ms is not None and now >= self._answer_ends_ms:
            self._key, self._answer_ends_ms = "", None
        if self.next_loop is not None:
            self.loop, self.next_loop = self.next_loop, None
        self._look_at_loop(now)
        result = self.tester.tick(self.loop, now)
        if result is not None:
            self._emit(result, self.index)
        self._tick_ring(now)
        self._tick_earpiece(now)
        if self.playout is not None:
            self._tick_microphone(now)

    def _perform(self, step: Step, now: int) -> None:
        t_us = now * 1000
        match step.act:
            case Act.LIFT:
                self.handset_up = True
            case Act.REPLACE:
                self.handset_up = self._broken = False
            case Act.BREAK | Act.MAKE if self.handset_up:
                self._broken = step.act is Act.BREAK
            case Act.PRESS if self.handset_up:
                self._key, self._pressed_ms, self._detected = step.digit, now, False
                self._note(self.index, f"digit {step.digit}")
            case Act.RELEASE if self._key:
                self._detect(now)
                if self._detected:
                    self._emit(m.DigitEndEvent(t_us, self._key, now - self._pressed_ms), self.index)
                self._key = ""
            case Act.PRESS | Act.BREAK:
                self._note(self.index, f"{step.act.value} ignored: the handset is on the hook")
            case _:
                pass

    def _detect(self, now: int) -> None:
        if self._key and self.off_hook and not self._detected and now - self._pressed_ms >= DETECT_MS:
            self._detected = True
            if self.presenter.answered(self._key):
                return
            self._emit(m.DigitEvent(self._pressed_ms * 1000, self._key), self.index)

    def _look_at_loop(self, now: int) -> None:
        """Tell the host what current that begins to flow, or ends, means."""
        before = self.hook.closed
        news = self.hook.sample(self._at_ear or self.loop.closed, now)
        if self.hook.closed is not before:
            self.abort_test(now)
        if news is None:
            return
        t_us = news.at_ms * 1000
        match news.what:
            case HookWhat.FLASHED:
                self._note(self.index, "flash")
                self._emit(m.FlashEvent(t_us, news.ms), self.index)
            case HookWhat.DIALLED:
                self._note(self.index, f"digit {news.digit} by pulses")
                self._emit(m.DigitEvent(t_us, news.digit, DigitMethod.PULSE), self.index)
            case _:
                self._hook_changed(news)

    def _hook_changed(self, news: HookNews) -> None:
        lifted = news.what is HookWhat.LIFTED
        cause = HookCause.RING_TRIP if lifted and self.ringing else HookCause.LOOP
        self.presenter.stop(DoneResult.OFF_HOOK if lifted else DoneResult.STOPPED)
        if lifted:
            self.stop_ring()  # Ring trip is the card's own business; no host could be fast enough.
        self.off_hook = lifted
        self._note(self.index, "off-hook" if lifted else "on-hook")
        self._emit(m.HookEvent(news.at_ms * 1000, off_hook=lifted, cause=cause), self.index)

    def _tick_ring(self, now: int) -> None:
        if not self.ringing or self._held_ring is not None:
            return
        elapsed = now - self._ring_started
        if self._ring_max and elapsed >= self._ring_max:
            self.stop_ring()
            return
        rest = elapsed % sum(self.cadence)
        on = False
        for part, length in enumerate(self.cadence):
            if rest < length:
                on = part % 2 == 0
                break
            rest -= length
        if on is not self._burst_on:
            self._burst_on = on
            self.bursts += on
            if not on:
                self.presenter.burst_ended(length - rest)
            self._emit(m.RingPhaseEvent(now * 1000, self.bursts, on), self.index)

    def _tick_earpiece(self, now: int) -> None:
        self._tell_messages()
        wires = self.presenter.tick(now)
        pcm = SILENT_TICK if self.playout is None else amplified(self.playout.tick(), self.rx_cdb)
        if self.presenter.mutes:
            pcm = SILENT_TICK
        if self.player is not None:
            pcm = _add(pcm, self.player.tick())
            if self.player.done:
                self.stop_tone()
                self._emit(m.ToneDoneEvent(now * 1000, DoneResult.COMPLETE), self.index)
        if wires is not SILENT_TICK:
            pcm = _add(pcm, wires)
        if not self._at_ear:
            self.display.on_wires(wires)
        elif self.display.in_ear(pcm):
            self._key, self._pressed_ms, self._detected = ANSWER, now, False
            self._answer_ends_ms = now + ANSWER_MS
        self.ticks += 1
        self.heard.append(pcm if self._at_ear else SILENT_TICK)
        if self.ear is not None and self.playout is not None:
            self.ear(now, self.playout.last_alaw)

    def _tick_microphone(self, now: int) -> None:
        alaw = _SILENT_ALAW
        voice = key_press(self._key) if self._key else self._voice
        if voice and self._at_ear:
            alaw = voice[self._voice_at : self._voice_at + TICK_SAMPLES]
            if self.tx_cdb:
                alaw = encode_alaw(amplified(decode_alaw(alaw), self.tx_cdb))
            self._voice_at = (self._voice_at + TICK_SAMPLES) % RATE
        if self.mouth is not None:
            alaw = self.mouth(now)
        if self.presenter.mutes:
            alaw = _SILENT_ALAW
        detected = bool(self._key) and self._detected and self._answer_ends_ms is None
        flags = (AudioFlag.OFF_HOOK if self.off_hook else 0) | (AudioFlag.DTMF if detected else 0)
        self._speak(self.index, self._counter, flags, alaw)
        self._counter = (self._counter + TICK_SAMPLES) & 0xFFFFFFFF
        self.frames_out += 1


assert TICK_MS * RATE == TICK_SAMPLES * 1000
