"""What the Contact of a registration says (RFC 3261 §8.1.1.8, §10.2.1), and when it has to be registered anew.

Behind a router a Contact with our own address leads nowhere. Each answer says where its request was seen to come from
(RFC 3581 §4); where that is another place than the Contact says, the Contact is registered again with that place. A
router that shows us at another place with every request would make us do so for ever: that is given up.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Final

from agent.core.place import Place
from agent.core.transports import Transport

MAX_CHASES: Final = 2
"""How often in a row a Contact is put right, and what was right is wrong at once, before that is given up."""
PATIENCE: Final = 20
"""So many answered REGISTERs after that it is tried once more: the router may be another one."""
_MAX_PORT: Final = 65_535
_USER_BYTES: Final = 10
_USER_MARK: Final = "x"
"""Not a digit: no platform is to take the user part for a number."""


def parse_place(text: str) -> Place | None:
    """`address:port`, an IPv6 address with or without brackets; None where it is not that, or nobody's place.

    Whatever a message says is written into our Contact only where it is an address and a port.
    """
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    if address.is_unspecified or address.is_multicast or "%" in host or not (port.isascii() and port.isdigit()):
        return None
    return Place(str(address), int(port)) if 0 < int(port[:6]) <= _MAX_PORT else None


def contact_user(seed: bytes, account: str, aor: str) -> str:
    """The user part of a registration's Contact: the same at every start, and nothing that one could guess or read.

    `seed`: at most 64 bytes that nobody else knows.
    """
    made_of = f"{account}\0{aor}".encode()
    return _USER_MARK + hashlib.blake2b(made_of, key=seed, digest_size=_USER_BYTES, person=b"contact").hexdigest()


def contact_uri(user: str, place: Place, transport: Transport, parameters: str) -> str:
    """The SIP URI of a Contact. `parameters`: further ones, each with its semicolon."""
    way = "" if transport is Transport.UDP else f";transport={transport}"
    return f"sip:{user}@{place}{way}{parameters}"


class Whereabouts:
    """Where the Contact of one registration leads, as one of its targets sees it."""

    def __init__(self) -> None:
        self.local: Place | None = None
        """From where this machine sends."""
        self._connection: Place | None = None
        self._place: Place | None = None
        self._chases = 0
        self._patience = 0

    @property
    def place(self) -> Place | None:
        """What the next Contact is to say; None where nothing is known yet."""
        return self._place

    def at(self, local: Place, guess: Place | None = None) -> None:
        """Notice from where this machine sends now; where that is news, what was seen of it before counts no more.

        `guess`: where another target sees it: most routers show all of them the same. With TCP and TLS the port is any
        that stays, the listener's: `connected` tells the one in use.
        """
        if local != self.local:
            self.local = local
            self._place = guess or local
            self._connection = None
            self._chases = self._patience = 0

    def connected(self, local: Place) -> None:
        """Notice from where the connection to the target goes: another one is another way through a router."""
        if local != self._connection:
            self._connection = self._place = local

    def noticed(self, seen: Place | None, server: str) -> None:
        """An answer that bound nothing says where we are seen; `server`: the address of who says so."""
        if seen is not None and self._credible(seen, server) and self._chases < MAX_CHASES:
            self._place = seen

    def bound(self, said: Place | None, seen: Place | None, server: str) -> bool:
        """A registrar has accepted a Contact that says `said`, and has seen us at `seen`.

        True: register again, `place` is another one now.
        """
        if seen is None or not self._credible(seen, server):
            return False
        if seen == said:
            self._place = seen
            self._chases = self._patience = 0
            return False
        if self._chases >= MAX_CHASES:
            self._patience += 1
            if self._patience < PATIENCE:
                self._place = said
                return False
            self._patience = 0
        self._chases += 1
        self._place = seen
        return True

    def _credible(self, seen: Place, server: str) -> bool:
        """Whether a Contact there could lead to us.

        A private address that somebody on the internet says of one on the internet is that of a machine of his own in
        between: nobody translates in this direction.
        """
        if self.local is None:
            return False
        public = [not ipaddress.ip_address(one).is_private for one in (self.local.address, server, seen.address)]
        return public != [True, True, False]
