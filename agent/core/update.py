"""The words for a firmware update of the line card."""

from __future__ import annotations

import enum

from msgspec import Struct


class UpdatePhase(enum.StrEnum):
    """How far an update has come. The last four are ends."""

    PREPARING = "preparing"
    SENDING = "sending"
    INTERRUPTED = "interrupted"
    """The card is away; the update goes on when it is back."""
    VERIFYING = "verifying"
    RESTARTING = "restarting"
    CONFIRMING = "confirming"
    DONE = "done"
    ABORTED = "aborted"
    FAILED = "failed"
    REFUSED = "refused"

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self in (UpdatePhase.DONE, UpdatePhase.ABORTED, UpdatePhase.FAILED, UpdatePhase.REFUSED)


class UpdateProgress(Struct, frozen=True):
    """An update as it stands, in bytes; `reason` is the key of a sentence in the section `update`."""

    phase: UpdatePhase
    request: str = ""
    version: str = ""
    sent: int = 0
    total: int = 0
    reason: str = ""
    detail: str = ""
