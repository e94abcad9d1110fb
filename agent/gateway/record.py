"""What every record of the gateway's sockets is made of."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Short = Annotated[str, Meta(max_length=128)]
Text = Annotated[str, Meta(max_length=1024)]
LineNumber = Annotated[int, Meta(ge=0, le=7)]
BootMs = Annotated[int, Meta(ge=0, le=2**53)]
"""2**53: what every JSON reader holds exactly (RFC 8259 §6)."""


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of every record and of their parts."""
