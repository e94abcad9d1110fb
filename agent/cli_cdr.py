"""`iplink-agent cdr list` and `retry`: the call records in the adapter's store, beside a running agent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli_base import (
    CliError,
    Exit,
    config_option,
    json_option,
    load_config,
    load_texts,
    store_option,
)

if TYPE_CHECKING:
    from agent.store.records import StoredCdr


@click.command("list")
@json_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, help="At most so many, the newest first.")
@config_option
@store_option
@click.option("--show-numbers", is_flag=True, help="Print numbers in full.")
def cdr_list(as_json: bool, limit: int, config: Path, store: Path | None, show_numbers: bool) -> None:
    """List call records, newest first. The agent may be running."""
    import asyncio

    import structlog

    from agent.cli_show import print_records, records_json
    from agent.store.errors import StoreError, StoreMissing

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    folder = Path(load_config(config).store.folder) if store is None else store
    try:
        records = asyncio.run(_recent(folder, limit))
    except StoreError as error:
        raise CliError(str(error), Exit.BAD_INPUT if isinstance(error, StoreMissing) else Exit.FAILED) from error
    except OSError as error:
        raise CliError(f"{folder}: the store cannot be read ({error.strerror or error})", Exit.FAILED) from error
    if as_json:
        click.echo(records_json(records, show_numbers=show_numbers))
    else:
        print_records(records, load_texts(), show_numbers=show_numbers)


@click.command("retry")
@click.argument("ids", metavar="[ID]...", nargs=-1, help="Ids of records; cdr list --json shows them.")
@click.option("--all", "everything", is_flag=True, help="All that were set apart.")
@config_option
@store_option
def cdr_retry(ids: tuple[str, ...], everything: bool, config: Path, store: Path | None) -> None:
    """Send records again that the operator would not take, once the reason is out of the way."""
    import asyncio

    import structlog

    from agent import outbox_request
    from agent.store.errors import StoreError, StoreMissing

    if bool(ids) == everything:
        raise CliError("name the records, or say --all", Exit.BAD_INPUT)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    folder = Path(load_config(config).store.folder) if store is None else store
    try:
        apart = asyncio.run(_quarantined(folder))
    except StoreError as error:
        raise CliError(str(error), Exit.BAD_INPUT if isinstance(error, StoreMissing) else Exit.FAILED) from error
    strangers = [one for one in ids if one not in apart]
    if strangers:
        raise CliError(f"{strangers[0][:40]}: no record of this id was set apart", Exit.BAD_INPUT)
    if not apart:
        click.echo("No record was set apart.")
        return
    try:
        outbox_request.ask(folder, None if everything else list(ids))
    except outbox_request.RequestError as error:
        raise CliError(str(error), Exit.FAILED) from error
    click.echo(f"{len(apart) if everything else len(set(ids))} to be sent again: by the running agent within"
               f" {outbox_request.LOOK_S:.0f} s, else when it starts.")  # fmt: skip


async def _recent(folder: Path, limit: int) -> list[StoredCdr]:
    from agent.store.store import Store

    reader = await Store.open_reader(folder)
    async with reader:
        return await reader.recent(limit)


async def _quarantined(folder: Path) -> list[str]:
    from agent.store.store import Store

    reader = await Store.open_reader(folder)
    async with reader:
        return await reader.quarantined()
