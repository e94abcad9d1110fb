"""The gateway asks for a packet filter by itself: its port, its targets and the operator's ranges."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from agent.filter_file import REQUEST, decode_request
from agent.gateway.daemon.keep import Kept
from agent.gateway.protocol import Account, Configure, DigitMap


def test_a_gateway_that_starts_alone_asks_for_the_filter_that_it_needs(tmp_path: Path) -> None:
    state = tmp_path / "state"
    account = Account(
        id="a", user="a", domain="lab.example", auth_user="a", password="secret", register=False,
        targets=["127.0.0.9:5060;transport=udp"],
    )  # fmt: skip
    Kept(state).keep(
        Configure(
            revision="1", accounts=[account], lines=[], routes=[], tones={}, ring_cadence_ms=[1000, 4000],
            digit_map=DigitMap(patterns=[], emergency=["112"]), signalling_ranges=["192.0.2.0/24"],
            media_ranges=["2001:db8::/32"],
        )
    )  # fmt: skip
    words = ["--socket", str(tmp_path / "s"), "--card", str(tmp_path / "none"), "--state", str(state)]
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "gateway", *words, "--bind", "127.0.0.1", "--rtp-port", "31000"]
    )
    try:
        deadline = time.monotonic() + 30
        while not (state / REQUEST).exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        asked = decode_request((state / REQUEST).read_bytes())
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert asked.sip_udp == (int((state / "sip-port").read_text()),)
    assert asked.rtp == (31_000, 31_065)
    assert [str(one) for one in asked.signalling] == ["192.0.2.0/24", "127.0.0.9/32"]
    assert [str(one) for one in asked.media] == ["2001:db8::/32", "127.0.0.9/32"]
