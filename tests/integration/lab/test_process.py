"""The operator as a process: how it starts, how it refuses, and that nothing of it stays behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import msgspec
import pytest

from agent.lab.operator.config import save


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.lab.operator", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    "how",
    [
        lambda it: it.process.send_signal(signal.SIGTERM),
        lambda it: it.process.send_signal(signal.SIGINT),
        lambda it: it.process.stdin.close(),
    ],
    ids=["SIGTERM", "SIGINT", "stdin closed"],
)
def test_it_stops_cleanly(operator, how):
    how(operator)
    assert operator.process.wait(10) == 0
    while operator.next_event() is not None:
        pass
    assert operator.events[-1] == {"event": "stopped"}
    assert operator.process.stderr.read() == ""


def test_its_ports_are_free_again(start):
    first = start()
    http_port = int(first.http.rsplit(":", 1)[1])
    sip_port = first.sip[1]
    first.stop()
    again = start(http_port=http_port, sip_port=sip_port)
    assert (again.http, again.sip) == (first.http, first.sip)


def test_a_closed_standard_input_ends_it_at_once(tmp_path, lab):
    save(lab, tmp_path / "lab.json")
    ended = run("--config", str(tmp_path / "lab.json"))
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[-1] == '{"event":"stopped"}'


def test_it_never_serves_a_network(tmp_path, lab):
    save(msgspec.structs.replace(lab, host="0.0.0.0"), tmp_path / "lab.json")
    ended = run("--config", str(tmp_path / "lab.json"))
    assert ended.returncode == 2
    assert "not a loopback address" in ended.stderr
    assert ended.stdout == ""


def test_a_configuration_that_is_not_there(tmp_path):
    ended = run("--config", str(tmp_path / "none.json"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "cannot read" in ended.stderr


@pytest.mark.parametrize(("kind", "option"), [(socket.SOCK_DGRAM, "--sip-port"), (socket.SOCK_STREAM, "--http-port")])
def test_a_port_that_is_taken_is_named(tmp_path, lab, kind, option):
    save(lab, tmp_path / "lab.json")
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        ended = run("--config", str(tmp_path / "lab.json"), option, str(port))
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr
    assert ended.stdout == ""


def test_a_missing_price_list_is_named(tmp_path, lab):
    save(msgspec.structs.replace(lab, price_list=str(tmp_path / "gone.csv")), tmp_path / "lab.json")
    ended = run("--config", str(tmp_path / "lab.json"))
    assert ended.returncode == 1
    assert "gone.csv" in ended.stderr


def test_what_it_says_holds_no_full_number(phone, operator):
    adapter, _ = phone("adapter"), phone("kari")
    adapter.invite("22345678")
    operator.event("invite")
    adapter.send("INVITE sip:+4722345678@x SIP/2.0\r\nVia: nonsense +4722345678\r\n\r\n" + " " * 40)
    adapter.invite("22999999")
    operator.event("refused")
    said = str(operator.events)
    assert "22345678" not in said
    assert "21000001" not in said
