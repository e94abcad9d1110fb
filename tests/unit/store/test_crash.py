"""Power cuts between any two steps: the files as they lay on the card at that moment are opened again."""

import asyncio
import itertools
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import aiosqlite
import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from agent import records as making
from agent.store import OutboxState, Store, StoreError

MONTH, DAY = "2026-03", "2026-03-01"
ACK = "2026-03-01T13:00:00Z"
LATER_MONTH, LATER_DAY, TRULY = "2026-05", "2026-05-17", datetime(2026, 5, 17, 12, tzinfo=UTC)


def cut_power(folder, copy):
    """The folder as a reader of the card would find it: nothing is closed, nothing is folded in."""
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.lock", "*-shm"))
    return copy


async def photographed(monkeypatch, folder, tmp_path, action):
    """Run `action`, with a photograph of the folder before and after every statement it makes."""
    photographs = []
    originals = {name: getattr(aiosqlite.Connection, name) for name in ("execute", "executemany", "execute_fetchall")}

    def photographing(original):
        def wrapped(self, *arguments):
            photographs.append(cut_power(folder, tmp_path / f"photograph-{len(photographs)}"))
            return original(self, *arguments)

        return wrapped

    with monkeypatch.context() as patch:
        for name, original in originals.items():
            patch.setattr(aiosqlite.Connection, name, photographing(original))
        await action()
    photographs.append(cut_power(folder, tmp_path / f"photograph-{len(photographs)}"))
    return photographs


async def totals(folder):
    store = await Store.open(folder)
    assert store.damage is None
    usage = await store.usage(MONTH)
    assert usage == await store.usage_day(DAY)
    state = (
        len(await store.open_calls()),
        {kept.cdr.id: kept.state for kept in await store.recent(100)},
        sum(row.calls for row in usage),
        sum(row.amount_micro for row in usage),
        await store.pending_count(),
    )
    await store.close()
    return state


async def test_a_power_cut_anywhere_in_finishing_a_call_leaves_all_of_it_or_nothing(
    monkeypatch, folder, tmp_path, records
):
    store = await Store.open(folder)
    await store.open_call(records.open_call())
    photographs = await photographed(monkeypatch, folder, tmp_path, lambda: store.finish(records.cdr(), MONTH, DAY))
    await store.close()
    states = [await totals(photograph) for photograph in photographs]
    before, after = (1, {}, 0, 0, 0), (0, {records.call_id(1): OutboxState.PENDING}, 1, 1_250_000, 1)
    changes = [state for state, _ in itertools.groupby(states)]
    assert len(states) >= 6
    assert changes == [before, after]


async def test_a_power_cut_anywhere_in_correcting_a_record_leaves_it_counted_once(
    monkeypatch, folder, tmp_path, records
):
    store = await Store.open(folder)
    cdr = records.cdr(1)
    await store.finish(cdr, MONTH, DAY)
    corrected = making.correction(cdr, TRULY, "operator", records.price(700_000), "")
    photographs = await photographed(
        monkeypatch, folder, tmp_path, lambda: store.correct(corrected, LATER_MONTH, LATER_DAY)
    )
    await store.close()
    states = []
    for photograph in photographs:
        survivor = await Store.open(photograph)
        states.append([[row.amount_micro for row in await survivor.usage(one)] for one in (MONTH, LATER_MONTH)])
        await survivor.correct(corrected, LATER_MONTH, LATER_DAY)
        assert [row.amount_micro for row in await survivor.usage(LATER_DAY[:7])] == [700_000]
        await survivor.close()
    assert [state for state, _ in itertools.groupby(states)] == [[[1_250_000], []], [[], [700_000]]]


async def test_a_power_cut_anywhere_in_acknowledging_leaves_every_record_in_one_state(
    monkeypatch, folder, tmp_path, records
):
    store = await Store.open(folder)
    for number in (1, 2, 3):
        await store.finish(records.cdr(number), MONTH, DAY)
    ids = [records.call_id(number) for number in (1, 2, 3)]
    photographs = await photographed(monkeypatch, folder, tmp_path, lambda: store.acknowledge(ids, ACK))
    await store.close()
    states = [set((await totals(photograph))[1].values()) for photograph in photographs]
    assert [state for state, _ in itertools.groupby(states)] == [{OutboxState.PENDING}, {OutboxState.ACKNOWLEDGED}]


async def test_a_power_cut_anywhere_in_purging_forgets_no_identity(monkeypatch, folder, tmp_path, records):
    store = await Store.open(folder)
    await store.finish(records.cdr(), MONTH, DAY)
    await store.acknowledge([records.call_id(1)], ACK)
    photographs = await photographed(monkeypatch, folder, tmp_path, lambda: store.purge("2026-04-01T00:00:00Z"))
    await store.close()
    for photograph in photographs:
        survivor = await Store.open(photograph)
        assert await survivor.known(records.call_id(1))
        assert not await survivor.finish(records.cdr(), MONTH, DAY)
        await survivor.close()


async def test_a_power_cut_anywhere_in_the_first_start_does_no_harm(monkeypatch, folder, tmp_path, records):
    folder.mkdir()
    opened = []

    async def first_start():
        opened.append(await Store.open(folder))

    photographs = await photographed(monkeypatch, folder, tmp_path, first_start)
    await opened[0].close()
    assert len(photographs) > 10
    for photograph in photographs:
        store = await Store.open(photograph)
        assert store.damage is None
        assert await store.finish(records.cdr(), MONTH, DAY)
        await store.close()


@pytest.mark.parametrize("statement", range(1, 9))
async def test_an_error_in_any_statement_undoes_the_whole_change(monkeypatch, folder, records, statement):
    store = await Store.open(folder)
    await store.open_call(records.open_call())
    counter = itertools.count(1)
    original = aiosqlite.Connection.execute

    def failing(self, *arguments):
        if next(counter) == statement and arguments[0] != "ROLLBACK":
            raise aiosqlite.OperationalError("disk I/O error")
        return original(self, *arguments)

    failed = False
    with monkeypatch.context() as patch:
        patch.setattr(aiosqlite.Connection, "execute", failing)
        try:
            await store.finish(records.cdr(), MONTH, DAY)
        except StoreError:
            failed = True
    assert await store.known(records.call_id(1)) is not failed
    assert len(await store.open_calls()) == (1 if failed else 0)
    await store.finish(records.cdr(), MONTH, DAY)
    await store.close()
    assert (await totals(folder))[2:] == (1, 1_250_000, 1)


class Household(RuleBasedStateMachine):
    """Calls, uploads, purges and power cuts in any order, beside a plain account of what must be true."""

    calls = Bundle("calls")
    make = None

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.place = Path(tempfile.mkdtemp())
        self.number = itertools.count(1)
        self.boots = 0
        self.store = self.run(Store.open(self.place / "0"))
        self.open = {}
        self.records = {}
        self.purged = set()
        self.counted = 0
        self.corrected = 0
        self.lied = False

    def run(self, awaitable):
        return self.runner.run(_awaited(awaitable))

    def teardown(self):
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.place)

    @rule(target=calls)
    def a_call_opens(self):
        number = next(self.number)
        call = self.make.open_call(number)
        self.run(self.store.open_call(call))
        self.open[call.id] = call
        return number

    @rule(number=calls, at=st.integers(0, 10**6))
    def a_call_is_answered(self, number, at):
        id_ = self.make.call_id(number)
        self.run(self.store.mark_answered(id_, at))
        call = self.open.get(id_)
        if call is not None and call.answered_ms is None:
            self.open[id_] = self.make.open_call(number, answered_ms=at, last_alive_ms=max(at, call.last_alive_ms))

    @rule(number=calls, again=st.integers(1, 3))
    def a_call_ends(self, number, again):
        id_ = self.make.call_id(number)
        new = id_ not in self.records and id_ not in self.purged
        results = [self.run(self.store.finish(self.make.cdr(number), MONTH, DAY)) for _ in range(again)]
        assert results == [new] + [False] * (again - 1)
        self.open.pop(id_, None)
        if new:
            self.records[id_] = OutboxState.PENDING
            self.counted += 1

    @rule(limit=st.integers(1, 5))
    def records_are_uploaded(self, limit):
        ids = [cdr.id for cdr in self.run(self.store.pending(limit))]
        assert ids == [id_ for id_, state in self.records.items() if state is OutboxState.PENDING][:limit]
        assert self.run(self.store.acknowledge(ids, ACK)) == len(ids)
        self.records.update(dict.fromkeys(ids, OutboxState.ACKNOWLEDGED))

    @rule(number=calls)
    def a_record_is_quarantined(self, number):
        id_ = self.make.call_id(number)
        self.run(self.store.quarantine(id_, "poison"))
        if self.records.get(id_) is OutboxState.PENDING:
            self.records[id_] = OutboxState.QUARANTINED

    @rule(number=calls)
    def a_quarantined_record_may_go_again(self, number):
        id_ = self.make.call_id(number)
        apart = self.records.get(id_) is OutboxState.QUARANTINED
        assert self.run(self.store.requeue([id_])) == apart
        if apart:
            self.records[id_] = OutboxState.PENDING

    @rule(number=calls, again=st.integers(1, 2))
    def a_record_is_corrected(self, number, again):
        original = self.make.cdr(number)
        corrected = making.correction(original, TRULY, "operator", self.make.price(700_000), "")
        new = original.id in self.records and corrected.id not in self.records and corrected.id not in self.purged
        results = [self.run(self.store.correct(corrected, LATER_MONTH, LATER_DAY)) for _ in range(again)]
        assert results == [new] + [False] * (again - 1)
        if new:
            self.records[corrected.id] = OutboxState.PENDING
            self.corrected += 1

    @rule()
    def a_week_passes(self):
        old = {id_ for id_, state in self.records.items() if state is OutboxState.ACKNOWLEDGED}
        assert self.run(self.store.purge("2026-03-09T00:00:00Z")) == len(old)
        self.purged |= old
        for id_ in old:
            del self.records[id_]

    @rule()
    def the_agent_restarts(self):
        self.run(self.store.close())
        self.store = self.run(Store.open(self.place / str(self.boots)))

    @precondition(lambda self: self.boots < 20)
    @rule()
    def the_power_fails(self):
        old = self.store
        copy = cut_power(self.place / str(self.boots), self.place / str(self.boots + 1))
        self.run(old.close())
        self.boots += 1
        self.store = self.run(Store.open(copy))

    @precondition(lambda self: self.boots < 20)
    @rule(
        database=st.booleans(),
        how=st.sampled_from(["cut", "zeroed", "gone"]),
        place=st.floats(0, 1),
        more=st.floats(0, 1),
    )
    def the_card_lies(self, database, how, place, more):
        old = self.store
        copy = cut_power(self.place / str(self.boots), self.place / str(self.boots + 1))
        self.run(old.close())
        self.boots += 1
        for path in sorted(copy.glob("store.db*" if database else "journal-*")):
            raw = path.read_bytes()
            first = int(place * len(raw))
            last = first + int(more * (len(raw) - first))
            match how:
                case "cut":
                    path.write_bytes(raw[:first])
                case "zeroed":
                    path.write_bytes(raw[:first] + bytes(last - first) + raw[last:])
                case "gone":
                    path.unlink()
        self.store = self.run(Store.open(copy))
        self.lied = True
        assert self.store.damage is None or not self.store.damage.maybe_missing

    @invariant()
    def nothing_is_lost_and_nothing_is_there_twice(self):
        assert self.lied or self.store.damage is None
        assert {call.id: call for call in self.run(self.store.open_calls())} == self.open
        stored = [(kept.cdr.id, kept.state) for kept in self.run(self.store.recent(1000))]
        assert stored == list(reversed(self.records.items()))
        for month, calls, micro in (
            (MONTH, self.counted - self.corrected, 1_250_000), (LATER_MONTH, self.corrected, 700_000),
        ):  # fmt: skip
            rows = self.run(self.store.usage(month))
            assert sum(row.calls for row in rows) == calls
            assert sum(row.amount_micro for row in rows) == calls * micro
            assert calls or not rows


async def _awaited(awaitable):
    return await awaitable


@pytest.mark.thorough
def test_nothing_is_lost_and_nothing_is_counted_twice_whatever_happens(records):
    class WithRecords(Household):
        make = records

    run_state_machine_as_test(WithRecords, settings=settings(max_examples=25, stateful_step_count=25, deadline=None))
