"""Customer service: who gets which help through which channel, at what price, how soon. Data only.

A tier never says who is at fault: basic support is for a technical fault that lies on the operator's platform and has
nothing to do with the customer's own equipment or network; everything else counts as advanced.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from agent.core.entry import Amount, Audience, Currency, Entry, Samples, Vat

Days = Annotated[int, Meta(ge=0, le=365)]


class SupportKind(enum.StrEnum):
    """What kind of help; each has a sentence `support.KIND`."""

    CHATBOT = "chatbot"
    GUIDES = "guides"
    BASIC = "basic"
    ADVANCED = "advanced"


class SupportTier(Entry, frozen=True, kw_only=True):
    """One kind of help for one audience, from the civil day `effective_from` on until an entry replaces it."""

    kind: SupportKind
    audience: Audience
    effective_from: dt.date
    channel: Annotated[str, Meta(max_length=128)] = ""
    """A name or an address (`post@iplink.no`); empty: as agreed."""
    hourly: Amount | None = None
    """Currency units an hour; absent: free of charge."""
    currency: Currency = "NOK"
    vat: Vat = Vat.NOT_STATED
    days_min: Days = 0
    days_max: Days = 0
    """Working time until it is dealt with; 0 to 0: at once."""
    by_appointment: bool = False
    agreement: bool = False
    """Only for customers with a Business Support agreement, in place of the tier without one."""
    visit_extra: bool = False
    """A visit by a fitter or technician costs extra."""
    sample: Samples = ()

    @property
    def key(self) -> tuple[Audience, SupportKind, bool]:
        """What a later entry of the same key replaces."""
        return (self.audience, self.kind, self.agreement)


def tiers_at(
    tiers: Iterable[SupportTier], audience: Audience, day: dt.date, *, agreement: bool = False
) -> tuple[SupportTier, ...]:
    """The help that `audience` gets on a civil day, in the file's order; empty where no terms are in force yet.

    `agreement`: the customer has a Business Support agreement.
    """
    newest: dict[tuple[Audience, SupportKind, bool], SupportTier] = {}
    for tier in tiers:
        known = newest.get(tier.key)
        if tier.audience is not audience or tier.effective_from > day:
            continue
        if known is None or tier.effective_from > known.effective_from:
            newest[tier.key] = tier
    replaced = {tier.kind for tier in newest.values() if tier.agreement} if agreement else set()
    return tuple(
        tier
        for tier in newest.values()
        if (tier.agreement and agreement) or (not tier.agreement and tier.kind not in replaced)
    )
