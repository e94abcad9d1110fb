"""Gateway and agent are kept running, each by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from agent.supervisor import Child, Supervised, pause_before_restart, supervise

FOREVER = [sys.executable, "-c", "import signal; signal.pause()"]


class Heard:
    def __init__(self) -> None:
        self.queue: asyncio.Queue[str] = asyncio.Queue()

    def __call__(self, name: str, what: str) -> None:
        self.queue.put_nowait(f"{name} {what}")

    async def next(self) -> str:
        return await asyncio.wait_for(self.queue.get(), 10)


async def test_a_killed_child_is_back_at_once() -> None:
    heard = Heard()
    child = Supervised(Child("telephone", FOREVER), heard)
    task = asyncio.create_task(child.run())
    assert "started" in await heard.next()
    first = child.pid
    child.signal(signal.SIGKILL)
    assert await heard.next() == "telephone ended with signal SIGKILL"
    assert "started" in await heard.next()
    assert child.pid not in {first, None}
    await child.stop()
    await task
    assert child.pid is None
    assert child.starts == 2


async def test_a_stopped_process_is_ended_all_the_same() -> None:
    heard = Heard()
    child = Supervised(Child("telephone", FOREVER), heard)
    task = asyncio.create_task(child.run())
    await heard.next()
    child.signal(signal.SIGSTOP)
    await asyncio.wait_for(child.stop(), 10)
    await task
    assert child.starts == 1


async def test_a_held_child_stays_down_until_let_go() -> None:
    heard = Heard()
    child = Supervised(Child("business", FOREVER), heard)
    task = asyncio.create_task(child.run())
    await heard.next()
    child.hold()
    child.signal(signal.SIGTERM)
    assert "ended" in await heard.next()
    assert child.pid is None
    child.let_go()
    assert "started" in await heard.next()
    await child.stop()
    await task


@pytest.mark.parametrize(("crashes", "seconds"), [(1, 0.0), (2, 0.5), (3, 1.0), (4, 2.0), (12, 15.0), (5000, 15.0)])
def test_repeated_crashes_wait_longer(crashes: int, seconds: float) -> None:
    assert pause_before_restart(crashes) == seconds


async def test_children_end_when_their_parent_is_killed() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c",
        "import asyncio, sys\n"
        "from agent.supervisor import Child, Supervised\n"
        "child = Supervised(Child('a', [sys.executable, '-c', 'import signal; signal.pause()']),"
        " lambda name, what: print(child.pid, flush=True))\n"
        "asyncio.run(child.run())\n",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 20))
    handle = os.pidfd_open(pid)
    parent.kill()
    await parent.wait()
    loop = asyncio.get_running_loop()
    gone = loop.create_future()
    loop.add_reader(handle, gone.set_result, None)
    await asyncio.wait_for(gone, 10)
    loop.remove_reader(handle)
    os.close(handle)


async def test_a_child_ended_by_a_realtime_signal_is_started_again() -> None:
    heard = Heard()
    child = Supervised(Child("telephone", FOREVER), heard)
    task = asyncio.create_task(child.run())
    await heard.next()
    assert child.pid is not None
    os.kill(child.pid, 40)
    assert await heard.next() == "telephone ended with signal 40"
    assert "started" in await heard.next()
    await child.stop()
    await task


async def test_nobody_left_to_tell_does_not_end_the_watch_over_the_child() -> None:
    def told(_name: str, _what: str) -> None:
        raise BrokenPipeError("stderr is closed")

    spawned = asyncio.Queue[int]()
    child = Supervised(Child("telephone", ["/bin/false"]), told, pause=lambda crashes: spawned.put_nowait(crashes) or 0)
    task = asyncio.create_task(child.run())
    for crashes in (1, 2, 3):
        assert await asyncio.wait_for(spawned.get(), 10) == crashes
    await child.stop()
    await task


async def test_a_program_that_cannot_be_started_is_a_crash_and_is_tried_again(tmp_path: Path) -> None:
    heard = Heard()
    program = tmp_path / "telephone"
    child = Supervised(Child("telephone", [str(program)]), heard, pause=lambda _: 0.01)
    task = asyncio.create_task(child.run())
    assert await heard.next() == "telephone could not be started: No such file or directory"
    program.symlink_to("/bin/false")
    while "started as" not in await heard.next():
        pass
    await child.stop()
    await task


async def test_a_stop_while_the_child_is_being_started_ends_it() -> None:
    child = Supervised(Child("telephone", FOREVER), lambda _name, _what: None)
    task = asyncio.create_task(child.run())
    await asyncio.sleep(0)
    assert child.starting
    await asyncio.wait_for(child.stop(), 10)
    await asyncio.wait_for(task, 1)
    assert child.pid is None


async def test_a_stop_does_not_wait_for_the_pause_to_be_over() -> None:
    heard = Heard()
    child = Supervised(Child("telephone", ["/bin/false"]), heard, pause=lambda _: 3600.0)
    task = asyncio.create_task(child.run())
    while "ended" not in await heard.next():
        pass
    await child.stop()
    await asyncio.wait_for(task, 1)
    assert child.starts == 1


async def test_a_held_child_that_is_stopped_is_not_started() -> None:
    heard = Heard()
    child = Supervised(Child("business", FOREVER), heard)
    child.hold()
    task = asyncio.create_task(child.run())
    await asyncio.sleep(0)
    await child.stop()
    await asyncio.wait_for(task, 5)
    assert child.starts == 0


async def test_children_are_ended_together_when_the_watch_over_one_fails() -> None:
    pids: list[int] = []

    def told(name: str, what: str) -> None:
        if name == "business":
            raise RuntimeError("nobody foresaw this")
        pids.append(int(what.rpartition(" ")[2]))

    with pytest.raises(RuntimeError, match="nobody foresaw"):
        await asyncio.wait_for(supervise([Child("telephone", FOREVER), Child("business", FOREVER)], told), 10)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", file=sys.stderr, flush=True)
signal.pause()
"""


async def test_a_child_that_does_not_end_in_its_time_is_killed(tmp_path: Path) -> None:
    heard = Heard()
    child = Supervised(Child("telephone", [sys.executable, "-c", STUBBORN], output=tmp_path / "log", stop_s=0.2), heard)
    task = asyncio.create_task(child.run())
    await heard.next()
    async with asyncio.timeout(10):
        while not (tmp_path / "log").read_text(encoding="utf-8"):  # noqa: ASYNC110  only the file tells
            await asyncio.sleep(0.02)
        await child.stop()
    await task
    assert child.pid is None
