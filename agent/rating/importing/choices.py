"""What a person decided about a rate sheet: the meaning of its columns, and how to read what can be read in two ways.

A mapping file is TOML:

    [columns]                        # field = heading, or a list of headings
    prefix = "Vorwahl"
    ignore = ["Region-ID", "Wireless"]

    [choices]                        # the same keys as --choose
    dates = "day-first"

    [status]                         # a word of the status column = active, blocked or skip
    pending = "skip"

    [header]                         # the same keys as a deck's header
    currency = "EUR"
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from agent.core.civil import WindowError, parse_window
from agent.rating import header
from agent.rating.errors import DeckError, Problem
from agent.rating.importing.fields import REPEATABLE, Field
from agent.toml_file import TomlFileError, read_toml

MAX_MAPPING_BYTES: Final = 64 * 1024
MAX_HEADINGS: Final = 200


class Status(enum.StrEnum):
    """What a word of a status column says about its row."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    SKIP = "skip"


class Choice(enum.StrEnum):
    """What has to be chosen where a sheet does not say it itself. `ALLOWED` holds the answers."""

    ENCODING = "encoding"
    DELIMITER = "delimiter"
    DECIMAL = "decimal"
    DATES = "dates"
    ASAP = "asap"
    PRICES = "prices"
    PEAK = "peak"
    WEEKEND = "weekend"
    INCREMENTS = "increments"
    UNIT = "unit"
    HYPHEN = "hyphen"
    LISTS = "lists"
    SPACES = "spaces"
    AREA = "area"
    ORIGINS = "origins"
    PER_CALL = "per_call"
    AMOUNTS = "amounts"
    DESTINATION = "destination"


ALLOWED: Final[dict[Choice, tuple[str, ...]]] = {
    Choice.ENCODING: ("utf-8", "cp1252", "utf-16"),
    Choice.DELIMITER: ("comma", "semicolon", "tab", "pipe"),
    Choice.DECIMAL: ("point", "comma"),
    Choice.DATES: ("day-first", "month-first"),
    Choice.PRICES: ("current", "new", "both"),
    Choice.HYPHEN: ("range", "join"),
    Choice.LISTS: ("codes", "number"),
    Choice.SPACES: ("join", "list"),
    Choice.AREA: ("full", "rest"),
    Choice.ORIGINS: ("skip",),
    Choice.PER_CALL: ("flag", "amount"),
    Choice.AMOUNTS: ("units", "hundredths"),
}
"""The answers of choices that have a few; the others are checked where they are used."""

_EXAMPLES: Final = {
    Choice.ASAP: "2026-01-01", Choice.PEAK: "mon-fri 08:00-18:00", Choice.WEEKEND: "sat+sun",
    Choice.INCREMENTS: "60/1", Choice.UNIT: "60", Choice.DESTINATION: "North America",
}  # fmt: skip


class Choices(Struct, frozen=True):
    """Decisions about one sheet; empty where it speaks for itself."""

    columns: Mapping[str, Field] = msgspec.field(default_factory=dict)
    """Headings, as they stand in the sheet, and what they hold."""
    made: Mapping[Choice, str] = msgspec.field(default_factory=dict)
    statuses: Mapping[str, Status] = msgspec.field(default_factory=dict)
    header: Mapping[str, str] = msgspec.field(default_factory=dict)

    def get(self, choice: Choice) -> str:
        """Return what was chosen; empty where nothing was."""
        return self.made.get(choice, "")


def advise(choice: Choice) -> str:
    """Return how to make a choice, for the end of a refusal: `--choose dates=day-first or dates=month-first`."""
    answers = ALLOWED.get(choice) or (_EXAMPLES[choice],)
    such_as = "" if choice in ALLOWED else ", for example"
    return "--choose " + " or ".join(f'"{choice}={it}"' if " " in it else f"{choice}={it}" for it in answers) + such_as


def read_choice(text: str, where: str) -> tuple[Choice, str]:
    """Read `key=value`. `where` is what a fault calls its place. Raises DeckError."""
    key, equals, value = text.partition("=")
    if not equals:
        raise _fault(where, "", text, f"write key=value; the keys are {', '.join(Choice)}")
    return _choice(key.strip(), value.strip(), where)


def read_mapping(path: Path) -> Choices:
    """Read a mapping file. Raises DeckError."""
    try:
        document = read_toml(path, max_bytes=MAX_MAPPING_BYTES)
    except TomlFileError as error:
        raise _fault(path.name, "", "", str(error)) from error
    tables: dict[str, dict[str, object]] = {}
    for name, table in document.items():
        if name not in {"columns", "choices", "status", "header"}:
            raise _fault(path.name, name, "", "unknown table: use [columns], [choices], [status] and [header]")
        if not isinstance(table, dict):
            raise _fault(path.name, name, "", f"write a table [{name}]")
        tables[name] = table
    return Choices(
        columns=_columns(tables.get("columns", {}), path.name),
        made=dict(
            _choice(key, _text(value, path.name, key), path.name) for key, value in tables.get("choices", {}).items()
        ),
        statuses={key.casefold(): _status(key, value, path.name) for key, value in tables.get("status", {}).items()},
        header={key: _header(key, value, path.name) for key, value in tables.get("header", {}).items()},
    )


def _columns(table: Mapping[str, object], where: str) -> dict[str, Field]:
    columns: dict[str, Field] = {}
    for key, value in table.items():
        if key not in set(Field):
            raise _fault(where, f"columns.{key[:40]}", "", f"unknown field: use one of {', '.join(Field)}")
        names = value if isinstance(value, list) else [value]
        if Field(key) not in REPEATABLE and len(names) != 1:
            raise _fault(where, f"columns.{key}", "", "this field has one column: give one heading")
        for name in names:
            heading = _text(name, where, f"columns.{key}")
            if heading in columns:
                raise _fault(where, f"columns.{key}", heading, f"this heading is already {columns[heading]}")
            columns[heading] = Field(key)
    if len(columns) > MAX_HEADINGS:
        raise _fault(where, "columns", "", f"more than {MAX_HEADINGS} headings")
    return columns


def _choice(key: str, value: str, where: str) -> tuple[Choice, str]:
    if key not in set(Choice):
        raise _fault(where, key[:40], value, f"unknown choice: use one of {', '.join(Choice)}")
    choice = Choice(key)
    allowed = ALLOWED.get(choice)
    if allowed is not None and value not in allowed:
        raise _fault(where, choice, value, f"use {' or '.join(allowed)}")
    if choice in {Choice.PEAK, Choice.WEEKEND}:
        try:
            window = parse_window(value)
        except WindowError as error:
            raise _fault(where, choice, value, str(error)) from error
        if window.is_always:
            raise _fault(where, choice, value, "say days or hours, such as mon-fri 08:00-18:00")
    if choice is Choice.UNIT and value not in {"1", "60"}:
        raise _fault(where, choice, value, "use 60 for prices per minute or 1 for prices per second")
    return choice, value


def _status(key: str, value: object, where: str) -> Status:
    if value not in set(Status):
        raise _fault(where, f"status.{key[:40]}", str(value), f"use one of {', '.join(Status)}")
    return Status(str(value))


def _header(key: str, value: object, where: str) -> str:
    if key not in header.KEYS:
        raise _fault(where, f"header.{key[:40]}", "", f"unknown header key: use one of {', '.join(header.KEYS)}")
    return _text(value, where, f"header.{key}")


def _text(value: object, where: str, key: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise _fault(where, key[:60], "", "write a text of 1 to 200 characters in quotation marks")
    return value


def _fault(where: str, column: str, value: str, advice: str) -> DeckError:
    return DeckError((Problem(where, 1, column, value[:40], advice),))
