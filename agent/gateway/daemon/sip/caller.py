"""Who calls, read from an INVITE."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from agent.core.caller import CallerId, Presentation
from agent.gateway.daemon.sip.headers import values
from agent.gateway.daemon.sip.uri import display_name, user_of

_WITHHELD: Final = "anonymous"
"""The user part and display name of a caller who does not want to be known (RFC 3323 §4.1.1.3, RFC 3261 §8.1.1.3)."""
_UNAVAILABLE: Final = frozenset({"", "unavailable", "unknown"})
"""What gateways and platforms write where they were given no number (RFC 3398 §7.2.1.1, 3GPP TS 29.163 §7.2.3.2.2)."""
_PRIVATE: Final = frozenset({"id", "user"})
"""Words of Privacy that ask for the caller to be hidden (RFC 3323 §4.2, RFC 3325 §9.3)."""


def identified(claimed: CallerId, message: str, *, trusted: bool) -> CallerId:
    """The caller as the operator asserts him, where it is `trusted` (RFC 3325 §8): his number and, if given, his name.

    An unknown or hidden caller has a number then, for records; Privacy hides it from the display, trusted or not.
    """
    asserted = [caller_of(value) for value in values(message, "P-Asserted-Identity")] if trusted else []
    known = next((one for one in asserted if one.number.lstrip("+").isdigit()), None)
    caller = claimed
    if known is not None:
        presentation = claimed.presentation
        if presentation is Presentation.UNAVAILABLE:
            presentation = Presentation.ALLOWED
        name = known.name or (claimed.name if claimed.number == known.number else "")
        caller = CallerId(known.number, name, presentation)
    words = {word.strip().lower() for value in values(message, "Privacy") for word in value.split(";")}
    if words & _PRIVATE and caller.presentation is Presentation.ALLOWED:
        return structs.replace(caller, presentation=Presentation.WITHHELD)
    return caller


def caller_of(name_address: str) -> CallerId:
    """The caller that a From value claims; the display name only where it says more than the number."""
    user, name = user_of(name_address), display_name(name_address)
    if user.lower() == _WITHHELD or (name.lower() == _WITHHELD and not user.lstrip("+").isdigit()):
        return CallerId(presentation=Presentation.WITHHELD)
    if user.lower() in _UNAVAILABLE:
        return CallerId(presentation=Presentation.UNAVAILABLE)
    return CallerId(user, "" if name.strip("+") == user.strip("+") else name)
