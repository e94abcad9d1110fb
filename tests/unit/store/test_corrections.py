"""A record that began before the time was known is followed by its correction: it counts there, and there alone."""

from datetime import UTC, datetime

import pytest

from agent import records as making
from agent.store import OutboxState, Store
from agent.store.journal import segments

OLD_MONTH, OLD_DAY = "2026-01", "2026-01-01"
MONTH, DAY = "2026-03", "2026-03-31"
BEGAN = datetime(2026, 3, 31, 9, tzinfo=UTC)


@pytest.fixture
async def store(folder):
    store = await Store.open(folder)
    yield store
    await store.close()


def undated(records, number=1, **changes):
    return records.cdr(number, began_at="2026-01-01T00:00:07.000Z", time_trusted=False, **changes)


def corrected(records, cdr, amount_micro=700_000):
    return making.correction(cdr, BEGAN, "operator", records.price(amount_micro), "")


async def periods(store):
    return {
        period: [(row.calls, row.seconds, row.amount_micro) for row in rows]
        for period, rows in {
            OLD_MONTH: await store.usage(OLD_MONTH), OLD_DAY: await store.usage_day(OLD_DAY),
            MONTH: await store.usage(MONTH), DAY: await store.usage_day(DAY),
        }.items()
    }  # fmt: skip


MOVED = {OLD_MONTH: [], OLD_DAY: [], MONTH: [(1, 61, 700_000)], DAY: [(1, 61, 700_000)]}


async def test_a_correction_moves_the_call_to_its_month_and_day_at_its_price(store, records):
    cdr = undated(records)
    await store.finish(cdr, OLD_MONTH, OLD_DAY)
    assert await store.correct(corrected(records, cdr), MONTH, DAY)
    assert await periods(store) == MOVED
    assert [one.id for one in await store.pending(10)] == [cdr.id, making.correction_id(cdr.id)]


async def test_a_correction_is_made_once(store, records):
    cdr = undated(records)
    await store.finish(cdr, OLD_MONTH, OLD_DAY)
    assert await store.correct(corrected(records, cdr), MONTH, DAY)
    assert not await store.correct(corrected(records, cdr, 900_000), MONTH, DAY)
    assert await periods(store) == MOVED


async def test_in_the_same_month_only_the_difference_counts(store, records):
    cdr = undated(records)
    await store.finish(cdr, MONTH, "2026-03-30")
    await store.finish(undated(records, 2), MONTH, "2026-03-30")
    await store.correct(corrected(records, cdr), MONTH, DAY)
    (row,) = await store.usage(MONTH)
    assert (row.calls, row.seconds, row.amount_micro) == (2, 122, 1_250_000 + 700_000)
    (row,) = await store.usage_day("2026-03-30")
    assert (row.calls, row.amount_micro) == (1, 1_250_000)


async def test_an_unpriced_call_gets_its_price_and_keeps_its_seconds(store, records):
    cdr = undated(records, price=None, unpriced="no price for that day")
    await store.finish(cdr, OLD_MONTH, OLD_DAY)
    await store.correct(corrected(records, cdr), MONTH, DAY)
    assert await periods(store) == MOVED


async def test_a_correction_of_a_record_that_was_purged_is_not_counted(store, records):
    assert not await store.correct(corrected(records, undated(records)), MONTH, DAY)
    assert await periods(store) == {OLD_MONTH: [], OLD_DAY: [], MONTH: [], DAY: []}


async def test_the_store_names_the_records_nobody_vouches_for_page_by_page(store, records):
    for number in range(1, 6):
        await store.finish(undated(records, number) if number % 2 else records.cdr(number), OLD_MONTH, OLD_DAY)
    first = await store.undated("", 2)
    assert [cdr.id for cdr in first] == [records.call_id(1), records.call_id(3)]
    assert [cdr.id for cdr in await store.undated(first[-1].id, 2)] == [records.call_id(5)]
    assert await store.undated(records.call_id(5), 2) == []


@pytest.mark.parametrize("harm", ["database", "journal", "neither"])
@pytest.mark.parametrize("purged", [False, True])
async def test_the_totals_survive_the_loss_of_either_copy(folder, records, harm, purged):
    store = await Store.open(folder)
    cdr = undated(records)
    await store.finish(cdr, OLD_MONTH, OLD_DAY)
    await store.correct(corrected(records, cdr), MONTH, DAY)
    if purged:
        await store.acknowledge([cdr.id], "2026-03-31T10:00:00Z")
        await store.purge("2026-04-01T10:00:00Z")
    await store.close()
    match harm:
        case "database":
            for path in folder.glob("store.db*"):
                path.unlink()
        case "journal":
            for path in segments(folder):
                path.unlink()
    for _ in range(2):
        store = await Store.open(folder)
        assert await periods(store) == MOVED
        assert not await store.correct(corrected(records, cdr), MONTH, DAY)
        await store.close()


async def test_a_correction_that_only_the_journal_has_is_brought_in_once(folder, records):
    store = await Store.open(folder)
    cdr = undated(records)
    await store.finish(cdr, OLD_MONTH, OLD_DAY)
    await store.close()
    before = {path: path.read_bytes() for path in folder.glob("store.db*")}
    store = await Store.open(folder)
    await store.correct(corrected(records, cdr), MONTH, DAY)
    await store.close()
    for path in folder.glob("store.db*"):
        path.unlink()
    for path, body in before.items():
        path.write_bytes(body)
    for _ in range(2):
        store = await Store.open(folder)
        assert await periods(store) == MOVED
        await store.close()


async def test_records_keep_their_numbers_when_the_database_is_made_anew(folder, records):
    store = await Store.open(folder)
    for number in range(1, 5):
        await store.finish(records.cdr(number), MONTH, DAY)
    await store.acknowledge([records.call_id(2)], "2026-03-31T10:00:00Z")
    await store.close()
    (folder / "store.db").unlink()
    store = await Store.open(folder)
    assert await store.numbers([records.call_id(number) for number in range(1, 5)]) == [1, 2, 3, 4]
    await store.finish(records.cdr(5), MONTH, DAY)
    assert await store.numbers([records.call_id(5)]) == [5]
    await store.close()


async def test_a_record_that_is_lost_leaves_a_gap_in_the_numbers(folder, records):
    store = await Store.open(folder)
    for number in range(1, 5):
        await store.finish(records.cdr(number), MONTH, DAY)
    await store.close()
    (folder / "store.db").unlink()
    (segment,) = segments(folder)
    lines = segment.read_bytes().splitlines(keepends=True)
    place = next(index for index, line in enumerate(lines) if records.call_id(3).encode() in line)
    segment.write_bytes(b"".join([*lines[:place], bytes(len(lines[place]) - 1) + b"\n", *lines[place + 1 :]]))
    store = await Store.open(folder)
    kept = [cdr.id for cdr in await store.pending(10)]
    assert records.call_id(3) not in kept
    assert 3 not in await store.numbers(kept)
    assert await store.numbers([records.call_id(4)]) == [4]
    await store.close()


async def test_what_was_set_apart_waits_again_when_a_technician_says_so(folder, records):
    store = await Store.open(folder)
    for number in range(1, 4):
        await store.finish(records.cdr(number), MONTH, DAY)
        await store.quarantine(records.call_id(number), "conflict")
    assert await store.requeue([records.call_id(2), "no such record"]) == 1
    assert [cdr.id for cdr in await store.pending(9)] == [records.call_id(2)]
    assert await store.requeue() == 2
    await store.quarantine(records.call_id(3), "again")
    await store.close()
    for copies in ("both", "journal", "both"):
        if copies == "journal":
            (folder / "store.db").unlink()
        store = await Store.open(folder)
        assert (store.damage is None) == (copies == "both")
        assert {one.cdr.id: (one.state, one.reason) for one in await store.recent(9)} == {
            records.call_id(1): (OutboxState.PENDING, ""),
            records.call_id(2): (OutboxState.PENDING, ""),
            records.call_id(3): (OutboxState.QUARANTINED, "again"),
        }
        await store.close()


async def test_a_record_that_was_taken_after_all_does_not_wait_again(folder, records):
    store = await Store.open(folder)
    await store.finish(records.cdr(1), MONTH, DAY)
    await store.quarantine(records.call_id(1), "conflict")
    await store.requeue()
    await store.acknowledge([records.call_id(1)], "2026-03-31T10:00:00Z")
    await store.close()
    (folder / "store.db").unlink()
    store = await Store.open(folder)
    assert [one.state for one in await store.recent(9)] == [OutboxState.ACKNOWLEDGED]
    await store.close()
