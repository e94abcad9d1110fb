"""Calls that arrive: which lines ring, and what happens when a handset is lifted or nobody comes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from msgspec import structs

from agent.core.alerting import ring_name
from agent.core.call import Call
from agent.core.events import IncomingInvite
from agent.core.line import Line
from agent.core.services import Service
from agent.core.terms import CallKind, Cause, Direction, Party
from agent.gateway.daemon.call_waiting import CallWaiting
from agent.gateway.daemon.diversion import Diversion, Target
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.daemon.outgoing import MAX_KEPT
from agent.gateway.protocol import MAX_UNRELEASED, Configure, Route

_MAX_TEXT = 64
"""A caller's number or name is a stranger's text: what a telephone can show is far shorter."""

_BUSY = 486
_UNAVAILABLE = 480
_NOT_FOUND = 404


class Incoming:
    """The incoming half of the Switch."""

    def __init__(self, exchange: Exchange, waiting: CallWaiting, diversion: Diversion) -> None:
        self._x = exchange
        self._waiting = waiting
        self._diversion = diversion
        self._for_card: dict[str, frozenset[int]] = {}
        """Calls that wait for the card, and their lines."""

    def deadline(self) -> int | None:
        """When `tick` has something to do."""
        return self._x.card_due_ms if self._for_card else None

    def tick(self) -> None:
        """Time has passed."""
        x = self._x
        for call_id in list(self._for_card):
            call = x.calls.get(call_id)
            if call is None or not call.live:
                del self._for_card[call_id]
            elif not x.card_expected:
                del self._for_card[call_id]
                x.end(call, Cause.CARD_LOST, Party.SYSTEM, sip_code=_UNAVAILABLE)

    def card_is_back(self) -> None:
        """The card answers, and it is known which handsets are lifted."""
        waited, self._for_card = self._for_card, {}
        for call_id, lines in waited.items():
            self._place(self._x.calls[call_id], sorted(lines))

    def invited(self, invite: IncomingInvite) -> None:
        """An INVITE has arrived: ring every free line of its route, or refuse it."""
        x = self._x
        if invite.call_id in x.calls:
            return
        configuration = x.configuration
        number, lines = _destination(invite, configuration, x.number)
        call = Call(
            invite.call_id, Direction.INCOMING, CallKind.ORDINARY, account=invite.account,
            number=x.number(invite.caller.number[:_MAX_TEXT]), own_number=number, now=x.now,
            diversions=invite.diversions,
        )  # fmt: skip
        call.diverted_from = x.number(invite.diverted_from[:_MAX_TEXT]) if invite.diverted_from else ""
        x.callers[call.call_id] = structs.replace(
            invite.caller, number=x.shown(call.number), name=invite.caller.name[:_MAX_TEXT]
        )
        rings = configuration.analogue.rings if configuration is not None else []
        name = ring_name(invite.alert, {ring.name: ring.alert for ring in rings})
        if name:
            x.ring_names[call.call_id] = name
        if not self._turned_away(call, lines, _refused(number, configuration)):
            x.calls[call.call_id] = call
            if self._needs_card(lines):
                call.stand_by()
                self._for_card[call.call_id] = lines
            else:
                self._place(call, sorted(lines))
        x.forget_unrecorded(call.call_id)

    def _turned_away(self, call: Call, lines: Collection[int], refused: str) -> bool:
        """Refuse a call that can go nowhere; `refused`: because its number is none of the subscription's."""
        x = self._x
        called_back = any(x.awaits_callback(index) for index in lines)
        if x.stopping:
            x.turn_away(call, Cause.SHUTDOWN, sip_code=_UNAVAILABLE)
        elif x.unreleased() >= (MAX_KEPT if called_back else MAX_UNRELEASED):
            x.turn_away(call, Cause.AGENT_UNAVAILABLE, sip_code=_UNAVAILABLE)
        elif refused:
            call.refusal = refused
            x.log("warning", "number_refused", refused, call_id=call.call_id)
            x.turn_away(call, Cause.REFUSED, sip_code=_NOT_FOUND)
        elif not lines:
            x.turn_away(call, Cause.NO_SUCH_NUMBER, sip_code=_NOT_FOUND)
        elif self._needs_card(lines) and not x.card_expected:
            x.turn_away(call, Cause.CARD_LOST, sip_code=_UNAVAILABLE)
        elif not x.has_slot(emergency=called_back):
            x.turn_away(call, Cause.NO_CALL_SLOT, sip_code=_BUSY)
        else:
            return False
        return True

    def _needs_card(self, lines: Collection[int]) -> bool:
        """Whether nothing can be done with a call to these lines before the card is there."""
        return not self._x.card.up and self._sent_on_at_once(sorted(lines)) is None

    def _sent_on_at_once(self, lines: Sequence[int]) -> Target | None:
        """Where a call to these lines goes before any of them rings; whoever has called for help is reached himself."""
        if any(self._x.awaits_callback(index) for index in lines):
            return None
        return self._diversion.target(lines, Service.FORWARD_ALL)

    def _place(self, call: Call, lines: Sequence[int]) -> None:
        """Send it on, ring, or let it wait; busy where nothing of that is possible."""
        x = self._x
        configuration = x.configuration
        called_back = [index for index in lines if x.awaits_callback(index)]
        at_once = self._sent_on_at_once(lines)
        if configuration is None or (at_once is not None and self._diversion.send_on(call, at_once)):
            return
        # Where all of them forward and that has failed, the telephones ring: better than nobody.
        willing = [index for index in lines if at_once is not None or not x.settings_of(index).forward_all]
        willing = [index for index in willing if not x.settings_of(index).do_not_disturb]
        # Whoever has called for help is reached, whatever is set, and so is who else would have been.
        willing = sorted({*called_back, *willing})
        free = [index for index in x.ringable() if index in willing]
        waiting = next((index for index in willing if self._waiting.may_wait(x.lines[index])), None)
        if free:
            x.carry_out(call, call.ring(free, configuration.ring_timeout_ms, x.now))
            for index in free:
                x.ring(x.lines[index], call.call_id, x.callers[call.call_id])
            if not called_back:
                self._diversion.rings(call, free)
        elif waiting is not None:
            self._waiting.wait(x.lines[waiting], call)
            if not called_back:
                self._diversion.rings(call, [waiting])
        else:
            busy = None if called_back else self._diversion.target(lines, Service.FORWARD_BUSY)
            if busy is None or not self._diversion.send_on(call, busy):
                del x.calls[call.call_id]
                x.turn_away(call, Cause.NO_LINE_FREE, sip_code=_BUSY)

    def lifted(self, line: Line, call: Call) -> None:
        """A handset was lifted while the call rang there: answer, and let the other lines fall silent."""
        x = self._x
        others = [index for index in call.lines if index != line.index]
        x.act(*line.answer())
        for index in others:
            if x.lines[index].call_id == call.call_id:
                x.act(*x.lines[index].replace())
        x.carry_out(call, call.take(line.index))


def _destination(
    invite: IncomingInvite, configuration: Configure | None, read: Callable[[str], str]
) -> tuple[str, frozenset[int]]:
    """The called number of ours and its lines; where no number of ours is named, all that belongs to the account.

    What came to no Contact of ours has to name a number, where the account has any: whoever only knows, or guesses, the
    account's user calls nobody. `read` makes E.164 of what an INVITE names.
    The account's own numbers come first: after a diversion To may name a number of another registration of ours.
    """
    if configuration is None:
        return "", frozenset()
    named = _named(invite, read)
    own = [route for route in configuration.routes if route.account == invite.account]
    routes: list[Route] = _first_named(named, own)
    if not routes and not (invite.bound and own):
        routes = _first_named(named, configuration.routes)
    if not routes and own and not invite.bound:
        return "", frozenset()
    if not routes:
        routes = [route for route in own if not route.refused]
    if routes:
        numbers = {route.number for route in routes}
        lines = frozenset(index for route in routes for index in route.lines)
        return (numbers.pop() if len(numbers) == 1 else ""), lines
    entries = [entry for entry in configuration.lines if entry.account == invite.account]
    numbers = {entry.number for entry in entries}
    return (numbers.pop() if len(numbers) == 1 else ""), frozenset(entry.line for entry in entries)


def _refused(number: str, configuration: Configure | None) -> str:
    routes = configuration.routes if configuration is not None else []
    return next((route.refused for route in routes if route.number == number), "")


def _named(invite: IncomingInvite, read: Callable[[str], str]) -> list[str]:
    """The numbers that an INVITE names as called, the surest first."""
    texts = (invite.called, invite.called_party, invite.addressed)
    return [read(text[:_MAX_TEXT]) for text in texts if text]


def _first_named(named: Sequence[str], routes: Sequence[Route]) -> list[Route]:
    """The routes of the first of these numbers that has any."""
    for number in named:
        found = [route for route in routes if route.number == number]
        if found:
            return found
    return []
