"""What the store hands out, and what of a record counts as usage."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from msgspec import Struct, structs

from agent.core.cdr import Cdr
from agent.core.terms import Direction


class OutboxState(enum.StrEnum):
    """How far a record has come on its way to the operator."""

    PENDING = "pending"
    ACKNOWLEDGED = "acknowledged"
    QUARANTINED = "quarantined"


class StoredCdr(Struct, frozen=True):
    """A record and its state; `reason` says why it was quarantined."""

    cdr: Cdr
    state: OutboxState
    reason: str = ""


def standing(records: Sequence[StoredCdr]) -> list[StoredCdr]:
    """The records without those that another one of them corrects."""
    corrected = {one.cdr.corrects for one in records}
    return [one for one in records if one.cdr.id not in corrected]


class UsageRow(Struct, frozen=True):
    """Answered outgoing calls of one own number in a period: their number, whole seconds, millionths of `currency`.

    `currency` is empty where no call of the period had a price.
    """

    own_number: str
    calls: int
    seconds: int
    amount_micro: int
    currency: str = ""


class UsageDetails(Struct, frozen=True):
    """A month's cost in micro-units by `NumberClass`, and the seconds used of each minute pack by its id."""

    classes: dict[str, int]
    packs: dict[str, int]


def counted(cdr: Cdr) -> UsageRow | None:
    """What a record adds to the usage of its own number; None for a call that was incoming or never answered.

    Seconds are answered time, each call rounded up to a whole second; billed seconds are the price's affair.
    """
    if cdr.direction is not Direction.OUTGOING or cdr.duration_ms == 0:
        return None
    price = cdr.price
    return UsageRow(
        own_number=cdr.own_number,
        calls=1,
        seconds=-(-cdr.duration_ms // 1000),
        amount_micro=price.amount_micro if price else 0,
        currency=price.currency if price else "",
    )


def taken_back(cdr: Cdr) -> UsageRow | None:
    """What a correction takes from the usage of the periods in which the corrected record counted: below nothing."""
    if cdr.superseded is None:
        return None
    row = counted(structs.replace(cdr, price=cdr.superseded.price))
    if row is None:
        return None
    return structs.replace(
        row, **{name: -value for name, value in structs.asdict(row).items() if isinstance(value, int)}
    )


def merged(rows: list[UsageRow]) -> list[UsageRow]:
    """One row for each own number and currency; calls without a price join their number's first priced row."""
    result: list[UsageRow] = []
    for row in sorted(rows, key=lambda row: (row.own_number, row.currency == "", row.currency)):
        priced = next((i for i, other in enumerate(result) if other.own_number == row.own_number), None)
        if row.currency or priced is None:
            result.append(row)
            continue
        target = result[priced]
        result[priced] = UsageRow(
            own_number=target.own_number,
            calls=target.calls + row.calls,
            seconds=target.seconds + row.seconds,
            amount_micro=target.amount_micro + row.amount_micro,
            currency=target.currency,
        )
    return result
