"""`iplink-agent packet-filter …`: who reaches the telephone's ports; `apply` is for root, the rest for everybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli_base import DEFAULT_STATE, PATH, CliError, Exit, Group

if TYPE_CHECKING:
    from agent.core.packet_filter import PacketFilter

_REQUEST = DEFAULT_STATE / "packet-filter.json"
_request_argument = click.argument(
    "request",
    metavar="[FILE]",
    type=PATH,
    default=_REQUEST,
    help=f"What the gateway asks for; default: {_REQUEST}.",
)
_state_option = click.option(
    "--state",
    metavar="FILE",
    type=PATH,
    default=Path("/run/iplink-packet-filter/state.json"),
    help="Where it is said what is in force.",
)


@click.group("packet-filter", cls=Group)
def filter_group() -> None:
    """Who reaches the telephone's SIP and speech ports."""


@filter_group.command("apply")
@_request_argument
@_state_option
def apply(request: Path, state: Path) -> None:
    """Put what a file asks for into force with nft, as root. A file with an error changes nothing."""
    from agent import packet_filter

    try:
        found = packet_filter.apply(request, state)
    except OSError as error:
        raise CliError(f"{state}: {error.strerror or error}", Exit.FAILED) from error
    if found.error:
        left = "an earlier filter stays in force" if found.in_force else "no filter is in force"
        raise CliError(f"{request}: {found.error}; {left}", Exit.FAILED)
    click.echo(f"in force: {_ranges(found.signalling, found.media)}")


@filter_group.command("check")
@_request_argument
def check(request: Path) -> None:
    """Check a file and print the nft script that it makes; nothing is loaded."""
    from agent.core.packet_filter import nft_script

    click.echo(nft_script(_read(request)), nl=False)


@filter_group.command("show")
@_state_option
def show(state: Path) -> None:
    """Print what is in force."""
    from agent import clock, packet_filter

    found = packet_filter.read_state(state)
    if found is None:
        raise CliError(f"{state}: nothing was loaded since the machine has started", Exit.FAILED)
    ago = (clock.boot_ms() - found.boot_ms) // 1000
    words = f"in force: {_ranges(found.signalling, found.media)}" if found.in_force else "no filter is in force"
    click.echo(f"{words} (looked {ago} s ago)")
    if found.error:
        raise CliError(f"the last request was not taken: {found.error}", Exit.FAILED)


def _ranges(signalling: int, media: int) -> str:
    speech = f"{media} for speech" if media else "speech is not filtered"
    return f"{signalling} ranges for signalling, {speech}"


def _read(path: Path) -> PacketFilter:
    from agent import packet_filter
    from agent.core.packet_filter import FilterError

    try:
        return packet_filter.read_request(path)
    except FilterError as error:
        raise CliError(f"{path}: {error}", Exit.BAD_INPUT) from error
    except OSError as error:
        raise CliError(f"{path}: {error.strerror or error}", Exit.BAD_INPUT) from error
