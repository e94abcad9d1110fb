"""What survives a power cut: open calls, call records and their outbox, usage, documents with secrets."""

from agent.store.errors import (
    Repair,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreTooNew,
)
from agent.store.reader import StoreReader
from agent.store.records import OutboxState, StoredCdr, UsageRow, counted
from agent.store.store import Store

__all__ = [
    "OutboxState",
    "Repair",
    "Store",
    "StoreClosed",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "StoreMissing",
    "StoreReader",
    "StoreTooNew",
    "StoredCdr",
    "UsageRow",
    "counted",
]
