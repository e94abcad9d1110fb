"""The store's disk is full, or fails: 112 and incoming calls go on, nothing is lost, and it gets well by itself."""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.core.terms import CallKind, Cause, Direction, Tone
from agent.lab.scene import OWN_NUMBERS, SWEDEN_DIALLED
from agent.store.room import BALLAST

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

DISK_KB = 6_000
RECOVERY_S = 40.0


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A disk of a few megabytes."""
    tests = str(Path(__file__).parent.parent)
    sys.path.insert(0, tests)
    try:
        from small_disk import small_disk
    finally:
        sys.path.remove(tests)
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(small_disk(tmp_path_factory.mktemp("disk"), DISK_KB))
        except OSError as error:
            pytest.skip(str(error))
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def household(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, disk: Any) -> Any:
    """A world whose agent keeps its state on the small disk."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "agent").symlink_to(disk.path)
    async with request.getfixturevalue("worlds")(folder) as home:
        await home.ready()
        await home.sees("room on the disk", lambda status: status["store"]["free_bytes"])
        yield home
    shutil.rmtree(folder, ignore_errors=True)


async def try_to_call(home) -> bool:
    """Dial abroad; whether somebody answers. Otherwise the congestion tone is heard. The handset is down again."""
    await home.lift_for_dial_tone(0)
    home.phone(0).dial(SWEDEN_DIALLED, 40, 40)
    await home.phone_hears(
        0, "an answer or the congestion tone", lambda: home.far_tone_heard(0) or home.plays(0, Tone.CONGESTION)
    )
    answered = not home.plays(0, Tone.CONGESTION)
    if answered:
        await home.speech(0)
    await home.hang_up(0)
    return answered


async def everything_else_goes_on(home) -> None:
    """112, and a call from outside."""
    await home.call(1, "112")
    await home.hang_up(1)
    await home.kari_calls(OWN_NUMBERS[1])
    await home.phone_shows(1, "ringing", lambda: home.phone(1).ringing)
    home.phone(1).off_hook()
    await home.echo(1)
    await home.hang_up(1)


@contextlib.asynccontextmanager
async def writing_fails(home) -> AsyncIterator[None]:
    """Every write of the agent to a file ends with an error (EFBIG), from one moment to the next."""
    pid = home.world.agent.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


async def working_again(home, since: int) -> None:
    """The page is green without a restart, the calls of the bad time are at the operator, and the next one succeeds."""
    await home.sees("a store that works", lambda status: status["store"]["working"], RECOVERY_S)
    await home.record(since, kind=CallKind.EMERGENCY)
    await home.record(since, direction=Direction.INCOMING)
    later = len(await home.received())
    assert await try_to_call(home)
    await home.record(later, cause=Cause.NORMAL)
    await home.sees("nothing waiting", lambda status: not status["upload"]["pending"])
    received = await home.received()
    at_operator = {cdr.id: cdr for cdr in received}
    assert len(at_operator) == len(received)
    # What was acknowledged may have gone from the adapter for the sake of room.
    assert {one.cdr.id: one.cdr for one in await home.world.records()}.items() <= at_operator.items()


async def test_on_a_full_disk_the_ballast_carries_the_next_calls_then_112_and_incoming_calls_go_on(home, disk) -> None:
    since, first = len(await home.received()), home.world.agent.pid
    assert (disk.path / BALLAST).exists()
    await home.call(0, SWEDEN_DIALLED)
    disk.fill()
    await home.hang_up(0)
    (spoken,) = [cdr for cdr in [await home.record(since, cause=Cause.NORMAL)] if cdr.price is not None]
    assert spoken.duration_ms > 0
    for _ in range(20):
        disk.fill()
        if not await try_to_call(home):
            break
    else:
        pytest.fail("the disk was never full")
    status = await home.sees(
        "that the disk is full", lambda status: not status["store"]["working"] and status["store"]["low_space"]
    )
    assert "problem.disk_full" in {problem["key"] for problem in status["problems"]}
    await everything_else_goes_on(home)
    assert not (await home.world.status())["store"]["working"]
    disk.clear()
    await working_again(home, since)
    assert home.world.agent.pid == first
    await home.sees("room again", lambda status: not status["store"]["low_space"])


async def test_a_disk_that_fails_stops_no_112_and_no_incoming_call_and_is_used_again_when_it_works(home) -> None:
    since, first = len(await home.received()), home.world.agent.pid
    async with writing_fails(home):
        assert not await try_to_call(home)
        status = await home.sees("why", lambda status: not status["store"]["working"])
        assert not any(problem["key"] == "problem.disk_full" for problem in status["problems"])
        await everything_else_goes_on(home)
    await working_again(home, since)
    assert home.world.agent.pid == first


async def test_a_store_that_cannot_be_opened_is_told_and_tried_again_without_a_restart(home, disk) -> None:
    since = len(await home.received())
    database, aside = disk.path / "store.db", disk.path / "somewhere-else.db"
    words = home.mark()
    home.world.agent.hold()
    home.world.agent.signal(signal.SIGTERM)
    await home.agent_ends(words, "exit code 0")
    database.rename(aside)
    database.mkdir()
    home.world.agent.let_go()
    status = await home.sees("why", lambda status: not status["store"]["working"] and status["gateway"]["connected"])
    assert [problem["key"] for problem in status["problems"]] == ["problem.store_not_opened"]
    assert "Is a directory" in status["store"]["reason"]
    first = home.world.agent.pid
    await everything_else_goes_on(home)
    assert not await try_to_call(home)
    database.rmdir()
    aside.rename(database)
    await home.ready()
    await working_again(home, since)
    assert home.world.agent.pid == first
