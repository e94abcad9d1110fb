"""Store, uploader and client together against a server that fails in every way: each record arrives once."""

import asyncio
import gzip
import hashlib
import random
import socket
import uuid
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest
from aiohttp import web

from agent.clock import Moment
from agent.core.cdr import Cdr
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.operator.api import CdrBatch, CdrBatchResult, CdrResult, Verdict
from agent.operator.client import OperatorClient, Timeouts
from agent.operator.uploader import Uploader
from agent.store import OutboxState, Store


def cdr(number):
    return Cdr(
        id=str(uuid.UUID(int=number)), direction=Direction.OUTGOING, kind=CallKind.ORDINARY, line=0, account="privat",
        own_number="+4722000001", number="+4791000000", boot_id="b", began_ms=1, began_at="2026-03-01T12:00:00Z",
        time_trusted=True, duration_ms=1000, setup_ms=1, cause=Cause.NORMAL, released_by=Party.LOCAL,
    )  # fmt: skip


class Ledger:
    """An operator's server that commits by id, and fails before or after its commit as chance will have it."""

    def __init__(self, chance, poison):
        self.chance = chance
        self.poison = poison
        self.records = {}
        self.faults = Counter()

    async def take(self, request):
        fault = self.chance.choices(
            ["none", "busy", "drop before", "drop after", "gateway", "crash", "half the verdicts"],
            [6, 1, 1, 2, 1, 1, 1],
        )[0]
        self.faults[fault] += 1
        if fault == "busy":
            return web.Response(status=503, headers={"Retry-After": "30"})
        if fault == "gateway":
            return web.Response(status=504)
        if fault == "crash":
            return web.Response(status=500)
        if fault == "drop before":
            request.transport.abort()
            return web.Response()
        body = await request.read()
        plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        batch = msgspec.json.decode(plain, type=CdrBatch)
        if any(record.id in self.poison for record in batch.records):
            return web.Response(status=422)
        results = [CdrResult(id=record.id, verdict=self.commit(record)) for record in batch.records]
        if fault == "drop after":
            request.transport.abort()
        if fault == "half the verdicts":
            results = results[::2]
        return web.Response(body=msgspec.json.encode(CdrBatchResult(results=results)))

    def commit(self, record):
        digest = hashlib.sha256(msgspec.json.encode(record)).digest()
        known = self.records.setdefault(record.id, digest)
        if known != digest:
            return Verdict.CONFLICT
        return Verdict.ACCEPTED


@asynccontextmanager
async def operator_at(ledger):
    app = web.Application()
    app.router.add_post("/v1/cdr", ledger.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    timeouts = Timeouts(connect_s=2.0, silence_s=2.0, exchange_s=5.0)
    client = OperatorClient(f"http://127.0.0.1:{listener.getsockname()[1]}", "d", "s", timeouts=timeouts)
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


@pytest.mark.parametrize("seed", range(5))
async def test_every_record_arrives_once_through_faults_and_restarts(tmp_path, seed):
    chance = random.Random(seed)
    poison = {cdr(n).id for n in chance.sample(range(250), 4)}
    ledger = Ledger(chance, poison)
    now_ms = 0

    def clock():
        return Moment(boot_id="b", boot_ms=now_ms, wall=datetime(2026, 3, 1, tzinfo=UTC), trusted=True)

    store = await Store.open(tmp_path)
    for number in range(250):
        await store.finish(cdr(number), "2026-03", "2026-03-01")
    async with operator_at(ledger) as client:
        uploader = Uploader(store, client, uniform=chance.uniform, clock=clock, wake=asyncio.Event())
        for _ in range(400):
            delay = await uploader.step()
            if delay is None:
                break
            now_ms += round(delay * 1000) + 1
            if chance.random() < 0.2:
                await store.close()
                store = await Store.open(tmp_path)
                uploader = Uploader(store, client, uniform=chance.uniform, clock=clock, wake=asyncio.Event())
    kept = await store.recent(1000)
    await store.close()
    assert {record.cdr.id for record in kept if record.state is OutboxState.ACKNOWLEDGED} == set(ledger.records)
    assert {record.cdr.id for record in kept if record.state is OutboxState.QUARANTINED} == poison
    assert len(kept) == 250
    assert ledger.faults["none"] > 0
    assert sum(ledger.faults.values()) > ledger.faults["none"]
