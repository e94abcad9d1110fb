"""The Contact of one account: what it says towards each target, after what their answers have shown."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Final

from agent.core.contact import Whereabouts, contact_uri, contact_user, parse_place
from agent.core.place import Place
from agent.core.target import Target
from agent.gateway.daemon.sip.bindings import Ours, came_from, leftovers

_TOKEN_BYTES: Final = 8


class OwnContact:
    """Pure. `account` and `aor` are whose it is, `seed` is what its user part and its parameter are made from."""

    def __init__(self, account: str, aor: str, seed: bytes) -> None:
        self.user = contact_user(seed, account, aor)
        """Tells nobody who that is, and us which account an INVITE was sent to."""
        self.token = hashlib.blake2b(account.encode(), key=seed, digest_size=_TOKEN_BYTES).hexdigest()
        """The `line` parameter: says the same, where a platform writes a number into the user part."""
        self.said: Place | None = None
        """Where the registration's Contact leads."""
        self._places: dict[Target, Whereabouts] = {}
        self._removed: set[str] = set()

    def place(self, target: Target) -> Place | None:
        """Where the next one leads; None where nothing is known yet."""
        return self._at(target).place

    def look(self, target: Target, local: Place | None) -> Place | None:
        """The same, after a look from where this machine sends to the target; None: there is no way."""
        here = self._at(target)
        if local is not None:
            here.at(local, next((one.place for one in self._places.values() if one.local == local), None))
        return here.place

    def connected(self, target: Target, local: Place) -> None:
        """The connection to the target goes from `local`."""
        self._at(target).connected(local)

    def keep(self, targets: Collection[Target]) -> None:
        """There are no other targets any more."""
        self._places = {target: place for target, place in self._places.items() if target in targets}

    def answered(self, target: Target, message: str) -> None:
        """An OPTIONS has been answered by the target."""
        self._at(target).noticed(parse_place(came_from(message)), target.address)

    def heed(self, other: OwnContact, target: Target) -> None:
        """The target has answered another account: whoever sends by the same way is seen at the same place."""
        seen, here = other._places.get(target), self._places.get(target)
        if seen is not None and here is not None and here.local == seen.local:
            here.noticed(seen.place, target.address)

    def bound(self, target: Target, message: str, port: int) -> tuple[tuple[str, ...], bool]:
        """What the answer to an accepted REGISTER gives reason for: bindings to remove, and whether to register again.

        Those are what an earlier process, address or version of ours has left behind; each is told once, as long as it
        is listed. `port`: our local one.
        """
        moved = self._at(target).bound(self.said, parse_place(came_from(message)), target.address)
        standing = frozenset(str(place) for place in (self.said, self.place(target)) if place is not None)
        left = leftovers(message, Ours(self.user, self.token, port, standing))
        self._removed.intersection_update(left)
        remove = tuple(uri for uri in left if uri not in self._removed)
        self._removed.update(remove)
        return remove, moved

    def parameters(self, port: int) -> str:
        """What its URI has beside user and place."""
        return f";line={self.token};p={port}"

    def header(self, target: Target, port: int) -> str:
        """It as a header's value; '' where nothing is known yet: what the library writes then is as good."""
        place = self.place(target)
        uri = contact_uri(self.user, place, target.transport, self.parameters(port) + ";ob") if place else ""
        return f"<{uri}>" if uri else ""

    def _at(self, target: Target) -> Whereabouts:
        return self._places.setdefault(target, Whereabouts())
