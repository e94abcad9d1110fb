"""A simulated card for people and for tests in other languages: commands on stdin, JSON lines on stdout.

    python -m firmware_bridge.simulator --pty /tmp/line-card --lines 2

Commands, one a line (LINE counts from 0):
    off LINE | on LINE | dial LINE DIGITS [ON_MS GAP_MS] | pulse LINE DIGITS [BREAK_MS MAKE_MS GAP_MS] | flash LINE [MS]
    pause LINE MS | speak LINE HZ|none | record LINE MS | wires LINE
    hears LINE HZ | loop LINE NAME | state | button MS | reset | unplug | plug | unkind SEED [NAME=VALUE ...] | kind
    babble BYTES | quit
`unkind` makes the wire bad (loss, repeat, cut, flip, noise, delay_ms, jitter_ms, stall, stall_ms, reset, greeting);
without names it is as bad as with --unkind. `babble` sends so many bytes of noise to the host.
`record` gives what was heard in the last MS (at most 15 s), `wires` what sounded with the handset down since the latest
ringing began: 16-bit little-endian PCM at 8000 samples a second, in hexadecimal digits.
Each line of output is an object with `type`: `ready`, `event` (what happened on the card), `heard`, `recorded`,
`wires`, `state`, `error`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TextIO

from firmware_bridge.simulator.loop import LOOPS
from firmware_bridge.simulator.phone import SimulatedPhone, TranscriptEntry
from firmware_bridge.simulator.pty import PtyCard
from firmware_bridge.simulator.unkind import ROUGH, Mischief

_BABBLE_LIMIT = 4096


class CommandError(Exception):
    """A command that cannot be carried out; the text says why."""


class Console:
    """Reads commands for a card and writes what happens."""

    def __init__(self, card: PtyCard, out: TextIO) -> None:
        self._card = card
        self._out = out
        self._lock = threading.Lock()
        self._commands: dict[str, Callable[[list[str]], None]] = {
            "off": lambda words: self._phone(words).off_hook(),
            "on": lambda words: self._phone(words).on_hook(),
            "dial": self._dial,
            "pulse": self._pulse,
            "flash": lambda words: self._phone(words).flash(*map(_whole, words[1:2])),
            "pause": lambda words: self._phone(words).pause(_whole(_word(words, 1, "milliseconds"))),
            "speak": self._speak,
            "hears": self._hears,
            "record": self._record,
            "wires": lambda words: self._say_pcm("wires", self._phone(words), self._phone(words).wires()),
            "state": lambda _words: self._state(),
            "loop": self._loop,
            "button": lambda words: card.press_button(_whole(_word(words, 0, "milliseconds"))),
            "reset": lambda _words: card.reset(),
            "unplug": lambda _words: card.unplug(),
            "plug": lambda _words: card.plug(),
            "unkind": self._unkind,
            "kind": lambda _words: card.unkind(None),
            "babble": self._babble,
        }

    def run(self, lines: Iterable[str]) -> None:
        """Carry out commands until `quit` or the end of the input."""
        self._card.observe(self._event)
        self._say(type="ready", path=self._card.path, lines=len(self._card.phones))
        for text in lines:
            words = text.split()
            if not words:
                continue
            if words[0] == "quit":
                break
            try:
                self._do(words[0], words[1:])
            except (CommandError, ValueError, TimeoutError) as error:
                self._say(type="error", text=str(error))

    def _do(self, name: str, words: list[str]) -> None:
        command = self._commands.get(name)
        if command is None:
            raise CommandError(f"no command {name!r}; there are {', '.join(self._commands)} and quit")
        command(words)

    def _phone(self, words: list[str]) -> SimulatedPhone:
        line = _whole(_word(words, 0, "a line"))
        if not 0 <= line < len(self._card.phones):
            raise CommandError(f"line {line} does not exist, lines are 0 to {len(self._card.phones) - 1}")
        return self._card.phones[line]

    def _dial(self, words: list[str]) -> None:
        self._phone(words).dial(_word(words, 1, "digits"), *map(_whole, words[2:4]))

    def _pulse(self, words: list[str]) -> None:
        self._phone(words).dial_by_pulses(_word(words, 1, "digits"), *map(_whole, words[2:5]))

    def _speak(self, words: list[str]) -> None:
        hz = _word(words, 1, "a frequency or none")
        self._phone(words).speak(None if hz == "none" else _audible(hz))

    def _hears(self, words: list[str]) -> None:
        phone = self._phone(words)
        hz = _audible(_word(words, 1, "a frequency"))
        self._say(type="heard", line=phone.line, hz=hz, dbm0=round(phone.hears(hz), 1))

    def _record(self, words: list[str]) -> None:
        phone = self._phone(words)
        self._say_pcm("recorded", phone, phone.recording(_whole(_word(words, 1, "milliseconds"))))

    def _say_pcm(self, kind: str, phone: SimulatedPhone, pcm: bytes) -> None:
        self._say(type=kind, line=phone.line, pcm=pcm.hex())

    def _loop(self, words: list[str]) -> None:
        phone, name = self._phone(words), _word(words, 1, "the name of a loop")
        if name not in LOOPS:
            raise CommandError(f"no loop {name!r}; there are {', '.join(LOOPS)}")
        phone.wire(LOOPS[name])

    def _unkind(self, words: list[str]) -> None:
        seed = _whole(_word(words, 0, "a seed"))
        self._card.unkind(_mischief(words[1:]) if words[1:] else ROUGH, seed)

    def _babble(self, words: list[str]) -> None:
        length = min(_whole(_word(words, 0, "a number of bytes")), _BABBLE_LIMIT)
        self._card.babble(random.Random(length).randbytes(length))  # noqa: S311 -- reproducible noise, no secret

    def _state(self) -> None:
        phones = [
            {
                "line": phone.line,
                "off_hook": phone.is_off_hook,
                "ringing": phone.ringing,
                "display": phone.display,
                "name": phone.shows.name if phone.shows is not None and isinstance(phone.shows.name, str) else "",
                "time": phone.shows.month_day_time if phone.shows is not None else "",
                "lamp_for_messages": phone.message_lamp,
                "tone": phone.tone is not None,
                "audio": phone.audio_open,
                "frames": list(phone.frames),
                "lamp": self._card.lamp(phone.line),
                "colour": self._card.lamp_colour(phone.line),
            }
            for phone in self._card.phones
        ]
        self._say(
            type="state", connected=self._card.connected, rate=self._card.rate, garbled=self._card.garbled,
            mischief=self._card.mischief_done, phones=phones,
        )  # fmt: skip

    def _event(self, entry: TranscriptEntry) -> None:
        self._say(type="event", at_ms=entry.at_ms, line=entry.line, what=entry.what)

    def _say(self, **fields: object) -> None:
        with self._lock:
            self._out.write(json.dumps(fields) + "\n")
            self._out.flush()


def _word(words: list[str], index: int, meaning: str) -> str:
    if index >= len(words):
        raise CommandError(f"{meaning} is missing")
    return words[index]


def _mischief(words: list[str]) -> Mischief:
    names = Mischief.__struct_fields__
    given: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in names:
            raise CommandError(f"no mischief {name!r}; there are {', '.join(sorted(names))}")
        given[name] = _whole(value) if isinstance(getattr(ROUGH, name), int) else float(value)
    return Mischief(**given)  # type: ignore[arg-type]  # whole numbers are where they belong, see above


def _whole(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= len("600000")):
        raise CommandError(f"{word!r} is not a whole number of at most six digits")
    return int(word)


def _audible(word: str) -> int:
    hz = _whole(word)
    if not 1 <= hz < 4000:
        raise CommandError(f"{hz} Hz is outside of a telephone's 1 to 3999 Hz")
    return hz


def main() -> None:
    """Run the simulated card until its input ends."""
    parser = argparse.ArgumentParser(prog="python -m firmware_bridge.simulator", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--pty", metavar="PATH", help="symbolic link to make to the pseudo-terminal")
    parser.add_argument("--lines", type=int, default=2, choices=range(1, 9), help="number of analog lines (default 2)")
    parser.add_argument("--unkind", type=int, metavar="SEED", help="a bad wire, the same for the same number")
    arguments = parser.parse_args()
    card = PtyCard(lines=arguments.lines, link_path=arguments.pty)
    if arguments.unkind is not None:
        card.unkind(ROUGH, arguments.unkind)
    with card:
        Console(card, sys.stdout).run(sys.stdin)


if __name__ == "__main__":
    main()
