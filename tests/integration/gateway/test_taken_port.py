"""Somebody else has taken the gateway's SIP port: it must not fail for ever."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from pathlib import Path


def gateway(folder: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "agent", "gateway", "--socket", str(folder / "s"), "--card", str(folder / "no-card"),
        "--state", str(folder / "state"), "--bind", "127.0.0.1",
    ]  # fmt: skip
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_the_next_start_draws_another_port(tmp_path: Path) -> None:
    kept = tmp_path / "state" / "sip-port"
    kept.parent.mkdir()
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as squatter:
        port = 20_000
        while True:
            with contextlib.suppress(OSError):
                squatter.bind(("127.0.0.1", port))
                break
            port += 1
        kept.write_text(f"{port}\n")
        with gateway(tmp_path) as first:
            _, words = first.communicate(timeout=20)
        assert first.returncode == 1
        assert words, "it says why"
        with gateway(tmp_path) as second:
            try:
                assert second.stderr is not None
                line = json.loads(second.stderr.readline())
                assert line["event"] == "card_down"
                assert int(kept.read_text()) != port
            finally:
                second.terminate()
                second.communicate(timeout=20)
        assert second.returncode == 0
