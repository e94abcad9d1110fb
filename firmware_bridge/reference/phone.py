"""A telephone on a line of the reference device, with what `SimulatedPhone` offers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from firmware_bridge.messages import ToneProgram, ToneSegment
from firmware_bridge.reference.process import Said
from firmware_bridge.simulator.phone import DIGITS

if TYPE_CHECKING:
    from firmware_bridge.reference.card import ReferenceCard

_HEARING_MS = 300


class ReferencePhone:
    """See `SimulatedPhone`: the same acts and perceptions, in another process."""

    def __init__(self, card: ReferenceCard, line: int) -> None:
        self._card = card
        self._line = line

    @property
    def line(self) -> int:
        """The line's number, from 0."""
        return self._line

    # --- what the person does ---

    def off_hook(self) -> None:
        """Lift the handset."""
        self._card.tell(f"off {self._line}")

    def on_hook(self) -> None:
        """Replace the handset."""
        self._card.tell(f"on {self._line}")

    def dial(self, digits: str, on_ms: int = 80, gap_ms: int = 80) -> None:
        """Press keys one after the other. Raises ValueError where there is no such key."""
        wrong = set(digits) - set(DIGITS)
        if wrong:
            raise ValueError(f"a telephone has no key {min(wrong)!r}")
        self._card.tell(f"dial {self._line} {digits} {on_ms} {gap_ms}")

    def flash(self, ms: int = 120) -> None:
        """Press the hook for a moment (register recall)."""
        self._card.tell(f"flash {self._line} {ms}")

    def pause(self, ms: int) -> None:
        """Do nothing for a while, before the next act of the script."""
        self._card.tell(f"pause {self._line} {ms}")

    def speak(self, hz: float | None) -> None:
        """Say a steady tone of -10 dBm0 from now on, of whole hertz; None: fall silent."""
        self._card.tell(f"speak {self._line} {'none' if hz is None else round(hz)}")

    # --- what the person perceives ---

    @property
    def is_off_hook(self) -> bool:
        """Whether the handset is lifted."""
        return bool(self._seen["off_hook"])

    @property
    def ringing(self) -> bool:
        """Whether the telephone rings, pauses between the bursts included."""
        return bool(self._seen["ringing"])

    @property
    def display(self) -> str:
        """The caller shown with the latest ringing."""
        return str(self._seen["display"])

    @property
    def tone(self) -> ToneProgram | None:
        """The tone that the card plays now."""
        program = self._seen["program"]
        if program is None:
            return None
        segments = tuple(ToneSegment(tuple(one["frequencies"]), one["ms"]) for one in program["segments"])
        return ToneProgram(program["level_dbm0"], segments, once=program["once"])

    @property
    def audio_open(self) -> bool:
        """Whether speech frames flow."""
        return bool(self._seen["audio"])

    @property
    def frames(self) -> tuple[int, int]:
        """Speech frames received from the host and sent to it."""
        received, sent = self._seen["frames"]
        return received, sent

    def hears(self, hz: float, ms: int = _HEARING_MS) -> float:
        """The level at `hz` in dBm0 over the last `ms` (at most 400) of what came out of the earpiece."""
        return float(self._card.ask(f"hears {self._line} {round(hz)} {ms}", "heard")["dbm0"])

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until `predicate()` is true; false after `timeout` s."""
        return self._card.wait_for(predicate, timeout)

    def wait_script(self, timeout: float) -> bool:
        """Wait until the script is played; false after `timeout` seconds."""
        return self.wait_for(lambda: not self._seen["scripted"], timeout)

    @property
    def _seen(self) -> Said:
        phone: Said = self._card.state()["phones"][self._line]
        return phone
