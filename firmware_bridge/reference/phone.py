"""A telephone on a line of the reference device, with what `SimulatedPhone` offers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from firmware_bridge.caller_id import Caller
from firmware_bridge.messages import ToneProgram, ToneSegment
from firmware_bridge.port import boot_ms
from firmware_bridge.reference.process import Said
from firmware_bridge.simulator.display import Display
from firmware_bridge.simulator.phone import DIALS, DIGITS

if TYPE_CHECKING:
    from firmware_bridge.reference.card import ReferenceCard

_HEARING_MS = 300
_TICK_BYTES = 160
_LISTEN_ON_S = 0.2


class ReferencePhone:
    """See `SimulatedPhone`: the same acts and perceptions, in another process."""

    def __init__(self, card: ReferenceCard, line: int) -> None:
        self._card = card
        self._line = line
        self._read = 0, Display()

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

    def dial_by_pulses(self, digits: str, break_ms: int = 60, make_ms: int = 40, gap_ms: int = 600) -> None:
        """Turn a dial. Raises ValueError where a dial has no such digit."""
        wrong = set(digits) - set(DIALS)
        if wrong:
            raise ValueError(f"a dial has no {min(wrong)!r}")
        self._card.tell(f"pulse {self._line} {digits} {break_ms} {make_ms} {gap_ms}")

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
        """The number shown with the latest ringing, or of the call that waits; empty: none, or not yet."""
        return self._display().number

    @property
    def shows(self) -> Caller | None:
        """All that it shows of the caller; None: nothing, or not yet."""
        return self._display().caller

    @property
    def message_lamp(self) -> bool:
        """Whether the lamp for waiting messages shines; as far as it was told since the latest ringing."""
        return self._display().waiting

    @property
    def reversed_wires(self) -> bool:
        """Whether the two wires have changed places."""
        return bool(self._seen["reversed"])

    def wires(self) -> bytes:
        """What sounded on the two wires with the handset down since the latest ringing began, without the silences."""
        return bytes.fromhex(self._card.ask(f"wires {self._line}", "wires")["pcm"])

    def show_in_calls(self, *, able: bool) -> None:
        """Whether it answers when a caller is offered in the middle of a conversation."""
        self._card.tell(f"in_calls {self._line} {'yes' if able else 'no'}")

    def _display(self) -> Display:
        """A display that has heard what was on the wires; read again where more was."""
        if self._seen["wires"] != self._read[0]:
            display, pcm = Display(), self.wires()
            for at in range(0, len(pcm), _TICK_BYTES):
                display.on_wires(pcm[at : at + _TICK_BYTES])
            self._read = len(pcm) // 2, display
        return self._read[1]

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

    def recording(self, ms: int = 15_000) -> bytes:
        """The last `ms` (at most 15 s) of what came out of the earpiece, as 16-bit PCM at 8000 samples a second."""
        return bytes.fromhex(self._card.ask(f"record {self._line} {ms}", "recorded")["pcm"])

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until `predicate()` is true; false after `timeout` s."""
        return self._card.wait_for(predicate, timeout)

    def wait_to_hear(self, heard: Callable[[], bool], timeout: float) -> bool:
        """Wait until `heard()` is true, for what takes long to tell: asked every 200 ms; false after `timeout` s."""
        ends_ms = boot_ms() + round(1000 * timeout)
        while not heard():
            if boot_ms() >= ends_ms:
                return False
            # Nothing to wait for but more sound.
            self._card.wait_for(lambda: False, _LISTEN_ON_S)
        return True

    def wait_script(self, timeout: float) -> bool:
        """Wait until the script is played; false after `timeout` seconds."""
        return self.wait_for(lambda: not self._seen["scripted"], timeout)

    @property
    def _seen(self) -> Said:
        phone: Said = self._card.state()["phones"][self._line]
        return phone
