"""What the page says: problems, each with its sentence, and what was known of the store while it does not answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from agent import view as view_module
from agent.calls import LiveCall
from agent.charging import Charging
from agent.clock import Moment
from agent.core.media import Way, WayFigures
from agent.core.reconcile import Count, Difference
from agent.core.registration import Status
from agent.core.terms import CallKind, CallPhase, Direction
from agent.data import load_numbering, load_products, load_tones
from agent.disk_watch import DiskWatch
from agent.gateway.protocol import AccountState, CallQuality, CallState, CardState, Hello
from agent.operator.api import FileInfo, Number, OutgoingLine, Registration, SipProfile, Subscription
from agent.operator.sync import SyncStatus
from agent.operator.trouble import Trouble
from agent.operator.uploader import UploadStatus
from agent.paths import data_dir
from agent.plan import Plan, Shipped
from agent.problems import _TROUBLES, _WITH_REASON
from agent.protection import Protection
from agent.rating.deck import load
from agent.rating.errors import TableError
from agent.rating.table import RateTable
from agent.seen import SeenGateway, account_view
from agent.status.snapshot import Snapshot, SoundView
from agent.store.errors import StoreError
from agent.store.records import StoredCdr, UsageRow
from agent.texts import Language, Texts
from agent.view import StatusView

OSLO = ZoneInfo("Europe/Oslo")


def at(*day: int) -> Moment:
    return Moment("boot", 5_000_000, datetime(*day, 12, tzinfo=UTC), True)  # type: ignore[misc]


NOW = at(2026, 11, 22)


class CountingStore:
    """Has one number's use to tell; fails or hangs when told to."""

    def __init__(self) -> None:
        self.damage = None
        self.fails = False
        self.hangs = False

    async def _answer(self) -> None:
        if self.fails:
            raise StoreError("the disk is away")
        if self.hangs:
            await asyncio.Future()

    async def usage(self, month: str) -> list[UsageRow]:
        await self._answer()
        return [UsageRow("+4721000000", 3, 180, 4_000_000, "NOK")] if month == "2026-11" else []

    async def usage_day(self, day: str) -> list[UsageRow]:
        await self._answer()
        return [UsageRow("+4721000000", 1, 60, 1_500_000, "NOK")] if day == "2026-11-22" else []

    async def recent(self, limit: int) -> list[StoredCdr]:
        await self._answer()
        return []

    async def quarantined_count(self) -> int:
        await self._answer()
        return 2

    async def pending_count(self) -> int:
        await self._answer()
        return 7


class Stage:
    """The page's source over a real plan and a store that can be taken away."""

    def __init__(self) -> None:
        def missing(sha256: str) -> RateTable:
            raise TableError(f"{sha256[:8]} is gone")

        self.store = CountingStore()
        self.reconciler: Any = SimpleNamespace(found=(), month="2026-11")
        self.disk = SimpleNamespace(trouble=None, journal_trouble="")
        self.now = NOW
        self.plan = Plan(Shipped(load_products(), load_numbering(), load_tones()), OSLO, missing)
        self.calls = SimpleNamespace(live={}, trouble="")
        self.gateway = SeenGateway()
        parts: dict[str, Any] = {
            "calls": self.calls,
            "charging": Charging(self.plan, OSLO),
            "store": self.store,
            "syncer": SimpleNamespace(status=SyncStatus()),
            "uploader": SimpleNamespace(status=UploadStatus()),
            "clock": SimpleNamespace(now=lambda: self.now),
        }
        self.view = StatusView(
            plan=self.plan, gateway=self.gateway, zone=OSLO, device_id="d", source=Path("agent.toml"), trouble=None,
            reconciler=self.reconciler, protection=Protection(Path("/nonexistent"), ()),
            disk=DiskWatch(self.disk, mended=lambda: None, touch=lambda: None),
            **parts,
        )  # fmt: skip

    async def counted(self) -> tuple[int, int, int, int]:
        """Pending, quarantined, today's and the month's cost."""
        seen = await self.view.snapshot()
        return seen.upload.pending, seen.upload.quarantined, seen.money.today_micro, seen.money.month_micro

    async def problems(self) -> list[str]:
        """What the page lists, in English, without what the stage leaves out."""
        seen: Snapshot = await self.view.snapshot()
        texts = Texts.load()
        left_out = {"problem.gateway_away", "problem.quarantined"}
        return [texts.say(one.key, "en", **one.values) for one in seen.problems if one.key not in left_out]


def subscription(
    product: str = "privat", *registrations: str, line: str = "main", number: str = "main"
) -> Subscription:
    return Subscription(
        revision="1", customer="Nordmann", product=product,
        registrations=[
            Registration(
                id=name, user=name, domain="sip.example", auth_user=name, password="long-enough",
                targets=["192.0.2.1:5060"],
            )
            for name in registrations or ("main",)
        ],
        numbers=[Number(number="+4721000000", registration=number, lines=[0])],
        lines=[OutgoingLine(line=0, registration=line, number="+4721000000")],
        price_list=FileInfo(name="price-list-privat", version="1", length=1, sha256="0" * 64),
    )  # fmt: skip


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture(scope="module")
def table() -> RateTable:
    return RateTable.of(load(data_dir() / "price-lists/privat.csv"))


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts.load()


@pytest.mark.parametrize("trouble", list(Trouble))
@pytest.mark.parametrize("lang", list(Language))
def test_every_trouble_with_the_operator_has_a_sentence(texts: Texts, trouble: Trouble, lang: Language) -> None:
    assert texts.say(trouble.value, lang).endswith(".")


@pytest.mark.parametrize("key", sorted({*_TROUBLES.values(), "problem.operator_away"}))
def test_a_problem_is_filled_in_with_what_its_sentence_asks_for(texts: Texts, key: str) -> None:
    assert set(texts.fields(key)) == ({"reason"} if key in _WITH_REASON else set())


@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_while_the_store_does_not_answer_the_page_shows_what_it_last_said(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    known = (7, 2, 1_500_000, 4_000_000)
    assert await stage.counted() == known
    monkeypatch.setattr(view_module, "_STORE_PATIENCE_S", 0.0)
    setattr(stage.store, how, True)
    assert await stage.counted() == known
    assert not (await stage.view.snapshot()).store.working


async def test_what_was_counted_before_midnight_is_not_counted_of_the_new_day_or_month(stage: Stage) -> None:
    await stage.counted()
    stage.store.fails = True
    stage.now = at(2026, 11, 23)
    assert await stage.counted() == (7, 2, 0, 4_000_000)
    stage.now = at(2026, 12, 1)
    assert await stage.counted() == (7, 2, 0, 0)


async def test_a_price_list_of_another_product_is_a_problem(stage: Stage, table: RateTable) -> None:
    stage.plan.use_subscription(subscription(), NOW)
    stage.plan.use_table(table, "t")
    assert await stage.problems() == []
    stage.plan.use_subscription(subscription("bedrift"), NOW)
    (problem,) = await stage.problems()
    assert "price list at hand does not belong to bedrift" in problem


async def test_what_names_a_registration_that_is_not_there_is_told(stage: Stage, table: RateTable) -> None:
    stage.plan.use_subscription(subscription("privat", "main", line="mian", number="hoved"), NOW)
    stage.plan.use_table(table, "t")
    line, number = await stage.problems()
    assert line == "Line 1 does not work: the operator has no registration mian. Contact the operator."
    assert number.endswith("does not work: the operator has no registration hoved. Contact the operator.")
    assert "+4721000000" not in number.replace(" ", ""), "numbers are masked"


async def test_a_registration_that_is_there_twice_is_told_once(stage: Stage, table: RateTable) -> None:
    stage.plan.use_subscription(subscription("privat", "main", "main", "main"), NOW)
    stage.plan.use_table(table, "t")
    assert await stage.problems() == [
        "The registration main is set up more than once with the operator. Contact the operator."
    ]


async def test_a_difference_with_the_operator_is_told_with_both_counts_and_no_full_number() -> None:
    stage = Stage()
    stage.reconciler.found = (
        Difference("+4722000001", "", Count(3, 180, 4_500_000), Count(2, 120, 3_000_000)),
        Difference("", "norden", Count(seconds=600), Count(seconds=660)),
    )
    seen = await stage.view.snapshot()
    assert (seen.usage_differences, seen.usage_difference_micro) == (2, 1_500_000)
    told = [one for one in await stage.problems() if "operator has counted" in one]
    assert told == [
        (
            "The operator has counted something else than it has acknowledged in 2026-11 (number +47 2•• •• •01):"
            " 2 calls, 120 s, 3 against 3 calls, 180 s, 4.5 here. Tell the operator."
        ),
        "The operator has counted 660 s of the minute pack norden in 2026-11, against 600 s here. Tell the operator.",
    ]


def test_a_registration_says_its_state_and_when_its_server_last_answered():
    now = at(2026, 11, 22)
    state = AccountState(
        account="home",
        registered=True,
        code=200,
        since_ms=4_000_000,
        status=Status.UP,
        alive_ms=4_990_000,
        request_ms=4_940_000,
    )
    seen = account_view(state, now)
    assert (seen.status, seen.alive) == ("Up", now.wall - timedelta(seconds=10))
    assert seen.reached == now.wall - timedelta(seconds=60)
    nothing = account_view(AccountState(account="home", registered=False), now)
    assert (nothing.alive, nothing.reached) == (None, None)


async def test_a_running_call_sounds_as_the_gateway_last_said_until_it_is_over(stage: Stage):
    state = CallState(
        call_id="c", direction=Direction.INCOMING, kind=CallKind.ORDINARY, phase=CallPhase.ANSWERED,
        answered_ms=NOW.boot_ms - 20_000, one_way=Way.SENT, one_way_since_ms=NOW.boot_ms - 4_000,
    )  # fmt: skip
    stage.calls.live["c"] = LiveCall(state)
    (unknown,) = (await stage.view.snapshot()).calls
    assert (unknown.heard, unknown.sent, unknown.rtt_ms) == (None, None, 0)
    heard = WayFigures(loss_permille=12, jitter_ms=3, mos_centi=434)
    stage.gateway.note(CallQuality(call_id="c", heard=heard, rtt_ms=40))
    (call,) = (await stage.view.snapshot()).calls
    assert (call.heard, call.sent, call.rtt_ms) == (SoundView(loss_permille=12, jitter_ms=3, mos_centi=434), None, 40)
    assert (call.one_way, call.one_way_s) == (Way.SENT, 4)
    stage.gateway.call_over("c")
    assert not stage.gateway.quality


def test_another_gateway_knows_nothing_of_the_calls_before():
    gateway = SeenGateway()
    gateway.note(CallQuality(call_id="c"))
    gateway.greet(Hello(protocol=1, instance="i", boot_id="boot", version="1"), NOW)
    assert not gateway.quality


async def test_a_codec_that_the_library_lacks_is_named_with_what_it_has(stage: Stage, table: RateTable):
    profile = SipProfile(codecs=["G729", "PCMA"])
    held = subscription()
    own = [structs.replace(one, codecs=["opus", "G729"]) for one in held.registrations]
    stage.plan.use_subscription(structs.replace(held, profile=profile, registrations=own), NOW)
    stage.plan.use_table(table, "t")
    hello = Hello(protocol=1, instance="i", boot_id="boot", version="1", codecs=["PCMA", "PCMU", "G722"])
    stage.gateway.greet(hello, NOW)
    stage.gateway.note(CardState(up=True))
    assert await stage.problems() == [
        f"The operator asks for the speech codec {name}, which the adapter does not have. It has PCMA, PCMU, G722."
        " The others are used."
        for name in ("G729", "opus")
    ]
