"""One call through the operator: two dialogs joined back to back (RFC 7092), media end to end.

The library keeps transactions and dialogs; here is what it leaves open: where requests go, who is shown as caller,
and which answers the other side gets to see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from sippy.CCEvents import CCEventConnect, CCEventDisconnect, CCEventFail, CCEventRing, CCEventTry, CCEventUpdate
from sippy.SipAddress import SipAddress
from sippy.SipFrom import SipFrom
from sippy.SipGenericHF import SipGenericHF
from sippy.SipHeader import SipHeader
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL
from sippy.Time.Timeout import Timeout
from sippy.UA import UA

from agent.core.numbers import mask
from agent.lab.operator.events import Answered, Bye, Refused, Ringing, Sink
from agent.lab.operator.registrar import Binding

ALLOW: Final = "INVITE, ACK, CANCEL, BYE, INFO, OPTIONS, REGISTER"
_IN_DIALOG: Final = frozenset({"INVITE", "BYE", "INFO", "OPTIONS"})
_NO_ACK_S: Final = 32.0
"""How long an ended dialog still answers a late request: 64*T1 (RFC 3261 §17)."""


class RoutedCall(Struct, frozen=True):
    """A call the platform has accepted: numbers, where it goes, whether the caller is shown."""

    call: int
    caller: str
    """Canonical number of the caller, or its user name where it has no number."""
    number: str
    """Canonical number that was called."""
    binding: Binding
    domain: str
    anonymous: bool


def follow_source(message: Any) -> None:
    """Let the contact of a message be where the message came from.

    Symmetric signalling, as operators do for customers behind NAT; and so nothing is ever sent off the loopback
    network, whatever a contact says.
    """
    if message.source is None:
        return
    for contact in message.getHFBodys("contact"):
        if contact.asterisk:
            continue
        url = contact.getUrl()
        url.host, url.port = message.getSource()
        url.transport = url.maddr = None


class _PlainValue(SipGenericHF):  # type: ignore[misc]  # the library carries no types
    """A header value that stays as it is, under a name spelt as the RFCs spell it."""

    def __init__(self, value: str, canonical: str) -> None:
        super().__init__(value, canonical)
        self.canonical = canonical

    def getCanName(self, _name: str, _compact: bool = False) -> str:  # noqa: N802, FBT001, FBT002  # the library's form
        return self.canonical

    def getCopy(self) -> _PlainValue:  # noqa: N802  # the library's name
        return _PlainValue(self.body, self.canonical)


def plain_header(name: str, value: str) -> Any:
    """Return a header with this text as its value."""
    return SipHeader(name=name.lower(), body=_PlainValue(value, name))


class Leg(UA):  # type: ignore[misc]  # the library carries no types
    """One side of a call."""

    def recvRequest(self, req: Any, sip_t: Any) -> Any:  # noqa: N802  # the library's name
        """Answer what the library would leave unanswered, pass on the rest."""
        method = req.getMethod()
        if self.state is not None:
            if method not in _IN_DIALOG:
                refusal = req.genResponse(405, "Method Not Allowed")
                refusal.appendHeader(plain_header("Allow", ", ".join(sorted(_IN_DIALOG | {"ACK", "CANCEL"}))))
                return refusal, None, None
            if method == "INVITE" and req.getBody() is None:
                # An offerless re-INVITE would be turned into a hold by the library; say plainly that it is not served.
                return req.genResponse(488, "Not Acceptable Here"), None, None
        follow_source(req)
        # A Record-Route would send later requests of the dialog elsewhere: there is no proxy in this network.
        req.delHFs("record-route")
        return super().recvRequest(req, sip_t)

    def recvResponse(self, resp: Any, tr: Any) -> None:  # noqa: N802  # the library's name
        """Keep later requests of the dialog on the path the response came by."""
        resp.delHFs("record-route")
        if resp.getSCode()[0] < 300:
            follow_source(resp)
        else:
            # The library would send the ACK of a refusal to its Contact (RFC 3261 §17.1.1.3: to the same place).
            resp.delHFs("contact")
        super().recvResponse(resp, tr)


class _RoutedTry(CCEventTry):  # type: ignore[misc]  # the library carries no types
    """The caller's INVITE as it goes out again, with the callee's contact as its target."""

    routed: RoutedCall

    def onUacSetupComplete(self, uac: Any) -> None:  # noqa: N802  # the library's name
        """Put the registered contact in the Request-URI, the called number in To, the asserted number in From."""
        routed = self.routed
        uac.rTarget = SipURL(routed.binding.uri)
        uac.rTarget.host, uac.rTarget.port = routed.binding.source
        uac.rTarget.transport = uac.rTarget.maddr = None
        called = SipURL(username=routed.number, host=routed.domain)
        uac.rUri = SipTo(address=SipAddress(url=called, hadbrace=True))
        if routed.anonymous:
            # RFC 3323 §4.1.1.3: the form of an anonymous From.
            url, name = SipURL(username="anonymous", host="anonymous.invalid"), "Anonymous"
        else:
            url, name = SipURL(username=routed.caller, host=routed.domain), None
        uac.lUri = SipFrom(address=SipAddress(url=url, hadbrace=True, name=name))
        uac.lUri.setTag(uac.lTag)
        uac.lContact.getUrl().username = None


class Bridge:
    """Joins the two legs of one call until both are gone."""

    def __init__(
        self,
        settings: dict[str, Any],
        routed: RoutedCall,
        sink: Sink,
        *,
        check_s: int,
        ended: Callable[[int], None],
    ) -> None:
        self._settings = settings
        self._routed = routed
        self._sink = sink
        self._ended = ended
        self._check_s = check_s
        self._answered = False
        self._over = False
        self._by_operator = False
        self._offers: dict[int, Any] = {}
        self.caller = Leg(settings, event_cb=self._on_event)
        self.caller.godead_timeout = _NO_ACK_S
        self._callee: Any = None

    def _check_session(self) -> None:
        """Ask both ends with an OPTIONS inside the dialog; any answer but 408 and 481 is a sign of life."""
        if self._over:
            return
        for leg in (self.caller, self._callee):
            leg.newTransaction(leg.genRequest("OPTIONS"), resp_cb=self._on_sign_of_life)
        Timeout(self._check_session, self._check_s)

    def _on_sign_of_life(self, response: Any) -> None:
        # 408: the telephone is gone; 481: it has restarted and knows nothing of the call (RFC 3261 §12.2.1.2).
        if response.getSCode()[0] in (408, 481) and not self._over:
            self.hang_up()

    def hang_up(self) -> None:
        """End the call from the operator's side, both ways."""
        self._by_operator = True
        self.caller.disconnect()

    def _on_event(self, event: Any, leg: Any) -> None:
        from_caller = leg is self.caller
        if isinstance(event, CCEventFail) and self._answered and not from_caller:
            self._restore_offer(leg)
        self._report(event, from_caller=from_caller)
        if not from_caller:
            self.caller.recvEvent(_without_redirect(event))
            return
        if self._callee is None:
            if not isinstance(event, CCEventTry):
                return
            self._callee = self._call_out(event)
            return
        if isinstance(event, CCEventUpdate):
            self._offers[id(self._callee)] = self._callee.lSDP
        self._callee.recvEvent(event)

    def _call_out(self, event: Any) -> Any:
        routed = self._routed
        leg = Leg(self._settings, event_cb=self._on_event, nh_address=routed.binding.source, nh_transport="udp")
        body = event.getData()[3]
        outgoing = _RoutedTry((None, routed.caller, routed.number, body, None, None), rtime=event.rtime)
        outgoing.routed = routed
        outgoing.max_forwards = None if event.max_forwards is None else event.max_forwards - 1
        headers = [plain_header("P-Called-Party-ID", f"<sip:{routed.number}@{routed.domain}>")]
        if routed.anonymous:
            headers.append(plain_header("Privacy", "id"))
        else:
            headers.append(plain_header("P-Asserted-Identity", f"<sip:{routed.caller}@{routed.domain}>"))
        outgoing.extra_headers = tuple(headers)
        leg.recvEvent(outgoing)
        return leg

    def _restore_offer(self, leg: Any) -> None:
        # The library forgets the session a dialog had when an offer is refused, and fails on the next offer.
        before = self._offers.pop(id(leg), None)
        if leg.lSDP is None and before is not None:
            leg.lSDP = before

    def _report(self, event: Any, *, from_caller: bool) -> None:
        call = self._routed.call
        if self._over:
            return
        if isinstance(event, CCEventRing) and not self._answered and event.getData()[0] != 100:
            self._sink.emit(Ringing(call=call, code=event.getData()[0]))
        elif isinstance(event, CCEventConnect) and not self._answered:
            self._answered = True
            self._sink.emit(Answered(call=call))
            Timeout(self._check_session, self._check_s)
        elif isinstance(event, CCEventDisconnect):
            by_caller = from_caller and not self._by_operator
            self._finish(Bye(call=call, by_caller=by_caller, answered=self._answered, by_operator=self._by_operator))
        elif isinstance(event, CCEventFail) and not self._answered:
            code = _without_redirect(event).getData()[0]
            self._finish(Refused(call=call, code=code, number=mask(self._routed.number)))

    def _finish(self, event: Bye | Refused) -> None:
        self._over = True
        self._sink.emit(event)
        self._ended(self._routed.call)


def _without_redirect(event: Any) -> Any:
    """Return the event, or a 480 in place of a redirection: the operator forwards, its customers do not."""
    if isinstance(event, CCEventFail) and 300 <= event.getData()[0] < 400:
        return CCEventFail((480, "Temporarily Unavailable"), rtime=event.rtime, origin=event.origin)
    return event
