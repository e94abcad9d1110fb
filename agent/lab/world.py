"""A whole operator and one adapter on loopback: processes started in order, watched, and ended together.

The gateway and the agent are the real ones, started as they are on a device; what is simulated is the line card (on a
real pty), the operator, and the people. Tests kill and stop the processes through `gateway` and `agent`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from agent.lab.process import LabProcessError, Message, TalkingProcess
from agent.lab.scene import Manners, Scene, make_scene, write_adapter_files
from agent.store.errors import StoreMissing
from agent.store.records import StoredCdr
from agent.store.store import Store
from agent.supervisor import Child, Supervised, pause_before_restart
from firmware_bridge.simulator import PtyCard
from firmware_bridge.simulator.interface import Card, Phone

_READY_S = 20.0
_GATEWAY_RTP = (16_384, 19_900)
_SUBSCRIBER_RTP = (30_000, 32_600)
_RTP_PORTS = 32
"""Four calls and their RTCP, and room for the library's own search."""
_RTP_TRIES = 50
_MANNERS = Manners()

Hear = Callable[[str, Message], None]


def free_port(preferred: int = 0) -> int:
    """A TCP port of loopback that nobody uses: the preferred one if it is free."""
    for port in (preferred, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            found: int = probe.getsockname()[1]
            return found
    raise LabProcessError("no TCP port is free on this machine")


def free_rtp_ports(low: int, high: int) -> int:
    """An even UDP port of loopback between `low` and `high` from which on nobody uses the next ones."""
    draw = random.SystemRandom()
    for _ in range(_RTP_TRIES):
        first = draw.randrange(low, high, 2)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + _RTP_PORTS):
                probe = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                probe.bind(("127.0.0.1", port))
            return first
    raise LabProcessError(f"no {_RTP_PORTS} UDP ports between {low} and {high} are free on this machine")


def _simulated_card(path: Path) -> Card:
    return PtyCard(lines=2, link_path=path)


class World:
    """An async context: everything runs inside it. `hear(who, message)` gets what the processes say.

    `make_card(path)` makes the far end of the serial link; it has two lines and is found at `path`.
    `pause` is how long a crashed gateway or agent waits for its next start, by the number of crashes.
    """

    def __init__(
        self,
        folder: Path,
        hear: Hear,
        *,
        page_port: int = 0,
        with_agent: bool = True,
        pause: Callable[[int], float] = pause_before_restart,
        manners: Manners = _MANNERS,
        make_card: Callable[[Path], Card] = _simulated_card,
    ) -> None:
        self.scene: Scene = make_scene(folder, page_port or free_port())
        self._hear = hear
        self._with_agent = with_agent
        self._manners = manners
        python = [sys.executable, "-m"]
        logs = folder / "logs"
        logs.mkdir(exist_ok=True)
        self.operator = TalkingProcess(
            "operator", [*python, "agent.lab.operator", "--config", str(self.scene.operator_config)],
            logs / "operator.log", hear,
        )  # fmt: skip
        self.subscribers = TalkingProcess(
            "subscribers", [*python, "agent.lab.subscriber", str(self.scene.subscribers_config)],
            logs / "subscribers.log", hear,
        )  # fmt: skip
        self.card = make_card(self.scene.card)
        self.gateway_log = logs / "gateway.log"
        self.agent_log = logs / "agent.log"
        self.gateway = Supervised(
            Child("gateway", [
                *python, "agent", "gateway", "--socket", str(self.scene.socket), "--card", str(self.scene.card),
                "--state", str(self.scene.gateway_folder), "--bind", "127.0.0.1",
                "--rtp-port", str(free_rtp_ports(*_GATEWAY_RTP)), "--firmware-keys", str(self.scene.firmware_keys),
            ], self.gateway_log),
            self._told, pause,
        )  # fmt: skip
        self.agent = Supervised(
            Child("agent", [*python, "agent", "agent", "--config", str(self.scene.agent_config)], self.agent_log,
                  {"STATE_DIRECTORY": str(self.scene.agent_folder)}),
            self._told, pause,
        )  # fmt: skip
        self._tasks: list[asyncio.Task[None]] = []
        self._http: aiohttp.ClientSession | None = None
        self._operator_url = ""

    def _told(self, name: str, what: str) -> None:
        self._hear(name, {"event": "process", "what": what})

    @property
    def phones(self) -> Sequence[Phone]:
        """The telephones on the simulated card, by line."""
        return self.card.phones

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _start(self) -> None:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        await self.operator.start()
        ready = await self.operator.wait_for(lambda message: bool(message.get("ready")), _READY_S)
        self._operator_url = str(ready["http"])
        rtp_port = free_rtp_ports(*_SUBSCRIBER_RTP)
        write_adapter_files(self.scene, self._operator_url, str(ready["sip"]), rtp_port, self._manners)
        await self.subscribers.start()
        await self.subscribers.wait_for(lambda message: message.get("event") == "ready", _READY_S)
        self.card.start()
        self._tasks.append(asyncio.create_task(self.gateway.run()))
        if self._with_agent:
            self.start_agent()

    def start_agent(self) -> None:
        """Start the agent, in a world that was made without one."""
        self._tasks.append(asyncio.create_task(self.agent.run()))

    async def _stop(self) -> None:
        await asyncio.gather(self.agent.stop(), self.gateway.stop(), self.subscribers.stop())
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self.card.stop)
        await self.operator.stop()
        if self._http is not None:
            await self._http.close()

    # --- what a person could look at ---------------------------------------------------------------------------------

    async def status(self) -> Message | None:
        """What the status page says, numbers masked; None while it does not answer."""
        return await self._get(f"{self.scene.page}api/status.json")

    async def operator_sees(self, path: str) -> Message | None:
        """What the operator answers to the adapter's own identity at `path`."""
        device = self.scene.operator.device
        return await self._get(
            self._operator_url + path, {"Authorization": f"Bearer {device.secret}", "X-Device-Id": device.id}
        )

    async def order(self, path: str, body: Message | bytes) -> None:
        """Tell the operator process something about the lab itself (`/lab/…`); bytes are sent as they are."""
        device = self.scene.operator.device
        headers = {"Authorization": f"Bearer {device.secret}", "X-Device-Id": device.id}
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        if self._http is not None:
            async with self._http.post(self._operator_url + path, data=data, headers=headers) as answer:
                answer.raise_for_status()

    async def _get(self, url: str, headers: dict[str, str] | None = None) -> Message | None:
        if self._http is None:
            return None
        try:
            async with self._http.get(url, headers=headers) as answer:
                if answer.status != 200:
                    return None
                body: dict[str, Any] = await answer.json()
                return body
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None

    async def records(self, limit: int = 100) -> list[StoredCdr]:
        """The adapter's own records, newest first, read beside the running agent; none before its first start."""
        try:
            reader = await Store.open_reader(self.scene.agent_folder)
        except StoreMissing:
            return []
        async with reader:
            return await reader.recent(limit)
