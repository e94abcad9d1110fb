"""The operator's SIP platform: registrar with digest, and calls routed by number, on one UDP socket.

sippy wants the main thread: its event loop belongs to the thread that imports it, and everything here runs there.
"""

from __future__ import annotations

import re
import secrets
import warnings
from collections.abc import Callable
from typing import Any, Final, NoReturn

from sippy.Core.EventDispatcher import ED2
from sippy.SipConf import SipConf
from sippy.SipTransactionManager import SipTransactionManager
from sippy.Time.Timeout import Timeout
from sippy.Udp_server import Udp_server, Udp_server_opts

from agent.core.numbers import mask
from agent.lab.operator.b2bua import ALLOW, Bridge, RoutedCall, follow_source, plain_header
from agent.lab.operator.config import LabConfig, LabUser
from agent.lab.operator.digest import Authenticator, Credentials, DigestError, Outcome, parse_credentials
from agent.lab.operator.directory import Destination, Directory
from agent.lab.operator.events import Denied, Event, Invite, Refused, Registered, Sink, Trouble, Unregistered, masked
from agent.lab.operator.registrar import Binding, Contact, Registrar, RegistrarError
from agent.lab.operator.sip_faults import SipFaults

MAX_CALLS: Final = 64
_EXPIRY_CHECK_S: Final = 1.0
_FLUSH_S: Final = 1.0


class PlatformError(Exception):
    """The SIP platform cannot start."""


class _Silent:
    """The library's message log, switched off: messages hold full numbers."""

    def write(self, *_parts: Any, **_fields: Any) -> None:
        return


class _OneReader(Udp_server_opts):  # type: ignore[misc]  # the library carries no types
    """One reading thread, so that messages keep their order, and a port of our own, shared with nobody."""

    flags = 0
    nworkers = 1


class _Refusal(Exception):  # noqa: N818  # an answer, not an error
    """Leaves a request's handling with the response to send."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.response = response


class Platform:
    """Answers SIP requests. Create, `run()` and call everything from the main thread, but for `stop()`."""

    def __init__(
        self, config: LabConfig, sink: Sink, now_ms: Callable[[], int], faults: SipFaults | None = None
    ) -> None:
        self._config = config
        self._sink = sink
        self._now_ms = now_ms
        self._faults = faults or SipFaults()
        self._directory = Directory(config)
        self._registrar = Registrar(min_expires_s=config.min_expires_s, max_expires_s=config.max_expires_s)
        self._authenticator = Authenticator(
            realm=config.domain, key=secrets.token_bytes(32), nonce_lifetime_ms=config.nonce_lifetime_s * 1000
        )
        self._bridges: dict[int, Bridge] = {}
        self._last_call = 0
        self._settings: dict[str, Any] = {
            "_sip_address": config.host,
            "_sip_port": config.sip_port,
            "_sip_logger": _Silent(),
        }
        self._server: Any = None
        self.port = 0

    def start(self) -> None:
        """Bind the socket; `port` is known afterwards. Raises PlatformError."""
        SipConf.my_uaname = "iplink lab operator"
        SipConf.autoconvert_tel_url = True
        SipTransactionManager.model_udp_server = (Udp_server, _OneReader)
        try:
            with warnings.catch_warnings():
                # The library tries an IPv6 socket and leaves it to the garbage collector.
                warnings.simplefilter("ignore", ResourceWarning)
                manager = SipTransactionManager(self._settings, self._on_request)
        except OSError as error:
            message = f"cannot bind SIP to {self._config.host}:{self._config.sip_port}: {error.strerror}"
            raise PlatformError(message) from error
        self._settings["_sip_tm"] = manager
        (self._server,) = manager.l4r.cache_l2s.values()
        self.port = int(self._server.uopts.laddress[1])
        self._expiry = Timeout(self._expire, _EXPIRY_CHECK_S, -1)

    def run(self) -> None:
        """Serve until `stop()`; what was sent last is on the wire when this returns."""
        ED2.loop()
        self._server.sendqueue.put(None)
        for sender in self._server.asenders:
            sender.join(_FLUSH_S)

    def stop(self) -> None:
        """End every call and make `run()` return; safe from any thread and from a signal handler."""
        ED2.callFromThread(self._finish)

    def _finish(self) -> None:
        for bridge in list(self._bridges.values()):
            bridge.hang_up()
        ED2.breakLoop()

    def _expire(self) -> None:
        for aor in self._registrar.expire(self._now_ms()):
            self._sink.emit(Unregistered(user=aor, expired=True))

    # --- requests outside a dialog -----------------------------------------------------------------------------------

    def _on_request(self, req: Any, transaction: Any) -> Any:
        method = req.getMethod()
        if self._faults.take_silence():
            return None
        try:
            if self._faults.take_refusal():
                after = self._faults.retry_after_s
                headers = [] if after is None else [("Retry-After", str(after))]
                return self._answer(req, 503, "Service Unavailable", *headers)
            if req.getHFBody("to").getTag() is not None:
                return self._answer(req, 481, "Call/Transaction Does Not Exist")
            if method == "OPTIONS":
                return self._options(req)
            if method == "REGISTER":
                return self._register(req)
            if method == "INVITE":
                return self._invite(req, transaction)
        except _Refusal as refusal:
            return refusal.response, None, None
        except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
            # The library reads headers when they are asked for, and raises whatever it stumbles over.
            self._emit(Trouble(message=f"{method} cannot be read: {type(error).__name__}: {masked(str(error))}"))
            return self._answer(req, 400, "Bad Request")
        return self._answer(req, 405, "Method Not Allowed", ("Allow", ALLOW))

    def _options(self, req: Any) -> Any:
        return self._answer(req, 200, "OK", ("Allow", ALLOW), ("Accept", "application/sdp"))

    def _register(self, req: Any) -> Any:
        _refuse_extensions(req)
        aor = str(req.getHFBody("to").getUrl().username or "")
        user = self._authenticate(req, self._directory.user(aor))
        if user.user != aor:
            self._deny(req, aor)
        contacts, wildcard, expires_s = _contacts(req)
        call_id = str(req.getHFBody("call-id"))
        cseq = req.getHFBody("cseq").getCSeqNum()
        now = self._now_ms()
        try:
            before = self._registrar.bindings(aor, now)
            if wildcard:
                self._registrar.unregister_all(aor, call_id=call_id, cseq=cseq)
            else:
                self._registrar.register(
                    aor, contacts, call_id=call_id, cseq=cseq, source=req.getSource(), now=now, expires_s=expires_s
                )
        except RegistrarError as error:
            extra = [] if error.min_expires_s is None else [("Min-Expires", str(error.min_expires_s))]
            return self._answer(req, error.code, error.reason, *extra)
        left = self._registrar.bindings(aor, now)
        self._report_registration(aor, before, left, now, asked=bool(contacts) or wildcard)
        return self._answer(
            req, 200, "OK", *(("Contact", f"<{b.uri}>;expires={max(0, (b.until - now) // 1000)}") for b in left)
        )

    def _report_registration(
        self, aor: str, before: tuple[Binding, ...], left: tuple[Binding, ...], now: int, *, asked: bool
    ) -> None:
        if left and asked:
            seconds = max((binding.until - now) // 1000 for binding in left)
            self._sink.emit(Registered(user=aor, contacts=len(left), expires_s=seconds))
        elif before and not left:
            self._sink.emit(Unregistered(user=aor))

    def _invite(self, req: Any, transaction: Any) -> Any:
        _refuse_extensions(req)
        hops = _max_forwards(req)
        if hops is not None and hops <= 0:
            return self._answer(req, 483, "Too Many Hops")
        if req.countHFs("contact") != 1 or req.getHFBody("contact").asterisk:
            return self._answer(req, 400, "Exactly One Contact Needed")
        follow_source(req)
        destination = self._directory.destination(str(req.getRURI().username or ""))
        presented = str(req.getHFBody("from").getUrl().username or "")
        # Emergency calls are carried without credential: nobody is asked to log in to reach 112.
        if destination.emergency:
            caller = self._directory.claimed(presented)
        else:
            caller = self._authenticate(req, self._directory.claimed(presented))
        binding = self._binding(req, destination)
        if len(self._bridges) >= MAX_CALLS and not destination.emergency:
            raise _Refusal(self._response(req, 503, "Service Unavailable", ("Retry-After", "5")))
        return self._connect(req, transaction, caller, presented, destination, binding)

    def _connect(
        self,
        req: Any,
        transaction: Any,
        caller: LabUser | None,
        presented: str,
        destination: Destination,
        binding: Binding,
    ) -> Any:
        self._last_call += 1
        call = self._last_call
        shown = "anonymous" if caller is None else self._directory.asserted(caller, presented)
        private = any("id" in str(header.body).lower().split(";") for header in req.getHFs("privacy"))
        routed = RoutedCall(
            call=call,
            caller=shown,
            number=destination.number,
            binding=binding,
            domain=self._config.domain,
            anonymous=caller is None or (private and not destination.emergency),
        )
        self._emit(
            Invite(
                call=call,
                caller="" if caller is None else caller.user,
                callee="" if destination.user is None else destination.user.user,
                number=mask(destination.number),
                emergency=destination.emergency,
            )
        )
        bridge = Bridge(self._settings, routed, self._sink, check_s=self._config.session_check_s, ended=self._forget)
        self._bridges[call] = bridge
        if transaction.r487 is not None:
            # The 487 of a cancelled call belongs to the dialog its 180 began (RFC 3261 §12.1.1).
            transaction.r487.getHFBody("to").setTag(bridge.caller.lTag)
        return bridge.caller.recvRequest(req, transaction)

    def _binding(self, req: Any, destination: Destination) -> Binding:
        if destination.user is None:
            self._refuse(req, 404, "Not Found", destination.number)
        bindings = self._registrar.bindings(destination.user.user, self._now_ms())
        if not bindings:
            self._refuse(req, 480, "Temporarily Unavailable", destination.number)
        return bindings[0]

    def _forget(self, call: int) -> None:
        self._bridges.pop(call, None)

    # --- digest ------------------------------------------------------------------------------------------------------

    def _authenticate(self, req: Any, claimed: LabUser | None) -> LabUser:
        """Return the user whose credential the request carries; leave with a challenge or 403 otherwise."""
        credentials = self._credentials(req)
        if credentials is None:
            raise _Refusal(self._challenge(req, claimed, stale=False))
        holder = self._directory.holder(credentials.username)
        if holder is None:
            self._deny(req, credentials.username)
        outcome = self._authenticator.judge(
            credentials,
            method=req.getMethod(),
            password=holder.password,
            algorithms=holder.algorithms,
            now=self._now_ms(),
        )
        if outcome is Outcome.STALE:
            raise _Refusal(self._challenge(req, holder, stale=True))
        if outcome is Outcome.WRONG:
            self._deny(req, holder.user)
        return holder

    def _credentials(self, req: Any) -> Credentials | None:
        for name in ("authorization", "proxy-authorization"):
            for header in req.getHFs(name):
                try:
                    credentials = parse_credentials(str(header.body.body))
                except DigestError as error:
                    raise _Refusal(self._response(req, 400, str(error))) from error
                if credentials.realm == self._config.domain:
                    return credentials
        return None

    def _challenge(self, req: Any, user: LabUser | None, *, stale: bool) -> Any:
        # An unknown user is challenged like a known one: the answer tells nobody which names exist.
        algorithms = user.algorithms if user is not None else self._config.users[0].algorithms
        values = self._authenticator.challenges(algorithms, self._now_ms(), stale=stale)
        return self._response(req, 401, "Unauthorized", *(("WWW-Authenticate", value) for value in values))

    def _deny(self, req: Any, user: str) -> NoReturn:
        known = self._directory.user(user)
        self._emit(Denied(method=req.getMethod(), user="" if known is None else known.user))
        raise _Refusal(self._response(req, 403, "Forbidden"))

    # --- answers -----------------------------------------------------------------------------------------------------

    def _refuse(self, req: Any, code: int, reason: str, number: str) -> NoReturn:
        self._emit(Refused(code=code, number=mask(number)))
        raise _Refusal(self._response(req, code, reason))

    def _response(self, req: Any, code: int, reason: str, *headers: tuple[str, str]) -> Any:
        response = req.genResponse(code, reason)
        for name, value in headers:
            response.appendHeader(plain_header(name, value))
        return response

    def _answer(self, req: Any, code: int, reason: str, *headers: tuple[str, str]) -> Any:
        return self._response(req, code, reason, *headers), None, None

    def _emit(self, event: Event) -> None:
        self._sink.emit(event)


def _refuse_extensions(req: Any) -> None:
    """No extension is supported (RFC 3261 §8.2.2.3)."""
    required = ", ".join(str(header.body) for header in req.getHFs("require"))
    if required:
        response = req.genResponse(420, "Bad Extension")
        response.appendHeader(plain_header("Unsupported", required[:256]))
        raise _Refusal(response)


def _max_forwards(req: Any) -> int | None:
    return int(req.getHFBody("max-forwards").getNum()) if req.countHFs("max-forwards") else None


def _contacts(req: Any) -> tuple[list[Contact], bool, int | None]:
    """Return the contacts of a REGISTER, whether it is `Contact: *`, and its Expires header."""
    expires_s = int(req.getHFBody("expires").getNum()) if req.countHFs("expires") else None
    contacts = []
    for header in req.getHFBodys("contact"):
        if header.asterisk:
            if req.countHFs("contact") != 1 or expires_s != 0:
                raise _Refusal(req.genResponse(400, "Contact * Needs Expires 0 And No Other Contact"))
            return [], True, 0
        url = header.getUrl()
        if url.transport is not None and str(url.transport).lower() != "udp":
            raise _Refusal(req.genResponse(400, "Only UDP Is Served"))
        params = header.address.params
        contacts.append(Contact(str(url), _seconds(req, params.get("expires")), _thousandths(params.get("q"))))
    return contacts, False, expires_s


def _seconds(req: Any, text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise _Refusal(req.genResponse(400, "Contact Expires Is No Number"))
    return int(text)


def _thousandths(text: str | None) -> int:
    """Read a q value (RFC 3261 §20.10); one that cannot be read counts as 1."""
    match = re.fullmatch(r"([01])(?:\.([0-9]{0,3}))?", text or "1")
    if match is None:
        return 1000
    return min(1000, int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0")))
