"""What can go wrong with prices.

PriceListError
├── DeckError       a price list contradicts itself or is not in canonical form
├── TableError      a built table is foreign, damaged, or belongs to another price list
└── NoPriceList     there is no price list for the product
NoRate              the price list has no price for this call: it is refused, never free
"""

from __future__ import annotations

import enum
from typing import Final

from msgspec import Struct

MAX_PROBLEMS: Final = 20


class PriceListError(Exception):
    """A price list cannot be used; the message says which and why."""


class Problem(Struct, frozen=True):
    """One fault of a deck. `row` is the line number in the file (from 1); `column` and `value` may be empty."""

    file: str
    row: int
    column: str
    value: str
    advice: str

    def __str__(self) -> str:
        where = f"{self.file}, row {self.row}"
        if self.column:
            where += f", column {self.column}"
        if self.value:
            where += f", '{self.value}'"
        return f"{where}: {self.advice}"


class DeckError(PriceListError):
    """A price list is refused. `problems` holds the first `MAX_PROBLEMS` faults, in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class TableError(PriceListError):
    """A rate table file is not what it should be; build it again from its price list."""


class NoPriceList(PriceListError):  # noqa: N818 - beside NoRate, the word the field uses
    """No price list of the folder belongs to the product."""


class NoRateReason(enum.StrEnum):
    """Why a call has no price."""

    NO_MATCH = "no_match"
    IMPOSSIBLE_NUMBER = "impossible_number"
    BLOCKED = "blocked"
    WRONG_PRODUCT = "wrong_product"


class NoRate(Exception):  # noqa: N818 - the word the field uses
    """A call has no price, so it may not be made and never costs zero. The message shows no full number."""

    def __init__(self, reason: NoRateReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
