"""What every callback of the library is wrapped in: an exception there must never reach native code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")


class Failing(Protocol):
    """An object with callbacks; it is told of what went wrong in them."""

    def callback_failed(self, callback: str, error: BaseException) -> None:
        """Count and log it; must not raise."""


S = TypeVar("S", bound=Failing)


def guarded(callback: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """Wrap a callback that returns nothing: whatever it raises is reported to its object and swallowed."""

    @functools.wraps(callback)
    def safe(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            callback(self, *args, **kwargs)
        except BaseException as error:  # noqa: BLE001  raised through native code it would end the process
            self.callback_failed(callback.__name__, error)

    return safe
