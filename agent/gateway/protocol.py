"""The records that cross the socket between gateway and agent, and their encoding.

Whole records, never deltas: each packet of the SOCK_SEQPACKET socket is one JSON-encoded record of at most
`MAX_PACKET` bytes. There is no reply, no command id and no replay: on connect the gateway sends every record that it
has, and an ended `CallState` stays until `Release`. All `*_ms` are milliseconds of the gateway's boot clock.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from agent.core.announcement import Language
from agent.core.callback import MAX_CALLBACK_S
from agent.core.codecs import G711
from agent.core.media import MediaStats, Way, WayFigures
from agent.core.ranges import MAX_RANGES, MAX_TEXT, parse_ranges
from agent.core.registration import Status
from agent.core.services import LineServices, ServiceProfile
from agent.core.srtp import Srtp
from agent.core.stun import MAX_TEXT as MAX_STUN_TEXT
from agent.core.stun import parse_server
from agent.core.terms import CallKind, CallPhase, Cause, Direction, LineProfile, LineService, NetworkChange, Party, Tone
from agent.gateway.analogue import Analogue, Cadence
from agent.gateway.card_records import LineTestState, UpdateState
from agent.gateway.record import BootMs, LineNumber, Record, Short, Text

PROTOCOL_VERSION = 1
MAX_PACKET = 64 * 1024
MAX_UNRELEASED = 64
UNLOCK_PATIENCE_MS = 3_000
"""How long a handset waits for the answer to a technician's code."""

GainDdb = Annotated[int, Meta(ge=-150, le=60)]
"""Tenths of a decibel; more than 6 dB up makes any hybrid whistle."""


AddressRanges = Annotated[list[Annotated[str, Meta(max_length=MAX_TEXT)]], Meta(max_length=MAX_RANGES)]
"""Address ranges as `agent.core.ranges` reads them."""


SessionSeconds = Annotated[int, Meta(ge=0, le=86_400)]
"""0, or 90 and more (RFC 4028 §4): what is below counts as 90."""


class ProtocolError(Exception):
    """A packet was not a record of this protocol; the message says what was wrong with it."""


# --- gateway -> agent ------------------------------------------------------------------------------------------------


class Hello(Record, frozen=True, kw_only=True, tag="hello"):
    """First record of a connection. `instance` is random per process: a new one has none of the old one's calls."""

    protocol: int
    instance: Short
    boot_id: Short
    version: Short
    sip_version: Short = ""
    max_calls: int = 0
    max_accounts: Annotated[int, Meta(ge=1, le=64)] = 8
    """How many registrations the SIP library carries."""
    codecs: Annotated[list[Short], Meta(max_length=16)] = msgspec.field(default_factory=lambda: list(G711))
    """What the SIP library has of the codecs that can be listed."""
    configuration: Short = ""
    """`Configure.revision` in force; empty: none yet."""


class CardState(Record, frozen=True, kw_only=True, tag="card"):
    """The line card, as last heard."""

    up: bool
    lines: int = 0
    firmware: Short = ""
    reason: Text = ""
    line_test: bool = False
    """Whether it can measure its lines."""
    firmware_update: bool = False
    """Whether it takes new firmware over the link."""
    button_ms: BootMs | None = None
    """When the adapter's button was last released, since the card came up."""
    button_held_ms: Annotated[int, Meta(ge=0)] = 0


class LineState(Record, frozen=True, kw_only=True, tag="line"):
    """One analog line. `digits` is how many were dialled, never which."""

    line: LineNumber
    off_hook: bool = False
    ringing: bool = False
    tone: Tone | None = None
    announcement: Short = ""
    """What is being said; the tone follows."""
    digits: int = 0
    call_id: Short = ""


class AccountState(Record, frozen=True, kw_only=True, tag="account"):
    """One registration. `code` is the last final response (0: none received); `on_wire` false: the code is local."""

    account: Short
    registered: bool
    code: int = 0
    reason: Text = ""
    on_wire: bool = True
    since_ms: BootMs = 0
    next_attempt_ms: BootMs | None = None
    attempts: int = 0
    status: Status = Status.INITIALIZING
    target: Annotated[int, Meta(ge=0, le=15)] = 0
    """Number of the target (of `Account.targets`) that is in use, or tried next."""
    alive_ms: BootMs | None = None
    """When that target last answered an OPTIONS of ours."""
    request_ms: BootMs | None = None
    """When a request of the operator last reached us at the registration's contact."""


class CallState(Record, frozen=True, kw_only=True, tag="call"):
    """One call, whole; an ended one stays until `Release`. `number`: the other party, as dialled or as shown."""

    call_id: Short
    direction: Direction
    kind: CallKind
    phase: CallPhase
    line: LineNumber | None = None
    """None: an incoming call that no line took."""
    account: Short = ""
    number: Short = ""
    own_number: Short = ""
    diverted_from: Short = ""
    """Of an incoming call: the number that was called first, where the caller was sent on from there."""
    asked_ms: BootMs = 0
    """When the last digit was dialled, or the INVITE arrived."""
    invited_ms: BootMs | None = None
    ringing_ms: BootMs | None = None
    answered_ms: BootMs | None = None
    until_ms: BootMs | None = None
    held: bool = False
    """Whether we have put the other party on hold."""
    ended_ms: BootMs | None = None
    cause: Cause | None = None
    released_by: Party | None = None
    refusal: Short = ""
    """The code of the agent's refusal, where `cause` is `refused`."""
    max_talk_ms: BootMs | None = None
    """Answered time that is granted; `until_ms` counts it from the answer on."""
    limit: Short = ""
    """Where `cause` is `limit_reached`: what the granted time of speech came from."""
    sip_code: int = 0
    stats: MediaStats | None = None
    one_way: Way | None = None
    """Which direction of the running call is dead, since `one_way_since_ms`."""
    one_way_since_ms: BootMs | None = None


class CallQuality(Record, frozen=True, kw_only=True, tag="quality"):
    """How an answered call sounds at this moment, each second; None: not known. It ends with its call."""

    call_id: Short
    heard: WayFigures | None = None
    sent: WayFigures | None = None
    """As the far end's last report says."""
    rtt_ms: int = 0
    """0: not known."""


class LineSettings(Record, frozen=True, kw_only=True, tag="settings"):
    """What the user of a line has set by its telephone's codes."""

    line: LineNumber
    services: LineServices = LineServices()


class Unlock(Record, frozen=True, kw_only=True, tag="unlock"):
    """Somebody has dialled the technician's code on a handset and waits for `Unlocked`. Told once, and never logged."""

    line: LineNumber
    code: Annotated[str, Meta(pattern="^[0-9]{6}$")]
    at_ms: BootMs

    def __repr__(self) -> str:
        return f"Unlock(line={self.line})"

    def __rich_repr__(self) -> list[tuple[str, int]]:
        """What pretty printers may show: not the code."""
        return [("line", self.line)]


class StunState(Record, frozen=True, kw_only=True, tag="stun"):
    """The STUN server that is asked, as last seen; without `server` none is."""

    server: Short = ""
    answers: bool = False
    outside: Short = ""
    """The address from which it saw us when it answered last; empty: it never has."""
    refusal: Text = ""
    """Why it can't be asked from here."""


class Log(Record, frozen=True, kw_only=True, tag="log"):
    """One state change for the agent's log; `event` is a fixed name, `detail` holds no full number and no secret."""

    level: Short
    event: Short
    at_ms: BootMs
    line: LineNumber | None = None
    call_id: Short = ""
    detail: Text = ""


# --- agent -> gateway ------------------------------------------------------------------------------------------------


class ToneSegment(Record, frozen=True, kw_only=True):
    """A piece of a cadence: `frequencies` in hertz (none: silence) for `ms` (0: for ever)."""

    frequencies: Annotated[list[Annotated[int, Meta(ge=100, le=3800)]], Meta(max_length=4)]
    ms: Annotated[int, Meta(ge=0, le=60_000)]


class ToneSpec(Record, frozen=True, kw_only=True):
    """A tone: level in dBm0 (negative) and segments, repeated unless `once`."""

    level_dbm0: Annotated[int, Meta(ge=-60, le=0)]
    segments: Annotated[list[ToneSegment], Meta(min_length=1, max_length=16)]
    once: bool = False


_Target = Annotated[str, Meta(max_length=340)]


class Account(Record, frozen=True, kw_only=True):
    """One registration: who, with what secret, and through which targets, best first.

    A target is `address:port;transport=udp`, with udp, tcp or tls; with tls the name that the server's certificate must
    have stands before it: `sip.example.net@192.0.2.1:5061;transport=tls`.
    """

    id: Short
    user: Short
    domain: Short
    auth_user: Short
    password: Annotated[str, Meta(max_length=256)]
    targets: Annotated[list[_Target], Meta(min_length=1, max_length=8)]
    expires_s: Annotated[int, Meta(ge=10, le=86_400)] = 300
    trust_identity: bool = False
    """Whether its P-Asserted-Identity (RFC 3325) and its word on diversions are believed."""
    session_s: SessionSeconds = 1800
    """Session interval that is asked for (RFC 4028); 0: no session timer."""
    mailbox: bool = False
    """Whether the operator has a mailbox that tells of its messages (RFC 3842)."""
    register: bool = True
    """False: it never registers, and carries nothing but emergency calls (and what the agent grants)."""
    srtp: Srtp = Srtp.OFF
    codecs: Annotated[list[Short], Meta(max_length=16)] = msgspec.field(default_factory=lambda: list(G711))
    """Speech codecs by encoding name, the best first; see `agent.core.codecs`."""

    def __repr__(self) -> str:
        return f"Account(id={self.id!r}, domain={self.domain!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        """What pretty printers may show: not the password."""
        return [("id", self.id), ("domain", self.domain)]


class Line(Record, frozen=True, kw_only=True):
    """One analog line: which account and number it calls from."""

    line: LineNumber
    account: Short
    number: Short
    """Own number, E.164 with plus."""
    profile: LineProfile = LineProfile.PHONE
    send_gain_ddb: GainDdb = 0
    """Towards the network."""
    receive_gain_ddb: GainDdb = 0
    """Towards the telephone."""
    service: LineService = LineService.FULL
    clir: bool = False
    """Its number is withheld from whom it calls, unless a call says otherwise (CLIR)."""


class Route(Record, frozen=True, kw_only=True):
    """Where calls to one of our numbers ring; `number` in E.164 with plus."""

    number: Short
    account: Short
    lines: Annotated[list[LineNumber], Meta(max_length=8)]
    refused: Short = ""
    """Why it rings nowhere (`refusal.CODE` of the texts); empty: it is a number of the subscription like any other."""


class DigitMap(Record, frozen=True, kw_only=True):
    """The digit map as data: `patterns` in the syntax of `core.dialplan`, emergency numbers apart."""

    patterns: Annotated[list[Short], Meta(max_length=256)]
    emergency: Annotated[list[Short], Meta(min_length=1, max_length=16)]
    timer_ms: Annotated[int, Meta(ge=500, le=30_000)] = 4000
    first_digit_ms: Annotated[int, Meta(ge=1000, le=60_000)] = 15_000


class NumberFormat(Record, frozen=True, kw_only=True):
    """How numbers travel in SIP: `plus` E.164 with plus, `digits` E.164 without, `national` as dialled at home."""

    outgoing: Annotated[str, Meta(pattern="^(plus|digits|national)$")] = "plus"
    country_code: Annotated[str, Meta(pattern="^[1-9][0-9]{0,2}$")] = "47"
    international_prefix: Annotated[str, Meta(pattern="^[0-9]{1,4}$")] = "00"


class Configure(Record, frozen=True, kw_only=True, tag="configure"):
    """Everything the telephone needs to work alone; kept by the gateway in its last-good file."""

    revision: Short
    accounts: Annotated[list[Account], Meta(max_length=32)]
    lines: Annotated[list[Line], Meta(max_length=8)]
    routes: Annotated[list[Route], Meta(max_length=64)]
    digit_map: DigitMap
    tones: dict[Tone, ToneSpec]
    ring_cadence_ms: Cadence
    numbers: NumberFormat = msgspec.field(default_factory=NumberFormat)
    services: ServiceProfile = msgspec.field(default_factory=ServiceProfile)
    ask_timeout_ms: Annotated[int, Meta(ge=500, le=30_000)] = 4000
    ring_timeout_ms: Annotated[int, Meta(ge=5_000, le=600_000)] = 90_000
    language: Language = Language.NB
    """What announcements are spoken in."""
    announcements: Text = ""
    """Folder with recordings in place of the shipped ones, LANGUAGE/NAME.wav; empty: none."""
    rtp_timeout_s: Annotated[int, Meta(ge=0, le=3600)] = 30
    """A call ends when nothing has come from the far end for so long, unless it is held; 0: never."""
    callback_s: Annotated[int, Meta(ge=0, le=MAX_CALLBACK_S)] = 300
    """How long after an emergency call the line takes every call: the service may call back."""
    options_s: Annotated[int, Meta(ge=0, le=600)] = 0
    """How often a registration's way is asked by OPTIONS whether it lives; 0: never."""
    rtp_stat: bool = False
    """Whether a BYE of ours tells how the call sounded (`X-RTP-Stat`)."""
    boot_spread_s: Annotated[int, Meta(ge=0, le=600)] = 0
    """After the machine has started, the first REGISTER comes within this time, unless a handset is lifted."""
    signalling_ranges: AddressRanges = msgspec.field(default_factory=list)
    """Where the operator's requests come from, beside the targets' addresses; others are strangers."""
    media_ranges: AddressRanges = msgspec.field(default_factory=list)
    """Where speech comes from, beside those; empty: not told, so from anywhere."""
    stun_server: Annotated[str, Meta(max_length=MAX_STUN_TEXT)] = ""
    """Who is asked how far ends of calls see our speech (RFC 8489), as `agent.core.stun` reads it; empty: nobody."""
    analogue: Analogue = Analogue()
    """What the telephones expect of the wires."""

    def __post_init__(self) -> None:
        """Raises ValueError naming a range, or a STUN server, that is none."""
        parse_ranges((*self.signalling_ranges, *self.media_ranges))
        if self.stun_server:
            parse_server(self.stun_server)


class Decide(Record, frozen=True, kw_only=True, tag="decide"):
    """The agent's answer to an asked call: a grant until a moment (None: no limit), or a refusal with its tone.

    Sent again for a call in progress it is the call's new grant, whole. What is granted by time of speech counts from
    the answer, which the gateway alone sees as it happens: it applies that itself, whether the agent lives or not.
    """

    call_id: Short
    granted: bool
    until_ms: BootMs | None = None
    warn_at_ms: BootMs | None = None
    max_talk_ms: BootMs | None = None
    """Longest answered time; None: not limited."""
    warn_talk_ms: BootMs | None = None
    """Answered time after which the warning sounds; None: it ends without, or is renewed before."""
    limit: Short = ""
    """What `max_talk_ms` comes from: one of `agent.core.budget.Cap`."""
    refusal: Short = ""
    tone: Tone = Tone.SPECIAL
    announcement: Short = ""
    """One of `agent.core.announcement.Announcement`, said before the tone; any other is left out."""


class End(Record, frozen=True, kw_only=True, tag="end"):
    """End a call now."""

    call_id: Short
    reason: Short = ""


class Exercise(Record, frozen=True, kw_only=True, tag="exercise"):
    """A technician's trial of an idle line: ring it, or play a tone, for at most `duration_ms`; or the line test.

    The test is told by `LineTestState` records with the same `request`.
    """

    line: LineNumber
    what: Annotated[str, Meta(pattern="^(ring|tone|test)$")]
    tone: Tone = Tone.DIAL
    duration_ms: Annotated[int, Meta(ge=100, le=60_000)] = 5000
    request: Short = ""


class Release(Record, frozen=True, kw_only=True, tag="release"):
    """The agent has committed the ended call's record; the gateway may forget it."""

    call_id: Short


class WallClock(Record, frozen=True, kw_only=True, tag="wall_clock"):
    """The civil time at `at_ms`, in milliseconds since 1970 on the wall at home, by a clock that one can trust.

    Sent every hour; the gateway shows it on telephones, and forgets it after two.
    """

    at_ms: BootMs
    local_ms: BootMs


class Unlocked(Record, frozen=True, kw_only=True, tag="unlocked"):
    """Whether the technician's code that was dialled on `line` is right: the handset hears it."""

    line: LineNumber
    accepted: bool


class NetworkNews(Record, frozen=True, kw_only=True, tag="network"):
    """The agent has seen the network change: registrations that failed are worth another attempt."""

    change: NetworkChange


GatewayRecord = (
    Hello | CardState | LineState | LineSettings | AccountState | CallState | CallQuality | LineTestState | UpdateState
    | Log | Unlock | StunState
)  # fmt: skip
AgentRecord = Configure | Decide | End | Exercise | Release | NetworkNews | WallClock | Unlocked

_encoder = msgspec.json.Encoder()
_gateway_decoder = msgspec.json.Decoder(GatewayRecord)
_agent_decoder = msgspec.json.Decoder(AgentRecord)


def encode(record: GatewayRecord | AgentRecord) -> bytes:
    """One packet. Raises ProtocolError where the record is too large for one, or its text is not Unicode."""
    try:
        packet = _encoder.encode(record)
    except UnicodeEncodeError as error:
        raise ProtocolError(f"record {type(record).__name__} has a text that is not Unicode") from error
    if len(packet) > MAX_PACKET:
        raise ProtocolError(f"record {type(record).__name__} has {len(packet)} bytes, at most {MAX_PACKET} are allowed")
    return packet


def decode_gateway_record(packet: bytes) -> GatewayRecord:
    """The record a gateway sent. Raises ProtocolError naming the field that was wrong."""
    try:
        record: GatewayRecord = _gateway_decoder.decode(packet)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not a gateway record: {error}") from error
    return record


def decode_agent_record(packet: bytes) -> AgentRecord:
    """The record an agent sent. Raises ProtocolError naming the field that was wrong."""
    try:
        record: AgentRecord = _agent_decoder.decode(packet)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not an agent record: {error}") from error
    return record
