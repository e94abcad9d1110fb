"""Which user a dialled number reaches, and which number a caller is shown with: pure."""

from __future__ import annotations

from msgspec import Struct

from agent.core.numbers import EMERGENCY, normalise
from agent.lab.operator.config import LabConfig, LabUser


class Destination(Struct, frozen=True):
    """Where a call goes: the canonical number, the user that answers it (None: nobody has it)."""

    number: str
    user: LabUser | None
    emergency: bool


class Directory:
    """The operator's routing table, from its configuration. Numbers as +47…, 47…, 0047…, 8 digits or short."""

    def __init__(self, config: LabConfig) -> None:
        self._by_name = {user.user: user for user in config.users}
        self._by_credential = {user.digest_user: user for user in config.users}
        self._by_number = {normalise(number): user for user in config.users for number in user.numbers}
        self._by_number.update({normalise(number): self._by_name[name] for number, name in config.routes.items()})
        self._emergency = self._by_name.get(config.emergency_user)

    def user(self, name: str) -> LabUser | None:
        """Return the user of an address of record."""
        return self._by_name.get(name)

    def holder(self, digest_user: str) -> LabUser | None:
        """Return the user a digest credential belongs to."""
        return self._by_credential.get(digest_user)

    def destination(self, dialled: str) -> Destination:
        """Return where the user part of a Request-URI leads."""
        number = normalise(dialled)
        if number in EMERGENCY:
            return Destination(number, self._emergency, emergency=True)
        return Destination(number, self._by_number.get(number), emergency=False)

    def asserted(self, user: LabUser, presented: str) -> str:
        """Return the number a call is sent on with: the presented one if it is the user's, else the user's first."""
        own = [normalise(number) for number in user.numbers]
        shown = normalise(presented)
        if shown in own:
            return shown
        return own[0] if own else user.user

    def claimed(self, presented: str) -> LabUser | None:
        """Return the user that a From user part names, by name or by number: an identity that nobody has proved."""
        return self._by_name.get(presented) or self._by_number.get(normalise(presented))
