"""What a far end of the link offers to tests and the lab, be it the simulator or the reference device in C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from firmware_bridge.messages import ToneProgram
from firmware_bridge.simulator.phone import TranscriptEntry
from firmware_bridge.simulator.unkind import Mischief


class Phone(Protocol):
    """A telephone on a line; see `SimulatedPhone`."""

    @property
    def line(self) -> int:
        """The line's number, from 0."""

    def off_hook(self) -> None:
        """Lift the handset."""

    def on_hook(self) -> None:
        """Replace the handset."""

    def dial(self, digits: str, on_ms: int = 80, gap_ms: int = 80) -> None:
        """Press keys one after the other."""

    def flash(self, ms: int = 120) -> None:
        """Press the hook for a moment."""

    def pause(self, ms: int) -> None:
        """Do nothing for a while."""

    def speak(self, hz: float | None) -> None:
        """Say a steady tone; None: nothing."""

    @property
    def is_off_hook(self) -> bool:
        """Whether the handset is lifted."""

    @property
    def ringing(self) -> bool:
        """Whether the telephone rings."""

    @property
    def display(self) -> str:
        """The caller shown with the latest ringing."""

    @property
    def tone(self) -> ToneProgram | None:
        """The tone that the card plays now."""

    @property
    def audio_open(self) -> bool:
        """Whether speech frames flow."""

    @property
    def frames(self) -> tuple[int, int]:
        """Speech frames received from the host and sent to it."""

    def hears(self, hz: float, ms: int = 300) -> float:
        """The level at `hz` in dBm0 of what came out of the earpiece."""

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until `predicate()` is true; false after `timeout` seconds."""

    def wait_script(self, timeout: float) -> bool:
        """Wait until everything told was done; false after `timeout` seconds."""


class Card(Protocol):
    """A card with telephones behind a serial port; see `PtyCard`."""

    @property
    def phones(self) -> Sequence[Phone]:
        """The telephones, by line."""

    @property
    def path(self) -> str:
        """What the host opens."""

    def start(self) -> Any:
        """Power on."""

    def stop(self) -> None:
        """Power off."""

    def reset(self) -> None:
        """The microcontroller restarts by itself."""

    def unplug(self) -> None:
        """Pull the cable."""

    def plug(self) -> None:
        """Put the cable in again."""

    def press_button(self, held_ms: int) -> None:
        """Press the adapter's button and release it after `held_ms`."""

    def unkind(self, mischief: Mischief | None, seed: int = 0) -> None:
        """Make the wire as bad as `mischief` says; None: good again."""

    @property
    def connected(self) -> bool:
        """Whether a host has a session."""

    @property
    def rate(self) -> int:
        """The rate the card speaks at, in baud."""

    def lamp(self, line: int) -> str:
        """What the lamp of a line shows."""

    @property
    def transcript(self) -> list[TranscriptEntry]:
        """What happened, oldest first."""

    def observe(self, observer: Callable[[TranscriptEntry], None]) -> None:
        """Call `observer` with each entry."""

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until `predicate()` is true; false after `timeout` seconds."""
