"""Calls that a handset starts: emergency calls ask nobody, all others ask the agent first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.core.call import Call, Lease
from agent.core.events import CallKind, CallPhase, Cause, Direction, Party, Tone
from agent.core.line import Dialled, Line
from agent.core.numbers import normalise, render
from agent.core.race import Attempt
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.protocol import MAX_UNRELEASED, Account, Configure, Decide, End

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

    def dialled(self, dialled: Dialled) -> None:
        """A line has dialled a whole number."""
        line = self._x.lines[dialled.line]
        if dialled.emergency:
            self._emergency(line, dialled.number)
        else:
            self._ordinary(line, dialled.number)

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
            self._x.carry_out(call, call.refuse(decision.refusal, decision.tone, self._x.now))

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

    def _ordinary(self, line: Line, dialled: str) -> None:
        x = self._x
        configuration = x.configuration
        entry = x.entry(line.index)
        numbers = configuration.numbers if configuration else None
        number = (
            normalise(dialled, country_code=numbers.country_code, international_prefix=numbers.international_prefix)
            if numbers
            else dialled
        )
        attempts: list[Attempt] = []
        if configuration is not None and entry is not None and self._known(entry.account):
            registration = x.registrations.get(entry.account)
            target = registration.target if registration is not None else 0
            attempts = [Attempt(entry.account, target, _user_part(number, configuration))]
        call = self._call(line, number, CallKind.ORDINARY, attempts)
        if x.unreleased() >= MAX_UNRELEASED:
            x.turn_away(call, Cause.AGENT_UNAVAILABLE)
        elif x.stopping:
            x.turn_away(call, Cause.SHUTDOWN)
        elif not x.agent_up:
            x.turn_away(call, Cause.AGENT_UNAVAILABLE)
        elif not attempts or configuration is None or not self._reachable(call.account):
            x.turn_away(call, Cause.NETWORK_FAILURE)
        elif not x.has_slot(emergency=False):
            x.turn_away(call, Cause.NO_CALL_SLOT)
        else:
            x.calls[call.call_id] = call
            line.join(call.call_id)
            call.ask(configuration.ask_timeout_ms)

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
        call = self._call(line, number, CallKind.EMERGENCY, self._every_way(line, number))
        if x.closing:
            x.turn_away(call, Cause.SHUTDOWN)
            return
        self._make_room_for_record()
        x.calls[call.call_id] = call
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
        user = _user_part(number, configuration)
        return [Attempt(account.id, target, user) for account in accounts for target in self._targets(account)]

    def _live(self, account: Account) -> bool:
        registration = self._x.registrations.get(account.id)
        return registration is not None and registration.registered

    def _targets(self, account: Account) -> list[int]:
        registration = self._x.registrations.get(account.id)
        first = registration.target if registration is not None else 0
        return sorted(range(len(account.targets)), key=lambda target: target != first)

    # --- both --------------------------------------------------------------------------------------------------------

    def _call(self, line: Line, number: str, kind: CallKind, attempts: list[Attempt]) -> Call:
        entry = self._x.entry(line.index)
        return Call(
            self._new_id(), Direction.OUTGOING, kind, account=entry.account if entry else "", number=number,
            own_number=entry.number if entry else "", now=self._x.now, lines=(line.index,), attempts=attempts,
        )  # fmt: skip


def _lease(decision: Decide) -> Lease:
    return Lease(
        until_ms=decision.until_ms, warn_at_ms=decision.warn_at_ms, max_talk_ms=decision.max_talk_ms,
        warn_talk_ms=decision.warn_talk_ms, limit=decision.limit,
    )  # fmt: skip


def _user_part(number: str, configuration: Configure) -> str:
    numbers = configuration.numbers
    return render(
        number, numbers.outgoing, country_code=numbers.country_code, international_prefix=numbers.international_prefix
    )
