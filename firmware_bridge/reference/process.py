"""A program that takes commands on stdin, one a line, and answers in JSON, one object a line."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Any

_ANSWER_S = 10.0

Said = dict[str, Any]


class ProcessError(Exception):
    """The program is not there, does not answer, or refused a command; the text says which."""


class TalkingProgram:
    """Starts a program and talks with it; thread-safe. `hear(said)` gets its events, on a thread of its own."""

    def __init__(self, command: Sequence[str], hear: Callable[[Said], None]) -> None:
        """Start it and wait until it is ready. Raises ProcessError."""
        self._hear = hear
        self._talk = threading.Lock()
        self._answered = threading.Condition()
        self._answers: list[Said] = []
        self._ended = False
        try:
            self._process = subprocess.Popen(list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise ProcessError(f"{command[0]} cannot be started: {error}") from error
        self._reader = threading.Thread(target=self._read, name="reference-card", daemon=True)
        self._reader.start()
        self.ready = self._await("ready")

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self._ended

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def tell(self, command: str) -> None:
        """Give a command that has no answer. Raises ProcessError where the program has ended."""
        with self._talk:
            self._write(command)

    def ask(self, command: str, kind: str) -> Said:
        """Give a command and wait for its answer, an object of type `kind`. Raises ProcessError."""
        with self._talk:
            self._write(command)
            return self._await(kind)

    def end(self, *, kill: bool) -> None:
        """Let it end, or kill it; it has ended when this returns."""
        if kill:
            self._process.kill()
        else:
            try:
                self.tell("quit")
            except ProcessError:
                self._process.kill()
        try:
            self._process.wait(_ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _write(self, command: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command.encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise ProcessError("the program has ended") from error

    def _await(self, kind: str) -> Said:
        with self._answered:
            if not self._answered.wait_for(lambda: self._answers or self._ended, _ANSWER_S):
                raise ProcessError(f"the program did not answer with {kind}")
            if not self._answers:
                raise ProcessError("the program has ended")
            answer = self._answers.pop(0)
        if answer["type"] != kind:
            raise ProcessError(str(answer.get("text", answer)))
        return answer

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said: Said = json.loads(line)
            if said["type"] == "event":
                self._hear(said)
            else:
                with self._answered:
                    self._answers.append(said)
                    self._answered.notify_all()
        with self._answered:
            self._ended = True
            self._answered.notify_all()
