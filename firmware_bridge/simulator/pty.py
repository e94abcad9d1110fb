"""The simulated card behind a pseudo-terminal, with a real 10 ms clock: a host opens it like a serial port.

A pseudo-terminal carries every byte at any rate; here the card looks at the rate the host has set, and garbles what
passes while the two differ. `unkind` makes the wire worse still.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import selectors
import termios
import threading
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path

from firmware_bridge.port import boot_ms
from firmware_bridge.simulator.card import CAPABILITIES, FIRMWARE, SimulatedCard
from firmware_bridge.simulator.flash import Flash
from firmware_bridge.simulator.phone import SimulatedPhone, TranscriptEntry
from firmware_bridge.simulator.player import TICK_MS
from firmware_bridge.simulator.unkind import Mischief, UnkindWire, garble
from firmware_bridge.vocabulary import TRIAL_MS, Capability

_READ_BYTES = 4096
_TRANSCRIPT = 5000
_BEHIND_MS = 500
_STOP_S = 2.0
_OUTPUT_SPEED = 5
_RATES = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name.startswith("B") and name[1:].isdigit()}


class PtyCard:
    """A card with telephones on a pty. `link_path`: a symbolic link that stays when the pty's own name changes."""

    def __init__(
        self,
        lines: int = 2,
        link_path: str | os.PathLike[str] | None = None,
        firmware: str = FIRMWARE,
        capabilities: Capability = CAPABILITIES,
        flash: Flash | None = None,
        firmware_key: bytes | None = None,
        trial_ms: int = TRIAL_MS,
    ) -> None:
        self._condition = threading.Condition()
        self._transcript: deque[TranscriptEntry] = deque(maxlen=_TRANSCRIPT)
        self._observer: Callable[[TranscriptEntry], None] | None = None
        self._link_path = None if link_path is None else Path(link_path)
        self._lines, self._firmware = lines, firmware
        self._card = SimulatedCard(
            lines, boot_id=secrets.randbits(63) + 1, firmware=firmware, capabilities=capabilities, note=self._note,
            flash=flash, firmware_key=firmware_key, trial_ms=trial_ms,
        )  # fmt: skip
        self.phones = [SimulatedPhone(line, self._condition) for line in self._card.lines]
        self._thread: threading.Thread | None = None
        self._running = False
        self._plugged = True
        self._reset_wanted = False
        self._master = self._slave = -1
        self._device = ""
        self._chance = random.Random(0)  # noqa: S311 -- reproducible nonsense, no secret
        self._to_card, self._to_host = UnkindWire(0), UnkindWire(1)
        self.ticks_lost = 0
        self.garbled = 0
        """Bytes that passed while card and host were at different rates."""

    # --- life ---

    @property
    def path(self) -> str:
        """What the host opens."""
        return self._device if self._link_path is None else str(self._link_path)

    def start(self) -> PtyCard:
        """Power on: make the pty and start the clock."""
        with self._condition:
            if self._running:
                return self
            self._running = self._plugged = True
            self._open()
            now = boot_ms()
            if self._thread is None:
                self._card.start(now)
            else:
                self._card.reset(now)
            self._thread = threading.Thread(target=self._run, name="simulated-card", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Power off; the pty is gone. `start` powers on again: a new start of the same card."""
        with self._condition:
            self._running = False
            thread = self._thread
        if thread is not None:
            thread.join(_STOP_S)

    kill = stop

    def __enter__(self) -> PtyCard:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def reset(self) -> None:
        """The microcontroller restarts by itself (watchdog): the port stays, all that was asked is forgotten."""
        with self._condition:
            self._reset_wanted = True
            self._condition.wait_for(lambda: not self._reset_wanted or not self._running, _STOP_S)

    def unplug(self) -> None:
        """Pull the cable: the device disappears, the card goes on."""
        self._plug(plugged=False)

    def plug(self) -> None:
        """Put the cable in again: a new device, under a new name unless there is a link."""
        self._plug(plugged=True)

    def press_button(self, held_ms: int) -> None:
        """Press the adapter's button and release it after `held_ms`."""
        with self._condition:
            self._card.press_button(held_ms)

    def unkind(self, mischief: Mischief | None, seed: int = 0) -> None:
        """Make the wire as bad as `mischief` says, in both directions, from now on; None: good again."""
        with self._condition:
            self._to_card, self._to_host = UnkindWire(2 * seed, mischief), UnkindWire(2 * seed + 1, mischief)

    def babble(self, data: bytes) -> None:
        """Send bytes that no card would: a bootloader's greeting, half a frame, noise."""
        with self._condition:
            self._put_on_pty(data)

    # --- what can be seen ---

    @property
    def firmware(self) -> str:
        """What the firmware that runs calls itself."""
        return self._card.firmware.running

    @property
    def updating(self) -> bool:
        """Whether firmware is being received."""
        return self._card.firmware.receiving

    @property
    def trial_over(self) -> bool:
        """Whether the firmware that runs is there to stay."""
        return not self._card.firmware.on_trial

    @property
    def connected(self) -> bool:
        """Whether a host has a session."""
        return self._card.connected

    @property
    def rate(self) -> int:
        """The rate the card speaks at, in baud."""
        return self._card.link.rate

    @property
    def mischief_done(self) -> dict[str, int]:
        """How often each kind of mischief was done since `unkind`, both directions together."""
        ways = (self._to_card.done, self._to_host.done)
        return {name: sum(way.get(name, 0) for way in ways) for name in {*ways[0], *ways[1]}}

    def lamp(self, line: int) -> str:
        """What the lamp of a line shows: off, on, blink or flash."""
        pattern = self._card.lamps.get(line)
        return "off" if pattern is None else pattern.name.lower()

    def lamp_colour(self, line: int) -> str:
        """Its colour: green, amber or red; empty where it was never set."""
        colour = self._card.colours.get(line)
        return "" if colour is None else colour.name.lower()

    @property
    def transcript(self) -> list[TranscriptEntry]:
        """What happened, oldest first."""
        with self._condition:
            return list(self._transcript)

    def observe(self, observer: Callable[[TranscriptEntry], None]) -> None:
        """Call `observer` with each entry as it is written, on the card's thread."""
        self._observer = observer

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until `predicate()` is true, asked again every 10 ms of the card's clock; false after `timeout` s."""
        with self._condition:
            return self._condition.wait_for(predicate, timeout)

    # --- the card's thread ---

    def _note(self, now: int, line: int, what: str) -> None:
        entry = TranscriptEntry(now, line, what)
        self._transcript.append(entry)
        if self._observer is not None:
            self._observer(entry)

    def _plug(self, *, plugged: bool) -> None:
        with self._condition:
            self._plugged = plugged
            done = self._condition.wait_for(lambda: (self._master >= 0) is plugged or not self._running, _STOP_S)
            if not done:
                raise TimeoutError("the simulated card did not react")

    def _open(self) -> None:
        self._master, self._slave = os.openpty()
        # The card keeps the slave open: its raw mode stays, and a host that closes it is only silence.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._device = os.ttyname(self._slave)
        if self._link_path is not None:
            fresh = self._link_path.with_name(self._link_path.name + ".new")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self._device)
            fresh.replace(self._link_path)

    def _close(self) -> None:
        if self._link_path is not None:
            self._link_path.unlink(missing_ok=True)
        for fd in (self._master, self._slave):
            if fd >= 0:
                os.close(fd)
        self._master = self._slave = -1

    def _run(self) -> None:
        tick_ms = boot_ms()
        selector = selectors.DefaultSelector()
        watched = -1
        try:
            while True:
                with self._condition:
                    if not self._running:
                        break
                    self._follow_plug()
                    self._arrive()
                    tick_ms = self._live(tick_ms)
                    master = self._master
                    if watched != master:
                        selector.close()
                        selector = selectors.DefaultSelector()
                        if master >= 0:
                            selector.register(master, selectors.EVENT_READ)
                        watched = master
                    self._send()
                    wait_s = self._wait_s(tick_ms)
                    self._condition.notify_all()
                if selector.select(wait_s):
                    with self._condition:
                        self._read()
        finally:
            selector.close()
            with self._condition:
                self._running = False
                self._close()
                self._condition.notify_all()

    def _follow_plug(self) -> None:
        if self._plugged and self._master < 0:
            self._open()
        elif not self._plugged and self._master >= 0:
            self._close()
            self._to_card.clear()
            self._to_host.clear()

    def _live(self, tick_ms: int) -> int:
        """Tick as often as time has passed; the time of the next tick."""
        now = boot_ms()
        if self._reset_wanted:
            self._reset_wanted = False
            self._card.reset(now)
        if now - tick_ms > _BEHIND_MS:
            self.ticks_lost += (now - tick_ms) // TICK_MS
            tick_ms = now
        while tick_ms <= now:
            self._card.tick(tick_ms)
            tick_ms += TICK_MS
        return tick_ms

    def _host_rate(self) -> int:
        """What the host has set its port to; 0 for a rate without a name."""
        try:
            return _RATES.get(termios.tcgetattr(self._master)[_OUTPUT_SPEED], 0)
        except termios.error:
            return 0

    def _heard_at(self, data: bytes, sent: int, read: int) -> bytes:
        if sent == read or not data:
            return data
        self.garbled += len(data)
        return garble(data, max(sent, 1), max(read, 1), self._chance)

    def _send(self) -> None:
        """Write what the card has to say; without a reader it is lost, as on a wire."""
        now = boot_ms()
        wire, card = self._to_host, self._card
        while True:
            rate = card.link.rate  # What is handed out now is sent at this rate, even where it is the last at it.
            data = card.data_to_send(now)
            if not data:
                break
            if self._master < 0:
                continue
            if wire.mischief.greeting and not card.connected:
                wire.noise(wire.mischief.greeting, now)
            wire.put(self._heard_at(data, rate, self._host_rate()), now)
            if wire.reset_wanted:
                wire.reset_wanted = False
                card.reset(now)
        if data := wire.take(now):
            self._put_on_pty(data)

    def _put_on_pty(self, data: bytes) -> None:
        if self._master >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._master, data)

    def _read(self) -> None:
        if self._master < 0:
            return
        with contextlib.suppress(OSError):
            data = os.read(self._master, _READ_BYTES)
            self._to_card.put(self._heard_at(data, self._host_rate(), self._card.link.rate), boot_ms())

    def _arrive(self) -> None:
        """Give the card what has come through the wire."""
        now = boot_ms()
        if data := self._to_card.take(now):
            self._card.receive(data, now)

    def _wait_s(self, tick_ms: int) -> float:
        """How long until something is due."""
        due = min(at for at in (tick_ms, self._to_card.next_ms(), self._to_host.next_ms()) if at is not None)
        return max(0, due - boot_ms()) / 1000
