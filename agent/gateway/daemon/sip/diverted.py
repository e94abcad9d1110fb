"""From where a call was sent on: Diversion (RFC 5806) and History-Info (RFC 7044) read, Diversion written.

We write what the proxies and border controllers of small operators read: Kamailio has a module for Diversion and none
for History-Info, and RFC 7544 makes the one of the other.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Final

from agent.core.diversion import MOST_COUNTED, DiversionReason, Diverted
from agent.gateway.daemon.sip.headers import values
from agent.gateway.daemon.sip.uri import sip_uri, unquoted, user_of

NAME: Final = "Diversion"
_PARAMETER: Final = re.compile(r";\s*(reason|counter|privacy)\s*=\s*\"?([\w-]{0,32})", re.IGNORECASE)
_HOST: Final = re.compile(r"sips?:(?:[^@<>\s]{0,128}@)?([A-Za-z0-9.-]{1,64})(?=[:;?>\s]|$)", re.IGNORECASE)
_CAUSE: Final = re.compile(r"cause(?:=|%3d)([0-9]{3})", re.IGNORECASE)
_REASON: Final = re.compile(r"[?&]reason=", re.IGNORECASE)
_MAX_USER: Final = 32
"""No number is longer, and all of them together must fit into an INVITE."""
_OPEN: Final = frozenset({"off", "no", ""})
"""What `privacy` of a Diversion says where the number may be seen (RFC 5806 §4)."""
_NOBODY: Final = "unknown"
"""User part of a number that we were not told."""
_REASONS: Final = {
    302: DiversionReason.UNCONDITIONAL,
    408: DiversionReason.NO_ANSWER,
    480: DiversionReason.DEFLECTION,
    486: DiversionReason.USER_BUSY,
    487: DiversionReason.DEFLECTION,
    503: DiversionReason.UNAVAILABLE,
}
"""Causes of a new target (RFC 4458, RFC 7544)."""


def diversions(message: str) -> tuple[Diverted, ...]:
    """From where an INVITE was sent on, the latest first (RFC 5806 §3.2), by the header that tells of more."""
    told = tuple(_diverted(value) for value in values(message, NAME))
    history = _of_history(values(message, "History-Info"))
    return told if _times(told) >= _times(history) else history


def diverted_from(message: str) -> str:
    """Whom the caller had called first, a user part; empty where he called us, or where it is not to be seen.

    The last Diversion is the oldest (RFC 5806 §3.2); the first entry of a History-Info is the number called first,
    where there is a second one (RFC 7044 §9.1).
    """
    told = values(message, NAME)
    if told:
        return "" if _diverted(told[-1]).hidden else user_of(told[-1])
    history = values(message, "History-Info")
    return "" if len(history) < 2 or _is_hidden(history[0]) else user_of(history[0])


def written(past: Sequence[Diverted], domain: str) -> list[str]:
    """The values of as many Diversion headers, in their order. `domain`: of whoever has no other."""
    return [
        f"<{sip_uri(one.user or _NOBODY, one.host or domain)}>;reason={one.reason};counter={one.count}"
        f";privacy={'full' if one.hidden else 'off'}"
        for one in past
    ]


def _diverted(value: str) -> Diverted:
    said = {name.lower(): word.lower() for name, word in _PARAMETER.findall(_behind_address(value))}
    counter = said.get("counter", "")
    reason = said.get("reason", "")
    return Diverted(
        user_of(value)[:_MAX_USER], _host(value),
        DiversionReason(reason) if reason in set(DiversionReason) else DiversionReason.UNKNOWN,
        min(max(1, int(counter)), MOST_COUNTED) if re.fullmatch("[0-9]{1,9}", counter) else 1,
        said.get("privacy", "") not in _OPEN,
    )  # fmt: skip


def _of_history(entries: Sequence[str]) -> tuple[Diverted, ...]:
    """Each entry that a diversion has led to, by the one before it (RFC 7544)."""
    found: list[Diverted] = []
    for before, entry in itertools.pairwise(entries):
        # The cause stands in the new address (RFC 4458), or as the Reason of the one that was left (RFC 7044 §10.2).
        cause = _CAUSE.search(entry) or (_CAUSE.search(before) if _REASON.search(before) else None)
        if cause is not None:
            reason = _REASONS.get(int(cause[1]), DiversionReason.UNKNOWN)
            found.append(Diverted(user_of(before)[:_MAX_USER], _host(before), reason, 1, _is_hidden(before)))
    return tuple(reversed(found))


def _is_hidden(entry: str) -> bool:
    return "privacy=" in entry.lower()


def _times(past: Sequence[Diverted]) -> int:
    return sum(one.count for one in past)


def _host(value: str) -> str:
    match = _HOST.search(unquoted(value))
    return match[1] if match else ""


def _behind_address(value: str) -> str:
    bare, bracket, rest = value.rpartition(">")
    return rest if bracket else bare or rest
