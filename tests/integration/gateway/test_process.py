"""The gateway as a process: what must not end it, and what must."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec
import pytest

from agent import clock
from agent.gateway.daemon.main import Gateway, Options
from agent.gateway.protocol import (
    MAX_PACKET,
    Configure,
    DigitMap,
    GatewayRecord,
    Log,
    StunState,
    decode_gateway_record,
    encode,
)
from tests.stun_server import StunServer

START = (sys.executable, "-m", "agent", "gateway")

EMPTY = Configure(
    revision="1", accounts=[], lines=[], routes=[], digit_map=DigitMap(patterns=[], emergency=["112"]), tones={},
    ring_cadence_ms=[1000, 4000],
)  # fmt: skip

Starter = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Start a gateway on the one state folder of the test."""
    made: list[subprocess.Popen[bytes]] = []

    def begin(stderr: int | IO[bytes] = subprocess.PIPE, *options: str) -> subprocess.Popen[bytes]:
        words = ["--socket", str(tmp_path / "s"), "--card", str(tmp_path / "no-card"), "--state",
                 str(tmp_path / "state"), "--bind", "127.0.0.1"]  # fmt: skip
        made.append(subprocess.Popen([*START, *words, *options], stderr=stderr))
        return made[-1]

    yield begin
    for process in made:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def says_hello(path: Path, within_s: float = 30) -> bool:
    """Wait until the gateway listens there and greets, for one that can say nothing elsewhere."""
    deadline, pause = time.monotonic() + within_s, threading.Event()
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as agent:
            agent.settimeout(within_s)
            with contextlib.suppress(OSError):
                agent.connect(str(path))
                return b"hello" in agent.recv(MAX_PACKET)
        pause.wait(0.05)
    return False


def is_up(process: subprocess.Popen[bytes]) -> bool:
    """Wait for its first line: the card that is not there."""
    assert process.stderr is not None
    return json.loads(process.stderr.readline())["event"] == "card_down"


def test_a_log_on_a_full_disk_does_not_end_the_telephone(start: Starter, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(full)
    assert says_hello(tmp_path / "s")
    assert process.poll() is None
    process.terminate()
    assert process.wait(20) == 0, "neither the first line nor those of its end have ended it"


def test_traces_asked_for_close_together_do_not_stop_the_telephone(start: Starter, tmp_path: Path) -> None:
    process = start()
    assert is_up(process)
    for _ in range(300):
        process.send_signal(signal.SIGUSR1)
        os.sched_yield()
    process.terminate()
    assert process.wait(20) == 0
    assert "asked for by signal" in (tmp_path / "state" / "line-trace.txt").read_text()
    shown = subprocess.run(
        [sys.executable, "-m", "agent", "sip", "trace", "--state", str(tmp_path / "state")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "0 messages" in shown.stdout


def test_a_second_gateway_by_accident_leaves_the_first_alone(start: Starter, tmp_path: Path) -> None:
    first = start()
    assert is_up(first)
    port = (tmp_path / "state" / "sip-port").read_text()
    second = start()
    _, words = second.communicate(timeout=20)
    assert second.returncode == 2
    assert b"another gateway is running" in words
    assert (tmp_path / "state" / "sip-port").read_text() == port
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as agent:
        agent.settimeout(5)
        agent.connect(str(tmp_path / "s"))
        assert b"hello" in agent.recv(MAX_PACKET)
    first.terminate()
    assert first.wait(20) == 0
    assert not (tmp_path / "s").exists()


def test_a_stun_server_is_asked_and_told_of_and_one_that_is_none_changes_nothing(
    start: Starter, tmp_path: Path
) -> None:
    process, server = start(subprocess.DEVNULL), StunServer()
    while not (tmp_path / "s").exists():
        assert process.poll() is None
        os.sched_yield()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as agent:
        agent.settimeout(20)
        while agent.connect_ex(str(tmp_path / "s")):
            os.sched_yield()

        def told(wanted: Callable[[GatewayRecord], bool]) -> GatewayRecord:
            while not wanted(record := decode_gateway_record(agent.recv(MAX_PACKET))):
                pass
            return record

        agent.send(asked := encode(msgspec.structs.replace(EMPTY, stun_server=server.place)))
        found = StunState(server=server.place, answers=True, outside="127.0.0.1")
        told(lambda record: record == found)
        agent.send(asked.replace(server.place.encode(), b"stun.example.net:3478"))
        refusal = told(lambda record: isinstance(record, Log) and record.event == "agent_record_refused")
        assert isinstance(refusal, Log)
        assert "stun_server 'stun.example.net:3478' is a name" in refusal.detail
        # Whoever connects now hears what is in force.
        agent.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as agent:
        agent.settimeout(20)
        agent.connect(str(tmp_path / "s"))
        told(lambda record: record == found)
        process.terminate()
        assert process.wait(20) == 0
    server.close()


def test_a_full_state_disk_costs_nothing_but_what_is_kept(tmp_path: Path) -> None:
    no_room = (
        "import resource, signal, sys; from pathlib import Path; from agent.gateway.daemon.main import Options, main;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
        "here = Path(sys.argv[1]);"
        "sys.exit(main(Options(socket=here / 's', card='/nonexistent', state=here / 'state', bind='127.0.0.1')))"
    )
    with subprocess.Popen([sys.executable, "-c", no_room, str(tmp_path)], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said = [json.loads(process.stderr.readline())["event"] for _ in range(3)]
        process.terminate()
        assert process.wait(20) == 0
    assert said == ["contact_seed_not_kept", "sip_port_not_kept", "card_down"]


def test_a_socket_that_cannot_be_made_does_not_end_the_telephone(start: Starter, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    process = start()
    assert process.stderr is not None
    assert json.loads(process.stderr.readline())["event"] == "agent_socket_unusable"
    assert is_up(process)
    process.terminate()
    assert process.wait(20) == 0


def test_a_configuration_that_could_not_be_kept_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "state" / "configuration.json"
    gateway = Gateway(Options(socket=tmp_path / "s", card="/nonexistent", state=tmp_path / "state", bind="127.0.0.1"))
    monkeypatch.setattr(gateway._sip, "configure", lambda _accounts: None)
    (kept / "in the way").mkdir(parents=True)
    gateway._use(EMPTY)
    now = clock.boot_ms()
    gateway._keep(now)
    (kept / "in the way").rmdir()
    kept.rmdir()
    gateway._use(EMPTY)
    gateway._keep(now + 1000)
    assert not kept.exists(), "not every moment: the disk may be slow"
    gateway._keep(now + 61_000)
    assert json.loads(kept.read_text())["revision"] == "1"
    # It was never started, so that nothing else closes these.
    gateway._kept.release()
    for left in (gateway._server._wake_in, gateway._server._wake_out, gateway._sip._bell):
        left.close()
