"""The command line: what it prints, one sentence per error, and its exit codes."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import types
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from agent import __version__, cli, cli_base, config, outbox_request
from agent.cli_show import duration
from agent.core.cdr import Cdr, Price, Step
from agent.core.numbers import mask
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.paths import data_dir
from agent.store.store import Store

OPERATOR = '[operator]\nurl = "https://api.example.net"\ndevice_id = "a"\ncredential_file = "{credential}"\n'


HEAVY = {
    "aiohttp",
    "aiosqlite",
    "marisa_trie",
    "structlog",
    "jinja2",
    "pjsua2",
    "serial",
    "msgspec",
    "sqlite3",
    "asyncio",
    "rich",
    "pydantic",
    "typer",
}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def sentence(result: Result, code: cli.Exit) -> str:
    """The error a person sees: one line on stderr, nothing on stdout, no traceback."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert all(line.startswith("iplink-agent: ") for line in result.stderr.splitlines())
    return result.stderr.strip()


# --- help, version -------------------------------------------------------------------------------------------------


def test_help_lists_the_commands_and_the_exit_codes():
    text = " ".join(run("--help").stdout.split())
    for command in ("check-config", "rate", "cdr", "version", "agent", "gateway", "run", "lab"):
        assert command in text
    for code, meaning in cli.EXIT_MEANING.items():
        assert f"{code.value} {meaning}" in text
    assert set(cli.EXIT_MEANING) == set(cli.Exit)


def test_help_tells_each_commands_whole_sentence_its_defaults_and_its_ranges():
    table = " ".join(run("--help").stdout.split())
    assert (
        "rate Price a call with the same function that prices the records, and explain it line by line. plan" in table
    )
    gateway = " ".join(run("gateway", "--help").stdout.split())
    assert "--card PATH Serial device of the line card. [required]" in gateway
    assert "First UDP port of speech. [default: 16384; 1024<=x<=65000]" in gateway
    rate = " ".join(run("rate", "--help").stdout.split())
    assert "NUMBER As dialled: 22334455" in rate
    assert "--lang [nb|en] Language of the answer. [default: en]" in rate
    assert f"default: {cli_base.DEFAULT_CONFIG}." in run("check-config", "--help").stdout


@pytest.mark.parametrize("group", [(), ("cdr",), ("deck",), ("dialplan",), ("line",), ("packet-filter",), ("sip",)])
def test_without_a_command_the_help_says_what_there_is(group: tuple[str, ...]):
    result = run(*group)
    assert (result.exit_code, result.stdout) == (cli.Exit.BAD_INPUT, "")
    assert "Commands:" in result.stderr


def test_help_loads_none_of_the_heavy_parts():
    program = (
        "import sys, agent.cli\n"
        "sys.argv = ['iplink-agent', '--help']\n"
        "try: agent.cli.main()\n"
        "except SystemExit: pass\n"
        f"heavy = {HEAVY}\n"
        "sys.stderr.write(' '.join(sorted(heavy & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert "Usage: iplink-agent" in done.stdout


def test_python_dash_m_agent_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "agent", "version"], capture_output=True, text=True, timeout=60, check=True
    )
    first, second = done.stdout.splitlines()
    assert first.startswith(f"iplink-agent {__version__} (Python ")
    assert first.endswith("pjsua2 2.15.1.post1)")
    assert second.startswith("known advisories: ")
    assert "CVE-2026-41416" in second
    done = subprocess.run(
        [sys.executable, "-m", "agent", "nonsense"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == cli.Exit.BAD_INPUT
    assert "nonsense" in done.stderr


def test_a_reader_that_goes_away_is_no_error_worth_a_sentence():
    command = [sys.executable, "-m", "agent", "check-config", "--schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
    assert told == ""
    assert process.returncode == cli.Exit.FAILED


# --- check-config --------------------------------------------------------------------------------------------------


def test_the_sample_configuration_is_good_although_its_secret_is_elsewhere():
    result = run("check-config", data_dir() / "agent.toml")
    assert (result.exit_code, result.stdout) == (0, f"{data_dir() / 'agent.toml'}: good\n")


def test_a_wrong_configuration_ends_with_2_and_each_error(tmp_path: Path):
    path = tmp_path / "agent.toml"
    path.write_text("[page]\nport = 'x'\n", encoding="utf-8")
    told = sentence(run("check-config", path), cli.Exit.BAD_INPUT)
    assert f'{path}: page.port: found "x"; allowed is a whole number from 0 to 65535' in told
    assert f"{path}: [operator]: found no such section" in told
    assert "there is no such file" in sentence(run("check-config", tmp_path / "absent"), cli.Exit.BAD_INPUT)


def test_a_secret_that_others_may_read_is_an_error(tmp_path: Path):
    secret, path = tmp_path / "secret", tmp_path / "agent.toml"
    secret.write_text("hush\n", encoding="ascii")
    path.write_text(OPERATOR.format(credential=secret), encoding="utf-8")
    secret.chmod(0o644)
    told = sentence(run("check-config", path), cli.Exit.BAD_INPUT)
    assert "found mode 0644" in told
    assert "hush" not in told
    secret.chmod(0o600)
    assert run("check-config", path).stdout == f"{path}: good\n"


def test_the_schema_is_printed_as_stored():
    assert run("check-config", "--schema").stdout.encode() == config.json_schema()


# --- rate ----------------------------------------------------------------------------------------------------------


def test_a_price_is_explained_line_by_line_with_the_exact_and_the_rounded_amount():
    result = run("rate", "22334455", "--product", "bedrift", "--duration", 61)
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].startswith("Most specific entry: 472 ")
    assert lines[-2:] == ["Exact: NOK 0.1525", "Price: NOK 0.15 (VAT not stated)"]


def test_the_explanation_can_be_norwegian():
    lines = run("rate", "22334455", "--product", "bedrift", "--duration", 61, "--lang", "nb").stdout.splitlines()
    assert lines[-2:] == ["Nøyaktig: 0,1525 kr", "Pris: 0,15 kr (mva. ikke oppgitt)"]


@pytest.mark.parametrize("number", ["4681234567", "+4681234567", "004681234567"])
def test_the_ways_to_write_a_number_abroad_give_the_same_json(number):
    price = json.loads(run("rate", number, "--product", "privat", "--duration", 125, "--json").stdout)
    assert (price["prefix"][:2], price["product"], price["billed_s"], price["currency"]) == ("46", "privat", 125, "NOK")
    assert len(price["explanation"]) == len(price["steps"])
    assert Decimal(price["amount"]) * 1_000_000 == price["amount_micro"]


def test_a_price_is_that_of_the_asked_moment_and_zone(tmp_path: Path):
    columns = "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum"
    shipped = (data_dir() / "price-lists" / "privat.csv").read_text(encoding="utf-8")
    head = shipped[: shipped.index(columns)]
    rows = ("46,Sverige,0,0.10,60,1,,,00:00-08:00", "46,Sverige,0,0.50,60,1,,,")
    (tmp_path / "privat.csv").write_text("\n".join((f"{head}{columns},when", *rows, "")), encoding="utf-8")
    call = ("rate", "4681234567", "--product", "privat", "--duration", 60, "--prices", tmp_path)
    for moment, amount in (("2026-11-23T07:59:01", "0.11"), ("2026-11-23T08:00", "0.50"), ("2026-11-23", "0.10")):
        result = run(*call, "--at", moment)
        assert result.stdout.splitlines()[-1].startswith(f"Price: NOK {amount} ")
    utc = run(*call, "--at", "2026-11-23T07:30", "--zone", "UTC").stdout
    assert "The entry applies: 00:00-08:00." in utc
    assert run(*call).exit_code == 0
    assert "Europe/Oslo" in sentence(run(*call, "--zone", "Mars/Base"), cli.Exit.BAD_INPUT)


def test_no_price_is_a_failure_and_never_zero():
    told = sentence(run("rate", "123456", "--product", "privat", "--duration", 1), cli.Exit.FAILED)
    assert "no price (impossible_number)" in told


def test_an_unknown_product_or_folder_is_bad_input(tmp_path: Path):
    assert "topp" in sentence(run("rate", "22334455", "--product", "topp", "--duration", 1), cli.Exit.BAD_INPUT)
    (tmp_path / "privat.csv").write_text("nonsense\n", encoding="utf-8")
    told = sentence(
        run("rate", "22334455", "--product", "privat", "--duration", 1, "--prices", tmp_path), cli.Exit.BAD_INPUT
    )
    assert "privat.csv" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Missing argument 'NUMBER'"),
        (("22334455", "--product", "privat", "--duration", "-1"), "'--duration': -1 is not in the range 0<=x<="),
        (
            ("22334455", "--product", "privat", "--duration", "1", "--lang", "NB"),
            "'--lang': 'NB' is not one of 'nb', 'en'",
        ),
        (
            ("22334455", "--product", "privat", "--duration", "1", "--at", "1.1.2026"),
            "'--at': '1.1.2026' does not match",
        ),
        (("22334455", "--product", "privat", "--seconds", "1"), "No such option '--seconds'"),
    ],
)
def test_wrong_arguments_end_with_2_and_are_named(arguments: tuple[str, ...], told: str):
    result = run("rate", *arguments)
    assert (result.exit_code, result.stdout) == (cli.Exit.BAD_INPUT, "")
    assert told in result.stderr


# --- cdr list ------------------------------------------------------------------------------------------------------


def record(index: int, **changes: object) -> Cdr:
    fields: dict[str, object] = {
        "id": str(uuid.UUID(int=index)),
        "direction": Direction.OUTGOING,
        "kind": CallKind.ORDINARY,
        "line": 0,
        "account": "4722334455",
        "own_number": "+4722334455",
        "number": "+4681234567",
        "boot_id": "boot",
        "began_ms": index,
        "began_at": f"2026-03-01T12:00:0{index}Z",
        "time_trusted": True,
        "duration_ms": 61_001,
        "setup_ms": 3000,
        "cause": Cause.NORMAL,
        "released_by": Party.LOCAL,
        "price": Price(
            product="privat", price_list="privat", version="1", prefix="46", destination="Sverige", currency="NOK",
            vat="not_stated", amount_micro=1_250_000, exact="5/4", billed_s=62,
            steps=[Step(key="price.free", values={})],
        ),
    }  # fmt: skip
    return Cdr(**(fields | changes))  # type: ignore[arg-type]  # the fields of a record, by name


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """The commands send the log to the captured stderr, which is closed before the next test writes to it."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()

    async def fill() -> None:
        store = await Store.open(folder)
        await store.finish(record(1), "2026-03", "2026-03-01")
        await store.finish(
            record(
                2, price=None, duration_ms=0, cause=Cause.REFUSED, refusal="no_rate", time_trusted=False, line=None,
                number="\x1b[31mred", direction=Direction.INCOMING,
            ),
            "2026-03", "2026-03-01",
        )  # fmt: skip
        await store.quarantine(record(2).id, "unknown line")
        await store.close()

    asyncio.run(fill())
    return folder


def test_records_are_listed_newest_first_and_numbers_are_masked(store_folder: Path):
    result = run("cdr", "list", "--store", store_folder)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if "2026-03-01" in line]
    assert "2026-03-01T12:00:02Z ?" in lines[0]
    assert "Refused by the adapter: The price list has no price for this number" in lines[0]
    assert "quarantined: unknown line" in lines[0]
    assert mask("+4681234567") in lines[1]
    assert all(word in lines[1] for word in ("out", "0:01:02", "NOK 1.25", "The call was ended", "pending"))
    assert "81234567" not in result.stdout
    assert "22334455" not in result.stdout
    assert "\x1b" not in result.stdout


def test_numbers_are_shown_in_full_only_when_asked_for(store_folder: Path):
    assert "+4681234567" in run("cdr", "list", "--store", store_folder, "--show-numbers").stdout
    plain = json.loads(run("cdr", "list", "--store", store_folder, "--json", "--show-numbers").stdout)
    assert [entry["number"] for entry in plain][1] == "+4681234567"
    hidden = run("cdr", "list", "--store", store_folder, "--json").stdout
    assert "81234567" not in hidden
    assert "22334455" not in hidden


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_numbers_in_the_words_of_others_are_masked_too(tmp_path: Path, as_json: tuple[str, ...]):
    async def fill() -> None:
        store = await Store.open(tmp_path)
        await store.finish(record(3, price=None, unpriced="no rate for +46 81 23 45 67"), "2026-03", "2026-03-01")
        await store.quarantine(record(3).id, "rejected: +46-8123-4567 is not in our plan")
        await store.close()

    asyncio.run(fill())
    hidden = run("cdr", "list", "--store", tmp_path, *as_json).stdout
    assert "not in our plan" in hidden
    assert "no rate for" in hidden
    assert "81234567" not in re.sub("[ -]", "", hidden)
    shown = run("cdr", "list", "--store", tmp_path, *as_json, "--show-numbers").stdout
    assert "+46-8123-4567" in shown
    assert "+46 81 23 45 67" in shown


def test_json_has_the_whole_record_and_its_upload_state_and_obeys_the_limit(store_folder: Path):
    both = json.loads(run("cdr", "list", "--store", store_folder, "--json").stdout)
    assert [(entry["upload"], entry.get("upload_reason")) for entry in both] == [
        ("quarantined", "unknown line"),
        ("pending", None),
    ]
    assert (both[1]["price"]["exact"], both[1]["duration_ms"]) == ("5/4", 61_001)
    assert len(json.loads(run("cdr", "list", "--store", store_folder, "--json", "--limit", 1).stdout)) == 1


def test_a_record_that_was_set_apart_is_asked_to_go_again(store_folder: Path):
    (apart,) = [one for one in json.loads(run("cdr", "list", "--store", store_folder, "--json").stdout)
                if one["upload"] == "quarantined"]  # fmt: skip
    result = run("cdr", "retry", apart["id"], "--store", store_folder)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("1 to be sent again")
    assert outbox_request.read(store_folder) == outbox_request.RetryRequest(ids=[apart["id"]])
    assert run("cdr", "retry", "--all", "--store", store_folder).exit_code == 0
    assert outbox_request.read(store_folder) == outbox_request.RetryRequest()


def test_only_what_was_set_apart_can_be_asked_for(store_folder: Path, tmp_path: Path):
    (waiting,) = [one for one in json.loads(run("cdr", "list", "--store", store_folder, "--json").stdout)
                  if one["upload"] == "pending"]  # fmt: skip
    for arguments in ([waiting["id"]], ["no-such-id"], [], [waiting["id"], "--all"]):
        sentence(run("cdr", "retry", *arguments, "--store", store_folder), cli.Exit.BAD_INPUT)
    assert "absent" in sentence(run("cdr", "retry", "--all", "--store", tmp_path / "absent"), cli.Exit.BAD_INPUT)
    assert outbox_request.read(store_folder) is None


def test_the_folder_comes_from_the_configuration_where_none_is_given(store_folder: Path, tmp_path: Path):
    path = tmp_path / "agent.toml"
    path.write_text(OPERATOR.format(credential="/x") + f"[store]\nfolder = '{store_folder}'\n", encoding="utf-8")
    assert len(json.loads(run("cdr", "list", "--config", path, "--json").stdout)) == 2
    assert "no such file" in sentence(run("cdr", "list", "--config", tmp_path / "none"), cli.Exit.BAD_INPUT)


def test_an_empty_and_a_missing_store_are_told_apart(tmp_path: Path):
    async def create() -> None:
        await (await Store.open(tmp_path)).close()

    asyncio.run(create())
    assert run("cdr", "list", "--store", tmp_path).stdout == "There are no call records.\n"
    assert run("cdr", "list", "--store", tmp_path, "--json").stdout == "[]\n"
    assert "absent" in sentence(run("cdr", "list", "--store", tmp_path / "absent"), cli.Exit.BAD_INPUT)


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0, "0:00:00"), (1, "0:00:01"), (60_000, "0:01:00"), (43_200_001, "12:00:01")]
)
def test_begun_seconds_count_whole(milliseconds, text):
    assert duration(milliseconds) == text


# --- programs ------------------------------------------------------------------------------------------------------


class Part:
    """A program in place of the real one: it notes how it was called."""

    def __init__(self, code: int) -> None:
        self.calls: list[tuple[tuple[object, ...], dict[str, object]]] = []
        self.code = code

    def main(self, *positional: object, **named: object) -> int:
        self.calls.append((positional, named))
        return self.code


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Part:
    stand_in = Part(0)
    for name in ("agent.app", "agent.lab.main", "agent.supervisor", "agent.gateway.daemon.main"):
        module = types.ModuleType(name)
        module.main = stand_in.main  # type: ignore[attr-defined]  # a module made here
        module.Options = types.SimpleNamespace  # type: ignore[attr-defined]  # likewise
        monkeypatch.setitem(sys.modules, name, module)
    return stand_in


def test_agent_and_lab_are_started_with_their_options(part: Part):
    assert run("agent", "--config", "/a.toml").exit_code == 0
    assert run("lab", "--seconds", 5, "--json", "--keep", "/k").exit_code == 0
    assert part.calls == [((Path("/a.toml"),), {}), ((), {"seconds": 5, "json": True, "keep": Path("/k")})]


def test_the_gateway_is_started_from_its_options_alone(part: Part):
    assert (
        run("gateway", "--card", "/dev/card", "--sip-port", 5062, "--lines", 1, "--agent-user", "root").exit_code == 0
    )
    ((options,), _) = part.calls[0]
    assert vars(options) == {
        "socket": cli_base.DEFAULT_SOCKET, "card": "/dev/card", "state": cli_base.DEFAULT_STATE, "bind": "0.0.0.0",
        "sip_port": 5062, "rtp_port": 16_384, "lines": 1, "agent_uid": 0, "firmware_keys": cli_base.DEFAULT_KEYS,
        "sip_ca_file": None,
    }  # fmt: skip


def test_an_unknown_agent_user_is_bad_input(part: Part):
    told = sentence(run("gateway", "--card", "/dev/card", "--agent-user", "nobody-here"), cli.Exit.BAD_INPUT)
    assert "no user 'nobody-here'" in told
    assert part.calls == []


def test_what_run_hands_to_the_gateway_is_what_the_gateway_understands(part: Part):
    assert run("run", "--card", "/dev/card", "--config", "/a.toml", "--lines", 3).exit_code == 0
    ((path, arguments), _) = part.calls[0]
    assert path == Path("/a.toml")
    assert run("gateway", *arguments).exit_code == 0
    ((options,), _) = part.calls[1]
    assert (options.card, options.lines) == ("/dev/card", 3)


def test_the_exit_code_of_a_program_is_the_commands(part: Part):
    part.code = 1
    assert run("agent").exit_code == 1


def test_a_missing_part_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "agent.gateway.daemon.main", raising=False)
    for name in [name for name in sys.modules if name.startswith("agent.gateway.daemon.sip")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pjsua2", None)
    told = sentence(run("gateway", "--card", "/dev/null"), cli.Exit.MISSING_PART)
    assert "the module pjsua2 is not there; install the extra 'sip'" in told


def test_a_configuration_error_of_the_agent_ends_with_2(part: Part, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: Path) -> int:
        raise config.ConfigError(f"{path}: page.port: found 0")

    monkeypatch.setattr(sys.modules["agent.app"], "main", refuse)
    assert "page.port" in sentence(run("agent", "--config", "/a"), cli.Exit.BAD_INPUT)


def test_ctrl_c_ends_a_command_as_shells_expect(part: Part, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["agent.lab.main"], "main", interrupt)
    result = run("lab")
    assert (result.exit_code, result.output) == (130, "")


def test_an_unforeseen_error_is_one_sentence_and_a_daemon_keeps_its_traceback(
    part: Part, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> int:
        raise RuntimeError("the moon is full")

    monkeypatch.setattr(sys.modules["agent.lab.main"], "main", fail)
    monkeypatch.setattr(sys.modules["agent.app"], "main", fail)
    assert "an unforeseen error (RuntimeError): the moon is full" in sentence(run("lab"), cli.Exit.FAILED)
    assert isinstance(run("agent").exception, RuntimeError)
