"""The operator's office: the subscription as it is now, and the faults that were ordered. State of the HTTP thread."""

from __future__ import annotations

import msgspec

from agent.core.money import parse_amount
from agent.lab.operator.bodies import Faults, SubscriptionChange, UsageChange
from agent.lab.operator.config import LabConfig, LabConfigError, LabSubscription, check
from agent.lab.operator.published import Published, price_list_name
from agent.lab.operator.sip_faults import SipFaults
from agent.operator.api import FileInfo, PackSeconds, Registration, Subscription, Usage, UsageCount


class Desk:
    """Answers what the customer has. `sip_target` is `host:port` of the SIP platform."""

    def __init__(self, config: LabConfig, published: Published, sip_target: str, sip_faults: SipFaults) -> None:
        self._config = config
        self._published = published
        self._sip_target = sip_target
        self._plan: LabSubscription = config.subscription
        self._changes = 0
        self._sip_faults = sip_faults
        self._faults = Faults()
        self._elsewhere = UsageCount(calls=0, seconds=0, amount_micro=0)

    @property
    def faults(self) -> Faults:
        """What is left of the ordered faults."""
        refuse, silent = self._sip_faults.left()
        return msgspec.structs.replace(self._faults, sip_refuse=refuse, sip_silent=silent)

    def order(self, faults: Faults) -> None:
        """Replace the ordered faults, on both sides."""
        self._faults = faults
        self._sip_faults.order(refuse=faults.sip_refuse, silent=faults.sip_silent, retry_after_s=faults.retry_after_s)

    @property
    def product(self) -> str:
        """The product subscribed to."""
        return self._plan.product

    def subscription(self, price_list: FileInfo) -> Subscription:
        """Return the subscription with the current price list."""
        plan = self._plan
        return Subscription(
            revision=plan.revision if not self._changes else f"{plan.revision}.{self._changes}",
            customer=plan.customer,
            product=plan.product,
            registrations=[self._registration(name) for name in plan.registrations],
            numbers=plan.numbers,
            lines=plan.lines,
            price_list=price_list,
            profile=plan.profile,
            packs=plan.packs,
            limits=plan.limits,
            prepaid=plan.prepaid,
            active=plan.active,
        )

    def price_list(self) -> FileInfo | None:
        """Return the current price list of the product, if one is published."""
        return self._published.current(price_list_name(self._plan.product))

    def change(self, change: SubscriptionChange) -> None:
        """Apply a change. Raises LabConfigError naming the field; nothing has changed then."""
        new = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not None}
        plan = msgspec.structs.replace(self._plan, **new)
        check(msgspec.structs.replace(self._config, subscription=plan))
        if self._published.current(price_list_name(plan.product)) is None:
            raise LabConfigError(f"product: no price list {price_list_name(plan.product)} is published")
        self._plan = plan
        self._changes += 1

    def note_usage(self, change: UsageChange) -> None:
        """Take what was used elsewhere, and what was paid in."""
        if change.elsewhere is not None:
            self._elsewhere = change.elsewhere
        if change.paid_in is not None:
            self._plan = msgspec.structs.replace(self._plan, paid_in=change.paid_in)

    def usage(self, month: str, device: UsageCount, spent_micro: int) -> Usage:
        """Return the count of a month from that of the device, and the balance after all that it has spent."""
        other = self._elsewhere
        packs: dict[str, int] = {}
        for use in (*device.packs, *other.packs):
            packs[use.pack] = packs.get(use.pack, 0) + use.seconds
        return Usage(
            month=month,
            calls=device.calls + other.calls,
            seconds=device.seconds + other.seconds,
            amount_micro=device.amount_micro + other.amount_micro,
            abroad_micro=device.abroad_micro + other.abroad_micro,
            premium_micro=device.premium_micro + other.premium_micro,
            packs=[PackSeconds(pack=pack, seconds=seconds) for pack, seconds in sorted(packs.items())],
            device=device,
            balance_micro=(
                parse_amount(self._plan.paid_in) - spent_micro - other.amount_micro if self._plan.prepaid else None
            ),
        )

    def take(self, fault: str) -> bool:
        """Whether a counted fault strikes now; one of its count is used up."""
        left: int = getattr(self._faults, fault)
        if left:
            self._faults = msgspec.structs.replace(self._faults, **{fault: left - 1})
        return left > 0

    def _registration(self, name: str) -> Registration:
        user = next(user for user in self._config.users if user.user == name)
        return Registration(
            id=user.user,
            user=user.user,
            domain=self._config.domain,
            auth_user=user.digest_user,
            password=user.password,
            targets=[f"{self._sip_target};transport=udp"],
            expires_s=self._plan.expires_s,
        )
