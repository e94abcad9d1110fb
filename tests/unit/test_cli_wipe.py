"""`wipe`: nothing of the customer is left, nothing goes by mistake, and the command proves what it says."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from msgspec.structs import replace

from agent import cli
from agent.core.cdr import Cdr, Price
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.store import Store

ADAPTER_PASSWORD, LINE_PASSWORD, CALLED = "adapter-s3cret", 'line"s3cret', "+4681234567"
PRICE = Price(
    product="privat", price_list="privat", version="7", prefix="46", destination="Sweden", currency="NOK",
    vat="included", amount_micro=1_250_000, exact="5/4", billed_s=61, steps=[],
)  # fmt: skip
RECORD = Cdr(
    id=str(uuid.UUID(int=1)), direction=Direction.OUTGOING, kind=CallKind.ORDINARY, line=0, account="line1",
    own_number="+4722000001", number=CALLED, boot_id="b", began_ms=1, began_at="2026-11-01T12:00:00Z",
    time_trusted=True, duration_ms=60_001, setup_ms=1, cause=Cause.NORMAL, released_by=Party.LOCAL, price=PRICE,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


class Adapter:
    """The files of an adapter that has been in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config, self.store, self.state = folder / "agent.toml", folder / "agent", folder / "gateway"
        self.secret = folder / "device.secret"
        self.secret.write_text(f"{ADAPTER_PASSWORD}\n")
        self.secret.chmod(0o600)
        self.config.write_text(
            f'[operator]\nurl = "https://api.example.net"\ndevice_id = "a"\ncredential_file = "{self.secret}"\n'
            f'[store]\nfolder = "{self.store}"\n'
        )
        self.state.mkdir()
        (self.state / "configuration.json").write_text(
            '{"accounts":[{"password":"line\\"s3cret","user":"4722000001"}]}'
        )
        (self.state / "sip-port").write_text("5061\n")

    def use(self, *, acknowledged: bool) -> None:
        async def run() -> None:
            store = await Store.open(self.store)
            await store.put_document("subscription", b'{"registrations":[{"password":"line\\"s3cret"}]}')
            for number in range(1, 4):
                await store.finish(replace(RECORD, id=str(uuid.UUID(int=number))), "2026-11", "2026-11-01")
            if acknowledged:
                await store.acknowledge([str(uuid.UUID(int=number)) for number in range(1, 4)], "2026-11-02T00:00:00Z")
            await store.tend()
            await store.close()

        asyncio.run(run())
        (self.store / "price-lists").mkdir()
        (self.store / "price-lists" / "a.deck").write_text("prefix,price")
        (self.store / "agent.toml.last-good").write_text(self.config.read_text())

    def wipe(self, *arguments: str, answer: str = "") -> Result:
        return CliRunner().invoke(
            cli.app, ["wipe", "--config", str(self.config), "--state", str(self.state), *arguments], input=answer
        )

    def holding(self, words: str) -> list[str]:
        """Names of the files that hold this."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return [path.name for path in files if words.encode() in path.read_bytes()]

    def files(self) -> set[str]:
        return {path.name for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def adapter(tmp_path: Path) -> Adapter:
    return Adapter(tmp_path)


def test_after_a_wipe_no_file_knows_the_customer(adapter: Adapter) -> None:
    adapter.use(acknowledged=True)
    assert adapter.holding("81234567")
    assert adapter.holding(ADAPTER_PASSWORD)
    done = adapter.wipe("--yes")
    assert done.exit_code == 0, done.output
    assert "none is left" in done.stdout
    assert "SD card" in done.stdout
    assert adapter.files() == {"agent.toml"}
    for words in ("81234567", "22000001", ADAPTER_PASSWORD, "s3cret"):
        assert words not in done.output
    again = adapter.wipe("--yes")
    assert again.exit_code == 0, again.output


def test_what_was_overwritten_was_overwritten_on_disk(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter.use(acknowledged=True)
    seen: dict[str, bytes] = {}
    unlink = Path.unlink

    def watched(path: Path, missing_ok: bool = False) -> None:
        if path.exists():
            seen[path.name] = path.read_bytes()
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", watched)
    assert adapter.wipe("--yes").exit_code == 0
    for name in ("store.db", "configuration.json", "device.secret"):
        assert seen[name]
        assert not seen[name].strip(b"\0"), name


def test_unsent_records_are_told_and_nothing_goes_without_a_word(adapter: Adapter) -> None:
    adapter.use(acknowledged=False)
    before = adapter.files()
    refused = adapter.wipe("--yes")
    assert refused.exit_code == 1
    assert "3 records (3.75 NOK, from 2026-11-01 to 2026-11-01)" in refused.stderr.replace("NOK 3.75", "3.75 NOK")
    assert "cdr export" in refused.stderr
    assert adapter.files() == before
    done = adapter.wipe("--yes", "--discard-unsent")
    assert done.exit_code == 0, done.output
    assert "given up: 3 records" in done.stdout
    assert adapter.files() == {"agent.toml"}


@pytest.mark.parametrize(("answer", "gone"), [("n\n", False), ("", False), ("y\n", True)])
def test_it_asks(adapter: Adapter, answer: str, gone: bool) -> None:
    adapter.use(acknowledged=True)
    result = adapter.wipe(answer=answer)
    assert (result.exit_code == 0) is gone
    assert (adapter.holding(ADAPTER_PASSWORD) == []) is gone


def test_a_running_agent_is_left_alone(adapter: Adapter) -> None:
    adapter.use(acknowledged=True)
    descriptor = os.open(adapter.store / "store.lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        result = adapter.wipe("--yes", "--discard-unsent")
    finally:
        os.close(descriptor)
    assert result.exit_code == 2
    assert "stop it first" in result.stderr
    assert adapter.holding(ADAPTER_PASSWORD)


def test_a_running_gateway_is_left_alone(adapter: Adapter) -> None:
    adapter.use(acknowledged=True)
    descriptor = os.open(adapter.state, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        result = adapter.wipe("--yes")
    finally:
        os.close(descriptor)
    assert result.exit_code == 2
    assert "systemctl stop iplink-gateway" in result.stderr
    assert adapter.holding(ADAPTER_PASSWORD)


def test_a_folder_that_is_not_ours_is_left_alone(adapter: Adapter) -> None:
    adapter.store.mkdir()
    (adapter.store / "holiday.jpg").write_bytes(b"x")
    result = adapter.wipe("--yes")
    assert result.exit_code == 2
    assert "no store of this agent" in result.stderr
    assert (adapter.store / "holiday.jpg").exists()
    (adapter.store / "holiday.jpg").unlink()
    adapter.use(acknowledged=True)
    (adapter.state / "configuration.json").unlink()
    (adapter.state / "sip-port").rename(adapter.state / "letter.txt")
    assert "no folder of the gateway" in adapter.wipe("--yes").stderr
    assert adapter.holding(ADAPTER_PASSWORD)


def test_a_store_that_cannot_be_read_is_only_wiped_when_told_so(adapter: Adapter) -> None:
    adapter.use(acknowledged=True)
    for path in adapter.store.glob("journal-*"):
        path.unlink()
    (adapter.store / "store.db").unlink()
    (adapter.store / "store.db").mkdir()
    result = adapter.wipe("--yes")
    assert result.exit_code == 1
    assert "unknown number of records" in result.stderr
    assert adapter.holding(ADAPTER_PASSWORD)


def test_a_secret_that_is_still_somewhere_is_no_success(adapter: Adapter) -> None:
    adapter.use(acknowledged=True)
    with adapter.config.open("a") as file:
        file.write(f"# the secret is {ADAPTER_PASSWORD}\n")
    result = adapter.wipe("--yes")
    assert result.exit_code == 1
    assert "still there" in result.stderr
    assert "agent.toml" in result.stderr
    assert ADAPTER_PASSWORD not in result.output


def test_a_file_that_cannot_be_overwritten_is_named(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter.use(acknowledged=True)
    unlink = Path.unlink

    def failing(path: Path, missing_ok: bool = False) -> None:
        if path.name == "sip-port":
            raise OSError(5, "Input/output error")
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", failing)
        result = adapter.wipe("--yes")
    assert result.exit_code == 1
    assert "sip-port: Input/output error; part of the data is still there" in result.stderr
    assert adapter.wipe("--yes").exit_code == 0
    assert adapter.files() == {"agent.toml"}
