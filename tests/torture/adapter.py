"""An adapter to be tortured: the fake gateway behind its real socket, the real agent in a process, the lab's operator.

The gateway's time is virtual: calls last minutes and take none. Everything it says of ended calls is kept, since that
is what the records are held against.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from agent import clock
from agent.core.terms import CallPhase
from agent.gateway.daemon.server import AgentServer
from agent.gateway.fake import FakeGateway
from agent.gateway.protocol import AgentRecord, CallState, Decide, GatewayRecord, Release
from agent.lab.operator.ledger import Ledger, Received
from agent.lab.operator.server import HttpServer
from agent.lab.operator.sip_faults import SipFaults
from agent.lab.scene import make_scene
from agent.lab.world import free_port

HERE = Path(__file__).resolve().parent
PRICE_LIST = """# price_list: privat
# product: privat
# currency: NOK
# vat: included
# version: torture
# valid_from: 2019-01-01
# rounding: half_up
# decimals: 4
# seconds: up
prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum
46,Sweden,0,0.60,60,1,,
"""
MICRO_PER_SECOND = 10_000
_START_S = 40.0
_STEP_S = 15.0


class Quiet:
    """Takes what the lab operator would tell people."""

    def emit(self, event: object) -> None: ...


class AdapterError(Exception):
    """The torture itself did not work, which says nothing about records."""


class Adapter:
    """A folder, a gateway, an operator, and at most one agent process."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.store = folder / "agent"
        self.store.mkdir(mode=0o700)
        self._agent: subprocess.Popen[bytes] | None = None
        self._inbox: queue.SimpleQueue[AgentRecord | str] = queue.SimpleQueue()
        self._greeting: list[GatewayRecord] | None = None
        self.ended: dict[str, CallState] = {}
        """Every call the gateway saw the end of."""
        self.granted: set[str] = set()
        """Calls the agent has granted: it has a row for each."""
        self.asked: set[str] = set()
        self.lost: set[str] = set()
        """Calls whose gateway died with them."""
        self.log = folder / "agent.log"
        self._began = clock.boot_ms()
        self.gateway = FakeGateway(
            seed=seed, start_ms=self._began, boot_id=clock.boot_id(), on_record=self._say,
        )  # fmt: skip
        self._clock_file = folder / "clock"
        self._clock_file.write_bytes(bytes(8))
        self._server = AgentServer(
            folder / "gateway.sock", allowed_uids={os.geteuid()}, connected=lambda: self._inbox.put("connected"),
            received=self._inbox.put, lost=lambda: self._inbox.put("lost"), log=lambda *_: None,
        )  # fmt: skip
        self._ledger = folder / "ledger.sqlite"
        self._operator = self._make_operator()
        self._server.start()

    def _make_operator(self) -> HttpServer:
        (self.folder / "privat.csv").write_text(PRICE_LIST, encoding="utf-8")
        scene = make_scene(self.folder / "scene", free_port())
        config = msgspec.structs.replace(
            scene.operator, price_list=str(self.folder / "privat.csv"), ledger=str(self._ledger)
        )
        operator = HttpServer(
            config, sip_target="127.0.0.1:5060", sip_faults=SipFaults(), sink=Quiet(), now=lambda: datetime.now(UTC)
        )
        port = operator.start()
        secret = self.folder / "secret"
        secret.write_text(config.device.secret, encoding="ascii")
        secret.chmod(0o600)
        sections: dict[str, dict[str, str | int]] = {
            "operator": {
                "url": f"http://127.0.0.1:{port}", "device_id": config.device.id, "credential_file": str(secret),
                "start_within_s": 0,
            },
            "gateway": {"socket": str(self.folder / "gateway.sock")},
            "store": {"folder": str(self.store)},
            "page": {"bind": "127.0.0.1", "port": scene.page_port},
        }  # fmt: skip
        text = "".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
            for name, values in sections.items()
        )
        (self.folder / "agent.toml").write_text(text, encoding="utf-8")
        return operator

    # --- the agent's process -----------------------------------------------------------------------------------------

    def start_agent(self, crash_at: str = "") -> None:
        """Start the agent; with `point:n` it kills itself there."""
        environment = os.environ | {
            "IPLINK_CRASH_AT": crash_at, "IPLINK_CLOCK_FILE": str(self._clock_file),
            "STATE_DIRECTORY": str(self.folder), "PYTHONPATH": str(HERE.parent.parent),
        }  # fmt: skip
        with self.log.open("ab") as log:
            self._agent = subprocess.Popen(
                [sys.executable, str(HERE / "agent_under_test.py"), str(self.folder / "agent.toml")],
                stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip

    @property
    def alive(self) -> bool:
        """Whether the agent runs. Raises AdapterError where it ended by itself."""
        if self._agent is None:
            return False
        status = self._agent.poll()
        if status is not None and status != -signal.SIGKILL:
            tail = self.log.read_text(errors="replace").splitlines()[-25:]
            raise AdapterError(f"the agent ended with {status}\n" + "\n".join(tail))
        return status is None

    def kill_agent(self) -> None:
        """SIGKILL, if it still runs, and take in what it had said."""
        if self._agent is not None:
            if self._agent.poll() is None:
                self._agent.kill()
            self._agent.wait()
        self.until(lambda: not self.gateway.connected, alive=False)
        self._agent = None

    def stop(self) -> None:
        """End everything."""
        if self._agent is not None and self._agent.poll() is None:
            self._agent.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._agent.wait(10)
            if self._agent.poll() is None:
                self._agent.kill()
                self._agent.wait()
        self._server.stop()
        self._operator.stop()

    # --- the gateway's ear -------------------------------------------------------------------------------------------

    def until(self, check: Callable[[], bool], *, alive: bool = True, within_s: float = _STEP_S) -> bool:
        """Take in what the agent says until `check`; false when it died or took too long (`alive`: it need not die)."""
        deadline = time.monotonic() + within_s
        while not check():
            if alive and not self.alive:
                self._drain()
                return check()
            if time.monotonic() > deadline:
                return False
            with contextlib.suppress(queue.Empty):
                self._hear(self._inbox.get(timeout=0.02))
        return True

    def connected(self) -> bool:
        """The agent is there and the gateway has a configuration."""
        return self.gateway.connected and self.gateway.kept is not None

    def wait_for_agent(self) -> bool:
        """False: it died before."""
        if self.until(self.connected, within_s=_START_S):
            return True
        if self.alive:
            raise AdapterError("the agent did not connect")
        return False

    def drained(self) -> bool:
        """Nothing waits for a release."""
        return not any(call.phase is CallPhase.ENDED for call in self.gateway.calls())

    def advance(self, ms: int) -> None:
        """Let virtual time pass, for gateway and agent."""
        self.gateway.advance(ms)
        self._share_clock()

    def crash_gateway(self) -> None:
        """The gateway dies with its calls, and the agent finds a new one."""
        self._note()
        self.lost |= {call.call_id for call in self.gateway.calls()}
        self.gateway.crash()
        self._server.stop()
        self._server = AgentServer(
            self.folder / "gateway.sock", allowed_uids={os.geteuid()}, connected=lambda: self._inbox.put("connected"),
            received=self._inbox.put, lost=lambda: self._inbox.put("lost"), log=lambda *_: None,
        )  # fmt: skip
        self._server.start()
        for phone in range(len(self.gateway.phones)):
            self.gateway.hang_up(phone)

    def received(self) -> list[Received]:
        """What the operator has."""
        with contextlib.closing(Ledger(self._ledger)) as ledger:
            return ledger.records()

    def _say(self, record: GatewayRecord) -> None:
        if self._greeting is not None:
            self._greeting.append(record)
        else:
            self._server.publish(record)

    def _drain(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._hear(self._inbox.get_nowait())

    def _hear(self, news: AgentRecord | str) -> None:
        self._share_clock()
        if news == "connected":
            self._greeting = []
            self.gateway.disconnect()
            self.gateway.connect()
            greeting, self._greeting = self._greeting, None
            self._server.begin(greeting)
        elif news == "lost":
            self.gateway.disconnect()
        elif not isinstance(news, str) and self.gateway.connected:
            if isinstance(news, Decide) and news.granted:
                self.granted.add(news.call_id)
            self._note()
            if isinstance(news, Release) and news.call_id not in self.ended:
                raise AdapterError("a release for a call that has not ended")
            self.gateway.send(news)
        self._note()

    def _note(self) -> None:
        for record in self.gateway.records:
            if isinstance(record, CallState):
                self.asked.add(record.call_id)
                if record.phase is CallPhase.ENDED:
                    self.ended.setdefault(record.call_id, record)
        self.gateway.records.clear()

    def _share_clock(self) -> None:
        # Real time passes, too, so the gateway follows where it is the slower one.
        behind = clock.boot_ms() - self.gateway.now
        if behind > 0:
            self.gateway.advance(behind)
        with self._clock_file.open("r+b") as file:
            file.write(struct.pack("<q", self.gateway.now - clock.boot_ms()))
