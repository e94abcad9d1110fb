"""The call detail record: what is stored, uploaded and shown, and nothing that can be derived from it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from agent.core.media import Way, WorstSpell
from agent.core.terms import CallKind, Cause, Direction, Party

Micro = Annotated[int, Meta(ge=0, le=10**15)]
Label = Annotated[str, Meta(max_length=128)]


class Part(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of the record's parts: immutable, named fields, nothing unknown."""


class Step(Part, frozen=True, kw_only=True):
    """One line of a price explanation: `key` names a sentence of the text catalogue, `values` fills it in."""

    key: Label
    values: dict[str, str]


class PackTake(Part, frozen=True, kw_only=True):
    """Seconds that a call took from one minute pack in one civil month (`2026-11`)."""

    pack: Label
    month: Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{2}$")]
    seconds: Annotated[int, Meta(ge=1, le=10**9)]


class PriceListUse(Part, frozen=True, kw_only=True):
    """A price list and product that price a call from the civil day `from_day` (`2019-01-01`; empty: at once) on."""

    from_day: Label = ""
    product: Label
    price_list: Label
    version: Label


class Price(Part, frozen=True, kw_only=True):
    """What a call costs and why. `amount_micro` is rounded once; `exact` is `numerator/denominator`, unrounded."""

    product: Label
    price_list: Label
    version: Label
    """Version of the price list that was installed when the call began."""
    prefix: Label
    destination: Label
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    vat: Label
    """`included`, `excluded`, `not_stated` or `added` (to `amount_micro`), as the price list says."""
    amount_micro: Micro
    """Millionths of the currency unit."""
    exact: Label
    billed_s: Annotated[int, Meta(ge=0)]
    pack_s: Annotated[int, Meta(ge=0)] = 0
    """Of the billed seconds those that came from minute packs."""
    paid_s: Annotated[int, Meta(ge=0)] = 0
    """Of the billed seconds those that cost money; the rest was free."""
    packs: Annotated[list[PackTake], Meta(max_length=64)] = []
    """Which packs these seconds came from, in the order of their use."""
    lists: Annotated[list[PriceListUse], Meta(max_length=8)] = []
    """Where the call ran over a change of price list or product: all of them, in order; empty where one priced it."""
    steps: list[Step]


class Quality(Part, frozen=True, kw_only=True):
    """RTP statistics of the call, both ways: `rx_*` as received here, `tx_*` as the far end has told (RTCP)."""

    codec: Label = ""
    rx_packets: int = 0
    tx_packets: int = 0
    rx_lost: int = 0
    tx_lost: int = 0
    rx_jitter_ms: int = 0
    rtt_ms: int = 0
    sent_concealed_ms: int = 0
    """Speech that was made up on its way from the line, because it was late or lost inside the adapter."""
    heard_concealed_ms: int = 0
    """The same, on its way to the line."""
    clock_corrections: int = 0
    """Frames of 10 ms left out or inserted to follow the drift of two clocks, both ways."""
    rx_discarded: int = 0
    """Packets that came too late to become sound."""
    tx_jitter_ms: int = 0
    heard_mos_centi: int = 0
    """Mean opinion score × 100 (100 to 440) of what came from the far end, by the simplified E-model; 0: not known."""
    sent_mos_centi: int = 0
    """The same of what went there."""
    worst: WorstSpell | None = None
    """None: the call was too short to have one."""
    one_way: Way | None = None
    """Which direction was found dead, for `one_way_ms`."""
    one_way_ms: int = 0
    machine: bool = False
    """A fax, an alarm or a terminal spoke: by the line's profile, or by the tone that was heard."""


class Superseded(Part, frozen=True, kw_only=True):
    """What a correction takes back: the beginning and the price (without its steps) of the record that it corrects."""

    began_at: Label
    price: Price | None = None


class Cdr(Part, frozen=True, kw_only=True):
    """One ended call. `id` is fixed when the call opens and is the identity of the record everywhere.

    Durations come from the boot clock; `*_at` are RFC 3339 UTC and mean no more than `time_trusted` says. A record
    never changes: one whose call began before the time was known is followed by another that `corrects` it.
    """

    id: Annotated[str, Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    direction: Direction
    kind: CallKind
    line: Annotated[int, Meta(ge=0, le=7)] | None
    account: Label
    own_number: Label
    number: Label
    """The other party: E.164 with plus, or a short number as dialled."""
    diverted_from: Label = ""
    """Of an incoming call: the number that the caller called first, where he was sent on from there to ours."""
    boot_id: Label
    began_ms: Annotated[int, Meta(ge=0)]
    began_at: Label
    answered_at: Label = ""
    time_trusted: bool
    time_source: Label = ""
    """Who vouches for the time, where it is trusted: `kernel` (a time daemon) or `operator`."""
    duration_ms: Annotated[int, Meta(ge=0)]
    """Answered time; 0 where the call was never answered."""
    setup_ms: Annotated[int, Meta(ge=0)]
    """From the last digit (or the arriving INVITE) to answer or end."""
    cause: Cause
    released_by: Party
    refusal: Label = ""
    limit: Label = ""
    """Where `cause` is `limit_reached`: the cap that ended the call (`agent.core.budget.Cap`), if it was one."""
    sip_code: int = 0
    recovered: bool = False
    """The end was not seen: the duration reaches to the last moment at which the call was known to be alive."""
    price: Price | None = None
    """None where a call costs nothing by its nature (incoming, emergency, unanswered), or has no rate (`unpriced`)."""
    unpriced: Label = ""
    """Why a chargeable call has no price: the operator must rate it. Never a silent zero."""
    quality: Quality | None = None
    corrects: Annotated[str, Meta(pattern="^$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")] = ""
    """Id of the record in whose place this one counts: the same call, its beginning and price set right."""
    superseded: Superseded | None = None
    """Of a correction, and of no other record: what it takes back."""


class Basis(Part, frozen=True, kw_only=True):
    """What prices a call from a civil day (`2019-01-01`) on: the product, and the price list by its digest."""

    from_day: Label
    product: Label
    price_list_sha256: Label


class HeldPack(Part, frozen=True, kw_only=True):
    """A minute pack that held for the number of a call when it began; amounts in micro-units, see `core.packs.Pack`."""

    id: Label
    prefix: Label
    """The beginning of the number by which the pack holds."""
    seconds: Annotated[int, Meta(ge=1)]
    increment_s: Annotated[int, Meta(ge=1)] = 1
    connect_fee_micro: Micro = 0
    order: int = 0
    first_month: Label = ""
    last_month: Label = ""


class OpenCall(Part, frozen=True, kw_only=True):
    """A call that has begun and has no record yet: what recovery needs to make one, kept in the store."""

    id: Label
    instance: Label
    """The gateway process that carries the call; when another one says Hello, the call is over."""
    direction: Direction
    kind: CallKind
    line: Annotated[int, Meta(ge=0, le=7)] | None
    account: Label
    own_number: Label
    number: Label
    diverted_from: Label = ""
    boot_id: Label
    began_ms: Annotated[int, Meta(ge=0)]
    began_at: Label
    time_trusted: bool
    time_source: Label = ""
    answered_ms: Annotated[int, Meta(ge=0)] | None = None
    last_alive_ms: Annotated[int, Meta(ge=0)]
    product: Label = ""
    price_list_sha256: Label = ""
    """Digest of the price list that was installed when the call began: it prices the call whatever comes later."""
    until_ms: Annotated[int, Meta(ge=0)] | None = None
    """The moment until which the call was granted, whatever its money allows."""
    warn_at_ms: Annotated[int, Meta(ge=0)] | None = None
    later: Annotated[list[Basis], Meta(max_length=8)] = []
    """What was known, when the call began, to price it from a later midnight on."""
    packs: Annotated[list[HeldPack], Meta(max_length=64)] = []
    """The customer's minute packs that held for the number then."""
