"""What a far end of the link offers to tests and the lab, be it the simulator or the reference device in C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from firmware_bridge.caller_id import Caller
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

    def dial_by_pulses(self, digits: str, break_ms: int = 60, make_ms: int = 40, gap_ms: int = 600) -> None:
        """Turn a dial."""

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
        """The number shown with the latest ringing, or of the call that waits; empty: none, or not yet."""

    @property
    def shows(self) -> Caller | None:
        """All that it shows of the caller; None: nothing, or not yet."""

    @property
    def message_lamp(self) -> bool:
        """Whether the lamp for waiting messages shines."""

    @property
    def reversed_wires(self) -> bool:
        """Whether the two wires have changed places."""

    def show_in_calls(self, *, able: bool) -> None:
        """Whether it answers when a caller is offered in the middle of a conversation."""

    def wires(self) -> bytes:
        """What sounded on the two wires with the handset down since the latest ringing began, without the silences."""

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

    def recording(self, ms: int = 15_000) -> bytes:
        """The last `ms` (at most 15 s) of what came out of the earpiece, as 16-bit PCM at 8000 samples a second."""

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until `predicate()` is true; false after `timeout` seconds."""

    def wait_to_hear(self, heard: Callable[[], bool], timeout: float) -> bool:
        """Wait until `heard()` is true, for what takes long to tell; false after `timeout` seconds."""

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
