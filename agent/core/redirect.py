"""Where a call may go on when it is redirected (3xx, RFC 3261 §21.3): nowhere but to the same number by another way.

The agent has priced and allowed the number that was dialled. Another one in a Contact would be dialled at the
household's expense without anybody's leave, so it is not followed, whoever asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from agent.core.race import Attempt
from agent.core.target import Target

MAX_HOPS: Final = 5


class Elsewhere(Struct, frozen=True):
    """One Contact of a redirection: user part, host (without brackets) and port (0: none given), as written there."""

    user: str
    host: str
    port: int = 0


def ways_on(
    contacts: Sequence[Elsewhere],
    attempt: Attempt,
    tried: Sequence[Attempt],
    *,
    domain: str,
    targets: Sequence[Target | None],
    read: Callable[[str], str],
) -> tuple[Attempt, ...]:
    """What may be tried next, in the order of the contacts: a target of the same account that has not been tried.

    `attempt` is what was redirected, `targets` are the account's (None: one that can't be used), `read` makes E.164 of
    a user part. A contact at the domain itself leads to the next target; the same one would only redirect again.
    """
    used = {one.target for one in tried if one.account == attempt.account}
    found: list[Attempt] = []
    for contact in contacts:
        if not contact.user or read(contact.user) != read(attempt.user):
            continue
        here = contact.host.lower() == domain.lower()
        for index, target in enumerate(targets):
            if index not in used and (here or (target is not None and _leads_to(contact, target))):
                used.add(index)
                found.append(Attempt(attempt.account, index, attempt.user))
                break
    return tuple(found)


def _leads_to(contact: Elsewhere, target: Target) -> bool:
    """By the name that a TLS server's certificate must have, where it has one, and by the port.

    Without one that of the target's transport counts (RFC 3261 §19.1.2), whatever the contact says of transports.
    """
    host, port = target.name or target.address, contact.port or target.transport.default_port
    return (contact.host.lower(), port) == (host, target.port)
