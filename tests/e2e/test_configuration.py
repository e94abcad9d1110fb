"""A broken agent.toml, while the agent runs and when it starts: what works goes on working, and the page says why."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import pytest

from agent.lab.scene import OWN_NUMBERS, SWEDEN_DIALLED

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WORLD = {"pause": lambda _crashes: 0.2}


@contextlib.contextmanager
def broken_file(home) -> Iterator[None]:
    """Somebody has edited the file and mistyped a word."""
    file = home.world.scene.agent_config
    good = file.read_text()
    file.write_text(good.replace("[page]", "[page]\nprot = 80"))
    try:
        yield
    finally:
        file.write_text(good)


def names(status, key: str) -> list[str]:
    return [problem["key"] for problem in status["problems"] if problem["key"] == key]


async def test_a_broken_file_leaves_the_running_agent_as_it_is(home) -> None:
    since = len(await home.received())
    before = await home.ready()
    pid = home.world.agent.pid
    await home.call(0, SWEDEN_DIALLED)
    with broken_file(home):
        await home.reload()
        status = await home.sees("the error", lambda status: status["configuration"]["error"])
        assert "prot" in status["configuration"]["error"]
        assert names(status, "problem.last_good_configuration")
        log = home.world.agent_log.read_text()
        assert '"configuration_refused"' in log
        assert "prot" in log
        # Nothing was torn down for it: not the process, not the link to the telephone, not the call.
        assert home.world.agent.pid == pid
        assert status["gateway"]["since"] == before["gateway"]["since"]
        assert status["calls"][0]["phase"] == "answered"
        await home.still_speaks(0)
        await home.hang_up(0)
        assert (await home.record(since, line=0)).price.billed_s > 0
        await home.call(1, SWEDEN_DIALLED)
        await home.hang_up(1)
        await home.record(since, line=1)
    await home.reload()
    status = await home.sees("no error", lambda status: not status["configuration"]["error"])
    assert not names(status, "problem.last_good_configuration")


async def test_an_agent_that_starts_with_a_broken_file_uses_the_last_good_one_and_says_so(home) -> None:
    since, words = len(await home.received()), home.mark()
    written = home.world.agent_log.stat().st_size
    with broken_file(home):
        home.world.agent.signal(signal.SIGKILL)
        await home.agent_ends(words, "signal SIGKILL")
        status = await home.ready()
        assert "prot" in status["configuration"]["error"]
        assert names(status, "problem.last_good_configuration")
        assert b'"configuration_refused"' in home.world.agent_log.read_bytes()[written:]
        await home.call(0, SWEDEN_DIALLED)
        await home.hang_up(0)
        assert (await home.record(since, line=0)).price.billed_s > 0
    await home.reload()
    await home.sees("no error", lambda status: not status["configuration"]["error"])


async def test_a_good_reload_does_not_cut_calls(home) -> None:
    since = len(await home.received())
    await home.kari_calls(OWN_NUMBERS[0])
    await home.phone_shows(0, "ringing", lambda: home.phone(0).ringing)
    home.phone(0).off_hook()
    await home.speech(0)
    await home.reload()
    await home.ready()
    await home.still_speaks(0)
    await home.hang_up(0)
    cdr = await home.record(since, line=0)
    assert (cdr.cause.value, cdr.recovered) == ("normal", False)


async def test_sigterm_ends_the_agent_in_order_and_frees_its_store(home) -> None:
    words = home.mark()
    home.world.agent.signal(signal.SIGHUP)
    home.world.agent.signal(signal.SIGTERM)
    await home.agent_ends(words, "exit code 0")
    await home.ready()
