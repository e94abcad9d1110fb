"""The command line. Every command imports what it needs when it runs, so that `--help` is quick on a small adapter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import click

from agent.cli_base import DEFAULT_CONFIG, EXIT_MEANING, PATH, CliError, Exit, Group, load_config
from agent.cli_cdr import cdr_list, cdr_retry
from agent.cli_daemons import gateway, lab, run, run_agent
from agent.cli_deck import deck_group
from agent.cli_dialplan import dialplan_group
from agent.cli_filter import filter_group
from agent.cli_line import line_group
from agent.cli_price import plan, rate
from agent.cli_records import export
from agent.cli_sip import sip_group
from agent.cli_wipe import wipe

_DAEMONS = frozenset({"run", "agent", "gateway"})
_INTERRUPTED: Final = 130
"""How shells tell of a program that Ctrl-C has ended: 128 and the number of the signal."""


class _Main(Group):
    """Turns errors into one sentence. A daemon's unforeseen error keeps its traceback: it belongs in the journal."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CliError as error:
            for line in str(error).splitlines():
                click.echo(f"iplink-agent: {line}", err=True)
            raise click.exceptions.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            raise click.exceptions.Exit(_INTERRUPTED) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.invoked_subcommand in _DAEMONS or os.environ.get("IPLINK_AGENT_DEBUG"):
                raise
            kind = type(error).__name__
            click.echo(
                f"iplink-agent: an unforeseen error ({kind}): {error}; IPLINK_AGENT_DEBUG=1 shows where", err=True
            )
            raise click.exceptions.Exit(Exit.FAILED) from error


@click.group(
    "iplink-agent",
    cls=_Main,
    context_settings={"show_default": True},
    epilog="Exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in EXIT_MEANING.items()) + ".",
)
def app() -> None:
    """The software of a home telephone adapter: gateway (the telephone) and agent (the business)."""


for command in (run_agent, gateway, run, lab, rate, plan, wipe):
    app.add_command(command)


@app.command("check-config")
@click.argument(
    "path",
    metavar="[PATH]",
    type=PATH,
    default=DEFAULT_CONFIG,
    help=f"Configuration to check; default: {DEFAULT_CONFIG}.",
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema instead.")
def check_config(path: Path, schema: bool) -> None:
    """Check a configuration file: every error with place, what was found, what is allowed and what to do."""
    from agent import config

    if schema:
        click.echo(config.json_schema(), nl=False)
        return
    checked = load_config(path)
    credential, setting = checked.secret
    try:
        config.read_credential(credential, setting)
    except config.ConfigError as error:
        if credential.exists() and os.access(credential, os.R_OK):
            raise CliError(str(error), Exit.BAD_INPUT) from error
        click.echo(f"note: {error}", err=True)
    click.echo(f"{path}: good")


@app.command("version")
def version() -> None:
    """Print the version, and which SIP library this machine has."""
    import importlib.metadata
    import importlib.util
    import platform

    from agent import __version__

    try:
        sip = importlib.metadata.version("pjsua2-python")
    except importlib.metadata.PackageNotFoundError:
        sip = "the system's own" if importlib.util.find_spec("pjsua2") else "not installed"
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    click.echo(f"iplink-agent {__version__} ({machine}, pjsua2 {sip})")
    click.echo(_advisories(sip))


@app.group("cdr", cls=Group)
def cdr_group() -> None:
    """Call records in the adapter's store."""


for command in (cdr_list, cdr_retry, export):
    cdr_group.add_command(command)
for group in (cdr_group, deck_group, dialplan_group, line_group, filter_group, sip_group):
    app.add_command(group)


def _advisories(version: str) -> str:
    """What is known of this version of the SIP library, in a line."""
    from agent.core.advisories import Reached, standing
    from agent.data import DataError, load_advisories

    try:
        found = standing(load_advisories(), version)
    except DataError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error
    if not found.known:
        return "known advisories: this version cannot be told from here; the status page and the agent's log name it"
    reached = ", ".join(one.id for one in found.open if one.reached is Reached.YES)
    return f"known advisories: {len(found.open)} open, {found.count(Reached.YES)} reached here: {reached or 'none'}"


def main() -> None:
    """Run the command line; ends the process with one of the codes of `Exit`."""
    app(prog_name="iplink-agent")
