"""What is wrong with the adapter at this moment, as the page's sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from agent.clock import Moment
from agent.config import ConfigError, KeptCopyError
from agent.core.catalogue import Refused
from agent.core.codecs import choose
from agent.core.money import amount_text
from agent.core.numbers import mask
from agent.disk_watch import DiskWatch
from agent.operator.api import Subscription
from agent.operator.sync import Syncer
from agent.operator.trouble import Trouble
from agent.plan import Plan
from agent.reconciliation import Reconciler
from agent.seen import SeenGateway
from agent.status import snapshot as page
from agent.store.errors import Repair, StoreDamaged
from agent.store.store import Store

_TROUBLES = {
    Trouble.REFUSED: "problem.operator_refused",
    Trouble.PRICE_LIST_REFUSED: "problem.price_list_refused",
    Trouble.MISCONFIGURED: "problem.operator_misconfigured",
    Trouble.STORAGE: "problem.not_kept",
}
_WITH_REASON = frozenset({"problem.price_list_refused", "problem.operator_misconfigured", "problem.not_kept"})


class Problems(Struct, frozen=True):
    """The parts that know of faults, asked together."""

    plan: Plan
    gateway: SeenGateway
    store: Store
    syncer: Syncer
    disk: DiskWatch
    reconciler: Reconciler

    def found(self, now: Moment, quarantined: int, trouble: ConfigError | None) -> list[page.Notice]:
        """What is wrong, root causes first: where the telephone part is away, its card and lines are not judged."""
        found = [*settings_problems(trouble), *self._telephone_problems(), *self._business_problems()]
        found += disk_problems(self.disk)
        found += usage_problems(self.reconciler)
        if quarantined:
            found.append(page.Notice(key="problem.quarantined", values={"count": str(quarantined)}))
        if self.store.damage is not None:
            found.append(store_notice(self.store.damage))
        if not now.trusted:
            found.append(page.Notice(key="problem.time_not_trusted"))
        return found

    def _telephone_problems(self) -> list[page.Notice]:
        if self.gateway.hello is None:
            return [page.Notice(key="problem.gateway_away")]
        found = []
        if not self.gateway.card.up:
            found.append(page.Notice(key="problem.card_down", values={"reason": self.gateway.card.reason}))
        found += [
            page.Notice(
                key="problem.not_registered",
                values={"account": state.account, "reason": f"{state.code} {state.reason}".strip()},
            )
            for _, state in sorted(self.gateway.accounts.items())
            if not state.registered and not self.plan.ended
        ]
        return found

    def _business_problems(self) -> list[page.Notice]:
        found: list[page.Notice] = []
        if self.plan.plain:
            return found
        if self.plan.subscription is None:
            found.append(page.Notice(key="problem.no_subscription"))
        elif self.plan.unknown_product:
            found.append(page.Notice(key="problem.unknown_product", values={"product": self.plan.unknown_product}))
        elif self.plan.ended:
            day = self.plan.term.last_day if self.plan.term is not None else None
            found.append(page.Notice(key="problem.subscription_ended", values={"day": str(day)} if day else {}))
        elif self.plan.table is None:
            found.append(page.Notice(key="problem.no_price_list"))
        elif self.plan.product not in self.plan.table.header.products:
            values = {"product": self.plan.product}
            found.append(page.Notice(key="problem.price_list_of_another_product", values=values))
        found += [
            page.Notice(
                key="problem.surplus_registration", values={"registration": name, "limit": str(self.plan.max_accounts)}
            )
            for name in self.plan.surplus_registrations()
        ]
        if self.plan.subscription is not None:
            found += registration_notices(self.plan.subscription)
            if self.gateway.hello is not None:
                found += codec_notices(self.plan.subscription, self.gateway.hello.codecs)
        sync = self.syncer.status
        if sync.last_error is not None:
            key = _TROUBLES.get(sync.last_error, "problem.operator_away")
            found.append(page.Notice(key=key, values={"reason": sync.detail} if key in _WITH_REASON else {}))
        return found


def settings_problems(trouble: ConfigError | None) -> list[page.Notice]:
    """What the page says of a configuration file that was refused, or whose copy could not be kept."""
    if trouble is None:
        return []
    kept = isinstance(trouble, KeptCopyError)
    key = "problem.configuration_not_kept" if kept else "problem.last_good_configuration"
    return [page.Notice(key=key, values={"reason": str(trouble)})]


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


def codec_notices(subscription: Subscription, having: Sequence[str]) -> list[page.Notice]:
    """Which codecs of the operator's lists the SIP library does not have, each once, and what it has."""
    lists = [one.codecs for one in subscription.registrations if one.codecs]
    wanted = dict.fromkeys(name for names in (subscription.profile.codecs, *lists) for name in names)
    return [
        page.Notice(key="problem.codec_not_available", values={"codec": name, "available": ", ".join(having)})
        for name in choose(list(wanted), having).refused
    ]


def refused_notice(part: Refused, product: str) -> page.Notice:
    """Why a part of the subscription does not work: the product does not allow it."""
    values = {"product": product, "limit": str(part.limit)}
    if part.line is not None:
        values["line"] = str(part.line + 1)
    if part.number:
        values["number"] = mask(part.number)
    return page.Notice(key=f"excess.{part.code}", values=values)
