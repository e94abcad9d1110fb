"""`iplink-agent sip …`: the last SIP messages that the telephone sent and got."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli_base import PATH, CliError, Exit, Group, state_option

if TYPE_CHECKING:
    from agent.gateway.sip_trace import Trace


@click.group("sip", cls=Group)
def sip_group() -> None:
    """The telephone's SIP messages."""


@sip_group.command("trace")
@state_option
@click.option("--call", metavar="ID", help="Only this call: how its Call-ID begins.")
@click.option("--messages", is_flag=True, help="Print the messages themselves.")
@click.option("--show-numbers", is_flag=True, help="Print numbers and names in full.")
@click.option("--pcap", metavar="FILE", type=PATH, help="Write a capture file; needs --show-numbers.")
def trace(state: Path, call: str | None, messages: bool, show_numbers: bool, pcap: Path | None) -> None:
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
    click.echo(f"# {found.wall}, {len(chosen)} messages, our end {found.local}")
    for line in lines:
        click.echo(line)


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
