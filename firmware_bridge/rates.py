"""At which rate the two ends speak: opened at 115200, raised by SET_BAUD, and back again where that fails. Pure.

The card answers SET_BAUD at the old rate, then switches. The host switches when it reads the answer and sends PINGs.
An end that hears nothing valid at the new rate within CONFIRM_MS returns to the old one, so both meet again there.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Sequence

BASE_RATE = 115_200
"""The rate of every card without a session."""

CONFIRM_MS = 200
LISTEN_MS = 250
"""How long the host listens at another rate: BASE_RATE for a card that may have restarted, or the one last agreed on
for a card that heard our first word there while its answer was lost."""

NOISY_MS = 300
QUIET_MS = 1600
_LISTEN_PAUSE_MS = 500
_KNOWN = (1_000_000, 2_000_000, 921_600, 460_800, 230_400)


class Phase(enum.Enum):
    """What the host's rate is doing."""

    SETTLED = "settled"
    ASKED = "asked"
    CONFIRMING = "confirming"
    LISTENING = "listening"


class HostRate:
    """The rate of the host's port, and which one comes next. `wanted`: the highest it may choose."""

    def __init__(self, wanted: int = BASE_RATE) -> None:
        self.rate = BASE_RATE
        self.phase = Phase.SETTLED
        self.fallbacks = 0
        self._wanted = wanted
        # Twice where the card most likely is: it heard the first word, perhaps, and was too slow to answer.
        likely = (wanted, wanted) if wanted != BASE_RATE else ()
        self._probes = (*likely, *(rate for rate in _KNOWN if rate != wanted))
        self._probe = 0
        self._before = self._agreed = BASE_RATE
        self._asking = False
        self._until_ms = 0
        self._listened_ms = 0
        self._ladder: deque[int] = deque()

    # --- without a session ---

    def seek(self) -> None:
        """The port was opened: begin where every card begins."""
        self.rate = BASE_RATE
        self.lost()

    def lost(self) -> None:
        """The session ended: the card may still be at this rate, so it is tried first."""
        self.phase = Phase.SETTLED
        self._asking = False
        self._ladder.clear()
        self._probe = 0

    def probe(self) -> None:
        """Nobody answered: the next rate, BASE_RATE every other time, for a card that kept its rate without us."""
        if self.rate != BASE_RATE:
            self.rate = BASE_RATE
        else:
            self.rate = self._probes[self._probe % len(self._probes)]
            self._probe += 1

    # --- in a session ---

    def begin(self, offered: Sequence[int]) -> None:
        """A session began with a card that can speak at the rates of `offered` (none: it cannot switch)."""
        self.phase = Phase.SETTLED
        self._agreed = self.rate
        usable = sorted((rate for rate in offered if BASE_RATE < rate <= self._wanted), reverse=True)
        # The best one has two tries, since one lost frame is no verdict on the wire; then it goes down.
        ladder = [*usable[:1], *usable[:3]] or [rate for rate in offered if rate == BASE_RATE]
        self._ladder = deque(() if ladder[:1] == [self.rate] else ladder)

    def next_wish(self) -> int | None:
        """The rate to ask for, None where there is nothing to ask."""
        if self.phase is not Phase.SETTLED:
            return None
        while self._ladder and self._ladder[0] == self.rate:
            self._ladder.popleft()
        return self._ladder.popleft() if self._ladder else None

    def asked(self) -> None:
        """SET_BAUD is on the wire: nothing else should be."""
        self.phase = Phase.ASKED
        self._asking = True

    def answered(self, baud: int | None, took_ms: int, now: int) -> None:
        """The card agreed to `baud`, or refused (None). An answer that took long is void: the card has gone back."""
        self._asking = False
        if self.phase is not Phase.ASKED:
            return
        if baud is None:
            self.phase = Phase.SETTLED
            self._ladder.clear()
        elif took_ms > CONFIRM_MS:
            self.phase = Phase.SETTLED
            self.fallbacks += 1
        else:
            self.phase = Phase.CONFIRMING
            self._before, self.rate = self.rate, baud
            self._agreed = baud
            self._until_ms = now + CONFIRM_MS

    def heard(self) -> None:
        """A whole frame arrived at the present rate."""
        if self.phase is Phase.CONFIRMING:
            self.phase = Phase.SETTLED
            self._ladder.clear()
        elif self.phase is Phase.LISTENING:
            self.phase = Phase.SETTLED
            self.fallbacks += 1

    def suspect_ms(self, heard_ms: int, *, noisy: bool) -> int | None:
        """When to look whether the card speaks at another rate than we believe; None: there is no other."""
        if self._other() == self.rate or self.phase not in (Phase.SETTLED, Phase.ASKED):
            return None
        return max(heard_ms + (NOISY_MS if noisy else QUIET_MS), self._listened_ms)

    def _other(self) -> int:
        return BASE_RATE if self.rate != BASE_RATE else self._agreed

    def listen(self, now: int) -> None:
        """Go to the other rate for a moment."""
        self._before, self.rate = self.rate, self._other()
        self.phase = Phase.LISTENING
        self._until_ms = now + LISTEN_MS
        self._listened_ms = now + LISTEN_MS + _LISTEN_PAUSE_MS

    def deadline(self) -> int | None:
        """When `expire` has something to do."""
        return self._until_ms if self.phase in (Phase.CONFIRMING, Phase.LISTENING) else None

    def expire(self, now: int) -> None:
        """Return to the rate before where the new one stayed silent."""
        due = self.deadline()
        if due is None or now < due:
            return
        self.fallbacks += self.phase is Phase.CONFIRMING
        self.rate = self._before
        self.phase = Phase.ASKED if self._asking else Phase.SETTLED


class CardRate:
    """The rate of the card's port: follows the host's SET_BAUD, and returns to where it was without a valid frame."""

    def __init__(self) -> None:
        self.rate = BASE_RATE
        self.fallbacks = 0
        self._before = BASE_RATE
        self._agreed: tuple[int, int] | None = None
        self._confirm_ms: int | None = None

    def agree(self, reply_seq: int, baud: int) -> None:
        """Switch to `baud` when the reply numbered `reply_seq` has been sent."""
        self._agreed = (reply_seq, baud)

    def sent(self, seq: int, now: int) -> bool:
        """A reply was handed out; true where what follows it goes at another rate."""
        if self._agreed is None or self._agreed[0] != seq:
            return False
        self._before, self.rate = self.rate, self._agreed[1]
        self._agreed = None
        self._confirm_ms = now + CONFIRM_MS
        return True

    def heard(self) -> None:
        """A whole frame arrived at the present rate."""
        self._confirm_ms = None

    def deadline(self) -> int | None:
        """When `expire` has something to do."""
        return self._confirm_ms

    def expire(self, now: int) -> None:
        """Return to the rate before where the new one stayed silent."""
        if self._confirm_ms is not None and now >= self._confirm_ms:
            self._confirm_ms = None
            self.rate = self._before
            self.fallbacks += 1

    def forget(self) -> None:
        """The session ended: every host begins at BASE_RATE."""
        self._agreed = self._confirm_ms = None
        self.rate = BASE_RATE
