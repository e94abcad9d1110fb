"""What the commands share: exit codes, their one kind of error, common options, loading of parts."""

from __future__ import annotations

import enum
import importlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeVar

import click

from agent.core.announcement import Language

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
_WHOLE_SENTENCE: Final = 1000
"""Letters of a command's first sentence in the help: more than any has."""


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


_Member = TypeVar("_Member", bound=enum.Enum)


class ValueOf(click.Choice[_Member]):
    """A member of an enum by its value, as files and JSON have it: click would take its name."""

    def normalize_choice(self, choice: object, ctx: click.Context | None) -> str:
        """The word on the command line."""
        return super().normalize_choice(choice.value if isinstance(choice, enum.Enum) else choice, ctx)


class Group(click.Group):
    """Lists its commands as they were added, each with its whole first sentence: click sorts them and cuts these."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of the commands in the help."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, it.get_short_help_str(_WHOLE_SENTENCE)) for name, it in self.commands.items()])


PATH: Final = click.Path(path_type=Path)
DAY: Final = click.DateTime(["%Y-%m-%d"])

config_option = click.option(
    "--config", metavar="PATH", type=PATH, default=DEFAULT_CONFIG, help="The agent's configuration."
)
socket_option = click.option(
    "--socket", metavar="PATH", type=PATH, default=DEFAULT_SOCKET, help="Socket on which the agent is awaited."
)
card_option = click.option("--card", metavar="PATH", required=True, help="Serial device of the line card.")
state_option = click.option(
    "--state", metavar="DIR", type=PATH, default=DEFAULT_STATE, help="Folder of the gateway's last good state."
)
bind_option = click.option(
    "--bind",
    metavar="ADDR",
    default="0.0.0.0",  # noqa: S104 - a telephone must be reachable; the packet filter decides from where
    help="Local address for SIP and RTP.",
)
sip_port_option = click.option(
    "--sip-port", type=click.IntRange(0, 65_535), default=0, help="UDP port; 0: drawn once and kept."
)
rtp_port_option = click.option(
    "--rtp-port", type=click.IntRange(1024, 65_000), default=16_384, help="First UDP port of speech."
)
lines_option = click.option("--lines", type=click.IntRange(1, 8), default=2, help="Analog lines of the card.")
keys_option = click.option(
    "--firmware-keys",
    metavar="DIR",
    type=PATH,
    default=DEFAULT_KEYS,
    help="Public keys (*.pem) of makers of line-card firmware.",
)
sip_ca_option = click.option(
    "--sip-ca-file", metavar="PEM", type=PATH, help="Roots that SIP over TLS trusts; without it the system's."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
lang_option = click.option("--lang", type=ValueOf(Language), default=Language.EN.value, help="Language of the answer.")
prices_option = click.option(
    "--prices", metavar="DIR", type=PATH, help="Folder of price lists; default: the shipped ones."
)
store_option = click.option(
    "--store", metavar="DIR", type=PATH, help="Folder of the store, instead of the configured one."
)


def leave(code: int | None) -> None:
    """End the process with this code where it says that something is wrong."""
    if code:
        raise click.exceptions.Exit(code)


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
