"""`iplink-agent sip trace` as a technician meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent import cli
from agent.gateway.sip_trace import FILE, Message, Trace, encode

INVITE = (
    "INVITE sip:+4741234567@sip.example.net SIP/2.0\r\nCall-ID: abc-1\r\nCSeq: 1 INVITE\r\n"
    'From: "Olga" <sip:+4722334455@x>\r\n\r\n'
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    messages = [
        Message(at_ms=10, sent=True, transport="UDP", peer="198.51.100.1:5060", text=INVITE),
        Message(at_ms=60, sent=False, transport="UDP", peer="198.51.100.1:5060", text="SIP/2.0 486 Busy Here\r\n\r\n"),
    ]
    trace = Trace(wall="2026-11-22T20:00:00.000+00:00", boot_ms=100, local="192.0.2.7:40000", messages=messages)
    (tmp_path / FILE).write_bytes(encode(trace))
    return tmp_path


def run(state: Path, *arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["sip", "trace", "--state", str(state), *map(str, arguments)])


def test_the_ladder_has_a_line_for_each_message(state: Path):
    lines = run(state).output.splitlines()
    assert lines[0] == "# 2026-11-22T20:00:00.000+00:00, 2 messages, our end 192.0.2.7:40000"
    assert "INVITE" in lines[1]
    assert "486 Busy Here" in lines[2]
    assert "41234567" not in "".join(lines)


def test_one_call_whole_with_numbers_when_asked(state: Path):
    output = run(state, "--call", "abc", "--messages", "--show-numbers").output
    assert "sip:+4741234567@sip.example.net" in output
    assert "486" not in output
    assert "41234567" not in run(state, "--messages").output


def test_a_capture_is_written_only_with_consent(state: Path, tmp_path: Path):
    refused = run(state, "--pcap", tmp_path / "x.pcap")
    assert refused.exit_code == 2
    assert "--show-numbers" in refused.output
    assert run(state, "--pcap", tmp_path / "x.pcap", "--show-numbers").exit_code == 0
    assert (tmp_path / "x.pcap").read_bytes()[:4] == b"\xd4\xc3\xb2\xa1"


def test_without_a_trace_it_says_how_to_get_one(tmp_path: Path):
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "SIGUSR1" in result.output


def test_a_damaged_trace_is_refused(state: Path):
    (state / FILE).write_bytes(b"{")
    result = run(state)
    assert result.exit_code == 1
    assert "not a SIP trace" in result.output
