"""The adapter's own HTTP client against the lab operator: both sides of one interface."""

from __future__ import annotations

import uuid

import pytest

from agent.core.cdr import Cdr
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.operator.api import CdrBatch, Verdict
from agent.operator.client import OperatorClient
from agent.operator.errors import Busy, OperatorError, Refused


@pytest.fixture
async def client(operator):
    device = operator.config.device
    async with OperatorClient(operator.http, device.id, device.secret) as client:
        yield client


async def test_it_learns_what_the_customer_has_and_brings_the_price_list(client, tmp_path):
    subscription = await client.subscription()
    target = tmp_path / "brought.csv"
    await client.download(subscription.price_list, target)
    assert len(target.read_bytes()) == subscription.price_list.length
    health, moment = await client.health()
    assert health.status == "ok"
    assert moment.tzinfo is not None


async def test_it_hands_over_a_record_once(client):
    record = Cdr(
        id=str(uuid.uuid4()),
        direction=Direction.OUTGOING,
        kind=CallKind.ORDINARY,
        line=0,
        account="adapter",
        own_number="+4721000001",
        number="+4722345678",
        boot_id="b",
        began_ms=1,
        began_at="2026-03-15T12:00:00Z",
        time_trusted=True,
        duration_ms=1500,
        setup_ms=10,
        cause=Cause.NORMAL,
        released_by=Party.REMOTE,
    )
    batch = CdrBatch(epoch="e", records=[record])
    assert [result.verdict for result in (await client.upload(batch)).results] == [Verdict.ACCEPTED]
    assert [result.verdict for result in (await client.upload(batch)).results] == [Verdict.DUPLICATE]
    usage = await client.usage("2026-03")
    assert (usage.calls, usage.seconds) == (1, 2)


async def test_it_understands_refusals(client, operator, tmp_path):
    operator.request("POST", "/lab/faults", b'{"unavailable": 1, "retry_after_s": 7}')
    with pytest.raises(Busy):
        await client.subscription()
    info = (await client.subscription()).price_list
    operator.request("POST", "/lab/faults", b'{"corrupt_file": 1}')
    with pytest.raises(OperatorError, match="SHA-256"):
        await client.download(info, tmp_path / "brought.csv")
    assert not (tmp_path / "brought.csv").exists()
    async with OperatorClient(operator.http, operator.config.device.id, "another secret") as stranger:
        with pytest.raises(Refused):
            await stranger.subscription()
