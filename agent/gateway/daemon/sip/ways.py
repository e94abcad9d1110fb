"""The ways out: which transport an account sends by, whether it is answered there, and what a new address changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pjsua2 as pj

from agent.core.events import PathProbed
from agent.core.target import Target
from agent.core.transports import Transport
from agent.gateway.daemon.link_watch import own_address
from agent.gateway.daemon.sip.account import SipAccount
from agent.gateway.daemon.sip.engine import Engine
from agent.gateway.daemon.sip.native import SipError
from agent.gateway.daemon.sip.reasons import reason_of


class Ways:
    """The transports of one stack beside the first, which stays open for good: the wake-up call comes by it.

    An account gets a new one when the Switch says so; one that nobody uses any more is closed when no call goes on.
    """

    def __init__(
        self,
        engine: Engine,
        accounts: Mapping[str, SipAccount],
        post: Callable[[PathProbed], None],
        log: Callable[[str, str, str], None],
    ) -> None:
        self._engine = engine
        self._accounts = accounts
        self._post = post
        self._log = log
        self._spare: dict[int, Transport] = {}
        self._current: dict[Transport, int] = {}
        self._unverified: int | None = None

    def transport(self, kind: Transport) -> int:
        """The transport of this kind that accounts take now; opened when it is wanted first. Raises pj.Error, OSError.

        An adapter whose operator speaks UDP never has a TCP socket.
        """
        if kind not in self._current:
            self._current[kind] = self._engine.transport if kind is Transport.UDP else self._open(kind)
        return self._current[kind]

    def _open(self, kind: Transport) -> int:
        transport = self._engine.another_transport(kind)
        self._spare[transport] = kind
        return transport

    @property
    def ports(self) -> tuple[int, ...]:
        """The UDP ports that are open, in order."""
        spare = [transport for transport, kind in self._spare.items() if kind is Transport.UDP]
        ports = {self._engine.port_of(transport) for transport in (self._engine.transport, *spare)}
        return tuple(sorted(ports - {0}))

    def unverified(self) -> int:
        """Network: a TLS transport that takes any certificate; once opened it stays. Raises pj.Error, OSError."""
        if self._unverified is None:
            self._unverified = self._engine.another_transport(Transport.TLS, verify=False)
        return self._unverified

    def port_of(self, transport: int) -> int:
        """Network: the local port of a transport of the library."""
        return self._engine.port_of(transport)

    def address_to(self, target: Target) -> str:
        """Network: the address of this machine that a target sees; '' where there is no way to it."""
        return self._engine.bound_address or own_address(target)

    def own_contact(self, account: int) -> str:
        """Network: the Contact that the library would write for an account; opens a connection where it needs one."""
        return self._engine.native.own_contact(account)

    def lead(self, target: Target) -> None:
        """Network: let the name in a route lead to the address that it was checked at. Raises SipError."""
        if target.name:
            self._engine.names.use(target.name, target.address)

    def probe(self, name: str) -> None:
        """Send an OPTIONS the account's way; where that can't be done the way is as good as dead."""
        account = self._accounts.get(name)
        try:
            if account is not None:
                account.ask()
                return
        except (pj.Error, SipError, OSError) as error:
            self._log("warning", "sip_options_not_sent", f"account {name}: {reason_of(error)}")
        self._post(PathProbed(name, alive=False))

    def new_port(self, name: str) -> None:
        """Let an account send by a port that no router has seen yet."""
        account = self._accounts.get(name)
        if account is None:
            return
        try:
            kind = account.kind
            if account.transport == self.transport(kind):
                self._current[kind] = self._open(kind)
            account.use_transport(self._current[kind])
        except (pj.Error, OSError) as error:
            self._log("error", "sip_port_not_changed", f"account {name}: {reason_of(error)}")
        else:
            self._log("info", "sip_port_changed", f"account {name} sends from another port")

    def move_address(self) -> None:
        """Our address is another one: the library tells the far ends of calls where speech is to go from now on."""
        try:
            for account in self._accounts.values():
                account.renew_contact()
            self._engine.move_address()
        except (pj.Error, OSError) as error:
            self._log("error", "sip_address_not_moved", reason_of(error))

    def close_unused(self) -> None:
        """Close what no account sends by. To be called while no call and no transaction of one is left."""
        current = self._current.values()
        accounts = self._accounts.values()
        idle = [one for one in self._spare if one not in current and not any(account.uses(one) for account in accounts)]
        for transport in idle:
            del self._spare[transport]
            try:
                self._engine.close_transport(transport)
            except pj.Error as error:
                self._log("warning", "sip_transport_not_closed", reason_of(error))
