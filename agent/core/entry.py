"""The words in which the catalogue is written: names, amounts, audiences, features, and what is said of tax."""

from __future__ import annotations

import enum
from typing import Annotated

from msgspec import Meta, Struct

Id = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]
Words = Annotated[str, Meta(min_length=1, max_length=128)]
Amount = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?$")]
Count = Annotated[int, Meta(ge=1, le=10_000)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Samples = Annotated[tuple[Words, ...], Meta(max_length=32)]
"""Settings whose value is a sample: the operator's published terms leave them open."""


class CatalogueError(Exception):
    """The catalogue contradicts itself; the message names the product."""


class Feature(enum.StrEnum):
    """Something a product can have beyond a dial tone."""

    SOFTPHONE = "softphone"
    CALL_FORWARDING = "call_forwarding"
    CALLER_ID_RESTRICTION = "caller_id_restriction"
    MINUTE_PACK = "minute_pack"
    RING_GROUP = "ring_group"
    QUEUE = "queue"
    OPENING_HOURS = "opening_hours"
    WELCOME_MESSAGE = "welcome_message"
    VOICEMAIL = "voicemail"


class Audience(enum.StrEnum):
    """Who may have a product."""

    PRIVATE = "private"
    BUSINESS = "business"


class Vat(enum.StrEnum):
    """What a price says of value added tax."""

    INCLUDED = "included"
    EXCLUDED = "excluded"
    NOT_STATED = "not_stated"


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what the catalogue's file holds."""


class Name(Entry, frozen=True, kw_only=True):
    """A name in both languages."""

    nb: Words
    en: Words
