"""The gateway's log: whatever is wrong with it, the telephone does not notice."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.daemon.log_lines import LogLines
from agent.gateway.protocol import Log

LINE = Log(level="info", event="call_ringing", at_ms=5, line=1, detail="incoming")


def test_a_line_says_what_happened(tmp_path) -> None:
    with (tmp_path / "log").open("w") as file:
        LogLines(file).write(LINE)
        assert json.loads((tmp_path / "log").read_text()) == {
            "level": "info", "event": "call_ringing", "process": "gateway", "boot_ms": 5, "line": 1,
            "detail": "incoming",
        }  # fmt: skip


def test_a_full_disk_costs_lines_only() -> None:
    with Path("/dev/full").open("w") as full:
        log = LogLines(full)
        for _ in range(3):
            log.write(LINE)
        assert log.lost == 3


def test_a_reader_that_is_gone_costs_lines_only() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        log = LogLines(pipe)
        log.write(LINE)
        assert log.lost == 1


def test_a_reader_that_is_stuck_is_not_waited_for_and_hears_what_it_missed() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as out, os.fdopen(writer, "w") as pipe:
        log = LogLines(pipe)
        while not log.lost:
            log.write(LINE)
        log.write(LINE)
        os.read(reader, 1 << 20)
        log.write(LINE)
        assert json.loads(out.readline())["lines_lost"] == 2
        assert log.lost == 0


def test_no_stderr_at_all() -> None:
    for stream in (None, io.StringIO()):
        log = LogLines(stream)
        log.write(LINE)
        assert log.lost == 1


@given(st.text(max_size=1024) | st.text(st.characters(categories=["Cs", "Cc"]), max_size=1024))
def test_any_text_is_one_line_that_a_pipe_takes_at_once(detail: str) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb"), os.fdopen(writer, "w") as pipe:
        log = LogLines(pipe)
        log.write(Log(level="info", event="x", at_ms=0, detail=detail))
        line = os.read(reader, 1 << 16)
        assert log.lost == 0
        assert len(line) <= 4096
        assert line.count(b"\n") == 1
        json.loads(line)
