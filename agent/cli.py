"""The command line. Every command imports what it needs when it runs, so that `--help` is quick on a small adapter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from agent.cli_base import DEFAULT_CONFIG, EXIT_MEANING, CliError, Exit, load_config
from agent.cli_cdr import cdr_list, cdr_retry
from agent.cli_daemons import gateway, lab, run, run_agent
from agent.cli_deck import deck_app
from agent.cli_dialplan import dialplan_app
from agent.cli_line import line_app
from agent.cli_price import plan, rate
from agent.cli_records import export
from agent.cli_sip import sip_app
from agent.cli_wipe import wipe

_DAEMONS = frozenset({"run", "agent", "gateway"})


class _Group(TyperGroup):
    """Turns errors into one sentence. A daemon's unforeseen error keeps its traceback: it belongs in the journal."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CliError as error:
            for line in str(error).splitlines():
                typer.echo(f"iplink-agent: {line}", err=True)
            raise typer.Exit(error.exit_code) from error
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if _is_usage_error(error) or ctx.invoked_subcommand in _DAEMONS or os.environ.get("IPLINK_AGENT_DEBUG"):
                raise
            kind = type(error).__name__
            typer.echo(
                f"iplink-agent: an unforeseen error ({kind}): {error}; IPLINK_AGENT_DEBUG=1 shows where", err=True
            )
            raise typer.Exit(Exit.FAILED) from error


def _is_usage_error(error: Exception) -> bool:
    """Whether typer itself will tell it; its base class has had no public name since typer carries its own click."""
    return callable(getattr(error, "format_message", None))


app = typer.Typer(
    name="iplink-agent",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The software of a home telephone adapter: gateway (the telephone) and agent (the business).",
    epilog="Exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in EXIT_MEANING.items()) + ".",
)
app.command("agent")(run_agent)
for command in (gateway, run, lab, rate, plan, wipe):
    app.command()(command)
cdr_app = typer.Typer(no_args_is_help=True, help="Call records in the adapter's store.")
app.add_typer(cdr_app, name="cdr")
cdr_app.command("list")(cdr_list)
cdr_app.command("retry")(cdr_retry)
cdr_app.command("export")(export)
app.add_typer(deck_app, name="deck")
app.add_typer(dialplan_app, name="dialplan")
app.add_typer(line_app, name="line")
app.add_typer(sip_app, name="sip")


@app.command("check-config")
def check_config(
    path: Annotated[Path, typer.Argument(metavar="[PATH]", help="Configuration to check.")] = DEFAULT_CONFIG,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema instead.")] = False,
) -> None:
    """Check a configuration file: every error with place, what was found, what is allowed and what to do."""
    from agent import config

    if schema:
        typer.echo(config.json_schema(), nl=False)
        return
    checked = load_config(path)
    credential, setting = checked.secret
    try:
        config.read_credential(credential, setting)
    except config.ConfigError as error:
        if credential.exists() and os.access(credential, os.R_OK):
            raise CliError(str(error), Exit.BAD_INPUT) from error
        typer.echo(f"note: {error}", err=True)
    typer.echo(f"{path}: good")


@app.command()
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
    typer.echo(f"iplink-agent {__version__} ({machine}, pjsua2 {sip})")


def main() -> None:
    """Run the command line; ends the process with one of the codes of `Exit`."""
    app(prog_name="iplink-agent")
