"""What the page says about the operator: a key of the text catalogue for each kind of trouble."""

from __future__ import annotations

import enum

from agent.operator.errors import Busy, Misconfigured, OperatorError, Refused, Unreachable


class Trouble(enum.StrEnum):
    """Why the last attempt did not succeed."""

    UNREACHABLE = "operator.unreachable"
    BUSY = "operator.busy"
    REFUSED = "operator.refused"
    BROKEN = "operator.broken"
    MISCONFIGURED = "operator.misconfigured"
    STORAGE = "operator.storage"
    PRICE_LIST_REFUSED = "operator.price_list_refused"

    @classmethod
    def of(cls, error: OperatorError) -> Trouble:
        """The trouble that an error means."""
        for kind, trouble in _TROUBLES:
            if isinstance(error, kind):
                return trouble
        return cls.BROKEN


_TROUBLES: tuple[tuple[type[OperatorError], Trouble], ...] = (
    (Unreachable, Trouble.UNREACHABLE),
    (Busy, Trouble.BUSY),
    (Refused, Trouble.REFUSED),
    (Misconfigured, Trouble.MISCONFIGURED),
)
