"""A clock that only the test moves, records, and an outbox in memory that obeys the store's contract."""

import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from agent.clock import Moment
from agent.core.cdr import Cdr
from agent.core.terms import CallKind, Cause, Direction, Party


class FakeClock:
    def __init__(self):
        self.boot_ms = 1_000_000

    def __call__(self):
        wall = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(milliseconds=self.boot_ms - 1_000_000)
        return Moment(boot_id="boot-1", boot_ms=self.boot_ms, wall=wall, trusted=True)

    def advance(self, seconds):
        self.boot_ms += round(seconds * 1000)


class MemoryOutbox:
    def __init__(self):
        self.records = {}
        self.acknowledged = {}
        self.quarantined = {}
        self.broken = None

    def add(self, *cdrs):
        self.records.update({cdr.id: cdr for cdr in cdrs})

    def _check(self):
        if self.broken:
            raise self.broken

    async def pending(self, limit):
        self._check()
        return list(self.records.values())[:limit]

    async def pending_count(self):
        self._check()
        return len(self.records)

    async def acknowledge(self, ids, at):
        self._check()
        found = [id_ for id_ in ids if self.records.pop(id_, None)]
        self.acknowledged.update(dict.fromkeys(found, at))
        return len(found)

    async def quarantine(self, cdr_id, reason):
        self._check()
        if self.records.pop(cdr_id, None):
            self.quarantined[cdr_id] = reason

    async def epoch(self):
        return "epoch-1"

    async def numbers(self, ids):
        return [uuid.UUID(id_).int + 1 for id_ in ids]


def make_cdr(number):
    return Cdr(
        id=str(uuid.UUID(int=number)),
        direction=Direction.OUTGOING,
        kind=CallKind.ORDINARY,
        line=0,
        account="privat",
        own_number="+4722000001",
        number="+4791000000",
        boot_id="boot-1",
        began_ms=1,
        began_at="2026-03-01T12:00:00Z",
        time_trusted=True,
        duration_ms=1000,
        setup_ms=10,
        cause=Cause.NORMAL,
        released_by=Party.LOCAL,
    )


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def outbox():
    return MemoryOutbox()


@pytest.fixture(scope="session")
def cdr():
    return make_cdr


@pytest.fixture(scope="session")
def make_outbox():
    return MemoryOutbox


@pytest.fixture(scope="session")
def make_clock():
    return FakeClock


@pytest.fixture
def uniform():
    return random.Random(7).uniform
