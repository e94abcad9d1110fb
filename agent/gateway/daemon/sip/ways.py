"""The ways out: which transport an account sends by, whether it is answered there, and what a new address changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pjsua2 as pj

from agent.core.events import PathProbed
from agent.gateway.daemon.sip.account import SipAccount
from agent.gateway.daemon.sip.engine import Engine
from agent.gateway.daemon.sip.uri import phrase


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
        self._spare: list[int] = []
        self.current = -1
        """The transport that accounts are made with; -1: the first."""

    @property
    def transport(self) -> int:
        """The transport of accounts that are made now."""
        return self._engine.transport if self.current < 0 else self.current

    def probe(self, name: str) -> None:
        """Send an OPTIONS the account's way; where that can't be done the way is as good as dead."""
        account = self._accounts.get(name)
        try:
            if account is not None:
                account.ask()
                return
        except pj.Error as error:
            self._log("warning", "sip_options_not_sent", f"account {name}: {phrase(str(error.reason))}")
        self._post(PathProbed(name, alive=False))

    def new_port(self, name: str) -> None:
        """Let an account send by a port that no router has seen yet."""
        account = self._accounts.get(name)
        if account is None:
            return
        try:
            if account.transport == self.transport:
                self.current = self._engine.another_transport()
                self._spare.append(self.current)
            account.use_transport(self.transport)
        except pj.Error as error:
            self._log("error", "sip_port_not_changed", f"account {name}: {phrase(str(error.reason))}")
        else:
            self._log("info", "sip_port_changed", f"account {name} sends from another port")

    def move_address(self) -> None:
        """Our address is another one: the library tells the far ends of calls where speech is to go from now on."""
        for account in self._accounts.values():
            account.renew_contact()
        try:
            self._engine.move_address()
        except pj.Error as error:
            self._log("error", "sip_address_not_moved", phrase(str(error.reason)))

    def close_unused(self) -> None:
        """Close what no account sends by. To be called while no call and no transaction of one is left."""
        used = {account.transport for account in self._accounts.values()} | {self.current}
        for transport in [one for one in self._spare if one not in used]:
            self._spare.remove(transport)
            try:
                self._engine.close_transport(transport)
            except pj.Error as error:
                self._log("warning", "sip_transport_not_closed", phrase(str(error.reason)))
