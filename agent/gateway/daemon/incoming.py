"""Calls that arrive: which lines ring, and what happens when a handset is lifted or nobody comes."""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.call import Call
from agent.core.events import CallKind, Cause, Direction, IncomingInvite
from agent.core.line import Line
from agent.core.numbers import normalise, render
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.protocol import MAX_UNRELEASED, Configure, NumberFormat, Route

_MAX_TEXT = 64
"""A caller's number or name is a stranger's text: what a telephone can show is far shorter."""

_BUSY = 486
_UNAVAILABLE = 480
_NOT_FOUND = 404


class Incoming:
    """The incoming half of the Switch."""

    def __init__(self, exchange: Exchange) -> None:
        self._x = exchange

    def invited(self, invite: IncomingInvite) -> None:
        """An INVITE has arrived: ring every free line of its route, or refuse it."""
        x = self._x
        if invite.call_id in x.calls:
            return
        configuration = x.configuration
        numbers = configuration.numbers if configuration else NumberFormat()
        number, lines = _destination(invite, configuration)
        call = Call(
            invite.call_id, Direction.INCOMING, CallKind.ORDINARY, account=invite.account,
            number=_read(invite.caller[:_MAX_TEXT], numbers), own_number=number, now=x.now,
        )  # fmt: skip
        free = [index for index in x.ringable() if index in lines]
        if x.stopping:
            x.turn_away(call, Cause.SHUTDOWN, sip_code=_UNAVAILABLE)
        elif x.unreleased() >= MAX_UNRELEASED:
            x.turn_away(call, Cause.AGENT_UNAVAILABLE, sip_code=_UNAVAILABLE)
        elif not lines:
            x.turn_away(call, Cause.NO_SUCH_NUMBER, sip_code=_NOT_FOUND)
        elif not x.card.up:
            x.turn_away(call, Cause.CARD_LOST, sip_code=_UNAVAILABLE)
        elif not free:
            x.turn_away(call, Cause.NO_LINE_FREE, sip_code=_BUSY)
        elif not x.has_slot(emergency=False):
            x.turn_away(call, Cause.NO_CALL_SLOT, sip_code=_BUSY)
        elif configuration is not None:
            x.calls[call.call_id] = call
            x.carry_out(call, call.ring(free, configuration.ring_timeout_ms, x.now))
            caller = _shown(call.number, numbers)
            for index in free:
                x.act(*x.lines[index].ring(call.call_id, caller))

    def lifted(self, line: Line, call: Call) -> None:
        """A handset was lifted while the call rang there: answer, and let the other lines fall silent."""
        x = self._x
        others = [index for index in call.lines if index != line.index]
        x.act(*line.answer())
        for index in others:
            if x.lines[index].call_id == call.call_id:
                x.act(*x.lines[index].replace())
        x.carry_out(call, call.take(line.index))


def _destination(invite: IncomingInvite, configuration: Configure | None) -> tuple[str, frozenset[int]]:
    """The called number of ours and its lines; where no number of ours is named, all that belongs to the account.

    The account's own numbers come first: after a diversion To may name a number of another registration of ours.
    """
    if configuration is None:
        return "", frozenset()
    named = _named(invite, configuration.numbers)
    own = [route for route in configuration.routes if route.account == invite.account]
    routes: list[Route] = _first_named(named, own)
    if not routes and not (invite.bound and own):
        routes = _first_named(named, configuration.routes)
    if not routes:
        routes = own
    if routes:
        numbers = {route.number for route in routes}
        lines = frozenset(index for route in routes for index in route.lines)
        return (numbers.pop() if len(numbers) == 1 else ""), lines
    entries = [entry for entry in configuration.lines if entry.account == invite.account]
    numbers = {entry.number for entry in entries}
    return (numbers.pop() if len(numbers) == 1 else ""), frozenset(entry.line for entry in entries)


def _named(invite: IncomingInvite, numbers: NumberFormat) -> list[str]:
    """The numbers that an INVITE names as called, the surest first."""
    texts = (invite.called, invite.called_party, invite.addressed)
    return [_read(text[:_MAX_TEXT], numbers) for text in texts if text]


def _first_named(named: Sequence[str], routes: Sequence[Route]) -> list[Route]:
    """The routes of the first of these numbers that has any."""
    for number in named:
        found = [route for route in routes if route.number == number]
        if found:
            return found
    return []


def _read(text: str, numbers: NumberFormat) -> str:
    return normalise(text, country_code=numbers.country_code, international_prefix=numbers.international_prefix)


def _shown(number: str, numbers: NumberFormat) -> str:
    """The number as a telephone at home shows it."""
    return render(
        number, "national", country_code=numbers.country_code, international_prefix=numbers.international_prefix
    )
