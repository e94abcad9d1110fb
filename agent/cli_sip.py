"""`iplink-agent sip …`: the last SIP messages that the telephone sent and got."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli_base import CliError, Exit

if TYPE_CHECKING:
    from agent.gateway.sip_trace import Trace

sip_app = typer.Typer(no_args_is_help=True, help="The telephone's SIP messages.")

StateOption = Annotated[Path, typer.Option("--state", metavar="DIR", help="Folder of the gateway's last good state.")]
NumbersOption = Annotated[bool, typer.Option("--show-numbers", help="Print numbers and names in full.")]


@sip_app.callback()
def sip() -> None:
    """The telephone's SIP messages."""


@sip_app.command("trace")
def trace(
    state: StateOption = Path("/var/lib/iplink-gateway"),
    call: Annotated[str, typer.Option("--call", metavar="ID", help="Only this call: how its Call-ID begins.")] = "",
    messages: Annotated[bool, typer.Option("--messages", help="Print the messages themselves.")] = False,
    show_numbers: NumbersOption = False,
    pcap: Annotated[
        Path | None, typer.Option("--pcap", metavar="FILE", help="Write a capture file; needs --show-numbers.")
    ] = None,
) -> None:
    """Print the last SIP messages as a ladder, without credentials and full numbers.

    The gateway keeps them in memory and writes them when asked with SIGUSR1 (systemctl kill -s USR1 iplink-gateway).
    """
    from agent.gateway import sip_trace

    found = _read(state / sip_trace.FILE)
    chosen = sip_trace.of_call(found.messages, call) if call else found.messages
    if pcap is not None:
        if not show_numbers:
            raise CliError("--pcap: a capture shows full numbers; say so with --show-numbers", Exit.BAD_INPUT)
        try:
            wall_ms = int(datetime.fromisoformat(found.wall).timestamp() * 1000)
        except ValueError as error:
            raise CliError(
                f"{state / sip_trace.FILE}: not a SIP trace: its time cannot be read", Exit.FAILED
            ) from error
        try:
            pcap.write_bytes(sip_trace.pcap(found, chosen, wall_ms))
        except OSError as error:
            raise CliError(f"--pcap: {pcap} cannot be written ({error.strerror})", Exit.FAILED) from error
    lines = sip_trace.shown(chosen, numbers=show_numbers) if messages else sip_trace.ladder(chosen)
    typer.echo(f"# {found.wall}, {len(chosen)} messages, our end {found.local}")
    for line in lines:
        typer.echo(line)


def _read(path: Path) -> Trace:
    from agent.gateway.sip_trace import MAX_FILE, TraceError, decode

    try:
        with path.open("rb") as file:
            return decode(file.read(MAX_FILE + 1))
    except FileNotFoundError as error:
        raise CliError(
            f"{path}: there is no trace yet; ask the running gateway for one with SIGUSR1", Exit.FAILED
        ) from error
    except OSError as error:
        raise CliError(f"{path}: {error.strerror or error}; run this as the gateway's user", Exit.BAD_INPUT) from error
    except TraceError as error:
        raise CliError(f"{path}: {error}", Exit.FAILED) from error
