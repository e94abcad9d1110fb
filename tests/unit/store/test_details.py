"""Usage by class of number and by minute pack is counted with the record, and survives whatever the record survives."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from agent import records as making
from agent.core.cdr import PackTake
from agent.core.terms import Direction
from agent.store import Store
from agent.store.journal import segments
from agent.store.records import UsageDetails

MONTH, DAY = "2026-03", "2026-03-31"
NEXT = "2026-04"


def packed(records, amount_micro, *takes):
    price = records.price(amount_micro)
    return msgspec.structs.replace(
        price, packs=[PackTake(pack=pack, month=month, seconds=seconds) for pack, month, seconds in takes]
    )


def sweden(records, call=1, **changes):
    return msgspec.structs.replace(records.cdr(call, **changes), number="+4681234567")


async def everything(store):
    return await store.usage_details(MONTH), await store.usage_details(NEXT)


async def fill(store, records):
    """Sweden over the end of the month, a premium number, a mobile in the pack, an incoming call."""
    over = packed(records, 3_000_000, ("norden", MONTH, 60), ("norden", NEXT, 90))
    await store.finish(sweden(records, 1, price=over), MONTH, DAY)
    await store.finish(
        msgspec.structs.replace(records.cdr(2, price=records.price(9_000_000)), number="+4782900000"), MONTH, DAY
    )
    await store.finish(records.cdr(3, price=packed(records, 0, ("mobil", MONTH, 30))), MONTH, DAY)
    await store.finish(records.cdr(4, direction=Direction.INCOMING, price=None), MONTH, DAY)


FULL = (
    UsageDetails({"international": 3_000_000, "premium": 9_000_000, "mobile": 0}, {"norden": 60, "mobil": 30}),
    UsageDetails({}, {"norden": 90}),
)


@pytest.mark.parametrize("harm", ["database", "journal", "neither"])
@pytest.mark.parametrize("purged", [False, True])
async def test_classes_and_packs_survive_the_loss_of_either_copy(folder, records, harm, purged):
    store = await Store.open(folder)
    await fill(store, records)
    assert await everything(store) == FULL
    if purged:
        await store.acknowledge([records.call_id(1)], "2026-03-31T10:00:00Z")
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
        assert await everything(store) == FULL
        await store.close()


async def test_a_record_that_only_the_journal_has_is_counted_once(folder, records):
    store = await Store.open(folder)
    await fill(store, records)
    await store.close()
    with closing(sqlite3.connect(folder / "store.db")) as db, db:
        db.execute("DELETE FROM cdr WHERE id = ?", (records.call_id(1),))
        db.execute("UPDATE detail SET amount_micro = 0, seconds = 0 WHERE name IN ('international', 'norden')")
    for _ in range(2):
        store = await Store.open(folder)
        assert await everything(store) == FULL
        await store.close()


async def test_the_salvage_of_a_damaged_file_counts_what_the_journal_has_lost(folder, records):
    store = await Store.open(folder)
    await fill(store, records)
    await store.close()
    for path in segments(folder):
        path.unlink()
    path = folder / "store.db"
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'usage'").fetchone()
    harmed = bytearray(path.read_bytes())
    harmed[(root - 1) * 4096 : root * 4096] = bytes(4096)
    path.write_bytes(harmed)
    store = await Store.open(folder)
    assert store.damage is not None
    assert await everything(store) == FULL
    await store.close()


async def test_what_a_version_without_details_has_recorded_is_counted_from_its_records(folder, records):
    store = await Store.open(folder)
    await fill(store, records)
    await store.close()
    for path in segments(folder):
        path.unlink()
    with closing(sqlite3.connect(folder / "store.db")) as db, db:
        db.execute("DROP TABLE detail")
        db.execute("PRAGMA user_version = 2")
    store = await Store.open(folder)
    assert await everything(store) == FULL
    await store.close()


async def test_a_correction_takes_class_and_pack_back_from_where_they_counted(folder, records):
    store = await Store.open(folder)
    cdr = sweden(
        records, price=packed(records, 3_000_000, ("norden", MONTH, 60)), time_trusted=False,
        began_at="2026-03-31T12:00:00Z",
    )  # fmt: skip
    await store.finish(cdr, MONTH, DAY)
    began = datetime(2026, 4, 1, 9, tzinfo=UTC)
    right = making.correction(cdr, began, "operator", packed(records, 1_000_000, ("norden", NEXT, 50)), "")
    await store.correct(right, NEXT, f"{NEXT}-01")
    assert await everything(store) == (
        UsageDetails({}, {}), UsageDetails({"international": 1_000_000}, {"norden": 50}),
    )  # fmt: skip
    await store.close()


async def test_the_newest_prices_are_told_with_their_moment_for_the_last_hour_and_day(folder, records):
    store = await Store.open(folder)
    await fill(store, records)
    answered = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
    ended = answered + timedelta(milliseconds=60_001)
    assert sorted(await store.priced_since(answered)) == [(ended, 3_000_000), (ended, 9_000_000)]
    assert await store.priced_since(ended) == []
    await store.close()
