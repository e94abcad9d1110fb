"""A technician on the whole adapter: line test and new firmware by the command line, seen on the page; 112 first."""

from __future__ import annotations

import asyncio
import sys

import pytest

from agent.core.terms import Tone
from agent.lab.scene import FIRMWARE_MAKER
from firmware_bridge.simulator import LOOPS, Maker

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

MAKER = Maker(FIRMWARE_MAKER)
_COMMAND_S = 60.0


async def command(home, *words) -> tuple[int, str, str]:
    """`iplink-agent line …` against the gateway of the house: exit code, output, errors."""
    line = [sys.executable, "-m", "agent", "line", *map(str, words)]
    control = home.world.scene.socket.with_name("control.sock")
    process = await asyncio.create_subprocess_exec(
        *line, "--control", str(control), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(_COMMAND_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, out.decode(), err.decode()


def image(home, version: str, body: bytes):
    path = home.folder / f"{version}.img"
    path.write_bytes(MAKER.image(body, version))
    return path


def line_test(status, line):
    return next(one for one in status["lines"] if one["line"] == line)["test"]


async def test_a_leak_is_found_shown_on_the_page_and_gone_when_repaired(home) -> None:
    phone = home.phone(1)
    phone.wire(LOOPS["ground"])
    await home.phone_shows(1, "other wiring", lambda: phone.wired(LOOPS["ground"]))
    code, out, _ = await command(home, "test", "2")
    assert code == 1
    assert "A wire touches ground" in out
    status = await home.sees("the fault", lambda status: line_test(status, 1))
    assert [one["key"] for one in line_test(status, 1)["findings"]] == ["linetest.resistive_fault_ground"]
    phone.wire(LOOPS["normal"])
    await home.phone_shows(1, "repaired wiring", lambda: phone.wired(LOOPS["normal"]))
    assert (await command(home, "test", "2"))[0] == 0
    await home.sees("a good line", lambda status: line_test(status, 1)["verdict"] == "good")


async def test_112_is_called_in_the_middle_of_an_update_and_the_update_follows(home) -> None:
    new = image(home, "1.1.0", bytes(range(256)) * 900)
    running = asyncio.create_task(command(home, "update", new))
    await home.phone_shows(0, "firmware on its way", lambda: home.world.card.updating)
    await home.lift_for_dial_tone(0)
    home.phone(0).dial("112")
    await home.speech(0)
    code, _, err = await running
    assert code == 1
    assert "Broken off, without harm" in err
    home.phone(0).on_hook()
    await home.ready()
    await home.sees(
        "the end of it",
        lambda status: status["card"]["update"]["outcome"]["key"] == "update.aborted_line_needed",
    )
    await home.sees("the telephone at rest", lambda status: not (status["lines"][0]["off_hook"] or status["calls"]))
    code, out, err = await command(home, "update", new)
    assert code == 0, err
    assert "now runs version 1.1.0" in out
    assert home.world.card.firmware == "sim-1.1.0"
    await home.sees("new firmware", lambda status: status["card"]["firmware"] == "sim-1.1.0")
    await home.sees("the good news", lambda status: status["card"]["update"]["good"])
    await home.lift_for_dial_tone(1)
    assert home.plays(1, Tone.DIAL)
    home.phone(1).on_hook()
