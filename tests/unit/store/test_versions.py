"""A device is upgraded, falls back to its older software, and is upgraded again: no record is lost on the way."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from agent.store import OutboxState, Store
from agent.store.schema import MIGRATIONS, VERSION

MONTH, DAY = "2026-03", "2026-03-01"
PREVIOUS = 1
"""The fixture's version: that of the previous release."""

PREVIOUS_READS = (
    "SELECT id, body, answered_ms, last_alive_ms FROM open_call ORDER BY id",
    "SELECT id, body, sha256 FROM cdr WHERE state = 'pending' ORDER BY seq LIMIT 100",
    "SELECT id, body, sha256, state, reason FROM cdr ORDER BY seq DESC LIMIT 100",
    "SELECT own_number, calls, seconds, amount_micro, currency FROM usage WHERE period = '2026-03'",
    "SELECT body FROM document WHERE name = 'subscription'",
    "SELECT value FROM meta WHERE key = 'epoch'",
    "SELECT 1 FROM cdr WHERE id = 'x' UNION ALL SELECT 1 FROM purged WHERE id = 'x'",
)
"""What the software of the previous release asks, word for word."""


@pytest.fixture
def previous(folder):
    """The folder with a store of the previous release."""
    folder.mkdir(mode=0o700)
    script = Path(__file__).with_name(f"version_{PREVIOUS}.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(folder / "store.db")) as db:
        db.executescript(script)
    return folder


def test_the_fixture_is_of_the_release_before_this_one():
    assert VERSION == PREVIOUS + 2, "two migrations since"
    assert all(migration.oldest_version <= PREVIOUS for migration in MIGRATIONS if migration.version <= VERSION)


async def test_a_store_of_the_previous_release_is_taken_over_in_silence(previous, records):
    store = await Store.open(previous)
    assert store.damage is None
    assert [cdr.id for cdr in await store.pending(10)] == [records.call_id(4)]
    assert [kept.state for kept in await store.recent(10)] == [
        OutboxState.PENDING, OutboxState.QUARANTINED, OutboxState.ACKNOWLEDGED,
    ]  # fmt: skip
    assert [(row.calls, row.amount_micro) for row in await store.usage(MONTH)] == [(4, 5_000_000)]
    assert [call.answered_ms for call in await store.open_calls()] == [2000]
    assert await store.document("subscription") == b'{"revision":"1"}'
    assert not await store.finish(records.cdr(1), MONTH, DAY)
    await store.close()
    (previous / "store.db").unlink()
    store = await Store.open(previous)
    assert not store.damage.maybe_missing, "the upgrade wrote everything into the journal"
    assert [(row.calls, row.amount_micro) for row in await store.usage(MONTH)] == [(4, 5_000_000)]
    await store.close()


async def test_the_previous_release_reads_and_writes_this_ones_store_and_is_believed_afterwards(previous, records):
    store = await Store.open(previous)
    await store.finish(records.cdr(6), MONTH, DAY)
    await store.put_document("subscription", b'{"revision":"2"}')
    await store.close()
    body = msgspec.json.encode(records.cdr(7))
    with closing(sqlite3.connect(previous / "store.db")) as db, db:
        (oldest,) = db.execute("SELECT value FROM meta WHERE key = 'oldest_version'").fetchone()
        assert int(oldest) <= PREVIOUS, "or the previous release would refuse the file"
        for sql in PREVIOUS_READS[:-1]:
            assert db.execute(sql).fetchall(), sql
        db.execute(
            "INSERT INTO cdr(id, body, sha256) VALUES (?, ?, ?)",
            (records.call_id(7), body, hashlib.sha256(body).digest()),
        )
        db.execute("UPDATE usage SET calls = calls + 1, amount_micro = amount_micro + 1250000")
        db.execute(
            "INSERT INTO document(name, body) VALUES ('subscription', ?) "
            "ON CONFLICT (name) DO UPDATE SET body = excluded.body",
            (b'{"revision":"3"}',),
        )
    store = await Store.open(previous)
    assert "its journal lacked records" in str(store.damage)
    assert not store.damage.maybe_missing
    assert [(row.calls, row.amount_micro) for row in await store.usage(MONTH)] == [(6, 7_500_000)]
    assert [cdr.id for cdr in await store.pending(10)] == [records.call_id(number) for number in (4, 6, 7)]
    assert await store.document("subscription") == b'{"revision":"3"}'
    await store.close()
    store = await Store.open(previous)
    assert store.damage is None
    await store.close()
