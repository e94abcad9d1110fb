"""A disk that is full, failing or low: what goes first, what never goes, and how the store gets well by itself."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import aiosqlite
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from agent.store import Store, StoreError, StoreFull
from agent.store.room import BALLAST

MONTH, DAY = "2026-03", "2026-03-01"
ACK = "2026-03-01T13:00:00Z"


@pytest.fixture
async def store(folder):
    store = await Store.open(folder)
    yield store
    await store.close()


class FullDisk:
    """Refuses what a full disk refuses until one of these files is gone; the journal's writes meet it first."""

    def __init__(self, monkeypatch, *frees):
        self.frees, self.full = frees, True
        self._write, self._fallocate = os.write, os.posix_fallocate
        monkeypatch.setattr(os, "write", self._refusing(self._write))
        monkeypatch.setattr(os, "posix_fallocate", self._refusing(self._fallocate))

    def _refusing(self, original):
        def call(*arguments):
            if self.full and all(path.exists() for path in self.frees):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*arguments)

        return call


def given_up(logs):
    return [entry["given_up"] for entry in logs if entry["event"] == "store_made_room"]


async def test_the_ballast_is_made_when_there_is_room_and_counts_as_room(store, folder):
    assert not (folder / BALLAST).exists()
    before = await store.tend()
    assert (folder / BALLAST).stat().st_size > 0
    assert (await store.tend()).ballast
    assert before.free == pytest.approx((await store.tend()).free, rel=0.2)


async def test_leftovers_go_first_and_nothing_else_with_them(store, folder, records, monkeypatch):
    await store.tend()
    leftover = folder / "store.damaged-1.db"
    leftover.write_bytes(b"x" * 5000)
    FullDisk(monkeypatch, leftover)
    with capture_logs() as logs:
        await store.open_call(records.open_call())
    assert given_up(logs) == ["leftovers"]
    assert (folder / BALLAST).exists()
    assert [call.id for call in await store.open_calls()] == [records.call_id(1)]


async def test_spare_price_lists_go_before_any_record_does(store, folder, records, monkeypatch):
    await store.finish(records.cdr(1), MONTH, DAY)
    await store.acknowledge([records.call_id(1)], ACK)
    await store.tend()
    old = folder / "old.deck"
    old.write_bytes(b"x" * 5000)
    store.can_spare(lambda: [old])
    FullDisk(monkeypatch, old)
    with capture_logs() as logs:
        await store.open_call(records.open_call(2))
    assert given_up(logs)[-1] == "price_lists"
    assert await store.recent(5)


async def test_the_ballast_goes_last_and_a_record_that_waits_never(store, folder, records, monkeypatch):
    await store.finish(records.cdr(1), MONTH, DAY)
    await store.tend()
    FullDisk(monkeypatch, folder / BALLAST)
    with capture_logs() as logs:
        assert await store.finish(records.cdr(2), MONTH, DAY)
    assert given_up(logs)[-1] == "ballast"
    assert await store.pending_count() == 2
    assert sum(row.calls for row in await store.usage(MONTH)) == 2


async def test_the_ballast_lends_its_room_to_forget_what_the_operator_has_and_nobody_will_correct(
    store, folder, records, monkeypatch
):
    for number in range(1, 4):
        await store.finish(records.cdr(number), MONTH, DAY)
    undated = replace(records.cdr(4), time_trusted=False)
    await store.finish(undated, MONTH, DAY)
    await store.acknowledge([records.call_id(number) for number in (1, 2, 4)], ACK)
    await store.tend()
    (segment,) = folder.glob("journal-*")
    FullDisk(monkeypatch, folder / BALLAST, segment)
    with capture_logs() as logs:
        await store.open_call(records.open_call(9))
    assert given_up(logs)[-1] == "acknowledged_records"
    assert (folder / BALLAST).exists()
    assert [kept.cdr.id for kept in await store.recent(9)] == [undated.id, records.call_id(3)]
    assert not await store.finish(records.cdr(1), MONTH, DAY)
    journal = b"".join(path.read_bytes() for path in folder.glob("journal-*"))
    assert b'"cdr":' in journal
    assert journal.count(b'"cdr":') == 2


async def test_with_nothing_left_to_give_the_change_is_refused_whole_and_told(store, records, monkeypatch):
    disk = FullDisk(monkeypatch)
    with pytest.raises(StoreFull):
        await store.open_call(records.open_call())
    assert "full" in str(store.trouble)
    assert await store.open_calls() == []
    await store.tend()
    assert "full" in str(store.trouble)
    disk.full = False
    await store.tend()
    assert store.trouble is None
    assert (await store.tend()).ballast
    await store.open_call(records.open_call())


async def first_refused(store, records):
    for number in range(1, 200):
        try:
            await store.finish(records.cdr(number), MONTH, DAY)
        except StoreFull:
            return number
    return 0


async def test_the_database_itself_meets_the_full_disk_and_the_record_is_there_once(store, folder, records):
    """SQLite's own SQLITE_FULL, with a bound on its pages; the journal has the record already."""
    database = store._database._connection
    (pages,) = (await database.execute_fetchall("PRAGMA page_count"))[0]
    await database.execute(f"PRAGMA max_page_count = {pages}")
    number = await first_refused(store, records)
    assert number > 1
    assert await store.pending_count() == number - 1
    await database.execute(f"PRAGMA max_page_count = {pages + 1000}")
    assert await store.finish(records.cdr(number), MONTH, DAY)
    await store.close()
    again = await Store.open(folder)
    assert again.damage is None
    assert sum(row.calls for row in await again.usage(MONTH)) == number
    await again.close()


async def test_an_input_output_error_is_told_until_a_write_succeeds_again(store, records, monkeypatch):
    original = aiosqlite.Connection.execute

    def failing(self, sql, *arguments):
        if sql == "COMMIT":
            raise aiosqlite.OperationalError("disk I/O error")
        return original(self, sql, *arguments)

    with monkeypatch.context() as broken:
        broken.setattr(aiosqlite.Connection, "execute", failing)
        with pytest.raises(StoreError):
            await store.open_call(records.open_call())
        await store.tend()
        assert "I/O error" in str(store.trouble)
    await store.tend()
    assert store.trouble is None


async def test_a_journal_that_fails_leaves_one_copy_and_is_written_anew_when_it_can_be(
    store, folder, records, monkeypatch
):
    with monkeypatch.context() as broken:

        def failing(*_):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        broken.setattr(os, "write", failing)
        with capture_logs() as logs:
            await store.finish(records.cdr(1), MONTH, DAY)
            await store.finish(records.cdr(2), MONTH, DAY)
            await store.tend()
        assert [entry["event"] for entry in logs].count("journal_failed") == 1
        assert "Input/output error" in store.journal_trouble
        assert store.trouble is None
    await store.tend()
    assert store.journal_trouble == ""
    await store.close()
    (folder / "store.db").unlink()
    again = await Store.open(folder)
    assert {kept.cdr.id for kept in await again.recent(9)} == {records.call_id(1), records.call_id(2)}
    assert not again.damage.maybe_missing
    await again.close()


async def test_half_a_statement_of_everything_takes_no_room_and_breaks_no_count(store, folder, records, monkeypatch):
    for number in range(1, 30):
        await store.finish(records.cdr(number), MONTH, DAY)
    before = {path.name: path.stat().st_size for path in folder.glob("journal-*")}
    original, budget = os.write, [3000]

    def nearly_full(descriptor, body):
        if budget[0] < len(body):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        budget[0] -= len(body)
        return original(descriptor, body)

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", nearly_full)
        with pytest.raises(StoreFull):
            await store._database.renew_journal()
    assert {path.name: path.stat().st_size for path in folder.glob("journal-*")} == before
    await store.finish(records.cdr(30), MONTH, DAY)
    await store.close()
    again = await Store.open(folder)
    assert again.damage is None
    assert sum(row.calls for row in await again.usage(MONTH)) == 30
    await again.close()


async def test_a_disk_that_is_full_at_the_start_gives_up_the_ballast_to_open(folder, records, monkeypatch):
    store = await Store.open(folder)
    await store.finish(records.cdr(1), MONTH, DAY)
    await store.tend()
    await store.close()
    for segment in folder.glob("journal-*"):
        segment.unlink()  # so that opening has something to write
    FullDisk(monkeypatch, folder / BALLAST)
    again = await Store.open(folder)
    assert await again.pending_count() == 1
    assert not (folder / BALLAST).exists()
    await again.close()


def files_with(folder: Path, words: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and words in path.read_bytes()]


async def test_a_purged_number_is_in_no_file_of_the_folder_any_more(store, folder, records):
    told, kept = "+4791234567", "+4790000001"
    for number in range(1, 60):
        await store.open_call(replace(records.open_call(number), number=told))
        await store.finish(replace(records.cdr(number), number=told), MONTH, DAY)
    await store.finish(replace(records.cdr(99), number=kept), MONTH, DAY)
    await store.acknowledge([records.call_id(number) for number in range(1, 60)], ACK)
    assert files_with(folder, told[1:].encode())
    (folder / "store.damaged-1.db").write_bytes(told.encode())
    os.utime(folder / "store.damaged-1.db", (0, 0))
    assert await store.purge("2026-03-08T13:00:00Z") == 59
    assert files_with(folder, told[1:].encode()) == []
    assert files_with(folder, kept[1:].encode())


async def test_a_purge_that_could_not_clean_the_journal_is_made_good_by_the_next_one(
    store, folder, records, monkeypatch
):
    told = "+4791234567"
    await store.finish(replace(records.cdr(1), number=told), MONTH, DAY)
    await store.acknowledge([records.call_id(1)], ACK)

    async def away(_self):
        raise StoreError("not now")

    with monkeypatch.context() as broken:
        broken.setattr("agent.store.database.Database.renew_journal", away)
        with pytest.raises(StoreError):
            await store.purge("2026-03-08T13:00:00Z")
    await store.close()
    again = await Store.open(folder)
    assert await again.purge("2026-03-08T13:00:00Z") == 0
    assert files_with(folder, told[1:].encode()) == []
    await again.close()
