"""What crosses HTTP between adapter and operator: one definition for client, lab server, OpenAPI and documentation.

`GET /v1/subscription`, `GET /v1/files/{name}`, `GET /v1/files/{name}/{sha256}`, `POST /v1/cdr`, `GET /v1/usage`,
`GET /v1/health`. Everything but health carries `Authorization: Bearer <device secret>` and `X-Device-Id`.
"""

from __future__ import annotations

import datetime as dt
import enum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from agent.core.cdr import Cdr
from agent.core.codecs import G711
from agent.core.ranges import MAX_RANGES, MAX_TEXT, parse_ranges
from agent.core.services import ServiceCodes
from agent.core.srtp import Srtp
from agent.core.stun import MAX_TEXT as MAX_STUN_TEXT
from agent.core.stun import parse_server
from agent.core.terms import LineProfile
from agent.core.transports import Transport

MIN_SESSION_S = 90
"""RFC 4028 §4."""
MAX_BATCH = 100
MAX_BODY = 1 << 20
MAX_FILE = 16 << 20

Name = Annotated[str, Meta(min_length=1, max_length=128)]
E164 = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{3,14}$")]
Amount = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?$")]
"""Currency units, an exact decimal: digits, a point, at most six decimals."""
Month = Annotated[str, Meta(pattern="^[0-9]{4}-(0[1-9]|1[0-2])$")]
Prefix = Annotated[str, Meta(pattern="^[1-9][0-9]{0,14}$")]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]

AddressRange = Annotated[
    str, Meta(max_length=MAX_TEXT, description="192.0.2.0/24 or 2001:db8::/32; at least a /8, or /16")
]

StunServer = Annotated[
    str, Meta(max_length=MAX_STUN_TEXT, description="IP address and port: 192.0.2.1:3478 or [2001:db8::1]:3478")
]

Tally = Annotated[int, Meta(ge=0, le=10**15)]


class Body(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every body. Unknown fields are ignored: an operator may be newer than the adapter."""


Codec = Annotated[str, Meta(min_length=1, max_length=32)]
"""Encoding name of a speech codec (RFC 3551 §6): PCMA, PCMU, G722, opus. One that the adapter lacks is left out."""


class Registration(Body, frozen=True, kw_only=True):
    """One SIP registration: address of record, credential, targets best first.

    A target is `host[:port][;transport=udp]`, with udp, tcp or tls. A name is looked up as RFC 3263 says: without port
    by NAPTR and SRV; without any target the domain is. With tls the certificate has to name the host as it is written
    here, or, where the host is an address, what stands before it: `sip.example.net@192.0.2.1:5061;transport=tls`.
    """

    id: Name
    user: Name
    domain: Name
    auth_user: Name
    password: Annotated[str, Meta(min_length=1, max_length=256)]
    targets: Annotated[list[Name], Meta(max_length=8)] = []
    expires_s: Annotated[int, Meta(ge=10, le=86_400)] = 300
    codecs: Annotated[list[Codec], Meta(max_length=16)] = []
    """Of this registration, the best first; empty: those of the profile."""
    srtp: Srtp = Srtp.OFF
    """Whether speech is encrypted: not, where the far end can, or always. By targets with tls only."""

    def __repr__(self) -> str:
        return f"Registration(id={self.id!r}, domain={self.domain!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What pretty printers may show."""
        return [("id", self.id), ("domain", self.domain)]


class Number(Body, frozen=True, kw_only=True):
    """A number that arrives on a registration, and the lines (from 0) on which it rings."""

    number: E164
    registration: Name
    lines: Annotated[list[Annotated[int, Meta(ge=0, le=7)]], Meta(max_length=8)]
    code: Annotated[str, Meta(pattern=r"^([*#][0-9*#]{1,16}N)?$")] = ""
    """What is dialled to call from this number instead of the line's, `N` standing for whom to call: `*71*N`."""
    notice: dt.date | None = None
    """Civil day on which the customer gave it up."""
    last_day: dt.date | None = None
    """Its last civil day, as the operator says: it counts for more than `notice`."""


class OutgoingLine(Body, frozen=True, kw_only=True):
    """An analog line: the registration and number it calls from, what is connected to it, and how loud it is."""

    line: Annotated[int, Meta(ge=0, le=7)]
    registration: Name
    number: E164
    profile: LineProfile = LineProfile.PHONE
    """Machines get a steady delay and nothing in between: no echo control, no warning tone, no clock correction."""
    send_gain_ddb: Annotated[int, Meta(ge=-150, le=60)] = 0
    """Tenths of a decibel, towards the network."""
    receive_gain_ddb: Annotated[int, Meta(ge=-150, le=60)] = 0
    """Tenths of a decibel, towards the telephone."""
    clir: bool = False
    """Whether its number is withheld from whom it calls."""


class ServiceSettings(Body, frozen=True, kw_only=True):
    """The supplementary services that the platform has or leaves to the adapter, where they are not as shipped.

    What is not told stays as it is shipped (`services.toml`); services that the adapter does not know are ignored.
    """

    codes: dict[Name, ServiceCodes] = {}
    """By service: who performs it (`local`: the adapter, `platform`, `off`), and the codes that call it."""
    no_answer_s: Annotated[int, Meta(ge=5, le=120)] | None = None
    """Ringing before a call goes on to another number."""
    hotline_s: Annotated[int, Meta(ge=0, le=30)] | None = None
    platform_bills: bool | None = None
    """Whether the platform bills calls that it places for the adapter (302, REFER), and the customer agreed to that."""


class EndedLine(enum.StrEnum):
    """What a line is good for when the subscription has ended."""

    EMERGENCY_ONLY = "emergency_only"
    """A lifted handset is told in words and by the special information tone that only emergency numbers work."""
    DEAD = "dead"
    """No dial tone, no ringing; an emergency number that is dialled all the same is tried."""


class SipProfile(Body, frozen=True, kw_only=True):
    """How the operator's platform wants to be spoken to, as data."""

    number_format: Annotated[str, Meta(pattern="^(plus|digits|national)$")] = "plus"
    rtp_timeout_s: Annotated[int, Meta(ge=0, le=3600)] = 30
    """A call ends when nothing has come from the far end for so long, unless it is held; 0: never."""
    trust_identity: bool = False
    """Whether the platform's P-Asserted-Identity names the caller, and its Diversion or History-Info whom he called
    first: only where the platform removes what others write there."""
    session_s: Annotated[int, Meta(ge=0, le=86_400)] = 1800
    """Session interval that calls ask for (RFC 4028), 90 s at least; 0: no session timers."""
    mailbox: bool = False
    """Whether the platform has a voice mailbox and tells of its messages (SUBSCRIBE message-summary, RFC 3842)."""
    options_s: Annotated[int, Meta(ge=0, le=600)] = 30
    """How often a registered adapter asks by OPTIONS whether the way to the platform lives; 0: never."""
    transports: Annotated[list[Transport], Meta(min_length=1, max_length=3)] = msgspec.field(
        default_factory=lambda: [Transport.UDP]
    )
    """What the platform speaks, preferred first; used where neither a target nor its NAPTR records say which."""
    boot_spread_s: Annotated[int, Meta(ge=0, le=600)] = 30
    """After a power cut each adapter registers within this time, at random, or when a handset is lifted."""
    services: ServiceSettings = ServiceSettings()
    codecs: Annotated[list[Codec], Meta(max_length=16)] = msgspec.field(default_factory=lambda: list(G711))
    """Speech codecs, the best first. PCMA is put last where no form of G.711 is listed; machines use G.711 only."""
    rtp_stat: bool = False
    """Whether a BYE of the adapter tells how the call sounded (`X-RTP-Stat`)."""
    ended_line: EndedLine = EndedLine.EMERGENCY_ONLY
    signalling_ranges: Annotated[list[AddressRange], Meta(max_length=MAX_RANGES)] = []
    """Where the platform's SIP comes from beside the targets' addresses; empty: from those alone."""
    media_ranges: Annotated[list[AddressRange], Meta(max_length=MAX_RANGES)] = []
    """Where its speech comes from beside the targets' addresses; empty: not told."""
    stun_server: StunServer = ""
    """Asked where far ends can send speech to, for those that do not send it to where it comes from; empty: nobody."""

    def __post_init__(self) -> None:
        """Raises ValueError naming a range or STUN server that is none, or an interval that nobody may ask for."""
        if 0 < self.session_s < MIN_SESSION_S:
            raise ValueError(f"session_s is {self.session_s}, which has to be 0 or at least {MIN_SESSION_S}")
        parse_ranges((*self.signalling_ranges, *self.media_ranges))
        if self.stun_server:
            parse_server(self.stun_server)


class FileInfo(Body, frozen=True, kw_only=True):
    """A published file: name, version, exact length, digest. `GET /v1/files/{name}/{sha256}` brings the bytes."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    version: Name
    length: Annotated[int, Meta(ge=1, le=MAX_FILE)]
    sha256: Sha256


class PackName(Body, frozen=True, kw_only=True):
    """A name in both languages."""

    nb: Name
    en: Name


class MinutePack(Body, frozen=True, kw_only=True):
    """A minute pack of the customer: `seconds` in each calendar month to the numbers it names.

    Seconds are counted in whole increments of `increment_s`. Several packs are used up by `order`, then by `id`.
    """

    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    name: PackName
    prefixes: Annotated[list[Prefix], Meta(min_length=1, max_length=1000)]
    """Beginnings of numbers, digits from the country code on."""
    excluded: Annotated[list[Prefix], Meta(max_length=1000)] = []
    """Longer beginnings for which it does not hold."""
    seconds: Annotated[int, Meta(ge=1, le=2_678_400_000)]
    increment_s: Annotated[int, Meta(ge=1, le=86_400)] = 1
    connect_fee: Amount = "0"
    """In place of the price list's, for a call that begins in the pack."""
    monthly_fee: Amount = "0"
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "NOK"
    vat: Annotated[str, Meta(pattern="^(included|excluded|not_stated)$")] = "not_stated"
    order: Annotated[int, Meta(ge=0, le=10_000)] = 0
    first_month: Month | None = None
    last_month: Month | None = None


class CostLimits(Body, frozen=True, kw_only=True):
    """Caps on what calls may cost, in units of the price list's currency, as exact decimal strings; absent: none.

    Incoming, emergency and toll-free calls have none. Hour and day are the last 60 minutes and the last 24 hours.
    """

    month: Amount | None = None
    abroad: Amount | None = None
    """Of the month's: calls to numbers outside Norway."""
    premium: Amount | None = None
    """Of the month's: calls to premium-rate numbers."""
    call: Amount | None = None
    hour: Amount | None = None
    day: Amount | None = None


class Subscription(Body, frozen=True, kw_only=True):
    """What the customer has: product, registrations, numbers, lines, and the price list that rates its calls."""

    revision: Name
    customer: Name
    product: Name
    registrations: Annotated[list[Registration], Meta(max_length=32)]
    numbers: Annotated[list[Number], Meta(max_length=64)]
    lines: Annotated[list[OutgoingLine], Meta(max_length=16)]
    price_list: FileInfo
    next_price_list: FileInfo | None = None
    """The list of the product that the customer has next: fetched ahead, in force from the turn of the product."""
    profile: SipProfile = SipProfile()
    packs: Annotated[list[MinutePack], Meta(max_length=64)] = []
    limits: CostLimits = CostLimits()
    prepaid: bool = False
    """Calls are paid from a balance, which `GET /v1/usage` tells; without one known no call that costs may start."""
    active: bool = True
    notice: dt.date | None = None
    """Civil day on which the customer gave notice for all of it."""
    last_day: dt.date | None = None
    """Its last civil day, as the operator says: it counts for more than `notice`."""


class CdrBatch(Body, frozen=True, kw_only=True):
    """At most `MAX_BATCH` records. Each is identified by its own id, so batches may be cut anew after a crash."""

    epoch: Name
    """Random id of the outbox that numbered the records."""
    records: Annotated[list[Cdr], Meta(min_length=1, max_length=MAX_BATCH)]
    numbers: Annotated[list[Annotated[int, Meta(ge=1)]], Meta(max_length=MAX_BATCH)] = []
    """Each record's number in the epoch, in the order of `records`; the outbox gives out one after the other, so that a
    number that never comes tells of a lost record. It identifies nothing. Empty: not told."""


class Verdict(enum.StrEnum):
    """What became of one record. Only `accepted` and `duplicate` are acknowledgements."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"


class CdrResult(Body, frozen=True, kw_only=True):
    """The answer for one record."""

    id: Name
    verdict: Verdict
    reason: Annotated[str, Meta(max_length=512)] = ""


class CdrBatchResult(Body, frozen=True, kw_only=True):
    """One result per record, after the operator's commit."""

    results: list[CdrResult]


class PackSeconds(Body, frozen=True, kw_only=True):
    """Seconds that were used of one minute pack in the month."""

    pack: Name
    seconds: Tally


class NumberUsage(Body, frozen=True, kw_only=True):
    """What was used from one number of the customer; the number may be empty where a call named none."""

    number: Annotated[str, Meta(max_length=32)]
    calls: Tally
    seconds: Tally
    amount_micro: Tally


class UsageCount(Body, frozen=True, kw_only=True):
    """Answered outgoing calls, their seconds and cost; of that abroad and on premium numbers; and of which packs.

    Seconds are answered time, each call rounded up to a whole second; those of packs are their whole increments.
    """

    calls: Tally
    seconds: Tally
    amount_micro: Tally
    abroad_micro: Tally = 0
    premium_micro: Tally = 0
    packs: Annotated[list[PackSeconds], Meta(max_length=256)] = []
    numbers: Annotated[list[NumberUsage], Meta(max_length=256)] = []
    """The same by own number; empty: not told."""


class Usage(UsageCount, frozen=True, kw_only=True):
    """The operator's own count of a calendar month (Europe/Oslo), over all that the customer calls from.

    `device` is the part of it that came from the adapter which asks, in records that the operator has accepted: the
    rest was used elsewhere.
    """

    month: Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{2}$")]
    device: UsageCount | None = None
    """None: the operator does not tell its devices apart, and all of the month counts as this one's."""
    balance_micro: Annotated[int, Meta(ge=-(10**15), le=10**15)] | None = None
    """Prepaid money that is left after all records accepted so far, in millionths; None: billed in arrears."""


class Health(Body, frozen=True, kw_only=True):
    """The platform's word about itself, with its time (RFC 3339 UTC)."""

    status: str
    time: str
