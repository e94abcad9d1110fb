"""The last frames of the link, for the technician who asks why it was lost. No payloads: they hold digits. Pure."""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from firmware_bridge import messages as m
from firmware_bridge.vocabulary import Kind

DEPTH = 200
_KINDS = {int(kind): kind.name for kind in Kind}


class TracedFrame(Struct, frozen=True):
    """One frame that was sent or received, at `at_ms` of the link's clock."""

    at_ms: int
    sent: bool
    kind: int
    line: int
    id: int
    seq: int
    ack: int
    length: int

    def __str__(self) -> str:
        spec = m.find_spec(Kind.CMD if self.kind == Kind.RSP else self.kind, self.id)
        name = f"{self.id:02x}" if spec is None else spec.name
        way = ">" if self.sent else "<"
        kind = _KINDS.get(self.kind, str(self.kind))
        return f"{self.at_ms} {way} {kind} {name} line={self.line} seq={self.seq} ack={self.ack} bytes={self.length}"


class TracedNote(Struct, frozen=True):
    """Something else that happened to the link: a change of rate, the end of a session."""

    at_ms: int
    text: str

    def __str__(self) -> str:
        return f"{self.at_ms} {self.text}"


class TracedDamage(Struct, frozen=True):
    """Pieces that were no frames, in reads of together `length` bytes, from `at_ms` to `until_ms`."""

    at_ms: int
    until_ms: int
    frames: int
    length: int

    def __str__(self) -> str:
        return f"{self.at_ms} < damaged pieces={self.frames} bytes={self.length} until={self.until_ms}"


class Trace:
    """A ring of the last DEPTH frames that were not speech, and of what happened between them."""

    def __init__(self) -> None:
        self.now = 0
        """The link's time; whoever moves the link sets it."""
        self._frames: deque[TracedFrame | TracedNote | TracedDamage] = deque(maxlen=DEPTH)

    def add(self, header: tuple[int, int, int, int, int], length: int, *, sent: bool) -> None:
        """Remember a frame by its kind, line, seq, ack and id, and the length of its payload."""
        kind, line, seq, ack, ident = header
        if kind != Kind.AUDIO:
            self._frames.append(TracedFrame(self.now, sent, kind, line, ident, seq, ack, length))

    def note(self, text: str) -> None:
        """Remember what is no frame. `text` must not hold what was dialled or who called."""
        self._frames.append(TracedNote(self.now, text))

    def damage(self, frames: int, length: int) -> None:
        """Remember what could not be read; noise that goes on is one entry, so that it does not push out the frames."""
        if self._frames and isinstance(last := self._frames[-1], TracedDamage):
            self._frames[-1] = TracedDamage(last.at_ms, self.now, last.frames + frames, last.length + length)
        else:
            self._frames.append(TracedDamage(self.now, self.now, frames, length))

    def lines(self) -> tuple[str, ...]:
        """The frames, oldest first, one a line; safe to call from another thread."""
        return tuple(str(frame) for frame in self._frames.copy())
