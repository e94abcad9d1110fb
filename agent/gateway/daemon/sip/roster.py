"""The accounts of one stack: which are wanted, which are in use, and which only wait for the end of their last call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hmac import compare_digest
from typing import Protocol

import pjsua2 as pj

from agent.core import actions, events
from agent.core.message_summary import Summary
from agent.core.srtp import Srtp
from agent.core.target import Target
from agent.core.transports import Transport
from agent.gateway import protocol
from agent.gateway.daemon.sip.account import Arrival, RegisterResult, SipAccount, shut_down
from agent.gateway.daemon.sip.engine import RTP_PORTS, Engine
from agent.gateway.daemon.sip.native import SipError
from agent.gateway.daemon.sip.reasons import reason_of
from agent.gateway.daemon.sip.uri import called_user, line_token
from agent.gateway.daemon.sip.ways import Ways
from agent.gateway.daemon.tls_gate import TlsGate

MAX_ACCOUNTS = 8
"""PJSUA_MAX_ACC as every known package compiles it. The library cannot be asked, and a ninth account aborts it:
`agent.gateway.daemon.sip.capacity` tries it out."""

AccountAction = actions.Register | actions.Unregister | actions.ProbePath | actions.NewPort | actions.MoveAddress


class RosterOwner(Protocol):
    """Who owns the calls of the accounts; all but `uses` run inside a callback and must not raise."""

    def uses(self, name: str) -> bool:
        """Whether a call, or the dead transaction of one, may still use the account."""
        ...

    def call_arrived(self, account: SipAccount, arrival: Arrival) -> None:
        """An INVITE arrived; a call must be made of it at once and acted upon later."""

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """A callback raised."""

    def later(self, job: Callable[[], None]) -> None:
        """Run `job` when the library is not in a callback."""

    def contact_changed(self, account: SipAccount) -> None:
        """The far ends of the account's calls are to be told its Contact again. In no callback."""


class Roster:
    """Accounts by name. What happens to their registrations is posted; what fails in an action is, too."""

    def __init__(
        self,
        owner: RosterOwner,
        engine: Engine,
        rtp_port: int,
        gate: TlsGate,
        seed: bytes,
        post: Callable[[events.TelephoneEvent], None],
        log: Callable[[str, str, str], None],
    ) -> None:
        self._owner = owner
        self._engine = engine
        self._rtp_port = rtp_port
        self._gate = gate
        self._seed = seed
        self._post = post
        self._log = log
        self.limit = MAX_ACCOUNTS
        """How many accounts the library carries."""
        self._wanted: tuple[protocol.Account, ...] = ()
        self._accounts: dict[str, SipAccount] = {}
        self._refused: dict[str, str] = {}
        """Why an account that is wanted is not there."""
        self._ways = Ways(engine, self._accounts, post, log)

    def __iter__(self) -> Iterator[SipAccount]:
        """Every account that the library has, those that are to go included."""
        return iter(tuple(self._accounts.values()))

    @property
    def ports(self) -> tuple[int, ...]:
        """The UDP ports that are open, in order."""
        return self._ways.ports

    def ready(self, name: str) -> SipAccount | None:
        """The account that new requests may use; None where there is none, or one that is to go."""
        account = self._accounts.get(name)
        return None if account is None or account.retiring else account

    def bound(self, message: str) -> SipAccount | None:
        """The account to whose contact a request was sent; None where it was to no contact of ours.

        A platform that writes the called number into the user part leaves the parameter, one that drops parameters the
        user part.
        """
        user, token = (text.encode(errors="replace") for text in (called_user(message), line_token(message)))
        found = None
        for one in self._accounts.values():
            if compare_digest(one.contact.user.encode(), user) | compare_digest(one.contact.token.encode(), token):
                found = one
        return found

    # --- which ones ---------------------------------------------------------------------------------------------------

    def configure(self, accounts: Sequence[protocol.Account]) -> None:
        """Use exactly these accounts. One that cannot be used is refused by name: RegistrationFailed, and a log line.

        An account that is gone stays until its last call has ended. Registering is the Switch's decision.
        """
        self._wanted = tuple(accounts)
        self._reconcile()

    def look_after(self) -> None:
        """Remove what is to go and no longer used, and make its successors."""
        retiring = [account for account in self if account.retiring]
        if [account for account in retiring if self._retire(account)]:
            self._reconcile()

    def close_unused(self) -> None:
        """Close the transports that no account sends by. To be called while no call, alive or dying, is left."""
        self._ways.close_unused()

    def _reconcile(self) -> None:
        wanted = {record.id: record for record in self._wanted}
        for account in self:
            record = wanted.get(account.record.id)
            account.retiring = record is None or (record.user, record.domain) != account.aor
            if account.retiring:
                self._retire(account)
        self._refused.clear()
        for record in self._wanted:
            self._use(record)

    def _use(self, record: protocol.Account) -> None:
        account = self._accounts.get(record.id)
        if account is not None and account.retiring:
            return  # its successor is made when its last call has ended
        if account is None and len(self._accounts) >= self.limit:
            self._refuse(record, f"this adapter holds at most {self.limit} registrations")
            return
        try:
            if account is not None:
                account.use(record)
            else:
                self._accounts[record.id] = SipAccount(self, record, self._media(), self._ways, self._seed)
        except (ValueError, OSError, pj.Error) as error:
            self._refuse(record, reason_of(error))

    def _refuse(self, record: protocol.Account, reason: str) -> None:
        self._refused[record.id] = reason
        self._log("error", "sip_account_refused", f"account {record.id}: {reason}")
        self._failed(record.id, 0, reason)

    def _retire(self, account: SipAccount) -> bool:
        """Remove the account, unless something still uses it: the library would not notice that its account is gone."""
        if account.asking or self._owner.uses(account.record.id):
            return False
        self._accounts.pop(account.record.id)
        shut_down(account)
        return True

    def _media(self) -> pj.TransportConfig:
        config = pj.TransportConfig()
        config.port = self._rtp_port
        config.portRange = RTP_PORTS
        config.boundAddress = self._engine.bound_address
        return config

    # --- actions ------------------------------------------------------------------------------------------------------

    def perform(self, action: AccountAction) -> None:
        """Do what the Switch decided about a registration or its way. Never raises."""
        match action:
            case actions.Register(name, target):
                self._register(name, target)
            case actions.Unregister(name):
                account = self._accounts.get(name)
                if account is None or not self._attempt_unregister(account):
                    self._post(events.Unregistered(name))
            case actions.ProbePath(name):
                self._probe(name)
            case actions.NewPort(name):
                self._ways.new_port(name)
            case actions.MoveAddress():
                self._ways.move_address()

    def _register(self, name: str, target: int) -> None:
        account = self.ready(name)
        if account is None:
            self._failed(name, 0, self._refused.get(name, "there is no such account"))
        elif target >= len(account.targets):
            self._failed(name, 0, f"the account has no target {target}")
        else:
            wanted = account.targets[target]
            self._ask(account, wanted, lambda refusal: self._register_by(name, wanted, refusal))

    def _register_by(self, name: str, wanted: Target, refusal: str) -> None:
        account = self.ready(name)
        if refusal:
            self._failed(name, 0, refusal)
        elif account is None or wanted not in account.targets:
            self._failed(name, 0, "the target was taken away while its certificate was checked")
        else:
            try:
                account.register(account.targets.index(wanted))
            except pj.Error as error:
                self._failed(name, int(error.status), reason_of(error))
            except (SipError, OSError) as error:
                self._failed(name, 0, reason_of(error))

    def _failed(self, name: str, code: int, reason: str) -> None:
        self._post(events.RegistrationFailed(name, code, reason, on_wire=False))

    def _probe(self, name: str) -> None:
        account = self.ready(name)
        if account is None:
            self._post(events.PathProbed(name, alive=False))
            return

        def checked(refusal: str) -> None:
            if refusal:
                self._log("warning", "sip_options_not_sent", f"account {name}: {refusal}")
                self._post(events.PathProbed(name, alive=False))
            else:
                self._ways.probe(name)

        self._ask(account, account.route, checked)

    def _ask(self, account: SipAccount, target: Target, then: Callable[[str], None]) -> None:
        refusal = self._engine.out_of_reach(target.address)
        if account.record.srtp is Srtp.MANDATORY and target.transport is not Transport.TLS:
            refusal = refusal or f"{account.record.id} must have SRTP, whose keys {target.transport} would show to all"
        if refusal:
            then(refusal)
        else:
            self._gate.ask(target, then)

    def cleared(self, account: SipAccount, target: int, then: Callable[[str], None]) -> None:
        """Call `then` with '', at once or after a check of a TLS server's certificate, or with why it is refused."""
        if target < len(account.targets):
            self._ask(account, account.targets[target], then)
        else:
            then("")

    def _attempt_unregister(self, account: SipAccount) -> bool:
        try:
            return account.unregister()
        except pj.Error as error:
            self._log("warning", "sip_unregister_failed", f"account {account.record.id}: {reason_of(error)}")
            return False

    # --- the end ------------------------------------------------------------------------------------------------------

    def say_goodbye(self) -> None:
        """Remove every binding."""
        for account in self:
            self._attempt_unregister(account)

    @property
    def busy(self) -> bool:
        """Whether a REGISTER is unanswered."""
        return any(account.registering for account in self)

    def forget(self) -> None:
        """Drop all accounts but those with an unanswered OPTIONS, whose end the library tells while it dies."""
        for account in self:
            if not account.asking:
                shut_down(self._accounts.pop(account.record.id))

    def abandon(self) -> None:
        """The library is gone: what is left must not tell it that it goes too."""
        for account in self:
            account.this.disown()
        self._accounts.clear()

    # --- told by accounts, inside callbacks ---------------------------------------------------------------------------

    def register_done(self, account: SipAccount, result: RegisterResult) -> None:
        """AccountOwner: the outcome of a REGISTER as an event."""
        name = account.record.id
        if self._accounts.get(name) is not account:
            return
        if not result.accepted:
            self._post(
                events.RegistrationFailed(name, result.code, result.reason, result.on_wire, result.retry_after_s)
            )
        elif result.granted_s:
            self._post(events.Registered(name, result.granted_s, result.seen_as))
        else:
            self._post(events.Unregistered(name))

    def path_probed(self, account: SipAccount, *, alive: bool, seen_as: str) -> None:
        """AccountOwner: the end of an OPTIONS as an event."""
        if self._accounts.get(account.record.id) is account:
            for one in self:
                one.heed(account)
            self._post(events.PathProbed(account.record.id, alive, seen_as))

    def mailbox_told(self, account: SipAccount, summary: Summary) -> None:
        """AccountOwner: the mailbox's news as an event."""
        if self._accounts.get(account.record.id) is account:
            self._post(events.MessagesWaiting(account.record.id, summary.new, summary.old))

    def call_arrived(self, account: SipAccount, arrival: Arrival) -> None:
        """AccountOwner: passed on."""
        self._owner.call_arrived(account, arrival)

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """AccountOwner: passed on."""
        self._owner.callback_failed(callback, error)

    def later(self, job: Callable[[], None]) -> None:
        """AccountOwner: passed on."""
        self._owner.later(job)

    def contact_changed(self, account: SipAccount) -> None:
        """AccountOwner: passed on."""
        self._owner.contact_changed(account)
