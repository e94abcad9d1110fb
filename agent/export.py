"""Call records as files for others: CSV for a spreadsheet, JSON for a program. The columns are a promise.

A column never changes its name, place or meaning; new ones come last.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, tzinfo

import msgspec

from agent.core.cdr import Cdr, Price, Quality
from agent.core.money import amount_text
from agent.store.records import StoredCdr

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection): it is set off by an apostrophe."""


def _of_price(read: Callable[[Price], str]) -> Callable[[StoredCdr], str]:
    return lambda stored: read(stored.cdr.price) if stored.cdr.price is not None else ""


def _of_quality(read: Callable[[Quality], str]) -> Callable[[StoredCdr], str]:
    return lambda stored: read(stored.cdr.quality) if stored.cdr.quality is not None else ""


def _mos(mos_centi: int) -> str:
    return f"{mos_centi // 100}.{mos_centi % 100:02d}" if mos_centi else ""


COLUMNS: dict[str, Callable[[StoredCdr], str]] = {
    "id": lambda one: one.cdr.id,
    "corrects": lambda one: one.cdr.corrects,
    "began_at": lambda one: one.cdr.began_at,
    "answered_at": lambda one: one.cdr.answered_at,
    "time_trusted": lambda one: _yes(one.cdr.time_trusted),
    "direction": lambda one: one.cdr.direction.value,
    "kind": lambda one: one.cdr.kind.value,
    "line": lambda one: "" if one.cdr.line is None else str(one.cdr.line + 1),
    "own_number": lambda one: one.cdr.own_number,
    "number": lambda one: one.cdr.number,
    "duration_ms": lambda one: str(one.cdr.duration_ms),
    "cause": lambda one: one.cdr.cause.value,
    "refusal": lambda one: one.cdr.refusal,
    "recovered": lambda one: _yes(one.cdr.recovered),
    "amount": _of_price(lambda price: amount_text(price.amount_micro)),
    "currency": _of_price(lambda price: price.currency),
    "vat": _of_price(lambda price: price.vat),
    "billed_s": _of_price(lambda price: str(price.billed_s)),
    "product": _of_price(lambda price: price.product),
    "price_list": _of_price(lambda price: price.price_list),
    "price_list_version": _of_price(lambda price: price.version),
    "destination": _of_price(lambda price: price.destination),
    "unpriced": lambda one: one.cdr.unpriced,
    "upload": lambda one: one.state.value,
    "upload_reason": lambda one: one.reason,
    "codec": _of_quality(lambda quality: quality.codec),
    "rx_packets": _of_quality(lambda quality: str(quality.rx_packets)),
    "rx_lost": _of_quality(lambda quality: str(quality.rx_lost)),
    "tx_packets": _of_quality(lambda quality: str(quality.tx_packets)),
    "tx_lost": _of_quality(lambda quality: str(quality.tx_lost)),
    "jitter_ms": _of_quality(lambda quality: str(quality.rx_jitter_ms)),
    "round_trip_ms": _of_quality(lambda quality: str(quality.rtt_ms)),
    "heard_mos": _of_quality(lambda quality: _mos(quality.heard_mos_centi)),
    "sent_mos": _of_quality(lambda quality: _mos(quality.sent_mos_centi)),
    "worst_mos": _of_quality(lambda quality: _mos(quality.worst.mos_centi) if quality.worst is not None else ""),
    "one_way": _of_quality(lambda quality: quality.one_way.value if quality.one_way is not None else ""),
}
"""Of each record: instants in RFC 3339 UTC, lines from 1, amounts as decimal strings, `yes` or `no`; mean opinion
scores from 1.00 to 4.40, empty where not known."""

_NUMERIC = frozenset({
    "line", "duration_ms", "amount", "billed_s", "rx_packets", "rx_lost", "tx_packets", "tx_lost", "jitter_ms",
    "round_trip_ms", "heard_mos", "sent_mos", "worst_mos",
})  # fmt: skip


def in_period(cdr: Cdr, first: date | None, last: date | None, zone: tzinfo) -> bool:
    """Whether a call began on one of the civil days from `first` to `last`; None: no bound on that side."""
    day = datetime.fromisoformat(cdr.began_at).astimezone(zone).date()
    return (first is None or first <= day) and (last is None or day <= last)


def csv_head() -> str:
    """The line of the column names."""
    return _line(list(COLUMNS))


def csv_line(stored: StoredCdr) -> str:
    """One record as a line (RFC 4180: commas, CRLF), safe to open in a spreadsheet."""
    return _line([
        cell(stored) if name in _NUMERIC else _harmless(cell(stored)) for name, cell in COLUMNS.items()
    ])  # fmt: skip


def json_lines(records: Iterable[StoredCdr]) -> Iterator[str]:
    """The records as one JSON array, a record a line: each with its own fields, its `upload` state and reason."""
    yield "["
    before = ""
    for stored in records:
        fields = msgspec.to_builtins(stored.cdr)
        fields["upload"] = stored.state.value
        if stored.reason:
            fields["upload_reason"] = stored.reason
        if before:
            yield before + ","
        before = msgspec.json.encode(fields).decode()
    if before:
        yield before
    yield "]"


def _yes(value: bool) -> str:  # noqa: FBT001 - a formatter of exactly this
    return "yes" if value else "no"


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(cells: list[str]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
