"""The lab operator's standard output: one JSON object a line, for people, scripts and tests. Numbers are masked."""

from __future__ import annotations

import io
import re
import threading
from typing import Protocol, TextIO

import msgspec
from msgspec import Struct

from agent.core.numbers import mask
from agent.operator.api import Verdict


class Ready(Struct, frozen=True, kw_only=True):
    """The first line: where the operator is."""

    http: str
    sip: str
    ready: bool = True


class Event(Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of the lines that follow; `event` names the kind."""


class Registered(Event, frozen=True, kw_only=True, tag="registered"):
    """A user can be called at `contacts` places for `expires_s` seconds."""

    user: str
    contacts: int
    expires_s: int


class Unregistered(Event, frozen=True, kw_only=True, tag="unregistered"):
    """A user can no longer be called: it said so, or `expired`."""

    user: str
    expired: bool = False


class Denied(Event, frozen=True, kw_only=True, tag="denied"):
    """A request with a wrong credential."""

    method: str
    user: str


class Invite(Event, frozen=True, kw_only=True, tag="invite"):
    """A call was accepted for routing to `callee`."""

    call: int
    caller: str
    callee: str
    number: str
    emergency: bool


class Ringing(Event, frozen=True, kw_only=True, tag="ringing"):
    """A provisional answer other than 100."""

    call: int
    code: int


class Answered(Event, frozen=True, kw_only=True, tag="answered"):
    """The callee answered."""

    call: int


class Refused(Event, frozen=True, kw_only=True, tag="refused"):
    """A call was not set up. `call` is 0 where it was refused before routing."""

    code: int
    call: int = 0
    number: str = ""


class Bye(Event, frozen=True, kw_only=True, tag="bye"):
    """A call ended; `answered` is false where it was cancelled."""

    call: int
    by_caller: bool
    answered: bool
    by_operator: bool = False
    """Neither end hung up: the operator stopped, or found one end dead."""


class CdrReceived(Event, frozen=True, kw_only=True, tag="cdr"):
    """What became of one uploaded record."""

    id: str
    verdict: Verdict
    reason: str = ""


class Trouble(Event, frozen=True, kw_only=True, tag="trouble"):
    """Something the operator did not expect, in words."""

    message: str


class Stopped(Event, frozen=True, kw_only=True, tag="stopped"):
    """The last line."""


class Sink(Protocol):
    """What the parts of the operator need to report what happens."""

    def emit(self, event: Event) -> None:
        """Report an event; safe from any thread."""


class EventStream:
    """Writes lines to a text stream; a reader that went away is no reason to stop."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def emit(self, event: Event | Ready) -> None:
        """Write one line; safe from any thread."""
        line = msgspec.json.encode(event).decode()
        with self._lock:
            try:
                self._out.write(line + "\n")
                self._out.flush()
            except (BrokenPipeError, ValueError):
                return


_LONG_NUMBER = re.compile(r"\+?\d{5,}")


def masked(text: str) -> str:
    """Return text with every run of five or more digits hidden."""
    return _LONG_NUMBER.sub(lambda match: mask(match[0]), text)


class LibraryOutput(io.TextIOBase):
    """Stands in for `sys.stdout` under a library that prints: each line becomes a Trouble event, numbers masked."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        self._rest = ""

    def write(self, text: str) -> int:
        """Take text; whole lines are reported."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip("- \r"):
                self._sink.emit(Trouble(message=masked(line.rstrip())[:1000]))
        return len(text)
