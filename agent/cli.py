"""The command line. Every command imports what it needs when it runs, so that `--help` is quick on a small adapter."""

from __future__ import annotations

import enum
import importlib
import os
import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from agent.cli_deck import deck_app
from agent.cli_dialplan import dialplan_app
from agent.cli_line import line_app
from agent.cli_records import export
from agent.cli_sip import sip_app
from agent.cli_wipe import wipe
from agent.texts import Language

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from agent.config import Config
    from agent.store.records import StoredCdr
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
_DAYS = ["%Y-%m-%d"]
_DAEMONS = frozenset({"run", "agent", "gateway"})


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
cdr_app = typer.Typer(no_args_is_help=True, help="Call records in the adapter's store.")
app.add_typer(cdr_app, name="cdr")
cdr_app.command("export")(export)
app.command("wipe")(wipe)
app.add_typer(deck_app, name="deck")
app.add_typer(dialplan_app, name="dialplan")
app.add_typer(line_app, name="line")
app.add_typer(sip_app, name="sip")

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
    checked = _load_config(path)
    credential, setting = checked.secret
    try:
        config.read_credential(credential, setting)
    except config.ConfigError as error:
        if credential.exists() and os.access(credential, os.R_OK):
            raise CliError(str(error), Exit.BAD_INPUT) from error
        typer.echo(f"note: {error}", err=True)
    typer.echo(f"{path}: good")


@app.command()
def rate(
    number: Annotated[str, typer.Argument(help="As dialled: 22334455, 004681234567, +4681234567, 4681234567.")],
    product: Annotated[str, typer.Option("--product", help="privat, bedrift, sentralbord …")],
    duration: Annotated[int, typer.Option("--duration", min=0, max=10_000_000, help="Answered time in seconds.")],
    as_json: JsonOption = False,
    lang: Annotated[Language, typer.Option("--lang", help="Language of the explanation.")] = Language.EN,
    prices: Annotated[
        Path | None, typer.Option("--prices", metavar="DIR", help="Folder of price lists; default: the shipped ones.")
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            "--at",
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"],
            help="When the call is answered, on the clocks of --zone; default: now.",
        ),
    ] = None,
    zone: Annotated[str, typer.Option("--zone", help="Time zone of the price list's days and hours.")] = "Europe/Oslo",
    pack: Annotated[
        int,
        typer.Option("--pack", min=0, max=10_000_000, help="Seconds left of a minute pack that holds for the number."),
    ] = 0,
) -> None:
    """Price a call with the same function that prices the records, and explain it line by line."""
    from agent.cli_show import price_json, price_lines
    from agent.clock import wall
    from agent.paths import data_dir
    from agent.rating.cli_rate import rate_report
    from agent.rating.errors import NoRate, PriceListError
    from agent.rating.rater import explain

    folder = data_dir() / "price-lists" if prices is None else prices
    civil = _zone(zone)
    start = wall() if at is None else at.replace(tzinfo=civil)
    try:
        price = rate_report(number, product, duration, folder, start=start, zone=civil, pack_s=pack)
    except NoRate as error:
        raise CliError(f"no price ({error.reason}): {error}", Exit.FAILED) from error
    except PriceListError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error
    except OSError as error:
        raise CliError(f"{folder}: {error.strerror or error}; give a folder of price lists", Exit.BAD_INPUT) from error
    texts = _load_texts()
    explanation = explain(price, lang, texts)
    if as_json:
        typer.echo(price_json(price, explanation))
    else:
        typer.echo("\n".join(price_lines(price, explanation, lang, texts)))


@app.command()
def plan(
    product: Annotated[str | None, typer.Option("--product", help="The product as the operator names it.")] = None,
    numbers: Annotated[int, typer.Option("--numbers", min=0, max=10_000, help="Numbers of the subscription.")] = 1,
    given_up: Annotated[int, typer.Option("--given-up", min=0, help="So many of them are given up on --notice.")] = 0,
    notice: Annotated[
        datetime | None,
        typer.Option("--notice", formats=_DAYS, help="Day of the notice; without --given-up for all of it."),
    ] = None,
    at: Annotated[datetime | None, typer.Option("--at", formats=_DAYS, help="Civil day; default: today.")] = None,
    agreement: Annotated[bool, typer.Option("--agreement", help="With a Business Support agreement.")] = False,
    as_json: JsonOption = False,
    lang: Annotated[Language, typer.Option("--lang", help="Language of the answer.")] = Language.EN,
    zone: Annotated[str, typer.Option("--zone", help="Time zone in which days begin and end.")] = "Europe/Oslo",
) -> None:
    """Show what a subscription is on a day: product, what it became, last day, customer service. Or all products."""
    from agent import cli_plan
    from agent.clock import wall
    from agent.data import DataError, load_products

    if given_up > numbers or (given_up and notice is None):
        raise CliError("--given-up: give --notice with it, and no more numbers than --numbers", Exit.BAD_INPUT)
    day = (wall().astimezone(_zone(zone)) if at is None else at).date()
    try:
        catalogue = load_products()
    except DataError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error
    texts = _load_texts()
    if product is None:
        offered = cli_plan.products_on(catalogue, day)
        lines = [cli_plan.product_line(one, lang, texts) for one in offered]
        typer.echo(cli_plan.as_json(offered) if as_json else "\n".join(lines))
        return
    if product not in catalogue.ids():
        known = ", ".join(catalogue.ids())
        raise CliError(f"--product: {product[:64]}: there is no such product; known are {known}", Exit.BAD_INPUT)
    asked = cli_plan.Asked(
        product=product, numbers=numbers, given_up=given_up, notice=notice.date() if notice is not None else None
    )
    found = cli_plan.answer(catalogue, asked, day, agreement=agreement)
    typer.echo(cli_plan.as_json(found) if as_json else "\n".join(cli_plan.answer_lines(found, lang, texts)))


@cdr_app.command("list")
def cdr_list(
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    store: Annotated[
        Path | None, typer.Option("--store", metavar="DIR", help="Folder of the store, instead of the configured one.")
    ] = None,
    show_numbers: Annotated[bool, typer.Option("--show-numbers", help="Print numbers in full.")] = False,
) -> None:
    """List call records, newest first. The agent may be running."""
    import asyncio

    import structlog

    from agent.cli_show import print_records, records_json
    from agent.store.errors import StoreError, StoreMissing

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    folder = Path(_load_config(config).store.folder) if store is None else store
    try:
        records = asyncio.run(_recent(folder, limit))
    except StoreError as error:
        raise CliError(str(error), Exit.BAD_INPUT if isinstance(error, StoreMissing) else Exit.FAILED) from error
    except OSError as error:
        raise CliError(f"{folder}: the store cannot be read ({error.strerror or error})", Exit.FAILED) from error
    if as_json:
        typer.echo(records_json(records, show_numbers=show_numbers))
    else:
        print_records(records, _load_texts(), show_numbers=show_numbers)


@cdr_app.command("retry")
def cdr_retry(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of records; cdr list --json shows them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were set apart.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    store: Annotated[
        Path | None, typer.Option("--store", metavar="DIR", help="Folder of the store, instead of the configured one.")
    ] = None,
) -> None:
    """Send records again that the operator would not take, once the reason is out of the way."""
    import asyncio

    import structlog

    from agent import outbox_request
    from agent.store.errors import StoreError, StoreMissing

    if bool(ids) == everything:
        raise CliError("name the records, or say --all", Exit.BAD_INPUT)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    folder = Path(_load_config(config).store.folder) if store is None else store
    try:
        apart = asyncio.run(_quarantined(folder))
    except StoreError as error:
        raise CliError(str(error), Exit.BAD_INPUT if isinstance(error, StoreMissing) else Exit.FAILED) from error
    strangers = [one for one in ids or [] if one not in apart]
    if strangers:
        raise CliError(f"{strangers[0][:40]}: no record of this id was set apart", Exit.BAD_INPUT)
    if not apart:
        typer.echo("No record was set apart.")
        return
    try:
        outbox_request.ask(folder, None if everything else ids)
    except outbox_request.RequestError as error:
        raise CliError(str(error), Exit.FAILED) from error
    typer.echo(f"{len(apart) if everything else len(set(ids or []))} to be sent again: by the running agent within"
               f" {outbox_request.LOOK_S:.0f} s, else when it starts.")  # fmt: skip


@line_app.command("trace")
def line_trace(state: StateOption = DEFAULT_STATE) -> None:
    """Print the last frames of the line card's link, without digits or numbers.

    The gateway writes them when a session with the card is lost, and at once on SIGUSR1
    (systemctl kill -s USR1 iplink-gateway).
    """
    path = state / "line-trace.txt"
    try:
        with path.open("rb") as file:
            text = file.read(1 << 20).decode("utf-8", "replace")
    except FileNotFoundError as error:
        raise CliError(
            f"{path}: there is no trace; the link was never lost. Ask the running gateway for one with SIGUSR1",
            Exit.FAILED,
        ) from error
    except OSError as error:
        raise CliError(f"{path}: {error.strerror or error}; run this as the gateway's user", Exit.BAD_INPUT) from error
    typer.echo(text, nl=False)


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


@app.command("agent")
def run_agent(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the agent: admission, prices, records, the operator, the status page."""
    from agent.config import ConfigError

    part = _part("agent.app", "the agent")
    try:
        _leave(part.main(config))
    except ConfigError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error


@app.command()
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
    part = _part("agent.gateway.daemon.main", "the gateway")
    options = part.Options(
        socket=socket,
        card=card,
        state=state,
        bind=bind,
        sip_port=sip_port,
        rtp_port=rtp_port,
        lines=lines,
        agent_uid=None if agent_user is None else _uid(agent_user),
        firmware_keys=firmware_keys,
    )
    _leave(part.main(options))


@app.command()
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
    part = _part("agent.supervisor", "the supervisor")
    _leave(part.main(config, [str(word) for option in arguments.items() for word in option]))


@app.command()
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
    part = _part("agent.lab.main", "the lab")
    _leave(part.main(seconds=seconds, json=as_json, keep=keep))


def main() -> None:
    """Run the command line; ends the process with one of the codes of `Exit`."""
    app(prog_name="iplink-agent")


def _leave(code: int | None) -> None:
    if code:
        raise typer.Exit(code)


def _part(module: str, what: str) -> ModuleType:
    """Import a part that may lack something this machine has not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = error.name or str(error)
        hint = _INSTALL.get(missing.partition(".")[0], "reinstall iplink-agent with all its parts")
        raise CliError(f"{what} cannot start: the module {missing} is not there; {hint}", Exit.MISSING_PART) from error


def _uid(user: str) -> int:
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except (KeyError, ValueError) as error:
        raise CliError(
            f"--agent-user: there is no user {user!r} on this machine; create it first", Exit.BAD_INPUT
        ) from error


def _zone(name: str) -> ZoneInfo:
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise CliError(
            f"--zone: {name[:64]}: no zone of the IANA database; Europe/Oslo is one", Exit.BAD_INPUT
        ) from error


def _load_config(path: Path) -> Config:
    from agent.config import ConfigError, load

    try:
        return load(path)
    except ConfigError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error


def _load_texts() -> Texts:
    from agent.texts import TextError, Texts

    try:
        return Texts.load()
    except TextError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error


async def _recent(folder: Path, limit: int) -> list[StoredCdr]:
    from agent.store.store import Store

    reader = await Store.open_reader(folder)
    async with reader:
        return await reader.recent(limit)


async def _quarantined(folder: Path) -> list[str]:
    from agent.store.store import Store

    reader = await Store.open_reader(folder)
    async with reader:
        return await reader.quarantined()
