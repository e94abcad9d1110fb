"""Calls that are being held, or taken back: their offers go out, and what became of them comes back as an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import SystemRandom

import pjsua2 as pj

from agent.core import events
from agent.core.hold import Hold, HoldStep, Offer, Settled
from agent.gateway.daemon.sip.call import SipCall
from agent.gateway.daemon.sip.reasons import reason_of

_SC_PENDING = 491


class Holds:
    """One `agent.core.hold.Hold` for each call that was ever held. No method may run in a callback."""

    def __init__(
        self,
        calls: Mapping[str, SipCall],
        clock: Callable[[], int],
        post: Callable[[events.TelephoneEvent], None],
        log: Callable[[str, str, str], None],
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._post = post
        self._log = log
        self._uniform = SystemRandom().random
        self._holds: dict[str, Hold] = {}

    def deadline(self) -> int | None:
        """When `look_after` has something to do."""
        return min((at for at in (hold.deadline() for hold in self._holds.values()) if at is not None), default=None)

    def look_after(self) -> None:
        """Send the offers that are due."""
        for call_id, hold in tuple(self._holds.items()):
            self._do(call_id, hold.tick(self._clock()))

    def want(self, call: SipCall, *, held: bool) -> None:
        """Hold an answered call, or take it back."""
        hold = self._holds.setdefault(call.call_id, Hold(owner=call.outgoing, uniform=self._uniform))
        self._do(call.call_id, hold.want(held=held))

    def answered(self, call_id: str, code: int) -> None:
        """The offer of a call has its final status."""
        if (hold := self._holds.get(call_id)) is not None:
            self._do(call_id, hold.answered(code, self._clock()))

    def forget(self, call_id: str) -> None:
        """A call ends."""
        self._holds.pop(call_id, None)

    def _do(self, call_id: str, steps: Sequence[HoldStep]) -> None:
        for step in steps:
            match step:
                case Settled(held, ok):
                    self._post(events.HoldDone(call_id, held, ok))
                case Offer(held):
                    self._offer(call_id, held=held)

    def _offer(self, call_id: str, *, held: bool) -> None:
        try:
            self._calls[call_id].offer(held=held)
        except pj.Error as error:
            # Most often the far end's own offer is under way, which is as good as a crossing (RFC 3261 §14.1).
            self._log("info", "sip_offer_put_off", f"call {call_id}: {reason_of(error)}")
            self._do(call_id, self._holds[call_id].answered(_SC_PENDING, self._clock()))
