"""Transfers: a REFER on its way, and what the far end says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pjsua2 as pj

from agent.core import events
from agent.gateway.daemon.sip.call import SipCall
from agent.gateway.daemon.sip.reasons import reason_of
from agent.gateway.daemon.sip.uri import sip_uri


class Transfers:
    """Asks a far end to take our place (RFC 3515, RFC 5589). Where it can't be asked, the call itself goes on."""

    def __init__(
        self,
        calls: Mapping[str, SipCall],
        post: Callable[[events.TelephoneEvent], None],
        log: Callable[[str, str, str], None],
    ) -> None:
        self._calls = calls
        self._post = post
        self._log = log

    def to_number(self, call: SipCall, user: str, domain: str) -> None:
        """Send the far end to a number. `domain`: of the call's account; empty where that is gone."""
        try:
            uri = sip_uri(user, domain)
        except ValueError:
            uri = ""
        self._refer(call, lambda parameters: call.xfer(f"<{uri}>", parameters), possible=bool(uri))

    def to_call(self, call: SipCall, other_call_id: str) -> None:
        """Let the far end take our place in another call (RFC 3891)."""
        other = self._calls.get(other_call_id)
        if other is None or other is call or not other.answered:
            self._refer(call, lambda _: None, possible=False)
        else:
            self._refer(call, lambda parameters: call.xferReplaces(other, parameters), possible=True)

    def progressed(self, call: SipCall, code: int, *, final: bool) -> None:
        """Tell what was said of it. A call that has not asked has only got the slot of one that did."""
        if call.transferring and call.call_id in self._calls:
            call.transferring = not final
            self._post(events.TransferProgress(call.call_id, code, final))

    def _refer(self, call: SipCall, send: Callable[[pj.CallOpParam], None], *, possible: bool) -> None:
        if possible and call.answered and not call.transferring:
            try:
                send(pj.CallOpParam(True))
                call.transferring = True
                return
            except pj.Error as error:
                self._log("warning", "sip_refer_not_sent", f"call {call.call_id}: {reason_of(error)}")
        self._post(events.TransferProgress(call.call_id, 0, final=True))
