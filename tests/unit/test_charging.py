"""Caps, minute packs and prepaid money on real calls: a telephone, its agent, several lines at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.calls import Calls
from agent.charging import Charging
from agent.clock import Moment
from agent.core.admission import RefusalCode
from agent.core.budget import Cap
from agent.core.cdr import Cdr, OpenCall
from agent.core.numbers import classify
from agent.core.terms import Cause, Tone
from agent.data import load_numbering, load_products, load_services, load_tones
from agent.gateway.fake import FakeGateway
from agent.gateway.protocol import CallState, Decide, GatewayRecord, Hello
from agent.operator.api import (
    CostLimits,
    FileInfo,
    MinutePack,
    Number,
    OutgoingLine,
    PackName,
    PackSeconds,
    Registration,
    Subscription,
    Usage,
    UsageCount,
)
from agent.plan import Plan, Shipped
from agent.rating.deck import parse
from agent.rating.errors import TableError
from agent.rating.table import RateTable
from agent.store.records import UsageDetails, UsageRow, counted
from agent.texts import Language, Texts

OSLO = ZoneInfo("Europe/Oslo")
START = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
MONTH = "2026-11"
KR = 1_000_000
SWEDEN, GERMANY, PREMIUM, FREE, TOLL_FREE = "004681234567#", "004930123456#", "82912345", "22345678", "80012345"

HEAD = """# price_list: test
# product: sentralbord
# currency: NOK
# vat: not_stated
# version: 1
# valid_from: 2019-01-01
# rounding: half_up
# decimals: 6
# seconds: up
prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,when
"""
ROWS = """46,Sverige,0,1.00,60,1,,,
472,Norge,0,0,60,1,,,
47800,Norge grønt nummer,0,3.00,60,1,,,
47829,Norge teletorg,10,25,60,60,,,
49,Tyskland,0.50,2.00,60,60,,,
"""


def table_of(rows: str = ROWS, head: str = HEAD) -> RateTable:
    return RateTable.of(parse(head + rows, "test.csv"))


def subscribed(lines: int, **more: Any) -> Subscription:
    numbers = [f"+472100000{n}" for n in range(lines)]
    return Subscription(
        revision="1", customer="Nordmann", product="sentralbord",
        registrations=[
            Registration(
                id="main", user="main", domain="sip.example", auth_user="main", password="long-enough",
                targets=["192.0.2.1:5060"],
            )
        ],
        numbers=[Number(number=number, registration="main", lines=[n]) for n, number in enumerate(numbers)],
        lines=[OutgoingLine(line=n, registration="main", number=number) for n, number in enumerate(numbers)],
        price_list=FileInfo(name="price-list-test", version="1", length=1, sha256="0" * 64), **more,
    )  # fmt: skip


def norden(seconds: int = 600, **more: Any) -> MinutePack:
    return MinutePack(id="norden", name=PackName(nb="Norden", en="Nordic"), prefixes=["46"], seconds=seconds, **more)


class Memory:
    """The store of a home that never loses power."""

    def __init__(self) -> None:
        self.opened: dict[str, OpenCall] = {}
        self.cdrs: dict[str, Cdr] = {}

    async def open_call(self, call: OpenCall) -> None:
        self.opened.setdefault(call.id, call)

    async def mark_answered(self, call_id: str, answered_ms: int) -> None:
        self.opened[call_id] = msgspec.structs.replace(self.opened[call_id], answered_ms=answered_ms)

    async def mark_alive(self, call_ids: Sequence[str], boot_ms: int) -> None:
        pass

    async def open_calls(self) -> list[OpenCall]:
        return list(self.opened.values())

    async def finish(self, cdr: Cdr, month: str, day: str) -> bool:
        self.opened.pop(cdr.id, None)
        return self.cdrs.setdefault(cdr.id, cdr) is cdr

    async def usage(self, month: str) -> list[UsageRow]:
        rows = [counted(cdr) for cdr in self.cdrs.values() if cdr.began_at.startswith(month)]
        return [row for row in rows if row is not None]

    async def usage_details(self, month: str) -> UsageDetails:
        classes: dict[str, int] = {}
        packs: dict[str, int] = {}
        for cdr in self.cdrs.values():
            if cdr.price is None:
                continue
            name = classify(cdr.number).value
            classes[name] = classes.get(name, 0) + cdr.price.amount_micro
            for take in cdr.price.packs:
                packs[take.pack] = packs.get(take.pack, 0) + take.seconds
        return UsageDetails(classes, packs)

    async def priced_since(self, at: datetime) -> list[tuple[datetime, int]]:
        return [
            (ended, cdr.price.amount_micro)
            for cdr in self.cdrs.values()
            if cdr.price is not None
            and (ended := datetime.fromisoformat(cdr.answered_at) + timedelta(milliseconds=cdr.duration_ms)) > at
        ]


class Home:
    """A telephone with several lines, and the agent's half of its calls. `wall` is when its boot clock shows 1000 s."""

    def __init__(
        self, *, lines: int = 6, wall: datetime = START, table: RateTable | None = None, **subscription: Any
    ) -> None:
        self.store = Memory()
        self.heard: list[GatewayRecord] = []
        self.gateway = FakeGateway(lines=lines, max_calls=lines + 2, on_record=self.heard.append)
        self.wall = wall
        self.subscription = subscribed(lines, **subscription)
        self.tables = {"list": table or table_of()}
        self.decisions: list[Decide] = []
        self.agent_runs = False

    def now(self) -> Moment:
        return Moment(
            "00000000-0000-4000-8000-000000000001", self.gateway.now,
            self.wall + timedelta(milliseconds=self.gateway.now - 1_000_000), True,
        )  # fmt: skip

    def _table(self, sha256: str) -> RateTable:
        if sha256 not in self.tables:
            raise TableError(f"{sha256} is gone")
        return self.tables[sha256]

    async def start_agent(self) -> None:
        shipped = Shipped(load_products(), load_numbering(), load_tones(), services=load_services())
        self.plan = Plan(shipped, OSLO, self._table)
        self.charging = Charging(self.plan, OSLO)
        self.calls = Calls(
            store=self.store, judge=self.charging, purse=self.charging, send=self._send, now=self.now, zone=OSLO,
            recorded=self._recorded, troubles=(OSError,), unsendable=ConnectionError,
        )  # fmt: skip
        self.plan.use_subscription(self.subscription, self.now())
        self.plan.use_table(self.tables["list"], "list")
        self.charging.use_subscription(self.subscription)
        await self.charging.restore(self.store, self.now())
        self.heard.clear()
        self.agent_runs = True
        self.gateway.connect()
        configuration = self.plan.configuration()
        assert configuration is not None
        self.gateway.send(configuration)
        await self.pump()

    def kill_agent(self) -> None:
        self.agent_runs = False
        self.gateway.disconnect()
        self.heard.clear()

    def _send(self, record: Any) -> None:
        if isinstance(record, Decide):
            self.decisions.append(record)
        self.gateway.send(record)

    async def _recorded(self, cdr: Cdr) -> None:
        pass

    async def pump(self) -> None:
        while self.heard:
            record = self.heard.pop(0)
            if self.agent_runs and isinstance(record, Hello | CallState):
                await self.calls.reconcile(record)

    async def pass_time(self, ms: int) -> None:
        """Let time pass, with the agent renewing grants as they come due."""
        end = self.gateway.now + ms
        while self.gateway.now < end:
            due = self.charging.renewal_ms() if self.agent_runs else None
            step = (
                end - self.gateway.now if due is None else min(end, max(due, self.gateway.now + 50)) - self.gateway.now
            )
            self.gateway.advance(step)
            await self.pump()
            if self.agent_runs:
                self.calls.renew()
                await self.pump()

    async def dial(self, digits: str, line: int = 0) -> str:
        self.gateway.hang_up(line)
        await self.pump()
        call_id = self.gateway.call_number(digits, line)
        await self.pump()
        return call_id

    async def talk(self, digits: str, line: int = 0) -> str:
        call_id = await self.dial(digits, line)
        self.gateway.peer_answers(call_id)
        await self.pump()
        return call_id

    async def hang_up(self, line: int = 0) -> None:
        self.gateway.hang_up(line)
        await self.pump()

    def cdr(self, call_id: str) -> Cdr:
        return self.store.cdrs[call_id]

    def spent(self) -> int:
        return sum(cdr.price.amount_micro for cdr in self.store.cdrs.values() if cdr.price is not None)

    def observe(self, **counts: Any) -> None:
        self.charging.observe(Usage(month=MONTH, **({"calls": 0, "seconds": 0, "amount_micro": 0} | counts)))
        self.calls.renew()


async def home(**options: Any) -> Home:
    made = Home(**options)
    await made.start_agent()
    return made


def capped(**amounts: str) -> CostLimits:
    return CostLimits(**amounts)


def priced(cdr: Cdr) -> tuple[int, int, int]:
    assert cdr.price is not None
    return cdr.price.amount_micro, cdr.price.pack_s, cdr.price.paid_s


# --- caps -------------------------------------------------------------------------------------------------------------


async def test_without_caps_a_call_is_granted_as_the_product_allows_and_asked_about_no_more() -> None:
    here = await home()
    call_id = await here.talk(SWEDEN)
    await here.pass_time(3_600_000)
    (decision,) = here.decisions
    assert (decision.max_talk_ms, decision.limit) == (None, "")
    await here.hang_up()
    assert priced(here.cdr(call_id)) == (60 * KR, 0, 3600)


async def test_a_call_is_warned_and_cut_at_the_cap_and_costs_no_more() -> None:
    here = await home(limits=capped(month="3"))
    call_id = await here.talk(SWEDEN)
    await here.pass_time(119_999)
    assert here.gateway.phones[0].warnings == 0
    await here.pass_time(1)
    assert here.gateway.phones[0].warnings == 1
    await here.pass_time(70_000)
    cdr = here.cdr(call_id)
    assert (cdr.cause, cdr.limit, cdr.duration_ms) == (Cause.LIMIT_REACHED, "month", 179_800)
    assert priced(cdr) == (3 * KR, 0, 180)
    assert here.gateway.phones[0].tone is Tone.CONGESTION


async def test_ringing_time_is_not_counted_against_the_cap() -> None:
    here = await home(limits=capped(month="1"))
    call_id = await here.dial(SWEDEN)
    await here.pass_time(80_000)
    here.gateway.peer_answers(call_id)
    await here.pump()
    await here.pass_time(59_700)
    assert here.gateway.call(call_id).cause is None
    await here.pass_time(200)
    assert priced(here.cdr(call_id)) == (KR, 0, 60)


async def test_the_telephone_cuts_the_call_in_time_when_the_agent_has_been_killed() -> None:
    here = await home(limits=capped(month="3"))
    call_id = await here.talk(SWEDEN)
    here.kill_agent()
    await here.pass_time(600_000)
    await here.start_agent()
    cdr = here.cdr(call_id)
    assert (cdr.cause, cdr.limit, cdr.duration_ms) == (Cause.LIMIT_REACHED, "month", 179_800)
    assert priced(cdr)[0] == 3 * KR


async def test_an_agent_that_comes_back_in_mid_call_knows_what_is_set_aside() -> None:
    here = await home(limits=capped(month="10"))
    call_id = await here.talk(SWEDEN)
    await here.pass_time(100_000)
    here.kill_agent()
    await here.pass_time(10_000)
    await here.start_agent()
    assert here.charging.budget.reserved_micro >= 2 * KR
    other = await here.talk(GERMANY, 1)
    await here.pass_time(3_600_000)
    assert [here.cdr(one).cause for one in (call_id, other)] == [Cause.LIMIT_REACHED] * 2
    assert 9 * KR <= here.spent() <= 10 * KR


async def test_an_agent_that_comes_back_while_it_rings_knows_what_is_set_aside() -> None:
    here = await home(limits=capped(month="3"))
    ringing = await here.dial(SWEDEN)
    here.gateway.peer_rings(ringing)
    here.kill_agent()
    await here.start_agent()
    assert here.charging.budget.reserved_micro == 3 * KR
    assert here.cdr(await here.dial(GERMANY, 1)).refusal == RefusalCode.LIMIT_MONTH
    here.gateway.peer_answers(ringing)
    await here.pump()
    await here.pass_time(600_000)
    assert priced(here.cdr(ringing))[0] == here.spent() == 3 * KR


async def test_a_call_far_from_its_cap_is_renewed_and_never_notices() -> None:
    here = await home(limits=capped(month="500"))
    call_id = await here.talk(SWEDEN)
    await here.pass_time(2 * 3_600_000)
    assert here.gateway.call(call_id).cause is None
    grants = [decision.max_talk_ms for decision in here.decisions]
    assert len(grants) > 3
    assert all(decision.limit == Cap.LEASE for decision in here.decisions)
    assert all(talk is not None and talk >= 300_000 for talk in grants)
    await here.hang_up()
    assert priced(here.cdr(call_id))[0] == 120 * KR
    assert here.charging.budget.reserved_micro == 0


async def test_an_agent_that_stays_away_ends_the_call_at_its_lease() -> None:
    here = await home(limits=capped(month="500"))
    call_id = await here.talk(SWEDEN)
    here.kill_agent()
    await here.pass_time(2 * 3_600_000)
    await here.start_agent()
    cdr = here.cdr(call_id)
    assert (cdr.cause, cdr.limit) == (Cause.LIMIT_REACHED, "lease")
    assert cdr.duration_ms <= 900_000


@pytest.mark.parametrize(
    ("limits", "digits", "code", "tone"),
    [
        ({"month": "0.50"}, GERMANY, RefusalCode.LIMIT_MONTH, Tone.SPECIAL),
        ({"abroad": "2.49"}, GERMANY, RefusalCode.LIMIT_ABROAD, Tone.SPECIAL),
        ({"premium": "34"}, PREMIUM, RefusalCode.LIMIT_PREMIUM, Tone.SPECIAL),
        ({"call": "2"}, GERMANY, RefusalCode.LIMIT_CALL, Tone.SPECIAL),
        ({"hour": "2"}, GERMANY, RefusalCode.LIMIT_HOUR, Tone.CONGESTION),
        ({"day": "2"}, GERMANY, RefusalCode.LIMIT_DAY, Tone.CONGESTION),
    ],
)
async def test_each_cap_refuses_a_call_whose_beginning_does_not_fit(
    limits: dict[str, str], digits: str, code: RefusalCode, tone: Tone
) -> None:
    here = await home(limits=capped(**limits))
    call_id = await here.dial(digits)
    assert here.gateway.phones[0].tone is tone
    cdr = here.cdr(call_id)
    assert (cdr.cause, cdr.refusal, cdr.price) == (Cause.REFUSED, code, None)
    assert here.charging.budget.reserved_micro == 0


@pytest.mark.parametrize("lang", list(Language))
def test_every_limit_that_ends_a_call_has_a_sentence(lang: Language) -> None:
    for cap in Cap:
        assert Texts.load().say(f"limit.{cap}", lang)


async def test_what_is_exempt_goes_on_when_everything_is_spent() -> None:
    here = await home(limits=capped(month="0", call="0", hour="0", day="0"), prepaid=True)
    free = await here.talk(FREE, 0)
    toll_free = await here.talk(TOLL_FREE, 1)
    here.gateway.lift(2)
    here.gateway.dial("112", 2)
    await here.pump()
    here.gateway.incoming("+4721000003")
    here.gateway.lift(3)
    await here.pump()
    refused = await here.dial(SWEDEN, 4)
    assert here.cdr(refused).refusal
    await here.pass_time(3_600_000)
    assert sum(call.cause is None for call in here.gateway.calls()) == 4
    for line in range(4):
        await here.hang_up(line)
    assert here.cdr(free).limit == here.cdr(toll_free).limit == ""


async def test_an_hour_s_cap_lets_calls_through_again_after_the_hour_and_survives_a_restart() -> None:
    here = await home(limits=capped(hour="2"))
    await here.talk(SWEDEN)
    await here.pass_time(120_000)
    assert here.spent() == 2 * KR
    here.kill_agent()
    await here.start_agent()
    assert here.cdr(await here.dial(SWEDEN)).refusal == RefusalCode.LIMIT_HOUR
    await here.pass_time(3_600_000)
    call_id = await here.talk(SWEDEN)
    assert here.gateway.call(call_id).cause is None


async def test_month_and_class_survive_a_restart() -> None:
    here = await home(limits=capped(abroad="2"))
    await here.talk(SWEDEN)
    await here.pass_time(120_000)
    here.kill_agent()
    await here.start_agent()
    assert here.cdr(await here.dial(SWEDEN)).refusal == RefusalCode.LIMIT_ABROAD


# --- other devices, prepaid money, changes ----------------------------------------------------------------------------


def told(amount: int = 0, **more: Any) -> dict[str, Any]:
    return {"amount_micro": amount, "device": UsageCount(calls=0, seconds=0, amount_micro=0), **more}


async def test_what_another_device_spends_shortens_a_call_within_one_poll() -> None:
    here = await home(limits=capped(month="10"))
    call_id = await here.talk(SWEDEN)
    await here.pass_time(60_000)
    here.observe(**told(8 * KR))
    await here.pass_time(59_700)
    assert here.gateway.call(call_id).cause is None
    await here.pass_time(200)
    cdr = here.cdr(call_id)
    assert (cdr.limit, priced(cdr)[0]) == ("month", 2 * KR)


async def test_a_call_for_which_nothing_is_left_ends_at_once() -> None:
    here = await home(limits=capped(month="10"))
    call_id = await here.talk(SWEDEN)
    await here.pass_time(60_000)
    here.observe(**told(10 * KR))
    await here.pass_time(50)
    assert here.cdr(call_id).limit == "month"


async def test_a_raised_cap_lengthens_a_call_in_progress() -> None:
    here = await home(limits=capped(month="2"))
    call_id = await here.talk(SWEDEN)
    await here.pass_time(100_000)
    here.subscription = msgspec.structs.replace(here.subscription, limits=capped(month="4"))
    here.plan.use_subscription(here.subscription, here.now())
    here.charging.use_subscription(here.subscription)
    here.calls.renew()
    await here.pass_time(300_000)
    assert priced(here.cdr(call_id))[0] == 4 * KR


async def test_caps_that_are_set_in_mid_call_do_not_cut_what_they_would_still_pay() -> None:
    here = await home()
    call_id = await here.talk(SWEDEN)
    await here.pass_time(1_200_000)
    here.subscription = msgspec.structs.replace(here.subscription, limits=capped(month="25"))
    here.charging.use_subscription(here.subscription)
    here.calls.renew()
    await here.pass_time(600_000)
    assert priced(here.cdr(call_id))[0] == 25 * KR


async def test_prepaid_money_that_nobody_has_told_of_pays_no_call() -> None:
    here = await home(prepaid=True)
    assert here.cdr(await here.dial(SWEDEN)).refusal == RefusalCode.NO_BALANCE
    here.observe(**told(balance_micro=2 * KR))
    call_id = await here.talk(SWEDEN)
    await here.pass_time(200_000)
    assert (here.cdr(call_id).limit, here.spent()) == ("balance", 2 * KR)
    assert here.cdr(await here.dial(SWEDEN)).refusal == RefusalCode.NO_BALANCE
    here.observe(**told(balance_micro=2 * KR))
    assert here.cdr(await here.dial(SWEDEN)).refusal == RefusalCode.NO_BALANCE, "the operator has no record of it yet"
    reported = UsageCount(calls=1, seconds=120, amount_micro=2 * KR)
    here.observe(amount_micro=2 * KR, device=reported, balance_micro=5 * KR)
    assert here.gateway.call(await here.talk(SWEDEN)).cause is None


async def test_a_lost_grant_is_sent_again() -> None:
    here = await home(limits=capped(month="10"))
    call_id = await here.talk(SWEDEN)
    told_before = here.decisions[-1]
    grant = here.gateway.call(call_id)
    await here.calls.reconcile(msgspec.structs.replace(grant, max_talk_ms=(grant.max_talk_ms or 0) + 60_000))
    assert here.decisions[-1] == told_before
    assert len(here.decisions) >= 2


# --- minute packs -----------------------------------------------------------------------------------------------------


async def test_a_pack_pays_first_and_the_record_says_what_it_gave() -> None:
    here = await home(packs=[norden(60)])
    first = await here.talk(SWEDEN)
    await here.pass_time(45_000)
    await here.hang_up()
    assert priced(here.cdr(first)) == (0, 45, 0)
    second = await here.talk(SWEDEN)
    await here.pass_time(75_000)
    await here.hang_up()
    assert priced(here.cdr(second)) == (KR, 15, 60)
    price = here.cdr(second).price
    assert price is not None
    assert [(take.pack, take.month, take.seconds) for take in price.packs] == [("norden", MONTH, 15)]
    assert here.charging.packs.used_s("norden", MONTH) == 60


async def test_what_other_devices_used_of_a_pack_is_gone() -> None:
    here = await home(packs=[norden(60)])
    here.observe(**told(packs=[PackSeconds(pack="norden", seconds=50)]))
    call_id = await here.talk(SWEDEN)
    await here.pass_time(70_000)
    await here.hang_up()
    assert priced(here.cdr(call_id)) == (KR, 10, 60)


async def test_two_calls_at_once_do_not_use_the_same_pack_seconds_under_a_cap() -> None:
    here = await home(packs=[norden(600)], limits=capped(month="12"))
    first, second = await here.talk(SWEDEN, 0), await here.talk(SWEDEN, 1)
    await here.pass_time(3_600_000)
    costs = [priced(here.cdr(one)) for one in (first, second)]
    assert 11 * KR <= sum(cost for cost, _, _ in costs) <= 12 * KR
    assert sum(pack_s for _, pack_s, _ in costs) == 600


@pytest.mark.parametrize("how", ["held", "conference", "left together"])
async def test_two_calls_on_one_line_spend_one_cap_and_end_at_it_whoever_speaks(how: str) -> None:
    here = await home(limits=capped(month="6"))
    first = await here.talk(SWEDEN)
    here.gateway.flash()
    here.gateway.dial(SWEDEN)
    await here.pump()
    second = next(one.call_id for one in here.gateway.calls() if one.call_id != first)
    here.gateway.peer_answers(second)
    await here.pump()
    if how != "held":
        here.gateway.flash()
        here.gateway.dial("3" if how == "conference" else "4")
        await here.pump()
    await here.pass_time(3_600_000)
    cdrs = [here.cdr(one) for one in (first, second)]
    assert sum(priced(cdr)[0] for cdr in cdrs) <= 6 * KR
    # Two that were left together end together, by whichever cap is met first.
    assert here.spent() >= (1 if how == "left together" else 5) * KR
    assert "month" in {cdr.limit for cdr in cdrs}


async def test_a_forwarded_call_is_cut_at_the_cap_and_its_caller_with_it() -> None:
    here = await home(limits=capped(month="3"))
    here.gateway.lift()
    here.gateway.dial(f"*21*{SWEDEN}")
    here.gateway.hang_up()
    caller = here.gateway.incoming("+4721000000", "+4722334455")
    await here.pump()
    onward = next(one.call_id for one in here.gateway.calls() if one.call_id != caller)
    here.gateway.peer_answers(onward)
    await here.pump()
    await here.pass_time(600_000)
    assert (here.cdr(onward).limit, priced(here.cdr(onward))) == ("month", (3 * KR, 0, 180))
    assert (here.cdr(caller).cause, here.cdr(caller).price) == (Cause.NORMAL, None)


async def test_a_pack_used_before_a_restart_stays_used() -> None:
    here = await home(packs=[norden(60)])
    await here.talk(SWEDEN)
    await here.pass_time(60_000)
    await here.hang_up()
    here.kill_agent()
    await here.start_agent()
    call_id = await here.talk(SWEDEN)
    await here.pass_time(60_000)
    await here.hang_up()
    assert priced(here.cdr(call_id)) == (KR, 0, 60)


async def test_a_call_over_the_end_of_the_month_uses_the_pack_of_each_month() -> None:
    here = await home(packs=[norden(30)], wall=datetime(2026, 11, 30, 22, 59, 0, tzinfo=UTC))
    call_id = await here.dial(SWEDEN)
    await here.pass_time(60_000 - (here.now().wall - here.wall) // timedelta(milliseconds=1) - 20_000)
    here.gateway.peer_answers(call_id)
    await here.pump()
    await here.pass_time(60_000)
    await here.hang_up()
    price = here.cdr(call_id).price
    assert price is not None
    assert [(take.month, take.seconds) for take in price.packs] == [("2026-11", 20), ("2026-12", 30)]
    assert (price.pack_s, price.paid_s) == (50, 10)


# --- a price list that changes or ends --------------------------------------------------------------------------------


NEXT_HEAD = HEAD.replace("2019-01-01", "2026-12-01").replace("# version: 1", "# version: 2")


async def test_a_call_over_the_day_of_the_next_list_is_split_and_names_both() -> None:
    here = await home(wall=datetime(2026, 11, 30, 22, 58, 0, tzinfo=UTC))
    dearer = table_of(ROWS.replace("46,Sverige,0,1.00", "46,Sverige,0,6.00"), NEXT_HEAD)
    here.tables["next"] = dearer
    here.plan.offer_table(dearer, "next", here.now())
    call_id = await here.talk(SWEDEN)
    answered = datetime.fromisoformat(here.store.opened[call_id].began_at)
    await here.pass_time(180_000)
    await here.hang_up()
    cdr = here.cdr(call_id)
    old_s = (datetime(2026, 11, 30, 23, 0, tzinfo=UTC) - datetime.fromisoformat(cdr.answered_at)).total_seconds()
    assert 0 < old_s < 120
    assert answered < datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
    assert cdr.price is not None
    assert [(one.from_day, one.version) for one in cdr.price.lists] == [("", "1"), ("2026-12-01", "2")]
    # The second in which midnight falls belongs to the side on which it begins.
    old_seconds = -(-old_s // 1)
    assert cdr.price.amount_micro == pytest.approx(old_seconds * KR / 60 + (180 - old_seconds) * KR / 10, abs=1)


async def test_a_list_that_arrives_in_mid_call_does_not_touch_it() -> None:
    here = await home(wall=datetime(2026, 11, 30, 22, 58, 0, tzinfo=UTC))
    call_id = await here.talk(SWEDEN)
    here.plan.offer_table(table_of(ROWS.replace("1.00", "6.00"), NEXT_HEAD), "next", here.now())
    await here.pass_time(180_000)
    await here.hang_up()
    assert priced(here.cdr(call_id))[0] == 3 * KR


async def test_a_destination_that_the_next_list_blocks_ends_at_midnight() -> None:
    here = await home(wall=datetime(2026, 11, 30, 22, 58, 0, tzinfo=UTC))
    blocking = table_of(ROWS.replace("46,Sverige,0,1.00,60,1,,,", "46,Sverige,,blocked,,,,,"), NEXT_HEAD)
    here.tables["next"] = blocking
    here.plan.offer_table(blocking, "next", here.now())
    call_id = await here.talk(SWEDEN)
    await here.pass_time(600_000)
    cdr = here.cdr(call_id)
    ended = datetime.fromisoformat(cdr.answered_at) + timedelta(milliseconds=cdr.duration_ms)
    assert (cdr.cause, cdr.limit) == (Cause.LIMIT_REACHED, "price_list")
    assert timedelta() < datetime(2026, 11, 30, 23, 0, 1, tzinfo=UTC) - ended < timedelta(seconds=2)
    assert cdr.price is not None


async def test_a_call_ends_where_the_list_disconnects_at_its_maximum() -> None:
    head = HEAD.replace("next,minimum", "next,minimum,maximum")
    rows = "46,Sverige,0,1.00,60,1,,,2 disconnect,\n"
    here = await home(table=table_of(rows, head))
    call_id = await here.talk(SWEDEN)
    await here.pass_time(600_000)
    cdr = here.cdr(call_id)
    assert (cdr.limit, priced(cdr)[0]) == ("price_list", 2 * KR)


async def test_a_gateway_that_dies_leaves_a_call_that_is_settled_and_priced_with_its_pack() -> None:
    here = await home(packs=[norden(30)], limits=capped(month="10"))
    call_id = await here.talk(SWEDEN)
    await here.pass_time(60_000)
    here.calls.lost()
    here.gateway.crash()
    here.gateway.connect()
    await here.pump()
    cdr = here.cdr(call_id)
    assert (cdr.cause, cdr.recovered) == (Cause.GATEWAY_LOST, True)
    assert priced(cdr) == (KR // 2, 30, 30)
    assert here.charging.budget.reserved_micro == 0
    assert here.charging.packs.used_s("norden", MONTH) == 30


# --- many at once -----------------------------------------------------------------------------------------------------

DIGITS = (SWEDEN, GERMANY, PREMIUM, FREE)
amounts = st.none() | st.integers(0, 40).map(str)
limits = st.builds(
    CostLimits, month=amounts, abroad=amounts, premium=amounts, call=amounts, hour=amounts, day=amounts
)  # fmt: skip
deeds = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from(["dial", "answer", "hang up", "time", "kill", "poll"]), st.integers(1, 400)
    ),
    max_size=25,
)  # fmt: skip


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(limits, st.none() | st.integers(0, 40), st.integers(0, 4), deeds)
def test_whatever_calls_run_at_once_no_cap_is_passed_by_more_than_an_increment_of_each(
    caps: CostLimits, balance: int | None, pack_minutes: int, story: list[tuple[int, str, int]]
) -> None:
    asyncio.run(_live(caps, balance, pack_minutes, story))


async def _live(caps: CostLimits, balance: int | None, pack_minutes: int, story: list[tuple[int, str, int]]) -> None:
    packs = [norden(60 * pack_minutes)] if pack_minutes else []
    here = await home(limits=caps, packs=packs, prepaid=balance is not None)

    def poll() -> None:
        spent = here.spent()
        count = UsageCount(calls=1, seconds=1, amount_micro=spent)
        left = balance * KR - spent if balance is not None else None
        here.observe(amount_micro=spent, device=count, balance_micro=left)

    poll()
    ringing: dict[int, str] = {}
    for line, deed, amount in story:
        match deed:
            case "dial" if not here.gateway.phones[line].off_hook and here.agent_runs:
                ringing[line] = await here.dial(DIGITS[amount % len(DIGITS)], line)
            case "answer" if line in ringing:
                call = ringing.pop(line)
                if any(one.call_id == call and one.cause is None for one in here.gateway.calls()):
                    here.gateway.peer_answers(call)
                    await here.pump()
            case "hang up":
                ringing.pop(line, None)
                await here.hang_up(line)
            case "time":
                await here.pass_time(amount * 1000)
            case "kill":
                if here.agent_runs:
                    here.kill_agent()
                else:
                    await here.start_agent()
                    poll()
            case "poll" if here.agent_runs:
                poll()
    if not here.agent_runs:
        await here.start_agent()
        poll()
    for line in range(6):
        await here.hang_up(line)
    total = here.spent()
    details = await here.store.usage_details(MONTH)
    for cap, used in (
        (caps.month, total), (caps.day, total), (caps.hour, total if here.gateway.now < 4_000_000 else 0),
        (caps.abroad, details.classes.get("international", 0)), (caps.premium, details.classes.get("premium", 0)),
        (str(balance) if balance is not None else None, total),
    ):  # fmt: skip
        assert cap is None or used <= int(cap) * KR, (cap, used, here.store.cdrs)
    for cdr in here.store.cdrs.values():
        assert caps.call is None or cdr.price is None or cdr.price.amount_micro <= int(caps.call) * KR
    assert sum(details.packs.values()) <= 60 * pack_minutes
    assert here.charging.budget.reserved_micro == 0
