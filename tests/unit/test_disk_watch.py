"""The disk's alarms: on the page, in the metrics and in the log, once when they begin and once when they end."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from agent.disk_watch import DiskWatch
from agent.problems import disk_problems
from agent.store.errors import StoreError, StoreFull
from agent.store.room import Space
from agent.texts import Texts

PLENTY = Space(free=500 << 20, size=1 << 30, low=False, ballast=True)
LITTLE = Space(free=1_500_000, size=1 << 30, low=True, ballast=False)


class Disk:
    """A store whose disk does what a test says."""

    def __init__(self) -> None:
        self.space = PLENTY
        self.trouble: StoreError | None = None
        self.journal_trouble = ""
        self.silent = False

    async def tend(self) -> Space:
        if self.silent:
            raise StoreError("could not ask for the room on the disk: Input/output error")
        return self.space


class Desk:
    """A watch, and what it did."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.mended = self.touched = 0
        self.watch = DiskWatch(self.disk, mended=self._mend, touch=self._touch)

    def _mend(self) -> None:
        self.mended += 1

    def _touch(self) -> None:
        self.touched += 1

    async def look(self) -> list[str]:
        with capture_logs() as logs:
            await self.watch.look()
        return [entry["event"] for entry in logs]

    def sentences(self) -> list[str]:
        texts = Texts.load()
        return [texts.say(one.key, "en", **one.values) for one in disk_problems(self.watch)]


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_low_space_is_told_once_and_its_end_once(desk: Desk) -> None:
    assert await desk.look() == []
    desk.disk.space = LITTLE
    assert await desk.look() == ["store.low_space"]
    assert await desk.look() == []
    assert desk.sentences() == [
        "Little room is left in the storage: 1.4 MB. Once it is full, chargeable calls cannot start."
    ]
    desk.disk.space = PLENTY
    assert await desk.look() == ["store.room_again"]
    assert desk.sentences() == []
    assert desk.touched == 2


async def test_a_full_disk_stays_on_the_page_until_something_was_written(desk: Desk) -> None:
    desk.disk.trouble, desk.disk.space = StoreFull("could not keep the open call: the disk is full"), LITTLE
    assert await desk.look() == ["store.low_space", "store.not_writable"]
    assert desk.mended == 0
    assert desk.sentences() == ["The storage is full. New chargeable calls cannot start until there is room."]
    desk.disk.trouble = None
    assert await desk.look() == ["store.writable_again"]
    assert desk.mended == 1


async def test_one_copy_only_is_told(desk: Desk) -> None:
    desk.disk.journal_trouble = "could not write the journal: Input/output error"
    assert await desk.look() == ["store.one_copy_only"]
    (sentence,) = desk.sentences()
    assert "one copy only" in sentence
    desk.disk.journal_trouble = ""
    assert await desk.look() == ["store.two_copies_again"]


async def test_a_disk_that_does_not_even_say_how_full_it_is_ends_no_watch(desk: Desk) -> None:
    desk.disk.silent = True
    assert await desk.look() == ["disk_unknown"]
    assert desk.watch.space is None
    assert not desk.watch.low
