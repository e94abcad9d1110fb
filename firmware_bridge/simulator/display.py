"""The telephone's half of the caller display: it listens on the wires and shows who calls. Time is an argument."""

from __future__ import annotations

import array
from typing import Final

from firmware_bridge import tonemeter
from firmware_bridge.caller_id import Absence, Caller, CallerIdError, Presented, read_dtmf, read_message
from firmware_bridge.simulator.player import SILENT_TICK, TICK_SAMPLES
from firmware_bridge.simulator.presenter import ALERT_HZ
from firmware_bridge.v23 import Modem, Receiver

ANSWER: Final = "D"
"""The key by which a telephone says that it listens (EN 300 659-2 §5)."""
ANSWER_MS: Final = 60
_ALERTED_TICKS: Final = 6
_KEY_TICKS: Final = 3
_CLEAR: Final = 0.7
_AUDIBLE: Final = tonemeter.amplitude(-40.0) ** 2 / 2
_LISTENS_TICKS: Final = 400
_KEPT_BYTES: Final = 10 * 16_000
_MOST_KEYS: Final = 40
_KEY_SAMPLES: Final = 3 * TICK_SAMPLES
"""Rows are 73 Hz apart: 30 ms tell them from each other."""
_KEY_HZ: Final = sorted({hz for pair in tonemeter.DTMF_HZ.values() for hz in pair})


class Display:
    """What one telephone shows; it understands V.23, Bell 202 and DTMF, and messages in mid-call where it can."""

    def __init__(self) -> None:
        self.caller: Caller | None = None
        """Of the latest ringing, or of the call that waits; None: nothing is shown."""
        self.waiting = False
        """The lamp for messages."""
        self.damaged = 0
        """Messages that could not be read."""
        self.sound = bytearray()
        """What was heard on the wires with the handset down, since the latest ringing began; at most 10 s."""
        self.in_calls = True
        """Whether it answers when data is offered in a conversation."""
        self._receivers: list[tuple[Receiver, bytearray]] = []
        self._keys = ""
        self._lately = array.array("h")
        self._key, self._key_ticks = "", 0
        self._alert_ticks = 0
        self._listens_ticks = 0
        self._begin()

    def ringing(self) -> None:
        """A call arrives: the last one is not shown any more."""
        self.caller = None
        self.sound.clear()
        self._begin()

    def on_wires(self, pcm: bytes) -> None:
        """10 ms with the handset down."""
        if pcm is SILENT_TICK and not self._busy:
            return
        if len(self.sound) < _KEPT_BYTES:
            self.sound += pcm
        samples = array.array("h", pcm)
        self._data(samples)
        self._dial(samples)

    def in_ear(self, pcm: bytes) -> bool:
        """10 ms with the handset up; whether the telephone answers now that it listens for data."""
        if self._listens_ticks:
            self._listens_ticks -= 1
            self._data(array.array("h", pcm))
            return False
        if pcm is SILENT_TICK and not self._alert_ticks:
            return False
        if self.in_calls and _share(array.array("h", pcm), ALERT_HZ) >= _CLEAR:
            self._alert_ticks += 1
            return False
        alerted, self._alert_ticks = self._alert_ticks >= _ALERTED_TICKS, 0
        if alerted:
            self._begin()
            self._listens_ticks = _LISTENS_TICKS
        return alerted

    @property
    def _busy(self) -> bool:
        return bool(self._keys) or bool(self._key) or any(receiver.carrier for receiver, _ in self._receivers)

    def _begin(self) -> None:
        self._receivers = [(Receiver(modem), bytearray()) for modem in Modem]
        self._keys = self._key = ""
        self._key_ticks = self._listens_ticks = 0

    def _data(self, samples: array.array[int]) -> None:
        for receiver, message in self._receivers:
            message.extend(receiver.feed(samples))
            if len(message) >= 2 and len(message) >= message[1] + 3:
                self._read(bytes(message[: message[1] + 3]))
                self._begin()
                return

    def _read(self, message: bytes) -> None:
        try:
            self._show(read_message(message))
        except CallerIdError:
            self.damaged += 1

    def _show(self, presented: Presented) -> None:
        if presented.waiting is not None:
            self.waiting = presented.waiting
        else:
            self.caller = presented.caller

    def _dial(self, samples: array.array[int]) -> None:
        """Keys that are played with the handset down."""
        self._lately = (self._lately + samples)[-_KEY_SAMPLES:]
        key = _key(self._lately)
        if key != self._key:
            self._key, self._key_ticks = key, 0
        self._key_ticks += 1
        if key and self._key_ticks == _KEY_TICKS:
            self._keys = (self._keys + key)[-_MOST_KEYS:]
            if key == "C":
                try:
                    self.caller = read_dtmf(self._keys)
                except CallerIdError:
                    self.damaged += 1
                self._begin()

    @property
    def number(self) -> str:
        """The number that is shown; empty: none."""
        number = None if self.caller is None else self.caller.number
        return "" if number is None or isinstance(number, Absence) else number


def _share(samples: array.array[int], frequencies: tuple[int, ...]) -> float:
    """How much of what is heard is at these frequencies, all of them."""
    total = sum(sample * sample for sample in samples) / TICK_SAMPLES
    if total < _AUDIBLE:
        return 0.0
    pcm = samples.tobytes()
    parts = [tonemeter.amplitude(tonemeter.level_dbm0(pcm, hz)) ** 2 / 2 / total for hz in frequencies]
    return sum(parts) if min(parts) > 0.2 else 0.0


def _key(samples: array.array[int]) -> str:
    """The key that sounds, from enough samples to tell neighbours apart; empty: none."""
    total = sum(sample * sample for sample in samples) / max(1, len(samples))
    if total < _AUDIBLE:
        return ""
    pcm = samples.tobytes()
    power = {hz: tonemeter.amplitude(tonemeter.level_dbm0(pcm, hz)) ** 2 / 2 / total for hz in _KEY_HZ}
    key = max(tonemeter.DTMF_HZ, key=lambda one: min(power[hz] for hz in tonemeter.DTMF_HZ[one]))
    parts = [power[hz] for hz in tonemeter.DTMF_HZ[key]]
    return key if sum(parts) >= _CLEAR and min(parts) > 0.2 else ""
