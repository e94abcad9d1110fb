"""Calls that a handset starts: emergency calls ask nobody, all others ask the agent first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from agent.core.announcement import known
from agent.core.call import Call, Lease
from agent.core.diversion import Diverted
from agent.core.events import CallOver
from agent.core.line import Dialled, Line
from agent.core.numbers import render
from agent.core.race import Attempt
from agent.core.redirect import ways_on
from agent.core.target import usable
from agent.core.terms import CallKind, CallPhase, Cause, Direction, Party, Tone
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.protocol import MAX_UNRELEASED, Account, Configure, Decide, End
from agent.gateway.protocol import Line as LineEntry

SLOT_PATIENCE_MS: Final = 1_000
"""An emergency call waits this long for a pre-empted call's slot, then tries anyway."""
SIP_PATIENCE_MS: Final = 10_000
"""And this long for a SIP library that is still starting."""
MAX_KEPT: Final = 256
"""How many records wait for the agent at most. Ordinary calls stop at MAX_UNRELEASED; the rest is for emergency calls,
which have no other bound."""


class Outgoing:
    """The outgoing half of the Switch. `new_id` makes the id of a call, which is also its record's."""

    def __init__(self, exchange: Exchange, new_id: Callable[[], str]) -> None:
        self._x = exchange
        self._new_id = new_id

    def dialled(self, dialled: Dialled, prefix: str = "") -> None:
        """A line has dialled a whole number; `prefix` goes before it to the platform."""
        line = self._x.lines[dialled.line]
        if dialled.emergency:
            self._emergency(line, dialled.number)
        else:
            self._ordinary(line, dialled, prefix)

    def decide(self, decision: Decide) -> None:
        """The agent's answer to an asked call, or a new lease for a live one; too late for any other."""
        call = self._x.calls.get(decision.call_id)
        if call is None or not call.live or call.emergency or call.direction is not Direction.OUTGOING:
            self._x.log("info", "decision_too_late", call_id=decision.call_id)
            return
        asked = call.phase is CallPhase.ASKED
        if decision.granted:
            self._x.carry_out(call, call.grant(_lease(decision), self._x.now))
        elif asked:
            said = known(decision.announcement)
            self._x.carry_out(call, call.refuse(decision.refusal, decision.tone, self._x.now, said))

    def end(self, order: End) -> None:
        """The agent ends a call; never an emergency call."""
        call = self._x.calls.get(order.call_id)
        if call is None or not call.live:
            return
        if call.emergency:
            self._x.log("warning", "end_refused", "an emergency call ends by its parties only", call_id=call.call_id)
            return
        self._x.end(call, Cause.ENDED_BY_AGENT, Party.SYSTEM)

    def agent_gone(self) -> None:
        """Nobody will answer what has been asked."""
        for call in list(self._x.calls.values()):
            if call.live and call.phase is CallPhase.ASKED:
                self._x.end(call, Cause.AGENT_UNAVAILABLE, Party.SYSTEM)

    def use_free_slots(self) -> None:
        """Start the emergency calls that stand by once there is a slot; make room for one that could not be sent."""
        for call in list(self._x.calls.values()):
            if call.starved and call.live:
                self._make_room(call)
            elif call.awaits_slot and self._x.sip_up and self._x.has_slot(emergency=True):
                self._x.carry_out(call, call.start(self._x.now))

    # --- ordinary ----------------------------------------------------------------------------------------------------

    def _ordinary(self, line: Line, dialled: Dialled, prefix: str) -> None:
        call = self._prepared(
            line.index, self._x.number(dialled.number), (line.index,), withhold=dialled.withhold, prefix=prefix,
            own_number=dialled.own_number,
        )  # fmt: skip
        if self._ask(call):
            line.join(call.call_id)

    def pass_on(self, line: Line, code: str) -> None:
        """Call the operator's platform by a service code that it performs."""
        call = self._prepared(line.index, code, (line.index,), withhold=None, prefix="")
        if self._ask(call):
            line.join(call.call_id)

    def forward(self, index: int, number: str, diversions: Sequence[Diverted]) -> Call | None:
        """Ask for a call of no handset, for a service of a line; None where it was refused at once."""
        call = self._prepared(index, number, (), withhold=None, prefix="", diversions=diversions)
        return call if self._ask(call) else None

    def withholds(self, index: int) -> bool:
        """Whether the line's number is not shown (CLIR): as its user has set it, else as the subscription says."""
        entry, withhold = self._x.entry(index), self._x.settings_of(index).withhold
        return withhold if withhold is not None else entry is not None and entry.clir

    def _prepared(
        self, index: int, number: str, lines: tuple[int, ...], *,
        withhold: bool | None, prefix: str, own_number: str = "", diversions: Sequence[Diverted] = (),
    ) -> Call:  # fmt: skip
        x = self._x
        configuration, entry = x.configuration, self._entry(index, own_number)
        attempts: list[Attempt] = []
        account = self._account(entry.account) if entry is not None else None
        if configuration is not None and account is not None and self._known(account.id):
            user = prefix + user_part(number, configuration)
            attempts = [Attempt(account.id, target, user) for target in self._targets(account)]
        if withhold is None:
            withhold = self.withholds(index)
        return self._call(
            index, number, CallKind.ORDINARY, attempts, lines=lines, withhold=withhold, entry=entry,
            diversions=diversions,
        )  # fmt: skip

    def _entry(self, index: int, own_number: str) -> LineEntry | None:
        """The line's account and number; for this call those of another own number, where that is one."""
        entry, configuration = self._x.entry(index), self._x.configuration
        if entry is None or configuration is None or not own_number:
            return entry
        routes = [route for route in configuration.routes if route.number == own_number and not route.refused]
        return msgspec.structs.replace(entry, account=routes[0].account, number=own_number) if routes else entry

    def _ask(self, call: Call) -> bool:
        """Ask the agent for the call; False where it was turned away at once."""
        x = self._x
        configuration = x.configuration
        if x.unreleased() >= MAX_UNRELEASED:
            x.turn_away(call, Cause.AGENT_UNAVAILABLE)
        elif x.stopping:
            x.turn_away(call, Cause.SHUTDOWN)
        elif not x.agent_up:
            x.turn_away(call, Cause.AGENT_UNAVAILABLE)
        elif not call.attempts or configuration is None or not self._reachable(call.account):
            x.turn_away(call, Cause.NETWORK_FAILURE)
        elif not x.has_slot(emergency=False):
            x.turn_away(call, Cause.NO_CALL_SLOT)
        else:
            x.calls[call.call_id] = call
            call.ask(configuration.ask_timeout_ms)
            return True
        return False

    def ways_on(self, call: Call, event: CallOver) -> tuple[Attempt, ...]:
        """Where a redirected call may go on to; see `core.redirect`."""
        if not event.contacts or not call.tried:
            return ()
        attempt = call.tried[-1]
        account = self._account(attempt.account)
        if account is None:
            return ()
        targets = [usable(target) for target in account.targets]
        return ways_on(
            event.contacts, attempt, call.tried, domain=account.domain, targets=targets, read=self._x.number
        )  # fmt: skip

    def _account(self, name: str) -> Account | None:
        configuration = self._x.configuration
        accounts = configuration.accounts if configuration is not None else []
        return next((account for account in accounts if account.id == name), None)

    def _known(self, account: str) -> bool:
        return account in self._x.registrations or self._never_registers(account)

    def _never_registers(self, account: str) -> bool:
        configuration = self._x.configuration
        return configuration is not None and any(
            one.id == account and not one.register for one in configuration.accounts
        )

    def _reachable(self, account: str) -> bool:
        """Whether there is any use in asking: the agent says why an account that never registers may not call."""
        registration = self._x.registrations.get(account)
        registered = registration is not None and registration.registered
        return self._x.sip_up and (registered or self._never_registers(account))

    # --- emergency ---------------------------------------------------------------------------------------------------

    def _emergency(self, line: Line, number: str) -> None:
        x = self._x
        call = self._call(
            line.index, number, CallKind.EMERGENCY, self._every_way(line, number), lines=(line.index,), withhold=False,
            entry=x.entry(line.index),
        )  # fmt: skip
        if x.closing:
            x.turn_away(call, Cause.SHUTDOWN)
            return
        self._make_room_for_record()
        x.calls[call.call_id] = call
        x.callbacks.began(line.index)
        line.join(call.call_id)
        x.carry_out(call, call.race(x.now))
        if not x.sip_up:
            call.await_slot(SIP_PATIENCE_MS, x.now)
        elif x.has_slot(emergency=True):
            if call.racing:
                call.await_slot(SLOT_PATIENCE_MS, x.now)
            else:
                x.carry_out(call, call.start(x.now))
        else:
            call.await_slot(SLOT_PATIENCE_MS, x.now)
            self._make_room(call)

    def _make_room_for_record(self) -> None:
        """An emergency call is never refused for want of room: the oldest record that nobody has fetched goes."""
        x = self._x
        if x.unreleased() < MAX_KEPT:
            return
        oldest = next((one for one in x.calls.values() if one.finished and one.call_id not in x.released), None)
        if oldest is not None:
            x.released.add(oldest.call_id)
            x.log("error", "record_dropped", f"no agent has fetched {MAX_KEPT} records", call_id=oldest.call_id)

    def _make_room(self, emergency: Call) -> None:
        """End every ordinary call: a silent peer can hold one slot for half a minute, so one may not do."""
        for call in [call for call in self._x.calls.values() if call.live and not call.emergency]:
            self._x.log("warning", "call_preempted", f"by {emergency.call_id}", call_id=call.call_id)
            self._x.end(call, Cause.PREEMPTED, Party.SYSTEM, Tone.CONGESTION, sip_code=480)

    def _every_way(self, line: Line, number: str) -> list[Attempt]:
        """Every target of every account: the line's own account first, and in each the target that last answered."""
        configuration = self._x.configuration
        if configuration is None:
            return []
        entry = self._x.entry(line.index)
        own = entry.account if entry else ""
        accounts = sorted(configuration.accounts, key=lambda account: (account.id != own, not self._live(account)))
        user = user_part(number, configuration)
        return [Attempt(account.id, target, user) for account in accounts for target in self._targets(account)]

    def _live(self, account: Account) -> bool:
        registration = self._x.registrations.get(account.id)
        return registration is not None and registration.registered

    def _targets(self, account: Account) -> list[int]:
        registration = self._x.registrations.get(account.id)
        first = registration.target if registration is not None else 0
        return sorted(range(len(account.targets)), key=lambda target: target != first)

    # --- both --------------------------------------------------------------------------------------------------------

    def _shown(self, entry: LineEntry | None, configuration: Configure | None, *, withhold: bool) -> str:
        """The line's own number as a user part, where the account's address does not say it to the operator."""
        if entry is None or configuration is None or not (withhold or _shares(entry, configuration)):
            return ""
        return user_part(entry.number, configuration)

    def _call(
        self, index: int, number: str, kind: CallKind, attempts: list[Attempt], *,
        lines: tuple[int, ...], withhold: bool, entry: LineEntry | None, diversions: Sequence[Diverted] = (),
    ) -> Call:  # fmt: skip
        configuration = self._x.configuration
        own_number = entry.number if entry else ""
        return Call(
            self._new_id(), Direction.OUTGOING, kind, account=entry.account if entry else "", number=number,
            own_number=own_number, now=self._x.now, lines=lines, attempts=attempts, withhold=withhold,
            own_user=self._shown(entry, configuration, withhold=withhold), for_line=index,
            diversions=diversions,
        )  # fmt: skip


def _shares(entry: LineEntry, configuration: Configure) -> bool:
    """Whether the line's registration carries other numbers, too, so that the registration alone says nothing."""
    lines = {one.number for one in configuration.lines if one.account == entry.account}
    routes = {one.number for one in configuration.routes if one.account == entry.account}
    return bool((lines | routes) - {entry.number})


def _lease(decision: Decide) -> Lease:
    return Lease(
        until_ms=decision.until_ms, warn_at_ms=decision.warn_at_ms, max_talk_ms=decision.max_talk_ms,
        warn_talk_ms=decision.warn_talk_ms, limit=decision.limit,
    )  # fmt: skip


def user_part(number: str, configuration: Configure) -> str:
    """A canonical number as the platform wants it in a Request-URI."""
    numbers = configuration.numbers
    return render(
        number, numbers.outgoing, country_code=numbers.country_code, international_prefix=numbers.international_prefix
    )
