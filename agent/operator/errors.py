"""What can go wrong between adapter and operator.

OperatorError
├── Misconfigured  the address, the credential or the CA file cannot be used; no request was made
├── Unreachable    no complete answer came
│   └── CutOff     the operator was there: the request was on its way, and the connection ended or fell silent
├── Busy           429, 502, 503, 504: the operator asks for patience
├── Refused        401, 403: the operator does not accept this device
└── Broken         an answer that this interface does not allow
    └── Rejected   400, 409, 413, 422: the request itself was not taken; sending it again will not help
"""

# ruff: noqa: N818 - the names say what happened; every one is an OperatorError

from __future__ import annotations


class OperatorError(Exception):
    """The operator could not be asked, or gave no useful answer; the message holds no secret and no number."""


class Misconfigured(OperatorError):
    """The client cannot work with what it was given."""


class Unreachable(OperatorError):
    """The connection failed, broke off or took too long."""


class CutOff(Unreachable):
    """The connection was made, and ended or fell silent before the answer was complete."""


class Busy(OperatorError):
    """The operator has no time now. `retry_after_s` is how long it asks to wait, None where it does not say."""

    def __init__(self, message: str, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(OperatorError):
    """The operator does not accept this device's identity."""


class Broken(OperatorError):
    """An answer outside the interface; the message names what was unexpected. `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Rejected(Broken):
    """The operator will not take this very request, however often it is sent."""
