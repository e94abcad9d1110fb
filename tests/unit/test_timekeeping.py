"""The time is asked for, kept, and found again; nobody is asked more often than is useful."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import FLOOR, Clock, KeptTime, Reading
from agent.operator.errors import Busy, Unreachable
from agent.store.errors import StoreError
from agent.timekeeping import DOCUMENT, Timekeeper

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Box:
    """A machine, its store's documents, and an operator that may be away."""

    def __init__(self):
        self.boot_ms, self.system, self.synchronised = 10_000, EPOCH, False
        self.documents, self.writes, self.full = {}, 0, False
        self.asked, self.away, self.takes_ms, self.busy = 0, False, 0, None
        self.truth = NOON
        self.known = 0
        self.start()

    def start(self):
        self.clock = Clock(lambda: Reading(self.boot_ms, self.system, self.synchronised), lambda: "boot-1")
        self.keeper = Timekeeper(self.clock, self, self._ask, uniform=random.Random(3).uniform, known=self._known)

    def _known(self):
        self.known += 1

    async def _ask(self):
        self.asked += 1
        self.pass_s(self.takes_ms / 1000)
        if self.busy:
            raise self.busy
        if self.away:
            raise Unreachable("nobody there")
        return self.truth

    async def put_document(self, name, body):
        if self.full:
            raise StoreError("full")
        self.documents[name] = body
        self.writes += 1

    async def document(self, name):
        return self.documents.get(name)

    def pass_s(self, seconds):
        self.boot_ms += round(seconds * 1000)
        self.truth += timedelta(seconds=seconds)
        self.system += timedelta(seconds=seconds)

    async def look_for(self, seconds, every=5):
        for _ in range(0, seconds, every):
            await self.keeper.look()
            self.pass_s(every)

    def kept(self):
        return msgspec.json.decode(self.documents[DOCUMENT], type=KeptTime)


@pytest.fixture
def box():
    return Box()


async def test_the_operator_is_asked_at_once_and_then_some_four_times_a_day(box):
    await box.look_for(5)
    assert (box.asked, box.clock.now().wall, box.known) == (1, box.truth, 1)
    await box.look_for(4 * 3600, every=60)
    assert box.asked == 1
    await box.look_for(4 * 3600, every=60)
    assert box.asked == 2


@pytest.mark.parametrize(("synchronised", "at_once"), [(False, 1), (True, 0)])
async def test_a_fleet_that_gets_its_power_back_asks_at_once_only_where_nobody_told_the_time(synchronised, at_once):
    box = Box()
    box.synchronised, box.system = synchronised, box.truth
    box.keeper = Timekeeper(box.clock, box, box._ask, uniform=lambda low, high: high, known=box._known,
                            start_within_s=900.0)  # fmt: skip
    task = asyncio.create_task(box.keeper.run())
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    assert box.asked == at_once
    box.pass_s(890)
    await box.keeper.look()
    assert box.asked == at_once
    box.pass_s(10)
    await box.keeper.look()
    assert box.asked == 1


async def test_an_operator_that_is_away_is_asked_again_with_patience(box):
    box.away = True
    await box.look_for(3600)
    assert 8 < box.asked < 60
    assert not box.clock.now().trusted
    box.away = False
    await box.look_for(310)
    assert box.clock.now().trusted


async def test_an_answer_that_took_too_long_is_asked_for_again(box):
    box.takes_ms = 11_000
    await box.look_for(600)
    assert not box.clock.now().trusted
    assert 1 < box.asked < 60
    box.takes_ms = 100
    await box.look_for(310)
    assert abs(box.clock.now().wall - box.truth) < timedelta(seconds=1)


async def test_a_stepped_clock_under_a_daemon_has_the_operator_asked_once(box):
    await box.look_for(60)
    box.synchronised, box.system = True, box.truth + timedelta(days=2)
    await box.look_for(600)
    assert box.asked == 2
    assert box.clock.now().wall == box.truth


async def test_after_a_restart_the_time_is_known_before_anybody_is_asked(box):
    await box.look_for(60)
    box.away = True
    box.start()
    await box.keeper.restore()
    assert box.clock.now().trusted
    assert box.clock.now().wall == box.truth


async def test_the_newest_time_is_kept_every_hour_and_not_more_often(box):
    await box.look_for(5)
    before = box.writes
    await box.look_for(4 * 3600 - 60, every=10)
    assert box.writes - before == 3
    assert timedelta(0) <= box.truth - box.kept().newest < timedelta(hours=1, minutes=1)


async def test_what_could_not_be_kept_is_told_when_it_is(box):
    box.full = True
    await box.look_for(60)
    assert (box.known, box.clock.now().trusted) == (0, True)
    box.full = False
    await box.look_for(60)
    assert box.known == 1


async def test_an_operator_that_asks_for_patience_gets_it(box):
    box.busy = Busy("later", 3600.0)
    await box.look_for(3500, every=60)
    assert box.asked == 1


KEPT = st.builds(
    lambda newest, anchors: msgspec.json.encode({"newest": newest, "anchors": anchors}),
    st.datetimes() | st.sampled_from(["2026-11-22T12:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:00"]),
    st.lists(
        st.fixed_dictionaries(
            {
                "boot_id": st.sampled_from(["boot-1", "boot-0"]),
                "boot_ms": st.integers(-1, 10**14),
                "wall": st.sampled_from(["2026-11-22T12:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]),
                "source": st.sampled_from(["operator", "kernel", "guess"]),
            }
        ),
        max_size=70,
    ),
)


@given(st.binary(max_size=200) | KEPT)
def test_whatever_was_kept_the_clock_goes_on_from_a_possible_time(body):
    box = Box()
    box.documents[DOCUMENT] = body
    asyncio.run(box.keeper.restore())
    moment = box.clock.now()
    assert moment.trusted or moment.wall >= FLOOR
    box.pass_s(60)
    assert box.clock.now().wall - moment.wall == timedelta(seconds=60)
