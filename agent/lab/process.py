"""A helper process of the lab that says what happens as JSON lines on its stdout and takes JSON lines on its stdin."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_STOP_S = 5.0
_MAX_LINE = 1 << 20

Message = dict[str, Any]


class LabProcessError(Exception):
    """A helper process ended, or did not say in time what was waited for; the message names it."""


class TalkingProcess:
    """One helper process. Every message it says is kept in `said`, handed to `hear`, and can be waited for."""

    def __init__(self, name: str, argv: Sequence[str], errors: Path, hear: Callable[[str, Message], None]) -> None:
        self.name = name
        self.said: list[Message] = []
        self._argv, self._errors, self._hear = list(argv), errors, hear
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._ended = False

    async def start(self) -> None:
        """Start it; `wait_for` tells when it is ready."""
        with self._errors.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
                limit=_MAX_LINE, process_group=0,
            )  # fmt: skip
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        async for line in process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                message = json.loads(line)
                if isinstance(message, dict):
                    async with self._news:
                        self.said.append(message)
                        self._news.notify_all()
                    self._hear(self.name, message)
        async with self._news:
            self._ended = True
            self._news.notify_all()

    async def wait_for(self, wanted: Callable[[Message], bool], timeout_s: float, since: int = 0) -> Message:
        """The first message from number `since` on that is `wanted`. Raises LabProcessError when it does not come."""

        def found() -> Message | None:
            return next((message for message in self.said[since:] if wanted(message)), None)

        try:
            async with asyncio.timeout(timeout_s), self._news:
                await self._news.wait_for(lambda: self._ended or found() is not None)
        except TimeoutError:
            raise LabProcessError(f"{self.name} did not say what was waited for within {timeout_s:g} s") from None
        message = found()
        if message is None:
            raise LabProcessError(f"{self.name} ended; its words are in {self._errors.name}")
        return message

    async def tell(self, message: Message) -> None:
        """Give it one command. Raises LabProcessError where it has ended."""
        process = self._process
        if process is None or process.stdin is None or self._ended:
            raise LabProcessError(f"{self.name} is not running")
        process.stdin.write(json.dumps(message).encode() + b"\n")
        await process.stdin.drain()

    async def stop(self) -> None:
        """Close its stdin, which is its sign to end; then SIGTERM, then SIGKILL."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        for end in (process.terminate, process.kill):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_S)
                break
            with contextlib.suppress(ProcessLookupError):
                end()
        await process.wait()
        if self._reader is not None:
            await self._reader
