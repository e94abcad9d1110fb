"""What happens to the telephone (events) and what it does about it (actions): the words of the Switch.

Lines are numbered from 0. Times are milliseconds of the monotonic boot clock (`CLOCK_BOOTTIME`), passed beside an
event, never inside it unless the field says so. Nothing here does anything: adapters turn the world into events and
actions into the world.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from agent.core.linetest import LineTestEnding, LineTestKind, Measure
from agent.core.update import UpdateProgress


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
    LIMIT_REACHED = "limit_reached"
    AGENT_UNAVAILABLE = "agent_unavailable"
    NO_CALL_SLOT = "no_call_slot"
    PREEMPTED = "preempted"
    NO_LINE_FREE = "no_line_free"
    CARD_LOST = "card_lost"
    GATEWAY_LOST = "gateway_lost"
    ENDED_BY_AGENT = "ended_by_agent"
    SHUTDOWN = "shutdown"


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


# --- events: the line card -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CardUp:
    """The line card answered HELLO; every line is idle until an event says otherwise."""

    lines: int
    firmware: str
    line_test: bool = False
    firmware_update: bool = False


@dataclass(frozen=True, slots=True)
class CardDown:
    """The line card is gone or restarted; `reason` is a sentence for a technician."""

    reason: str


@dataclass(frozen=True, slots=True)
class OffHook:
    """The handset of `line` was lifted."""

    line: int


@dataclass(frozen=True, slots=True)
class OnHook:
    """The handset of `line` was replaced, at `at_ms` of the boot clock (0: not known) by the card's own clock."""

    line: int
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class DigitDialled:
    """One complete digit: `0`-`9`, `*`, `#` or `A`-`D`."""

    line: int
    digit: str


@dataclass(frozen=True, slots=True)
class HookFlash:
    """The register-recall button, or a hook press inside the flash window."""

    line: int


@dataclass(frozen=True, slots=True)
class ButtonPressed:
    """The adapter's button was released after `held_ms`."""

    held_ms: int


@dataclass(frozen=True, slots=True)
class LineTested:
    """The card has ended one test of `line`."""

    line: int
    test: LineTestKind
    ending: LineTestEnding
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateProgressed:
    """A firmware update of the card has come further, or ended."""

    progress: UpdateProgress


# --- events: SIP -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SipReady:
    """The SIP library is up. `max_calls` is what the library says of itself, `version` its own text."""

    max_calls: int
    version: str
    local_port: int


@dataclass(frozen=True, slots=True)
class Registered:
    """The registrar accepted `account` for `expires_s` seconds."""

    account: str
    expires_s: int


@dataclass(frozen=True, slots=True)
class Unregistered:
    """The registrar confirmed that `account` is no longer registered."""

    account: str


@dataclass(frozen=True, slots=True)
class RegistrationFailed:
    """A REGISTER did not succeed. `on_wire` false: no response was received, `code` is the library's own."""

    account: str
    code: int
    reason: str
    on_wire: bool
    retry_after_s: int | None = None


class NetworkChange(enum.StrEnum):
    """What has changed between us and the operator."""

    LINK_UP = "link_up"
    ADDRESS = "address"
    """Our own address is another one: the operator's binding leads nowhere, and so may a call's speech."""
    DNS_BACK = "dns_back"


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """The network is not what it was: what failed a moment ago may work now."""

    change: NetworkChange


@dataclass(frozen=True, slots=True)
class PathProbed:
    """The end of a `ProbePath`: `alive` where any response came back from the wire."""

    account: str
    alive: bool


@dataclass(frozen=True, slots=True)
class TargetAnswered:
    """A target of `account` has answered an OPTIONS that `ProbeTarget` asked for on behalf of `call_id`."""

    call_id: str
    account: str
    target: int


@dataclass(frozen=True, slots=True)
class IncomingInvite:
    """An INVITE has arrived and waits for `Ringing`, `Answer` or `Reject`."""

    call_id: str
    account: str
    caller: str
    called: str
    """The Request-URI's user part; empty where that only repeats our contact, which is the same for every number."""
    source: str
    called_party: str = ""
    """User part of P-Called-Party-ID (RFC 7315 §4.2)."""
    addressed: str = ""
    """User part of To."""
    bound: bool = False
    """Whether it was sent to the contact of `account`; otherwise the account is the library's guess."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A provisional response (180, 183); `early_media` says that sound already comes from the far end."""

    call_id: str
    code: int
    early_media: bool


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """200 OK and ACK: speech flows. `at_ms` is the boot time at which the answer was seen on the wire."""

    call_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechCounters:
    """One direction of a line's speech, in frames of 10 ms.

    `slips` and `inserts` follow the drift of two clocks; `forced` of them, or after a hold-up, fell into speech.
    `underruns` are gaps, `concealed` the frames that were made up in them or for lost ones.
    """

    frames: int = 0
    slips: int = 0
    inserts: int = 0
    forced: int = 0
    underruns: int = 0
    concealed: int = 0


@dataclass(frozen=True, slots=True)
class SpeechStats:
    """What happened to a call's speech between line and RTP, in frames of 10 ms.

    `lost`: never came from the card. `data`: a machine's profile or tone took away all that changes the sound.
    """

    to_sip: SpeechCounters = SpeechCounters()
    to_card: SpeechCounters = SpeechCounters()
    lost: int = 0
    bad_frames: int = 0
    digits_muted: int = 0
    data: bool = False


@dataclass(frozen=True, slots=True)
class MediaStats:
    """RTP statistics of a call, accumulated over its streams; milliseconds and packets."""

    rx_packets: int = 0
    tx_packets: int = 0
    rx_lost: int = 0
    tx_lost: int = 0
    rx_jitter_ms: int = 0
    rtt_ms: int = 0
    codec: str = ""
    speech: SpeechStats | None = None


@dataclass(frozen=True, slots=True)
class CallOver:
    """The SIP call is gone. `code`: last status (0: none); `on_wire`: a peer sent it; `remote`: the peer ended it."""

    call_id: str
    code: int
    reason: str
    remote: bool
    on_wire: bool
    stats: MediaStats | None = None


@dataclass(frozen=True, slots=True)
class DtmfReceived:
    """The far end pressed a key: the beginning of a telephone-event (RFC 4733)."""

    call_id: str
    digit: str


@dataclass(frozen=True, slots=True)
class MachineHeard:
    """The answer tone of a fax machine or modem sounds in the speech of `line`, from either end (ITU-T V.25)."""

    line: int


# --- events: time ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SlotsHeld:
    """How many call slots the SIP library holds for calls that the Switch does not know, or no longer: transactions of
    hung-up calls that nobody has answered yet (RFC 3261 §9.1, §17.1). Strangers being refused yield theirs to any call.
    """

    count: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing happened but time: a deadline of the Switch may be due."""


TelephoneEvent = (
    CardUp | CardDown | OffHook | OnHook | DigitDialled | HookFlash | ButtonPressed | LineTested
    | UpdateProgressed
    | SipReady | Registered | Unregistered | RegistrationFailed | IncomingInvite | Progress | CallAnswered | CallOver
    | DtmfReceived | MachineHeard | SlotsHeld | NetworkChanged | TargetAnswered | PathProbed | Tick
)  # fmt: skip


# --- actions: the line card ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring `line` in the configured cadence, showing `caller`, until `StopRing` or off-hook."""

    line: int
    caller: str


@dataclass(frozen=True, slots=True)
class StopRing:
    """Stop ringing `line`."""

    line: int


@dataclass(frozen=True, slots=True)
class PlayTone:
    """Play `tone` on `line` until `StopTone`, or for `duration_ms` (0: no limit), over any speech."""

    line: int
    tone: Tone
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class StopTone:
    """Silence whatever tone `line` plays."""

    line: int


@dataclass(frozen=True, slots=True)
class PlayDtmf:
    """Play one key's two tones on `line`, over any speech."""

    line: int
    digit: str


@dataclass(frozen=True, slots=True)
class OpenAudio:
    """Let speech frames of `line` flow between card and bridge."""

    line: int


@dataclass(frozen=True, slots=True)
class CloseAudio:
    """Stop the speech frames of `line`."""

    line: int


class Lamp(enum.StrEnum):
    """What a lamp says. OFF: not in service; ON: ready; BLINK: it rings; ATTENTION: it works, but only in part."""

    OFF = "off"
    ON = "on"
    BLINK = "blink"
    IN_USE = "in_use"
    FAULT = "fault"
    ATTENTION = "attention"
    UPDATING = "updating"


@dataclass(frozen=True, slots=True)
class SetLamp:
    """Show `lamp` for `line`."""

    line: int
    lamp: Lamp


@dataclass(frozen=True, slots=True)
class StartLineTest:
    """Do one test on `line`; `closed_loop`: although current flows in it. Its end is told by `LineTested`."""

    line: int
    test: LineTestKind
    closed_loop: bool = False


@dataclass(frozen=True, slots=True)
class AbortLineTest:
    """Give `line` back to its telephone, whatever is being measured."""

    line: int


@dataclass(frozen=True, slots=True)
class SetAdapterLamp:
    """Let the adapter's own lamp, which belongs to no line, show `lamp`."""

    lamp: Lamp


@dataclass(frozen=True, slots=True)
class StartUpdate:
    """Write the image that was offered under `request` to the card; `forced`: also an older one, or the same again."""

    request: str
    forced: bool = False


@dataclass(frozen=True, slots=True)
class AbortUpdate:
    """Leave the card with the firmware it has. `reason`: the key of a sentence in the section `update`."""

    reason: str


# --- actions: SIP ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Register:
    """Send one REGISTER for `account` (one attempt, at most four messages) through target number `target`."""

    account: str
    target: int = 0


@dataclass(frozen=True, slots=True)
class ProbePath:
    """Send one OPTIONS the way that the REGISTERs of `account` go: same target, same source port."""

    account: str


@dataclass(frozen=True, slots=True)
class NewPort:
    """Send what `account` sends from now on from another port: a router may have forgotten, or mangle, the old one."""

    account: str


@dataclass(frozen=True, slots=True)
class MoveAddress:
    """Our own address is another one: move the transport, and the speech of calls that go on, to it."""


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """Send one OPTIONS to a target of `account`, beside everything else; silence is the answer of a dead one.

    `call_id` is whose interest it is; empty: the registration's.
    """

    call_id: str
    account: str
    target: int


@dataclass(frozen=True, slots=True)
class Unregister:
    """Remove the binding of `account`."""

    account: str


@dataclass(frozen=True, slots=True)
class Invite:
    """Start a call from `account` to `user` in the account's domain, through the account's target number `target`."""

    call_id: str
    account: str
    user: str
    line: int
    emergency: bool = False
    target: int = 0


@dataclass(frozen=True, slots=True)
class Ringing:
    """Send 180 for an incoming call."""

    call_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Send 200 for an incoming call and join its speech with `line`."""

    call_id: str
    line: int


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse an incoming call with a final response."""

    call_id: str
    code: int


@dataclass(frozen=True, slots=True)
class HangUp:
    """End a call however far it has come (CANCEL or BYE)."""

    call_id: str


@dataclass(frozen=True, slots=True)
class SendDtmf:
    """Send one digit in a call as RFC 4733 telephone-event."""

    call_id: str
    digit: str


CardAction = (
    Ring | StopRing | PlayTone | StopTone | PlayDtmf | OpenAudio | CloseAudio | SetLamp | StartLineTest
    | AbortLineTest
)  # fmt: skip
AdapterAction = SetAdapterLamp | StartUpdate | AbortUpdate
"""For the card, but for no line of it."""
SipAction = (
    Register | Unregister | Invite | Ringing | Answer | Reject | HangUp | SendDtmf
    | ProbePath | NewPort | MoveAddress | ProbeTarget
)  # fmt: skip
