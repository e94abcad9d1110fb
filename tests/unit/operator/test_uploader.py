"""The upload of records: nothing lost, nothing twice, no record holds up the others, and patience is kept."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.operator.api import CdrBatchResult, CdrResult, Verdict
from agent.operator.errors import Broken, Busy, CutOff, Refused, Rejected, Unreachable
from agent.operator.retry import RETRY_AFTER_CAP_S
from agent.operator.trouble import Trouble
from agent.operator.uploader import LONE_MS, MAX_CUT_OFF, MAX_POISON_RUN, Uploader, UploadStatus


class Operator:
    """An operator that keeps what it took; `script` holds what happens to the next requests."""

    def __init__(self):
        self.taken = {}
        self.poison = {}
        self.verdicts = {}
        self.script = []
        self.sizes = []

    async def upload(self, batch):
        self.sizes.append(len(batch.records))
        happening = self.script.pop(0) if self.script else None
        if isinstance(happening, Exception):
            raise happening
        for record in batch.records:
            if record.id in self.poison:
                raise self.poison[record.id]
        results = []
        for record in batch.records:
            verdict = self.verdicts.get(record.id)
            if verdict is None:
                verdict = Verdict.DUPLICATE if record.id in self.taken else Verdict.ACCEPTED
                self.taken[record.id] = self.taken.get(record.id, 0) + (verdict is Verdict.ACCEPTED)
            results.append(CdrResult(id=record.id, verdict=verdict, reason="because" if verdict == "conflict" else ""))
        if happening == "answer lost":
            raise Unreachable("connection lost")
        if callable(happening):
            return happening(results)
        return CdrBatchResult(results=results)


@pytest.fixture
def operator():
    return Operator()


@pytest.fixture
def uploader(outbox, operator, clock, uniform):
    return Uploader(outbox, operator, uniform=uniform, clock=clock, wake=asyncio.Event())


async def drain(uploader, clock, rounds=300):
    """Step and let the time pass until nothing is left to do."""
    for _ in range(rounds):
        delay = await uploader.step()
        if delay is None:
            return
        clock.advance(delay + 0.001)
    raise AssertionError("the uploader never came to rest")


async def test_everything_goes_in_batches_of_at_most_a_hundred(uploader, outbox, operator, cdr):
    outbox.add(*(cdr(n) for n in range(250)))
    assert await uploader.step() is None
    assert operator.sizes == [100, 100, 50]
    assert len(outbox.acknowledged) == 250
    assert uploader.status == UploadStatus(acknowledged=250, last_success="2026-03-01T12:00:00+00:00")


async def test_an_empty_outbox_asks_the_operator_nothing(uploader, operator):
    assert await uploader.step() is None
    assert operator.sizes == []


async def test_each_record_gets_the_verdict_that_was_given_to_it(uploader, outbox, operator, cdr):
    outbox.add(*(cdr(n) for n in range(4)))
    operator.verdicts = {
        cdr(0).id: Verdict.DUPLICATE,
        cdr(1).id: Verdict.CONFLICT,
        cdr(2).id: Verdict.REJECTED,
    }
    assert await uploader.step() is None
    assert set(outbox.acknowledged) == {cdr(0).id, cdr(3).id}
    assert outbox.quarantined == {cdr(1).id: "conflict: because", cdr(2).id: "rejected"}
    assert (uploader.status.acknowledged, uploader.status.quarantined) == (2, 2)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_poison_record_is_found_by_halving_and_set_apart(uploader, outbox, operator, cdr, status):
    outbox.add(*(cdr(n) for n in range(100)))
    operator.poison = {cdr(37).id: Rejected("no", status)}
    assert await uploader.step() is None
    assert list(outbox.quarantined) == [cdr(37).id]
    assert str(status) in outbox.quarantined[cdr(37).id]
    assert len(outbox.acknowledged) == 99
    assert len(operator.sizes) <= 2 * 7 + 1


async def test_a_lone_409_is_asked_once_more_before_the_record_is_set_apart(uploader, outbox, operator, cdr, clock):
    outbox.add(cdr(1), cdr(2))
    operator.poison = {cdr(1).id: Rejected("still running", 409)}
    assert await uploader.step() > 0
    assert outbox.quarantined == {}
    operator.poison = {}
    await drain(uploader, clock)
    assert set(outbox.acknowledged) == {cdr(1).id, cdr(2).id}
    outbox.add(cdr(3))
    operator.poison = {cdr(3).id: Rejected("conflict", 409)}
    await drain(uploader, clock)
    assert list(outbox.quarantined) == [cdr(3).id]


async def test_an_operator_that_turns_everything_down_does_not_empty_the_queue(uploader, outbox, operator, cdr, clock):
    records = [cdr(n) for n in range(60)]
    outbox.add(*records)
    operator.poison = {record.id: Rejected("broken release", 400) for record in records}
    for _ in range(20):
        delay = await uploader.step()
        assert delay is not None
        clock.advance(delay + 0.001)
    assert len(outbox.quarantined) == MAX_POISON_RUN
    operator.poison = {}
    await drain(uploader, clock)
    assert len(outbox.acknowledged) == 60 - MAX_POISON_RUN


async def test_more_poison_than_that_does_not_hold_up_the_good_records(uploader, outbox, operator, cdr, clock):
    records = [cdr(n) for n in range(40)]
    outbox.add(*records)
    operator.poison = {record.id: Rejected("no", 422) for record in records[:25]}
    for number in range(100, 110):
        outbox.add(cdr(number))
        for _ in range(30):
            clock.advance(901)
            await uploader.step()
        assert cdr(number).id in outbox.acknowledged
    assert len(outbox.quarantined) == 25
    assert len(outbox.acknowledged) == 25


@pytest.mark.parametrize("error", [Unreachable("gone"), Busy("later", None), Broken("what", 500)])
async def test_after_trouble_it_waits_with_growing_patience_and_loses_nothing(
    uploader, outbox, operator, cdr, clock, error
):
    outbox.add(cdr(1))
    operator.script = [error] * 5
    delays = []
    for _ in range(5):
        delays.append(await uploader.step())
        assert uploader.status.pending == 1
        assert uploader.status.next_attempt_ms == clock.boot_ms + round(delays[-1] * 1000)
        clock.advance(delays[-1] + 0.001)
    assert all(0 <= delay <= 4 * 2**n for n, delay in enumerate(delays))
    assert uploader.status.last_error is Trouble.of(error)
    assert await uploader.step() is None
    assert uploader.status.last_error is None
    assert uploader.status.failures == 0
    assert uploader.status.errors == 5


async def test_nothing_is_sent_before_its_time_however_often_it_is_woken(uploader, outbox, operator, cdr, clock):
    outbox.add(cdr(1))
    operator.script = [Busy("later", 120.0)]
    delay = await uploader.step()
    assert 120 <= delay <= 124
    clock.advance(119)
    outbox.add(cdr(2))
    assert await uploader.step() > 0
    assert operator.sizes == [1]
    assert uploader.status.pending == 2


async def test_the_operators_patience_is_honoured_up_to_six_hours(uploader, outbox, operator, cdr):
    outbox.add(cdr(1))
    operator.script = [Busy("later", 10.0**9)]
    assert await uploader.step() == RETRY_AFTER_CAP_S


async def test_a_refused_device_waits_long_until_somebody_pairs_it_anew(uploader, outbox, operator, cdr):
    outbox.add(cdr(1))
    operator.script = [Refused("who are you")]
    assert await uploader.step() >= 900
    assert uploader.status.last_error is Trouble.REFUSED
    uploader.retry_now()
    assert await uploader.step() is None


async def test_a_lost_answer_is_no_loss_and_counts_nothing_twice(uploader, outbox, operator, cdr, clock):
    outbox.add(*(cdr(n) for n in range(3)))
    operator.script = ["answer lost"]
    await drain(uploader, clock)
    assert operator.taken == {cdr(n).id: 1 for n in range(3)}
    assert len(outbox.acknowledged) == 3


async def test_nothing_counts_as_acknowledged_before_the_store_has_it(uploader, outbox, operator, cdr, clock):
    outbox.add(cdr(1))

    async def full(ids, at):
        raise OSError("disk full")

    commit, outbox.acknowledge = outbox.acknowledge, full
    assert await uploader.step() is not None
    assert uploader.status.acknowledged == 0
    assert uploader.status.last_success == ""
    assert uploader.status.last_error is Trouble.STORAGE
    outbox.acknowledge = commit
    await drain(uploader, clock)
    assert operator.taken == {cdr(1).id: 1}
    assert uploader.status.acknowledged == 1


async def test_an_unreadable_outbox_does_not_end_the_uploader(uploader, outbox, cdr, clock):
    outbox.add(cdr(1))
    outbox.broken = OSError("disk")
    delay = await uploader.step()
    assert delay is not None
    outbox.broken = None
    clock.advance(delay + 0.001)
    assert await uploader.step() is None


async def test_a_record_that_upsets_the_operators_server_is_passed_by_but_kept(uploader, outbox, operator, cdr, clock):
    outbox.add(*(cdr(n) for n in range(120)))
    operator.poison = {cdr(0).id: Broken("crash", 500)}
    for _ in range(30):
        delay = await uploader.step()
        clock.advance(delay + 0.001)
    assert len(outbox.acknowledged) == 119
    assert outbox.quarantined == {}
    assert uploader.status.last_error is Trouble.BROKEN
    operator.poison = {}
    await drain(uploader, clock)
    assert len(outbox.acknowledged) == 120


@pytest.mark.parametrize("place", [0, 37, 99, 150])
async def test_a_record_that_ends_the_connection_holds_up_no_other(uploader, outbox, operator, cdr, clock, place):
    outbox.add(*(cdr(n) for n in range(160)))
    operator.poison = {cdr(place).id: CutOff("connection lost")}
    for _ in range(60):
        delay = await uploader.step()
        clock.advance(delay + 0.001)
    assert len(outbox.acknowledged) == 159
    assert outbox.quarantined == {}


async def test_a_network_that_breaks_now_and_then_is_no_reason_for_small_batches(
    uploader, outbox, operator, cdr, clock
):
    outbox.add(*(cdr(n) for n in range(300)))
    operator.script = [*[CutOff("lost")] * (MAX_CUT_OFF - 1), None, *[CutOff("lost")] * (MAX_CUT_OFF - 1)]
    await drain(uploader, clock)
    assert set(operator.sizes) == {100}


@pytest.mark.parametrize("error", [CutOff("connection lost"), Broken("crash", 500)])
async def test_a_record_that_fails_alone_for_a_day_while_others_are_taken_is_set_apart(
    uploader, outbox, operator, cdr, clock, error
):
    outbox.add(*(cdr(n) for n in range(20)))
    operator.poison = {cdr(7).id: error}
    began = clock.boot_ms
    for number in range(100, 2000):
        delay = await uploader.step()
        if delay is None:
            break
        if number % 20 == 0:
            outbox.add(cdr(number))
        clock.advance(delay + 0.001)
    assert list(outbox.quarantined) == [cdr(7).id]
    assert clock.boot_ms - began >= LONE_MS


async def test_an_operator_that_fails_at_everything_for_days_sets_nothing_apart(uploader, outbox, operator, cdr, clock):
    outbox.add(*(cdr(n) for n in range(5)))
    operator.poison = {cdr(n).id: Broken("crash", 500) for n in range(5)}
    for _ in range(1000):
        clock.advance(await uploader.step() + 0.001)
    assert clock.boot_ms > 3 * LONE_MS
    assert outbox.quarantined == {}
    operator.poison = {}
    await drain(uploader, clock)
    assert len(outbox.acknowledged) == 5


async def test_a_backlog_tells_how_far_it_has_come(outbox, clock, uniform, cdr):
    seen = []

    class Slow(Operator):
        async def upload(self, batch):
            clock.advance(6)
            status = uploader.status
            seen.append((status.backlog_done, status.backlog_total))
            return await super().upload(batch)

    outbox.add(*(cdr(n) for n in range(650)))
    uploader = Uploader(outbox, Slow(), uniform=uniform, clock=clock, wake=asyncio.Event())
    await drain(uploader, clock)
    assert seen == [(0, 650), (100, 650), (200, 650), (300, 650), (400, 650), (500, 650), (600, 650)]
    assert (uploader.status.backlog_done, uploader.status.backlog_total) == (0, 0)


@pytest.mark.thorough
async def test_after_three_weeks_without_a_network_everything_goes(uploader, outbox, operator, cdr, clock):
    outbox.add(*(cdr(n) for n in range(500)))
    attempts, offline_until = 0, clock.boot_ms + 21 * 86_400_000
    while clock.boot_ms < offline_until:
        operator.script = [Unreachable("no network")]
        delay = await uploader.step()
        assert delay <= 900
        attempts += 1
        clock.advance(delay + 0.001)
    assert 21 * 86_400 / 900 < attempts < 3 * 21 * 86_400 / 900
    assert uploader.status.pending == 500
    operator.script = []
    await drain(uploader, clock)
    assert len(outbox.acknowledged) == 500
    assert max(operator.sizes) == 100


async def test_a_record_without_a_verdict_goes_again(uploader, outbox, operator, cdr):
    outbox.add(*(cdr(n) for n in range(5)))
    operator.script = [lambda results: CdrBatchResult(results=results[:2])]
    assert await uploader.step() is None
    assert operator.sizes == [5, 3]
    assert len(outbox.acknowledged) == 5


async def test_an_answer_about_other_records_is_no_answer(uploader, outbox, operator, cdr):
    outbox.add(cdr(1))
    operator.script = [lambda _: CdrBatchResult(results=[CdrResult(id=cdr(9).id, verdict=Verdict.ACCEPTED)])]
    assert await uploader.step() is not None
    assert outbox.acknowledged == {}
    assert uploader.status.last_error is Trouble.BROKEN


async def test_contradicting_verdicts_are_none(uploader, outbox, operator, cdr):
    outbox.add(cdr(1))
    operator.script = [
        lambda results: CdrBatchResult(results=[*results, CdrResult(id=cdr(1).id, verdict=Verdict.REJECTED)])
    ]
    assert await uploader.step() is not None
    assert outbox.acknowledged == outbox.quarantined == {}


async def test_a_fleet_that_gets_its_power_back_spreads_its_first_upload(outbox, operator, clock, cdr):
    outbox.add(cdr(1))
    wake = asyncio.Event()
    uploader = Uploader(outbox, operator, uniform=lambda low, high: high, clock=clock, wake=wake, start_within_s=900.0)
    assert await uploader.step() == 900.0
    clock.advance(900)
    assert await uploader.step() is None


async def test_run_uploads_when_woken_and_waits_when_told(outbox, operator, clock, cdr):
    wake = asyncio.Event()
    waits = []
    rounds = iter([cdr(1), None, cdr(2)])
    operator.script = [Unreachable("gone")]

    async def wait(event, seconds):
        waits.append(seconds)
        if seconds:
            clock.advance(seconds)
        try:
            record = next(rounds)
        except StopIteration:
            raise asyncio.CancelledError from None
        if record:
            outbox.add(record)
            event.set()

    uploader = Uploader(outbox, operator, uniform=lambda low, high: high, clock=clock, wake=wake, wait=wait)
    with pytest.raises(asyncio.CancelledError):
        await uploader.run()
    assert waits == [None, 4.0, None, None]
    assert len(outbox.acknowledged) == 2


async def test_run_really_sleeps_until_it_is_woken(outbox, operator, clock, uniform, cdr):
    wake = asyncio.Event()
    uploaded = asyncio.Event()
    operator.script = [lambda results: uploaded.set() or CdrBatchResult(results=results)]
    task = asyncio.create_task(Uploader(outbox, operator, uniform=uniform, clock=clock, wake=wake).run())
    outbox.add(cdr(1))
    wake.set()
    async with asyncio.timeout(5):
        await uploaded.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


HAPPENINGS = st.lists(
    st.sampled_from(
        [
            None,
            "answer lost",
            Unreachable("gone"),
            CutOff("lost"),
            Busy("later", 3.0),
            Broken("what", 500),
            Refused("who"),
        ]
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(
    script=HAPPENINGS,
    count=st.integers(0, 230),
    poison=st.sets(st.integers(0, 229), max_size=MAX_POISON_RUN),
    conflicts=st.sets(st.integers(0, 229), max_size=4),
)
def test_whatever_happens_every_record_ends_where_it_belongs_exactly_once(
    script, count, poison, conflicts, make_outbox, make_clock, cdr
):
    async def scenario():
        outbox, operator, clock = make_outbox(), Operator(), make_clock()
        outbox.add(*(cdr(n) for n in range(count)))
        operator.script = list(script)
        operator.poison = {cdr(n).id: Rejected("no", 422) for n in poison}
        operator.verdicts = {cdr(n).id: Verdict.CONFLICT for n in conflicts}
        uploader = Uploader(outbox, operator, uniform=lambda low, high: high, clock=clock, wake=asyncio.Event())
        await drain(uploader, clock)
        bad = {cdr(n).id for n in poison | conflicts if n < count}
        assert set(outbox.quarantined) == bad
        assert set(outbox.acknowledged) == {cdr(n).id for n in range(count)} - bad
        assert all(times == 1 for times in operator.taken.values())
        assert max(operator.sizes, default=0) <= 100

    asyncio.run(scenario())


async def test_each_record_goes_with_its_number_in_the_epoch(outbox, clock, uniform, cdr):
    batches = []

    class Listening(Operator):
        async def upload(self, batch):
            batches.append(batch)
            return await super().upload(batch)

    outbox.add(*(cdr(n) for n in range(3)))
    await drain(Uploader(outbox, Listening(), uniform=uniform, clock=clock, wake=asyncio.Event()), clock)
    (batch,) = batches
    assert batch.numbers == await outbox.numbers([record.id for record in batch.records])
    assert len(batch.numbers) == 3
