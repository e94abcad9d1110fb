"""Mouth to ear through two gateways on loopback: two simulated cards, two real gateway processes, SIP and RTP between.

Each telephone says a click now and then; the time from the 10 ms in which it was said to the 10 ms in which it is
played is taken on the cards' own clocks. docs/speech.md has the budget that it is held against.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from agent.core.terms import CallPhase
from agent.data import load_numbering, load_tones
from agent.gateway.protocol import (
    MAX_PACKET,
    Account,
    CallState,
    Configure,
    Decide,
    Line,
    Release,
    Route,
    decode_gateway_record,
    encode,
)
from firmware_bridge.g711 import SILENCE, encode_alaw
from firmware_bridge.simulator import PtyCard, SimulatedPhone
from firmware_bridge.tonemeter import tone

CALLS = 6
SECONDS = 12
CLICK_EVERY_MS = 370
NUMBERS = ("+4721000001", "+4721000002")
_SILENT = bytes([SILENCE]) * 80
_CLICK = encode_alaw(tone(1000, 10, -6))
_QUARTER = ((max(code ^ 0x55 for code in _CLICK)) & 0x7F) - 32
_WAIT_S = 20


def is_loud(code: int) -> bool:
    """Louder than a quarter of the click: not the noise of a coding, nor the beginning of a fade."""
    return (code ^ 0x55) & 0x7F > _QUARTER


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Home:
    """A gateway process with a card of two telephones, and an agent that grants everything."""

    def __init__(self, folder: Path, name: str, port: int, rtp_port: int) -> None:
        folder.mkdir()
        self.port = port
        self.records: list[CallState] = []
        self.card = PtyCard(lines=2, link_path=folder / "card").start()
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent", "gateway", "--card", str(folder / "card"), "--socket", str(folder / "s"),
             "--state", str(folder / "state"), "--bind", "127.0.0.1", "--sip-port", str(port),
             "--rtp-port", str(rtp_port)],
            stderr=self.log,
        )  # fmt: skip
        self._agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        until = time.monotonic() + _WAIT_S
        while self._agent.connect_ex(str(folder / "s")):
            if time.monotonic() > until:
                raise SystemExit(f"the gateway of {name} did not start: see {folder}")
            time.sleep(0.05)
        threading.Thread(target=self._grant, daemon=True).start()

    def configure(self, own: str, other: Home) -> None:
        numbering, tones = load_numbering(), load_tones()
        account = Account(
            id="home", user=own, domain="bench.example", auth_user="x", password="x", register=False,
            targets=[f"127.0.0.1:{other.port};transport=udp"],
        )  # fmt: skip
        self._agent.send(
            encode(
                Configure(
                    revision="1", accounts=[account], digit_map=numbering.digit_map, tones=tones.tones,
                    lines=[Line(line=n, account="home", number=own) for n in range(2)],
                    routes=[Route(number=own, account="home", lines=[0])],
                    ring_cadence_ms=list(tones.ring_cadence_ms), numbers=numbering.numbers,
                )
            )
        )  # fmt: skip

    def _grant(self) -> None:
        while packet := self._agent.recv(MAX_PACKET):
            record = decode_gateway_record(packet)
            if isinstance(record, CallState):
                self.records.append(record)
                if record.phase is CallPhase.ASKED:
                    self._agent.send(encode(Decide(call_id=record.call_id, granted=True)))
                elif record.phase is CallPhase.ENDED:
                    self._agent.send(encode(Release(call_id=record.call_id)))

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(_WAIT_S)
        self._agent.close()
        self.card.stop()
        self.log.close()


class Way:
    """One direction: clicks go in at one telephone and come out of the other."""

    def __init__(self) -> None:
        self.said: list[int] = []
        self.delays: list[float] = []
        self.frames = self.missing = 0
        self._last_ms = 0

    def mouth(self, now: int) -> bytes:
        if now // CLICK_EVERY_MS != self._last_ms // CLICK_EVERY_MS:
            self._last_ms = now
            self.said.append(now)
            return _CLICK
        return _SILENT

    def ear(self, now: int, alaw: bytes) -> None:
        self.frames += 1
        self.missing += not alaw
        onset = next((at for at, code in enumerate(alaw) if is_loud(code)), None)
        if self.said and onset is not None:
            # What is sent at a tick was said in the 10 ms before it.
            self.delays.append(now + onset / 8 - self.said[-1] + 10)
            self.said.clear()


def expect(phone: SimulatedPhone, what: str, check: object) -> None:
    if not phone.wait_for(check, _WAIT_S):  # type: ignore[arg-type]
        raise SystemExit(f"not within {_WAIT_S} s: {what}")


def call(caller: SimulatedPhone, callee: SimulatedPhone, digits: str) -> tuple[Way, Way]:
    """One call of SECONDS; both directions."""
    there, back = Way(), Way()
    caller.off_hook()
    expect(caller, "dial tone", lambda: caller.tone is not None)
    caller.dial(digits, 60, 60)
    expect(callee, "ringing", lambda: callee.ringing)
    callee.off_hook()
    expect(caller, "speech", lambda: caller.audio_open)
    expect(callee, "speech", lambda: callee.audio_open)
    time.sleep(1)
    caller.converse(there.mouth, back.ear)
    callee.converse(back.mouth, there.ear)
    time.sleep(SECONDS)
    for phone in (caller, callee):
        phone.converse(None, None)
        phone.on_hook()
    expect(caller, "the end", lambda: not caller.audio_open)
    expect(callee, "the end", lambda: not callee.audio_open)
    return there, back


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        homes = [Home(Path(scratch) / str(n), str(n), free_port(), 41_000 + 200 * n) for n in range(2)]
        try:
            measure(homes)
        finally:
            for home in homes:
                home.end()


def measure(homes: list[Home]) -> None:
    for home, own, other in zip(homes, NUMBERS, reversed(homes), strict=True):
        home.configure(own, other)
        expect(home.card.phones[0], "a session", lambda home=home: home.card.connected)
    delays: list[float] = []
    spread: list[float] = []
    frames = missing = 0
    began, cpu = time.monotonic(), [home.cpu_s() for home in homes]
    for _ in range(CALLS):
        for way in call(homes[0].card.phones[0], homes[1].card.phones[0], NUMBERS[1][3:]):
            delays += way.delays
            spread.append(max(way.delays) - min(way.delays))
            frames += way.frames
            missing += way.missing
        time.sleep(0.137)  # the next call finds the clocks in another phase
    took = time.monotonic() - began
    shares = [(home.cpu_s() - before) / took for home, before in zip(homes, cpu, strict=True)]
    print(f"mouth to ear, {len(delays)} clicks in {CALLS} calls, both ways (aim: median 110 ms, p99 150 ms)")
    print(
        f"  median {statistics.median(delays):.0f} ms   p99 {percentile(delays, 0.99):.0f} ms   "
        f"least {min(delays):.0f} ms   most {max(delays):.0f} ms"
    )
    print(f"  change of delay within a call: median {statistics.median(spread):.0f} ms, most {max(spread):.0f} ms")
    print(f"  frames played {frames}, not there in time {missing}")
    print(f"  processor share of a gateway with one call: {', '.join(f'{100 * share:.1f} %' for share in shares)}")
    for home in homes:
        for record in home.records:
            if record.phase is CallPhase.ENDED and record.stats is not None:
                print(f"  {record.direction.value}: {record.stats}")


main()
