"""The words that events, actions and records of calls have in common: tones, causes, phases and kinds."""

from __future__ import annotations

import enum


class Tone(enum.StrEnum):
    """A tone a telephone can play; its frequencies and cadence are data (`config/tones.toml`, ITU-T E.180)."""

    DIAL = "dial"
    RECALL = "recall"
    """Dial tone that says that something waits."""
    RINGBACK = "ringback"
    BUSY = "busy"
    CONGESTION = "congestion"
    CALL_WAITING = "call_waiting"
    SPECIAL = "special"
    HOWLER = "howler"
    WARNING = "warning"
    CONFIRM = "confirm"
    """What was dialled has been done (positive indication tone)."""


class Direction(enum.StrEnum):
    """Which way a call was set up, seen from the adapter."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"


class CallKind(enum.StrEnum):
    """Emergency calls ask nobody and wait for nothing."""

    ORDINARY = "ordinary"
    EMERGENCY = "emergency"


class CallPhase(enum.StrEnum):
    """How far a call has come."""

    ASKED = "asked"
    GRANTED = "granted"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


class Cause(enum.StrEnum):
    """Why a call ended; the local/remote split follows TR-104 `CallTerminationCause`."""

    NORMAL = "normal"
    CANCELLED = "cancelled"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REFUSED = "refused"
    REMOTE_REFUSED = "remote_refused"
    NO_SUCH_NUMBER = "no_such_number"
    NETWORK_FAILURE = "network_failure"
    REDIRECTED = "redirected"
    """The far end sent the call to another number, which nobody has dialled."""
    MEDIA_LOST = "media_lost"
    """Nothing was heard of the far end for too long."""
    SESSION_EXPIRED = "session_expired"
    """The far end did not answer any more whether the call still goes on (RFC 4028 §10)."""
    LIMIT_REACHED = "limit_reached"
    AGENT_UNAVAILABLE = "agent_unavailable"
    NO_CALL_SLOT = "no_call_slot"
    PREEMPTED = "preempted"
    NO_LINE_FREE = "no_line_free"
    CARD_LOST = "card_lost"
    GATEWAY_LOST = "gateway_lost"
    ENDED_BY_AGENT = "ended_by_agent"
    SHUTDOWN = "shutdown"
    FORWARDED = "forwarded"
    """The caller was sent on to another number, at the platform's hands."""


class Party(enum.StrEnum):
    """Who ended the call."""

    LOCAL = "local"
    REMOTE = "remote"
    SYSTEM = "system"


class LineProfile(enum.StrEnum):
    """What is connected to a line. Machines want their sound unchanged: see `is_data`."""

    PHONE = "phone"
    FAX = "fax"
    ALARM = "alarm"
    CARD_TERMINAL = "card_terminal"

    @property
    def is_data(self) -> bool:
        """Whether a machine speaks: no echo control, no tone in the conversation, no adaptive buffer."""
        return self is not LineProfile.PHONE

    @property
    def shows_caller(self) -> bool:
        """Whether caller id is sent: to telephones and fax machines. Others may take its tones for an answer."""
        return self in (LineProfile.PHONE, LineProfile.FAX)


class LineService(enum.StrEnum):
    """What a line is good for. It never promises by its dial tone what it would refuse."""

    FULL = "full"
    EMERGENCY_ONLY = "emergency_only"
    """A lifted handset is told so."""
    DEAD = "dead"
    """It gives no dial tone and does not ring. An emergency number that somebody dials all the same is called."""


class NetworkChange(enum.StrEnum):
    """What has changed between us and the operator."""

    LINK_UP = "link_up"
    ADDRESS = "address"
    """Our own address is another one: the operator's binding leads nowhere, and so may a call's speech."""
    DNS_BACK = "dns_back"


class Lamp(enum.StrEnum):
    """What a lamp says. OFF: not in service; ON: ready; BLINK: it rings; ATTENTION: it works, but only in part."""

    OFF = "off"
    ON = "on"
    BLINK = "blink"
    IN_USE = "in_use"
    FAULT = "fault"
    ATTENTION = "attention"
    UPDATING = "updating"
