"""Tells the far ends of calls that our Contact is another one: they would send what is to come to the old place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pjsua2 as pj
from msgspec import Struct

from agent.gateway.daemon.sip.call import SipCall
from agent.gateway.daemon.sip.reasons import reason_of

_ATTEMPTS: Final = 10
_AGAIN_MS: Final = 1_000


class _Owed(Struct):
    call: SipCall
    due_ms: int
    attempts: int = 0


class ContactNews:
    """The calls whose far ends are still to be told. A re-INVITE that is under way is waited for."""

    def __init__(self, clock: Callable[[], int], log: Callable[[str, str, str], None]) -> None:
        self._clock = clock
        self._log = log
        self._owed: list[_Owed] = []

    def owe(self, call: SipCall) -> None:
        """The far end of this call is to be told."""
        if not any(one.call is call for one in self._owed):
            self._owed.append(_Owed(call, self._clock()))

    def tell(self) -> None:
        """Tell those whose turn it is. Not from a callback."""
        if self._owed:
            self._owed = [one for one in self._owed if not self._told(one)]

    def wait_ms(self, timeout_ms: int) -> int:
        """How long a poll may wait until somebody is to be told, at most `timeout_ms`."""
        return min([timeout_ms, *(max(0, one.due_ms - self._clock()) for one in self._owed)])

    def over(self, call: SipCall) -> None:
        """A call has ended."""
        self._owed = [one for one in self._owed if one.call is not call]

    def forget(self) -> None:
        """The library is about to end."""
        self._owed.clear()

    def _told(self, one: _Owed) -> bool:
        if self._clock() < one.due_ms:
            return False
        try:
            one.call.tell_contact()
        except pj.Error as error:
            one.attempts += 1
            one.due_ms = self._clock() + _AGAIN_MS
            if one.attempts < _ATTEMPTS:
                return False
            self._log("warning", "sip_contact_not_told", f"call {one.call.call_id}: {reason_of(error)}")
        return True
