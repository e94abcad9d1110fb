"""A telephone on a simulated line, as a test or a person handles it; thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from itertools import islice

from msgspec import Struct

from firmware_bridge import tonemeter
from firmware_bridge.caller_id import Caller
from firmware_bridge.messages import ToneProgram
from firmware_bridge.port import boot_ms
from firmware_bridge.simulator.ear import which_announcement, which_tone
from firmware_bridge.simulator.line import HEARD_TICKS, Act, SimulatedLine, Step
from firmware_bridge.simulator.loop import Loop
from firmware_bridge.simulator.player import TICK_MS

DIGITS = "0123456789*#ABCD"
DIALS = "0123456789"
_HEARING_TICKS = 30
_BETWEEN_TICKS = 20
_HAND_MS = 100
"""What a hand takes from the hook to the keys, and from one act to the next."""


class TranscriptEntry(Struct, frozen=True):
    """Something that happened on the card, in milliseconds of its clock."""

    at_ms: int
    line: int
    what: str


class SimulatedPhone:
    """The telephone on one line.

    What it is told to do with hook and keys is a script: the acts follow each other on the card's own clock, so that
    `off_hook(); dial("112"); on_hook()` replaces the handset after the last digit. `speak` acts at once.
    """

    def __init__(self, line: SimulatedLine, condition: threading.Condition) -> None:
        self._line = line
        self._condition = condition

    @property
    def line(self) -> int:
        """The line's number, from 0."""
        return self._line.index

    # --- what the person does ---

    def off_hook(self) -> None:
        """Lift the handset."""
        self._act(Step(Act.LIFT, _HAND_MS))

    def on_hook(self) -> None:
        """Replace the handset."""
        self._act(Step(Act.REPLACE))

    def dial(self, digits: str, on_ms: int = 80, gap_ms: int = 80) -> None:
        """Press keys one after the other. Raises ValueError where there is no such key."""
        wrong = set(digits) - set(DIGITS)
        if wrong:
            raise ValueError(f"a telephone has no key {min(wrong)!r}")
        steps = [(Step(Act.PRESS, on_ms, digit), Step(Act.RELEASE, gap_ms)) for digit in digits]
        self._act(*(step for pair in steps for step in pair))

    def dial_by_pulses(self, digits: str, break_ms: int = 60, make_ms: int = 40, gap_ms: int = 600) -> None:
        """Turn a dial: `gap_ms` is what the finger takes to the next digit. Raises ValueError where a dial has none."""
        wrong = set(digits) - set(DIALS)
        if wrong:
            raise ValueError(f"a dial has no {min(wrong)!r}")
        for digit in digits:
            pulses = int(digit) or 10
            self._act(*(Step(Act.BREAK, break_ms), Step(Act.MAKE, make_ms)) * pulses, Step(Act.WAIT, gap_ms))

    def flash(self, ms: int = 120) -> None:
        """Press the recall key, or the hook for a moment: a longer one replaces the handset, as the card is told."""
        self._act(Step(Act.BREAK, ms), Step(Act.MAKE, _HAND_MS))

    def pause(self, ms: int) -> None:
        """Do nothing for a while, before the next act of the script."""
        self._act(Step(Act.WAIT, ms))

    def speak(self, hz: float | None) -> None:
        """Say a steady tone of -10 dBm0 from now on; None: fall silent."""
        with self._condition:
            self._line.use_voice(hz)

    def wire(self, loop: Loop) -> None:
        """Change the wiring behind the socket, within 10 ms."""
        with self._condition:
            self._line.next_loop = loop

    def wired(self, loop: Loop) -> bool:
        """Whether the wiring is `loop` by now."""
        return self._line.loop is loop

    def converse(self, mouth: Callable[[int], bytes] | None, ear: Callable[[int, bytes], None] | None) -> None:
        """Speak and hear frame by frame, on the card's thread: `mouth(now)` gives 10 ms of A-law (80 bytes),
        `ear(now, alaw)` gets 10 ms as they came, nothing where none came in time. `now`: the card's clock in ms.
        """
        with self._condition:
            self._line.mouth, self._line.ear = mouth, ear

    # --- what the person perceives ---

    @property
    def is_off_hook(self) -> bool:
        """Whether the card takes the handset for lifted; behind `on_hook` it waits for a recall that may yet be."""
        return self._line.off_hook

    @property
    def ringing(self) -> bool:
        """Whether the telephone rings, pauses between the bursts included."""
        return self._line.ringing

    @property
    def cadence(self) -> tuple[int, ...]:
        """The latest ringing, as the card was told it: milliseconds of ringing and silence in turn."""
        return self._line.cadence

    @property
    def display(self) -> str:
        """The number shown with the latest ringing, or of the call that waits; empty: none, or not yet."""
        return self._line.display.number

    @property
    def shows(self) -> Caller | None:
        """All that it shows of the caller; None: nothing, or not yet."""
        return self._line.display.caller

    @property
    def message_lamp(self) -> bool:
        """Whether the lamp for waiting messages shines."""
        return self._line.display.waiting

    @property
    def reversed_wires(self) -> bool:
        """Whether the two wires have changed places."""
        return self._line.reversed

    def show_in_calls(self, *, able: bool) -> None:
        """Whether it answers when a caller is offered in the middle of a conversation."""
        self._line.display.in_calls = able

    def wires(self) -> bytes:
        """What sounded on the two wires with the handset down since the latest ringing began, without the silences."""
        with self._condition:
            return bytes(self._line.display.sound)

    @property
    def tone(self) -> ToneProgram | None:
        """The tone that the card plays now."""
        player = self._line.player
        return None if player is None else player.program

    @property
    def audio_open(self) -> bool:
        """Whether speech frames flow."""
        return self._line.playout is not None

    @property
    def frames(self) -> tuple[int, int]:
        """Speech frames received from the host and sent to it."""
        return self._line.frames_in, self._line.frames_out

    def hears(self, hz: float, ms: int = 10 * _HEARING_TICKS) -> float:
        """The level at `hz` in dBm0 over the last `ms` (at most 15 s) of what came out of the earpiece."""
        return tonemeter.level_dbm0(self.recording(ms), hz)

    def recording(self, ms: int = 10 * HEARD_TICKS) -> bytes:
        """The last `ms` (at most 15 s) of what came out of the earpiece, as 16-bit PCM at 8000 samples a second."""
        with self._condition:
            heard = self._line.heard
            ticks = max(1, min(len(heard), ms // TICK_MS))
            return b"".join(islice(heard, len(heard) - ticks, None))

    def hears_tone(self, tones: Mapping[str, ToneProgram]) -> str | None:
        """Which of `tones` sounds in the earpiece, by rhythm and frequencies; None: none of them."""
        return which_tone(self.recording(), tones)

    def hears_announcement(self, recordings: Mapping[str, bytes]) -> str | None:
        """Which of `recordings` (PCM as `recording` gives it) was heard in the last 15 s; None: none of them."""
        return which_announcement(self.recording(), recordings)

    def wait_to_hear(self, heard: Callable[[], bool], timeout: float) -> bool:
        """Wait until `heard()` is true, asked again after each 200 ms of sound; false after `timeout` s.

        For what takes long to tell: unlike in `wait_for` the card goes on meanwhile.
        """
        ends_ms = boot_ms() + round(1000 * timeout)
        while not heard():
            left_ms = ends_ms - boot_ms()
            if left_ms <= 0 or not self._listen_on(left_ms / 1000):
                return heard()
        return True

    def _listen_on(self, timeout: float) -> bool:
        ticks = self._line.ticks + _BETWEEN_TICKS
        return self.wait_for(lambda: self._line.ticks >= ticks, timeout)

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until `predicate()` is true, asked again every 10 ms of the card's clock; false after `timeout` s."""
        with self._condition:
            return self._condition.wait_for(predicate, timeout)

    def wait_script(self, timeout: float) -> bool:
        """Wait until the script is played; false after `timeout` seconds."""
        return self.wait_for(lambda: not self._line.scripted, timeout)

    def _act(self, *steps: Step) -> None:
        with self._condition:
            self._line.script.extend(steps)
