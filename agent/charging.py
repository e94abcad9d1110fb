"""Money put to work on calls: set aside before a call is dialled, granted as time of speech, counted when it has ended.

Admission decides whether a call may start at all (`agent.plan`); this decides how long its money lasts. What is granted
counts from the answer, and the gateway applies it by itself. A call that no cap is near gets a long grant, which is
renewed in good time; without any cap it gets none, and lasts as the product allows. Everything here is memory: what was
spent comes from the store when the agent starts, and what was granted from the gateway, which still applies it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Protocol

import structlog
from msgspec import Struct, structs

from agent import records
from agent.calls import Judgement
from agent.clock import FLOOR, Moment
from agent.core.admission import refuse_for_money
from agent.core.budget import Budget, Cap, Limits, Reservation, Shortfall, Spent, TermsPrice, is_exempt
from agent.core.cdr import Cdr, OpenCall, Price
from agent.core.charge import HORIZON_MS, price_by
from agent.core.estimate import month_before
from agent.core.money import parse_amount
from agent.core.numbers import NumberClass, classify
from agent.core.packbook import PackBook
from agent.core.packs import Pack, PackUse
from agent.core.tariff import TariffError
from agent.gateway.protocol import CallState, Decide
from agent.operator.api import CostLimits, Subscription, Usage, UsageCount
from agent.plan import Plan
from agent.rating.errors import NoRate, PriceListError
from agent.store.records import UsageDetails, UsageRow

_RENEW_BEFORE_MS = 75_000
"""A grant is renewed this long before its end, so that the warning of the one that follows is not late."""
_RENEW_AT_LEAST_MS = 250
_DAY = timedelta(days=1)
_NO_SPEECH_MS = 0

_log = structlog.get_logger("charging")


class UsageStore(Protocol):
    """What was spent before the agent was started."""

    async def usage(self, month: str) -> list[UsageRow]: ...
    async def usage_details(self, month: str) -> UsageDetails: ...
    async def priced_since(self, at: datetime) -> list[tuple[datetime, int]]: ...


class _Grant(Struct):
    """A call for which money is set aside: its row as far as it is known, what was told, when to ask again."""

    row: OpenCall
    told: Decide | None = None
    renew_at_ms: int | None = None


class Charging:
    """Admission, grants and prices of one adapter's calls: the judge and the purse of `agent.calls`."""

    def __init__(self, plan: Plan, zone: tzinfo) -> None:
        self._plan = plan
        self._zone = zone
        self._book = PackBook()
        self._budget = Budget(Limits(), here=Spent(""))
        self._prepaid = False
        self._told_balance_micro: int | None = None
        self._grants: dict[str, _Grant] = {}
        self._counted = 0

    # --- what there is to spend --------------------------------------------------------------------------------------

    def use_subscription(self, subscription: Subscription) -> None:
        """Take the customer's caps; calls in progress meet them when their grant is renewed (`renew_all`)."""
        self._prepaid = subscription.prepaid
        self._budget.change(_limits(subscription.limits), self._balance_micro())
        self.renew_all()

    def observe(self, usage: Usage) -> None:
        """Take the operator's count of a month: other devices count from now on."""
        month = usage.month
        told = usage.device if usage.device is not None else usage
        unreported = max(0, self._budget.here(month).total_micro - told.amount_micro)
        self._told_balance_micro = usage.balance_micro - unreported if usage.balance_micro is not None else None
        self._budget.observe(_elsewhere(usage, told), self._balance_micro(), _spent(month, told))
        packs, mine = _packs(usage), _packs(told)
        self._book.observe(month, {one: max(0, used - mine.get(one, 0)) for one, used in packs.items()}, mine)
        self.renew_all()

    async def restore(self, store: UsageStore, now: Moment) -> None:
        """Take what the store has counted: this month and the one before, the last hour and day.

        To be called again after what is stored was corrected. Raises what the store raises.
        """
        wall = max(now.wall, FLOOR)
        month = records.period_of(records.rfc3339(wall), self._zone)[0]
        while True:
            before = self._counted
            found = [
                (one, await store.usage(one), await store.usage_details(one)) for one in (month_before(month), month)
            ]
            priced = await store.priced_since(wall - _DAY)
            if self._counted == before:
                break
        for one, rows, details in found:
            self._budget.load(_spent_in(one, rows, details))
            self._book.load(one, details.packs)
        if now.trusted:
            self._budget.recall(
                (now.boot_ms - (now.wall - ended) // timedelta(milliseconds=1), micro) for ended, micro in priced
            )

    def _balance_micro(self) -> int | None:
        if not self._prepaid:
            return None
        return self._told_balance_micro if self._told_balance_micro is not None else 0

    # --- what is shown -----------------------------------------------------------------------------------------------

    @property
    def budget(self) -> Budget:
        """Caps, what was spent under them, and what is set aside."""
        return self._budget

    @property
    def packs(self) -> PackBook:
        """What was used of each minute pack."""
        return self._book

    def renews(self, call_id: str) -> bool:
        """Whether the time that a call is granted will be lengthened before it is over."""
        grant = self._grants.get(call_id)
        return grant is not None and grant.told is not None and grant.told.limit == Cap.LEASE

    def granted_until_ms(self, call_id: str) -> int | None:
        """The moment until which a call may last whatever its money allows."""
        grant = self._grants.get(call_id)
        return grant.row.until_ms if grant is not None else None

    # --- admission: the judge of agent.calls -------------------------------------------------------------------------

    def basis(self) -> tuple[str, str]:
        """Product and price-list digest in force now."""
        return self._plan.basis()

    def judge(self, state: CallState, now: Moment) -> Judgement:
        """May this call start, until when, for how long at most, and if not why."""
        judgement = self._plan.judge(state, now)
        self.withdraw(state.call_id)
        if not judgement.decision.granted or self._is_exempt(state):
            return judgement
        row = records.open_call(
            state, "", now, product=judgement.product, price_list_sha256=judgement.price_list_sha256,
            later=judgement.later, packs=judgement.packs, decision=judgement.decision,
        )  # fmt: skip
        decision = self._grant(_Grant(row), now)
        return structs.replace(judgement, decision=decision) if decision is not None else judgement

    def price(self, call: OpenCall, duration_ms: int) -> tuple[Price | None, str]:
        """The price of an answered chargeable call by what it began with, or why there is none."""
        return self._plan.price(call, duration_ms, self._book.balances(_held_packs(call), call.id))

    def on_its_day(self, call: OpenCall, duration_ms: int) -> OpenCall:
        """A call whose beginning has become known, with what prices it on that day and those after it."""
        return self._plan.on_its_day(call, duration_ms)

    def price_again(self, call: OpenCall, was: Price | None, duration_ms: int) -> tuple[Price | None, str]:
        """The price of a call that was recorded as `was` and is priced anew: it finds what it took itself."""
        packs = [pack for pack in self._plan.packs if pack.covers(call.number.lstrip("+"))]
        taken = {(take.pack, take.month): take.seconds for take in (was.packs if was is not None else ())}
        balances = [
            structs.replace(
                one,
                used=tuple(
                    (month, max(0, used - taken.get((one.pack.id, month), 0))) for month, used in one.used
                ),
            )
            for one in self._book.balances(packs, call.id)
        ]  # fmt: skip
        return self._plan.price(call, duration_ms, balances)

    # --- grants: the purse of agent.calls ----------------------------------------------------------------------------

    def withdraw(self, call_id: str) -> None:
        """Give back what was set aside for a call that will not start."""
        self._grants.pop(call_id, None)
        self._budget.settle(call_id, 0, now_ms=0)
        self._book.release(call_id)

    def lease(self, call: OpenCall, state: CallState, now: Moment) -> Decide | None:
        """The grant of a call in progress as it is due now; None: the gateway has it already, or needs none."""
        if self._is_exempt(state):
            return None
        grant = self._grants.get(call.id)
        if grant is None:
            # Of an earlier agent: what it granted is set aside even while it still rings.
            grant = self._resumed(call, state)
        if state.answered_ms is None:
            return None
        answered_anew = grant.row.answered_ms is None
        grant.row = call if call.answered_ms else structs.replace(call, answered_ms=state.answered_ms)
        due = grant.renew_at_ms is not None and now.boot_ms >= grant.renew_at_ms
        told = grant.told
        if told is not None and not (answered_anew or due):
            # A grant that was lost on its way is sent again.
            return None if told.max_talk_ms == state.max_talk_ms else told
        decision = self._grant(grant, now)
        return decision if decision is not None and decision != told else None

    def renew_all(self) -> None:
        """What may be spent has changed: every grant is looked at again."""
        for grant in self._grants.values():
            if grant.row.answered_ms is not None:
                grant.renew_at_ms = 0

    def renewal_ms(self) -> int | None:
        """When the next grant has to be renewed; None: none, until something changes."""
        return min((one.renew_at_ms for one in self._grants.values() if one.renew_at_ms is not None), default=None)

    def settle(self, call: OpenCall | Cdr, price: Price | None, now: Moment, *, counted: bool) -> None:
        """A call has ended: what it did not need is given back. `counted`: its record is new, and counts."""
        self._grants.pop(call.id, None)
        if not counted:
            self.withdraw(call.id)
            return
        self._counted += 1
        month = records.period_of(call.began_at, self._zone)[0]
        if price is not None and price.amount_micro and not self._budget.holds(call.id):
            self._budget.expect(call.id, classify(call.number), month=month)
        self._budget.settle(call.id, price.amount_micro if price is not None else 0, now_ms=now.boot_ms)
        takes = price.packs if price is not None else ()
        self._book.settle(call.id, [PackUse(take.pack, take.month, take.seconds) for take in takes])

    # --- inside ------------------------------------------------------------------------------------------------------

    def _is_exempt(self, state: CallState) -> bool:
        exempt = is_exempt(state.direction, state.kind, self._class_of(state.number))
        return exempt or self._plan.is_platform_code(state.number)

    def _class_of(self, number: str) -> NumberClass:
        return classify(number, emergency=self._plan.extra_emergency)

    def _resumed(self, call: OpenCall, state: CallState) -> _Grant:
        """What an earlier agent has granted, as the gateway applies it."""
        grant = self._grants[call.id] = _Grant(call)
        try:
            price = self._price_of(call)
        except (NoRate, PriceListError, TariffError) as error:
            _log.error("grant_not_resumed", call_id=call.id, detail=str(error))
            return grant
        if state.max_talk_ms is not None:
            duration_ms = min(state.max_talk_ms, HORIZON_MS)
            self._budget.resume(
                call.id, self._class_of(call.number), price, month=self._month(call), duration_ms=duration_ms
            )
            self._hold_packs(call.id, price, duration_ms)
        return grant

    def _month(self, call: OpenCall) -> str:
        return records.period_of(call.began_at, self._zone)[0]

    def _price_of(self, call: OpenCall) -> TermsPrice:
        """Raises NoRate, PriceListError."""
        start = max(records.answered_at(call.began_at, call.began_ms, call.answered_ms), FLOOR)
        return TermsPrice(self._plan.terms(call, start, self._book.balances(_held_packs(call), call.id)))

    def _grant(self, grant: _Grant, now: Moment) -> Decide | None:
        """Set money aside and say what the call is granted for it; None: it goes on as it was granted."""
        row = grant.row
        talked_ms = records.answered_duration_ms(row.answered_ms, now.boot_ms)
        try:
            price = self._price_of(row)
            answer = self._budget.reserve(
                row.id, self._class_of(row.number), price, month=self._month(row), now_ms=now.boot_ms,
                talked_ms=talked_ms,
            )  # fmt: skip
            no_price_ms = price.longest_ms(None)
        except (NoRate, PriceListError, TariffError) as error:
            # Admission found a price, so this is a list that has gone since: the call keeps the grant that it has.
            _log.error("call_not_priced", call_id=row.id, detail=str(error))
            grant.renew_at_ms = None
            return None
        self._grants[row.id] = grant
        if isinstance(answer, Shortfall):
            return self._short(grant, answer)
        decision = self._decision(row, answer, no_price_ms)
        grant.told, grant.renew_at_ms = decision, None
        if decision.limit == Cap.LEASE and row.answered_ms is not None:
            ahead_ms = max(_RENEW_AT_LEAST_MS, min(_RENEW_BEFORE_MS, (answer.duration_ms - talked_ms) // 2))
            grant.renew_at_ms = max(row.answered_ms + answer.duration_ms - ahead_ms, now.boot_ms + _RENEW_AT_LEAST_MS)
        self._hold_packs(row.id, price, answer.duration_ms if decision.max_talk_ms is not None else talked_ms)
        return decision

    def _hold_packs(self, call_id: str, price: TermsPrice, duration_ms: int) -> None:
        if price.terms.packs and duration_ms > 0:
            charge = price_by(price.terms, min(duration_ms, price.longest_ms(None)), explain=False)
            self._book.hold(call_id, charge.pack_uses)

    def _short(self, grant: _Grant, answer: Shortfall) -> Decide:
        """A call that has not begun is refused; one in progress ends now."""
        row = grant.row
        if row.answered_ms is None:
            self.withdraw(row.id)
            refusal = refuse_for_money(answer.cap)
            return Decide(
                call_id=row.id, granted=False, refusal=refusal.code.value, tone=refusal.tone,
                announcement=refusal.announcement.value,
            )  # fmt: skip
        limit = answer.cap if answer.cap is not None else Cap.PRICE_LIST
        grant.renew_at_ms = None
        grant.told = Decide(
            call_id=row.id, granted=True, until_ms=row.until_ms, warn_at_ms=row.warn_at_ms,
            max_talk_ms=_NO_SPEECH_MS, limit=limit.value,
        )  # fmt: skip
        return grant.told

    def _decision(self, row: OpenCall, answer: Reservation, no_price_ms: int) -> Decide:
        ends = min(no_price_ms, HORIZON_MS)
        talk: int | None = answer.duration_ms
        warn: int | None = answer.warn_ms
        if answer.cap is not None:
            limit = answer.cap
        elif answer.duration_ms < ends:
            limit = Cap.LEASE
        elif ends < HORIZON_MS:
            limit, warn = Cap.PRICE_LIST, max(0, answer.duration_ms - self._budget.limits.warn_ms)
        else:
            return Decide(call_id=row.id, granted=True, until_ms=row.until_ms, warn_at_ms=row.warn_at_ms)
        return Decide(
            call_id=row.id, granted=True, until_ms=row.until_ms, warn_at_ms=row.warn_at_ms, max_talk_ms=talk,
            warn_talk_ms=warn, limit=limit.value,
        )  # fmt: skip


def _held_packs(call: OpenCall) -> list[Pack]:
    return [
        Pack(
            one.id, (one.prefix,), one.seconds, one.increment_s, (), one.connect_fee_micro, one.order,
            one.first_month, one.last_month,
        )
        for one in call.packs
    ]  # fmt: skip


def _limits(told: CostLimits) -> Limits:
    def micro(amount: str | None) -> int | None:
        return parse_amount(amount) if amount is not None else None

    return Limits(
        call_micro=micro(told.call), month_micro=micro(told.month), abroad_micro=micro(told.abroad),
        premium_micro=micro(told.premium), hour_micro=micro(told.hour), day_micro=micro(told.day),
    )  # fmt: skip


def _spent(month: str, count: UsageCount) -> Spent:
    return Spent(month, count.amount_micro, count.abroad_micro, count.premium_micro)


def _elsewhere(usage: Usage, told: UsageCount) -> Spent:
    return Spent(
        usage.month, max(0, usage.amount_micro - told.amount_micro), max(0, usage.abroad_micro - told.abroad_micro),
        max(0, usage.premium_micro - told.premium_micro),
    )  # fmt: skip


def _packs(count: UsageCount) -> dict[str, int]:
    return {one.pack: one.seconds for one in count.packs}


def _spent_in(month: str, rows: Sequence[UsageRow], details: UsageDetails) -> Spent:
    return Spent(
        month, sum(row.amount_micro for row in rows), details.classes.get(NumberClass.INTERNATIONAL, 0),
        details.classes.get(NumberClass.PREMIUM, 0),
    )  # fmt: skip
