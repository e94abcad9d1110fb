"""`iplink-agent cdr export`: the call records as CSV or JSON, beside a running agent."""

from __future__ import annotations

import enum
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli_base import DAY, PATH, CliError, Exit, config_option, load_config, store_option, zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from agent.store.records import StoredCdr

_CHUNK = 500


class Form(enum.StrEnum):
    """How records are written down."""

    CSV = "csv"
    JSON = "json"


@click.command("export")
@click.option("--csv", "as_csv", is_flag=True, help="For a spreadsheet: commas, first line names the columns.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, a record a line.")
@click.option("--full", is_flag=True, help="Numbers in full; otherwise they are masked.")
@click.option("--month", type=click.DateTime(["%Y-%m"]), help="Calls that began in this month, 2026-11.")
@click.option("--from", "first", type=DAY, help="Calls that began on this day or later.")
@click.option("--to", "last", type=DAY, help="Calls that began on this day or before.")
@click.option("--output", metavar="FILE", type=PATH, help="Write this file (0600) instead of the output.")
@config_option
@store_option
@click.option("--zone", help="Time zone of the days; default: the configured one.")
def export(
    *,
    as_csv: bool,
    as_json: bool,
    full: bool,
    month: datetime | None,
    first: datetime | None,
    last: datetime | None,
    output: Path | None,
    config: Path,
    store: Path | None,
    zone: str | None,
) -> None:
    """Export call records, oldest first, numbers masked. The agent may be running.

    The columns keep their names and order: id, corrects, began_at, answered_at, time_trusted, direction, kind, line,
    own_number, number, duration_ms, cause, refusal, recovered, amount, currency, vat, billed_s, product, price_list,
    price_list_version, destination, unpriced, upload, upload_reason, codec, rx_packets, rx_lost, tx_packets, tx_lost,
    jitter_ms, round_trip_ms, heard_mos, sent_mos, worst_mos, one_way. Instants are UTC, amounts decimal. In CSV an
    apostrophe stands before a text that a spreadsheet would take for a formula, also before +47….
    """
    from agent.files import write_whole

    if as_csv == as_json:
        raise CliError("give one of --csv and --json", Exit.BAD_INPUT)
    if month is not None and (first is not None or last is not None):
        raise CliError("give --month, or --from and --to, not both", Exit.BAD_INPUT)
    settings = load_config(config) if store is None or (zone is None and config.exists()) else None
    folder = store if store is not None else Path(settings.store.folder) if settings is not None else Path()
    civil = zone_of(zone or (settings.general.time_zone if settings is not None else "Europe/Oslo"))
    begin, end = _days(month, first, last)
    records = (one for one in _read(folder) if _wanted(one, begin, end, civil))
    lines = _lines(records if full else map(_masked, records), Form.CSV if as_csv else Form.JSON)
    if output is None:
        for line in lines:
            click.echo(line, nl=False)
        return
    try:
        write_whole(output, "".join(lines).encode())
    except OSError as error:
        raise CliError(f"{output}: it cannot be written ({error.strerror}); name another file", Exit.FAILED) from error


def _days(month: datetime | None, first: datetime | None, last: datetime | None) -> tuple[date | None, date | None]:
    if month is None:
        return (first.date() if first else None), (last.date() if last else None)
    import calendar

    day = month.date()
    return day, day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _wanted(stored: StoredCdr, first: date | None, last: date | None, zone: tzinfo) -> bool:
    from agent.export import in_period

    return in_period(stored.cdr, first, last, zone)


def _masked(stored: StoredCdr) -> StoredCdr:
    from msgspec import structs

    from agent.cli_show import masked
    from agent.logs import scrub

    return structs.replace(stored, cdr=masked(stored.cdr), reason=scrub(stored.reason))


def _lines(records: Iterator[StoredCdr], form: Form) -> Iterator[str]:
    from agent import export

    if form is Form.JSON:
        yield from (f"{line}\n" for line in export.json_lines(records))
        return
    yield export.csv_head()
    for stored in records:
        yield export.csv_line(stored)


def _read(folder: Path) -> Iterator[StoredCdr]:
    """Every record, oldest first, in bounded memory. Raises CliError."""
    import asyncio

    from agent.logs import configure
    from agent.store.errors import StoreError, StoreMissing
    from agent.store.reader import StoreReader

    configure("error")
    with asyncio.Runner() as runner:
        try:
            reader = runner.run(StoreReader.open_folder(folder))
            try:
                place, before = 0, -1
                while place != before:
                    before = place
                    place, found = runner.run(reader.after(before, _CHUNK))
                    yield from found
            finally:
                runner.run(reader.close())
        except StoreError as error:
            raise CliError(str(error), Exit.BAD_INPUT if isinstance(error, StoreMissing) else Exit.FAILED) from error
        except OSError as error:
            raise CliError(f"{folder}: the store cannot be read ({error.strerror or error})", Exit.FAILED) from error
