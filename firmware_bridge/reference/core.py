"""The card's session in C, called in this process: with the methods of `CardLink` that a wire in memory needs."""

from __future__ import annotations

import ctypes
import enum
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from firmware_bridge import messages as m
from firmware_bridge.framing import Frame
from firmware_bridge.link_events import AudioReceived, DownReason, LinkDown, LinkEvent, LinkUp, Received
from firmware_bridge.reliable import WINDOW, LinkBusyError
from firmware_bridge.terms import CardIdentity
from firmware_bridge.vocabulary import Kind

_NEVER = (1 << 64) - 1
_OUT_BYTES = 512
_LOOP_BYTES = 8192
_REASONS = (DownReason.SILENT, DownReason.UNACKNOWLEDGED, DownReason.REPLACED, DownReason.CLOSED)


class Verdict(enum.IntEnum):
    """What the decoder says of a piece between two delimiters, as the golden vectors name it."""

    GOOD = 1
    COBS = 2
    CRC = 3
    SHORT = 4
    OVERRUN = 5


class Decoding(enum.IntEnum):
    """What the codec says of a command's payload."""

    GOOD = 0
    UNKNOWN = 1
    MALFORMED = 2


class _Kind(enum.IntEnum):
    UP = 0
    DOWN = 1
    COMMAND = 2
    SPEECH = 3


class _Event(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_uint8),
        ("line", ctypes.c_uint8),
        ("id", ctypes.c_uint8),
        ("length", ctypes.c_uint8),
        ("number", ctypes.c_uint32),
        ("payload", ctypes.c_uint8 * 256),
    )


class Library:
    """The shared library that `build("library", ...)` makes."""

    def __init__(self, path: Path) -> None:
        """Load it. Raises OSError."""
        self._c = ctypes.CDLL(str(path))
        pointer, size, u8, u32, u64 = (
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint8, ctypes.c_uint32, ctypes.c_uint64,
        )  # fmt: skip
        data = ctypes.c_char_p
        for name, result, arguments in (
            ("shim_new", pointer, (u64, u8, u32, ctypes.POINTER(u32), u8)),
            ("shim_free", None, (pointer,)),
            ("shim_start", None, (pointer, u64)),
            ("shim_receive", None, (pointer, data, size, u64)),
            ("shim_send", size, (pointer, data, u64)),
            ("shim_next_timer", u64, (pointer,)),
            ("shim_on_timer", None, (pointer, u64)),
            ("shim_event_out", ctypes.c_int, (pointer, u8, u8, data, ctypes.c_int)),
            ("shim_next_event", ctypes.c_int, (pointer, ctypes.POINTER(_Event))),
            ("shim_up", ctypes.c_int, (pointer,)),
            ("shim_number", u32, (pointer,)),
            ("shim_rate", u32, (pointer,)),
            ("shim_rate_fallbacks", u32, (pointer,)),
            ("shim_waiting", ctypes.c_uint, (pointer,)),
            ("shim_unknown", u32, (pointer,)),
            ("shim_lost_events", u32, (pointer,)),
            ("shim_frame", size, (data, data, u8, data)),
            ("shim_verdicts", size, (data, size, data)),
            ("shim_command", ctypes.c_int, (u8, data, size, ctypes.POINTER(size))),
            ("shim_schema", u32, ()),
            ("shim_loop", ctypes.c_int, (ctypes.POINTER(u32), size, u32, data, size)),
            ("lc_recode", ctypes.c_int, (data, data, size, data, size, ctypes.POINTER(size))),
        ):
            function = getattr(self._c, name)
            function.restype, function.argtypes = result, arguments

    @property
    def schema(self) -> int:
        """The hash of the message table that the library was built with."""
        return int(self._c.shim_schema())

    def recode(self, name: str, payload: bytes) -> bytes | None:
        """A payload read and written again; None where it is refused. Raises KeyError where `name` is unknown."""
        out, at = ctypes.create_string_buffer(_OUT_BYTES), ctypes.c_size_t()
        length = self._c.lc_recode(name.encode(), payload, len(payload), out, _OUT_BYTES, ctypes.byref(at))
        if length == -2:
            raise KeyError(name)
        return None if length < 0 else out.raw[:length]

    def frame(self, frame: Frame) -> bytes:
        """A frame as it goes on the wire; empty where it is refused."""
        out = ctypes.create_string_buffer(_OUT_BYTES)
        header = bytes((frame.kind, frame.line, frame.flags, frame.seq, frame.ack, frame.id))
        length = self._c.shim_frame(header, frame.payload, len(frame.payload), out)
        return out.raw[:length]

    def verdicts(self, data: bytes) -> list[Verdict]:
        """What the decoder says of each piece."""
        out = ctypes.create_string_buffer(max(1, len(data)))
        ended = self._c.shim_verdicts(data, len(data), out)
        return [Verdict(code) for code in out.raw[:ended]]

    def command(self, ident: int, payload: bytes) -> Decoding:
        """What the codec says of a command."""
        at = ctypes.c_size_t()
        return Decoding(self._c.shim_command(ident, payload, len(payload), ctypes.byref(at)))

    def loop(self, changes_ms: Sequence[int], end_ms: int) -> list[str]:
        """What a loop means whose current changes at these times: `L12`, `1@30`, `F100@400`, `R900`."""
        out = ctypes.create_string_buffer(_LOOP_BYTES)
        times = (ctypes.c_uint32 * len(changes_ms))(*changes_ms)
        if not self._c.shim_loop(times, len(changes_ms), end_ms, out, _LOOP_BYTES):
            raise ValueError("too much happens on that loop")
        return out.value.decode("ascii").split()

    def card(self, identity: CardIdentity) -> CoreCard:
        """A card's end of the link. Raises MemoryError."""
        return CoreCard(self._c, identity)


class CoreCard:
    """One session. Commands are answered OK by the core itself, as soon as it has them."""

    def __init__(self, library: ctypes.CDLL, identity: CardIdentity) -> None:
        self._c = library
        bauds = (ctypes.c_uint32 * len(identity.bauds))(*identity.bauds)
        self._core = library.shim_new(
            identity.boot_id, identity.lines, identity.capabilities, bauds, len(identity.bauds)
        )
        if not self._core:
            raise MemoryError("the card cannot be made")
        self._events: deque[LinkEvent] = deque()
        self._out = ctypes.create_string_buffer(_OUT_BYTES)

    def __del__(self) -> None:
        if self._core:
            self._c.shim_free(self._core)

    def start(self, now: int) -> None:
        """The card has started."""
        self._c.shim_start(self._core, now)

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes as they come."""
        self._c.shim_receive(self._core, data, len(data), now)

    def data_to_send(self, now: int) -> bytes:
        """The next frame for the wire."""
        length = self._c.shim_send(self._core, self._out, now)
        return self._out.raw[:length]

    def next_timer(self) -> int | None:
        """When `on_timer` wants to be called next."""
        due = int(self._c.shim_next_timer(self._core))
        return None if due == _NEVER else due

    def on_timer(self, now: int) -> None:
        """Do what is due."""
        self._c.shim_on_timer(self._core, now)

    def send(self, event: object, line: int = 0) -> None:
        """Queue an event. Raises LinkBusyError."""
        payload = m.pack(event)
        if not self._c.shim_event_out(self._core, m.spec_of(event).id, line, payload, len(payload)):
            raise LinkBusyError("the core's queue is full")

    def respond(self, command: Received, status: object) -> None:
        """Nothing: the core has answered already."""

    def next_event(self) -> LinkEvent | None:
        """The oldest event, None where there is none."""
        event = _Event()
        if not self._c.shim_next_event(self._core, ctypes.byref(event)):
            return None
        payload = bytes(event.payload[: event.length])
        match event.kind:
            case _Kind.UP:
                peer = m.Hello(
                    m.PROTOCOL_MAJOR, m.PROTOCOL_MINOR, m.SCHEMA_HASH, event.number, m.MAX_PAYLOAD, WINDOW, "",
                )  # fmt: skip
                return LinkUp(peer)
            case _Kind.DOWN:
                return LinkDown(_REASONS[event.id], "")
            case _Kind.SPEECH:
                return AudioReceived(event.line, event.number, event.id, payload)
            case _:
                spec = m.find_spec(Kind.CMD, event.id)
                assert spec is not None, "the core knows a command that the table does not have"
                return Received(Kind.CMD, event.line, 0, m.parse(spec, payload))

    @property
    def up(self) -> bool:
        """Whether a host has a session."""
        return bool(self._c.shim_up(self._core))

    @property
    def session(self) -> int:
        """The number of the session, 0: none."""
        return int(self._c.shim_number(self._core))

    @property
    def rate(self) -> int:
        """The rate that the port should have now."""
        return int(self._c.shim_rate(self._core))

    @property
    def rate_fallbacks(self) -> int:
        """How often a higher rate was given up."""
        return int(self._c.shim_rate_fallbacks(self._core))

    @property
    def waiting(self) -> int:
        """How many reliable frames are queued or unacknowledged."""
        return int(self._c.shim_waiting(self._core))

    @property
    def unknown(self) -> int:
        """How many frames with an unknown id arrived."""
        return int(self._c.shim_unknown(self._core))

    @property
    def lost_events(self) -> int:
        """How many events were lost because nobody took them."""
        return int(self._c.shim_lost_events(self._core))
