"""The reference device as a process on a pty, with what `PtyCard` offers: tests and the lab use either."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Self

from msgspec import structs

from firmware_bridge.port import boot_ms
from firmware_bridge.reference.phone import ReferencePhone
from firmware_bridge.reference.process import ProcessError, Said, TalkingProgram
from firmware_bridge.simulator.phone import TranscriptEntry
from firmware_bridge.simulator.unkind import Mischief
from firmware_bridge.vocabulary import Capability

_TRANSCRIPT = 5000
_LOOK_AGAIN_MS = 20
_NO_PHONE: Said = {
    "off_hook": False, "ringing": False, "reversed": False, "wires": 0, "tone": False, "audio": False,
    "frames": [0, 0], "lamp": "off", "colour": "", "scripted": False, "program": None,
}  # fmt: skip


class ReferenceCard:
    """Runs `program` (see `build`). Handsets stay where they are while it is switched off."""

    def __init__(
        self,
        program: Path,
        lines: int = 2,
        link_path: str | os.PathLike[str] | None = None,
        firmware: str = "c-1.0.0",
        capabilities: Capability | None = None,
    ) -> None:
        if link_path is None:
            raise ValueError("the reference device needs a name for its port")
        self.path = str(link_path)
        self.phones = [ReferencePhone(self, line) for line in range(lines)]
        self._command = [str(program), "--pty", self.path, "--lines", str(lines), "--firmware", firmware]
        if capabilities is not None:
            self._command += ["--capabilities", str(int(capabilities))]
        self._program: TalkingProgram | None = None
        self._off_hook: set[int] = set()
        self._wire: str | None = None
        self._observer: Callable[[TranscriptEntry], None] | None = None
        self._transcript: deque[TranscriptEntry] = deque(maxlen=_TRANSCRIPT)
        self._changed = threading.Event()

    # --- life ---

    def start(self) -> Self:
        """Power on. Raises ProcessError."""
        if self._program is None or not self._program.running:
            self.stop()
            lifted = [word for line in sorted(self._off_hook) for word in ("--off-hook", str(line))]
            self._program = TalkingProgram([*self._command, *lifted], self._event)
            if self._wire is not None:
                self._program.tell(self._wire)
        return self

    def stop(self) -> None:
        """Power off; the pty is gone."""
        self._end(kill=False)

    def kill(self) -> None:
        """SIGKILL, as a crash would end it."""
        self._end(kill=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The device's process, None while it is switched off."""
        return None if self._program is None else self._program.pid

    def reset(self) -> None:
        """The microcontroller restarts by itself (watchdog): the port stays, all that was asked is forgotten."""
        self.tell("reset")
        self.state()

    def unplug(self) -> None:
        """Pull the cable: the device disappears, the card goes on."""
        self.tell("unplug")
        self.state()

    def plug(self) -> None:
        """Put the cable in again."""
        self.tell("plug")
        self.state()

    def press_button(self, held_ms: int) -> None:
        """Press the adapter's button and release it after `held_ms`."""
        self.tell(f"button {held_ms}")

    def unkind(self, mischief: Mischief | None, seed: int = 0) -> None:
        """Make the wire as bad as `mischief` says, in both directions, from now on; None: good again."""
        words = ["kind"]
        if mischief is not None:
            given = structs.asdict(mischief)
            words = ["unkind", str(seed), *(f"{name}={value}" for name, value in given.items())]
        self._wire = " ".join(words)
        if self._program is not None:
            self.tell(self._wire)

    def babble(self, data: bytes) -> None:
        """Send bytes that no card would."""
        self.tell(f"raw {data.hex()}")

    # --- what can be seen ---

    @property
    def connected(self) -> bool:
        """Whether a host has a session."""
        return bool(self.state()["connected"])

    @property
    def rate(self) -> int:
        """The rate the card speaks at, in baud."""
        return int(self.state()["rate"])

    @property
    def garbled(self) -> int:
        """Bytes that passed while card and host were at different rates."""
        return int(self.state()["garbled"])

    @property
    def mischief_done(self) -> dict[str, int]:
        """How often each kind of mischief was done since `unkind`, both directions together."""
        done: dict[str, int] = self.state()["mischief"]
        return done

    def lamp(self, line: int) -> str:
        """What the lamp of a line shows: off, on, blink or flash."""
        return str(self.state()["phones"][line]["lamp"])

    def lamp_colour(self, line: int) -> str:
        """Its colour: green, amber or red."""
        return str(self.state()["phones"][line]["colour"])

    @property
    def transcript(self) -> list[TranscriptEntry]:
        """What happened, oldest first."""
        self.state()  # Whatever happened before this answer has been told before it.
        return list(self._transcript.copy())

    def observe(self, observer: Callable[[TranscriptEntry], None]) -> None:
        """Call `observer` with each entry as it comes, on a thread of its own."""
        self._observer = observer

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until `predicate()` is true, asked again at each event and every 20 ms; false after `timeout` s."""
        end = boot_ms() + round(1000 * timeout)
        while True:
            self._changed.clear()
            if predicate():
                return True
            left = end - boot_ms()
            if left <= 0:
                return False
            self._changed.wait(min(left, _LOOK_AGAIN_MS) / 1000)

    def state(self) -> Said:
        """The whole state as the device tells it; all idle while it is switched off."""
        if self._program is not None:
            try:
                return self._program.ask("state", "state")
            except ProcessError:
                if self._program.running:
                    raise
        phones = [_NO_PHONE | {"off_hook": line in self._off_hook} for line in range(len(self.phones))]
        return {"connected": False, "rate": 0, "garbled": 0, "mischief": {}, "phones": phones}

    # --- for its telephones ---

    def tell(self, command: str) -> None:
        """Give a command. Raises ProcessError."""
        if self._program is None:
            raise ProcessError("the reference device is switched off")
        self._program.tell(command)

    def ask(self, command: str, kind: str) -> Said:
        """Give a command that has an answer. Raises ProcessError."""
        if self._program is None:
            raise ProcessError("the reference device is switched off")
        return self._program.ask(command, kind)

    def _end(self, *, kill: bool) -> None:
        program, self._program = self._program, None
        if program is not None:
            program.end(kill=kill)

    def _event(self, said: Said) -> None:
        entry = TranscriptEntry(said["at_ms"], said["line"], said["what"])
        if entry.what == "off-hook":
            self._off_hook.add(entry.line)
        elif entry.what == "on-hook":
            self._off_hook.discard(entry.line)
        self._transcript.append(entry)
        if self._observer is not None:
            self._observer(entry)
        self._changed.set()
