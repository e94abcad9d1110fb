"""Headers of our own in a message that the library writes."""

from __future__ import annotations

import pjsua2 as pj


def add_header(headers: pj.SipHeaderVector, name: str, value: str) -> None:
    """Let the message carry one more header."""
    header = pj.SipHeader()
    header.hName, header.hValue = name, value
    headers.append(header)
