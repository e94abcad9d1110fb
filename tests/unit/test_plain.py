"""The adapter without an operator: calls without a price or a limit, one registration, and a log that goes by age."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agent.clock import FLOOR, Moment
from agent.config import PlainSection
from agent.core.cdr import Cdr, OpenCall
from agent.core.srtp import Srtp
from agent.core.terms import CallKind, CallPhase, Cause, Direction, LineProfile, Party
from agent.core.transports import Transport
from agent.data import load_numbering, load_products, load_tones
from agent.gateway.protocol import CallState
from agent.operator.errors import OperatorError
from agent.plain import NoOperator, PlainPlan, keep_log, subscription_of
from agent.plan import Shipped
from agent.rating.errors import TableError
from agent.rating.table import RateTable
from agent.store.errors import StoreError

NOW = Moment("boot", 5_000_000, datetime(2026, 11, 22, 12, tzinfo=UTC), True)
SECTION = PlainSection(
    user="22334455", domain="sip.example.net", number="+4722334455", password_file="/p", lines=[2],
    targets=["192.0.2.1"], number_format="national", codecs=["G722", "PCMA"],
)  # fmt: skip
ID = "0192f0c1-0000-7000-8000-000000000001"


@pytest.fixture
def plan() -> PlainPlan:
    def missing(sha256: str) -> RateTable:
        raise TableError(sha256)

    plan = PlainPlan(Shipped(load_products(), load_numbering(), load_tones()), ZoneInfo("Europe/Oslo"), missing)
    plan.use_subscription(subscription_of(SECTION, "s3cret"), NOW)
    return plan


def test_the_gateway_gets_one_registration_and_its_lines(plan: PlainPlan) -> None:
    configuration = plan.configuration()
    assert configuration is not None
    (account,) = configuration.accounts
    assert (account.user, account.domain, account.auth_user, account.password, account.targets, account.register) == (
        "22334455", "sip.example.net", "22334455", "s3cret", ["192.0.2.1"], True,
    )  # fmt: skip
    assert [(line.line, line.number) for line in configuration.lines] == [(1, "+4722334455")]
    assert [(route.number, route.lines) for route in configuration.routes] == [("+4722334455", [1])]
    assert configuration.numbers.outgoing == "national"
    assert account.codecs == ["G722", "PCMA"]
    assert {"110", "112", "113", "1412"} <= set(configuration.digit_map.emergency)


def test_what_is_said_of_the_provider_reaches_the_gateway(plan: PlainPlan) -> None:
    section = msgspec.structs.replace(
        SECTION, srtp=Srtp.OPTIONAL, transports=[Transport.TLS], signalling_ranges=["192.0.2.0/24"],
        media_ranges=["198.51.100.0/24"], stun_server="192.0.2.1:3478",
    )  # fmt: skip
    subscription = subscription_of(section, "s3cret")
    assert subscription.profile.transports == [Transport.TLS]
    plan.use_subscription(subscription, NOW)
    configuration = plan.configuration()
    assert configuration is not None
    assert [account.srtp for account in configuration.accounts] == [Srtp.OPTIONAL]
    assert (configuration.signalling_ranges, configuration.media_ranges, configuration.stun_server) == (
        ["192.0.2.0/24"], ["198.51.100.0/24"], "192.0.2.1:3478",
    )  # fmt: skip


def test_each_line_may_have_its_machine() -> None:
    section = msgspec.structs.replace(SECTION, lines=[1, 2, 3], profiles=[LineProfile.PHONE, LineProfile.ALARM])
    lines = subscription_of(section, "s3cret").lines
    assert [(one.line, one.profile) for one in lines] == [
        (0, LineProfile.PHONE),
        (1, LineProfile.ALARM),
        (2, LineProfile.PHONE),
    ]
    assert len(subscription_of(msgspec.structs.replace(section, lines=[1]), "s3cret").lines) == 1


@pytest.mark.parametrize("number", ["+4681234567", "+478290000", "+999123456", "1881"])
def test_every_call_may_start_without_an_end_and_without_a_price(plan: PlainPlan, number: str) -> None:
    asked = CallState(
        call_id=ID, direction=Direction.OUTGOING, kind=CallKind.ORDINARY, phase=CallPhase.ASKED, line=1,
        account="plain", number=number, own_number="+4722334455", asked_ms=NOW.boot_ms,
    )  # fmt: skip
    decision = plan.judge(asked, NOW).decision
    assert decision.granted
    assert (decision.until_ms, decision.max_talk_ms) == (None, None)


def test_nothing_is_wrong_with_having_no_product(plan: PlainPlan) -> None:
    plan.turn(Moment("boot", 5_000_001, datetime(2026, 11, 24, 12, tzinfo=UTC), True))
    assert plan.unknown_product == ""
    assert plan.refused == ()
    assert not plan.ended


async def test_there_is_nobody_to_ask() -> None:
    operator = NoOperator()
    with pytest.raises(OperatorError, match="no operator"):
        await operator.health()
    await operator.close()


class Log:
    """Two records that wait; fails when told to."""

    def __init__(self) -> None:
        self.waiting = [record("1"), record("2")]
        self.done: list[tuple[list[str], str]] = []
        self.fails = False
        self.asked = asyncio.Event()
        self.empty = asyncio.Event()

    async def pending(self, limit: int) -> list[Cdr]:
        self.asked.set()
        if self.fails:
            raise StoreError("the disk is away")
        return self.waiting[:limit]

    async def acknowledge(self, ids: list[str], at: str) -> int:
        self.done.append((list(ids), at))
        self.waiting = [one for one in self.waiting if one.id not in ids]
        self.empty.set()
        return len(ids)


def record(last: str) -> Cdr:
    return Cdr(
        id=ID[:-1] + last, direction=Direction.OUTGOING, kind=CallKind.ORDINARY, line=0, account="plain",
        own_number="+4722334455", number="+4681234567", boot_id="b", began_ms=1, began_at="2026-11-22T12:00:00Z",
        time_trusted=True, duration_ms=1, setup_ms=1, cause=Cause.NORMAL, released_by=Party.LOCAL,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wall", "at"), [(NOW.wall, "2026-11-22T12:00:00+00:00"), (datetime(1970, 1, 1, tzinfo=UTC), FLOOR.isoformat())]
)
async def test_records_wait_for_nobody_and_age_from_a_time_that_can_be(wall: datetime, at: str) -> None:
    log, wake = Log(), asyncio.Event()
    task = asyncio.create_task(keep_log(log, wake, lambda: Moment("boot", 1, wall, False)))
    await log.empty.wait()
    assert log.done == [([ID, ID[:-1] + "2"], at)]
    log.fails = True
    log.asked.clear()
    log.empty.clear()
    wake.set()
    await log.asked.wait()
    log.fails, log.waiting = False, [record("3")]
    await asyncio.sleep(0)
    wake.set()
    await log.empty.wait()
    assert log.done[-1][0] == [ID[:-1] + "3"]
    task.cancel()


def test_a_call_that_is_dated_late_needs_no_price_list(plan: PlainPlan) -> None:
    call = OpenCall(
        id=ID, instance="g", direction=Direction.OUTGOING, kind=CallKind.ORDINARY, line=1, account="plain",
        own_number="+4722334455", number="+4681234567", boot_id="boot", began_ms=0, began_at="2026-11-22T12:00:00Z",
        time_trusted=True, answered_ms=1000, last_alive_ms=2000,
    )  # fmt: skip
    found = plan.on_its_day(call, 60_000)
    assert (found.price_list_sha256, found.later) == ("", [])
    assert plan.price(found, 60_000) == (None, "")
