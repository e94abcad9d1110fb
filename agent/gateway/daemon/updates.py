"""When the line card may be given new firmware: while nobody telephones, and never any longer."""

from __future__ import annotations

from typing import Final

from agent.core.actions import AbortUpdate, StartUpdate
from agent.core.events import UpdateProgressed
from agent.core.update import UpdatePhase
from agent.gateway.card_records import UpdateState
from agent.gateway.daemon.actions import Publish, UpdateAbandoned, UpdateOrdered
from agent.gateway.daemon.exchange import Exchange

_GIVES_WAY: Final = frozenset(
    {UpdatePhase.PREPARING, UpdatePhase.SENDING, UpdatePhase.INTERRUPTED, UpdatePhase.VERIFYING}
)
"""Later the card is restarting, or runs the new firmware and telephones with it."""


class Updates:
    """Allows, watches and ends the firmware update of the card; the writing itself is the card's own business."""

    def __init__(self, exchange: Exchange) -> None:
        self._x = exchange
        self._aborting = False

    def hear(self, event: UpdateProgressed | UpdateOrdered | UpdateAbandoned) -> None:
        """An update is wished for, has come further, or is waited for no more."""
        match event:
            case UpdateOrdered():
                self._order(event)
            case UpdateAbandoned(request=request):
                update = self._x.update
                if update is not None and update.request == request and update.phase in _GIVES_WAY:
                    self._abort("aborted_by_hand")
            case UpdateProgressed(progress=at):
                self._x.update = UpdateState(
                    phase=at.phase, request=at.request, version=at.version, running=self._x.card.firmware,
                    sent=at.sent, total=at.total, reason=at.reason, detail=at.detail[:1024], at_ms=self._x.now,
                )  # fmt: skip

    def give_way(self) -> None:
        """A hand, a call or the end of the process comes before new firmware."""
        update = self._x.update
        if update is None or update.phase not in _GIVES_WAY:
            self._aborting = False
        elif not self._x.at_rest:
            self._abort("aborted_line_needed")
        elif self._x.stopping:
            self._abort("aborted_gateway_ends")

    def _abort(self, reason: str) -> None:
        if not self._aborting:
            self._aborting = True
            self._x.act(AbortUpdate(reason))

    def _order(self, order: UpdateOrdered) -> None:
        x = self._x
        reason = ""
        if not x.card.up:
            reason = "refused_no_card"
        elif not x.card.firmware_update:
            reason = "refused_unable"
        elif x.update is not None and not x.update.phase.over:
            reason = "refused_updating"
        elif not x.at_rest:
            reason = "refused_in_use"
        elif x.stopping:
            reason = "aborted_gateway_ends"
        state = UpdateState(
            phase=UpdatePhase.REFUSED if reason else UpdatePhase.PREPARING, request=order.request,
            version=order.version, running=x.card.firmware, total=order.total, reason=reason, at_ms=x.now,
        )  # fmt: skip
        if reason:
            x.log("info", "card_update_refused", reason)
            x.act(Publish(state))
            return
        x.update = state
        self._aborting = False
        x.act(StartUpdate(order.request, order.forced))
