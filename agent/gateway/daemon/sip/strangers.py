"""Calls from addresses that may not call here: each is refused a little later, from the queue, and told of at times."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from agent.core.ranges import Ranges
from agent.gateway.daemon.sip.call import SipCall

_REFUSAL_DELAY_MS = 150
"""A refused INVITE gives its two media sockets back half a second later, and the library has 64. With four call slots
this leaves enough of them for other calls; `MediaSockets` sees to the rest."""
_LOG_MS = 3_000
"""At most one line in this time tells of refused strangers: a flood is not to fill the log as well."""


class Strangers:
    """The calls of strangers that still hold a slot of the library. `refuse` ends one; it must not be in a callback."""

    def __init__(
        self, refuse: Callable[[SipCall], None], clock: Callable[[], int], log: Callable[[str, str, str], None]
    ) -> None:
        self._refuse = refuse
        self._clock = clock
        self._log = log
        self.known = Ranges()
        """Ranges whose addresses are no strangers', beside those of the accounts' targets."""
        self._calls: list[SipCall] = []
        self._due: deque[tuple[int, SipCall]] = deque()
        self.refused = 0
        """INVITEs refused because they came from an address that is neither an account's target nor the operator's."""
        self._told = 0
        self._tell_ms = 0
        self._last_source = ""

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[SipCall]:
        return iter(tuple(self._calls))

    def came(self, call: SipCall, source: str) -> None:
        """Take an INVITE from the address `source`. May run in a callback: nothing is answered here."""
        call.ended_here = True
        self._calls.append(call)
        self._due.append((self._clock() + _REFUSAL_DELAY_MS, call))
        self.refused += 1
        self._last_source = source
        self.tell()

    def refuse_due(self) -> None:
        """Refuse those who have waited long enough."""
        while self._due and self._due[0][0] <= self._clock():
            self._refuse(self._due.popleft()[1])

    def refuse_one(self) -> None:
        """Refuse the oldest now: his slot is needed.

        One for each call of ours, and nothing is read from the network before the slot is taken: the bound on the
        sockets that strangers can make the library open stands.
        """
        if self._calls:
            self._refuse(self._calls[0])

    def wait_ms(self, timeout_ms: int) -> int:
        """How long a poll may wait until something is to be done here, at most `timeout_ms`."""
        now = self._clock()
        if self._due:
            timeout_ms = min(timeout_ms, max(0, self._due[0][0] - now))
        if self.refused > self._told:
            timeout_ms = min(timeout_ms, max(0, self._tell_ms - now))
        return timeout_ms

    def tell(self) -> None:
        """Log those who came since the last line, where that is long enough ago."""
        now = self._clock()
        fresh = self.refused - self._told
        if not fresh or now < self._tell_ms:
            return
        self._told, self._tell_ms = self.refused, now + _LOG_MS
        others = "" if fresh == 1 else f" and {fresh - 1} before it"
        self._log("warning", "sip_stranger_refused", f"INVITE from {self._last_source}{others}, {self.refused} in all")

    def over(self, call: SipCall) -> None:
        """A call has ended; nothing where it was not a stranger's."""
        if call in self._calls:
            self._calls.remove(call)
            self._due = deque(refusal for refusal in self._due if refusal[1] is not call)

    def clear(self) -> None:
        """Drop all: the library is about to end."""
        self._calls.clear()
        self._due.clear()
