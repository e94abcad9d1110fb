"""A sample adapter for tests and for looking at the page: two lines, one of them not registered, a call in progress."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from msgspec import structs

from agent.core.media import Way
from agent.core.terms import CallKind, CallPhase, Cause, Direction, Tone
from agent.status.snapshot import (
    AccountView,
    CapView,
    CardView,
    CdrUpload,
    CdrView,
    ConfigurationView,
    GatewayView,
    LineView,
    LiveCallView,
    MoneyView,
    MonthItem,
    MonthTotal,
    MonthView,
    Notice,
    NumberCost,
    PackView,
    PriceListView,
    Snapshot,
    SoundView,
    SubscriptionView,
    UploadView,
    Versions,
)

SAMPLE_AT = datetime(2026, 3, 14, 12, 30, tzinfo=UTC)
FIRST, SECOND, OTHER, ABROAD = "+4722334455", "+4721556677", "+4741234512", "+46701234567"


def sample_snapshot() -> Snapshot:
    """An adapter with work to do: everything that the page can show is in it."""
    ago = SAMPLE_AT - timedelta(hours=3)
    return Snapshot(
        at=SAMPLE_AT,
        uptime_s=3 * 86_400 + 5 * 3600,
        device_id="adapter-0001",
        gateway=GatewayView(
            connected=True, version="0.1.0", sip_version="2.15.1", instance="9f2c41d0", configuration="17", since=ago
        ),
        card=CardView(up=True, lines=2, firmware="1.4.2"),
        lines=[
            LineView(line=0, number=FIRST, account="home", off_hook=True, call_id="call-1"),
            LineView(line=1, number=SECOND, account="office", off_hook=True, tone=Tone.CONGESTION),
        ],
        accounts=[
            AccountView(
                account="home",
                registered=True,
                since=ago,
                code=200,
                reason="OK",
                next_attempt_s=212,
                status="Up",
                alive=SAMPLE_AT - timedelta(seconds=20),
                reached=SAMPLE_AT - timedelta(minutes=12),
            ),
            AccountView(
                account="office",
                since=SAMPLE_AT - timedelta(minutes=12),
                code=403,
                reason=f"Forbidden {SECOND}",
                attempts=4,
                next_attempt_s=95,
                status="Error_Registration",
            ),
        ],
        calls=[
            LiveCallView(
                id="call-1",
                direction=Direction.OUTGOING,
                phase=CallPhase.ANSWERED,
                line=0,
                number=OTHER,
                seconds=187,
                amount_micro=1_980_000,
                currency="NOK",
                until_s=1_500,
                heard=SoundView(loss_permille=4, jitter_ms=3, mos_centi=437),
                sent=SoundView(loss_permille=28, jitter_ms=9, mos_centi=414),
                rtt_ms=46,
                one_way=Way.SENT,
                one_way_s=4,
            )
        ],
        money=MoneyView(
            today_micro=14_370_000,
            month_micro=212_050_000,
            vat="included",
            caps=[
                CapView(cap="month", limit_micro=500_000_000, used_micro=212_050_000),
                CapView(cap="premium", limit_micro=100_000_000, used_micro=0),
                CapView(cap="call", limit_micro=50_000_000),
            ],
            packs=[PackView(name_nb="Polen", name_en="Poland", seconds=6000, used_s=1860)],
            months=[
                MonthView(
                    month="2026-03",
                    invoiced_in="2026-04",
                    items=[
                        MonthItem(
                            kind="monthly_fee",
                            count=1,
                            amount_micro=149_000_000,
                            vat="included",
                            name_nb="Privatabonnement",
                            name_en="Private subscription",
                        ),
                        MonthItem(
                            kind="minute_pack",
                            count=1,
                            amount_micro=49_000_000,
                            vat="included",
                            seconds=6000,
                            name_nb="Polen",
                            name_en="Poland",
                            sample=True,
                        ),
                        MonthItem(kind="calls", count=47, amount_micro=212_050_000, vat="included", seconds=10_394),
                    ],
                    totals=[MonthTotal(amount_micro=410_050_000, vat="included")],
                )
            ],
            numbers=[
                NumberCost(own_number=FIRST, today_micro=14_370_000, month_micro=180_550_000, calls=41, seconds=9134),
                NumberCost(own_number=SECOND, month_micro=31_500_000, calls=6, seconds=1260),
            ],
        ),
        cdrs=_sample_cdrs(),
        price_list=PriceListView(
            name="privat", version="2026-03", installed_at=SAMPLE_AT - timedelta(days=9), valid_from="2026-03-01"
        ),
        subscription=SubscriptionView(
            product="privat",
            product_nb="Privat",
            product_en="Home",
            customer="K-20417",
            revision="17",
            refused=[Notice(key="excess.too_many_lines", values={"line": "3", "limit": "2", "product": "Privat"})],
        ),
        upload=UploadView(
            pending=1,
            quarantined=1,
            last_success=SAMPLE_AT - timedelta(minutes=40),
            last_error=Notice(key="operator.busy"),
            next_attempt_s=48,
        ),
        configuration=ConfigurationView(source="/etc/iplink-agent/agent.toml"),
        problems=[Notice(key="problem.quarantined", values={"count": "1"})],
        versions=Versions(agent="0.1.0", python="3.11.2"),
    )


def healthy_snapshot() -> Snapshot:
    """The same adapter on a quiet day: both lines registered, nothing in progress, nothing wrong."""
    snapshot = sample_snapshot()
    accounts = [structs.replace(a, registered=True, code=200, reason="OK", attempts=0) for a in snapshot.accounts]
    lines = [LineView(line=line.line, number=line.number, account=line.account) for line in snapshot.lines]
    return structs.replace(
        snapshot,
        accounts=accounts,
        lines=lines,
        calls=[],
        problems=[],
        upload=UploadView(last_success=SAMPLE_AT - timedelta(minutes=40)),
    )


def _sample_cdrs() -> list[CdrView]:
    return [
        CdrView(
            id="0199a000-0000-7000-8000-000000000001",
            began_at=SAMPLE_AT - timedelta(minutes=50),
            direction=Direction.OUTGOING,
            cause=Cause.NORMAL,
            upload=CdrUpload.PENDING,
            line=0,
            own_number=FIRST,
            number=ABROAD,
            duration_ms=754_200,
            heard_mos_centi=437,
            sent_mos_centi=352,
            worst_mos_centi=271,
            amount_micro=12_390_000,
            currency="NOK",
        ),
        CdrView(
            id="0199a000-0000-7000-8000-000000000002",
            began_at=SAMPLE_AT - timedelta(hours=2),
            direction=Direction.INCOMING,
            cause=Cause.NO_ANSWER,
            upload=CdrUpload.ACKNOWLEDGED,
            line=1,
            own_number=SECOND,
            number=OTHER,
        ),
        CdrView(
            id="0199a000-0000-7000-8000-000000000003",
            began_at=SAMPLE_AT - timedelta(hours=20),
            direction=Direction.OUTGOING,
            kind=CallKind.EMERGENCY,
            cause=Cause.NORMAL,
            upload=CdrUpload.ACKNOWLEDGED,
            line=0,
            own_number=FIRST,
            number="113",
            duration_ms=61_000,
        ),
        CdrView(
            id="0199a000-0000-7000-8000-000000000004",
            began_at=SAMPLE_AT - timedelta(days=1),
            direction=Direction.OUTGOING,
            cause=Cause.REFUSED,
            refusal="no_rate",
            upload=CdrUpload.QUARANTINED,
            line=0,
            own_number=FIRST,
            number="+8835100123456",
        ),
    ]


class SampleSource:
    """A `StatusSource` whose snapshot a test sets; every `show` is a change."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self._snapshot = snapshot or sample_snapshot()
        self._change = 1
        self._changed = asyncio.Condition()
        self.taken = 0
        """How many snapshots were asked for."""

    async def snapshot(self) -> Snapshot:
        """What was last shown."""
        self.taken += 1
        return self._snapshot

    async def wait_change(self, since: int) -> int:
        """Wait for the next `show`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._change > since)
            return self._change

    async def show(self, snapshot: Snapshot) -> None:
        """Become `snapshot`, and say so."""
        async with self._changed:
            self._snapshot = snapshot
            self._change += 1
            self._changed.notify_all()
