"""The month's count, ours beside the operator's: over the real store, with an operator that may be wrong."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from agent.core.cdr import Cdr, PackTake, Price
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.operator.api import NumberUsage, PackSeconds, Usage, UsageCount
from agent.operator.errors import Unreachable
from agent.reconciliation import Reconciler
from agent.records import correction
from agent.store import Store

MONTH, ACK = "2026-11", "2026-11-02T00:00:00Z"
OWN = "+4722000001"


def call(number: int, micro: int = 1_000_000, own: str = OWN) -> Cdr:
    price = Price(
        product="privat", price_list="privat", version="7", prefix="46", destination="Sweden", currency="NOK",
        vat="included", amount_micro=micro, exact="1", billed_s=60, pack_s=10, steps=[],
        packs=[PackTake(pack="norden", month=MONTH, seconds=10)],
    )  # fmt: skip
    return Cdr(
        id=str(uuid.UUID(int=number)), direction=Direction.OUTGOING, kind=CallKind.ORDINARY, line=0, account="line1",
        own_number=own, number="+4681234567", boot_id="b", began_ms=1, began_at="2026-11-01T12:00:00Z",
        time_trusted=True, duration_ms=60_000, setup_ms=1, cause=Cause.NORMAL, released_by=Party.LOCAL, price=price,
    )  # fmt: skip


class Operator:
    """Counts what it was given; `by_number` and `by_device` say how closely it tells."""

    def __init__(self) -> None:
        self.has: list[Cdr] = []
        self.by_number = self.by_device = True
        self.elsewhere = 0
        self.away = False
        self.meanwhile: list[Cdr] = []

    async def usage(self, month: str) -> Usage:
        if self.away:
            raise Unreachable("the operator is away")
        self.has += self.meanwhile
        numbers: dict[str, list[Cdr]] = {}
        for cdr in self.has:
            numbers.setdefault(cdr.own_number, []).append(cdr)
        device = UsageCount(
            calls=len(self.has), seconds=60 * len(self.has), amount_micro=_micro(self.has),
            packs=[PackSeconds(pack="norden", seconds=10 * len(self.has))] if self.has else [],
            numbers=[
                NumberUsage(number=own, calls=len(some), seconds=60 * len(some), amount_micro=_micro(some))
                for own, some in numbers.items() if self.by_number
            ],
        )  # fmt: skip
        return Usage(
            month=month, calls=device.calls + self.elsewhere, seconds=device.seconds, amount_micro=device.amount_micro,
            packs=device.packs, device=device if self.by_device else None,
        )  # fmt: skip


def _micro(records: list[Cdr]) -> int:
    return sum(cdr.price.amount_micro for cdr in records if cdr.price is not None)


class Household:
    """A store, an operator, and what the reconciler says of them."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store, self.operator, self.touched = folder, store, Operator(), 0
        self.reconciler = Reconciler(self.operator, store, touch=self._touch)

    def _touch(self) -> None:
        self.touched += 1

    async def speak(self, *records: Cdr, acknowledged: bool = True) -> None:
        for cdr in records:
            await self.store.finish(cdr, MONTH, "2026-11-01")
        if acknowledged:
            await self.store.acknowledge([cdr.id for cdr in records], ACK)
            self.operator.has += records

    async def poll(self, times: int = 2) -> list[tuple[str, str, int, int]]:
        """What differs after so many questions: number, pack, calls or seconds here and there."""
        for _ in range(times):
            await self.reconciler.usage(MONTH)
        return [
            (one.number, one.pack, one.here.seconds, one.told.seconds) for one in self.reconciler.found
        ]  # fmt: skip


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Household]:
    store = await Store.open(tmp_path)
    home = Household(tmp_path, store)
    await home.poll(1)
    yield home
    await home.store.close()


@pytest.mark.parametrize("by_number", [True, False])
async def test_nothing_differs_while_records_wait_or_are_under_way(home: Household, by_number: bool) -> None:
    home.operator.by_number = by_number
    await home.speak(call(1), call(2, own="+4722000002"))
    await home.speak(call(3), acknowledged=False)
    assert await home.poll() == []
    home.operator.meanwhile = [call(3)]
    assert await home.poll(1) == []
    home.operator.meanwhile = []
    assert await home.poll() == []
    home.operator.elsewhere = 40
    assert await home.poll() == []
    assert home.touched == 0


async def test_a_call_that_the_operator_has_lost_after_its_acknowledgement_is_told_once(home: Household) -> None:
    await home.speak(call(1), call(2), call(3, own="+4722000002"))
    home.operator.has.pop(0)
    assert await home.poll(1) == []
    with capture_logs() as logs:
        assert await home.poll() == [(OWN, "", 120, 60), ("", "norden", 30, 20)]
        assert await home.poll() == [(OWN, "", 120, 60), ("", "norden", 30, 20)]
    assert [entry["event"] for entry in logs] == ["usage_differs", "usage_differs"]
    assert not any(OWN in str(entry) for entry in logs)
    assert home.touched == 1
    home.operator.has.append(call(1))
    with capture_logs() as logs:
        assert await home.poll() == []
    assert [entry["event"] for entry in logs] == ["usage_agrees_again"]
    assert home.touched == 2


async def test_a_call_that_nobody_made_is_told(home: Household) -> None:
    await home.speak(call(1))
    home.operator.has.append(call(9))
    assert await home.poll() == [(OWN, "", 60, 120), ("", "norden", 10, 20)]
    home.operator.by_number = False
    assert await home.poll() == [("", "", 60, 120), ("", "norden", 10, 20)]


async def test_a_wrong_price_is_told(home: Household) -> None:
    await home.speak(call(1))
    home.operator.has = [call(1, micro=2_000_000)]
    await home.poll()
    (found,) = home.reconciler.found
    assert (found.here.amount_micro, found.told.amount_micro, found.amount_micro) == (1_000_000, 2_000_000, 1_000_000)


async def test_nothing_is_corrected_by_itself(home: Household) -> None:
    await home.speak(call(1), call(2))
    before = await home.store.usage(MONTH)
    home.operator.has.clear()
    await home.poll(4)
    assert home.reconciler.found
    assert await home.store.usage(MONTH) == before


async def test_a_record_that_the_operator_would_not_take_is_no_difference(home: Household) -> None:
    await home.speak(call(1))
    await home.speak(call(2), acknowledged=False)
    await home.store.quarantine(call(2).id, "no")
    assert await home.poll() == []


async def test_a_new_adapter_takes_over_what_the_operator_knows_of_the_old_one(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    home = Household(tmp_path, store)
    home.operator.has = [call(100), call(101)]
    with capture_logs() as logs:
        assert await home.poll() == []
    assert [entry["event"] for entry in logs] == ["usage_taken_over"]
    await home.speak(call(1))
    assert await home.poll() == []
    again = Reconciler(home.operator, store, touch=lambda: None)
    await again.usage(MONTH)
    await again.usage(MONTH)
    assert again.found == ()
    home.operator.has.pop(0)
    assert await home.poll() == [(OWN, "", 180, 120), ("", "norden", 30, 20)]
    await store.close()


async def test_the_comparison_survives_a_repair_of_the_store(home: Household) -> None:
    await home.speak(call(1), call(2))
    await home.speak(call(3), acknowledged=False)
    await home.store.close()
    (home.folder / "store.db").unlink()
    store = home.store = await Store.open(home.folder)
    home.reconciler = Reconciler(home.operator, store, touch=lambda: None)
    assert await home.poll() == []
    await store.acknowledge([cdr.id for cdr in await store.pending(9)], ACK)
    home.operator.has = [call(1), call(2), call(3)]
    assert await home.poll() == []
    home.operator.has.pop()
    assert await home.poll() != []


async def test_an_operator_that_is_away_is_no_difference_and_is_told_as_such(home: Household) -> None:
    await home.speak(call(1))
    home.operator.away = True
    with pytest.raises(Unreachable):
        await home.poll()
    assert home.reconciler.found == ()


async def test_too_many_waiting_records_are_not_looked_through(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.store.reader._MAX_WAITING", 2)
    for number in range(1, 4):
        await home.speak(call(number), acknowledged=False)
    assert await home.store.reckon(MONTH) is None
    assert await home.poll() == []
    await home.store.acknowledge([call(1).id], ACK)
    reckoned = await home.store.reckon(MONTH)
    assert reckoned is not None
    assert [month.total().calls for month in reckoned] == [1, 3]


async def test_a_correction_moves_a_call_to_its_month_and_is_under_way_until_it_is_acknowledged(
    home: Household,
) -> None:
    undated = replace(call(1), time_trusted=False)
    await home.speak(undated)
    assert undated.price is not None
    price = replace(undated.price, packs=[PackTake(pack="norden", month="2026-10", seconds=10)])
    moved = correction(undated, datetime(2026, 10, 31, 12, tzinfo=UTC), "operator", price, "")
    await home.store.correct(moved, "2026-10", "2026-10-31")

    async def counts() -> list[tuple[int, int]]:
        """Calls of October and November: acknowledged, and made."""
        found = [await home.store.reckon(month) for month in ("2026-10", MONTH)]
        return [(one[0].total().calls, one[1].total().calls) for one in found if one is not None]

    assert await counts() == [(0, 1), (1, 0)]
    assert await home.poll() == []
    home.operator.has.clear()
    assert await home.poll() == []
    await home.store.acknowledge([moved.id], ACK)
    assert await counts() == [(1, 1), (0, 0)]
