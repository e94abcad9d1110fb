"""Whether speech is encrypted (RFC 3711, keys in the SDP: RFC 4568)."""

from __future__ import annotations

import enum


class Srtp(enum.StrEnum):
    """What an account asks of its calls. Keys travel in the signalling, so all of it holds over TLS only."""

    OFF = "off"
    OPTIONAL = "optional"
    """Offered, and taken where the far end has it."""
    MANDATORY = "mandatory"
    """No call without it but an emergency call."""
