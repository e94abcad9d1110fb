"""Gateway and agent are kept running, each by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from agent.supervisor import Child, Supervised, pause_before_restart

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
