"""What the page shows of money: months, caps, packs, and what each number has cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from msgspec import Struct

from agent.charging import Charging
from agent.clock import Moment
from agent.core.budget import DAY_MS, HOUR_MS, Cap
from agent.core.estimate import month_before, month_of
from agent.core.migration import day_of
from agent.month import month_view
from agent.plan import Plan
from agent.status import snapshot as page
from agent.store.records import UsageRow


class MoneyPanel(Struct, frozen=True):
    """The parts that know of money, asked together."""

    plan: Plan
    charging: Charging
    zone: tzinfo

    def _months(self, now: Moment, before: Sequence[UsageRow], usage: Sequence[UsageRow]) -> list[page.MonthView]:
        """The month that is invoiced next, if the adapter was in use in it, and this one."""
        today = day_of(now.wall, self.zone)
        month = month_of(today)
        found = [
            month_view(self.plan, month_before(month), before, today) if before else None,
            month_view(self.plan, month, usage, today),
        ]
        return [one for one in found if one is not None]

    def view(
        self, usage: Sequence[UsageRow], today: Sequence[UsageRow], before: Sequence[UsageRow], now: Moment
    ) -> page.MoneyView:
        """The panel; `before`: what was used in the month before this one."""
        rules = self.plan.table.rules if self.plan.table is not None else None
        by_day = {row.own_number: row for row in today}
        return page.MoneyView(
            months=self._months(now, before, usage),
            caps=self._cap_views(now),
            balance_micro=self.charging.budget.balance_micro,
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
        budget = self.charging.budget
        limits, spent = budget.limits, budget.spent(month_of(day_of(now.wall, self.zone)))
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
        subscription, month = self.plan.subscription, month_of(day_of(now.wall, self.zone))
        held = {pack.id for pack in self.plan.packs if pack.holds_in(month)}
        return [
            page.PackView(
                name_nb=pack.name.nb, name_en=pack.name.en, seconds=pack.seconds,
                used_s=self.charging.packs.used_s(pack.id, month),
            )
            for pack in (subscription.packs if subscription is not None else ()) if pack.id in held
        ]  # fmt: skip
