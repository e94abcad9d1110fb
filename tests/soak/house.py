"""The house that is soaked: real gateway and agent, a card with two telephones, Kamailio, SIPp, the operator's API."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
PEERS = REPOSITORY / "tests" / "e2e" / "peers"
sys.path.insert(0, str(PEERS))

from conftest import DOMAIN, Kamailio, Sipp, end, eventually, free_port  # noqa: E402

from agent.core.cdr import Cdr  # noqa: E402
from agent.lab.operator.ledger import Ledger  # noqa: E402
from agent.lab.operator.server import HttpServer  # noqa: E402
from agent.lab.operator.sip_faults import SipFaults  # noqa: E402
from agent.lab.scene import OWN_NUMBERS, Manners, Scene, make_scene, write_adapter_files  # noqa: E402
from agent.lab.world import free_port as free_tcp_port  # noqa: E402
from agent.operator.api import SipProfile  # noqa: E402
from firmware_bridge.simulator import PtyCard, SimulatedPhone  # noqa: E402

START_S = 60.0
OPTIONS_S = 5
EXPIRES_S = 60
_USERS = ("line1", "line2")


class Quiet:
    """Takes what the lab operator would tell people."""

    def emit(self, event: object) -> None: ...


class Events:
    """The gateway's log, line by line: kept, waited for, and written to a file."""

    def __init__(self, pipe: Any, file: Path) -> None:
        self._file = file.open("w")
        self.seen: list[dict[str, Any]] = []
        self.odd: list[str] = []
        """Lines that are no log line: a traceback, an assertion of the library."""
        self._pipe = pipe
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._pipe:
            self._file.write(line)
            with self._news:
                try:
                    self.seen.append(json.loads(line))
                except ValueError:
                    self.odd.append(line.rstrip("\n"))
                self._news.notify_all()

    def mark(self) -> int:
        """A place in the log."""
        return len(self.seen)

    def wait(self, event: str, since: int, timeout: float, **fields: Any) -> dict[str, Any] | None:
        """The first event after a mark whose name begins so; None where there is none in time."""
        at, found = since, None

        def look() -> bool:
            nonlocal at, found
            while at < len(self.seen) and found is None:
                one = self.seen[at]
                at += 1
                if one["event"].startswith(event) and all(one.get(name) == value for name, value in fields.items()):
                    found = one
            return found is not None

        with self._news:
            self._news.wait_for(look, timeout)
        return found

    def of_calls(self) -> dict[str, list[dict[str, Any]]]:
        """The events of every call, by its id."""
        calls: dict[str, list[dict[str, Any]]] = {}
        for one in self.seen:
            if one["event"].startswith("call_") and one.get("call_id"):
                calls.setdefault(one["call_id"], []).append(one)
        return calls

    def close(self) -> None:
        """Read to the end."""
        self._reader.join(10)
        self._pipe.close()
        self._file.close()


class FarEnd:
    """A SIPp that takes every call to one number in the same manner, for as long as it lives, and counts them."""

    def __init__(self, folder: Path, scenario: str) -> None:
        self.scenario, self.port, self.media_port = scenario, free_port(), free_port(4)
        self._stats = folder / f"{scenario}-{self.port}.csv"
        self._process = subprocess.Popen(
            ["sipp", "-sf", str(PEERS / "sipp" / f"{scenario}.xml"), "-nostdin", "-skip_rlimit", "-i", "127.0.0.1",
             "-mi", "127.0.0.1", "-p", str(self.port), "-mp", str(self.media_port), "-rtp_echo", "-cp",
             str(free_port()), "-trace_stat", "-stf", str(self._stats), "-fd", "1"],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "TERM": "dumb"},
        )  # fmt: skip

    @property
    def uri(self) -> str:
        """Where it listens."""
        return f"sip:127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def calls(self) -> int:
        """How many calls it says have come; at most a second old."""
        if not self._stats.exists():
            return 0
        with self._stats.open(newline="") as file:
            rows = [row for row in csv.DictReader(file, delimiter=";") if row.get("IncomingCall(C)")]
        return int(rows[-1]["IncomingCall(C)"]) if rows else 0

    def close(self) -> None:
        """End it, calls and all."""
        if self.alive:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Gate:
    """Calls that are being set up pass together; a fault that would blur the count of them passes alone."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextlib.contextmanager
    def passing(self) -> Iterator[None]:
        """Set a call up."""
        with self._news:
            self._news.wait_for(lambda: not self._closed)
            self._inside += 1
        try:
            yield
        finally:
            with self._news:
                self._inside -= 1
                self._news.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Do something while no call is being set up."""
        with self._news:
            self._news.wait_for(lambda: not self._closed)
            self._closed = True
            self._news.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._news:
                self._closed = False
                self._news.notify_all()


class House:
    """Every process, and what may be done to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gate = Gate()
        self.operator_up = self.agent_up = self.reachable = True
        self.operator_deaths = 0
        self._far_ends: dict[str, FarEnd] = {}
        self._routes: dict[str, str] = {}
        (folder / "kamailio").mkdir()
        self.operator = Kamailio(folder / "kamailio")
        self.scene = self._write_scene()
        self.http = HttpServer(
            self.scene.operator, sip_target=f"127.0.0.1:{self.operator.port}", sip_faults=SipFaults(), sink=Quiet(),
            now=lambda: datetime.now(UTC),
        )  # fmt: skip
        port = self.http.start()
        write_adapter_files(self.scene, f"http://127.0.0.1:{port}", f"127.0.0.1:{self.operator.port}", 0, Manners())
        self.card = PtyCard(lines=2, link_path=self.scene.card).start()
        self.gateway = self._start_gateway()
        self.events = Events(self.gateway.stderr, folder / "gateway.log")
        self._agent_log = (folder / "agent.log").open("ab")
        self.agent = self._start_agent()
        for user in self.scene.operator.users[:2]:
            self._know(user.user, user.password)
        for user, number in zip(_USERS, OWN_NUMBERS, strict=True):
            self.route(number, f"aor:{user}")

    def _write_scene(self) -> Scene:
        scene = make_scene(self.folder / "scene", free_tcp_port())
        config = scene.operator
        profile = SipProfile(boot_spread_s=0, options_s=OPTIONS_S)
        subscription = msgspec.structs.replace(config.subscription, expires_s=EXPIRES_S, profile=profile)
        return Scene(
            folder=scene.folder, page_port=scene.page_port,
            operator=msgspec.structs.replace(config, domain=DOMAIN, subscription=subscription),
        )  # fmt: skip

    def _start_gateway(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "agent", "gateway", "--socket", str(self.scene.socket), "--card", self.card.path,
             "--state", str(self.scene.gateway_folder), "--bind", "127.0.0.1", "--rtp-port", str(free_port(64))],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=REPOSITORY,
        )  # fmt: skip

    def _start_agent(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "agent", "agent", "--config", str(self.scene.agent_config)],
            stdout=self._agent_log, stderr=self._agent_log, start_new_session=True, cwd=REPOSITORY,
            env=os.environ | {"STATE_DIRECTORY": str(self.folder)},
        )  # fmt: skip

    @property
    def phones(self) -> list[SimulatedPhone]:
        """The telephones."""
        return self.card.phones

    def number(self, line: int) -> str:
        """The own number of a line."""
        return OWN_NUMBERS[line]

    def ready(self) -> bool:
        """Wait until both lines are registered at the operator and the agent has told the gateway about them."""
        return bool(eventually(lambda: all(self.operator.contacts(user) for user in _USERS), START_S))

    # --- the operator ------------------------------------------------------------------------------------------------

    def _know(self, user: str, password: str) -> None:
        self.operator.know(user, password)

    def route(self, number: str, hop: str) -> None:
        """Let the operator send calls to `number` to `hop`, also after it was killed."""
        self._routes[number] = hop
        self.operator.route(number, hop)

    def far_end(self, number: str, scenario: str) -> None:
        """Let a SIPp take the calls to this number."""
        made = self._far_ends[number] = FarEnd(self.folder, scenario)
        self.route(number, made.uri)

    def far_ends(self) -> dict[str, FarEnd]:
        """The SIPps, by number."""
        return dict(self._far_ends)

    def call_in(self, scenario: str, line: int) -> Sipp:
        """A SIPp that calls the number of a line, once."""
        return Sipp(self.folder, scenario, "-s", self.number(line), f"127.0.0.1:{self.operator.port}")

    def kill_operator(self) -> None:
        """Kamailio dies with its bindings, while no call is being set up."""
        with self.gate.alone():
            self.operator_up = self.reachable = False
            self.operator_deaths += 1
            self.operator.kill()

    def restart_operator(self) -> bool:
        """It comes back, and knows nobody; whether both lines have found it again."""
        self.operator.start()
        for user in self.scene.operator.users[:2]:
            self._know(user.user, user.password)
        for number, hop in self._routes.items():
            self.operator.route(number, hop)
        self.operator_up = True
        self.reachable = self.ready()
        return self.reachable

    # --- the agent ---------------------------------------------------------------------------------------------------

    def kill_agent(self) -> None:
        """SIGKILL, whatever it does."""
        self.agent_up = False
        self.agent.kill()
        self.agent.wait()

    def restart_agent(self) -> bool:
        """It comes back; whether the gateway has it again."""
        mark = self.events.mark()
        self.agent = self._start_agent()
        self.agent_up = self.events.wait("agent_connected", mark, START_S) is not None
        return self.agent_up

    def records(self) -> list[Cdr]:
        """The records that the operator has received."""
        with contextlib.closing(Ledger(Path(self.scene.operator.ledger))) as ledger:
            return [one.record for one in ledger.records()]

    # --- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> list[str]:
        """End everything in order; what was wrong with that."""
        wrong = []
        for name, process in (("agent", self.agent), ("gateway", self.gateway)):
            code = end(process)
            if code != 0:
                wrong.append(f"the {name} ended with {code}")
        self.events.close()
        for one in self._far_ends.values():
            one.close()
        if self.operator_up:
            self.operator.close()
        self.card.stop()
        self.http.stop()
        self._agent_log.close()
        return wrong


def until(check: Callable[[], Any], timeout: float) -> Any:
    """What `check` says once it is true, or its last word."""
    return eventually(check, timeout)
