"""Signals to the agent: none is lost, and stop wins."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.app import spread_s
from agent.config import load_or_last_good
from agent.orders import Order, Orders
from agent.settings import try_out


async def test_a_signal_that_came_before_anybody_listened_is_not_lost() -> None:
    orders = Orders()
    orders.give(Order.RELOAD)
    assert await orders.next() is Order.RELOAD
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await orders.next()


async def test_stop_wins_over_reload() -> None:
    orders = Orders()
    orders.give(Order.RELOAD)
    orders.give(Order.STOP)
    assert [await orders.next(), await orders.next()] == [Order.STOP, Order.RELOAD]


OPERATOR = '[operator]\nurl = "{url}"\ndevice_id = "adapter-1"\ncredential_file = "{secret}"\n'


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("not-so-secret\n", encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"secret": "/nowhere/secret"}, "credential_file"),
        ({"url": "https://xn--a"}, "operator"),
        ({"folder": "/proc/nowhere"}, "store.folder"),
    ],
    ids=["no secret", "impossible host", "no folder"],
)
def test_a_file_that_reads_well_but_cannot_be_worked_with_does_not_replace_the_last_good_one(
    tmp_path: Path, secret: Path, change: dict[str, str], words: str
) -> None:
    path, kept = tmp_path / "agent.toml", tmp_path / "kept.toml"

    def write(url: str = "https://api.example.net", secret: str = str(secret), folder: str = str(tmp_path)) -> None:
        path.write_text(OPERATOR.format(url=url, secret=secret) + f'[store]\nfolder = "{folder}"\n', encoding="utf-8")

    write()
    good, error = load_or_last_good(path, kept, try_out)
    assert error is None
    write(**change)
    used, error = load_or_last_good(path, kept, try_out)
    assert used == good
    assert error is not None
    assert words in str(error)


@pytest.mark.parametrize(
    ("within_s", "boot_ms", "spread"), [(900, 30_000, 900.0), (900, 899_999, 900.0), (900, 900_000, 0.0), (0, 5, 0.0)]
)
def test_only_a_machine_that_has_just_got_its_power_spreads_its_first_upload(
    within_s: int, boot_ms: int, spread: float
) -> None:
    assert spread_s(within_s, boot_ms) == spread
