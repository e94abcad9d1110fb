"""Who calls, and who is to see it: what an INVITE says of that beside its From, and what it does not."""

from __future__ import annotations

from typing import Final

import pjsua2 as pj

from agent.gateway.daemon.sip.added import add_header
from agent.gateway.daemon.sip.uri import sip_uri

ANONYMOUS: Final = '"Anonymous" <sip:anonymous@anonymous.invalid>'
"""RFC 3323 §4.1.1.3."""


def show(option: pj.SipTxOption, user: str, domain: str) -> None:
    """Write which number of several the call is from (RFC 3325 §9.2): From is the registration's, for all of them.

    Raises ValueError where `user` or `domain` cannot be written.
    """
    add_header(option.headers, "P-Preferred-Identity", f"<{sip_uri(user, domain)}>")


def withhold(option: pj.SipTxOption, user: str, domain: str) -> None:
    """Write From without a name, and who calls for the operator's eyes only (RFC 3325 §9.2, §9.3: Privacy `id`).

    Raises ValueError where `user` or `domain` cannot be written.
    """
    show(option, user, domain)
    option.localUri = ANONYMOUS
    add_header(option.headers, "Privacy", "id")
