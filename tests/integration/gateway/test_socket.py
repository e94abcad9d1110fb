"""The real socket between gateway and agent: snapshots, slow readers, newer agents, cut packets, strangers."""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import agent.gateway.client as client_module
from agent.core.terms import CallKind, CallPhase, Direction
from agent.gateway.client import GatewayClient, GatewayUnavailableError
from agent.gateway.daemon import server as server_module
from agent.gateway.daemon.server import AgentServer
from agent.gateway.protocol import (
    MAX_PACKET,
    PROTOCOL_VERSION,
    AgentRecord,
    CallState,
    CardState,
    GatewayRecord,
    Hello,
    Log,
    Release,
    encode,
)  # fmt: skip

HELLO = Hello(protocol=PROTOCOL_VERSION, instance="one", boot_id="boot", version="0")


class Gateway:
    """A server with its callbacks turned into queues."""

    def __init__(self, path: Path, *, uids: set[int] | None = None) -> None:
        self.records: queue.Queue[AgentRecord] = queue.Queue()
        self.came: queue.Queue[str] = queue.Queue()
        self.said: list[str] = []
        self.server = AgentServer(
            path, allowed_uids=uids if uids is not None else {os.geteuid()}, received=self.records.put,
            connected=lambda: self.came.put("up"), lost=lambda: self.came.put("down"),
            log=lambda _level, event, _detail: self.said.append(event),
        )  # fmt: skip
        self.server.start()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.sock"


@pytest.fixture
def gateway(path: Path) -> Iterator[Gateway]:
    made = Gateway(path)
    yield made
    made.server.stop()


class Agent:
    """A client whose records can be awaited."""

    def __init__(self, path: Path) -> None:
        self.heard: asyncio.Queue[GatewayRecord] = asyncio.Queue()
        self.lost: asyncio.Queue[str] = asyncio.Queue()
        self.client = GatewayClient(path, on_record=self.heard.put_nowait, on_lost=self.lost.put_nowait)
        self.task = asyncio.create_task(self.client.run())

    async def next(self) -> GatewayRecord:
        return await asyncio.wait_for(self.heard.get(), 5)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def came(gateway: Gateway) -> str:
    return await asyncio.to_thread(gateway.came.get, True, 5)


async def test_a_new_agent_gets_everything_there_is_then_what_changes(gateway: Gateway, path: Path) -> None:
    agent = Agent(path)
    assert await came(gateway) == "up"
    gateway.server.publish(CardState(up=False))
    gateway.server.begin([HELLO, CardState(up=True, lines=2)])
    assert await agent.next() == HELLO
    assert await agent.next() == CardState(up=True, lines=2)
    gateway.server.publish(CardState(up=False, reason="unplugged"))
    assert await agent.next() == CardState(up=False, reason="unplugged")
    await agent.stop()
    assert await came(gateway) == "down"


async def test_records_reach_the_gateway_in_order(gateway: Gateway, path: Path) -> None:
    agent = Agent(path)
    await came(gateway)
    gateway.server.begin([HELLO])
    await agent.next()
    for number in range(500):
        agent.client.send(Release(call_id=str(number)))
    got = [await asyncio.to_thread(gateway.records.get, True, 5) for _ in range(500)]
    assert [record.call_id for record in got if isinstance(record, Release)] == [str(n) for n in range(500)]
    await agent.stop()


async def test_the_newest_agent_wins(gateway: Gateway, path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as first:
        first.connect(str(path))
        await came(gateway)
        second = Agent(path)
        assert [await came(gateway) for _ in range(2)] == ["down", "up"]
        first.settimeout(5)
        assert first.recv(100) == b""
    gateway.server.begin([HELLO, CardState(up=True)])
    assert await second.next() == HELLO
    assert gateway.said == ["agent_replaced"]
    await second.stop()


async def test_an_agent_that_does_not_read_gets_the_newest_state_in_the_end(gateway: Gateway, path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sleeper:
        sleeper.connect(str(path))
        await came(gateway)
        gateway.server.begin([HELLO])
        for number in range(5000):
            gateway.server.publish(CardState(up=True, lines=2, firmware=str(number)))
        seen = []
        sleeper.settimeout(5)
        while not seen or seen[-1] != b"4999":
            packet = sleeper.recv(MAX_PACKET)
            seen.append(packet.rpartition(b'"firmware":"')[2].rstrip(b'"}'))
    assert len(seen) < 2000, "the states between were to be replaced, not queued"


async def test_log_lines_for_a_sleeping_agent_are_bounded(gateway: Gateway, path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sleeper:
        sleeper.connect(str(path))
        await came(gateway)
        gateway.server.begin([HELLO])
        for number in range(5000):
            gateway.server.publish(Log(level="info", event=str(number), at_ms=0))
        gateway.server.publish(CardState(up=True, firmware="last"))
        sleeper.settimeout(5)
        count, packet = 0, b""
        while b"last" not in packet:
            packet = sleeper.recv(MAX_PACKET)
            count += 1
    assert count < 2000


async def test_a_packet_that_is_too_long_ends_the_connection(gateway: Gateway, path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as rude:
        rude.connect(str(path))
        await came(gateway)
        rude.send(b" " * (MAX_PACKET + 2))
        assert await came(gateway) == "down"
    assert "agent_packet_too_long" in gateway.said


async def test_a_packet_that_is_no_record_is_refused_and_the_next_one_taken(gateway: Gateway, path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as rude:
        rude.connect(str(path))
        await came(gateway)
        rude.send(b"hello")
        rude.send(encode(Release(call_id="a")))
        assert await asyncio.to_thread(gateway.records.get, True, 5) == Release(call_id="a")
    assert gateway.said == ["agent_record_refused"]


async def test_another_user_may_not_be_the_agent(path: Path) -> None:
    gateway = Gateway(path, uids={os.geteuid() + 1})
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        stranger.connect(str(path))
        stranger.settimeout(5)
        assert await asyncio.to_thread(stranger.recv, 100) == b""
    gateway.server.stop()
    assert gateway.said == ["agent_refused"]


async def test_without_a_gateway_sending_says_so(path: Path) -> None:
    agent = Agent(path)
    with pytest.raises(GatewayUnavailableError):
        agent.client.send(Release(call_id="a"))
    await agent.stop()


async def test_the_agent_comes_back_when_the_gateway_does(path: Path) -> None:
    agent = Agent(path)
    for instance in ("one", "two"):
        gateway = Gateway(path)
        await came(gateway)
        gateway.server.begin([Hello(protocol=PROTOCOL_VERSION, instance=instance, boot_id="b", version="0")])
        hello = await agent.next()
        assert isinstance(hello, Hello)
        assert hello.instance == instance
        await asyncio.to_thread(gateway.server.stop)
        assert "closed" in await asyncio.wait_for(agent.lost.get(), 10)
    await agent.stop()


async def test_sixty_four_ended_calls_reach_a_new_agent(gateway: Gateway, path: Path) -> None:
    agent = Agent(path)
    await came(gateway)
    calls = [
        CallState(call_id=str(n), direction=Direction.INCOMING, kind=CallKind.ORDINARY, phase=CallPhase.ENDED)
        for n in range(64)
    ]
    gateway.server.begin([HELLO, *calls])
    got = [await agent.next() for _ in range(65)]
    assert got[1:] == calls
    await agent.stop()


async def test_a_record_that_cannot_be_sent_is_dropped_and_the_next_one_sent(gateway: Gateway, path: Path) -> None:
    agent = Agent(path)
    await came(gateway)
    gateway.server.begin([HELLO, CardState(up=False, reason="\udce5")])
    assert await agent.next() == HELLO
    gateway.server.publish(CardState(up=False, reason="x" * MAX_PACKET))
    gateway.server.publish(Log(level="info", event="later", at_ms=0))
    assert await agent.next() == Log(level="info", event="later", at_ms=0)
    await agent.stop()
    assert set(gateway.said) == {"record_not_sent"}


async def test_after_an_error_of_ours_the_agent_can_connect_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_RETRY_S", 0.01)
    gateway = Gateway(path)
    with monkeypatch.context() as broken:
        broken.setattr(server_module, "encode", lambda _record: 1 // 0)
        agent = Agent(path)
        assert await came(gateway) == "up"
        gateway.server.begin([HELLO])
        assert await came(gateway) == "down"
    while await came(gateway) == "down":
        pass
    gateway.server.begin([HELLO])
    assert await agent.next() == HELLO
    await agent.stop()
    await asyncio.to_thread(gateway.server.stop)
    assert gateway.said == ["agent_socket_failed"]


async def test_a_socket_that_cannot_be_made_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_RETRY_S", 0.01)
    folder = tmp_path / "run"
    folder.write_text("in the way")
    gateway = Gateway(folder / "s")
    assert gateway.said == ["agent_socket_unusable"]
    folder.unlink()
    agent = Agent(folder / "s")
    assert await came(gateway) == "up"
    gateway.server.begin([HELLO])
    assert await agent.next() == HELLO
    await agent.stop()
    await asyncio.to_thread(gateway.server.stop)


async def test_what_was_published_before_the_stop_is_sent(gateway: Gateway, path: Path) -> None:
    agent = Agent(path)
    await came(gateway)
    gateway.server.begin([HELLO])
    await agent.next()
    for number in range(200):
        gateway.server.publish(Log(level="info", event=str(number), at_ms=0))
    await asyncio.to_thread(gateway.server.stop)
    heard = [await agent.next() for _ in range(200)]
    assert isinstance(heard[-1], Log)
    assert heard[-1].event == "199"
    await agent.stop()


async def gaps(path: Path, count: int, *packets: bytes) -> list[float]:
    """Seconds between the visits of an agent to a gateway that says only `packets` and hangs up."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.setblocking(False)
        listener.bind(str(path))
        listener.listen()
        agent = Agent(path)
        visits = []
        for _ in range(count):
            visitor, _ = await asyncio.wait_for(loop.sock_accept(listener), 10)
            visits.append(loop.time())
            with visitor:
                for packet in packets:
                    visitor.send(packet)
        await agent.stop()
    return [later - earlier for earlier, later in itertools.pairwise(visits)]


async def test_a_gateway_that_talks_nonsense_after_its_hello_is_seldom_asked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_STRANGER_RETRY_S", 0.3)
    assert all(gap > 0.25 for gap in await gaps(path, 3, encode(HELLO), b'{"what":1}'))


async def test_a_gateway_that_goes_as_soon_as_it_has_come_is_asked_ever_slower(path: Path) -> None:
    # A busy machine makes a pause longer, and none shorter.
    pauses = await gaps(path, 5, encode(HELLO))
    assert all(pause >= least for pause, least in zip(pauses, (0.09, 0.19, 0.39, 0.49), strict=True)), pauses
