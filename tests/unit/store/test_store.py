"""What the agent sees of its store: nothing lost, nothing twice, and clear words when something is wrong."""

import asyncio
import sqlite3

import pytest

from agent.core.terms import Direction
from agent.store import (
    OutboxState,
    Store,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreTooNew,
    UsageRow,
)
from agent.store.folder import prepare_database, set_aside
from agent.store.schema import VERSION

MONTH, DAY = "2026-03", "2026-03-01"
ACK = "2026-03-01T13:00:00Z"


@pytest.fixture
async def store(folder):
    store = await Store.open(folder)
    yield store
    await store.close()


async def reopened(store, folder):
    await store.close()
    return await Store.open(folder)


async def test_an_open_call_survives_a_restart_with_its_answer_and_its_last_sign_of_life(folder, records):
    store = await Store.open(folder)
    await store.open_call(records.open_call())
    await store.mark_answered(records.call_id(1), 5000)
    await store.mark_answered(records.call_id(1), 9000)
    await store.mark_alive([records.call_id(1), records.call_id(2)], 20_000)
    await store.mark_alive([records.call_id(1)], 15_000)
    store = await reopened(store, folder)
    assert await store.open_calls() == [records.open_call(answered_ms=5000, last_alive_ms=20_000)]
    await store.close()


async def test_opening_a_call_twice_keeps_what_is_known_of_it(store, records):
    await store.open_call(records.open_call())
    await store.mark_answered(records.call_id(1), 5000)
    await store.open_call(records.open_call())
    assert [call.answered_ms for call in await store.open_calls()] == [5000]


async def test_finishing_a_call_stores_counts_queues_and_closes_it(store, records):
    await store.open_call(records.open_call())
    assert await store.finish(records.cdr(), MONTH, DAY)
    assert await store.open_calls() == []
    assert await store.known(records.call_id(1))
    assert await store.pending(10) == [records.cdr()]
    expected = [UsageRow("+4722000001", calls=1, seconds=61, amount_micro=1_250_000, currency="NOK")]
    assert await store.usage(MONTH) == expected
    assert await store.usage_day(DAY) == expected


async def test_finishing_twice_counts_once_and_the_first_record_stands(store, records):
    assert await store.finish(records.cdr(), MONTH, DAY)
    assert not await store.finish(records.cdr(duration_ms=1), MONTH, DAY)
    assert [row.calls for row in await store.usage(MONTH)] == [1]
    assert await store.pending(10) == [records.cdr()]


async def test_a_finished_call_cannot_be_opened_again(store, records):
    await store.finish(records.cdr(), MONTH)
    await store.open_call(records.open_call())
    assert await store.open_calls() == []


async def test_a_purged_call_that_comes_back_is_not_counted_again(store, records):
    await store.finish(records.cdr(), MONTH)
    await store.acknowledge([records.call_id(1)], ACK)
    assert await store.purge("2026-03-08T13:00:00Z") == 1
    assert await store.known(records.call_id(1))
    assert not await store.finish(records.cdr(), MONTH)
    assert [row.calls for row in await store.usage(MONTH)] == [1]
    assert await store.recent(10) == []


async def test_usage_is_per_own_number_and_knows_only_answered_outgoing_calls(store, records):
    await store.finish(records.cdr(1), MONTH, DAY)
    await store.finish(records.cdr(2, own_number="+4722000002", price=None), MONTH, DAY)
    await store.finish(records.cdr(3, direction=Direction.INCOMING, price=None), MONTH, DAY)
    await store.finish(records.cdr(4, duration_ms=0, price=None), MONTH, DAY)
    await store.finish(records.cdr(5, duration_ms=2000, price=None), MONTH, DAY)
    await store.finish(records.cdr(6), "2026-04", "2026-04-01")
    assert await store.usage(MONTH) == [
        UsageRow("+4722000001", calls=2, seconds=63, amount_micro=1_250_000, currency="NOK"),
        UsageRow("+4722000002", calls=1, seconds=61, amount_micro=0, currency=""),
    ]
    assert await store.usage_day("2026-03-02") == []


async def test_amounts_of_different_currencies_are_never_added(store, records):
    await store.finish(records.cdr(1), MONTH)
    await store.finish(records.cdr(2, price=records.price(500, "EUR")), MONTH)
    assert [(row.currency, row.amount_micro) for row in await store.usage(MONTH)] == [("EUR", 500), ("NOK", 1_250_000)]


@pytest.mark.parametrize(("month", "day"), [("2026-3", ""), ("2026-03", "2026-04-01"), ("2026-03", "1 March")])
async def test_a_period_that_is_none_is_refused_before_anything_is_written(store, records, month, day):
    with pytest.raises(ValueError):
        await store.finish(records.cdr(), month, day)
    assert not await store.known(records.call_id(1))


async def test_the_outbox_gives_the_oldest_first_and_forgets_only_what_is_acknowledged(store, records):
    for number in (3, 1, 2):
        await store.finish(records.cdr(number), MONTH)
    assert [cdr.id for cdr in await store.pending(2)] == [records.call_id(3), records.call_id(1)]
    assert await store.acknowledge([records.call_id(3), records.call_id(3), records.call_id(9)], ACK) == 1
    assert await store.acknowledge([records.call_id(3)], ACK) == 0
    await store.quarantine(records.call_id(1), "conflict")
    assert [cdr.id for cdr in await store.pending(10)] == [records.call_id(2)]
    assert (await store.pending_count(), await store.quarantined_count()) == (1, 1)


async def test_what_is_acknowledged_cannot_be_quarantined_nor_the_other_way_round(store, records):
    await store.finish(records.cdr(1), MONTH)
    await store.finish(records.cdr(2), MONTH)
    await store.acknowledge([records.call_id(1)], ACK)
    await store.quarantine(records.call_id(1), "late")
    await store.quarantine(records.call_id(2), "poison")
    assert await store.acknowledge([records.call_id(2)], ACK) == 0
    assert [(kept.state, kept.reason) for kept in await store.recent(10)] == [
        (OutboxState.QUARANTINED, "poison"),
        (OutboxState.ACKNOWLEDGED, ""),
    ]


async def test_purge_takes_acknowledged_records_only_and_only_old_ones(store, records):
    for number in (1, 2, 3, 4):
        await store.finish(records.cdr(number), MONTH)
    await store.acknowledge([records.call_id(1)], "2026-03-01T13:00:00+01:00")
    await store.acknowledge([records.call_id(2)], "2026-03-01T13:00:00Z")
    await store.quarantine(records.call_id(3), "conflict")
    assert await store.purge("2026-03-01T12:30:00Z") == 1
    assert [kept.cdr.id for kept in await store.recent(10)] == [
        records.call_id(4),
        records.call_id(3),
        records.call_id(2),
    ]


@pytest.mark.parametrize("at", ["yesterday", "2026-03-01T13:00:00"])
async def test_a_time_that_is_none_is_refused(store, records, at):
    with pytest.raises(ValueError):
        await store.acknowledge([records.call_id(1)], at)


async def test_recent_shows_the_newest_first_and_no_more_than_asked_for(store, records):
    for number in range(1, 6):
        await store.finish(records.cdr(number), MONTH)
    assert [kept.cdr.id for kept in await store.recent(2)] == [records.call_id(5), records.call_id(4)]
    assert await store.recent(0) == []


async def test_documents_are_replaced_and_survive(folder):
    store = await Store.open(folder)
    assert await store.document("subscription") is None
    await store.put_document("subscription", b"one")
    await store.put_document("subscription", b"two")
    store = await reopened(store, folder)
    assert await store.document("subscription") == b"two"
    await store.close()


async def test_a_document_has_a_bounded_size(store):
    with pytest.raises(ValueError, match="at most"):
        await store.put_document("subscription", bytes((1 << 20) + 1))
    with pytest.raises(ValueError):
        await store.put_document("", b"")


async def test_the_epoch_stays_with_the_file(folder):
    store = await Store.open(folder)
    epoch = await store.epoch()
    store = await reopened(store, folder)
    assert await store.epoch() == epoch
    assert len(epoch) == 32
    await store.close()


async def test_records_are_numbered_without_a_gap_inside_an_epoch(folder, records):
    store = await Store.open(folder)
    for number in (7, 3, 5):
        assert await store.finish(records.cdr(number), MONTH)
        assert not await store.finish(records.cdr(number), MONTH)
    store = await reopened(store, folder)
    await store.finish(records.cdr(1), MONTH)
    ids = [records.call_id(number) for number in (1, 5, 3, 7)]
    assert await store.numbers(ids) == [4, 3, 2, 1]
    assert await store.numbers([*ids, records.call_id(9)]) == []
    await store.close()


async def test_a_second_agent_is_refused_and_told_why(store, folder):
    with pytest.raises(StoreLocked, match="another agent is running"):
        await Store.open(folder)
    await store.close()
    second = await Store.open(folder)
    await second.close()


async def test_a_reader_sees_commits_while_the_agent_runs_and_cannot_write(store, folder, records):
    await store.finish(records.cdr(), MONTH, DAY)
    async with await Store.open_reader(folder) as reader:
        assert [kept.cdr for kept in await reader.recent(10)] == [records.cdr()]
        await store.finish(records.cdr(2), MONTH, DAY)
        assert await reader.pending_count() == 2
        assert [row.calls for row in await reader.usage(MONTH)] == [2]
        assert not hasattr(reader, "finish")
        with pytest.raises(StoreError, match=r"readonly|read-only"):
            await reader._database.read("x", "DELETE FROM cdr")


async def test_a_reader_works_after_the_agent_has_stopped(folder, records):
    store = await Store.open(folder)
    await store.finish(records.cdr(), MONTH)
    await store.close()
    async with await Store.open_reader(folder) as reader:
        assert await reader.pending_count() == 1


async def test_a_reader_of_nothing_says_so_and_makes_nothing(folder):
    with pytest.raises(StoreMissing, match="there is no store"):
        await Store.open_reader(folder)
    assert not folder.exists()


async def test_the_files_belong_to_their_owner_alone(store, folder, records):
    await store.finish(records.cdr(), MONTH)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_the_store_commits_through_to_the_disk(store):
    rows = {
        name: (await store._database.read("x", f"PRAGMA {name}"))[0][0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "user_version")
    }
    assert rows == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "user_version": VERSION,
    }


async def test_a_closed_store_says_that_it_is_closed(folder, records):
    store = await Store.open(folder)
    await store.close()
    await store.close()
    with pytest.raises(StoreClosed):
        await store.finish(records.cdr(), MONTH)
    with pytest.raises(StoreClosed):
        await store.pending_count()


@pytest.mark.parametrize(
    "garbage", [b"this is no database, it never was one" * 200, b"SQLite format 3\0" + bytes(5000)]
)
async def test_a_file_that_is_no_database_is_set_aside_loudly_and_the_telephone_goes_on(folder, records, garbage):
    folder.mkdir()
    (folder / "store.db").write_bytes(garbage)
    store = await Store.open(folder)
    assert isinstance(store.damage, StoreDamaged)
    assert store.damage.kept == folder / "store.damaged-1.db"
    assert "store.damaged-1.db" in str(store.damage)
    assert store.damage.kept.read_bytes() == garbage
    assert await store.finish(records.cdr(), MONTH)
    store = await reopened(store, folder)
    assert store.damage is None
    assert await store.known(records.call_id(1))
    await store.close()


async def test_each_damaged_file_gets_its_own_name_and_the_new_store_a_new_epoch(folder, records):
    epochs = set()
    for _ in range(3):
        store = await Store.open(folder)
        epochs.add(await store.epoch())
        await store.finish(records.cdr(), MONTH)
        await store.close()
        raw = bytearray((folder / "store.db").read_bytes())
        raw[4096:] = bytes(len(raw) - 4096)
        (folder / "store.db").write_bytes(raw)
    store = await Store.open(folder)
    assert len(epochs) == 3
    assert sorted(path.name for path in folder.glob("store.damaged-*.db")) == [
        "store.damaged-1.db",
        "store.damaged-2.db",
        "store.damaged-3.db",
    ]
    await store.close()


async def test_a_power_cut_while_setting_aside_does_not_pour_the_old_log_into_the_new_store(folder, records):
    store = await Store.open(folder)
    await store.finish(records.cdr(), MONTH)
    wal = (folder / "store.db-wal").read_bytes()
    await store.close()
    (folder / "store.db").rename(folder / "store.damaged-1.db")
    (folder / "store.db-wal").write_bytes(wal)
    store = await Store.open(folder)
    assert store.damage is not None
    assert not store.damage.maybe_missing
    assert [kept.cdr for kept in await store.recent(10)] == [records.cdr()], "the journal brings it back, once"
    assert (folder / "store.damaged-1.db-wal").read_bytes() == wal
    await store.close()


def test_setting_aside_takes_the_log_along(folder):
    folder.mkdir()
    prepare_database(folder)
    (folder / "store.db-wal").write_bytes(b"log")
    kept = set_aside(folder)
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"log"
    assert not list(folder.glob("store.db*"))


async def test_a_store_of_a_newer_version_is_refused_not_set_aside(folder):
    store = await Store.open(folder)
    await store.close()
    with sqlite3.connect(folder / "store.db") as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'oldest_version'")
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreTooNew, match="99"):
        await Store.open(folder)
    assert not list(folder.glob("store.damaged*"))


async def test_after_falling_back_to_older_software_a_store_that_only_grew_is_still_used(folder, records):
    store = await Store.open(folder)
    await store.finish(records.cdr(), MONTH)
    await store.close()
    with sqlite3.connect(folder / "store.db") as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
        db.execute("ALTER TABLE cdr ADD COLUMN novelty TEXT")
    db.close()
    store = await Store.open(folder)
    assert await store.finish(records.cdr(2), MONTH)
    assert await store.pending_count() == 2
    await store.close()


async def test_a_full_disk_is_named_and_nothing_is_half_written(store, records):
    await store.open_call(records.open_call())
    pages = (await store._database.read("x", "PRAGMA page_count"))[0][0]
    await store._database.read("x", f"PRAGMA max_page_count = {pages}")
    full_at = 0
    with pytest.raises(StoreFull, match="the disk is full"):  # noqa: PT012 - which call meets the end is SQLite's affair
        for full_at in range(1, 200):
            await store.finish(records.cdr(full_at, refusal="x" * 120), MONTH)
    assert not await store.known(records.call_id(full_at))
    assert await store.pending_count() == full_at - 1
    await store._database.read("x", "PRAGMA max_page_count = 1000000")
    assert await store.finish(records.cdr(full_at), MONTH)
    assert [row.calls for row in await store.usage(MONTH)] == [full_at]


async def test_a_record_whose_bytes_changed_is_quarantined_and_holds_nothing_up(store, records):
    await store.finish(records.cdr(1), MONTH)
    await store.finish(records.cdr(2), MONTH)
    forged = "CAST(replace(CAST(body AS TEXT), '1250000', '9250000') AS BLOB)"
    await store._database.read("x", f"UPDATE cdr SET body = {forged} WHERE seq = 1")

    assert [cdr.id for cdr in await store.pending(10)] == [records.call_id(2)]
    assert await store.quarantined_count() == 1
    assert [kept.cdr.id for kept in await store.recent(10)] == [records.call_id(2)]


async def test_calls_that_end_at_the_same_moment_are_all_counted(store, records):
    results = await asyncio.gather(*(store.finish(records.cdr(n % 20), MONTH) for n in range(60)))
    assert results.count(True) == 20
    assert [row.calls for row in await store.usage(MONTH)] == [20]


async def test_a_cancelled_caller_does_not_tear_the_transaction(folder, records):
    store = await Store.open(folder)
    for number in range(20):
        task = asyncio.create_task(store.finish(records.cdr(number), MONTH))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await store.finish(records.cdr(number), MONTH) in (True, False)
    assert [row.calls for row in await store.usage(MONTH)] == [20]
    assert await store.pending_count() == 20
    store = await reopened(store, folder)
    assert await store.pending_count() == 20
    await store.close()


async def test_what_was_begun_is_carried_through_although_nobody_waits_for_it(store, records):
    task = asyncio.create_task(store.finish(records.cdr(), MONTH))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.known(records.call_id(1))


async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="could not open the store's folder"):
        await Store.open(tmp_path / "file" / "store")


async def test_an_idle_store_folds_its_log_in_once_everything_is_acknowledged(store, folder, records):
    for number in range(300):
        await store.finish(records.cdr(number), MONTH)
    assert (folder / "store.db-wal").stat().st_size > 0
    await store.acknowledge([records.call_id(number) for number in range(299)], ACK)
    assert (folder / "store.db-wal").stat().st_size > 0
    await store.acknowledge([records.call_id(299)], ACK)
    assert (folder / "store.db-wal").stat().st_size == 0
