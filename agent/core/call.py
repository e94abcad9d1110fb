"""One call, from the last digit (or the arriving INVITE) to its record. Events in, decisions out.

A call ends in two steps: `clear` and `over` fix cause, party and moment and set the line free at once; `finished` turns
true when the SIP leg has reported its end with the statistics, or has been waited for long enough. Everything that ends
a live call goes through `_settle`, once. All times are milliseconds of the boot clock.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from agent.core.actions import Answer, HangUp, Hold, Invite, ProbeTarget, Redirect, Reject, Resume, Ringing, SipAction
from agent.core.announcement import Announcement
from agent.core.diversion import Diverted
from agent.core.events import CallOver
from agent.core.media import MediaStats, Way
from agent.core.quality import Figures
from agent.core.race import Attempt, Race
from agent.core.redirect import MAX_HOPS
from agent.core.spoken import at_the_end
from agent.core.terms import CallKind, CallPhase, Cause, Direction, Party, Tone

EARLY_HANG_UP_MS: Final = 200
"""A call is ended this much before its granted moment: BYE and its answer take time that nobody may be charged for."""
LATE_EDGE_MS: Final = 3_000
"""An on-hook that comes later than this is not believed: the serial link has given up by then."""
STATS_PATIENCE_MS: Final = 2_000
"""How long an ended call's record waits for the SIP leg's own report."""
SLOT_PATIENCE_MS: Final = 40_000
"""A leg that never reports its end gives its call slot back after this (RFC 3261: Timer B and F end at 32 s)."""
SILENT_TARGET_MS: Final = 10_000
"""A call leaves a target that has shown no progress for the next one, where there is one."""
TRYING_TARGET_MS: Final = 20_000
"""And one that has said 100 Trying and nothing since: the next hop lives, what lies behind it may not."""
NEVER_SENT_MS: Final = 200
"""A leg that ends this soon without any peer was never on the wire: no call slot, or no network."""
STARVED_RETRY_MS: Final = 1_000
STARVED_ROUNDS: Final = 40
"""An emergency call that can't be sent is tried every second until dead transactions have given up their slots."""

SILENCE: Final = None
_SC_MOVED: Final = 302
_SC_TIMEOUT: Final = 408


class _Leg(enum.Enum):
    """The SIP side of a call."""

    NONE = enum.auto()
    UP = enum.auto()
    CLOSING = enum.auto()
    GONE = enum.auto()


class Lease(Struct, frozen=True):
    """How long a call may last: until a moment of the boot clock, and so much answered time; None: not limited.

    Each has the moment of its own warning. `limit` names what the answered time comes from.
    """

    until_ms: int | None = None
    warn_at_ms: int | None = None
    max_talk_ms: int | None = None
    warn_talk_ms: int | None = None
    limit: str = ""

    def end(self, answered_ms: int | None) -> tuple[int | None, int | None, str]:
        """The moment at which the call ends, that of the warning, and the limit that sets them."""
        if self.max_talk_ms is None or answered_ms is None:
            return self.until_ms, self.warn_at_ms, ""
        talked_ms = answered_ms + self.max_talk_ms
        if self.until_ms is not None and self.until_ms <= talked_ms:
            return self.until_ms, self.warn_at_ms, ""
        return talked_ms, answered_ms + self.warn_talk_ms if self.warn_talk_ms is not None else None, self.limit


class Hear(Struct, frozen=True):
    """The line of the call hears `tone` (None: silence) until told otherwise."""

    tone: Tone | None


class Speak(Struct, frozen=True):
    """Speech flows between line and call."""


class Warn(Struct, frozen=True):
    """The warning sounds into the conversation, once; `limit` names what the granted time comes from."""

    limit: str = ""


class Leave(Struct, frozen=True):
    """The call has left its line or lines; a handset that is up hears `announcement` first, then `tone`."""

    tone: Tone
    announcement: Announcement | None = None


CallDecision = SipAction | Hear | Speak | Warn | Leave


class Ending(Struct, frozen=True):
    """How a call that was never answered ended, read from the SIP status, and the tone for the caller."""

    cause: Cause
    party: Party
    tone: Tone


_ENDINGS: Final = {
    404: Ending(Cause.NO_SUCH_NUMBER, Party.REMOTE, Tone.SPECIAL),
    406: Ending(Cause.NETWORK_FAILURE, Party.SYSTEM, Tone.CONGESTION),
    408: Ending(Cause.NO_ANSWER, Party.REMOTE, Tone.CONGESTION),
    410: Ending(Cause.NO_SUCH_NUMBER, Party.REMOTE, Tone.SPECIAL),
    480: Ending(Cause.NO_ANSWER, Party.REMOTE, Tone.CONGESTION),
    484: Ending(Cause.NO_SUCH_NUMBER, Party.REMOTE, Tone.SPECIAL),
    486: Ending(Cause.BUSY, Party.REMOTE, Tone.BUSY),
    487: Ending(Cause.CANCELLED, Party.REMOTE, Tone.CONGESTION),
    488: Ending(Cause.NETWORK_FAILURE, Party.SYSTEM, Tone.CONGESTION),
    600: Ending(Cause.BUSY, Party.REMOTE, Tone.BUSY),
    603: Ending(Cause.REMOTE_REFUSED, Party.REMOTE, Tone.BUSY),
    604: Ending(Cause.NO_SUCH_NUMBER, Party.REMOTE, Tone.SPECIAL),
    606: Ending(Cause.NETWORK_FAILURE, Party.SYSTEM, Tone.CONGESTION),
}
_USER_DECIDED: Final = frozenset({486, 600, 603})
"""The far end itself said no: another target would ring the same telephone."""


def unanswered(code: int, *, on_wire: bool) -> Ending:
    """What a final status (RFC 3261 §21) says about a call that nobody answered."""
    if not on_wire or 500 <= code < 600 or code < 300:
        return Ending(Cause.NETWORK_FAILURE, Party.SYSTEM, Tone.CONGESTION)
    if code < 400:
        return Ending(Cause.REDIRECTED, Party.REMOTE, Tone.CONGESTION)
    return _ENDINGS.get(code, Ending(Cause.REMOTE_REFUSED, Party.REMOTE, Tone.CONGESTION))


class Call:
    """One call. `attempts`: how to set up an outgoing one, best first; `lines`: where it is (several while ringing)."""

    def __init__(
        self,
        call_id: str,
        direction: Direction,
        kind: CallKind,
        *,
        account: str,
        number: str,
        own_number: str,
        now: int,
        lines: Sequence[int] = (),
        attempts: Sequence[Attempt] = (),
        withhold: bool = False,
        own_user: str = "",
        for_line: int | None = None,
        diversions: Sequence[Diverted] = (),
    ) -> None:
        """`for_line`: whose service an outgoing call is that no handset is in.

        `diversions`: from where it was sent on, the latest first.
        """
        self.call_id = call_id
        self.direction = direction
        self.kind = kind
        self.account = account
        self.number = number
        self.own_number = own_number
        self.withhold = withhold and kind is not CallKind.EMERGENCY
        """Whether the called party is not to see who calls (CLIR)."""
        self._own_user = own_user
        self.diverted_from = ""
        """Whom the caller of an incoming call had called first."""
        self.diversions = tuple(diversions)
        self._own_account = account
        self.lines: tuple[int, ...] = tuple(lines)
        self.line: int | None = lines[0] if direction is Direction.OUTGOING and lines else for_line
        self.held = False
        """Whether we have put the far end on hold."""
        self.phase = CallPhase.ASKED
        self.asked_ms = now
        self.invited_ms: int | None = now if direction is Direction.INCOMING else None
        self.ringing_ms: int | None = None
        self.answered_ms: int | None = None
        self.until_ms: int | None = None
        self.ended_ms: int | None = None
        self.cause: Cause | None = None
        self.released_by: Party | None = None
        self.refusal = ""
        self.limit = ""
        """What ended the call, where its answered time came to an end."""
        self.sip_code = 0
        self.stats: MediaStats | None = None
        self.figures: Figures | None = None
        """How it sounds at this moment."""
        self.one_way: Way | None = None
        """Which direction is dead, since `one_way_ms`."""
        self.one_way_ms = 0
        self._attempts = tuple(attempts)
        self._tried = 0
        self._hops = 0
        self._progressed = False
        """Whether the present attempt has got further than 100 Trying."""
        self._leg = _Leg.UP if direction is Direction.INCOMING else _Leg.NONE
        self._leg_ends_ms: int | None = None
        self._deadline_ms: int | None = None
        self._warn_at_ms: int | None = None
        self._lease = Lease()
        self._refused_with: Announcement | None = None
        self._warned_of_ms: int | None = None
        """The end of which the caller has been warned."""
        self._early_media = False
        self._abandoning = False
        self._taken = False
        self._started_ms = now
        self._rounds = 0
        self._race: Race | None = None
        self.starved = False
        """Whether an emergency call could not even be sent, and is about to be tried again."""

    # --- what others ask ---------------------------------------------------------------------------------------------

    @property
    def emergency(self) -> bool:
        """Whether this call asks nobody and yields to nobody."""
        return self.kind is CallKind.EMERGENCY

    @property
    def taken(self) -> bool:
        """Whether an incoming call has been answered from this side."""
        return self._taken

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """How an outgoing call is set up."""
        return self._attempts

    @property
    def tried(self) -> tuple[Attempt, ...]:
        """Those of them that have been begun; the last one is the present."""
        return self._attempts[: self._tried]

    @property
    def live(self) -> bool:
        """Whether the call still goes on for whoever holds the handset."""
        return self.cause is None

    @property
    def finished(self) -> bool:
        """Whether the record is complete: nothing about this call will change any more."""
        return self.phase is CallPhase.ENDED

    @property
    def holds_slot(self) -> bool:
        """Whether the SIP library still keeps a call slot for it."""
        return self._leg in (_Leg.UP, _Leg.CLOSING)

    @property
    def announcement(self) -> Announcement | None:
        """What the caller is told in words, once the call has ended; nothing where the network has just said it."""
        if self.cause is None or (self._early_media and self.answered_ms is None and self.released_by is Party.REMOTE):
            return None
        if self.cause is Cause.REFUSED:
            return self._refused_with
        return at_the_end(self.cause, limit=self.limit, emergency=self.emergency)

    def deadline(self) -> int | None:
        """When `tick` wants to be called."""
        warn_at_ms = self._warn_at_ms if self._talking else None
        race_ends_ms = self._race.ends_ms if self._race is not None and self.live else None
        wanted = [at for at in (self._leg_ends_ms, self._deadline_ms, race_ends_ms, warn_at_ms) if at is not None]
        if self.live and self.until_ms is not None:
            wanted.append(self.until_ms - EARLY_HANG_UP_MS)
        return min(wanted, default=None)

    # --- outgoing ----------------------------------------------------------------------------------------------------

    def ask(self, timeout_ms: int) -> None:
        """The agent has been asked and has this long."""
        self._deadline_ms = self.asked_ms + timeout_ms

    @property
    def max_talk_ms(self) -> int | None:
        """The answered time that is granted; None: it is not limited."""
        return self._lease.max_talk_ms

    def grant(self, lease: Lease, now: int) -> list[CallDecision]:
        """The agent's grant; for a call that is already going on, its new lease."""
        if not self.live:
            return []
        self._lease = lease
        self._apply_lease()
        return self.start(now) if self.phase is CallPhase.ASKED else []

    def refuse(self, code: str, tone: Tone, now: int, announcement: Announcement | None = None) -> list[CallDecision]:
        """The agent's refusal."""
        self.refusal, self._refused_with = code, announcement
        return self.clear(Cause.REFUSED, Party.SYSTEM, now, tone)

    def await_slot(self, patience_ms: int, now: int) -> None:
        """An emergency call stands by until there is a call slot, at most this long."""
        self.phase = CallPhase.GRANTED
        self._deadline_ms = now + patience_ms

    @property
    def awaits_slot(self) -> bool:
        """Whether the call stands by for a slot."""
        standing_by = self.live and self._leg is _Leg.NONE and self.phase is CallPhase.GRANTED
        return standing_by and not self.starved and self._race is None

    def race(self, now: int) -> list[CallDecision]:
        """Ask every target of an emergency call whether it lives, before the first INVITE, where there are several."""
        if len(self._attempts) < 2:
            return []
        self._race = Race(self._attempts, now)
        return [ProbeTarget(self.call_id, one.account, one.target) for one in self._attempts]

    @property
    def racing(self) -> bool:
        """Whether it is still open which target is called first."""
        return self._race is not None

    def target_answered(self, account: str, target: int) -> None:
        """A target lives."""
        if self._race is not None and self._race.answered(account, target):
            self._end_race()

    def _end_race(self) -> None:
        if self._race is not None:
            self._attempts, self._race = self._race.order(), None

    def start(self, now: int) -> list[CallDecision]:
        """Send the INVITE of the next attempt."""
        if self._expired(now):
            return self.clear(Cause.LIMIT_REACHED, Party.SYSTEM, now, Tone.CONGESTION)
        if self._tried >= len(self._attempts):
            return self.clear(Cause.NETWORK_FAILURE, Party.SYSTEM, now, Tone.CONGESTION)
        self._end_race()
        quiet: list[CallDecision] = [Hear(SILENCE)] if self.starved else []
        attempt = self._attempts[self._tried]
        self._tried += 1
        self._started_ms, self.starved = now, False
        self.phase = CallPhase.GRANTED
        self._leg = _Leg.UP
        self._early_media = self._abandoning = self._progressed = False
        self.sip_code = 0
        self.account = attempt.account
        if self.invited_ms is None:
            self.invited_ms = now
        more = self._tried < len(self._attempts)
        self._deadline_ms = now + SILENT_TARGET_MS if more else None
        line = self.lines[0] if self.lines else None
        # Another account's operator has not given us this number.
        own_user = self._own_user if attempt.account == self._own_account else ""
        invite = Invite(
            self.call_id, attempt.account, attempt.user, line, self.emergency, attempt.target, self.withhold, own_user,
            self.diversions,
        )  # fmt: skip
        return [*quiet, invite]

    def progress(self, code: int, now: int, *, early_media: bool) -> list[CallDecision]:
        """A provisional response. 100 says only that the target lives, and buys it some time."""
        if not self.live or self._leg is not _Leg.UP or self._abandoning or self.phase is CallPhase.ANSWERED:
            return []
        if code == 100 and not early_media:
            if self._deadline_ms is not None:
                self._deadline_ms = self._started_ms + TRYING_TARGET_MS
            return []
        self._deadline_ms = None
        self._progressed = True
        if code in (180, 183):
            self.phase = CallPhase.RINGING
            self.ringing_ms = now if self.ringing_ms is None else self.ringing_ms
        if early_media:
            self._early_media = True
            return [Speak()]
        return [Hear(Tone.RINGBACK)] if code == 180 and not self._early_media else []

    # --- incoming ----------------------------------------------------------------------------------------------------

    def ring(self, lines: Sequence[int], timeout_ms: int, now: int, *, waiting: bool = False) -> list[CallDecision]:
        """Ring on these lines, or be `waiting` beside the conversation of one."""
        self.lines = tuple(lines)
        self.phase = CallPhase.RINGING
        self.ringing_ms = now
        self._deadline_ms = now + timeout_ms
        return [Ringing(self.call_id, waiting)]

    def take(self, line: int | None) -> list[CallDecision]:
        """The handset of `line` was lifted: answer there. None: for another call that it was forwarded to."""
        if line is not None:
            self.line = line
        self._taken = True
        self.lines = () if line is None else (line,)
        self._deadline_ms = None
        return [Answer(self.call_id, line)]

    # --- both --------------------------------------------------------------------------------------------------------

    def answered(self, at_ms: int) -> list[CallDecision]:
        """Speech flows since `at_ms`. An answer that crossed our hang-up on the wire still was an answer."""
        if self.phase is CallPhase.ENDED or self.answered_ms is not None or self._abandoning:
            return []
        if not self.live:
            if self.ended_ms is not None and at_ms <= self.ended_ms:
                self.answered_ms = at_ms
                self.cause = Cause.NORMAL if self.cause is Cause.CANCELLED else self.cause
            return []
        self.phase = CallPhase.ANSWERED
        self.answered_ms = at_ms
        self._apply_lease()
        self._deadline_ms = None
        return [Speak()]

    def over(self, event: CallOver, now: int, ways: Sequence[Attempt] = ()) -> list[CallDecision]:
        """The SIP leg is gone; `ways`: where a redirection may be followed to (`core.redirect`).

        A call tries its next attempt where this one led nowhere: an emergency call unless the far end itself declined,
        an ordinary one where the target failed before anything else was heard of it.
        """
        if self._leg is _Leg.GONE:
            return []
        self._leg, self._leg_ends_ms = _Leg.GONE, None
        if self.finished:
            return []
        if event.stats is not None:
            self.stats = event.stats
        code = event.code if 100 <= event.code <= 699 else 0
        if not self.live:
            self.sip_code = self.sip_code or code
            self.phase = CallPhase.ENDED
            return []
        self.sip_code = code
        if self.answered_ms is not None:
            if event.remote:
                return self._settle(Cause.NORMAL, Party.REMOTE, now, Tone.CONGESTION)
            cause = Cause.SESSION_EXPIRED if code == _SC_TIMEOUT else Cause.NETWORK_FAILURE
            return self._settle(cause, Party.SYSTEM, now, Tone.CONGESTION)
        if self.direction is Direction.INCOMING:
            cause = Cause.CANCELLED if event.remote else Cause.NETWORK_FAILURE
            party = Party.REMOTE if event.remote else Party.SYSTEM
            return self._settle(cause, party, now, Tone.CONGESTION)
        if self._goes_on(event, ways):
            return [Hear(SILENCE), *self.start(now)]
        if self.emergency and not event.on_wire and now - self._started_ms < NEVER_SENT_MS:
            return self._starve(now)
        ending = unanswered(event.code, on_wire=event.on_wire)
        return self._settle(ending.cause, ending.party, now, ending.tone)

    def unheard(self, event: CallOver) -> bool:
        """Whether this end of an outgoing call says that its target has answered the INVITE by 100 at most."""
        silent = event.code == _SC_TIMEOUT and not event.on_wire and not self._progressed
        return silent and self.answered_ms is None and bool(self.tried)

    def clear(
        self, cause: Cause, party: Party, now: int, tone: Tone = Tone.CONGESTION, *, sip_code: int = 0, at_ms: int = 0
    ) -> list[CallDecision]:
        """End the call from this side; `sip_code` is the final response for an incoming one that nobody took.

        `at_ms`: when the handset was replaced, where that is known (else 0). A conversation ends then and not when we
        came to hear of it; how far back that may lie is bounded. A call that nobody has answered yet ends now: the
        answer may be on its way, and what counts then is when our hang-up left.
        """
        if not self.live:
            return []
        unanswered_incoming = self.direction is Direction.INCOMING and not self._taken
        actions: list[CallDecision] = []
        if self._leg is _Leg.UP:
            self._leg = _Leg.CLOSING
            self._leg_ends_ms = now + STATS_PATIENCE_MS
            if unanswered_incoming:
                self.sip_code = sip_code or 480
                actions.append(Reject(self.call_id, self.sip_code))
            else:
                actions.append(HangUp(self.call_id))
        decisions = self._settle(cause, party, now, tone)
        if at_ms and self.answered_ms is not None:
            self.ended_ms = max(self.answered_ms, now - LATE_EDGE_MS, min(at_ms, now))
        return [*actions, *decisions]

    def redirect(self, user: str, now: int, diversions: Sequence[Diverted] = ()) -> list[CallDecision]:
        """Send the caller of a call that nobody has taken to `user`, at the platform's hands."""
        if not self.live or self._taken or self._leg is not _Leg.UP:
            return []
        self._leg, self._leg_ends_ms = _Leg.CLOSING, now + STATS_PATIENCE_MS
        self.sip_code = _SC_MOVED
        moved = Redirect(self.call_id, user, tuple(diversions))
        return [moved, *self._settle(Cause.FORWARDED, Party.LOCAL, now, Tone.CONGESTION)]

    def hold(self, *, held: bool) -> list[CallDecision]:
        """Put the far end on hold, or take it back; nothing where it is so already, or nobody has answered."""
        if not self.live or self.answered_ms is None or self.held is held:
            return []
        self.held = held
        return [Hold(self.call_id) if held else Resume(self.call_id)]

    def still_held(self) -> None:
        """The far end has refused to come back from hold."""
        self.held = True

    def stand_by(self) -> None:
        """An incoming call waits for what has a patience of its own: another call's answer, or the line card."""
        if self.phase is CallPhase.ASKED:
            self.phase = CallPhase.GRANTED
        self._deadline_ms = None

    def rings_elsewhere(self, now: int) -> list[CallDecision]:
        """The call that it waits for rings: its caller hears that, once."""
        if not self.live or self.taken or self.ringing_ms is not None:
            return []
        self.phase, self.ringing_ms = CallPhase.RINGING, now
        return [Ringing(self.call_id)]

    def leave_lines(self) -> None:
        """The call goes on without any handset."""
        self.lines = ()

    def come_back(self, line: int) -> None:
        """The call belongs to a line again."""
        self.lines = (line,)

    def tick(self, now: int) -> list[CallDecision]:
        """Time has passed."""
        if self._leg_ends_ms is not None and now >= self._leg_ends_ms:
            self._wait_no_longer(now)
        if not self.live:
            return []
        if self._race is not None and now >= self._race.ends_ms:
            self._end_race()
        if self._expired(now):
            self.limit = self._lease.end(self.answered_ms)[2]
            return self.clear(Cause.LIMIT_REACHED, Party.SYSTEM, now)
        if self._deadline_ms is not None and now >= self._deadline_ms:
            self._deadline_ms = None
            return self._impatient(now)
        if self._talking and self._warn_at_ms is not None and now >= self._warn_at_ms:
            self._warn_at_ms, self._warned_of_ms = None, self.until_ms
            return [Warn(self._lease.end(self.answered_ms)[2])]
        return []

    # --- inside ------------------------------------------------------------------------------------------------------

    def _apply_lease(self) -> None:
        self.until_ms, self._warn_at_ms, _ = self._lease.end(self.answered_ms)
        if self.until_ms is not None and self.until_ms == self._warned_of_ms:
            self._warn_at_ms = None

    @property
    def _talking(self) -> bool:
        """Whether somebody is there to be warned: on hold nobody is, and who comes back is warned then."""
        return self.phase is CallPhase.ANSWERED and not self.held

    def _expired(self, now: int) -> bool:
        return self.until_ms is not None and now >= self.until_ms - EARLY_HANG_UP_MS

    def _goes_on(self, event: CallOver, ways: Sequence[Attempt]) -> bool:
        if ways and 300 <= event.code < 400 and self._hops < MAX_HOPS:
            rest = [one for one in self._attempts[self._tried :] if one not in ways]
            self._attempts = (*self.tried, *ways, *rest)
            self._hops += 1
            return True
        if self._tried >= len(self._attempts):
            return False
        if self.emergency:
            return event.code not in _USER_DECIDED
        failed = self._abandoning or not event.on_wire or 500 <= event.code < 600
        return failed and not self._progressed

    def _impatient(self, now: int) -> list[CallDecision]:
        if self.direction is Direction.INCOMING:
            return self.clear(Cause.NO_ANSWER, Party.LOCAL, now, sip_code=480)
        if self.phase is CallPhase.ASKED:
            return self.clear(Cause.AGENT_UNAVAILABLE, Party.SYSTEM, now)
        if self._leg is _Leg.UP:
            # The leg reports its end, and `over` goes on to the next target.
            self._abandoning = True
            return [HangUp(self.call_id)]
        return self.start(now)

    def _starve(self, now: int) -> list[CallDecision]:
        self._rounds += 1
        if self._rounds > STARVED_ROUNDS:
            return self._settle(Cause.NO_CALL_SLOT, Party.SYSTEM, now, Tone.CONGESTION)
        self._leg, self._tried, self.starved = _Leg.NONE, 0, True
        self._deadline_ms = now + STARVED_RETRY_MS
        return [Hear(Tone.CONGESTION)]

    def _settle(self, cause: Cause, party: Party, now: int, tone: Tone) -> list[CallDecision]:
        self.cause, self.released_by, self.ended_ms = cause, party, now
        self._deadline_ms = self._warn_at_ms = None
        if self._leg is not _Leg.CLOSING:
            self.phase = CallPhase.ENDED
        return [Leave(tone, self.announcement)]

    def _wait_no_longer(self, now: int) -> None:
        if self.finished:
            self._leg, self._leg_ends_ms = _Leg.GONE, None
        else:
            self.phase = CallPhase.ENDED
            self._leg_ends_ms = now + SLOT_PATIENCE_MS - STATS_PATIENCE_MS
