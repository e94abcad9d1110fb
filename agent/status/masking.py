"""From the snapshot as it is to the snapshot as it may be seen: no full number leaves this module."""

from __future__ import annotations

from typing import Final, TypeVar

from msgspec import structs

from agent.core.numbers import mask
from agent.logs import scrub
from agent.status.snapshot import Snapshot, View

_NUMBERS: Final = frozenset({"number", "own_number", "diverted_from"})
_AS_THEY_ARE: Final = frozenset(
    {"id", "call_id", "version", "valid_from", "currency", "key", "month", "invoiced_in", "last_day", "unlock_code"}
)
"""Fields that our own software writes and that may hold long runs of digits (a version `20260801`)."""

_V = TypeVar("_V", bound=View)


def masked(snapshot: Snapshot) -> Snapshot:
    """The same snapshot with every number masked, also those that hide in a reason or a sentence's value."""
    return _masked_view(snapshot)


def _masked_view(view: _V) -> _V:
    return structs.replace(
        view,
        **{name: _masked_value(name, getattr(view, name)) for name in view.__struct_fields__},
    )


def _masked_value(name: str, value: object) -> object:
    if isinstance(value, View):
        return _masked_view(value)
    if isinstance(value, list):
        return [_masked_value(name, item) for item in value]
    if isinstance(value, dict):
        return {key: _masked_value(key, item) for key, item in value.items()}
    # Enums are texts too, but of our own making; they must stay enums.
    if type(value) is not str or name in _AS_THEY_ARE:
        return value
    return mask(value) if name in _NUMBERS else scrub(value)
