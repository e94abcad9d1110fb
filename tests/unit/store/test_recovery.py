"""One of the two copies is harmed, or both: what can be known is there again by itself, once, and the rest is told."""

import asyncio
import os
import random
import shutil
import sqlite3

import aiosqlite
import pytest

from agent.store import OutboxState, Store, StoreDamaged
from agent.store import journal as journal_module
from agent.store.journal import Survey, read, segments
from agent.store.lines import Finished

MONTH, DAY = "2026-03", "2026-03-01"
ACK = "2026-03-01T13:00:00Z"
PURGE = "2026-03-09T00:00:00Z"


async def busy_month(folder, records, calls=12):
    """A store with records in every state, purged ones, a document and open calls."""
    store = await Store.open(folder)
    for number in range(1, calls + 1):
        await store.open_call(records.open_call(number))
        await store.mark_answered(records.call_id(number), 2000)
        if number <= calls - 2:
            await store.finish(records.cdr(number), MONTH, DAY)
    await store.mark_alive([records.call_id(calls)], 9000)
    await store.acknowledge([records.call_id(1)], "2026-03-01T12:00:00Z")
    await store.purge("2026-03-01T12:30:00Z")
    await store.acknowledge([records.call_id(number) for number in (2, 3, 4)], ACK)
    await store.quarantine(records.call_id(5), "conflict")
    await store.finish(records.cdr(calls - 1), MONTH, DAY)
    await store.put_document("subscription", b'{"secret":"password"}')
    return store


async def everything(store, *, documents=True):
    return (
        await store.open_calls(),
        [(kept.cdr, kept.state, kept.reason) for kept in await store.recent(1000)],
        await store.usage(MONTH),
        await store.usage_day(DAY),
        [await store.known(f"00000000-0000-0000-0000-00000000000{number}") for number in range(1, 8)],
        await store.document("subscription") if documents else None,
    )


async def settled(folder, records):
    store = await busy_month(folder, records)
    state = await everything(store)
    await store.close()
    return state


async def reopened(folder):
    store = await Store.open(folder)
    return store, store.damage


def zero(path, first, length):
    with path.open("r+b") as file:
        file.seek(first)
        file.write(bytes(length))


async def test_a_sound_store_starts_in_silence_and_changes_nothing(folder, records):
    before = await settled(folder, records)
    files = {path.name: path.read_bytes() for path in segments(folder)}
    for _ in range(2):
        store, damage = await reopened(folder)
        assert damage is None
        assert await everything(store) == before
        await store.close()
    assert {path.name: path.read_bytes() for path in segments(folder)} == files


@pytest.mark.parametrize("harm", ["deleted", "emptied", "garbage", "half", "tail zeroed"])
async def test_a_harmed_database_is_made_anew_from_its_journal(folder, records, harm):
    before = await settled(folder, records)
    path = folder / "store.db"
    size = path.stat().st_size
    match harm:
        case "deleted":
            path.unlink()
        case "emptied":
            path.write_bytes(b"")
        case "garbage":
            path.write_bytes(b"no database" * 3000)
        case "half":
            path.write_bytes(path.read_bytes()[: size // 2])
        case "tail zeroed":
            zero(path, 4096, size - 4096)
    store, damage = await reopened(folder)
    assert damage is not None
    assert not damage.maybe_missing
    assert "nothing is missing" in str(damage)
    assert damage.repair.replayed > 10
    assert (await everything(store))[:5] == before[:5]
    await store.close()
    store, damage = await reopened(folder)
    assert damage is None
    assert (await everything(store))[:5] == before[:5]
    await store.close()


async def test_documents_are_taken_over_from_a_database_that_can_still_be_read_in_part(folder, records):
    before = await settled(folder, records)
    path = folder / "store.db"
    with sqlite3.connect(path) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'usage'").fetchone()
    db.close()
    zero(path, (root - 1) * 4096, 4096)
    store, damage = await reopened(folder)
    assert damage.kept is not None
    assert await everything(store) == before
    assert damage.repair.salvaged >= 1
    await store.close()


async def test_a_database_that_was_set_back_in_time_is_brought_forward(folder, records, tmp_path):
    store = await Store.open(folder)
    await store.finish(records.cdr(1), MONTH, DAY)
    await store.close()
    shutil.copy(folder / "store.db", tmp_path / "old.db")
    store = await Store.open(folder)
    for number in range(2, 9):
        await store.finish(records.cdr(number), MONTH, DAY)
    await store.acknowledge([records.call_id(2)], ACK)
    before, epoch = await everything(store), await store.epoch()
    await store.close()
    shutil.copy(tmp_path / "old.db", folder / "store.db")
    store, damage = await reopened(folder)
    assert "behind its journal" in str(damage)
    assert damage.repair.replayed == 8
    assert await store.epoch() != epoch, "its numbers may have been given out before"
    assert not damage.maybe_missing
    assert await everything(store) == before
    await store.close()


async def test_a_database_set_back_beyond_the_journals_last_base_is_brought_forward(folder, records, tmp_path):
    store = await Store.open(folder)
    await store.finish(records.cdr(1), MONTH, DAY)
    await store.close()
    shutil.copy(folder / "store.db", tmp_path / "old.db")
    await settled(folder, records)
    store, damage = await reopened(folder)
    await store.purge(PURGE)
    before = await everything(store)
    await store.close()
    shutil.copy(tmp_path / "old.db", folder / "store.db")
    store, damage = await reopened(folder)
    assert damage is not None
    assert (await everything(store))[:5] == before[:5]
    await store.close()


async def test_a_usage_row_and_a_record_that_changed_in_silence_are_set_right(folder, records):
    before = await settled(folder, records)
    with sqlite3.connect(folder / "store.db") as db:
        db.execute("UPDATE usage SET amount_micro = 0 WHERE period = ?", (MONTH,))
        db.execute("UPDATE open_call SET body = x'00'")
        db.execute("DELETE FROM meta WHERE key = 'epoch'")
        db.execute(
            "UPDATE cdr SET body = CAST(replace(CAST(body AS TEXT), '1250000', '9250000') AS BLOB) WHERE seq = 8"
        )
    db.close()
    store, damage = await reopened(folder)
    assert damage.repair.corrected == 3
    assert len(await store.epoch()) == 32
    assert await everything(store) == before
    await store.close()


@pytest.mark.parametrize("harm", ["deleted", "cut", "line", "zeroed"])
async def test_a_harmed_journal_is_written_anew_from_the_database(folder, records, harm):
    before = await settled(folder, records)
    path = segments(folder)[-1]
    size = path.stat().st_size
    match harm:
        case "deleted":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[: size // 2])
        case "line":
            path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
        case "zeroed":
            zero(path, size // 3, size // 3)
    store, damage = await reopened(folder)
    assert damage is not None
    assert not damage.maybe_missing
    assert await everything(store) == before
    await store.close()
    survey = Survey()
    list(read(folder, survey))
    assert survey.flawless
    (folder / "store.db").unlink()
    store, damage = await reopened(folder)
    assert (await everything(store))[:5] == before[:5], "the new journal is as good as the old one"
    await store.close()


async def test_what_both_copies_have_lost_is_told(folder, records):
    await settled(folder, records)
    (folder / "store.db").write_bytes(b"garbage" * 1000)
    path = segments(folder)[-1]
    raw = path.read_bytes()
    place = raw.index(b'"kept"')
    path.write_bytes(raw[:place] + b"\0\0" + raw[place + 2 :])
    store, damage = await reopened(folder)
    assert damage.maybe_missing
    assert "something may be missing" in str(damage)
    assert damage.repair.bad_lines == 2, "one that is bad, and its number that never came"
    await store.close()


async def test_a_record_that_only_the_damaged_database_has_is_taken_over_and_counted(folder, records):
    store = await Store.open(folder)
    for number in (1, 2, 3):
        await store.finish(records.cdr(number), MONTH, DAY)
    before = await everything(store)
    await store.close()
    lines = segments(folder)[-1].read_bytes().splitlines(keepends=True)
    segments(folder)[-1].write_bytes(b"".join(lines[:-1]))
    with sqlite3.connect(folder / "store.db") as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'usage'").fetchone()
    db.close()
    zero(folder / "store.db", (root - 1) * 4096, 4096)
    store, damage = await reopened(folder)
    assert damage.repair.salvaged == 1
    assert (await everything(store))[:5] == before[:5]
    await store.close()


async def test_everything_gone_is_a_new_store_and_both_gone_but_a_trace_is_told(folder, records):
    await settled(folder, records)
    (folder / "store.db").write_bytes(b"garbage" * 1000)
    for path in segments(folder):
        path.unlink()
    store, damage = await reopened(folder)
    assert damage.maybe_missing
    assert await store.recent(10) == []
    await store.close()


async def test_a_call_that_ended_while_the_database_was_away_is_not_opened_again(folder, records):
    store = await busy_month(folder, records)
    await store.close()
    (folder / "store.db").unlink()
    store, _ = await reopened(folder)
    assert [call.id for call in await store.open_calls()] == [records.call_id(12)]
    assert not await store.finish(records.cdr(1), MONTH, DAY), "purged before, and still known"
    assert not await store.finish(records.cdr(2), MONTH, DAY)
    assert await store.finish(records.cdr(12), MONTH, DAY)
    await store.close()


async def test_acknowledgements_survive_so_that_nothing_needs_to_go_again(folder, records):
    await settled(folder, records)
    (folder / "store.db").unlink()
    store, _ = await reopened(folder)
    states = [kept.state for kept in await store.recent(100)]
    assert states.count(OutboxState.ACKNOWLEDGED) == 3
    assert states.count(OutboxState.QUARANTINED) == 1
    await store.close()


async def test_a_rebuilt_outbox_has_a_new_epoch(folder, records):
    store = await Store.open(folder)
    epoch = await store.epoch()
    await store.close()
    (folder / "store.db").unlink()
    store, _ = await reopened(folder)
    assert await store.epoch() != epoch
    await store.close()


async def test_what_is_purged_leaves_the_journal_too_and_usage_and_identity_stay(folder, records):
    store = await Store.open(folder)
    for number in (1, 2):
        await store.finish(records.cdr(number, account=f"account-{number}"), MONTH, DAY)
    await store.acknowledge([records.call_id(1)], ACK)
    assert await store.purge(PURGE) == 1
    written = b"".join(path.read_bytes() for path in segments(folder))
    assert b"account-1" not in written
    assert b"account-2" in written
    before = await everything(store)
    await store.close()
    (folder / "store.db").unlink()
    store, damage = await reopened(folder)
    assert not damage.maybe_missing
    assert (await everything(store))[:5] == before[:5]
    assert [row.calls for row in await store.usage(MONTH)] == [2]
    await store.close()


async def test_a_power_cut_anywhere_while_the_journal_is_written_anew_loses_nothing(
    folder, records, tmp_path, monkeypatch
):
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 1000)
    store = await busy_month(folder, records)
    before = await everything(store)
    photographs = []
    real = journal_module.Journal._write_packed

    def photographing(journal, lines):
        real(journal, lines)
        copy = tmp_path / f"photograph-{len(photographs)}"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.lock", "*-shm"))
        photographs.append(copy)

    with monkeypatch.context() as patch:
        patch.setattr(journal_module.Journal, "_write_packed", photographing)
        patch.setattr("agent.store.base._CHUNK", 2)
        assert await store._database.renew_journal()
    assert len(photographs) > 8
    await store.close()
    for photograph in photographs:
        for gone in (False, True):
            if gone:
                for path in photograph.glob("store.db*"):
                    path.unlink()
            store, damage = await reopened(photograph)
            assert (await everything(store))[:5] == before[:5]
            assert (damage is not None) == gone
            assert damage is None or not damage.maybe_missing
            await store.close()


async def test_the_journal_does_not_grow_for_ever(folder, records, monkeypatch):
    monkeypatch.setattr("agent.store.store._JOURNAL_SLACK", 20_000)
    store = await Store.open(folder)
    await store.open_call(records.open_call())
    for beat in range(600):
        await store.mark_alive([records.call_id(1)], 2000 + beat)
    assert store._database.journal_size > 20_000
    await store.purge(PURGE)
    assert store._database.journal_size < 2000
    assert [call.last_alive_ms for call in await store.open_calls()] == [2599]
    await store.close()


async def test_a_failing_journal_does_not_stop_the_telephone_and_is_written_anew_later(folder, records, monkeypatch):
    store = await Store.open(folder)
    with monkeypatch.context() as patch:
        patch.setattr("os.fdatasync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        assert await store.finish(records.cdr(1), MONTH, DAY)
    assert await store.finish(records.cdr(2), MONTH, DAY)
    before = await everything(store)
    await store.close()
    store, _ = await reopened(folder)
    await store.close()
    (folder / "store.db").unlink()
    store, _ = await reopened(folder)
    assert (await everything(store))[:5] == before[:5]
    await store.close()


@pytest.mark.parametrize("seed", range(25))
async def test_a_lying_card_harms_one_copy_after_the_other_and_the_totals_stay(folder, records, seed):
    chance = random.Random(seed)
    stored = 0
    for round_ in range(6):
        store, _ = await reopened(folder)
        assert [row.calls for row in await store.usage(MONTH)] == ([stored] if stored else [])
        assert len(await store.recent(1000)) == stored
        for _ in range(chance.randrange(1, 5)):
            stored += 1
            await store.open_call(records.open_call(stored))
            assert await store.finish(records.cdr(stored), MONTH, DAY)
        await store.acknowledge([records.call_id(chance.randrange(1, stored + 1))], ACK)
        if chance.random() < 0.5:
            await store.close()
            place = folder
        else:
            place = folder.with_name(f"cut-{round_}")
            shutil.copytree(folder, place, ignore=shutil.ignore_patterns("*.lock", "*-shm"))
            await store.close()
        victims = sorted(place.glob("store.db*")) if chance.random() < 0.6 else segments(place)
        for victim in victims:
            harm(chance, victim)
        folder = place
    store, _ = await reopened(folder)
    assert [(row.calls, row.amount_micro) for row in await store.usage(MONTH)] == [(stored, stored * 1_250_000)]
    assert len({kept.cdr.id for kept in await store.recent(1000)}) == stored
    assert all(not open_call for open_call in await store.open_calls())
    await store.close()


@pytest.mark.thorough
@pytest.mark.parametrize("where", ["header", "anywhere"])
async def test_whatever_byte_of_the_database_is_wrong_the_store_opens_with_the_same_totals(
    folder, records, where, tmp_path
):
    before = await settled(folder, records)
    chance = random.Random(where)
    raw = (folder / "store.db").read_bytes()
    for attempt in range(100):
        harmed = bytearray(raw)
        first = attempt if where == "header" else chance.randrange(len(raw))
        length = 1 if where == "header" else min(chance.choice([1, 4, 64, 600]), len(raw) - first)
        harmed[first : first + length] = chance.choice([bytes(length), b"\xff" * length, chance.randbytes(length)])
        place = tmp_path / f"attempt-{attempt}"
        shutil.copytree(folder, place)
        (place / "store.db").write_bytes(harmed)
        store, damage = await reopened(place)
        assert (await everything(store))[:5] == before[:5], (first, length, damage)
        assert damage is None or not damage.maybe_missing
        assert await store.finish(records.cdr(900), MONTH, DAY)
        assert await store.epoch()
        await store.close()
        shutil.rmtree(place)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_bytes_of_the_journal_are_wrong_the_store_opens_with_the_same_totals(
    folder, records, seed, tmp_path
):
    before = await settled(folder, records)
    chance = random.Random(seed)
    path = segments(folder)[-1]
    raw = path.read_bytes()
    for attempt in range(25):
        harmed = bytearray(raw)
        first = chance.randrange(len(raw))
        length = min(chance.choice([1, 4, 64, 600]), len(raw) - first)
        harmed[first : first + length] = chance.choice([bytes(length), b"\n" * length, chance.randbytes(length)])
        place = tmp_path / f"attempt-{attempt}"
        shutil.copytree(folder, place)
        (place / path.name).write_bytes(harmed[: chance.choice([len(raw), first])])
        store, damage = await reopened(place)
        assert await everything(store) == before, (first, length, damage)
        await store.close()
        (place / "store.db").unlink()
        store, damage = await reopened(place)
        assert (await everything(store))[:5] == before[:5], "the journal is whole again"
        assert not damage.maybe_missing
        await store.close()
        shutil.rmtree(place)


def harm(chance, path):
    size = path.stat().st_size
    if not size:
        return
    place = chance.randrange(size)
    match chance.randrange(3):
        case 0:
            path.write_bytes(path.read_bytes()[:place])
        case 1:
            zero(path, place, min(chance.choice([16, 512, 4096, size]), size - place))
        case 2:
            path.unlink()


async def test_damage_that_shows_while_the_agent_runs_is_raised_so_that_it_starts_anew(folder, records):
    store = await Store.open(folder)
    for number in range(1, 60):
        await store.finish(records.cdr(number), MONTH, DAY)
    await store.close()
    store = await Store.open(folder)
    failing = asyncio.ensure_future(store.fails())
    size = (folder / "store.db").stat().st_size
    zero(folder / "store.db", 4096, size - 4096)
    await store._database.read("x", "PRAGMA shrink_memory")  # or its cache would hide it
    with pytest.raises(StoreDamaged):
        await store.recent(100)
    with pytest.raises(StoreDamaged):
        await failing
    await store.close()
    store, damage = await reopened(folder)
    assert not damage.maybe_missing
    assert [row.calls for row in await store.usage(MONTH)] == [59]
    await store.close()


async def test_the_record_is_on_disk_in_the_journal_before_the_database_commits(folder, records, monkeypatch):
    store = await Store.open(folder)
    order = []
    execute, sync = aiosqlite.Connection.execute, os.fdatasync

    def executing(connection, sql, *parameters):
        if sql == "COMMIT":
            order.append("commit")
        return execute(connection, sql, *parameters)

    def syncing(descriptor):
        survey = Survey()
        written = [line.id for _, line in read(folder, survey) if isinstance(line, Finished)]
        order.append(("synced", written))
        sync(descriptor)

    monkeypatch.setattr(aiosqlite.Connection, "execute", executing)
    monkeypatch.setattr(os, "fdatasync", syncing)
    await store.finish(records.cdr(1), MONTH, DAY)
    assert order == [("synced", [records.call_id(1)]), "commit"]
    await store.close()


async def test_only_an_ended_call_waits_for_a_sync_of_the_journal(folder, records, monkeypatch):
    store = await Store.open(folder)
    synced = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    await store.open_call(records.open_call())
    await store.mark_answered(records.call_id(1), 2000)
    await store.mark_alive([records.call_id(1)], 3000)
    assert synced == []
    await store.finish(records.cdr(1), MONTH, DAY)
    assert len(synced) == 1
    await store.acknowledge([records.call_id(1)], ACK)
    assert len(synced) == 1
    await store.close()


@pytest.mark.parametrize("lines", [1, 2, 3])
async def test_lines_that_an_ordinary_power_cut_took_from_the_journal_are_written_again_in_silence(
    folder, records, lines
):
    store = await Store.open(folder)
    await store.finish(records.cdr(1), MONTH, DAY)
    await store.acknowledge([records.call_id(1)], ACK)
    await store.open_call(records.open_call(2))
    await store.mark_answered(records.call_id(2), 2000)
    before = await everything(store)
    await store.close()
    path = segments(folder)[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-lines]))
    store, damage = await reopened(folder)
    assert damage is None
    await store.close()
    (folder / "store.db").unlink()
    store, _ = await reopened(folder)
    assert (await everything(store))[:5] == before[:5]
    await store.close()


async def test_nothing_is_folded_in_while_records_wait(folder, records):
    store = await Store.open(folder)
    before = (folder / "store.db").read_bytes()
    for number in range(1, 120):
        await store.open_call(records.open_call(number))
        await store.finish(records.cdr(number), MONTH, DAY)
    assert (folder / "store.db").read_bytes() == before
    await store.close()
