"""Fills in what the status page shows, from what the agent's parts know at this moment."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from pathlib import Path

from msgspec import Struct, structs

from agent import __version__, records
from agent.calls import Calls, LiveCall
from agent.card_view import button_time
from agent.charging import Charging
from agent.clock import Clock, Moment
from agent.config import ConfigError, KeptCopyError
from agent.core.announcement import known
from agent.core.cdr import Cdr, Quality
from agent.core.estimate import month_before
from agent.core.terms import LineProfile
from agent.disk_watch import DiskWatch
from agent.gateway.protocol import CallQuality, CallState, LineState
from agent.money_view import MoneyPanel
from agent.operator.sync import Syncer
from agent.operator.uploader import Uploader, UploadStatus
from agent.plan import Plan
from agent.problems import Problems, refused_notice
from agent.protection import Protection
from agent.reconciliation import Reconciler
from agent.seen import SeenGateway, account_view, seconds_until, sound_view, stun_view
from agent.service_view import service_views
from agent.status import snapshot as page
from agent.status.metrics import Metrics
from agent.store.errors import StoreError
from agent.store.records import StoredCdr, UsageRow, standing
from agent.store.store import Store

_LOOK_AGAIN_S = 1.0
_LEAST_BETWEEN_S = 0.1
_SHOWN_CDRS = 20
_PACKET_MS = 20
"""Speech in one RTP packet, as we send and offer it."""
_STORE_PATIENCE_S = 1.0


class _Stored(Struct, frozen=True):
    """What the store said the last time it answered, and of which month (`2026-11`) and day (`2026-11-22`)."""

    month: str = ""
    day: str = ""
    usage: Sequence[UsageRow] = ()
    usage_before: Sequence[UsageRow] = ()
    today: Sequence[UsageRow] = ()
    recent: Sequence[StoredCdr] = ()
    quarantined: int = 0
    pending: int = 0

    def on(self, month: str, day: str) -> _Stored:
        """The same as seen on another day: what was counted on a day or in a month that is over is not of the new."""
        if month == self.month:
            return self if day == self.day else structs.replace(self, day=day, today=())
        before = self.usage if self.month == month_before(month) else ()
        return structs.replace(self, month=month, day=day, usage=(), usage_before=before, today=())


class StatusView:
    """The page's source: a snapshot on demand, and a change number that grows whenever something shown may be new."""

    def __init__(
        self,
        *,
        plan: Plan,
        charging: Charging,
        calls: Calls,
        gateway: SeenGateway,
        store: Store,
        syncer: Syncer,
        uploader: Uploader,
        clock: Clock,
        zone: tzinfo,
        device_id: str,
        source: Path,
        trouble: ConfigError | None,
        disk: DiskWatch,
        reconciler: Reconciler,
        protection: Protection,
        unlocking: Callable[[Moment], page.UnlockView | None] = lambda _now: None,
    ) -> None:
        self._plan, self._charging = plan, charging
        self._calls, self._gateway, self._store = calls, gateway, store
        self._syncer, self._uploader, self._clock, self._zone = syncer, uploader, clock, zone
        self._device_id, self._source, self._trouble, self._disk = device_id, source, trouble, disk
        self._reconciler, self._unlocking = reconciler, unlocking
        self._protection = protection
        self._problems = Problems(plan, gateway, store, syncer, disk, reconciler)
        self._money = MoneyPanel(plan, charging, zone)
        self._started_ms = clock.now().boot_ms
        self._installed_at: datetime | None = None
        self._stored = _Stored()
        self._change = 1
        self._changed = asyncio.Condition()
        self._dirty = asyncio.Event()
        self.metrics = Metrics()

    def touch(self) -> None:
        """Something that is shown may have changed."""
        self._dirty.set()

    def count(self, cdr: Cdr) -> None:
        """Count a record for the metrics."""
        self.metrics.count_call(cdr.direction, cdr.cause, cdr.duration_ms)
        if cdr.quality is not None:
            self.metrics.count_quality(cdr.quality)
        if cdr.refusal:
            self.metrics.count_refusal(cdr.refusal)
        self.touch()

    def judge(self, trouble: ConfigError | None) -> None:
        """The configuration file was read again, and refused or (None) found good."""
        self._trouble = trouble
        self.touch()

    def installed(self, now: Moment) -> None:
        """A price list has come into force."""
        self._installed_at = now.wall
        self.touch()

    async def run(self) -> None:
        """Tell the page's readers of changes, at most some ten times a second, and each second of a running call."""
        seen = (self._uploader.status, self._syncer.status)
        while True:
            try:
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self._dirty.wait()
            except TimeoutError:
                pass
            now = (self._uploader.status, self._syncer.status)
            if not (self._dirty.is_set() or self._calls.live or now != seen):
                continue
            self._dirty.clear()
            self._count_upload(seen[0], now[0])
            seen = now
            async with self._changed:
                self._change += 1
                self._changed.notify_all()
            await asyncio.sleep(_LEAST_BETWEEN_S)

    def _count_upload(self, before: UploadStatus, after: UploadStatus) -> None:
        self.metrics.count_upload(after.acknowledged - before.acknowledged)
        for _ in range(after.errors - before.errors):
            self.metrics.count_upload_error()

    async def wait_change(self, since: int) -> int:
        """Wait for a change number above `since`; the newest."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._change > since)
            return self._change

    # --- the snapshot ------------------------------------------------------------------------------------------------

    async def snapshot(self) -> page.Snapshot:
        """The adapter as it is now."""
        now = self._clock.now()
        month, day = records.period_of(records.rfc3339(now.wall), self._zone)
        try:
            async with asyncio.timeout(_STORE_PATIENCE_S):
                self._stored = await self._read(month, day)
            reason = self._calls.trouble or str(self._disk.trouble or "")
        except (StoreError, TimeoutError) as error:
            # A disk that hangs is what somebody opens this page for: it has to come without the disk.
            reason = str(error) or f"it has not answered for {_STORE_PATIENCE_S:g} s"
        stored = self._stored.on(month, day)
        return page.Snapshot(
            at=now.wall,
            time_trusted=now.trusted,
            uptime_s=(now.boot_ms - self._started_ms) // 1000,
            device_id=self._device_id,
            plain=self._plan.plain,
            gateway=self._gateway_view(),
            library=self._protection.library(self._gateway.hello.sip_version if self._gateway.hello else ""),
            packet_filter=self._protection.packet_filter(now.boot_ms, self._told_ranges),
            card=page.CardView(
                up=self._gateway.card.up, lines=self._gateway.card.lines, firmware=self._gateway.card.firmware,
                reason=self._gateway.card.reason, update=self._gateway.trials.update(),
                button_at=button_time(self._gateway.card, now),
                button_held_s=self._gateway.card.button_held_ms // 1000,
            ),
            lines=self._line_views(now),
            accounts=[account_view(state, now) for _, state in sorted(self._gateway.accounts.items())],
            stun=stun_view(self._gateway.stun),
            calls=[self._call_view(call, now) for call in self._calls.live.values()],
            money=self._money.view(stored.usage, stored.today, stored.usage_before, now),
            cdrs=[_cdr_view(cdr) for cdr in standing(stored.recent)],
            price_list=self._price_list_view(),
            subscription=self._subscription_view(),
            upload=self._upload_view(stored.pending, stored.quarantined, now),
            store=self._store_view(reason),
            usage_difference_micro=sum(one.amount_micro for one in self._reconciler.found),
            usage_differences=len(self._reconciler.found),
            configuration=page.ConfigurationView(
                source=str(self._source),
                error=str(self._trouble)
                if self._trouble is not None and not isinstance(self._trouble, KeptCopyError)
                else "",
            ),
            problems=self._problems.found(now, stored.quarantined, self._trouble),
            versions=page.Versions(agent=__version__, python=platform.python_version()),
            unlock=self._unlocking(now),
        )  # fmt: skip

    @property
    def _told_ranges(self) -> int:
        subscription = self._plan.subscription
        return len(subscription.profile.signalling_ranges) if subscription is not None else 0

    async def _read(self, month: str, day: str) -> _Stored:
        return _Stored(
            month=month,
            day=day,
            usage=await self._store.usage(month),
            usage_before=await self._store.usage(month_before(month)),
            today=await self._store.usage_day(day),
            recent=await self._store.recent(_SHOWN_CDRS),
            quarantined=await self._store.quarantined_count(),
            pending=await self._store.pending_count(),
        )

    def _store_view(self, reason: str) -> page.StoreView:
        space = self._disk.space
        return page.StoreView(
            working=not reason, reason=reason, free_bytes=space.free if space is not None else None,
            low_space=self._disk.low, journal_working=not self._disk.journal_trouble,
        )  # fmt: skip

    def _gateway_view(self) -> page.GatewayView:
        hello = self._gateway.hello
        if hello is None:
            return page.GatewayView()
        return page.GatewayView(
            connected=True, version=hello.version, sip_version=hello.sip_version, instance=hello.instance,
            configuration=self._gateway.configuration, since=self._gateway.since,
        )  # fmt: skip

    def _line_views(self, now: Moment) -> list[page.LineView]:
        subscription = self._plan.subscription
        given = {line.line: line for line in subscription.lines} if subscription is not None else {}
        views = []
        for line in sorted(given.keys() | self._gateway.lines.keys()):
            state = self._gateway.lines.get(line, LineState(line=line))
            views.append(
                page.LineView(
                    line=line,
                    number=given[line].number if line in given else "",
                    account=given[line].registration if line in given else "",
                    profile=given[line].profile if line in given else LineProfile.PHONE,
                    off_hook=state.off_hook,
                    ringing=state.ringing,
                    tone=state.tone,
                    announcement=known(state.announcement),
                    call_id=state.call_id,
                    test=self._gateway.trials.test_of(line, now),
                    services=service_views(self._gateway.settings.get(line)),
                )
            )
        return views

    def _call_view(self, call: LiveCall, now: Moment) -> page.LiveCallView:
        state = call.state
        quality = self._gateway.quality.get(state.call_id, CallQuality(call_id=state.call_id))
        answered_ms = records.answered_duration_ms(state.answered_ms, now.boot_ms)
        price = None
        if call.row is not None and answered_ms and records.is_chargeable(state.direction, state.kind):
            price, _ = self._charging.price(call.row, answered_ms)
        return page.LiveCallView(
            id=state.call_id,
            direction=state.direction,
            phase=state.phase,
            kind=state.kind,
            line=state.line,
            number=state.number,
            held=state.held,
            seconds=answered_ms // 1000,
            amount_micro=price.amount_micro if price is not None else None,
            currency=price.currency if price is not None else "",
            until_s=self._until_s(state, now),
            heard=sound_view(quality.heard),
            sent=sound_view(quality.sent),
            rtt_ms=quality.rtt_ms,
            one_way=state.one_way,
            one_way_s=max(0, now.boot_ms - (state.one_way_since_ms or now.boot_ms)) // 1000,
        )

    def _until_s(self, state: CallState, now: Moment) -> int | None:
        """Seconds until the call ends; a grant that will be renewed ends no call."""
        until_ms = state.until_ms
        if self._charging.renews(state.call_id):
            until_ms = self._charging.granted_until_ms(state.call_id)
        return max(0, until_ms - now.boot_ms) // 1000 if until_ms is not None else None

    def _price_list_view(self) -> page.PriceListView | None:
        table = self._plan.table
        if table is None:
            return None
        return page.PriceListView(
            name=table.rules.price_list, version=table.rules.version, installed_at=self._installed_at,
            valid_from=str(table.header.valid_from),
        )  # fmt: skip

    def _subscription_view(self) -> page.SubscriptionView | None:
        subscription, entitlement = self._plan.subscription, self._plan.entitlement
        if subscription is None or self._plan.plain:
            return None
        name = entitlement.product.name if entitlement is not None else None
        former, last_day = self._plan.former, self._plan.term.last_day if self._plan.term is not None else None
        return page.SubscriptionView(
            product=self._plan.product,
            was=former.nb if former is not None else "",
            ended=self._plan.ended,
            last_day=last_day.isoformat() if last_day is not None else "",
            product_nb=name.nb if name is not None else "",
            product_en=name.en if name is not None else "",
            customer=subscription.customer,
            revision=subscription.revision,
            active=subscription.active,
            refused=[refused_notice(part, self._plan.product) for part in self._plan.refused],
        )

    def _upload_view(self, pending: int, quarantined: int, now: Moment) -> page.UploadView:
        status = self._uploader.status
        return page.UploadView(
            pending=pending,
            quarantined=quarantined,
            last_success=datetime.fromisoformat(status.last_success) if status.last_success else None,
            last_error=page.Notice(key=status.last_error.value) if status.last_error is not None else None,
            next_attempt_s=seconds_until(status.next_attempt_ms, now),
            backlog_done=status.backlog_done,
            backlog_total=status.backlog_total,
        )


def _cdr_view(stored: StoredCdr) -> page.CdrView:
    cdr = stored.cdr
    quality = cdr.quality or Quality()
    return page.CdrView(
        id=cdr.id,
        began_at=datetime.fromisoformat(cdr.began_at),
        direction=cdr.direction,
        cause=cdr.cause,
        upload=page.CdrUpload(stored.state.value),
        time_trusted=cdr.time_trusted,
        kind=cdr.kind,
        line=cdr.line,
        own_number=cdr.own_number,
        number=cdr.number,
        duration_ms=cdr.duration_ms,
        amount_micro=cdr.price.amount_micro if cdr.price is not None else None,
        currency=cdr.price.currency if cdr.price is not None else "",
        unpriced=cdr.unpriced,
        refusal=cdr.refusal,
        sent_gaps_ms=_PACKET_MS * quality.tx_lost + quality.sent_concealed_ms,
        heard_gaps_ms=_PACKET_MS * quality.rx_lost + quality.heard_concealed_ms,
        heard_mos_centi=quality.heard_mos_centi,
        sent_mos_centi=quality.sent_mos_centi,
        worst_mos_centi=quality.worst.mos_centi if quality.worst is not None else 0,
        one_way=quality.one_way,
        limit=cdr.limit,
        pack_s=cdr.price.pack_s if cdr.price is not None else 0,
        paid_s=cdr.price.paid_s if cdr.price is not None else 0,
    )
