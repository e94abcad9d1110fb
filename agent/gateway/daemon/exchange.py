"""What the Switch knows at any moment, and how decisions of lines and calls become actions.

One `Exchange` belongs to one Switch, and the parts of the Switch (outgoing, incoming, accounts, records) share it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agent.core.actions import Announce, CardAction, PlayTone
from agent.core.call import Call, CallDecision, Hear, Leave, Speak, Warn
from agent.core.callback import Callbacks
from agent.core.caller import CallerId, month_day_time
from agent.core.dialplan import DialPlan, compile_plan
from agent.core.line import Line
from agent.core.numbers import EMERGENCY, normalise, render
from agent.core.registration import Registration
from agent.core.services import LineServices, ServiceProfile
from agent.core.spoken import before_the_end
from agent.core.terms import Cause, LineService, Party, Tone
from agent.gateway.card_records import LineTestState, UpdateState
from agent.gateway.daemon.actions import Action, Publish
from agent.gateway.protocol import MAX_UNRELEASED, CardState, Configure, Log, NumberFormat, WallClock
from agent.gateway.protocol import Line as LineEntry

RESERVED_SLOTS: Final = 1
"""Call slots that only an emergency call may take."""
DEFAULT_MAX_CALLS: Final = 4
"""What the SIP library allows where it has not said so yet."""
MAX_TURNED_AWAY: Final = MAX_UNRELEASED // 2
"""Refused calls leave records up to this many unreleased ones, and only log lines beyond it: somebody who keeps
dialling while the agent is gone must not use up the room that incoming calls need."""

_LineChange = Callable[[Line], Sequence[CardAction]]

_NO_SERVICES: Final = ServiceProfile()
_NOTHING_SET: Final = LineServices()
WALL_CLOCK_MS: Final = 2 * 3600 * 1000
"""So long is the civil time believed that the agent has told: it may be summer by then."""
CARD_PATIENCE_MS: Final = 3_000
"""For so long a card that went, or that a new process has not heard yet, is expected back: it takes a second or two to
start, and a caller who waits meanwhile is better off than one who is refused."""
_WARNING_MS: Final = 400
_LONGEST_WARNING_MS: Final = 5_000


class Exchange:
    """Lines, calls, registrations and configuration of one telephone exchange, and the actions of the current event."""

    def __init__(self, lines: int, called_for_help: Mapping[int, int] | None = None) -> None:
        """`called_for_help`: see `Beginning`."""
        self.lines = [Line(index) for index in range(lines)]
        self.calls: dict[str, Call] = {}
        self.released: set[str] = set()
        """Calls whose record is committed while the SIP library still holds their slot."""
        self.registrations: dict[str, Registration] = {}
        self.configuration: Configure | None = None
        self.plan: DialPlan = compile_plan([], sorted(EMERGENCY))
        self.card = CardState(up=False)
        self.card_due_ms: int | None = None
        """A card that is away is expected until then; None before the first event."""
        self.line_tests: dict[int, LineTestState] = {}
        """The latest line test of each line."""
        self.update: UpdateState | None = None
        """The latest firmware update of the card."""
        self.agent_up = False
        self.callers: dict[str, CallerId] = {}
        """Who calls, by the incoming call, as a telephone may show it."""
        self.ring_names: dict[str, str] = {}
        """Of calls that ask for a ringing of their own: its name."""
        self.wall_clock: WallClock | None = None
        """The civil time that the agent told last."""
        self.settings: dict[int, LineServices] = {}
        """What the users have set, by line; see `settings_of`."""
        self.sip_up = False
        self.max_calls = DEFAULT_MAX_CALLS
        self.slots_held = 0
        """Call slots that the SIP library holds beside those of `calls`."""
        self.stopping = False
        self.stop_latest_ms: int | None = None
        """The process is told to end, and an emergency call may put that off until then."""
        self.now = 0
        """Boot time of the event that is being handled."""
        self.callbacks = Callbacks(called_for_help or {})
        """Who may be called back by an emergency service."""
        self._actions: list[Action] = []

    def begin(self, now: int) -> None:
        """Start handling an event that happened at `now`."""
        self.now = now
        self._actions = []
        if self.card_due_ms is None:
            self.expect_card()

    def act(self, *actions: Action) -> None:
        """Decide on these actions, in this order."""
        self._actions.extend(actions)

    def decided(self) -> list[Action]:
        """The actions of this event so far."""
        return self._actions

    def log(self, level: str, event: str, detail: str = "", *, line: int | None = None, call_id: str = "") -> None:
        """Publish a log line. `detail` holds no full number and no secret."""
        record = Log(level=level, event=event, at_ms=self.now, line=line, call_id=call_id, detail=detail[:1000])
        self.act(Publish(record))

    def expect_card(self) -> None:
        """The card is away, since now."""
        self.card_due_ms = self.now + CARD_PATIENCE_MS

    @property
    def card_expected(self) -> bool:
        """Whether the card is away and may be back in a moment."""
        return not self.card.up and self.card_due_ms is not None and self.now < self.card_due_ms

    # --- questions ---------------------------------------------------------------------------------------------------

    def line(self, index: int) -> Line | None:
        """The line of this number; None where there is none."""
        return self.lines[index] if 0 <= index < len(self.lines) else None

    def call_of(self, line: Line) -> Call | None:
        """The call that rings on the line or that its handset is in."""
        return self.calls.get(line.call_id) if line.call_id else None

    def entry(self, index: int) -> LineEntry | None:
        """The line's account and number, as configured."""
        entries = self.configuration.lines if self.configuration else []
        return next((entry for entry in entries if entry.line == index), None)

    @property
    def profile(self) -> ServiceProfile:
        """The operator's supplementary services."""
        return self.configuration.services if self.configuration is not None else _NO_SERVICES

    def serves(self, index: int) -> bool:
        """Whether somebody who can press R is at the line: a telephone, no machine."""
        entry = self.entry(index)
        return entry is not None and not entry.profile.is_data

    def settings_of(self, index: int) -> LineServices:
        """What the user of the line has set."""
        return self.settings.get(index, _NOTHING_SET)

    def awaits_callback(self, index: int) -> bool:
        """Whether an emergency service may be about to call this line back: nothing of the user's turns it away."""
        configuration = self.configuration
        return configuration is not None and self.callbacks.awaits(index, self.now, configuration.callback_s * 1000)

    @property
    def emergency_numbers(self) -> frozenset[str]:
        """The emergency numbers of the digit map."""
        return self.plan.emergency | EMERGENCY

    def number(self, dialled: str) -> str:
        """A number as dialled, in its canonical form."""
        form = self.configuration.numbers if self.configuration is not None else NumberFormat()
        return normalise(dialled, country_code=form.country_code, international_prefix=form.international_prefix)

    def shown(self, number: str) -> str:
        """A canonical number as a telephone at home shows it."""
        form = self.configuration.numbers if self.configuration is not None else NumberFormat()
        return render(
            number, "national", country_code=form.country_code, international_prefix=form.international_prefix
        )

    def cadence(self, tone: Tone, sound_ms: int, period_ms: int) -> tuple[int, int]:
        """How long `tone` sounds before its long pause, and after how long it comes again; else what is given."""
        spec = self.configuration.tones.get(tone) if self.configuration is not None else None
        pause_ms = spec.segments[-1].ms if spec is not None and not spec.segments[-1].frequencies else 0
        whole_ms = sum(segment.ms for segment in spec.segments) if spec is not None else 0
        if spec is None or not pause_ms < whole_ms:
            return sound_ms, period_ms
        return max(1, whole_ms - pause_ms), max(1_000, whole_ms)

    def has_slot(self, *, emergency: bool) -> bool:
        """Whether the SIP library has a call slot left for one more call."""
        if emergency:
            return sum(call.holds_slot for call in self.calls.values()) + self.slots_held < self.max_calls
        # An ordinary call that waits for the agent's answer has its slot booked.
        used = sum(call.holds_slot or call.live for call in self.calls.values())
        return used + self.slots_held < self.max_calls - RESERVED_SLOTS

    def unreleased(self) -> int:
        """How many calls the agent has not released."""
        return len(self.calls) - len(self.released)

    def month_day_time(self) -> str:
        """The civil time as a telephone shows it; empty where nobody has vouched for it lately."""
        told = self.wall_clock
        if told is None or not 0 <= self.now - told.at_ms < WALL_CLOCK_MS:
            return ""
        return month_day_time(told.local_ms + self.now - told.at_ms)

    def ring(self, line: Line, call_id: str, caller: CallerId, cadence: str = "") -> None:
        """Ring a line for a call, in the named cadence or that which the call asks for."""
        entry = self.entry(line.index)
        shown = caller if entry is None or entry.profile.shows_caller else None
        self.act(*line.ring(call_id, shown, cadence or self.ring_names.get(call_id, ""), self.month_day_time()))

    @property
    def closing(self) -> bool:
        """Whether the process ends now, whatever goes on."""
        return self.stop_latest_ms is not None and self.now >= self.stop_latest_ms

    def ringable(self) -> list[int]:
        """Lines that the card has and on which a call may ring."""
        if not self.card.up:
            return []
        lines = self.lines[: self.card.lines]
        return [line.index for line in lines if line.free and line.service is not LineService.DEAD]

    @property
    def at_rest(self) -> bool:
        """Whether nobody telephones, and nobody is about to."""
        return all(line.at_rest for line in self.lines) and not any(call.live for call in self.calls.values())

    # --- carrying out ------------------------------------------------------------------------------------------------

    def carry_out(self, call: Call, decisions: Sequence[CallDecision]) -> None:
        """Turn what a call decided into actions of its line and of SIP."""
        for decision in decisions:
            match decision:
                case Hear(tone):
                    self._on_line(call, functools.partial(Line.hear, tone=tone))
                case Speak():
                    self._on_line(call, Line.speak)
                case Warn(limit):
                    # Also where it is the other one of a conference, that the handset is not in by name.
                    line = self.line(call.line) if call.line in call.lines else None
                    if line is not None and line.off_hook:
                        self.act(*self._warning(line, limit))
                case Leave(tone, announcement):
                    if call.emergency and call.line is not None:
                        self.callbacks.ended(call.line, self.now)
                    for index in call.lines:
                        if self.lines[index].call_id == call.call_id:
                            self.act(*self.lines[index].leave(tone, self.now, announcement))
                case _:
                    self.act(decision)

    def end(
        self, call: Call, cause: Cause, party: Party, tone: Tone = Tone.CONGESTION, *, sip_code: int = 0, at_ms: int = 0
    ) -> None:
        """End a call from this side; `at_ms`: when the handset was replaced, where that is known."""
        self.carry_out(call, call.clear(cause, party, self.now, tone, sip_code=sip_code, at_ms=at_ms))

    def turn_away(self, call: Call, cause: Cause, tone: Tone = Tone.CONGESTION, *, sip_code: int = 0) -> None:
        """Refuse a call that has not begun: with a record where there is room for one, in the log in any case."""
        line = call.line
        if self.unreleased() < MAX_TURNED_AWAY:
            self.calls[call.call_id] = call
        else:
            self.log("warning", "call_refused_without_record", cause.value, line=line, call_id=call.call_id)
        self.end(call, cause, Party.SYSTEM, tone, sip_code=sip_code)
        if line in call.lines and self.lines[line].off_hook and not self.lines[line].call_id:
            self.act(*self.lines[line].reorder(tone, self.now, call.announcement))

    def forget_lines(self) -> None:
        """The card has lost or forgotten its lines: every handset is down until an event says otherwise."""
        self.lines = [Line(line.index) for line in self.lines]
        self.set_lines()

    def set_lines(self) -> None:
        """Let every line do as it is configured."""
        for line in self.lines:
            if self.configuration is not None:
                line.howler_after_ms = self.configuration.analogue.howler_s * 1000
            entry = self.entry(line.index)
            line.announces = entry is None or not entry.profile.is_data
            if self.configuration is not None:
                line.service = entry.service if entry is not None else LineService.EMERGENCY_ONLY

    def forget_unrecorded(self, call_id: str) -> None:
        """Forget what an INVITE said of its caller, where no record of the call is kept."""
        if call_id not in self.calls:
            self.callers.pop(call_id, None)
            self.ring_names.pop(call_id, None)

    def tidy(self) -> None:
        """Drop released calls whose slot is free again."""
        for call_id in [call_id for call_id in self.released if not self.calls[call_id].holds_slot]:
            self.released.discard(call_id)
            del self.calls[call_id]
            self.forget_unrecorded(call_id)

    def _on_line(self, call: Call, do: _LineChange) -> None:
        line = None if call.line is None else self.line(call.line)
        if line is not None and line.call_id == call.call_id:
            self.act(*do(line))

    def _warning(self, line: Line, limit: str) -> list[CardAction]:
        if line.machine or not line.announces:
            # A tone would cost a machine its carrier; that the call ends in a minute it learns soon enough.
            return []
        spec = self.configuration.tones.get(Tone.WARNING) if self.configuration else None
        length_ms = sum(segment.ms for segment in spec.segments) if spec else _WARNING_MS
        tone_ms = min(length_ms or _WARNING_MS, _LONGEST_WARNING_MS)
        return [
            PlayTone(line.index, Tone.WARNING, tone_ms),
            Announce(line.index, before_the_end(limit), take=0, after_ms=tone_ms),
        ]
