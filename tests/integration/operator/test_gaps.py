"""What a lying card has lost beyond repair, the operator misses by its number; what was repaired, it does not."""

import asyncio
import random
import uuid
from datetime import UTC, datetime

import pytest

from agent.clock import Moment
from agent.core.cdr import Cdr
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.lab.operator.ledger import Gap, Ledger
from agent.operator.api import CdrBatchResult, CdrResult
from agent.operator.uploader import Uploader
from agent.store import Store
from agent.store.journal import segments

NOW = datetime(2026, 3, 1, 13, tzinfo=UTC)


def cdr(number):
    return Cdr(
        id=str(uuid.UUID(int=number)), direction=Direction.OUTGOING, kind=CallKind.ORDINARY, line=0, account="privat",
        own_number="+4722000001", number="+4791000000", boot_id="b", began_ms=1, began_at="2026-03-01T12:00:00Z",
        time_trusted=True, duration_ms=1000, setup_ms=1, cause=Cause.NORMAL, released_by=Party.LOCAL,
    )  # fmt: skip


class Operator:
    """The lab's ledger without its HTTP."""

    def __init__(self, path):
        self.ledger = Ledger(path)

    async def upload(self, batch):
        verdicts = self.ledger.receive("box", batch.epoch, batch.records, NOW, batch.numbers)
        return CdrBatchResult(
            results=[
                CdrResult(id=record.id, verdict=verdict, reason=reason)
                for record, (verdict, reason) in zip(batch.records, verdicts, strict=True)
            ]
        )

    @property
    def missed(self):
        """Numbers that never came."""
        return [number for gap in self.ledger.gaps("box") for number in range(gap.first, gap.last + 1)]


@pytest.fixture
def operator(tmp_path):
    operator = Operator(tmp_path / "ledger.sqlite")
    yield operator
    operator.ledger.close()


async def send_all(store, operator):
    clock = lambda: Moment("b", 1, NOW, trusted=True)  # noqa: E731
    uploader = Uploader(store, operator, uniform=random.Random(1).uniform, clock=clock, wake=asyncio.Event())
    assert await uploader.step() is None


def lose(folder, *lost):
    """The card returns zeros for these records, in the journal, and for the whole database."""
    for path in folder.glob("store.db*"):
        path.write_bytes(bytes(path.stat().st_size))
    for segment in segments(folder):
        lines = segment.read_bytes().split(b"\n")
        harmed = [bytes(len(line)) if any(cdr(one).id.encode() in line for one in lost) else line for line in lines]
        segment.write_bytes(b"\n".join(harmed))


@pytest.mark.parametrize("sent_before", [False, True])
@pytest.mark.parametrize(("lost", "missed"), [([], []), ([4], [4]), ([4, 5, 8], [4, 5, 8])])
async def test_a_record_that_is_gone_is_missed_by_its_number(tmp_path, operator, sent_before, lost, missed):
    folder = tmp_path / "store"
    store = await Store.open(folder)
    for number in range(1, 3):
        await store.finish(cdr(number), "2026-03", "2026-03-01")
    if sent_before:
        await send_all(store, operator)
    for number in range(3, 10):
        await store.finish(cdr(number), "2026-03", "2026-03-01")
    await store.close()
    lose(folder, *lost)
    store = await Store.open(folder)
    assert store.damage is not None
    assert store.damage.maybe_missing == bool(lost)
    await store.finish(cdr(10), "2026-03", "2026-03-01")
    await send_all(store, operator)
    await store.close()
    assert operator.missed == missed
    assert len(operator.ledger.records()) == 10 - len(lost)


async def test_a_gap_names_its_epoch(tmp_path, operator):
    store = await Store.open(tmp_path / "store")
    for number in range(1, 5):
        await store.finish(cdr(number), "2026-03", "2026-03-01")
    await store.quarantine(cdr(2).id, "unreadable")
    await send_all(store, operator)
    assert operator.ledger.gaps("box") == [Gap(await store.epoch(), 2, 2)]
    await store.requeue()
    await send_all(store, operator)
    assert operator.missed == []
    await store.close()
