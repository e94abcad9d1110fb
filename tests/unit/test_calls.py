"""A call's record: decided, opened, followed, closed and released, whoever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from structlog.testing import capture_logs

from agent.calls import Calls, Judgement, StoreRefusal
from agent.cli_show import masked
from agent.clock import Moment
from agent.core.admission import RefusalCode
from agent.core.cdr import Cdr, OpenCall, Price
from agent.core.terms import CallKind, CallPhase, Cause, Direction, Party, Tone
from agent.gateway.protocol import (
    PROTOCOL_VERSION,
    AgentRecord,
    CallState,
    Decide,
    Hello,
    ProtocolError,
    Release,
    decode_gateway_record,
    encode,
)
from agent.records import reopened
from agent.texts import Language, Texts

OSLO = ZoneInfo("Europe/Oslo")
START = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


class DiskFullError(Exception):
    """What the memory store raises when told to."""


class GoneError(Exception):
    """The gateway does not listen."""


class MemoryStore:
    """Keeps what it is given, commits at once, fails when told to."""

    def __init__(self) -> None:
        self.opened: dict[str, OpenCall] = {}
        self.cdrs: dict[str, Cdr] = {}
        self.days: list[tuple[str, str]] = []
        self.full = False
        self.unreadable = False

    def _check(self) -> None:
        if self.full:
            raise DiskFullError("no space left")

    async def open_call(self, call: OpenCall) -> None:
        self._check()
        self.opened.setdefault(call.id, call)

    async def mark_answered(self, call_id: str, answered_ms: int) -> None:
        self._check()
        self.opened[call_id] = msgspec.structs.replace(self.opened[call_id], answered_ms=answered_ms)

    async def mark_alive(self, call_ids: Sequence[str], boot_ms: int) -> None:
        self._check()
        for call_id in call_ids:
            self.opened[call_id] = msgspec.structs.replace(self.opened[call_id], last_alive_ms=boot_ms)

    async def open_calls(self) -> list[OpenCall]:
        if self.unreadable:
            raise DiskFullError("it cannot be read")
        return list(self.opened.values())

    async def finish(self, cdr: Cdr, month: str, day: str) -> bool:
        self._check()
        self.opened.pop(cdr.id, None)
        self.days.append((month, day))
        return self.cdrs.setdefault(cdr.id, cdr) is cdr


class PerSecond:
    """Grants everything but +47829…, at a thousandth of a krone per second."""

    def __init__(self) -> None:
        self.list = "list-1"

    def judge(self, state: CallState, now: Moment) -> Judgement:
        if state.number.startswith("+47829"):
            return Judgement(Decide(call_id=state.call_id, granted=False, refusal="barred", tone=Tone.SPECIAL), "", "")
        until = now.boot_ms + 3_600_000
        return Judgement(Decide(call_id=state.call_id, granted=True, until_ms=until), "privat", self.list)

    def basis(self) -> tuple[str, str]:
        return "privat", self.list

    def on_its_day(self, call: OpenCall, duration_ms: int) -> OpenCall:
        return call

    def price(self, call: OpenCall, duration_ms: int) -> tuple[Price | None, str]:
        seconds = -(-duration_ms // 1000)
        price = Price(
            product=call.product, price_list="test", version=call.price_list_sha256, prefix="46", destination="Sweden",
            currency="NOK", vat="not_stated", amount_micro=seconds * 1000, exact=f"{seconds}/1000", billed_s=seconds,
            steps=[],
        )  # fmt: skip
        return price, ""


class Desk:
    """An agent's half with a hand on every edge."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.judge = PerSecond()
        self.sent: list[AgentRecord] = []
        self.gateway_listens = True
        self.boot_ms = 1_000_000
        self.boot_id = "boot-1"
        self.clock_set = True
        self.calls = Calls(
            store=self.store, judge=self.judge, send=self._send, now=self.now, zone=OSLO, recorded=self._recorded,
            troubles=(DiskFullError,), unsendable=GoneError,
        )  # fmt: skip
        self.recorded: list[Cdr] = []

    def now(self) -> Moment:
        at = START if self.clock_set else datetime(1970, 1, 1, tzinfo=UTC)
        return Moment(self.boot_id, self.boot_ms, at + timedelta(milliseconds=self.boot_ms - 1_000_000), self.clock_set)

    def _send(self, record: AgentRecord) -> None:
        if not self.gateway_listens:
            raise GoneError
        self.sent.append(record)

    async def _recorded(self, cdr: Cdr) -> None:
        self.recorded.append(cdr)

    async def hello(self, instance: str = "gateway-1") -> None:
        await self.calls.reconcile(
            Hello(protocol=PROTOCOL_VERSION, instance=instance, boot_id=self.boot_id, version="0")
        )


def call(phase: CallPhase, **fields: object) -> CallState:
    base = CallState(
        call_id="0192f0c1-0000-7000-8000-000000000001", direction=Direction.OUTGOING, kind=CallKind.ORDINARY,
        phase=phase, line=0, account="main", number="+4681234567", own_number="+4721000001", asked_ms=1_000_000,
    )  # fmt: skip
    return msgspec.structs.replace(base, **fields)


def ended(**fields: object) -> CallState:
    return call(
        CallPhase.ENDED,
        **({"ended_ms": 1_012_345, "cause": Cause.NORMAL, "released_by": Party.LOCAL, "sip_code": 200} | fields),
    )


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_the_open_call_is_committed_before_the_grant_leaves(desk: Desk) -> None:
    await desk.hello()
    desk.store.full = True
    await desk.calls.reconcile(call(CallPhase.ASKED))
    assert [record.granted for record in desk.sent if isinstance(record, Decide)] == [False]
    desk.store.full = False
    await desk.calls.reconcile(call(CallPhase.ASKED))
    assert desk.store.opened.keys() == {call(CallPhase.ASKED).call_id}
    assert [record.granted for record in desk.sent if isinstance(record, Decide)] == [False, True]


async def test_a_whole_call_is_priced_recorded_and_released_in_that_order(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    await desk.calls.reconcile(call(CallPhase.RINGING, ringing_ms=1_001_000))
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000))
    await desk.calls.reconcile(ended(answered_ms=1_002_000))
    (cdr,) = desk.store.cdrs.values()
    assert (cdr.duration_ms, cdr.setup_ms, cdr.cause) == (10_345, 2_000, Cause.NORMAL)
    assert cdr.price is not None
    assert cdr.price.amount_micro == 11_000
    assert cdr.began_at == "2026-11-22T20:00:00.000Z"
    assert cdr.answered_at == "2026-11-22T20:00:02.000Z"
    assert desk.store.days == [("2026-11", "2026-11-22")]
    assert desk.store.opened == {}
    assert desk.sent[-1] == Release(call_id=cdr.id)
    assert desk.calls.live == {}


async def test_whom_a_diverted_caller_called_first_is_kept_in_the_record_and_masked_when_shown(desk: Desk) -> None:
    await desk.hello()
    incoming = {"direction": Direction.INCOMING, "diverted_from": "+4722000009"}
    await desk.calls.reconcile(call(CallPhase.RINGING, ringing_ms=1_001_000, **incoming))
    await desk.calls.reconcile(ended(**incoming))
    (cdr,) = desk.store.cdrs.values()
    assert cdr.diverted_from == "+4722000009"
    assert masked(cdr).diverted_from == "+47 2•• •• •09"
    assert reopened(cdr, datetime(2026, 11, 22, tzinfo=UTC)).diverted_from == "+4722000009"


async def test_an_answer_of_which_only_the_end_tells_still_begins_the_price(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[int | None] = []
    price = desk.judge.price

    def watched(row: OpenCall, duration_ms: int) -> tuple[Price | None, str]:
        answers.append(row.answered_ms)
        return price(row, duration_ms)

    monkeypatch.setattr(desk.judge, "price", watched)
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    await desk.calls.reconcile(ended(answered_ms=1_002_000))
    assert answers == [1_002_000]


async def test_nothing_is_released_before_it_is_committed(desk: Desk) -> None:
    await desk.hello()
    desk.store.full = True
    await desk.calls.reconcile(ended(answered_ms=1_002_000))
    assert desk.sent == []
    assert desk.calls.trouble == "no space left"
    desk.store.full = False
    await desk.calls.reconcile(ended(answered_ms=1_002_000))
    assert [type(record) for record in desk.sent] == [Release]
    assert desk.calls.trouble == ""


async def test_an_ended_call_that_comes_twice_counts_once(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(ended(answered_ms=1_002_000))
    await desk.calls.reconcile(ended(answered_ms=1_002_000))
    assert len(desk.recorded) == 1
    assert [type(record) for record in desk.sent] == [Release, Release]


async def test_a_refusal_reaches_the_gateway_and_leaves_a_record_without_a_price(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED, number="+4782900000"))
    assert desk.sent == [Decide(call_id=call(CallPhase.ASKED).call_id, granted=False, refusal="barred")]
    assert desk.store.opened == {}
    await desk.calls.reconcile(ended(number="+4782900000", cause=Cause.REFUSED, refusal="barred"))
    (cdr,) = desk.store.cdrs.values()
    assert (cdr.refusal, cdr.duration_ms, cdr.price) == ("barred", 0, None)


@pytest.mark.parametrize(
    ("fields"),
    [{"direction": Direction.INCOMING}, {"kind": CallKind.EMERGENCY, "number": "112"}],
    ids=["incoming", "emergency"],
)
async def test_calls_that_cost_nothing_have_no_price(desk: Desk, fields: dict[str, object]) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000, **fields))
    assert len(desk.store.opened) == 1, "recovery needs a row for these, too"
    await desk.calls.reconcile(ended(answered_ms=1_002_000, **fields))
    (cdr,) = desk.store.cdrs.values()
    assert (cdr.price, cdr.unpriced, cdr.duration_ms) == (None, "", 10_345)


async def test_the_price_list_of_the_beginning_prices_the_call(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    desk.judge.list = "list-2"
    await desk.calls.reconcile(ended(answered_ms=1_002_000))
    (cdr,) = desk.store.cdrs.values()
    assert cdr.price is not None
    assert cdr.price.version == "list-1"


async def test_gateway_killed_in_mid_call(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000))
    desk.boot_ms = 1_007_000
    desk.calls.lost()
    desk.boot_ms = 1_009_000
    await desk.hello("gateway-2")
    (cdr,) = desk.store.cdrs.values()
    assert (cdr.cause, cdr.duration_ms, cdr.recovered) == (Cause.GATEWAY_LOST, 5_000, True)
    assert desk.store.opened == {}


async def test_agent_killed_in_mid_call_gets_the_true_duration(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    second = Desk(desk.store)
    second.boot_ms = 1_030_000
    await second.hello()
    await second.calls.reconcile(ended(answered_ms=1_002_000, ended_ms=1_042_000))
    (cdr,) = desk.store.cdrs.values()
    assert (cdr.duration_ms, cdr.recovered, cdr.began_at) == (40_000, False, "2026-11-22T20:00:00.000Z")


async def test_both_killed_the_call_ends_at_the_last_heartbeat(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000))
    await desk.store.mark_alive([call(CallPhase.ASKED).call_id], 1_020_000)
    second = Desk(desk.store)
    second.boot_id, second.boot_ms = "boot-2", 4_000
    await second.hello("gateway-2")
    (cdr,) = desk.store.cdrs.values()
    assert (cdr.duration_ms, cdr.recovered, cdr.cause) == (18_000, True, Cause.GATEWAY_LOST)


async def test_a_lost_call_that_could_not_be_stored_is_stored_later(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    desk.calls.lost()
    desk.store.full = True
    await desk.hello("gateway-2")
    assert desk.store.cdrs == {}
    desk.store.full = False
    await desk.calls._again()
    assert [cdr.cause for cdr in desk.store.cdrs.values()] == [Cause.GATEWAY_LOST]


async def test_a_gateway_that_is_gone_when_the_grant_leaves_does_not_stop_the_agent(desk: Desk) -> None:
    await desk.hello()
    desk.gateway_listens = False
    await desk.calls.reconcile(call(CallPhase.ASKED))
    await desk.calls.reconcile(ended())
    assert [cdr.cause for cdr in desk.store.cdrs.values()] == [Cause.NORMAL]


async def test_an_answer_that_could_not_be_kept_is_kept_later(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    desk.store.full = True
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000))
    desk.store.full = False
    await desk.calls._again()
    second = Desk(desk.store)
    second.boot_ms = 1_030_000
    await second.hello("gateway-2")
    (cdr,) = desk.store.cdrs.values()
    assert cdr.answered_at == "2026-11-22T20:00:02.000Z", "a call that was answered is not recorded as unanswered"


async def test_an_end_that_could_not_be_stored_survives_the_gateway(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000))
    desk.store.full = True
    await desk.calls.reconcile(ended(answered_ms=1_002_000))
    desk.store.full = False
    desk.boot_ms = 1_050_000
    desk.calls.lost()
    await desk.hello("gateway-2")
    await desk.calls._again()
    (cdr,) = desk.store.cdrs.values()
    assert (cdr.duration_ms, cdr.cause, cdr.recovered) == (10_345, Cause.NORMAL, False)


async def test_a_gateway_that_dies_twice_at_once_does_not_lengthen_the_call(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000))
    desk.boot_ms = 1_007_000
    desk.calls.lost()
    second = Hello(protocol=PROTOCOL_VERSION, instance="gateway-2", boot_id=desk.boot_id, version="0")
    desk.calls.take(second)
    desk.boot_ms = 1_030_000
    desk.calls.lost()
    await desk.hello("gateway-2")
    await desk.hello("gateway-3")
    (cdr,) = desk.store.cdrs.values()
    assert cdr.duration_ms == 5_000


async def test_a_call_known_only_to_an_unread_store_keeps_its_price_list(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    second = Desk(desk.store)
    second.judge.list = "list-2"
    desk.store.unreadable = True
    await second.hello()
    await second.calls.reconcile(ended(answered_ms=1_002_000))
    assert desk.store.cdrs == {}
    desk.store.unreadable = False
    await second.calls._again()
    (cdr,) = desk.store.cdrs.values()
    assert cdr.price is not None
    assert cdr.price.version == "list-1"


async def test_an_answer_that_was_never_kept_counts_when_the_gateway_dies(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    desk.store.full = True
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000))
    desk.boot_ms = 1_007_000
    desk.calls.lost()
    await desk.hello("gateway-2")
    desk.store.full = False
    await desk.calls._again()
    (cdr,) = desk.store.cdrs.values()
    assert (cdr.duration_ms, cdr.cause) == (5_000, Cause.GATEWAY_LOST)
    assert desk.calls.live == {}


def _hello(instance: str) -> Hello:
    return Hello(protocol=PROTOCOL_VERSION, instance=instance, boot_id="boot-1", version="0")


async def _work(desk: Desk) -> None:
    """Work off what waits in the queue."""
    while not desk.calls._inbox.empty():
        await desk.calls.reconcile(desk.calls._inbox.get_nowait())


async def test_an_answer_and_the_loss_at_the_same_millisecond_cost_nothing(desk: Desk) -> None:
    desk.calls.take(_hello("gateway-1"))
    desk.calls.take(call(CallPhase.ASKED))
    await _work(desk)
    desk.boot_ms = 1_005_000
    desk.calls.take(call(CallPhase.ANSWERED, answered_ms=1_005_000))
    desk.calls.lost()
    await _work(desk)
    assert desk.calls.live == {}, "nobody is alive in a gateway that is away"
    desk.boot_ms += 30 * 60_000
    desk.calls.take(_hello("gateway-2"))
    await _work(desk)
    (cdr,) = desk.store.cdrs.values()
    assert (cdr.duration_ms, cdr.cause) == (0, Cause.GATEWAY_LOST)
    assert cdr.answered_at == "2026-11-22T20:00:05.000Z", "that it was answered is still true"


async def test_a_loss_during_the_decision_does_not_bring_the_call_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_call = desk.store.open_call

    async def lost_meanwhile(row: OpenCall) -> None:
        desk.calls.lost()
        await open_call(row)

    monkeypatch.setattr(desk.store, "open_call", lost_meanwhile)
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    assert desk.calls.live == {}


async def test_a_sign_of_life_after_the_loss_does_not_lengthen_the_call(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000))
    desk.boot_ms = 1_007_000
    desk.calls.lost()
    await desk.store.mark_alive([call(CallPhase.ASKED).call_id], 1_900_000)
    await desk.hello("gateway-2")
    (cdr,) = desk.store.cdrs.values()
    assert cdr.duration_ms == 5_000


async def test_an_answer_that_is_kept_after_the_loss_does_not_bring_the_call_back(desk: Desk) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    desk.store.full = True
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000))
    desk.calls.lost()
    desk.store.full = False
    await desk.calls._again()
    assert desk.calls.live == {}
    assert desk.store.opened[call(CallPhase.ASKED).call_id].answered_ms == 1_002_000


async def test_a_row_that_is_opened_after_the_loss_was_alive_no_longer_than_its_gateway(desk: Desk) -> None:
    await desk.hello()
    desk.store.full = True
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_000_000, direction=Direction.INCOMING))
    desk.boot_ms = 1_001_000
    desk.calls.lost()
    desk.store.full, desk.boot_ms = False, 2_000_000
    await desk.calls._again()
    (row,) = desk.store.opened.values()
    assert row.last_alive_ms == 1_001_000, "an agent that is started now knows nothing of the loss"


async def test_a_gateway_that_comes_back_as_itself_has_its_calls_alive(desk: Desk) -> None:
    desk.calls.take(_hello("gateway-1"))
    desk.calls.take(call(CallPhase.ASKED))
    desk.calls.lost()
    desk.calls.take(_hello("gateway-1"))
    desk.calls.take(call(CallPhase.ANSWERED, answered_ms=1_002_000))
    await _work(desk)
    assert [live.state.phase for live in desk.calls.live.values()] == [CallPhase.ANSWERED]


async def test_a_store_that_refuses_a_new_call_is_not_shown_as_working(desk: Desk) -> None:
    await desk.hello()
    desk.store.full = True
    await desk.calls.reconcile(call(CallPhase.ASKED))
    assert desk.calls.trouble == "no space left"
    await desk.calls.reconcile(call(CallPhase.ASKED, number="+4782900000"))
    assert desk.calls.trouble == "no space left", "a refusal that writes nothing says nothing of the store"
    desk.store.full = False
    await desk.calls.reconcile(call(CallPhase.ASKED))
    assert desk.calls.trouble == ""


async def test_a_store_that_can_be_read_again_is_no_trouble_any_more(desk: Desk) -> None:
    desk.store.unreadable = True
    await desk.hello()
    assert desk.calls.trouble == "it cannot be read"
    desk.store.unreadable = False
    await desk.calls._again()
    assert desk.calls.trouble == ""


async def test_a_good_heartbeat_ends_the_trouble_of_a_failed_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    beats = iter([False, True])

    async def beat(_: float) -> None:
        try:
            desk.store.full = not next(beats)
        except StopIteration:
            raise GoneError from None
        troubles.append(desk.calls.trouble)

    troubles: list[str] = []
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    monkeypatch.setattr(asyncio, "sleep", beat)
    with pytest.raises(GoneError):
        await desk.calls._heartbeat()
    assert [*troubles, desk.calls.trouble] == ["", "no space left", ""]


@pytest.mark.parametrize("code", [*RefusalCode, *StoreRefusal])
@pytest.mark.parametrize("lang", list(Language))
def test_every_refusal_that_the_agent_can_send_has_a_sentence(code: RefusalCode | StoreRefusal, lang: Language) -> None:
    assert Texts.load().say(f"refusal.{code}", lang).endswith(".")


async def test_a_call_that_the_store_refuses_is_refused_with_a_code_that_has_a_sentence(desk: Desk) -> None:
    await desk.hello()
    desk.store.full = True
    await desk.calls.reconcile(call(CallPhase.ASKED))
    (decision,) = desk.sent
    assert isinstance(decision, Decide)
    assert f"refusal.{decision.refusal}" in Texts.load()


async def test_the_answer_is_told_once_in_the_journal(desk: Desk) -> None:
    """The gateway's own line of it is logged where it arrives."""
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    with capture_logs() as told:
        await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000))
    assert [line["log_level"] for line in told if line["event"] == "call_answered"] == ["debug"]


@pytest.mark.parametrize("lost", [False, True], ids=["ended", "lost"])
async def test_a_call_that_began_before_the_clock_was_set_has_its_true_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    began: list[str] = []
    price = desk.judge.price

    def watched(row: OpenCall, duration_ms: int) -> tuple[Price | None, str]:
        began.append(row.began_at)
        return price(row, duration_ms)

    monkeypatch.setattr(desk.judge, "price", watched)
    desk.clock_set = False
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000))
    desk.clock_set, desk.boot_ms = True, 1_013_000
    if lost:
        desk.calls.lost()
        await desk.hello("gateway-2")
    else:
        await desk.calls.reconcile(ended(answered_ms=1_002_000))
    (cdr,) = desk.store.cdrs.values()
    assert (cdr.began_at, cdr.time_trusted) == ("2026-11-22T20:00:00.000Z", True)
    assert cdr.answered_at == "2026-11-22T20:00:02.000Z"
    assert desk.store.days == [("2026-11", "2026-11-22")]
    assert began == ["2026-11-22T20:00:00.000Z"], "the price is that of the true day"


async def test_an_unset_clock_of_another_boot_is_not_counted_back(desk: Desk) -> None:
    desk.clock_set = False
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    second = Desk(desk.store)
    second.boot_id = "boot-2"
    await second.hello("gateway-2")
    (cdr,) = desk.store.cdrs.values()
    assert (cdr.began_at, cdr.time_trusted) == ("1970-01-01T00:00:00.000Z", False)


OTHER = "0192f0c1-0000-7000-8000-000000000002"


async def test_a_record_that_nothing_can_be_made_of_is_kept_by_the_gateway_while_others_go_on(desk: Desk) -> None:
    await desk.hello()
    with capture_logs() as told:
        await desk.calls.reconcile(ended(asked_ms=2**53, ended_ms=2**53))
        await desk.calls._again()
    bad = call(CallPhase.ASKED).call_id
    assert [(line["event"], line["call_id"], line["log_level"]) for line in told] == [
        ("record_unprocessable", bad, "error")
    ], "told once, not each time round"
    assert desk.sent == [], "an unrecorded call is not released"
    await desk.calls.reconcile(ended(call_id=OTHER, answered_ms=1_002_000))
    assert desk.store.cdrs.keys() == {OTHER}
    await desk.calls.reconcile(ended(answered_ms=1_002_000))
    assert desk.store.cdrs.keys() == {OTHER, bad}, "sent again, and right this time"


@pytest.mark.parametrize("phase", [CallPhase.ASKED, CallPhase.RINGING, CallPhase.ENDED])
async def test_a_call_of_an_impossible_time_does_not_end_the_agent(desk: Desk, phase: CallPhase) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(phase, asked_ms=2**53))
    await desk.calls.reconcile(call(CallPhase.ASKED, call_id=OTHER))
    assert [record.granted for record in desk.sent if isinstance(record, Decide)] == [True]


async def test_a_lost_call_that_cannot_be_recorded_stays_open_and_holds_up_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.hello()
    for call_id in (call(CallPhase.ASKED).call_id, OTHER):
        await desk.calls.reconcile(call(CallPhase.ASKED, call_id=call_id))
        await desk.calls.reconcile(call(CallPhase.ANSWERED, call_id=call_id, answered_ms=1_002_000))
    price = desk.judge.price

    def poisoned(row: OpenCall, duration_ms: int) -> tuple[Price | None, str]:
        if row.id != OTHER:
            raise OverflowError("date value out of range")
        return price(row, duration_ms)

    monkeypatch.setattr(desk.judge, "price", poisoned)
    desk.boot_ms = 1_005_000
    desk.calls.lost()
    with capture_logs() as told:
        await desk.hello("gateway-2")
    assert desk.store.cdrs.keys() == {OTHER}
    assert desk.store.opened.keys() == {call(CallPhase.ASKED).call_id}
    assert [line["call_id"] for line in told if line["event"] == "call_unrecoverable"] == [
        call(CallPhase.ASKED).call_id
    ]


def test_a_boot_clock_that_no_machine_can_show_is_no_record() -> None:
    with pytest.raises(ProtocolError, match="asked_ms"):
        decode_gateway_record(encode(call(CallPhase.ASKED, asked_ms=10**17)))
    assert decode_gateway_record(encode(call(CallPhase.ASKED, asked_ms=2**53)))


async def test_a_call_whose_end_could_not_be_recorded_does_not_run_on_until_its_gateway_dies(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.hello()
    await desk.calls.reconcile(call(CallPhase.ASKED))
    await desk.calls.reconcile(call(CallPhase.ANSWERED, answered_ms=1_002_000))

    def poisoned(row: OpenCall, duration_ms: int) -> tuple[Price | None, str]:
        raise OverflowError("date value out of range")

    with monkeypatch.context() as patch:
        patch.setattr(desk.judge, "price", poisoned)
        await desk.calls.reconcile(ended(answered_ms=1_002_000))
    assert desk.store.cdrs == {}
    desk.boot_ms += 86_400_000
    desk.calls.lost()
    await desk.hello("gateway-2")
    (cdr,) = desk.store.cdrs.values()
    assert cdr.duration_ms == 10_345
