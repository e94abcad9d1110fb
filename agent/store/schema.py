"""The tables, as numbered migrations kept in `PRAGMA user_version`.

A migration only ever adds (expand); what it makes superfluous goes at the earliest one release later (contract), so
that a device which falls back to its older software can still read the file. `oldest_version` in `meta` says which
software is too old for it.
"""

from __future__ import annotations

from msgspec import Struct


class Migration(Struct, frozen=True):
    """One step of the schema. `oldest_version`: the oldest schema version whose software can use the result."""

    version: int
    oldest_version: int
    statements: tuple[str, ...]


MIGRATIONS = (
    Migration(
        version=1,
        oldest_version=1,
        statements=(
            "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
            """CREATE TABLE open_call(
                 id TEXT PRIMARY KEY,
                 body BLOB NOT NULL,
                 answered_ms INTEGER,
                 last_alive_ms INTEGER NOT NULL
               ) STRICT, WITHOUT ROWID""",
            # seq is the order of the records and nothing else: after a damaged card a number may be given out again.
            """CREATE TABLE cdr(
                 seq INTEGER PRIMARY KEY AUTOINCREMENT,
                 id TEXT NOT NULL UNIQUE,
                 body BLOB NOT NULL,
                 sha256 BLOB NOT NULL,
                 state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'acknowledged', 'quarantined')),
                 reason TEXT NOT NULL DEFAULT '',
                 acknowledged_ms INTEGER
               ) STRICT""",
            "CREATE INDEX cdr_pending ON cdr(seq) WHERE state = 'pending'",
            "CREATE INDEX cdr_acknowledged ON cdr(acknowledged_ms) WHERE state = 'acknowledged'",
            # Identities outlive their records: a call that comes back after the purge is still not counted twice.
            "CREATE TABLE purged(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE) STRICT",
            """CREATE TABLE usage(
                 period TEXT NOT NULL,
                 own_number TEXT NOT NULL,
                 currency TEXT NOT NULL,
                 calls INTEGER NOT NULL,
                 seconds INTEGER NOT NULL,
                 amount_micro INTEGER NOT NULL,
                 PRIMARY KEY (period, own_number, currency)
               ) STRICT, WITHOUT ROWID""",
            "CREATE TABLE document(name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID",
            # A fresh identity for a fresh file: the operator sees that an outbox began anew.
            "INSERT INTO meta(key, value) VALUES ('epoch', lower(hex(randomblob(16))))",
        ),
    ),
    Migration(
        version=2,
        oldest_version=1,
        statements=(
            # The civil periods in which a record counted, and the digest of a document: what a repair needs to take
            # over what is left in a damaged file. Version 1 leaves the first empty and the second stale.
            "ALTER TABLE cdr ADD COLUMN periods TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE document ADD COLUMN sha256 BLOB",
        ),
    ),
    Migration(
        version=3,
        oldest_version=1,
        statements=(
            # Older software counts nothing here, and neither does its journal: see `agent.store.details`.
            """CREATE TABLE detail(
                 period TEXT NOT NULL,
                 kind TEXT NOT NULL,
                 name TEXT NOT NULL,
                 currency TEXT NOT NULL,
                 calls INTEGER NOT NULL,
                 seconds INTEGER NOT NULL,
                 amount_micro INTEGER NOT NULL,
                 PRIMARY KEY (period, kind, name, currency)
               ) STRICT, WITHOUT ROWID""",
        ),
    ),
)

VERSION = MIGRATIONS[-1].version
