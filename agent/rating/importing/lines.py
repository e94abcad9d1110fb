"""One row of a rate sheet: which prefixes it prices, from when on, and how."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final

from msgspec import Struct

from agent.core.money import amount_text
from agent.rating.cells import BLOCKED, CellError
from agent.rating.importing.amounts import AmountReader, is_amount, read_increments, read_seconds
from agent.rating.importing.choices import Choice, Choices, Status, advise
from agent.rating.importing.codes import read_codes
from agent.rating.importing.dates import DateReader
from agent.rating.importing.fields import CODES, RATES, Field, Heading
from agent.rating.importing.sheet import Sheet

SINCE_EVER: Final = date.min
"""First day of a price that a later one of the same row replaces."""

Prices = tuple[str, str, str, str, str, str]
"""Cells of a canonical row: connect_fee, rate, unit_s, increment_s, next, minimum."""

_Offers = tuple[tuple[str, Prices], ...]
_Term = tuple[date | None, _Offers]

_BLOCKED: Final[Prices] = ("", BLOCKED, "", "", "", "")
_ERROR = re.compile(r"#+|#[A-ZÆØÅ/0-9]{2,10}[!?]?")
"""`#REF!`, `#N/A`, `#I/T`, and the hashes of a column that is too narrow."""

_YES: Final = frozenset({"yes", "y", "true", "t", "1", "x", "ja", "j"})
_NO: Final = frozenset({"", "no", "n", "false", "f", "0", "nei", "-"})
_ALL_ORIGINS: Final = frozenset({"", "default", "all", "any", "*", "-"})
_STATUS: Final = {
    **dict.fromkeys(
        ("", "active", "open", "ok", "current", "valid", "new", "new code", "new destination", "unchanged", "no change",
         "same", "changed", "change", "increase", "increased", "decrease", "decreased", "up", "down"), Status.ACTIVE,
    ),
    **dict.fromkeys(
        ("closed", "blocked", "barred", "forbidden", "discontinued", "deleted", "removed", "withdrawn", "suspended"),
        Status.BLOCKED,
    ),
}  # fmt: skip


class Entry(Struct, frozen=True):
    """What a row says of one prefix. `offers`: window and prices, the exception first; `length` as in a deck.

    In force from `since` to `until`, both included; None where the sheet gives no day.
    """

    prefix: str
    destination: str
    length: str
    since: date | None
    until: date | None
    offers: tuple[tuple[str, Prices], ...]
    row: int


class LineReader:
    """Reads the rows of one sheet."""

    def __init__(self, sheet: Sheet, choices: Choices, amounts: AmountReader, dates: DateReader, currency: str) -> None:
        self._choices, self._amounts, self._dates, self._currency = choices, amounts, dates, currency
        self._width = max(heading.place for heading in sheet.headings) + 1
        self._of: dict[Field, Heading] = {}
        for heading in sheet.headings:
            self._of.setdefault(heading.field, heading)
        self._names = [heading.place for heading in sheet.headings if heading.field is Field.DESTINATION]
        self._codes = [heading.place for heading in sheet.headings if heading.field in CODES]
        self._rates = [heading.place for heading in sheet.headings if heading.field in (*RATES, Field.PER_CALL)]
        states = (Field.STATUS, Field.FORBIDDEN, Field.DISCONTINUED)
        self._states = [heading.place for heading in sheet.headings if heading.field in states]
        self._both = Field.COUNTRY_CODE in self._of and Field.PREFIX in self._of
        self._read = [heading for heading in sheet.headings if heading.field is not Field.IGNORE]
        self._whole_area = choices.get(Choice.AREA) == "full"

    def is_note(self, cells: Sequence[str]) -> bool:
        """Whether a row is words between the prices: no code, or words instead of one, and nowhere a price."""
        codes = [cells[place] for place in self._codes if place < len(cells) and cells[place]]
        prices = [cells[place] for place in self._rates if place < len(cells) and cells[place]]
        states = [cells[place] for place in self._states if place < len(cells) and cells[place]]
        if states or any(is_amount(price) for price in prices):
            return False
        return not codes or all(sum(map(str.isalpha, code)) > 1 for code in codes)

    def read(self, row: int, cells: Sequence[str]) -> list[Entry]:
        """Return what the cells of line `row` say of each prefix; nothing where the row is to be left out.

        Raises CellError.
        """
        if len(cells) < self._width or any(cells[self._width :]):
            count = f"the row has {len(cells)} cells, the headings {self._width}"
            short = len(cells) < self._width
            advice = "is it cut off? fill the rest in" if short else "a decimal comma must stand in quotes"
            raise CellError("", " ".join(cells), f"{count}: {advice}")
        self._check_errors(cells)
        if not self._is_for_all_origins(cells):
            return []
        status = self._status(cells)
        if status is Status.SKIP:
            return []
        self._check_currency(cells)
        since = self._date(Field.EFFECTIVE, cells)
        until = self._date(Field.UNTIL, cells)
        if since is not None and until is not None and until < since:
            raise CellError(self._name(Field.UNTIL), self._cell(Field.UNTIL, cells), "this is before the first day")
        terms = self._blocked_from(cells, since) if status is Status.BLOCKED else self._terms(cells, since)
        destination, length = self._destination(cells), self._length(cells)
        return [
            Entry(prefix, destination, length, begin, until, offers, row)
            for prefix in self._prefixes(cells)
            for begin, offers in terms
        ]

    def _cell(self, field: Field, cells: Sequence[str]) -> str:
        heading = self._of.get(field)
        return "" if heading is None else cells[heading.place]

    def _name(self, field: Field) -> str:
        heading = self._of.get(field)
        return field.value if heading is None else heading.name

    def _flag(self, field: Field, cells: Sequence[str]) -> bool:
        text = self._cell(field, cells).casefold()
        if text in _YES or text in _NO:
            return text in _YES
        raise CellError(self._name(field), self._cell(field, cells), "write yes or no")

    def _amount(self, field: Field, cells: Sequence[str]) -> int | None:
        text = self._cell(field, cells)
        if not text:
            return None
        chosen = self._choices.get(Choice.AMOUNTS)
        hundredths = chosen == "hundredths" if chosen else self._of[field].hundredths
        return self._amounts.read(self._name(field), text, hundredths=hundredths)

    def _date(self, field: Field, cells: Sequence[str]) -> date | None:
        text = self._cell(field, cells)
        return self._dates.read(self._name(field), text) if text else None

    def _is_for_all_origins(self, cells: Sequence[str]) -> bool:
        text = self._cell(Field.ORIGIN, cells)
        if text.casefold() in _ALL_ORIGINS:
            return True
        if not self._choices.get(Choice.ORIGINS):
            advice = f"this price is for some callers only: leave such rows out with {advise(Choice.ORIGINS)}"
            raise CellError(self._name(Field.ORIGIN), text, advice)
        return False

    def _status(self, cells: Sequence[str]) -> Status:
        text = self._cell(Field.STATUS, cells)
        word = text.casefold()
        status = self._choices.statuses.get(word) or _STATUS.get(word)
        if status is None:
            advice = "unknown status: name it in a --mapping file under [status] as active, blocked or skip"
            raise CellError(self._name(Field.STATUS), text, advice)
        stopped = self._flag(Field.FORBIDDEN, cells) or self._flag(Field.DISCONTINUED, cells)
        return Status.BLOCKED if stopped and status is Status.ACTIVE else status

    def _check_currency(self, cells: Sequence[str]) -> None:
        text = self._cell(Field.CURRENCY, cells)
        if text and text.upper() != self._currency:
            advice = f"the price list is in {self._currency}: convert the price, or build a list in that currency"
            raise CellError(self._name(Field.CURRENCY), text, advice)

    def _check_errors(self, cells: Sequence[str]) -> None:
        for heading in self._read:
            text = cells[heading.place]
            if text.startswith("#") and _ERROR.fullmatch(text):
                raise CellError(heading.name, text, "the spreadsheet has an error here: mend it, and export again")

    def _destination(self, cells: Sequence[str]) -> str:
        country = " ".join(self._cell(Field.COUNTRY, cells).split())
        name = ", ".join(filter(None, (" ".join(cells[place].split()) for place in self._names)))
        if not name and not country:
            chosen = self._choices.get(Choice.DESTINATION)
            if not chosen:
                advice = f"the row does not say where this is: {advise(Choice.DESTINATION)}"
                raise CellError(self._name(Field.DESTINATION), "", advice)
            return chosen
        if not name or name.casefold().startswith(country.casefold()):
            return name or country
        return f"{country}, {name}"

    def _length(self, cells: Sequence[str]) -> str:
        if Field.EXACT in self._of and self._flag(Field.EXACT, cells):
            return "exact"
        low, high = (self._cell(field, cells) for field in (Field.MIN_LENGTH, Field.MAX_LENGTH))
        low, high = ("" if text == "0" else text for text in (low, high))
        return f"{low or 1}-{high or 15}" if low or high else ""

    def _prefixes(self, cells: Sequence[str]) -> list[str]:
        if Field.NPANXX in self._of:
            name, text = self._name(Field.NPANXX), self._cell(Field.NPANXX, cells)
            if not (len(text) == 6 and text.isdecimal() and text.isascii()):
                raise CellError(name, text, "an NPA-NXX code has six digits: where zeros are lost, export it as text")
            return [f"1{text}"]
        if not self._both:
            field = Field.PREFIX if Field.PREFIX in self._of else Field.COUNTRY_CODE
            return read_codes(self._name(field), self._cell(field, cells), self._choices)
        name = self._name(Field.COUNTRY_CODE)
        countries = read_codes(name, self._cell(Field.COUNTRY_CODE, cells), self._choices)
        if len(countries) != 1:
            raise CellError(name, self._cell(Field.COUNTRY_CODE, cells), "write one country code")
        (country,) = countries
        areas = self._cell(Field.PREFIX, cells)
        if not areas:
            return [country]
        codes = read_codes(self._name(Field.PREFIX), areas, self._choices)
        if not self._choices.get(Choice.AREA):
            doubtful = next((code for code in codes if code.startswith(country)), None)
            if doubtful is not None:
                advice = (
                    f"does {doubtful} begin with the country code {country}, or does it stand behind it? "
                    f"{advise(Choice.AREA)}"
                )
                raise CellError(self._name(Field.PREFIX), areas, advice)
        return codes if self._whole_area else [country + code for code in codes]

    def _blocked_from(self, cells: Sequence[str], since: date | None) -> list[_Term]:
        blocked = (("", _BLOCKED),)
        has_price = any(is_amount(cells[place]) for place in self._rates)
        if since is None or not has_price or self._flag(Field.FORBIDDEN, cells):
            return [(since, blocked)]
        return [*((SINCE_EVER, offers) for _, offers in self._terms(cells, None)), (since, blocked)]

    def _terms(self, cells: Sequence[str], since: date | None) -> list[_Term]:
        """Return first day and offers of each price that the row has."""
        if Field.FIRST_RATE in self._of:
            first = self._needed(Field.FIRST_RATE, cells)
            following = self._amount(Field.NEXT_RATE, cells) if Field.NEXT_RATE in self._of else first
            if following is None:
                raise self._no_price(Field.NEXT_RATE)
            return [(since, (("", self._prices(cells, Field.FIRST_RATE, first, following)),))]
        if Field.PEAK_RATE in self._of or Field.OFF_PEAK_RATE in self._of:
            return [(since, self._by_hours(cells))]
        now = Field.CURRENT_RATE if Field.CURRENT_RATE in self._of else Field.RATE
        if Field.NEW_RATE not in self._of:
            return [(since, self._always(cells, now))]
        return self._now_and_later(cells, now, since)

    def _now_and_later(self, cells: Sequence[str], now: Field, since: date | None) -> list[_Term]:
        old, new = (self._amount(field, cells) for field in (now, Field.NEW_RATE))
        if new is None or old == new:
            return [(None, self._always(cells, now))]
        if old is None:
            return [(since, self._always(cells, Field.NEW_RATE))]
        chosen = self._choices.get(Choice.PRICES)
        if not chosen:
            advice = f"{self._name(now)} and {self._name(Field.NEW_RATE)} differ, which counts? {advise(Choice.PRICES)}"
            raise CellError(self._name(Field.NEW_RATE), self._cell(Field.NEW_RATE, cells), advice)
        if chosen == "current":
            return [(None, self._always(cells, now))]
        if chosen == "new":
            return [(since, self._always(cells, Field.NEW_RATE))]
        if since is None:
            column = self._name(Field.EFFECTIVE if Field.EFFECTIVE in self._of else Field.NEW_RATE)
            raise CellError(column, "", "write the day from which the new price holds")
        return [(SINCE_EVER, self._always(cells, now)), (since, self._always(cells, Field.NEW_RATE))]

    def _by_hours(self, cells: Sequence[str]) -> _Offers:
        rule = Field.OFF_PEAK_RATE if Field.OFF_PEAK_RATE in self._of else Field.PEAK_RATE
        ((_, usual),) = self._always(cells, rule)
        offers = []
        for field, choice in ((Field.WEEKEND_RATE, Choice.WEEKEND), (Field.PEAK_RATE, Choice.PEAK)):
            if field not in self._of or field is rule:
                continue
            ((_, prices),) = self._always(cells, field)
            if prices != usual:
                window = self._choices.get(choice)
                if not window:
                    advice = f"this differs from {self._name(rule)}: say when it holds, {advise(choice)}"
                    raise CellError(self._name(field), self._cell(field, cells), advice)
                offers.append((window, prices))
        return (*offers, ("", usual))

    def _always(self, cells: Sequence[str], field: Field) -> _Offers:
        if self._cell(field, cells):
            rate = self._needed(field, cells)
            return (("", self._prices(cells, field, rate, rate)),)
        # No price for time: then there is one for the call, or none at all. An empty cell is never a free call.
        if not self._per_call(cells, 0):
            raise self._no_price(field if field in self._of else Field.PER_CALL)
        return (("", self._prices(cells, Field.PER_CALL, 0, 0)),)

    def _no_price(self, field: Field) -> CellError:
        return CellError(self._name(field), "", "there is no price: write one, or mark the row as blocked")

    def _needed(self, field: Field, cells: Sequence[str]) -> int:
        amount = self._amount(field, cells)
        if amount is None:
            raise self._no_price(field)
        return amount

    def _prices(self, cells: Sequence[str], field: Field, first_rate: int, next_rate: int) -> Prices:
        self._check_unknown_charges(cells)
        fee = self._amount(Field.CONNECT_FEE, cells) or 0
        minimum = self._amount(Field.MINIMUM, cells) or 0
        least = amount_text(minimum) if minimum else ""
        per_call = self._per_call(cells, first_rate or next_rate)
        if per_call is not None:
            if fee:
                advice = "a connect fee and a price per call: write their sum in one of them"
                raise CellError(self._name(Field.CONNECT_FEE), self._cell(Field.CONNECT_FEE, cells), advice)
            return amount_text(per_call), "0", "60", "60", "", least
        heading = self._of.get(field)
        unit = int(self._choices.get(Choice.UNIT) or (heading.unit_s if heading and heading.unit_s else 60))
        first, following = self._increments(cells)
        later = ""
        if (first, first_rate) != (following, next_rate):
            later = f"{first}:{amount_text(next_rate)}/{unit}/{following}"
        return amount_text(fee), amount_text(first_rate), str(unit), str(first), later, least

    def _per_call(self, cells: Sequence[str], rate: int) -> int | None:
        """Return the price of each call however long; None where the row has none."""
        name, text = self._name(Field.PER_CALL), self._cell(Field.PER_CALL, cells)
        word, chosen = text.casefold(), self._choices.get(Choice.PER_CALL)
        if word in _NO:
            return None
        if chosen == "flag" or (not chosen and word in _YES and word != "1"):
            return rate if self._flag(Field.PER_CALL, cells) else None
        if not chosen and word == "1":
            raise CellError(name, text, f"yes, or the price of a call? {advise(Choice.PER_CALL)}")
        amount = self._amount(Field.PER_CALL, cells)
        if not amount:
            return None
        if rate:
            raise CellError(
                name, text, "the row has a price per call and one for time: keep one, or call this a connect fee"
            )
        return amount

    def _increments(self, cells: Sequence[str]) -> tuple[int, int]:
        chosen = self._choices.get(Choice.INCREMENTS)
        one_cell = self._cell(Field.INCREMENTS, cells)
        if one_cell:
            return read_increments(self._name(Field.INCREMENTS), one_cell)
        texts = [self._cell(field, cells) for field in (Field.FIRST_INCREMENT, Field.NEXT_INCREMENT)]
        if all(texts):
            first, following = (
                read_seconds(self._name(field), text)
                for field, text in zip((Field.FIRST_INCREMENT, Field.NEXT_INCREMENT), texts, strict=True)
            )
            return first, following
        if chosen:
            return read_increments("increments", chosen)
        name = next((self._name(field) for field in (Field.INCREMENTS, Field.FIRST_INCREMENT) if field in self._of), "")
        advice = f"the sheet does not say in which seconds calls are counted: {advise(Choice.INCREMENTS)}"
        raise CellError(name, "/".join(filter(None, texts)), advice)

    def _check_unknown_charges(self, cells: Sequence[str]) -> None:
        if self._amount(Field.DISCONNECT_FEE, cells):
            advice = "a price list has no charge for hanging up: ask for a connect fee instead"
            raise CellError(self._name(Field.DISCONNECT_FEE), self._cell(Field.DISCONNECT_FEE, cells), advice)
        text = self._cell(Field.MINIMUM_TIME, cells)
        if text.strip("0"):
            advice = "do shorter calls cost nothing, or as much as this? make it 0 and say it by the first increment"
            raise CellError(self._name(Field.MINIMUM_TIME), text, advice)
