"""A customer leaves and keeps the adapter: after a wipe nothing knows of him, and it works with any provider."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from agent.core.terms import CallKind, Cause, Direction
from agent.lab.scene import OWN_NUMBERS, SWEDEN_DIALLED

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


async def cli(home, *arguments: str) -> tuple[int, str]:
    """Exit code and words of a command on the adapter."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "STATE_DIRECTORY": str(home.world.scene.agent_folder)},
    )  # fmt: skip
    words, _ = await process.communicate()
    return process.returncode or 0, words.decode()


def holding(folders: list[Path], words: str) -> list[str]:
    """Names of the files that hold this."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if words.encode() in path.read_bytes()]


async def stopped(home, process, name: str) -> None:
    words = home.mark()
    process.hold()
    process.signal(signal.SIGTERM)
    await home.hears(name, "process", words)


async def test_a_wiped_adapter_knows_nothing_and_calls_by_another_provider(home) -> None:
    scene = home.world.scene
    folders = [scene.agent_folder, scene.gateway_folder]
    line1 = next(user for user in scene.operator.users if user.user == "line1")
    await home.call(0, SWEDEN_DIALLED)
    await home.hang_up(0)
    await home.all_acknowledged()
    wipe = ["wipe", "--yes", "--config", str(scene.agent_config), "--state", str(scene.gateway_folder)]
    code, words = await cli(home, *wipe)
    assert code == 2
    assert "stop it first" in words
    assert holding([scene.agent_folder], line1.password)
    assert holding([scene.gateway_folder], line1.password)

    await stopped(home, home.world.agent, "agent")
    await stopped(home, home.world.gateway, "gateway")
    code, words = await cli(home, *wipe)
    assert code == 0, words
    assert "none is left" in words
    for secret in (line1.password, "81234567", OWN_NUMBERS[0][-8:], scene.operator.device.secret):
        assert holding(folders, secret) == []
    assert not (scene.folder / "device.secret").exists()

    password = scene.folder / "sip-password"
    password.write_text(line1.password + "\n")
    password.chmod(0o600)
    before = scene.agent_config.read_text()
    rest = before[before.index("[gateway]") :]
    target = (await home.world.operator_sees("/v1/subscription"))["registrations"][0]["targets"][0]
    scene.agent_config.write_text(
        f'{rest}\n[plain]\nuser = "line1"\ndomain = "{scene.operator.domain}"\nnumber = "{OWN_NUMBERS[0]}"\n'
        f'password_file = "{password}"\ntargets = ["{target}"]\n'
    )
    since = len(await home.received())
    home.world.gateway.let_go()
    home.world.agent.let_go()
    status = await home.sees(
        "a plain adapter that is registered",
        lambda status: status["plain"] and status["accounts"] and all(one["registered"] for one in status["accounts"]),
    )
    assert {problem["key"] for problem in status["problems"]} <= {"problem.time_not_trusted"}
    assert status["subscription"] is None
    for line in (0, 1):
        await home.call(line, SWEDEN_DIALLED)
        await home.hang_up(line)
    await home.call(0, "112")
    await home.hang_up(0)
    await home.kari_calls(OWN_NUMBERS[0])
    await home.phone_shows(1, "ringing", lambda: home.phone(1).ringing)
    home.phone(1).off_hook()
    await home.echo(1)
    await home.hang_up(1)

    async def logged() -> list:
        kept = await home.world.records()
        return kept if len(kept) == 4 and all(one.state.value == "acknowledged" for one in kept) else []

    kept = [one.cdr for one in await home.until("four calls in the log", logged)]
    assert [cdr.cause for cdr in kept] == [Cause.NORMAL] * 4
    assert [cdr.price for cdr in kept] == [None] * 4
    assert [cdr.unpriced for cdr in kept] == [""] * 4
    assert kept[0].direction is Direction.INCOMING
    assert kept[1].kind is CallKind.EMERGENCY
    assert len(await home.received()) == since


async def test_the_log_of_a_plain_adapter_is_no_customers_and_the_agent_says_so(household) -> None:
    home = household
    scene = home.world.scene
    plain = scene.agent_config.read_text()
    device = scene.folder / "device.secret"
    device.write_text(scene.operator.device.secret + "\n")
    device.chmod(0o600)
    url = f'url = "http://127.0.0.1:9"\ndevice_id = "a"\ncredential_file = "{device}"\n'
    words = home.mark()
    scene.agent_config.write_text(plain[: plain.index("[plain]")] + "[operator]\n" + url)
    try:
        home.world.agent.signal(signal.SIGHUP)
        await home.agent_ends(words, "exit code 2")
        assert "still that of an adapter without an operator" in home.world.agent_log.read_text()
    finally:
        scene.agent_config.write_text(plain)
    await home.sees("the plain adapter again", lambda status: status["plain"])
