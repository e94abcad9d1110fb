"""A telephone on a simulated line, as a test or a person handles it; thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from firmware_bridge import tonemeter
from firmware_bridge.messages import ToneProgram
from firmware_bridge.simulator.line import Act, SimulatedLine, Step
from firmware_bridge.simulator.loop import Loop
from firmware_bridge.simulator.player import TICK_MS

DIGITS = "0123456789*#ABCD"
_HEARING_TICKS = 30


@dataclass(frozen=True, slots=True)
class TranscriptEntry:
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
        self._act(Step(Act.LIFT))

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

    def flash(self, ms: int = 120) -> None:
        """Press the hook for a moment (register recall)."""
        self._act(Step(Act.FLASH_BEGIN, ms), Step(Act.FLASH_END, 0, str(ms)))

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
        """Whether the handset is lifted."""
        return self._line.off_hook

    @property
    def ringing(self) -> bool:
        """Whether the telephone rings, pauses between the bursts included."""
        return self._line.ringing

    @property
    def display(self) -> str:
        """The caller shown with the latest ringing."""
        return self._line.caller

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
        """The level at `hz` in dBm0 over the last `ms` (at most 400) of what came out of the earpiece."""
        with self._condition:
            heard = self._line.heard
            ticks = max(1, min(len(heard), ms // TICK_MS))
            pcm = b"".join(islice(heard, len(heard) - ticks, None))
        return tonemeter.level_dbm0(pcm, hz)

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
