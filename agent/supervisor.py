"""A small parent for gateway and agent, for the lab and for containers; on an installed device systemd does this.

Neither child depends on the other: each is started again by itself. The first crash costs nothing but the start; the
next ones wait longer, so that a packet of death can't keep a processor busy for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from agent import clock

_STEADY_MS = 60_000
_LONGEST_PAUSE_S = 15.0
_STOP_S = 8.0
"""libDestroy takes a second and unregistering up to three: a child that needs longer is killed."""
_GATEWAY_STOP_S = 1860.0
"""The gateway puts its end off for at most half an hour while an emergency call goes on."""


_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
"""Loaded here and not in the new child, where after a fork nothing may be loaded any more."""


def pause_before_restart(crashes: int) -> float:
    """Seconds to wait before start number `crashes`: none after the first crash, then 0.5 s doubling up to 15 s."""
    return 0.0 if crashes <= 1 else min(_LONGEST_PAUSE_S, 0.25 * 2.0 ** min(crashes - 1, 16))


def die_with_parent() -> None:
    """In a new child: be told to end when the parent dies (prctl(2) PR_SET_PDEATHSIG), however it dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


class Child(Struct, frozen=True):
    """A program to keep running, in a process group of its own: a Ctrl-C reaches it through its parent, in order.

    `output` receives its stderr; None: ours. `stop_s`: how long it may take to end before it is killed.
    """

    name: str
    argv: Sequence[str]
    output: Path | None = None
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    stop_s: float = _STOP_S


class Supervised:
    """One child, started again whenever it ends, until `stop`. `pause` says how long to wait after which crash."""

    def __init__(
        self,
        child: Child,
        told: Callable[[str, str], None],
        pause: Callable[[int], float] = pause_before_restart,
    ) -> None:
        self.child = child
        self._told = told
        self._pause = pause
        self._process: asyncio.subprocess.Process | None = None
        self._spawning = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._held = asyncio.Event()
        self._held.set()
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def starting(self) -> bool:
        """Whether it is being started right now: it has no process id yet that anybody knows."""
        return self._spawning.locked()

    async def run(self) -> None:
        """Keep the child running until `stop` is called. A program that cannot be started counts as a crash."""
        crashes = 0
        while not self._stopping.is_set():
            await self._held.wait()
            began = clock.boot_ms()
            ending = await self._once()
            if self._stopping.is_set():
                return
            crashes = crashes + 1 if clock.boot_ms() - began < _STEADY_MS else 1
            self._tell(ending)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause(crashes)):
                    await self._stopping.wait()

    async def _once(self) -> str:
        """Start the child, wait for its end and say how it ended."""
        try:
            process = await self._spawn()
        except (OSError, subprocess.SubprocessError) as error:
            return f"could not be started: {(isinstance(error, OSError) and error.strerror) or error}"
        if process is None:
            return "was not started"
        try:
            self._tell(f"started as process {process.pid}")
            return f"ended with {_ending(await process.wait())}"
        except BaseException:
            await self._end(process)
            raise

    async def _spawn(self) -> asyncio.subprocess.Process | None:
        """None: told to stop before it began. The lock keeps `stop` from looking for a process half made."""
        async with self._spawning:
            if self._stopping.is_set():
                return None
            with contextlib.ExitStack() as stack:
                stderr = stack.enter_context(self.child.output.open("ab")) if self.child.output is not None else None
                self._process = await asyncio.create_subprocess_exec(
                    *self.child.argv, stdin=asyncio.subprocess.DEVNULL, stderr=stderr,
                    env=dict(os.environ) | dict(self.child.environment), process_group=0, preexec_fn=die_with_parent,
                )  # fmt: skip
            self.starts += 1
            return self._process

    def _tell(self, what: str) -> None:
        # Whoever read our words may be gone: the telephone matters more.
        with contextlib.suppress(OSError):
            self._told(self.child.name, what)

    def signal(self, number: signal.Signals) -> None:
        """Send the child a signal, if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def hold(self) -> None:
        """Do not start the child again when it ends, until `let_go`."""
        self._held.clear()

    def let_go(self) -> None:
        """Start the child again."""
        self._held.set()

    async def stop(self) -> None:
        """End the child: SIGTERM, then SIGKILL."""
        self._stopping.set()
        self._held.set()
        async with self._spawning:
            process = self._process
        if process is not None:
            await self._end(process)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self.child.stop_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        # Most realtime signals have no name of their own.
        return f"signal {-code}"


async def supervise(children: Sequence[Child], told: Callable[[str, str], None]) -> None:
    """Keep all children running until SIGTERM or SIGINT, then end them together.

    Where the watch over one fails in a way nobody foresaw, all are ended and the error is raised: whoever started this
    process starts it again, and no telephone stays half alive.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    supervised = [Supervised(child, told) for child in children]
    tasks = [asyncio.create_task(one.run()) for one in supervised]
    told_to_stop = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((told_to_stop, *tasks), return_when=asyncio.FIRST_COMPLETED)
    finally:
        told_to_stop.cancel()
        await asyncio.gather(*(one.stop() for one in supervised))
    await asyncio.gather(*tasks)


def main(config: Path, gateway_arguments: Sequence[str]) -> int:
    """Run gateway and agent as children of this process until told to stop; returns the exit code."""
    this = [sys.executable, "-m", "agent"]
    children = (
        Child("gateway", [*this, "gateway", *gateway_arguments], stop_s=_GATEWAY_STOP_S),
        Child("agent", [*this, "agent", "--config", str(config)]),
    )

    def told(name: str, what: str) -> None:
        sys.stderr.write(f"{name} {what}\n")

    asyncio.run(supervise(children, told))
    return 0
