"""`iplink-agent wipe`: the adapter goes back to the operator, or stays with a customer who leaves."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli_base import CliError, Exit, config_option, load_config, state_option

if TYPE_CHECKING:
    from agent.config import Config
    from agent.wipe import Needles, Unsent


@click.command("wipe")
@config_option
@state_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--discard-unsent", is_flag=True, help="Also where the operator does not have every record yet.")
def wipe(*, config: Path, state: Path, yes: bool, discard_unsent: bool) -> None:
    """Remove the customer from the adapter: credentials, call records, price lists, last good configurations.

    Stop the gateway and the agent first. agent.toml stays: it names the operator, and holds no secret. Afterwards the
    adapter works with any provider, see [plain] in agent.toml.
    """
    from agent import wipe as work
    from agent.config import ConfigError, read_credential
    from agent.paths import kept_configuration

    settings = load_config(config)
    folder = Path(settings.store.folder)
    secrets = _secret_files(settings)
    needles = work.Needles()
    for path in secrets:
        with contextlib.suppress(ConfigError):
            needles.add_secret(read_credential(path))
    try:
        with _gateway_stopped(state):
            unsent = _look(folder, state, needles)
            _ask(unsent, folder, yes=yes, discard=discard_unsent)
            with _agent_stopped(folder):
                kept = [path for path in (kept_configuration(),) if path.exists() and path.parent != folder]
                files = [*secrets, *kept, *_gateway_files(state), *(work.files_of(folder) if folder.is_dir() else [])]
                removed = work.remove(files)
        left = work.traces([folder, state, *secrets, config], needles)
    except work.WipeError as error:
        raise CliError(str(error), Exit.FAILED) from error
    click.echo(f"removed: {removed.files} files, {removed.bytes} bytes, overwritten with zeros first")
    if unsent is not None and unsent.count:
        click.echo(f"given up: {_told(unsent)}, which the operator does not have")
    looked = f"{len(needles)} secrets and numbers were looked for in {folder}, {state} and {config}"
    if left:
        raise CliError(f"{looked}; still there: {', '.join(map(str, left))}", Exit.FAILED)
    click.echo(f"proof: {looked}; none is left")
    click.echo(
        "note: an SD card or eMMC may keep copies of what was overwritten where no program reaches; only destroying"
        " the card is certain. The system's journal names no full number, but tells when calls were made:"
        " journalctl --rotate --vacuum-time=1s"
    )


def _look(folder: Path, state: Path, needles: Needles) -> Unsent | None:
    """What was unsent, None where the store can't tell; the agent must not run."""
    import asyncio

    from agent import wipe as work
    from agent.logs import configure
    from agent.store.errors import StoreError, StoreLocked
    from agent.store.store import Store

    with contextlib.suppress(OSError):
        needles.add_document((state / "configuration.json").read_bytes())
    if not folder.is_dir() or not work.files_of(folder):
        return work.Unsent()
    if not (folder / "store.lock").exists():
        raise CliError(f"{folder}: it is not empty and no store of this agent; nothing was removed", Exit.BAD_INPUT)
    configure("critical")

    async def survey() -> Unsent:
        store = await Store.open(folder)
        try:
            return await work.survey(store, needles)
        finally:
            await store.close()

    try:
        return asyncio.run(survey())
    except StoreLocked as error:
        raise CliError(f"{error} (systemctl stop iplink-agent)", Exit.BAD_INPUT) from error
    except StoreError as error:
        click.echo(f"note: {error}; what was unsent is not known", err=True)
        return None


def _ask(unsent: Unsent | None, folder: Path, *, yes: bool, discard: bool) -> None:
    if not discard and (unsent is None or unsent.count):
        what = _told(unsent) if unsent is not None else "an unknown number of records"
        raise CliError(
            f"the operator does not have {what}: connect the adapter until they are sent, or keep them with"
            f" 'iplink-agent cdr export --csv --full --output FILE' and give --discard-unsent; nothing was removed",
            Exit.FAILED,
        )
    if not yes and not click.confirm(f"Remove everything that this adapter knows of its customer ({folder})?"):
        raise CliError("nothing was removed", Exit.FAILED)


def _told(unsent: Unsent) -> str:
    from agent.core.money import format_amount
    from agent.wipe import began

    costs = " and ".join(format_amount(micro, currency, "en") for currency, micro in sorted(unsent.micro.items()))
    records = "1 record" if unsent.count == 1 else f"{unsent.count} records"
    return f"{records} ({costs or 'free of charge'}, from {began(unsent.first)} to {began(unsent.last)})"


def _secret_files(settings: Config) -> list[Path]:
    path, _ = settings.secret
    return [path.resolve()] if path.exists() else []


def _gateway_files(state: Path) -> list[Path]:
    from agent import wipe as work

    if not state.is_dir():
        return []
    files = work.files_of(state)
    names = {path.name for path in files}
    if files and not names & set(work.GATEWAY_FILES):
        raise work.WipeError(f"{state}: it is not empty and no folder of the gateway; nothing was removed")
    return files


@contextlib.contextmanager
def _gateway_stopped(state: Path) -> Iterator[None]:
    """Hold the folder as a gateway does."""
    if not state.is_dir():
        yield
        return
    descriptor = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CliError(
                f"a gateway is running with {state}: stop it first (systemctl stop iplink-gateway)", Exit.BAD_INPUT
            ) from error
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _agent_stopped(folder: Path) -> Iterator[None]:
    from agent.store.errors import StoreError
    from agent.store.folder import FolderLock

    if not folder.is_dir():
        yield
        return
    try:
        lock = FolderLock.acquire(folder)
    except StoreError as error:
        raise CliError(f"{error} (systemctl stop iplink-agent)", Exit.BAD_INPUT) from error
    try:
        yield
    finally:
        lock.release()
