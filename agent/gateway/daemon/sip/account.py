"""One account of the library: its configuration, its route, and one REGISTER at a time when it is told to.

The library keeps the route and the credentials of a registration until that registration ends. So a move to another
target is: unregister, wait for the answer, register there; never both at once, which might remove the new binding.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec
import pjsua2 as pj

from agent.gateway import protocol
from agent.gateway.daemon.sip.guard import guarded
from agent.gateway.daemon.sip.headers import leftovers
from agent.gateway.daemon.sip.uri import Target, one_line, parse_target, phrase, retry_after_s, sip_uri, text_of

_BUSY = 171_001
"""PJSIP_EBUSY: another REGISTER of this account is still unanswered."""
_RTP_PORT_RANGE = 64
_REFRESH_MARGIN_S = 10
"""The Switch refreshes earlier; this is the library's own refresh, in case the Switch does not."""
_SC_REFUSED = 300
_SC_DECLINE = 603


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """The outcome of one REGISTER. `granted_s` 0: the binding is gone. `on_wire`: a response was received."""

    code: int
    reason: str
    on_wire: bool
    granted_s: int
    retry_after_s: int | None

    @property
    def accepted(self) -> bool:
        """Whether it was a 2xx."""
        return 0 < self.code < _SC_REFUSED and self.on_wire


@dataclass(frozen=True, slots=True)
class Arrival:
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

    def path_probed(self, account: SipAccount, *, alive: bool) -> None:
        """An OPTIONS of `ask` was answered, or timed out."""

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """A callback raised."""

    def later(self, job: Callable[[], None]) -> None:
        """Run `job` when the library is not in a callback."""


class SipAccount(pj.Account):
    """A registration. Lives until `shutdown`, which waits until no call uses it."""

    def __init__(
        self,
        owner: AccountOwner,
        record: protocol.Account,
        media: pj.TransportConfig,
        transport: int,
        port_of: Callable[[int], int],
    ) -> None:
        super().__init__()
        self.record = record
        self.targets = _targets(record)
        self.retiring = False
        self._owner = owner
        self._media = media
        self._transport = transport
        self._port_of = port_of
        self._remove: tuple[str, ...] = ()
        self._removed: set[str] = set()
        self._route = self.targets[0]
        self._engaged: Target | None = None
        self._stale = False
        self._busy = False
        self.asking = False
        """Whether an OPTIONS is under way: the library would abort if its account were gone when it ends."""
        self._moving = False
        self._next: Callable[[], None] | None = None
        self.create(self._configuration())

    @property
    def token(self) -> str:
        """The Contact's `line` parameter: tells which account an INVITE was sent to, whatever number it asks for."""
        return f"{zlib.crc32(self.record.id.encode()):08x}"

    @property
    def aor(self) -> tuple[str, str]:
        """User and domain."""
        return self.record.user, self.record.domain

    @property
    def transport(self) -> int:
        """The transport that its requests leave by."""
        return self._transport

    def use_transport(self, transport: int) -> None:
        """Send by another transport from now on; a binding moves with the next REGISTER. Raises pj.Error."""
        self._transport = transport
        self._stale = True
        self.modify(self._configuration())

    def renew_contact(self) -> None:
        """Let the next REGISTER make a binding anew: the library keeps the address in the one that there is."""
        self._stale = True

    def ask(self) -> None:
        """Send one OPTIONS (RFC 3261 §11) the way of the REGISTERs; its end is told to the owner. Raises pj.Error."""
        request = pj.SendRequestParam()
        request.method = "OPTIONS"
        request.txOption.targetUri = f"sip:{self.record.domain}"
        if not self.asking:
            self.sendRequest(request)
            self.asking = True

    @property
    def registering(self) -> bool:
        """Whether a REGISTER is unanswered."""
        return self._busy

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
        self.modify(self._configuration())

    def route_to(self, target: int) -> None:
        """Let the next request that starts something go through this target. Raises IndexError, pj.Error."""
        route = self.targets[target]
        if route != self._route:
            self._route = route
            self.modify(self._configuration())

    def register(self, target: int) -> None:
        """Send one REGISTER, or a refresh, through this target. Raises IndexError, pj.Error."""
        wanted = self.targets[target]
        if self._busy:
            if wanted != self._engaged:
                self._next = lambda: self.register(target)
            return
        if self._engaged is not None and (self._stale or wanted != self._engaged):
            self._next = lambda: self.register(target)
            self._moving = True
            self._send(renew=False)
            return
        self.route_to(target)
        if self._remove:
            self.modify(self._configuration())
            self._remove = ()
        self._engaged = wanted
        self._stale = False
        try:
            self._send(renew=True)
        except pj.Error:
            self._engaged = None
            raise

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
        )  # fmt: skip
        self._busy = False
        if not result.accepted or not result.granted_s:
            self._engaged = None
        moving, self._moving = self._moving, False
        following, self._next = self._next, None
        if not moving:
            self._owner.register_done(self, result)
            if result.accepted and result.granted_s and following is None:
                following = self._clean_up(message)
        if following is not None:
            self._owner.later(following)

    def _clean_up(self, message: str) -> Callable[[], None] | None:
        """Remove bindings that an earlier process of ours has left behind: calls to them ring nowhere. Once each."""
        engaged = self._engaged
        left = leftovers(message, self.token, self._port_of(self._transport))
        self._remove = tuple(uri for uri in left if uri not in self._removed)
        if not self._remove or engaged not in self.targets:
            self._remove = ()
            return None
        self._removed.update(self._remove)
        self._stale = True
        target = self.targets.index(engaged)
        return lambda: self.register(target)

    @guarded
    def onSendRequest(self, prm: pj.OnSendRequestParam) -> None:  # noqa: N802  the library's name
        """An OPTIONS has ended: with any response from the wire, or with the library's own."""
        self.asking = False
        event = prm.e
        answered = event.type == pj.PJSIP_EVENT_TSX_STATE and event.body.tsxState.type == pj.PJSIP_EVENT_RX_MSG
        self._owner.path_probed(self, alive=answered)

    @guarded
    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:  # noqa: N802  the library's name
        """Copy and hand over; nothing is answered or refused in here (an INVITE without SDP would abort)."""
        arrival = Arrival(int(prm.callId), text_of(str(prm.rdata.wholeMsg)), one_line(str(prm.rdata.srcAddress)))
        self._owner.call_arrived(self, arrival)

    @guarded
    def onIncomingSubscribe(self, prm: pj.OnIncomingSubscribeParam) -> None:  # noqa: N802  the library's name
        """A telephone line has no presence to tell."""
        prm.code = _SC_DECLINE

    def _configuration(self) -> pj.AccountConfig:
        record = self.record
        config = pj.AccountConfig()
        config.idUri = sip_uri(record.user, record.domain)
        config.regConfig.registrarUri = f"sip:{record.domain}"
        config.regConfig.registerOnAdd = False
        config.regConfig.disableRegOnModify = True
        config.regConfig.timeoutSec = record.expires_s
        config.regConfig.delayBeforeRefreshSec = min(_REFRESH_MARGIN_S, record.expires_s // 2)
        config.regConfig.retryIntervalSec = 0
        config.sipConfig.transportId = self._transport
        for uri in self._remove:
            header = pj.SipHeader()
            header.hName, header.hValue = "Contact", f"<{uri}>;expires=0"
            config.regConfig.headers.append(header)
        config.sipConfig.contactUriParams = f";line={self.token};p={self._port_of(self._transport)}"
        config.sipConfig.proxies.append(self._route.route)
        config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", record.auth_user, 0, record.password))
        config.mediaConfig.transportConfig = self._media
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
