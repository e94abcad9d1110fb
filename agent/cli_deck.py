"""`iplink-agent deck …`: make a price list of a rate sheet, look for slips, compare two lists, look a price up."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from agent.cli_base import (
    DAY,
    PATH,
    CliError,
    Exit,
    Group,
    ValueOf,
    json_option,
    lang_option,
    leave,
    load_texts,
    prices_option,
)
from agent.core.announcement import Language

if TYPE_CHECKING:
    from agent.rating.checking import Finding
    from agent.rating.deck import Deck
    from agent.rating.errors import Problem
    from agent.rating.importing.build import Built, Phase
    from agent.rating.importing.choices import Choices
    from agent.texts import Texts

MAX_NOTES_SHOWN: Final = 10
MAX_DOUBTS_SHOWN: Final = 20


class Doubt(enum.StrEnum):
    """Findings at which `build` stops until a person has accepted them."""

    SLIP = "slip"
    STALE = "stale"
    FREE = "free"


@click.group(
    "deck",
    cls=Group,
    epilog="Exit codes: 0 done; 1 check found something, find found nothing, or the disk refused; 2 a file, a list or "
    "an option is refused, by name, row and column.",
)
def deck_group() -> None:
    """Price lists: build, check, compare, look up."""


_today_option = click.option("--today", type=DAY, help="The day to look from; default: today.")
_FACTS: Final = (
    "price-list", "product", "currency", "vat", "vat-percent", "version", "valid-from", "rounding", "decimals",
    "seconds", "holidays",
)  # fmt: skip


def _fact_options(command: Callable[..., None]) -> Callable[..., None]:
    for name in reversed(_FACTS):
        command = click.option(f"--{name}", help="A line of the header; also in [header] of the mapping.")(command)
    return command


_BUILD_HELP: Final = (
    "Choices (--choose): encoding, delimiter, decimal, dates, asap, prices, peak, weekend, increments, unit, hyphen, "
    "lists, spaces, area, origins, per_call, amounts, destination; a refusal says which one it needs. A mapping file "
    "has [columns] (field = heading; ignore = [headings]), [choices], [status] (word = active, blocked or skip) and "
    "[header]."
)


@deck_group.command("build", epilog=_BUILD_HELP)
@click.argument("sheet", metavar="RATES.csv", type=PATH, help="The rate sheet as it was sent.")
@click.option("-o", "--output", metavar="DECK", type=PATH, required=True, help="Where to write the price list.")
@click.option("--mapping", metavar="FILE", type=PATH, help="TOML: columns, choices, status words, header.")
@click.option("--choose", metavar="KEY=VALUE", multiple=True, help="How to read what can be read in two ways.")
@click.option("--accept", type=ValueOf(Doubt), multiple=True, help="Build although this was found.")
@_fact_options
@_today_option
def build(
    sheet: Path,
    output: Path,
    mapping: Path | None,
    choose: tuple[str, ...],
    accept: tuple[Doubt, ...],
    today: datetime | None,
    **facts: str | None,
) -> None:
    """Make a price list of a rate sheet, or refuse with row, column, value and what to do. Nothing is guessed."""
    from agent.rating.errors import DeckError, PriceListError
    from agent.rating.importing.build import build as build_deck

    progress = _Progress() if sys.stderr.isatty() else None
    try:
        choices = _choices(mapping, choose)
        header = _header({**choices.header, **{key: value for key, value in facts.items() if value is not None}})
        built = build_deck(_bytes(sheet), sheet.name, header, choices, progress=progress)
    except DeckError as error:
        raise CliError("\n".join(map(_fault_line, error.problems)), Exit.BAD_INPUT) from error
    except PriceListError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error
    finally:
        if progress is not None:
            progress.end()
    _stop_at_doubts(built, sheet.name, _day(today), set(accept))
    _write(output, built.text)
    for line in _account(built, header, output):
        click.echo(line)


@deck_group.command("check")
@click.argument("deck", metavar="DECK", type=PATH, help="A price list in canonical form.")
@lang_option
@json_option
@_today_option
def check(deck: Path, lang: Language, as_json: bool, today: datetime | None) -> None:
    """Look for slips, rows that never apply, codes that start later, gaps in dates; ends with 1 where one is found."""
    from agent.rating.checking import check as check_deck

    loaded = _load(deck)
    texts = load_texts()
    found = check_deck(loaded, _day(today), lang)
    if as_json:
        _print_json(
            [
                {"kind": it.kind.value, "row": it.row, "prefix": it.prefix, "text": _sentence(it, lang, texts)}
                for it in found
            ]
        )
    elif found:
        for it in found:
            where = f"{deck.name}, row {it.row}" if it.row else deck.name
            click.echo(f"{where}: {it.kind}: {_sentence(it, lang, texts)}")
    else:
        click.echo(texts.say("deck-check.good", lang, file=deck.name, rows=str(len(loaded.rates))))
    leave(Exit.FAILED if found else None)


@deck_group.command("diff")
@click.argument("old", metavar="OLD", type=PATH, help="The price list until now.")
@click.argument("new", metavar="NEW", type=PATH, help="The price list to come.")
@json_option
@lang_option
@click.option("--at", type=DAY, help="Day of the prices; default: NEW's first.")
def diff(old: Path, new: Path, as_json: bool, lang: Language, at: datetime | None) -> None:
    """Tell what gets dearer, cheaper, new and gone, as callers will see it."""
    from agent.cli_deck_show import difference_json, difference_lines
    from agent.rating.comparing import compare

    before, after = _load(old), _load(new)
    comparison = compare(before, after, None if at is None else at.date())
    if as_json:
        _print_json(difference_json(comparison, before, after))
        return
    for line in difference_lines(comparison, before, after, lang, load_texts()):
        click.echo(line)


@deck_group.command("find")
@click.argument("prefix", metavar="PREFIX", help="Country code and beginning of the number: 47815.")
@click.option("--product", required=True, help="privat, bedrift, sentralbord …")
@json_option
@lang_option
@prices_option
@_today_option
def find(prefix: str, product: str, as_json: bool, lang: Language, prices: Path | None, today: datetime | None) -> None:
    """Look up a price as customers do: the most specific entry; without a result, a digit less until there is one."""
    from agent.cli_deck_show import found_json, found_lines
    from agent.paths import data_dir
    from agent.rating.cli_rate import find_deck
    from agent.rating.errors import PriceListError
    from agent.rating.finding import TypedError, look_up

    folder = data_dir() / "price-lists" if prices is None else prices
    try:
        deck = find_deck(product, folder)
        found = look_up(deck, prefix, _day(today))
    except (PriceListError, TypedError) as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error
    if as_json:
        _print_json(found_json(found, deck))
    else:
        for line in found_lines(found, deck, product, lang, load_texts()):
            click.echo(line)
    leave(None if found.rows else Exit.FAILED)


def _choices(mapping: Path | None, chosen: Iterable[str]) -> Choices:
    from msgspec import structs

    from agent.rating.importing.choices import Choices, read_choice, read_mapping

    choices = Choices() if mapping is None else read_mapping(mapping)
    return structs.replace(choices, made={**choices.made, **dict(read_choice(text, "--choose") for text in chosen)})


def _header(facts: dict[str, str]) -> dict[str, str]:
    """Fill in what has a usual value; all of it is told."""
    first = facts.get("product", "").partition(",")[0].strip()
    name = {"price_list": first} if first else {}
    return {**name, "rounding": "half_up", "decimals": "2", "seconds": "up", **facts}


def _fault_line(problem: Problem) -> str:
    """Say what is wrong in the sheet, or (line 0) in an option."""
    if problem.row:
        return str(problem)
    option = f"--{problem.column.replace('_', '-')}"
    if not problem.value:
        return f"{option}: give this option, or {problem.column} under [header] in the mapping"
    return f"{option} {problem.value}: {problem.advice}"


def _bytes(path: Path) -> bytes:
    from agent.rating.importing.sheet import MAX_BYTES

    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CliError(f"{path}: the rate sheet cannot be read: {error.strerror}", Exit.BAD_INPUT) from error


class _Progress:
    """Counts rows on one line of a terminal."""

    def __call__(self, phase: Phase, rows: int) -> None:
        sys.stderr.write(f"\r\x1b[K{rows} rows {phase} ")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line empty for what follows."""
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _stop_at_doubts(built: Built, name: str, today: date, accepted: set[Doubt]) -> None:
    from agent.rating.checking import check as check_deck

    texts = load_texts()
    rows = {rate.row: row for rate, row in zip(built.deck.rates, built.source_rows, strict=True)}
    stops: list[str] = []
    notes: list[str] = []
    for it in check_deck(built.deck, today, newest=built.newest):
        where = f"{name}, row {rows[it.row]}{_price_column(built, it)}" if it.row else name
        line = f"{where}: {_sentence(it, Language.EN, texts)}"
        if it.kind.value in set(Doubt) and Doubt(it.kind.value) not in accepted:
            stops.append(f"{line} If it is right: --accept {it.kind}")
        else:
            notes.append(line)
    for line in _at_most(notes):
        click.echo(f"note: {line}", err=True)
    if stops:
        raise CliError("\n".join(_at_most(stops)), Exit.BAD_INPUT)


def _at_most(lines: Sequence[str]) -> Iterator[str]:
    """Yield as many as a person reads, and how many there are beyond."""
    yield from lines[:MAX_DOUBTS_SHOWN]
    if len(lines) > MAX_DOUBTS_SHOWN:
        yield f"… and {len(lines) - MAX_DOUBTS_SHOWN} more"


def _price_column(built: Built, finding: Finding) -> str:
    """Name the column of the sheet that a doubt about a price is about."""
    from agent.rating.importing.fields import RATES

    if finding.kind.value not in {Doubt.SLIP, Doubt.FREE}:
        return ""
    return next((f", column {_printable(name)}" for name, field in built.account.columns if field in RATES), "")


def _write(path: Path, text: str) -> None:
    """Write the price list whole or not at all."""
    from agent.files import write_whole

    try:
        write_whole(path, text.encode(), mode=0o644)
    except OSError as error:
        raise CliError(f"{path}: the price list cannot be written: {error.strerror}", Exit.FAILED) from error


def _account(built: Built, header: dict[str, str], output: Path) -> Iterator[str]:
    """Yield how the sheet was read, for the person who answers for it."""
    account = built.account
    yield "columns:"
    for name, field in account.columns:
        yield f"  {_printable(name)} = {field}"
    yield "read as:"
    for what, value in (*account.readings, *sorted(header.items())):
        yield f"  {what} = {value}"
    if account.notes:
        yield f"words, not prices ({len(account.notes)} rows):"
        for row, words in account.notes[:MAX_NOTES_SHOWN]:
            yield f"  row {row}: {_printable(words[:100])}"
    for count, what in (
        (account.left_out, "left out: other callers, or status"), (account.repeated, "said twice"),
        (account.superseded, "over before the list begins"),
    ):  # fmt: skip
        if count:
            yield f"{count} rows {what}"
    prefixes = len({rate.prefix for rate in built.deck.rates})
    yield f"{output}: {prefixes} prefixes from {account.rows} rows"


def _sentence(finding: Finding, lang: str, texts: Texts) -> str:
    return texts.say(f"deck-check.{finding.sentence}", lang, **finding.values)


def _day(today: datetime | None) -> date:
    from agent.clock import wall

    return (wall() if today is None else today).date()


def _load(path: Path) -> Deck:
    from agent.rating.deck import load
    from agent.rating.errors import PriceListError

    try:
        return load(path)
    except PriceListError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error


def _print_json(value: object) -> None:
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
