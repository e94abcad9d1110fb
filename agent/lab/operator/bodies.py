"""What crosses HTTP besides the operator's API proper: refusals, and the controls only a lab has."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from agent.core.cdr import Cdr
from agent.operator.api import Amount, CostLimits, MinutePack, Name, Number, OutgoingLine, UsageCount

Count = Annotated[int, Meta(ge=0, le=10_000)]


class Problem(Struct, frozen=True, kw_only=True):
    """Why a request was refused (RFC 9457): status, a title, and a sentence that names the field."""

    status: int
    title: str
    detail: str = ""


class _Control(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Faults(_Control, frozen=True, kw_only=True):
    """What shall go wrong. A POST replaces all faults; counters run down as requests meet them."""

    unavailable: Count = 0
    """This many requests to `/v1/` (but health) are answered 503."""
    no_time: Count = 0
    """This many requests to `/v1/health` are answered 503: nobody tells the adapter the time."""
    retry_after_s: Annotated[int, Meta(ge=0, le=86_400)] | None = None
    """Retry-After of those answers, HTTP and SIP."""
    lose_ack: Count = 0
    """This many CDR batches are committed and then answered by dropping the connection."""
    corrupt_file: Count = 0
    """This many downloads have one byte changed."""
    truncate_file: Count = 0
    """This many downloads break off half-way."""
    reject_ids: Annotated[list[Name], Meta(max_length=1000)] = []
    """Records that are rejected for good."""
    sip_refuse: Count = 0
    """This many SIP requests outside a dialog are answered 503, with `retry_after_s`."""
    sip_silent: Count = 0
    """This many SIP requests outside a dialog get no answer; a repeated request counts again, an INVITE does not."""
    blocked: bool = False
    """The device is refused with 403 everywhere but under `/lab/`."""


class SubscriptionChange(_Control, frozen=True, kw_only=True):
    """New values of the subscription; what is absent stays. The revision counts up by itself."""

    product: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}$")] | None = None
    active: bool | None = None
    registrations: Annotated[list[Name], Meta(max_length=32)] | None = None
    numbers: Annotated[list[Number], Meta(max_length=64)] | None = None
    lines: Annotated[list[OutgoingLine], Meta(max_length=16)] | None = None
    packs: Annotated[list[MinutePack], Meta(max_length=64)] | None = None
    limits: CostLimits | None = None
    prepaid: bool | None = None


class UsageChange(_Control, frozen=True, kw_only=True):
    """What the customer has used from elsewhere in the running month, and paid in; what is absent stays."""

    elsewhere: UsageCount | None = None
    paid_in: Amount | None = None
    """Prepaid money in all, before any call."""


class LabCdr(_Control, frozen=True, kw_only=True):
    """A received record, its digest, and when and from whom it came."""

    device: str
    received_at: str
    sha256: str
    record: Cdr


class LabGap(_Control, frozen=True, kw_only=True):
    """Numbers of an epoch that never came, `first` to `last`, although later ones did."""

    epoch: str
    first: int
    last: int


class LabGaps(_Control, frozen=True, kw_only=True):
    """What the ledger misses."""

    gaps: list[LabGap]


class LabCdrs(_Control, frozen=True, kw_only=True):
    """Everything the ledger holds, in the order of arrival."""

    records: list[LabCdr]
