"""What one end of the line-card link tells its owner. Pure."""

from __future__ import annotations

import enum
from typing import Any

from msgspec import Struct

from firmware_bridge import messages as m
from firmware_bridge.vocabulary import Kind, Status


class DownReason(enum.StrEnum):
    """Why a session ended or did not begin."""

    SILENT = "silent"
    RESET = "reset"
    SESSION_LOST = "session_lost"
    REPLACED = "replaced"
    UNACKNOWLEDGED = "unacknowledged"
    UNANSWERED = "unanswered"
    REFUSED = "refused"
    CLOSED = "closed"
    NO_ANSWER = "no_answer"


class LinkUp(Struct, frozen=True):
    """A session began; `peer` is what the other end said of itself."""

    peer: m.Hello | m.HelloAck


class LinkDown(Struct, frozen=True):
    """The session ended, or was refused; `detail` is a sentence for a technician."""

    reason: DownReason
    detail: str


class Received(Struct, frozen=True):
    """A command, event or log line. A command (`kind` CMD) must be answered with `Link.respond`.

    `session` counts this end's sessions, so that an answer can't stray into a later one.
    `at_ms`: on this end's clock, when the message's own `t_us` says it happened; when it arrived where it has none.
    """

    kind: Kind
    line: int
    seq: int
    message: Any
    at_ms: int = 0
    session: int = 0


class Answered(Struct, frozen=True):
    """The reply to the command that `send` numbered `seq`; `result` is the record the table names, or None."""

    seq: int
    line: int
    command: Any
    status: Status
    result: Any


class AudioReceived(Struct, frozen=True):
    """A frame of speech; `flags` are bits of AudioFlag."""

    line: int
    counter: int
    flags: int
    data: bytes


LinkEvent = LinkUp | LinkDown | Received | Answered | AudioReceived
