"""What the commands share: exit codes, their one kind of error, common options, loading of parts."""

from __future__ import annotations

import enum
import importlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from agent.config import Config
    from agent.texts import Texts

DEFAULT_CONFIG = Path("/etc/iplink-agent/agent.toml")
DEFAULT_SOCKET = Path("/run/iplink-gateway/agent.sock")
DEFAULT_STATE = Path("/var/lib/iplink-gateway")
DEFAULT_KEYS = Path("/etc/iplink-agent/firmware-keys")
_INSTALL = {
    "pjsua2": "install the extra 'sip', or the system's own pjsua2",
    "_pjsua2": "install the extra 'sip', or the system's own pjsua2",
    "sippy": "install the extra 'lab'",
}
DAYS: Final = ["%Y-%m-%d"]


class Exit(enum.IntEnum):
    """Exit codes of every command; the meaning stands in `EXIT_MEANING`."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    MISSING_PART = 3


EXIT_MEANING = {
    Exit.OK: "done",
    Exit.FAILED: "it was tried and failed",
    Exit.BAD_INPUT: "wrong arguments, configuration or data",
    Exit.MISSING_PART: "a part of the software is not installed",
}


class CliError(Exception):
    """A command ends with this sentence on stderr and this exit code."""

    def __init__(self, sentence: str, exit_code: Exit) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


ConfigOption = Annotated[Path, typer.Option("--config", metavar="PATH", help="The agent's configuration.")]
SocketOption = Annotated[Path, typer.Option("--socket", metavar="PATH", help="Socket on which the agent is awaited.")]
CardOption = Annotated[str, typer.Option("--card", metavar="PATH", help="Serial device of the line card.")]
StateOption = Annotated[Path, typer.Option("--state", metavar="DIR", help="Folder of the gateway's last good state.")]
BindOption = Annotated[str, typer.Option("--bind", metavar="ADDR", help="Local address for SIP and RTP.")]
SipPortOption = Annotated[int, typer.Option("--sip-port", min=0, max=65_535, help="UDP port; 0: drawn once and kept.")]
RtpPortOption = Annotated[int, typer.Option("--rtp-port", min=1024, max=65_000, help="First UDP port of speech.")]
LinesOption = Annotated[int, typer.Option("--lines", min=1, max=8, help="Analog lines of the card.")]
KeysOption = Annotated[
    Path,
    typer.Option("--firmware-keys", metavar="DIR", help="Public keys (*.pem) of makers of line-card firmware."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def leave(code: int | None) -> None:
    """End the process with this code where it says that something is wrong."""
    if code:
        raise typer.Exit(code)


def part_of(module: str, what: str) -> ModuleType:
    """Import a part that may lack something this machine has not installed. Raises CliError."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = error.name or str(error)
        hint = _INSTALL.get(missing.partition(".")[0], "reinstall iplink-agent with all its parts")
        raise CliError(f"{what} cannot start: the module {missing} is not there; {hint}", Exit.MISSING_PART) from error


def uid_of(user: str) -> int:
    """The number of a user of this machine. Raises CliError."""
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except (KeyError, ValueError) as error:
        raise CliError(
            f"--agent-user: there is no user {user!r} on this machine; create it first", Exit.BAD_INPUT
        ) from error


def zone_of(name: str) -> ZoneInfo:
    """A time zone of the IANA database. Raises CliError."""
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise CliError(
            f"--zone: {name[:64]}: no zone of the IANA database; Europe/Oslo is one", Exit.BAD_INPUT
        ) from error


def load_config(path: Path) -> Config:
    """The configuration of a file. Raises CliError."""
    from agent.config import ConfigError, load

    try:
        return load(path)
    except ConfigError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error


def load_texts() -> Texts:
    """The catalogue of sentences. Raises CliError."""
    from agent.texts import TextError, Texts

    try:
        return Texts.load()
    except TextError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error
