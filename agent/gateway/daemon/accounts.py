"""The accounts: which configuration is in force, and when each of them registers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.core.actions import MoveAddress, Register, Unregister
from agent.core.beginning import Beginning
from agent.core.credentials import Credential, RefusedCredentials
from agent.core.dialplan import DialPlan, DialPlanError, compile_plan
from agent.core.events import Registered, RegistrationFailed, Unregistered
from agent.core.line import Line
from agent.core.numbers import EMERGENCY
from agent.core.registration import CREDENTIAL_REFUSED, Registration
from agent.core.target import usable
from agent.core.terms import NetworkChange
from agent.core.transports import Transport
from agent.gateway.daemon.actions import KeepRests, UseConfiguration
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.daemon.paths import Paths
from agent.gateway.protocol import Account, Configure


class Accounts:
    """Configuration and registrations. `uniform` returns random numbers in 0 ≤ u < 1."""

    def __init__(self, exchange: Exchange, uniform: Callable[[], float], beginning: Beginning) -> None:
        self._x = exchange
        self._uniform = uniform
        self._beginning: Beginning | None = beginning
        self._refused = RefusedCredentials(beginning.rests)
        self._kept_rests = self._refused.rests
        self.paths = Paths(exchange, uniform)
        """Whether the ways to the targets live."""
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
        now = self._x.now
        # Who has waited longest goes first: two that share a refused credential take turns.
        waiting = sorted(self._x.registrations.items(), key=lambda item: item[1].begun_ms or 0)
        for name, registration in waiting:
            registration.tick(now)
            due = registration.next_attempt_ms
            if due is None or due > now:
                continue
            if self._refused.may_begin(self._credential(name), registration, now):
                self._x.act(Register(name, registration.begin(now)))
        self.paths.ask_due()

    def keep_rests(self) -> None:
        """Let the process remember which credentials rest, where that has changed."""
        rests = self._refused.rests
        if rests != self._kept_rests:
            self._kept_rests = rests
            self._x.act(KeepRests(rests))

    def heard(self, event: Registered | Unregistered | RegistrationFailed) -> None:
        """The outcome of a REGISTER."""
        registration = self._x.registrations.get(event.account)
        if registration is None:
            return
        match event:
            case Registered(expires_s=expires_s, seen_as=seen_as):
                registration.accepted(expires_s, self._x.now)
                self._refused.accepted(self._credential(event.account))
                self.paths.in_use(event.account, seen_as)
            case Unregistered():
                registration.removed(self._x.now)
            case RegistrationFailed(code=code, reason=reason, on_wire=on_wire, retry_after_s=retry_after_s):
                registration.failed(code, reason, self._x.now, on_wire=on_wire, retry_after_s=retry_after_s)
                until_ms = registration.next_attempt_ms
                if on_wire and code in CREDENTIAL_REFUSED and until_ms is not None:
                    self._refused.refused(self._credential(event.account), until_ms)

    def network_changed(self, change: NetworkChange) -> None:
        """The network is another one, or is back: register at once."""
        self._x.log("info", "network_changed", change.value)
        if change is NetworkChange.ADDRESS:
            self._x.act(MoveAddress())
        for registration in self._x.registrations.values():
            registration.hurry(self._x.now)

    def lifted(self, line: Line) -> None:
        """A handset was lifted: its registration waits for nobody's sake."""
        entry = self._x.entry(line.index)
        registration = self._x.registrations.get(entry.account) if entry is not None else None
        if registration is not None:
            registration.lifted(self._x.now)

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
        paths = self.paths.deadline()
        return min(wanted if paths is None else [*wanted, paths], default=None)

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

    def _credential(self, name: str) -> Credential:
        accounts = self._x.configuration.accounts if self._x.configuration is not None else []
        return next((_credential(account) for account in accounts if account.id == name), Credential(name, "", ""))

    def _disturbs(self, configuration: Configure) -> bool:
        """Whether a call uses an account which is not the same in `configuration`.

        Other targets disturb only a call that is still being set up: it counts on their order.
        """
        current = self._x.configuration
        if current is None:
            return False
        kept = _by_id(configuration)
        changed = {account.id for account in current.accounts if not _only_targets(account, kept.get(account.id))}
        moved = {account.id for account in current.accounts if kept.get(account.id) != account}
        for call in self._x.calls.values():
            if call.account in changed and (call.live or call.holds_slot):
                return True
            setting_up = call.live and call.answered_ms is None
            if setting_up and (call.account in moved or (call.emergency and moved)):
                return True
        return False

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
        x.set_lines()
        x.act(UseConfiguration(configuration))
        for account in configuration.accounts:
            old = before.get(account.id)
            if account.register and old != account:
                self._register_anew(account, old)
        self._beginning = None
        self._refused.keep({_credential(account) for account in configuration.accounts})
        x.log("info", "configuration_in_force", configuration.revision)

    def _register_anew(self, account: Account, old: Account | None) -> None:
        x = self._x
        registration = x.registrations.get(account.id)
        targets = [usable(target) for target in account.targets]
        transports = [target.transport if target is not None else Transport.UDP for target in targets]
        if old is not None and registration is not None and _only_targets(old, account):
            kept = [old.targets.index(target) if target in old.targets else None for target in account.targets]
            registration.retarget(kept, x.now, transports)
            return
        due_ms = None
        if self._beginning is not None and x.configuration is not None:
            due_ms = x.now + self._beginning.delay_ms(x.configuration.boot_spread_s * 1000, self._uniform)
        x.registrations[account.id] = Registration(len(account.targets), self._uniform, x.now, due_ms, transports)


def _credential(account: Account) -> Credential:
    return Credential(account.domain, account.auth_user, account.password)


def _only_targets(old: Account, new: Account | None) -> bool:
    """Whether the two are the same but for their targets."""
    return new is not None and msgspec.structs.replace(old, targets=new.targets) == new


def _by_id(configuration: Configure) -> dict[str, Account]:
    return {account.id: account for account in configuration.accounts}
