"""The accounts: which configuration is in force, and when each of them registers."""

from __future__ import annotations

from collections.abc import Callable

from agent.core.dialplan import DialPlan, DialPlanError, compile_plan
from agent.core.events import Register, Registered, RegistrationFailed, Unregister, Unregistered
from agent.core.numbers import EMERGENCY
from agent.core.registration import Registration
from agent.gateway.daemon.actions import UseConfiguration
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.protocol import Account, Configure


class Accounts:
    """Configuration and registrations. `uniform` returns random numbers in 0 ≤ u < 1."""

    def __init__(self, exchange: Exchange, uniform: Callable[[], float]) -> None:
        self._x = exchange
        self._uniform = uniform
        self._waiting: Configure | None = None

    def configure(self, configuration: Configure) -> None:
        """Use a configuration: now, or as soon as no call is up on an account that it changes or removes."""
        if configuration == self._x.configuration:
            self._waiting = None
            return
        plan = self._compile(configuration)
        if plan is None:
            return
        self._waiting = configuration
        if not self._disturbs(configuration):
            self._apply(configuration, plan)
        else:
            self._x.log("info", "configuration_waits", "a call uses an account that it changes")

    def use_waiting(self) -> None:
        """Apply a configuration that waited for calls to end."""
        waiting = self._waiting
        if waiting is not None and not self._disturbs(waiting):
            plan = self._compile(waiting)
            if plan is not None:
                self._apply(waiting, plan)

    def register_due(self) -> None:
        """Send the REGISTERs that are due."""
        if not self._x.sip_up or self._x.stopping:
            return
        for account, registration in self._x.registrations.items():
            registration.tick(self._x.now)
            due = registration.next_attempt_ms
            if due is not None and due <= self._x.now:
                self._x.act(Register(account, registration.begin(self._x.now)))

    def heard(self, event: Registered | Unregistered | RegistrationFailed) -> None:
        """The outcome of a REGISTER."""
        registration = self._x.registrations.get(event.account)
        if registration is None:
            return
        match event:
            case Registered(expires_s=expires_s):
                registration.accepted(expires_s, self._x.now)
            case Unregistered():
                registration.removed(self._x.now)
            case RegistrationFailed(code=code, reason=reason, on_wire=on_wire, retry_after_s=retry_after_s):
                registration.failed(code, reason, self._x.now, on_wire=on_wire, retry_after_s=retry_after_s)

    def leave(self) -> None:
        """Remove every binding: the process is about to end."""
        for account, registration in self._x.registrations.items():
            if registration.registered or registration.next_attempt_ms is None:
                self._x.act(Unregister(account))

    def any_registered(self) -> bool:
        """Whether a registrar still holds a binding of ours."""
        return any(registration.registered for registration in self._x.registrations.values())

    def deadline(self) -> int | None:
        """When a registration wants attention."""
        if not self._x.sip_up or self._x.stopping:
            return None
        registrations = self._x.registrations.values()
        wanted = [at for r in registrations for at in (r.deadline(), r.next_attempt_ms) if at is not None]
        return min(wanted, default=None)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _compile(self, configuration: Configure) -> DialPlan | None:
        """The new digit map; None where it can't be used and the old configuration stays in force.

        Without an old one the rest is used with emergency numbers only, which is better than no telephone.
        """
        digits = configuration.digit_map
        try:
            return compile_plan(
                digits.patterns, [*sorted(EMERGENCY), *digits.emergency], timer_ms=digits.timer_ms,
                first_digit_ms=digits.first_digit_ms, international_prefix=configuration.numbers.international_prefix,
            )  # fmt: skip
        except DialPlanError as error:
            self._x.log("error", "digit_map_refused", str(error))
            return None if self._x.configuration is not None else self._x.plan

    def _disturbs(self, configuration: Configure) -> bool:
        """Whether a call that is up uses an account which is not the same in `configuration`."""
        current = self._x.configuration
        if current is None:
            return False
        kept = _by_id(configuration)
        changed = {account.id for account in current.accounts if kept.get(account.id) != account}
        return any(call.account in changed for call in self._x.calls.values() if call.live or call.holds_slot)

    def _apply(self, configuration: Configure, plan: DialPlan) -> None:
        x = self._x
        before = _by_id(x.configuration) if x.configuration is not None else {}
        after = _by_id(configuration)
        for name in sorted(x.registrations.keys() - {one.id for one in configuration.accounts if one.register}):
            gone = x.registrations.pop(name)
            # An account that stays for emergency calls has to leave a binding that is just being made, too.
            if gone.registered or (name in after and gone.next_attempt_ms is None):
                x.act(Unregister(name))
        x.configuration, x.plan, self._waiting = configuration, plan, None
        x.act(UseConfiguration(configuration))
        for account in configuration.accounts:
            if account.register and before.get(account.id) != account:
                x.registrations[account.id] = Registration(len(account.targets), self._uniform, x.now)
        x.log("info", "configuration_in_force", configuration.revision)


def _by_id(configuration: Configure) -> dict[str, Account]:
    return {account.id: account for account in configuration.accounts}
