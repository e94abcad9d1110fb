"""Fills in what the status page shows, from what the agent's parts know at this moment."""

from __future__ import annotations

import asyncio
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from agent import __version__, records
from agent.calls import Calls, LiveCall
from agent.card_view import SeenTrials, button_time
from agent.charging import Charging
from agent.clock import Clock, Moment
from agent.config import ConfigError, KeptCopyError
from agent.core.budget import DAY_MS, HOUR_MS, Cap
from agent.core.catalogue import Refused
from agent.core.cdr import Cdr, Quality
from agent.core.estimate import month_before, month_of
from agent.core.migration import day_of
from agent.core.money import amount_text
from agent.core.numbers import mask
from agent.disk_watch import DiskWatch
from agent.gateway.card_records import LineTestState, UpdateState
from agent.gateway.protocol import AccountState, CallState, CardState, Hello, LineState
from agent.month import month_view
from agent.operator.api import Subscription
from agent.operator.sync import Syncer
from agent.operator.trouble import Trouble
from agent.operator.uploader import Uploader, UploadStatus
from agent.plan import MAX_ACCOUNTS, Plan
from agent.reconciliation import Reconciler
from agent.status import snapshot as page
from agent.status.metrics import Metrics
from agent.store.errors import Repair, StoreDamaged, StoreError
from agent.store.records import StoredCdr, UsageRow, standing
from agent.store.store import Store

_LOOK_AGAIN_S = 1.0
_LEAST_BETWEEN_S = 0.1
_SHOWN_CDRS = 20
_PACKET_MS = 20
"""Speech in one RTP packet, as we send and offer it."""
_STORE_PATIENCE_S = 1.0


class SeenGateway:
    """What the gateway has said of itself, its card, its lines and its accounts; whole records, the newest each."""

    def __init__(self) -> None:
        self.hello: Hello | None = None
        self.card = CardState(up=False)
        self.lines: dict[int, LineState] = {}
        self.accounts: dict[str, AccountState] = {}
        self.trials = SeenTrials()
        self.configuration = ""
        self.since: datetime | None = None

    def greet(self, hello: Hello, now: Moment) -> None:
        """A gateway has connected; what an earlier one said no longer holds."""
        self.forget()
        self.hello, self.configuration, self.since = hello, hello.configuration, now.wall

    def forget(self) -> None:
        """The gateway has gone."""
        self.hello, self.since, self.configuration = None, None, ""
        self.card = CardState(up=False)
        self.lines.clear()
        self.accounts.clear()
        self.trials.forget()

    def note(self, record: CardState | LineState | AccountState | LineTestState | UpdateState) -> None:
        """Keep the newest word about an object."""
        match record:
            case CardState():
                self.card = record
            case LineState():
                self.lines[record.line] = record
            case AccountState():
                self.accounts[record.account] = record
            case LineTestState() | UpdateState():
                self.trials.note(record)


@dataclass(frozen=True, slots=True)
class _Stored:
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
            return self if day == self.day else replace(self, day=day, today=())
        before = self.usage if self.month == month_before(month) else ()
        return replace(self, month=month, day=day, usage=(), usage_before=before, today=())


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
    ) -> None:
        self._plan, self._charging = plan, charging
        self._calls, self._gateway, self._store = calls, gateway, store
        self._syncer, self._uploader, self._clock, self._zone = syncer, uploader, clock, zone
        self._device_id, self._source, self._trouble, self._disk = device_id, source, trouble, disk
        self._reconciler = reconciler
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
            card=page.CardView(
                up=self._gateway.card.up, lines=self._gateway.card.lines, firmware=self._gateway.card.firmware,
                reason=self._gateway.card.reason, update=self._gateway.trials.update(),
                button_at=button_time(self._gateway.card, now),
                button_held_s=self._gateway.card.button_held_ms // 1000,
            ),
            lines=self._line_views(now),
            accounts=[account_view(state, now) for _, state in sorted(self._gateway.accounts.items())],
            calls=[self._call_view(call, now) for call in self._calls.live.values()],
            money=self._money_view(
                stored.usage, stored.today, self._months(now, stored.usage_before, stored.usage), now
            ),
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
            problems=self._problems(now, stored.quarantined),
            versions=page.Versions(agent=__version__, python=platform.python_version()),
        )  # fmt: skip

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
                    off_hook=state.off_hook,
                    ringing=state.ringing,
                    tone=state.tone,
                    call_id=state.call_id,
                    test=self._gateway.trials.test_of(line, now),
                )
            )
        return views

    def _call_view(self, call: LiveCall, now: Moment) -> page.LiveCallView:
        state = call.state
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
            seconds=answered_ms // 1000,
            amount_micro=price.amount_micro if price is not None else None,
            currency=price.currency if price is not None else "",
            until_s=self._until_s(state, now),
        )

    def _until_s(self, state: CallState, now: Moment) -> int | None:
        """Seconds until the call ends; a grant that will be renewed ends no call."""
        until_ms = state.until_ms
        if self._charging.renews(state.call_id):
            until_ms = self._charging.granted_until_ms(state.call_id)
        return max(0, until_ms - now.boot_ms) // 1000 if until_ms is not None else None

    def _months(self, now: Moment, before: Sequence[UsageRow], usage: Sequence[UsageRow]) -> list[page.MonthView]:
        """The month that is invoiced next, if the adapter was in use in it, and this one."""
        today = day_of(now.wall, self._zone)
        month = month_of(today)
        found = [
            month_view(self._plan, month_before(month), before, today) if before else None,
            month_view(self._plan, month, usage, today),
        ]
        return [one for one in found if one is not None]

    def _money_view(
        self, usage: Sequence[UsageRow], today: Sequence[UsageRow], months: list[page.MonthView], now: Moment
    ) -> page.MoneyView:
        rules = self._plan.table.rules if self._plan.table is not None else None
        by_day = {row.own_number: row for row in today}
        return page.MoneyView(
            months=months,
            caps=self._cap_views(now),
            balance_micro=self._charging.budget.balance_micro,
            packs=self._pack_views(now),
            today_micro=sum(row.amount_micro for row in today),
            month_micro=sum(row.amount_micro for row in usage),
            currency=rules.currency if rules is not None else "NOK",
            vat=rules.vat.value if rules is not None else "not_stated",
            numbers=[
                page.NumberCost(
                    own_number=row.own_number,
                    today_micro=by_day[row.own_number].amount_micro if row.own_number in by_day else 0,
                    month_micro=row.amount_micro,
                    calls=row.calls,
                    seconds=row.seconds,
                )
                for row in usage
            ],
        )

    def _cap_views(self, now: Moment) -> list[page.CapView]:
        budget = self._charging.budget
        limits, spent = budget.limits, budget.spent(month_of(day_of(now.wall, self._zone)))
        found = (
            (Cap.MONTH, limits.month_micro, spent.total_micro),
            (Cap.ABROAD, limits.abroad_micro, spent.abroad_micro),
            (Cap.PREMIUM, limits.premium_micro, spent.premium_micro),
            (Cap.DAY, limits.day_micro, budget.spent_since(now.boot_ms - DAY_MS)),
            (Cap.HOUR, limits.hour_micro, budget.spent_since(now.boot_ms - HOUR_MS)),
            (Cap.CALL, limits.call_micro, None),
        )
        return [
            page.CapView(cap=cap.value, limit_micro=limit, used_micro=used)
            for cap, limit, used in found if limit is not None
        ]  # fmt: skip

    def _pack_views(self, now: Moment) -> list[page.PackView]:
        subscription, month = self._plan.subscription, month_of(day_of(now.wall, self._zone))
        held = {pack.id for pack in self._plan.packs if pack.holds_in(month)}
        return [
            page.PackView(
                name_nb=pack.name.nb, name_en=pack.name.en, seconds=pack.seconds,
                used_s=self._charging.packs.used_s(pack.id, month),
            )
            for pack in (subscription.packs if subscription is not None else ()) if pack.id in held
        ]  # fmt: skip

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
            refused=[_refused_notice(part, self._plan.product) for part in self._plan.refused],
        )

    def _upload_view(self, pending: int, quarantined: int, now: Moment) -> page.UploadView:
        status = self._uploader.status
        return page.UploadView(
            pending=pending,
            quarantined=quarantined,
            last_success=datetime.fromisoformat(status.last_success) if status.last_success else None,
            last_error=page.Notice(key=status.last_error.value) if status.last_error is not None else None,
            next_attempt_s=_seconds_until(status.next_attempt_ms, now),
            backlog_done=status.backlog_done,
            backlog_total=status.backlog_total,
        )

    def _problems(self, now: Moment, quarantined: int) -> list[page.Notice]:
        """What is wrong, root causes first: where the telephone part is away, its card and lines are not judged."""
        found = [*self._settings_problems(), *self._telephone_problems(), *self._business_problems()]
        found += disk_problems(self._disk)
        found += usage_problems(self._reconciler)
        if quarantined:
            found.append(page.Notice(key="problem.quarantined", values={"count": str(quarantined)}))
        if self._store.damage is not None:
            found.append(store_notice(self._store.damage))
        if not now.trusted:
            found.append(page.Notice(key="problem.time_not_trusted"))
        return found

    def _settings_problems(self) -> list[page.Notice]:
        if self._trouble is None:
            return []
        kept = isinstance(self._trouble, KeptCopyError)
        key = "problem.configuration_not_kept" if kept else "problem.last_good_configuration"
        return [page.Notice(key=key, values={"reason": str(self._trouble)})]

    def _telephone_problems(self) -> list[page.Notice]:
        if self._gateway.hello is None:
            return [page.Notice(key="problem.gateway_away")]
        found = []
        if not self._gateway.card.up:
            found.append(page.Notice(key="problem.card_down", values={"reason": self._gateway.card.reason}))
        found += [
            page.Notice(
                key="problem.not_registered",
                values={"account": state.account, "reason": f"{state.code} {state.reason}".strip()},
            )
            for _, state in sorted(self._gateway.accounts.items())
            if not state.registered and not self._plan.ended
        ]
        return found

    def _business_problems(self) -> list[page.Notice]:
        found: list[page.Notice] = []
        if self._plan.plain:
            return found
        if self._plan.subscription is None:
            found.append(page.Notice(key="problem.no_subscription"))
        elif self._plan.unknown_product:
            found.append(page.Notice(key="problem.unknown_product", values={"product": self._plan.unknown_product}))
        elif self._plan.ended:
            day = self._plan.term.last_day if self._plan.term is not None else None
            found.append(page.Notice(key="problem.subscription_ended", values={"day": str(day)} if day else {}))
        elif self._plan.table is None:
            found.append(page.Notice(key="problem.no_price_list"))
        elif self._plan.product not in self._plan.table.header.products:
            values = {"product": self._plan.product}
            found.append(page.Notice(key="problem.price_list_of_another_product", values=values))
        found += [
            page.Notice(key="problem.surplus_registration", values={"registration": name, "limit": str(MAX_ACCOUNTS)})
            for name in self._plan.surplus_registrations()
        ]
        if self._plan.subscription is not None:
            found += registration_notices(self._plan.subscription)
        sync = self._syncer.status
        if sync.last_error is not None:
            key = _TROUBLES.get(sync.last_error, "problem.operator_away")
            found.append(page.Notice(key=key, values={"reason": sync.detail} if key in _WITH_REASON else {}))
        return found


_TROUBLES = {
    Trouble.REFUSED: "problem.operator_refused",
    Trouble.PRICE_LIST_REFUSED: "problem.price_list_refused",
    Trouble.MISCONFIGURED: "problem.operator_misconfigured",
    Trouble.STORAGE: "problem.not_kept",
}
_WITH_REASON = frozenset({"problem.price_list_refused", "problem.operator_misconfigured", "problem.not_kept"})


def usage_problems(reconciler: Reconciler) -> list[page.Notice]:
    """What the page says where the operator has counted something else than what it has acknowledged."""
    found = []
    for one in reconciler.found:
        values = {"month": reconciler.month}
        if one.pack:
            values |= {"pack": one.pack, "here": str(one.here.seconds), "told": str(one.told.seconds)}
        else:
            values |= {
                "number": mask(one.number) if one.number else "–", "calls_here": str(one.here.calls),
                "calls_told": str(one.told.calls), "seconds_here": str(one.here.seconds),
                "seconds_told": str(one.told.seconds), "here": amount_text(one.here.amount_micro),
                "told": amount_text(one.told.amount_micro),
            }  # fmt: skip
        found.append(page.Notice(key="problem.pack_differs" if one.pack else "problem.usage_differs", values=values))
    return found


def disk_problems(disk: DiskWatch) -> list[page.Notice]:
    """What the page says of the store's disk while something is wrong with it."""
    found = []
    if disk.full:
        found.append(page.Notice(key="problem.disk_full"))
    elif disk.low and disk.space is not None:
        found.append(page.Notice(key="problem.low_space", values={"free": f"{disk.space.free / (1 << 20):.1f}"}))
    if disk.journal_trouble:
        found.append(page.Notice(key="problem.one_copy_only", values={"reason": disk.journal_trouble}))
    return found


def store_notice(damage: StoreDamaged) -> page.Notice:
    """What the page says of a store that was found damaged: whether it is whole again, and what was brought back."""
    if not damage.maybe_missing:
        return page.Notice(key="problem.store_repaired")
    repair = damage.repair or Repair()
    return page.Notice(
        key="problem.store_incomplete",
        values={"changes": str(repair.replayed + repair.salvaged), "lines": str(repair.bad_lines)},
    )


def registration_notices(subscription: Subscription) -> list[page.Notice]:
    """What of a subscription names a registration that is not there, or not only once: it does not work."""
    times = Counter(one.id for one in subscription.registrations)
    found = [
        page.Notice(key="problem.duplicate_registration", values={"registration": name})
        for name, count in times.items()
        if count > 1
    ]
    found += [
        page.Notice(
            key="problem.line_without_registration",
            values={"line": str(line.line + 1), "registration": line.registration},
        )
        for line in subscription.lines
        if line.registration not in times
    ]
    found += [
        page.Notice(
            key="problem.number_without_registration",
            values={"number": mask(number.number), "registration": number.registration},
        )
        for number in subscription.numbers
        if number.registration not in times
    ]
    return found


def _refused_notice(part: Refused, product: str) -> page.Notice:
    values = {"product": product, "limit": str(part.limit)}
    if part.line is not None:
        values["line"] = str(part.line + 1)
    if part.number:
        values["number"] = mask(part.number)
    return page.Notice(key=f"excess.{part.code}", values=values)


def _seconds_until(at_ms: int | None, now: Moment) -> int | None:
    return max(0, at_ms - now.boot_ms) // 1000 if at_ms is not None else None


def account_view(state: AccountState, now: Moment) -> page.AccountView:
    """A registration as the page shows it."""
    return page.AccountView(
        account=state.account, registered=state.registered, since=_wall(state.since_ms or None, now), code=state.code,
        reason=state.reason, on_wire=state.on_wire, attempts=state.attempts,
        next_attempt_s=_seconds_until(state.next_attempt_ms, now), status=state.status.value,
        alive=_wall(state.alive_ms, now),
    )  # fmt: skip


def _wall(at_ms: int | None, now: Moment) -> datetime | None:
    """The wall time of a moment of the boot clock that is past."""
    return now.wall - timedelta(milliseconds=max(0, now.boot_ms - at_ms)) if at_ms is not None else None


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
        limit=cdr.limit,
        pack_s=cdr.price.pack_s if cdr.price is not None else 0,
        paid_s=cdr.price.paid_s if cdr.price is not None else 0,
    )
