"""The operator's count is asked for now and then, soon after a call, and kept for when the operator is away."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agent.clock import Moment
from agent.operator.api import Usage
from agent.operator.errors import Busy, Refused, Unreachable
from agent.operator.trouble import Trouble
from agent.operator.usage import PERIOD_S, SOON_S, USAGE, UsagePoller

OSLO = ZoneInfo("Europe/Oslo")


def told(amount=0, month="2026-03"):
    return Usage(month=month, calls=1, seconds=60, amount_micro=amount)


class Operator:
    def __init__(self):
        self.answer = told()
        self.error = None
        self.asked = []

    async def usage(self, month):
        self.asked.append(month)
        if self.error:
            raise self.error
        return self.answer


class Documents:
    def __init__(self):
        self.bodies = {}
        self.full = False

    async def put_document(self, name, body):
        if self.full:
            raise OSError("no space left")
        self.bodies[name] = body

    async def document(self, name):
        return self.bodies.get(name)


class Desk:
    def __init__(self, clock, uniform, documents=None):
        self.operator, self.documents, self.clock = Operator(), documents or Documents(), clock
        self.observed = []
        self.poller = UsagePoller(
            self.operator, self.documents, observed=self.observed.append, uniform=uniform, clock=clock, zone=OSLO
        )


@pytest.fixture
def desk(clock, uniform):
    return Desk(clock, uniform)


async def test_the_month_is_that_of_civil_time(desk):
    wall = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)
    desk.poller._clock = lambda: Moment(boot_id="b", boot_ms=0, wall=wall, trusted=True)
    await desk.poller.step()
    assert desk.operator.asked == ["2026-04"]


async def test_it_is_asked_once_a_period_and_told_to_whom_it_concerns(desk):
    desk.operator.answer = told(5)
    wait_s = await desk.poller.step()
    assert 0.8 * PERIOD_S <= wait_s <= 1.2 * PERIOD_S
    assert desk.observed == [told(5)]
    assert await desk.poller.step() == pytest.approx(wait_s)
    assert len(desk.operator.asked) == 1
    desk.clock.advance(wait_s)
    await desk.poller.step()
    assert len(desk.operator.asked) == 2
    assert desk.poller.status.last_success > "2026-03-01T12:10"


async def test_after_a_call_it_is_asked_soon(desk):
    await desk.poller.step()
    desk.poller.soon()
    assert await desk.poller.step() == SOON_S
    desk.clock.advance(SOON_S)
    desk.poller.soon()
    await desk.poller.step()
    assert len(desk.operator.asked) == 2


async def test_a_kept_answer_counts_from_the_start_while_the_operator_is_away(desk, clock, uniform):
    desk.operator.answer = told(7)
    await desk.poller.step()
    later = Desk(clock, uniform, desk.documents)
    later.operator.error = Unreachable("away")
    await later.poller.restore()
    await later.poller.step()
    assert later.observed == [told(7)]
    assert later.poller.usage == told(7)
    assert (later.poller.status.failures, later.poller.status.last_error) == (1, Trouble.UNREACHABLE)


async def test_a_refused_device_asks_seldom_however_many_calls_end(desk):
    desk.operator.error = Refused("401")
    wait_s = await desk.poller.step()
    assert wait_s >= 900
    desk.poller.soon()
    assert await desk.poller.step() == wait_s


async def test_a_busy_operator_s_retry_after_is_respected_by_a_call_s_end(desk):
    desk.operator.error = Busy("503", 120)
    wait_s = await desk.poller.step()
    assert wait_s >= 120
    desk.poller.soon()
    assert await desk.poller.step() == wait_s


@pytest.mark.parametrize("body", [b"", b"{", b'{"month": "March"}', b"\xff"])
async def test_a_kept_answer_that_means_nothing_is_asked_for_anew(desk, body):
    desk.documents.bodies[USAGE] = body
    await desk.poller.restore()
    assert desk.observed == []
    await desk.poller.step()
    assert desk.observed == [told()]


async def test_an_answer_that_cannot_be_kept_counts_all_the_same(desk):
    desk.documents.full = True
    await desk.poller.step()
    assert desk.observed == [told()]
    assert desk.poller.status.last_error is None


async def test_what_is_kept_is_the_newest(desk):
    await desk.poller.step()
    desk.operator.answer = told(9)
    desk.clock.advance(2 * PERIOD_S)
    await desk.poller.step()
    assert msgspec.json.decode(desk.documents.bodies[USAGE], type=Usage) == told(9)
