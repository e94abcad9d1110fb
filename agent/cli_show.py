"""How the command line shows a price and a list of call records, for people and as JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from agent.core.cdr import Cdr, Price
from agent.core.money import amount_text, format_amount, format_exact, parse_exact
from agent.core.numbers import mask
from agent.core.terms import Direction
from agent.logs import scrub
from agent.texts import Texts

if TYPE_CHECKING:
    from rich.table import Table

    from agent.store.records import StoredCdr

_TABLE_WIDTH = 240
"""Columns of the table where the output is no terminal: enough that nothing is cut off."""


def price_lines(price: Price, explanation: Sequence[str], lang: str, texts: Texts) -> list[str]:
    """The explanation of a price line by line, then the exact and the rounded amount."""
    exact = format_exact(parse_exact(price.exact), price.currency, lang)
    rounded = format_amount(price.amount_micro, price.currency, lang)
    vat = texts.say(f"vat.{price.vat}", lang)
    return [
        *explanation,
        texts.say("rate.exact", lang, amount=exact),
        texts.say("rate.rounded", lang, amount=rounded, vat=vat),
    ]


def price_json(price: Price, explanation: Sequence[str]) -> str:
    """A price as one JSON object: the record's own fields, `amount` as a decimal string, and the explanation."""
    fields = msgspec.to_builtins(price)
    fields |= {"amount": amount_text(price.amount_micro), "explanation": list(explanation)}
    return msgspec.json.format(msgspec.json.encode(fields)).decode()


def masked(cdr: Cdr) -> Cdr:
    """The record without full numbers."""
    account = mask(cdr.account) if re.search(r"\d{7}", cdr.account) else cdr.account
    return msgspec.structs.replace(
        cdr, number=mask(cdr.number), own_number=mask(cdr.own_number), account=account, unpriced=scrub(cdr.unpriced),
        diverted_from=mask(cdr.diverted_from) if cdr.diverted_from else "",
    )  # fmt: skip


def _reason(stored: StoredCdr, *, show_numbers: bool) -> str:
    """Why the operator did not take it, in the operator's own words: they may name the number."""
    return stored.reason if show_numbers else scrub(stored.reason)


def records_json(records: Sequence[StoredCdr], *, show_numbers: bool) -> str:
    """The records as one JSON array, each with its `upload` state and, where it was not taken, the `upload_reason`."""
    shown = []
    for stored in records:
        fields = msgspec.to_builtins(stored.cdr if show_numbers else masked(stored.cdr))
        fields["upload"] = stored.state.value
        if stored.reason:
            fields["upload_reason"] = _reason(stored, show_numbers=show_numbers)
        shown.append(fields)
    return msgspec.json.format(msgspec.json.encode(shown)).decode()


def print_records(records: Sequence[StoredCdr], texts: Texts, *, show_numbers: bool) -> None:
    """Print the records as a table on stdout, newest first as given; those that were corrected are left out."""
    from rich.console import Console

    from agent.store.records import standing

    if not records:
        print("There are no call records.")
        return
    Console(width=None if sys.stdout.isatty() else _TABLE_WIDTH).print(
        _table(standing(records), texts, show_numbers=show_numbers)
    )


def _table(records: Sequence[StoredCdr], texts: Texts, *, show_numbers: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("Began (UTC)", "", "Line", "Number", "Duration", "Cost", "Ended", "Upload"):
        table.add_column(heading, justify="right" if heading in {"Duration", "Cost"} else "left")
    for stored in records:
        cdr = stored.cdr if show_numbers else masked(stored.cdr)
        cells = (
            cdr.began_at + ("" if cdr.time_trusted else " ?"),
            "out" if cdr.direction is Direction.OUTGOING else "in",
            "–" if cdr.line is None else str(cdr.line + 1),
            cdr.number,
            duration(cdr.duration_ms),
            _cost(cdr),
            _ending(cdr, texts),
            f"{stored.state}: {_reason(stored, show_numbers=show_numbers)}" if stored.reason else stored.state.value,
        )
        table.add_row(*(Text(_printable(cell)) for cell in cells))
    return table


def duration(duration_ms: int) -> str:
    """Answered time as `h:mm:ss`, begun seconds counted whole, as on a bill."""
    minutes, seconds = divmod(-(-duration_ms // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _cost(cdr: Cdr) -> str:
    if cdr.price is not None:
        return format_amount(cdr.price.amount_micro, cdr.price.currency, "en")
    return f"not rated: {cdr.unpriced}" if cdr.unpriced else "–"


def _ending(cdr: Cdr, texts: Texts) -> str:
    sentence = texts.say(f"cause.{cdr.cause}", "en")
    if cdr.limit:
        limit = f"limit.{cdr.limit}"
        return texts.say(limit, "en") if limit in texts else f"{sentence}: {cdr.limit}"
    reason = f"refusal.{cdr.refusal}"
    if not cdr.refusal:
        return sentence
    return f"{sentence}: {texts.say(reason, 'en')}" if reason in texts else f"{sentence}: {cdr.refusal}"


def _printable(text: str) -> str:
    """`text` without what could steer a terminal: numbers and reasons come from strangers."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
