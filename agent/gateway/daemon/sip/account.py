"""One account of the library: its configuration, its route, and one REGISTER at a time when it is told to.

The library keeps the route and the credentials of a registration until that registration ends. So a move to another
target is: unregister, wait for the answer, register there; never both at once, which might remove the new binding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

import msgspec
import pjsua2 as pj
from msgspec import Struct

from agent.core.contact import parse_place
from agent.core.foreign_text import one_line, phrase
from agent.core.message_summary import Summary, parse_summary
from agent.core.place import Place
from agent.core.srtp import Srtp
from agent.core.target import Target, parse_target
from agent.core.transports import Transport
from agent.gateway import protocol
from agent.gateway.daemon.sip.added import add_header
from agent.gateway.daemon.sip.bindings import place_in, seen_as
from agent.gateway.daemon.sip.guard import guarded
from agent.gateway.daemon.sip.native import SipError
from agent.gateway.daemon.sip.own_contact import OwnContact
from agent.gateway.daemon.sip.reasons import reason_of
from agent.gateway.daemon.sip.uri import retry_after_s, sip_uri, text_of

_BUSY = 171_001
"""PJSIP_EBUSY: another REGISTER of this account is still unanswered."""
_RTP_PORT_RANGE = 64
_REFRESH_MARGIN_S = 10
"""The library's own refresh comes so long before the end, in case that of the Switch (at 90 % at the latest) does not;

of a short registration in its last tenth, so that the two never meet.
"""
MIN_SESSION_S = 90
"""The shortest session interval (RFC 4028 §4); the library takes none below."""
_MAILBOX_S = 3600
"""How long a subscription to the mailbox lasts before it is renewed (RFC 3842 §3.4)."""
_SC_REFUSED = 300
_REWRITE_OFF = 0
_SECURED_BY_TLS = 1
"""Keys are not sent, and not taken, in anything but SIP over TLS to the next hop."""
_SC_DECLINE = 603


class RegisterResult(Struct, frozen=True):
    """The outcome of one REGISTER. `granted_s` 0: the binding is gone. `on_wire`: a response was received."""

    code: int
    reason: str
    on_wire: bool
    granted_s: int
    retry_after_s: int | None
    seen_as: str = ""

    @property
    def accepted(self) -> bool:
        """Whether it was a 2xx."""
        return 0 < self.code < _SC_REFUSED and self.on_wire


class Arrival(Struct, frozen=True):
    """What an INVITE said, copied out of the callback."""

    library_id: int
    message: str
    source: str


class AccountOwner(Protocol):
    """Who is told of an account; every method runs inside a callback and must not raise."""

    def register_done(self, account: SipAccount, result: RegisterResult) -> None:
        """A REGISTER was answered, or timed out."""

    def call_arrived(self, account: SipAccount, arrival: Arrival) -> None:
        """An INVITE arrived; a call must be made of it at once and acted upon later."""

    def path_probed(self, account: SipAccount, *, alive: bool, seen_as: str) -> None:
        """An OPTIONS of `ask` was answered, or timed out."""

    def mailbox_told(self, account: SipAccount, summary: Summary) -> None:
        """The operator has told of waiting messages."""

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """A callback raised."""

    def later(self, job: Callable[[], None]) -> None:
        """Run `job` when the library is not in a callback."""

    def contact_changed(self, account: SipAccount) -> None:
        """What calls have told as our Contact after a change of address was not yet what it is now. In no callback."""


class Network(Protocol):
    """What an account sends by."""

    def transport(self, kind: Transport) -> int:
        """The library's transport that new accounts send by. Raises pj.Error, OSError where none can be opened."""
        ...

    def port_of(self, transport: int) -> int:
        """The local port of a transport of the library."""
        ...

    def address_to(self, target: Target) -> str:
        """The address of this machine that a target sees, a router apart; '' where there is no way to it."""
        ...

    def own_contact(self, account: int) -> str:
        """The Contact that the library would write for an account, '' where it does not say. Opens a connection."""
        ...

    def unverified(self) -> int:
        """A TLS transport that takes any certificate. Raises pj.Error, OSError."""
        ...

    def lead(self, target: Target) -> None:
        """Let the name in this target's route lead to its address from now on. Raises SipError."""


class SipAccount(pj.Account):
    """A registration. Lives until `shutdown`, which waits until no call uses it."""

    def __init__(
        self,
        owner: AccountOwner,
        record: protocol.Account,
        media: pj.TransportConfig,
        network: Network,
        seed: bytes,
    ) -> None:
        super().__init__()
        self.record = record
        self.targets = _targets(record)
        self.retiring = False
        self._owner = owner
        self._media = media
        self._network = network
        self._own: dict[Transport, int] = {}
        self._unverified = self._urgent = False
        self._remove: tuple[str, ...] = ()
        self._route = self.targets[0]
        self._engaged: Target | None = None
        self.contact = OwnContact(record.id, f"{record.user}@{record.domain}", seed)
        self._written = ""
        """The Contact that the library has been told to write."""
        self._told: str | None = None
        """What calls have told after a change of address, until it is known to be right."""
        self._arrived = False
        """Whether the registration stands where we are: a mailbox that were asked before would answer elsewhere."""
        self._stale = False
        self._busy = False
        self.asking = False
        """Whether an OPTIONS is under way: the library would abort if its account were gone when it ends."""
        self._asked = self._route
        self._moving = False
        self._next: Callable[[], None] | None = None
        self._look(self._route)
        self.create(self._configuration())

    @property
    def users(self) -> tuple[str, str]:
        """What in a Request-URI is no number that was called: the Contact's user part, and the AOR's."""
        return self.contact.user, self.record.user

    @property
    def aor(self) -> tuple[str, str]:
        """User and domain."""
        return self.record.user, self.record.domain

    @property
    def route(self) -> Target:
        """Where its next request goes."""
        return self._route

    @property
    def kind(self) -> Transport:
        """How its requests travel."""
        return self._route.transport

    @property
    def transport(self) -> int:
        """The library's transport that its requests leave by. Raises pj.Error, OSError where none can be opened."""
        return self._transport_of(self.kind)

    def _transport_of(self, kind: Transport) -> int:
        if kind is Transport.TLS and self._unverified:
            return self._network.unverified()
        if kind not in self._own:
            self._own[kind] = self._network.transport(kind)
        return self._own[kind]

    def uses(self, transport: int) -> bool:
        """Whether its requests may still leave by this transport of the library."""
        return transport in self._own.values()

    def use_transport(self, transport: int) -> None:
        """Send by another transport of the kind in use from now on; a binding moves with the next REGISTER.

        Raises pj.Error.
        """
        self._own[self.kind] = transport
        self._stale = True
        self._look(self._route)
        self.modify(self._configuration())

    def renew_contact(self) -> None:
        """Let the next REGISTER make a binding anew, and what is sent before tell our address now. Raises pj.Error."""
        self._stale = True
        self._look(self._route)
        self.modify(self._configuration())
        self._told = self._written

    def ask(self) -> None:
        """Send one OPTIONS (RFC 3261 §11) the way of the REGISTERs; its end is told to the owner. Raises pj.Error."""
        request = pj.SendRequestParam()
        request.method = "OPTIONS"
        request.txOption.targetUri = f"sip:{self.record.domain}"
        if not self.asking:
            self._network.lead(self._route)
            self.sendRequest(request)
            self.asking, self._asked = True, self._route

    @property
    def registering(self) -> bool:
        """Whether a REGISTER is unanswered."""
        return self._busy

    def heed(self, other: SipAccount) -> None:
        """The OPTIONS of another account was answered: whoever sends by the same way is seen at the same place."""
        self.contact.heed(other.contact, other._asked)

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """Passed on to the stack."""
        self._owner.callback_failed(callback, error)

    def use(self, record: protocol.Account) -> None:
        """Take a new configuration of the same AOR; calls go on. Raises TargetError, ValueError, pj.Error."""
        if record == self.record:
            return
        self.targets = _targets(record)
        # The library keeps the credentials of a registration until that ends; its target is compared by itself.
        self._stale = self._stale or msgspec.structs.replace(self.record, targets=record.targets) != record
        self.record = record
        if self._route not in self.targets:
            self._route = self.targets[0]
        self.contact.keep(self.targets)
        self._look(self._route)
        self.modify(self._configuration())

    def _look(self, target: Target) -> Place | None:
        """Where a Contact for this target leads, after a look from where this machine sends to it."""
        port = self._network.port_of(self._transport_of(target.transport))
        return self.contact.look(target, parse_place(f"{self._network.address_to(target)}:{port}"))

    def _settle_contact(self, *, changed: bool = False) -> None:
        """Let the library write what our Contact is to say now; `changed`: and the rest of the configuration.

        Raises pj.Error, OSError.
        """
        if self.kind is not Transport.UDP and self._engaged is None and not self._route.name:
            # Only the library knows the port of its connection, and says it only while it writes its own Contact. For
            # a name it would ask the DNS first, and the telephone stand still meanwhile: there the first answer tells.
            self.modify(self._configuration(own=True))
            place = parse_place(place_in(self._network.own_contact(self.getId())))
            if place is not None:
                self.contact.connected(self._route, place)
            changed = True
        if changed or self._written != self.contact.header(self._route, self._port):
            self.modify(self._configuration())

    @property
    def _port(self) -> int:
        return self._network.port_of(self.transport)

    def _srtp(self) -> int:
        wanted = self.record.srtp
        if wanted is Srtp.OFF or self.kind is not Transport.TLS:
            return pj.PJMEDIA_SRTP_DISABLED
        if wanted is Srtp.OPTIONAL or self._urgent:
            return pj.PJMEDIA_SRTP_OPTIONAL
        return pj.PJMEDIA_SRTP_MANDATORY

    def route_to(self, target: int, *, unverified: bool = False, urgent: bool = False) -> None:
        """Let the next request that starts something go through this target: `unverified` whoever it is, `urgent` with

        or without encrypted speech.

        Raises IndexError, OSError, SipError, pj.Error.
        """
        route = self.targets[target]
        self._network.lead(route)
        before = self._route, self._unverified, self._urgent
        self._route, self._unverified, self._urgent = route, unverified, urgent
        try:
            self._look(self._route)
            self._settle_contact(changed=(route, unverified, urgent) != before)
        except (pj.Error, OSError):
            self._route, self._unverified, self._urgent = before
            raise

    def settle(self) -> None:
        """An urgent call has left, with a dialog of its own: what comes next is as strict as ever. Raises pj.Error."""
        if self._unverified or self._urgent:
            self._unverified = self._urgent = False
            self.modify(self._configuration())

    def register(self, target: int) -> None:
        """Send one REGISTER, or a refresh, through this target. Raises IndexError, pj.Error."""
        wanted = self.targets[target]
        if self._busy:
            if wanted != self._engaged:
                self._next = lambda: self.register(target)
            return
        moved = self._engaged is not None and self._look(wanted) != self.contact.said
        if self._engaged is not None and (self._stale or moved or wanted != self._engaged):
            self._next = lambda: self._register_again(wanted)
            self._moving, self._arrived = True, False
            self._send(renew=False)
            return
        self.route_to(target)
        if self._remove:
            self.modify(self._configuration())
            self._remove = ()
        if self._engaged is None:
            self._engaged, self.contact.said = wanted, self.contact.place(wanted)
        self._stale = False
        try:
            self._send(renew=True)
        except pj.Error:
            self._engaged = None
            raise

    def _register_again(self, wanted: Target) -> None:
        try:
            self.register(self.targets.index(wanted))
        except (pj.Error, SipError, OSError, ValueError) as error:
            # Whoever has ordered the first of these waits for the outcome of the last.
            code = int(error.status) if isinstance(error, pj.Error) else 0
            failed = RegisterResult(code, reason_of(error), on_wire=False, granted_s=0, retry_after_s=None)
            self._owner.register_done(self, failed)

    def unregister(self) -> bool:
        """Remove the binding; false where there is none to remove. Raises pj.Error."""
        if self._busy:
            self._next = self._unregister_again
            return True
        if self._engaged is None:
            return False
        self._send(renew=False)
        return True

    def _unregister_again(self) -> None:
        if not self.unregister():
            self._owner.register_done(self, RegisterResult(200, "", on_wire=True, granted_s=0, retry_after_s=None))

    def _send(self, *, renew: bool) -> None:
        if self._engaged is not None:
            self._network.lead(self._engaged)
        try:
            self.setRegistration(renew)
        except pj.Error as error:
            if error.status != _BUSY:
                raise
        self._busy = True

    @guarded
    def onRegState(self, prm: pj.OnRegStateParam) -> None:  # noqa: N802  the library's name
        """A REGISTER, ours or the library's refresh, has its outcome."""
        message = text_of(str(prm.rdata.wholeMsg))
        expires = int(prm.expiration)
        result = RegisterResult(
            code=int(prm.code) or int(prm.status), reason=phrase(str(prm.reason)), on_wire=bool(message),
            granted_s=expires if 0 < expires < 2**31 else 0, retry_after_s=retry_after_s(message),
            seen_as=seen_as(message),
        )  # fmt: skip
        self._busy = False
        if not result.accepted or not result.granted_s:
            self._engaged = None
        moving, self._moving = self._moving, False
        following, self._next = self._next, None
        if not moving:
            chasing = False
            if result.accepted and result.granted_s and following is None:
                following, chasing = self._put_right(message)
            if not chasing:  # else we are not yet where calls to us would go
                self._owner.register_done(self, result)
            if following is None and self._engaged is not None:
                following = self._arrive
        if following is not None:
            self._owner.later(following)

    def _arrive(self) -> None:
        if not self._arrived and self._engaged is not None:
            self._arrived = True
            if self.record.mailbox:
                self.modify(self._configuration())
        told, self._told = self._told, None
        if told not in (None, self._written):
            self._owner.contact_changed(self)

    def _put_right(self, message: str) -> tuple[Callable[[], None] | None, bool]:
        """What an accepted REGISTER gives reason for: register where we are seen (true), remove what rings nowhere."""
        engaged = self._engaged
        if engaged is None or engaged not in self.targets:
            return None, False
        self._remove, moved = self.contact.bound(engaged, message, self._port)
        if not self._remove and not moved:
            return None, False
        self._stale = True
        return lambda: self._register_again(engaged), moved

    @guarded
    def onSendRequest(self, prm: pj.OnSendRequestParam) -> None:  # noqa: N802  the library's name
        """An OPTIONS has ended: with any response from the wire, or with the library's own."""
        self.asking = False
        event = prm.e
        answered = event.type == pj.PJSIP_EVENT_TSX_STATE and event.body.tsxState.type == pj.PJSIP_EVENT_RX_MSG
        message = text_of(str(event.body.tsxState.src.rdata.wholeMsg)) if answered else ""
        self.contact.answered(self._asked, message)
        self._owner.path_probed(self, alive=answered, seen_as=seen_as(message))

    @guarded
    def onMwiInfo(self, prm: pj.OnMwiInfoParam) -> None:  # noqa: N802  the library's name
        """A NOTIFY of the mailbox; the library calls this for the end of a subscription as well, without a message."""
        summary = parse_summary(text_of(str(prm.rdata.wholeMsg)))
        if summary is not None:
            self._owner.mailbox_told(self, summary)

    @guarded
    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:  # noqa: N802  the library's name
        """Copy and hand over; nothing is answered or refused in here (an INVITE without SDP would abort)."""
        arrival = Arrival(int(prm.callId), text_of(str(prm.rdata.wholeMsg)), one_line(str(prm.rdata.srcAddress)))
        self._owner.call_arrived(self, arrival)

    @guarded
    def onIncomingSubscribe(self, prm: pj.OnIncomingSubscribeParam) -> None:  # noqa: N802  the library's name
        """A telephone line has no presence to tell."""
        prm.code = _SC_DECLINE

    def _configuration(self, *, own: bool = False) -> pj.AccountConfig:
        """What the library is to do; `own`: for this once it writes its own Contact."""
        record = self.record
        config = pj.AccountConfig()
        config.idUri = sip_uri(record.user, record.domain)
        config.regConfig.registrarUri = f"sip:{record.domain}"
        config.regConfig.registerOnAdd = False
        config.regConfig.disableRegOnModify = True
        config.regConfig.timeoutSec = record.expires_s
        config.regConfig.delayBeforeRefreshSec = min(_REFRESH_MARGIN_S, max(1, record.expires_s // 10))
        config.regConfig.retryIntervalSec = 0
        config.sipConfig.transportId = self.transport
        for uri in self._remove:
            add_header(config.regConfig.headers, "Contact", f"<{uri}>;expires=0")
        self._written = "" if own else self.contact.header(self._route, self._port)
        config.sipConfig.contactForced = self._written
        config.sipConfig.contactUriParams = self.contact.parameters(self._port)
        config.natConfig.contactRewriteUse = _REWRITE_OFF
        # With it on the library looks up a name in the route by itself for each request, and waits for the answer.
        config.natConfig.contactUseSrcPort = int(not self._route.name)
        config.sipConfig.proxies.append(self._route.route)
        config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", record.auth_user, 0, record.password))
        config.mediaConfig.transportConfig = self._media
        config.mediaConfig.srtpUse = self._srtp()
        config.mediaConfig.srtpSecureSignaling = _SECURED_BY_TLS
        timer = config.callConfig
        timer.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL if record.session_s else pj.PJSUA_SIP_TIMER_INACTIVE
        timer.timerMinSESec = MIN_SESSION_S
        timer.timerSessExpiresSec = max(MIN_SESSION_S, record.session_s)
        config.mwiConfig.enabled = record.mailbox and self._arrived
        config.mwiConfig.expirationSec = _MAILBOX_S
        return config


def _targets(record: protocol.Account) -> tuple[Target, ...]:
    return tuple(parse_target(text) for text in record.targets)


def shut_down(account: SipAccount) -> None:
    """Remove the account from the library, which also sends its last unregistration.

    Its native object is left behind: its destructor would remove whatever account has its number by then.
    """
    with contextlib.suppress(pj.Error):
        account.shutdown()
    account.this.disown()
