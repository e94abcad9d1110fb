"""What the store gives up for room on a full disk, and in which order. What waits for the operator never goes.

Half-written files and set-aside databases; the write-ahead log, by folding it in; price lists that can be fetched
again; acknowledged records, from database and journal (the ballast lends its room for that); at last the ballast.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import structlog

from agent.store.database import Database, GiveUp
from agent.store.errors import StoreError
from agent.store.room import Room, remove

SpareFiles = Callable[[], Sequence[Path]]

_log = structlog.get_logger(__name__)


class Sacrifice(enum.StrEnum):
    """What can be given up, the least missed first."""

    LEFTOVERS = "leftovers"
    WRITE_AHEAD_LOG = "write_ahead_log"
    PRICE_LISTS = "price_lists"
    ACKNOWLEDGED_RECORDS = "acknowledged_records"
    BALLAST = "ballast"


def no_spare_files() -> Sequence[Path]:
    """Nothing beside the store can be spared."""
    return ()


class Sacrifices:
    """The steps as the database calls them: between transactions, with its turn held."""

    def __init__(
        self, database: Database, room: Room, spare_files: SpareFiles, purge: Callable[[], Awaitable[bool]]
    ) -> None:
        """`purge` deletes every acknowledged record from all files; whether there were any. Raises StoreError."""
        self._database, self._room, self._spare_files, self._purge = database, room, spare_files, purge
        self._ballast_is_out = False

    def in_order(self) -> list[GiveUp]:
        """Each step once, the least missed first."""
        steps: dict[Sacrifice, GiveUp] = {
            Sacrifice.LEFTOVERS: self._leftovers,
            Sacrifice.WRITE_AHEAD_LOG: self._write_ahead_log,
            Sacrifice.PRICE_LISTS: self._price_lists,
            Sacrifice.ACKNOWLEDGED_RECORDS: self._acknowledged,
            Sacrifice.BALLAST: self._ballast,
        }
        return [partial(_given_up, what, steps[what]) for what in Sacrifice]

    async def _leftovers(self) -> bool:
        return await asyncio.to_thread(self._room.give_up_leftovers)

    async def _write_ahead_log(self) -> bool:
        return self._database.log_size > 0 and await self._database.checkpoint_now()

    async def _price_lists(self) -> bool:
        return await asyncio.to_thread(remove, self._spare_files()) > 0

    async def _acknowledged(self) -> bool:
        # To delete takes room, too: a log of the change, and the journal stated anew beside the old one.
        lent = await asyncio.to_thread(self._room.give_up_ballast)
        try:
            return await self._purge()
        finally:
            back = lent and await asyncio.to_thread(self._room.take_ballast_back)
            self._ballast_is_out = lent and not back

    async def _ballast(self) -> bool:
        return await asyncio.to_thread(self._room.give_up_ballast) or self._ballast_is_out


async def _given_up(what: Sacrifice, step: GiveUp) -> bool:
    try:
        given = await step()
    except StoreError as error:
        _log.error("store_made_no_room", instead_of=what.value, detail=str(error))
        return False
    if given:
        _log.critical("store_made_room", given_up=what.value)
    return given
