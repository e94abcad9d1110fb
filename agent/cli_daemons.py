"""`iplink-agent agent`, `gateway`, `run` and `lab`: the commands that stay until told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.cli_base import (
    DEFAULT_CONFIG,
    DEFAULT_KEYS,
    DEFAULT_SOCKET,
    DEFAULT_STATE,
    BindOption,
    CardOption,
    CliError,
    ConfigOption,
    Exit,
    JsonOption,
    KeysOption,
    LinesOption,
    RtpPortOption,
    SipPortOption,
    SocketOption,
    StateOption,
    leave,
    part_of,
    uid_of,
)


def run_agent(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the agent: admission, prices, records, the operator, the status page."""
    from agent.config import ConfigError

    part = part_of("agent.app", "the agent")
    try:
        leave(part.main(config))
    except ConfigError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error


def gateway(
    card: CardOption,
    socket: SocketOption = DEFAULT_SOCKET,
    state: StateOption = DEFAULT_STATE,
    bind: BindOption = "0.0.0.0",  # noqa: S104 - a telephone must be reachable; the packet filter decides from where
    sip_port: SipPortOption = 0,
    rtp_port: RtpPortOption = 16_384,
    lines: LinesOption = 2,
    agent_user: Annotated[
        str | None, typer.Option("--agent-user", metavar="NAME", help="User that may be the agent, beside our own.")
    ] = None,
    firmware_keys: KeysOption = DEFAULT_KEYS,
) -> None:
    """Run the gateway: lines, digits, tones, SIP, emergency calls. It reads no agent.toml."""
    part = part_of("agent.gateway.daemon.main", "the gateway")
    options = part.Options(
        socket=socket,
        card=card,
        state=state,
        bind=bind,
        sip_port=sip_port,
        rtp_port=rtp_port,
        lines=lines,
        agent_uid=None if agent_user is None else uid_of(agent_user),
        firmware_keys=firmware_keys,
    )
    leave(part.main(options))


def run(
    card: CardOption,
    config: ConfigOption = DEFAULT_CONFIG,
    socket: SocketOption = DEFAULT_SOCKET,
    state: StateOption = DEFAULT_STATE,
    bind: BindOption = "0.0.0.0",  # noqa: S104 - as for the gateway
    sip_port: SipPortOption = 0,
    rtp_port: RtpPortOption = 16_384,
    lines: LinesOption = 2,
    firmware_keys: KeysOption = DEFAULT_KEYS,
) -> None:
    """Run gateway and agent under one parent, for containers; on an installed device systemd runs the two."""
    arguments = {
        "--socket": socket,
        "--card": card,
        "--state": state,
        "--bind": bind,
        "--sip-port": sip_port,
        "--rtp-port": rtp_port,
        "--lines": lines,
        "--firmware-keys": firmware_keys,
    }
    part = part_of("agent.supervisor", "the supervisor")
    leave(part.main(config, [str(word) for option in arguments.items() for word in option]))


def lab(
    seconds: Annotated[
        int | None, typer.Option("--seconds", min=1, max=86_400, help="End after so long; default: until Ctrl-C.")
    ] = None,
    as_json: JsonOption = False,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep the lab's files in this folder.")
    ] = None,
) -> None:
    """Run a whole operator and an adapter with simulated telephones on this machine."""
    part = part_of("agent.lab.main", "the lab")
    leave(part.main(seconds=seconds, json=as_json, keep=keep))
