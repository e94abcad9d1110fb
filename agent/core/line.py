"""One analog line: hook, digits, and what is heard in the handset. Events in, actions for the card out.

A line knows nothing of SIP. What it can't decide alone it hands on as `Dialled`: whoever owns the calls answers with
`join`, `reorder` or nothing. All times are milliseconds of the boot clock.
"""

from __future__ import annotations

import enum
from typing import Final

from msgspec import Struct

from agent.core.actions import (
    AbortLineTest,
    Announce,
    CardAction,
    CloseAudio,
    OpenAudio,
    PlayTone,
    Ring,
    StopAnnouncement,
    StopRing,
    StopTone,
)
from agent.core.announcement import Announcement
from agent.core.caller import CallerId
from agent.core.dialplan import DialPlan, Outcome
from agent.core.terms import LineService, Tone

HOWLER_AFTER_MS: Final = 60_000
"""A handset that lies beside the telephone is called for after a minute of tone (off-hook warning)."""
FRESH_START_MS: Final = 2_000
"""Behind a tone that says no, digits count as a new number only after this much silence: the rest of a number that was
refused on its way must not be taken for 112."""
LONGEST_ANNOUNCEMENT_MS: Final = 15_000
"""An announcement whose end nobody reports is over by then: longer than any recording may be."""


class LinePhase(enum.Enum):
    """What a line is doing."""

    IDLE = enum.auto()
    RINGING = enum.auto()
    COLLECTING = enum.auto()
    IN_CALL = enum.auto()
    REORDER = enum.auto()
    HOWLER = enum.auto()
    TESTING = enum.auto()


class Dialled(Struct, frozen=True):
    """A whole number, ready to be called: in canonical form where it is an emergency number, else as dialled."""

    line: int
    number: str
    emergency: bool
    withhold: bool | None = None
    """Whether the called party is not to see who calls (CLIR); None: as the line is set."""
    own_number: str = ""
    """Which of the customer's numbers it is from; empty: the line's."""


class Misdialled(Struct, frozen=True):
    """The digits can't become a number; the line says so with a tone."""

    line: int


class CodeDialled(Struct, frozen=True):
    """A whole service code; whoever performs services answers with a tone (`reorder`), or with a call (`join`)."""

    line: int
    code: str


LineDecision = CardAction | Dialled | Misdialled | CodeDialled


class Line:
    """One line; `index` counts from 0."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.phase = LinePhase.IDLE
        self.off_hook = False
        self.digits = ""
        self.tone: Tone | None = None
        self.call_id = ""
        """The call that rings here or that this handset is in; empty: none."""
        self.machine = False
        """Whether machines speak to each other in this conversation: nothing may sound into it."""
        self.stutter = False
        """Whether the dial tone says that something waits, or that calls go elsewhere."""
        self.announcement: Announcement | None = None
        """What is being said instead of the tone that follows."""
        self._take = 0
        self._then: Tone = Tone.CONGESTION
        self._audio = False
        self._deadline_ms: int | None = None
        self._exercise_ends_ms: int | None = None
        self._deaf_until_ms = 0
        self.service = LineService.FULL
        self.announces = True
        """Whether there is somebody to tell in words why a call can't be made."""
        self.howler_after_ms = HOWLER_AFTER_MS

    @property
    def ringing(self) -> bool:
        """Whether the bell rings, for a call or for a trial."""
        return self.phase is LinePhase.RINGING

    @property
    def free(self) -> bool:
        """Whether a call may ring here: on-hook and in no call; a technician's trial or test gives way."""
        return not self.off_hook and not self.call_id

    @property
    def testing(self) -> bool:
        """Whether its wires are being measured."""
        return self.phase is LinePhase.TESTING

    @property
    def dial_tone(self) -> Tone:
        """What a lifted handset hears before the first digit."""
        if self.service is not LineService.FULL:
            return Tone.SPECIAL
        return Tone.RECALL if self.stutter else Tone.DIAL

    @property
    def awaits_first_digit(self) -> bool:
        """Whether the handset hears dial tone and nothing has been dialled."""
        return self.phase is LinePhase.COLLECTING and not self.digits

    @property
    def at_rest(self) -> bool:
        """Whether nobody uses it for anything: no hand, no call, no bell, no test."""
        return self.phase is LinePhase.IDLE and self.free

    def deadline(self) -> int | None:
        """When `tick` wants to be called."""
        return min((at for at in (self._deadline_ms, self._exercise_ends_ms) if at is not None), default=None)

    # --- the handset -------------------------------------------------------------------------------------------------

    def lift(self, plan: DialPlan, now: int) -> list[LineDecision]:
        """The handset was lifted and no call rings: dial tone (over a trial tone only when that has ended)."""
        if self.off_hook:
            return []
        self.off_hook = True
        actions: list[LineDecision] = []
        if self.phase is LinePhase.RINGING:
            actions.append(StopRing(self.index))
            self._exercise_ends_ms = None
        actions += self._stop_test()
        self._collect(plan, now)
        if self._exercise_ends_ms is None:
            actions += self._ready()
        return actions

    def replace(self) -> list[CardAction]:
        """The handset was replaced: silence, nothing dialled remains. The call is its owner's to end."""
        self.off_hook = False
        return self._rest()

    def dial(self, digit: str, plan: DialPlan, now: int) -> list[LineDecision]:
        """One digit outside a call. A digit from a handset that we believed to be down proves that it is up."""
        actions: list[LineDecision] = []
        if not self.off_hook:
            actions += self.lift(plan, now)
        if self.phase is LinePhase.TESTING:
            # The loop was closed all the time, and yet there is somebody.
            actions += self._stop_test()
            self.phase = LinePhase.HOWLER
        if self.phase in (LinePhase.REORDER, LinePhase.HOWLER):
            return [*actions, *self._dial_behind_tone(digit, plan, now)]
        if self.phase is not LinePhase.COLLECTING:
            return actions
        self._exercise_ends_ms = None
        actions += self._silence()
        self.digits += digit
        match = plan.match(self.digits)
        if self.service is LineService.DEAD and not match.emergency and match.outcome is not Outcome.NEED_MORE:
            return [*actions, *self._nothing(now)]
        if match.outcome is Outcome.COMPLETE:
            return [*actions, self._whole(match.number, emergency=match.emergency)]
        if match.outcome is Outcome.NEED_MORE:
            self._deadline_ms = now + (plan.first_digit_ms if match.timer_ms is None else match.timer_ms)
            return actions
        if match.outcome is Outcome.SERVICE_CODE:
            self._deadline_ms = None
            return [*actions, CodeDialled(self.index, self.digits)]
        return [*actions, Misdialled(self.index), *self.reorder(Tone.SPECIAL, now, Announcement.NO_SUCH_NUMBER)]

    def tick(self, plan: DialPlan, now: int) -> list[LineDecision]:
        """Time has passed: a number may be whole, patience may have ended, a trial may be over."""
        actions: list[LineDecision] = []
        if self._exercise_ends_ms is not None and now >= self._exercise_ends_ms:
            actions += self._end_exercise()
        if self._deadline_ms is None or now < self._deadline_ms:
            return actions
        self._deadline_ms = None
        if self.phase is LinePhase.COLLECTING:
            match = plan.match(self.digits)
            if self.service is LineService.DEAD and not match.emergency:
                return [*actions, *self._nothing(now)]
            if match.outcome is Outcome.NEED_MORE and match.timer_ms is not None:
                return [*actions, self._whole(match.number, emergency=match.emergency)]
            said = Announcement.INCOMPLETE_NUMBER if self.digits else None
            return [*actions, *self.reorder(Tone.CONGESTION, now, said)]
        if self.announcement is not None:
            return [*actions, *self._say_no(now)]
        if self.phase is LinePhase.REORDER:
            self.phase = LinePhase.HOWLER
            actions += self._play(Tone.HOWLER)
        return actions

    # --- what the owner of the calls decides -------------------------------------------------------------------------

    def join(self, call_id: str) -> None:
        """The handset is in this call from now on."""
        self.call_id = call_id
        self.phase = LinePhase.IN_CALL
        self._deadline_ms = self._exercise_ends_ms = None

    def ring(self, call_id: str, caller: CallerId | None, cadence: str = "", when: str = "") -> list[CardAction]:
        """Ring for an incoming call, with the named cadence; `when` is the time that the telephone shows."""
        actions = self._rest()
        self.call_id = call_id
        self.phase = LinePhase.RINGING
        return [*actions, Ring(self.index, caller, cadence, when)]

    def answer(self) -> list[CardAction]:
        """The handset of the ringing line was lifted: it is in the call."""
        self.off_hook = True
        self.join(self.call_id)
        return [StopRing(self.index)]

    def hear(self, tone: Tone | None) -> list[CardAction]:
        """Play `tone` into the call, or silence."""
        return self._silence() if tone is None else self._play(tone)

    def speak(self) -> list[CardAction]:
        """Let speech flow."""
        if self._audio:
            return self._silence()
        self._audio = True
        return [*self._silence(), OpenAudio(self.index)]

    def machine_heard(self) -> bool:
        """The answer tone of a fax machine or modem sounds; that holds until speech ends. Whether that is news."""
        news = self._audio and not self.machine
        self.machine = self._audio
        return news

    def leave(self, tone: Tone, now: int, announcement: Announcement | None = None) -> list[CardAction]:
        """The call is over on this line: what rang falls silent, a lifted handset is told why until it is replaced."""
        self.call_id = ""
        return self.reorder(tone, now, announcement) if self.off_hook else self._rest()

    def set_aside(self) -> list[CardAction]:
        """The handset leaves its call, which goes on without it: silence."""
        self.call_id = ""
        return self._mute() + self._silence()

    def recall(self, plan: DialPlan, now: int) -> list[CardAction]:
        """The handset leaves its call, which waits, for another number: recall dial tone (ETSI ETS 300 738)."""
        actions = self.set_aside()
        self._collect(plan, now)
        return [*actions, *self._play(Tone.RECALL)]

    def start_afresh(self, plan: DialPlan, now: int) -> list[CardAction]:
        """R at a tone, or the words before it, that end what was dialled: dial tone, as after on-hook and off-hook.

        Nothing anywhere else: whoever hears dial tone, or has begun to dial, loses no digit of 112 to a weak contact.
        """
        if not self.off_hook or self.call_id or self.phase not in (LinePhase.REORDER, LinePhase.HOWLER):
            return []
        self._collect(plan, now)
        return self._ready()

    def dials(self, number: str) -> Dialled:
        """A number that nobody has to dial, called in the place of the first digit."""
        return self._whole(number, emergency=False)

    def listen(self, digits: str) -> None:
        """Behind a tone that says no to a number that nobody dialled here: `digits` may be the beginning of 112."""
        if self.phase is LinePhase.REORDER:
            self.digits, self._deaf_until_ms = digits, 0

    def reorder(self, tone: Tone, now: int, announcement: Announcement | None = None) -> list[CardAction]:
        """Say `announcement` to whoever understands it, play `tone` until on-hook, and the howler after a minute."""
        said = None if self.machine else announcement
        actions = self._mute()
        self.call_id = ""
        self.digits = ""
        self.phase = LinePhase.REORDER
        self._deadline_ms = now + self.howler_after_ms
        self._exercise_ends_ms = None
        self._deaf_until_ms = now + FRESH_START_MS
        actions += self._say(said, tone)
        if self.announcement is not None:
            self._deadline_ms = now + LONGEST_ANNOUNCEMENT_MS
        return actions

    def announced(self, take: int, now: int) -> list[CardAction]:
        """An announcement has been heard to its end: the tone follows, where it still says the same."""
        return self._say_no(now) if self.announcement is not None and take == self._take else []

    def exercise_ring(self, duration_ms: int, now: int) -> list[CardAction]:
        """A technician's trial: ring the bell of an idle line; nothing where the line is not idle."""
        if self.phase is not LinePhase.IDLE or self.off_hook:
            return []
        actions = self._rest()
        self.phase = LinePhase.RINGING
        self._exercise_ends_ms = now + duration_ms
        return [*actions, Ring(self.index, None)]

    def exercise_tone(self, tone: Tone, duration_ms: int, now: int) -> list[CardAction]:
        """A technician's trial: play a tone on a line in no call on which nothing has been dialled."""
        listening = self.phase is LinePhase.COLLECTING and not self.digits
        if self.call_id or not (self.phase is LinePhase.IDLE or listening):
            return []
        self._exercise_ends_ms = now + duration_ms
        return self._play(tone)

    def begin_test(self) -> list[CardAction] | None:
        """Give the wires to a line test; None where somebody uses them.

        A loop that has been closed since the howler began is no user: that is what the test is asked to explain.
        """
        howling = self.phase is LinePhase.HOWLER and not self.call_id and not self.digits
        if not howling and (self.phase is not LinePhase.IDLE or self.off_hook):
            return None
        actions = self._silence()
        self._exercise_ends_ms = None
        self.phase = LinePhase.TESTING
        return actions

    def end_test(self) -> list[CardAction]:
        """The line test is over: back to waiting, or to calling for the handset."""
        if self.phase is not LinePhase.TESTING:
            return []
        self.phase = LinePhase.HOWLER if self.off_hook else LinePhase.IDLE
        return self._play(Tone.HOWLER) if self.off_hook else []

    # --- inside ------------------------------------------------------------------------------------------------------

    def _collect(self, plan: DialPlan, now: int) -> None:
        self.phase = LinePhase.COLLECTING
        self.digits = ""
        self._deadline_ms = now + plan.first_digit_ms

    def _whole(self, number: str, *, emergency: bool) -> Dialled:
        self._deadline_ms = None
        return Dialled(self.index, number, emergency)

    def _dial_behind_tone(self, digit: str, plan: DialPlan, now: int) -> list[LineDecision]:
        """Whoever hears a tone and dials 112 without hanging up first is not made to."""
        if not self.digits and now < self._deaf_until_ms:
            self._deaf_until_ms = now + FRESH_START_MS
            return []
        match = plan.match(self.digits + digit)
        if match.emergency:
            self.digits += digit
            self.phase = LinePhase.COLLECTING
            return [*self._silence(), self._whole(match.number, emergency=True)]
        if match.outcome is Outcome.NEED_MORE:
            self.digits += digit
        else:
            self.digits = ""
            self._deaf_until_ms = now + FRESH_START_MS
        return []

    def _end_exercise(self) -> list[CardAction]:
        self._exercise_ends_ms = None
        if self.phase is LinePhase.RINGING:
            self.phase = LinePhase.IDLE
            return [StopRing(self.index)]
        return self._ready() if self.off_hook else self._silence()

    def _stop_test(self) -> list[CardAction]:
        return [AbortLineTest(self.index)] if self.phase is LinePhase.TESTING else []

    def _rest(self) -> list[CardAction]:
        """Stop everything the card does for this line, and wait for the next call or the next hand."""
        actions: list[CardAction] = [StopRing(self.index)] if self.phase is LinePhase.RINGING else []
        actions += self._stop_test()
        actions += self._mute() + self._silence()
        self.phase = LinePhase.IDLE
        self.digits = self.call_id = ""
        self._deadline_ms = self._exercise_ends_ms = None
        return actions

    def _ready(self) -> list[CardAction]:
        """What a lifted handset hears first."""
        if self.service is LineService.DEAD:
            return self._silence()
        only = self.service is LineService.EMERGENCY_ONLY
        return self._say(Announcement.EMERGENCY_ONLY if only else None, self.dial_tone)

    def _nothing(self, now: int) -> list[CardAction]:
        """A dead line does not even say no; the rest of a number is not taken for 112."""
        self.phase = LinePhase.REORDER
        self.digits = ""
        self._deadline_ms = None
        self._deaf_until_ms = now + FRESH_START_MS
        return self._silence()

    def _say(self, announcement: Announcement | None, tone: Tone) -> list[CardAction]:
        """The announcement, to whoever understands it, and `tone` behind it."""
        if announcement is None or not self.announces:
            return self._play(tone)
        actions = self._silence()
        self.announcement, self._then = announcement, tone
        self._take += 1
        return [*actions, Announce(self.index, announcement, self._take)]

    def _say_no(self, now: int) -> list[CardAction]:
        """The tone behind an announcement; where it says no, the howler a minute later."""
        if self.phase is LinePhase.REORDER:
            self._deadline_ms = now + self.howler_after_ms
        return self._play(self._then)

    def _play(self, tone: Tone) -> list[CardAction]:
        if tone is self.tone:
            return []
        actions = self._hush()
        self.tone = tone
        return [*actions, PlayTone(self.index, tone)]

    def _silence(self) -> list[CardAction]:
        actions = self._hush()
        if self.tone is None:
            return actions
        self.tone = None
        return [*actions, StopTone(self.index)]

    def _hush(self) -> list[CardAction]:
        if self.announcement is None:
            return []
        self.announcement = None
        return [StopAnnouncement(self.index)]

    def _mute(self) -> list[CardAction]:
        if not self._audio:
            return []
        self._audio = self.machine = False
        return [CloseAudio(self.index)]
