"""The last frames on disk, and the command that prints them."""

import stat

import pytest
from click.testing import CliRunner

from agent import cli
from agent.gateway.daemon.line_trace import DUMPS, FILE, LINES, LineTrace


def printed(folder):
    return CliRunner().invoke(cli.app, ["line", "trace", "--state", str(folder)])


def test_a_technician_reads_why_and_what_came_last(tmp_path):
    LineTrace(tmp_path).write("the card restarted (watchdog)", ["1 > LINK Ping line=0", "2 < LINK Pong line=0"])
    result = printed(tmp_path)
    assert result.exit_code == 0
    head, *frames = result.stdout.splitlines()
    assert head.startswith("# 20")
    assert head.endswith("the card restarted (watchdog)")
    assert frames == ["1 > LINK Ping line=0", "2 < LINK Pong line=0"]


def test_the_newest_dumps_are_kept_and_each_is_bounded(tmp_path):
    trace = LineTrace(tmp_path)
    for number in range(DUMPS + 3):
        trace.write(f"loss {number}", ["x" * 500] * (LINES + 100))
    lines = printed(tmp_path).stdout.splitlines()
    assert [line.rpartition(" ")[2] for line in lines if line.startswith("#")] == ["3", "4", "5", "6"]
    assert len(lines) == DUMPS * (LINES + 1)
    assert max(map(len, lines)) <= 160


def test_the_file_is_not_for_everybody(tmp_path):
    LineTrace(tmp_path).write("loss", [])
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) & 0o027 == 0


def test_a_folder_that_is_gone_is_only_counted(tmp_path):
    trace = LineTrace(tmp_path / "gone")
    trace.write("loss", ["a frame"])
    assert trace.failures == 1


def test_without_a_trace_one_sentence_says_how_to_get_one(tmp_path):
    result = printed(tmp_path)
    assert result.exit_code == cli.Exit.FAILED
    assert "SIGUSR1" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b""])
def test_whatever_is_in_the_file_is_printed_without_a_fault(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    assert printed(tmp_path).exit_code == 0
