"""More registrations than the SIP library carries, against the gateway process: refused by name, never by its death."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.gateway.daemon.sip.capacity import UNPROBED_ACCOUNTS
from agent.gateway.protocol import (
    MAX_PACKET,
    Account,
    AccountState,
    Configure,
    DigitMap,
    Hello,
    decode_gateway_record,
    encode,
)

FILE = "sip-capacity.json"


class Home:
    """A gateway process on a state folder, and the agent's end of its socket."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent", "gateway", "--socket", str(folder / "s"), "--card", str(folder / "no-card"),
             "--state", str(folder / "state"), "--bind", "127.0.0.1"],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        while json.loads(self.process.stderr.readline())["event"] != "card_down":
            pass
        self.agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.agent.settimeout(20)
        self.agent.connect(str(folder / "s"))
        self.hello = self.next(Hello)
        self.refused: dict[str, AccountState] = {}
        """What the gateway has said it cannot hold, by name."""

    def next(self, kind):
        while True:
            record = decode_gateway_record(self.agent.recv(MAX_PACKET))
            if isinstance(record, kind):
                return record

    def configure(self, accounts: int) -> None:
        """So many registrations with a registrar that nobody is."""
        names = [f"line{at}" for at in range(accounts)]
        self.agent.send(
            encode(
                Configure(
                    revision=f"{accounts} accounts", lines=[], routes=[], tones={}, ring_cadence_ms=[1000, 4000],
                    digit_map=DigitMap(patterns=[], emergency=["112"]),
                    accounts=[
                        Account(id=name, user=name, domain="sip.example", auth_user=name, password="long-enough",
                                targets=["127.0.0.1:9;transport=udp"])
                        for name in names
                    ],
                )
            )
        )  # fmt: skip

    def await_refused(self, accounts: int) -> None:
        """Wait until so many registrations are in `refused`: in any order, each has a random moment of its own."""
        while len(self.refused) < accounts:
            state = self.next(AccountState)
            if "at most" in state.reason:
                self.refused[state.account] = state

    def kill(self) -> None:
        """The plug."""
        self.agent.close()
        with self.process:
            self.process.kill()

    def end(self) -> int:
        """End it in order; the exit code."""
        self.agent.close()
        self.process.terminate()
        code = self.process.wait(20)
        self.process.stderr.close()
        return code


@pytest.fixture
def home(tmp_path: Path) -> Iterator[object]:
    made: list[Home] = []

    def start() -> Home:
        made.append(Home(tmp_path))
        return made[-1]

    yield start
    for one in made:
        one.kill()


def test_the_library_is_tried_out_once_and_one_registration_too_many_is_refused_by_name(home, tmp_path: Path) -> None:
    kept = tmp_path / "state" / FILE
    first = home()
    first.configure(UNPROBED_ACCOUNTS)
    first.next(AccountState)
    assert not kept.exists(), "two lines wait for no trial"
    first.configure(12)
    first.await_refused(1)
    found = json.loads(kept.read_text())["accounts"]
    too_many = {f"line{at}" for at in range(found, 12)}
    first.await_refused(len(too_many))
    assert set(first.refused) == too_many
    for state in first.refused.values():
        assert (state.registered, state.on_wire) == (False, False)
        assert state.reason == f"this adapter holds at most {found} registrations"
    assert first.end() == 0

    stamp = kept.stat().st_mtime_ns
    second = home()
    assert second.hello.max_accounts == found
    second.await_refused(len(too_many))
    assert set(second.refused) == too_many, "it starts with what it kept"
    assert kept.stat().st_mtime_ns == stamp


def test_what_was_kept_is_believed(home, tmp_path: Path) -> None:
    first = home()
    first.configure(5)
    first.next(AccountState)
    first.kill()
    kept = tmp_path / "state" / FILE
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"accounts": 3}))
    second = home()
    assert second.hello.max_accounts == 3
    second.configure(5)
    second.await_refused(2)
    assert set(second.refused) == {"line3", "line4"}
