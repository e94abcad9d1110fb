"""`iplink-agent agent`, `gateway`, `run` and `lab`: the commands that stay until told to stop."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import cast

import click

from agent.cli_base import (
    PATH,
    CliError,
    Exit,
    bind_option,
    card_option,
    config_option,
    json_option,
    keys_option,
    leave,
    lines_option,
    part_of,
    rtp_port_option,
    sip_ca_option,
    sip_port_option,
    socket_option,
    state_option,
    uid_of,
)


@click.command("agent")
@config_option
def run_agent(config: Path) -> None:
    """Run the agent: admission, prices, records, the operator, the status page."""
    from agent.config import ConfigError

    # structlog loads rich where it finds it, to colour what the agent never prints: 4 MB as long as the agent lives.
    # aiohttp reads the system's roots, twice, for connections that nobody makes: 2 MB. Our own client reads its own.
    with _hidden("rich"), _without_roots():
        part = part_of("agent.app", "the agent")
    try:
        leave(part.main(config))
    except ConfigError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error


@contextlib.contextmanager
def _hidden(package: str) -> Iterator[None]:
    """What is loaded meanwhile does not find the package, unless it is loaded already."""
    if package in sys.modules:
        yield
        return
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules[package] = None
    try:
        yield
    finally:
        del modules[package]


@contextlib.contextmanager
def _without_roots() -> Iterator[None]:
    """TLS contexts that are made meanwhile trust nobody (SSL_CERT_FILE: openssl-env(7))."""
    kept = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = os.devnull
    try:
        yield
    finally:
        del os.environ["SSL_CERT_FILE"]
        if kept is not None:
            os.environ["SSL_CERT_FILE"] = kept


def _gateway_options(command: Callable[..., None]) -> Callable[..., None]:
    """What the gateway is told by whoever starts it: `gateway` uses it, `run` passes it on."""
    options = (
        card_option, socket_option, state_option, bind_option, sip_port_option, rtp_port_option, lines_option,
        keys_option, sip_ca_option,
    )  # fmt: skip
    return functools.reduce(lambda told, option: option(told), reversed(options), command)


@click.command("gateway")
@_gateway_options
@click.option("--agent-user", metavar="NAME", help="User that may be the agent, beside our own.")
def gateway(agent_user: str | None, **told: Path | str | int | None) -> None:
    """Run the gateway: lines, digits, tones, SIP, emergency calls. It reads no agent.toml."""
    part = part_of("agent.gateway.daemon.main", "the gateway")
    leave(part.main(part.Options(agent_uid=None if agent_user is None else uid_of(agent_user), **told)))


@click.command("run")
@_gateway_options
@config_option
def run(config: Path, **told: Path | str | int | None) -> None:
    """Run gateway and agent under one parent, for containers; on an installed device systemd runs the two."""
    arguments = {f"--{name.replace('_', '-')}": value for name, value in told.items() if value is not None}
    part = part_of("agent.supervisor", "the supervisor")
    leave(part.main(config, [str(word) for option in arguments.items() for word in option]))


@click.command("lab")
@click.option("--seconds", type=click.IntRange(1, 86_400), help="End after so long; default: until Ctrl-C.")
@json_option
@click.option("--keep", metavar="DIR", type=PATH, help="Keep the lab's files in this folder.")
def lab(seconds: int | None, as_json: bool, keep: Path | None) -> None:
    """Run a whole operator and an adapter with simulated telephones on this machine."""
    part = part_of("agent.lab.main", "the lab")
    leave(part.main(seconds=seconds, json=as_json, keep=keep))
