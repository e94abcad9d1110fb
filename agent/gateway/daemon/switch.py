"""The telephone itself: one pure object that hears everything and decides everything.

`handle(event, now)` returns what is to be done, in order; `deadline()` says when it wants to hear `Tick`. It reads no
clock, opens nothing and never raises because of what it is told: whatever the agent, the network or the card sends,
the next 112 must go through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agent.core import actions, events
from agent.core.beginning import Beginning
from agent.core.call import Call
from agent.core.callback import Helped
from agent.core.dialplan import unlock_code
from agent.core.line import CodeDialled, Dialled, Line, LineDecision, Misdialled
from agent.core.services import LineServices
from agent.core.terms import Cause, Party
from agent.gateway.daemon.accounts import Accounts
from agent.gateway.daemon.actions import (
    Action,
    AgentDown,
    AgentUp,
    Finished,
    KeepCallbacks,
    Stop,
    SwitchEvent,
    UpdateAbandoned,
    UpdateOrdered,
)
from agent.gateway.daemon.call_waiting import CallWaiting
from agent.gateway.daemon.diversion import Diversion
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.daemon.features import Features
from agent.gateway.daemon.incoming import Incoming
from agent.gateway.daemon.outgoing import Outgoing
from agent.gateway.daemon.pairs import Pairs
from agent.gateway.daemon.quality import note_quality
from agent.gateway.daemon.records import Records
from agent.gateway.daemon.second_calls import SecondCalls
from agent.gateway.daemon.transfers import Transfers
from agent.gateway.daemon.trials import Trials
from agent.gateway.daemon.unlocking import Unlocking
from agent.gateway.daemon.updates import Updates
from agent.gateway.daemon.user_services import UserServices
from agent.gateway.protocol import (
    CardState,
    Configure,
    Decide,
    End,
    Exercise,
    GatewayRecord,
    NetworkNews,
    Release,
    Unlocked,
    WallClock,
)

STOP_PATIENCE_MS: Final = 3_000
"""How long a stopping gateway waits for calls and registrations to end."""
EMERGENCY_PATIENCE_MS: Final = 30 * 60_000
"""How long an emergency call may put the end of the process off; TimeoutStopSec of the unit is longer."""
MAX_LINES: Final = 8

_DIGITS: Final = frozenset("0123456789*#ABCD")


class Switch:
    """The decisions of one gateway. `new_id` makes call ids, `uniform` random numbers in 0 ≤ u < 1."""

    def __init__(
        self,
        new_id: Callable[[], str],
        uniform: Callable[[], float],
        lines: int = 2,
        beginning: Beginning | None = None,
        services: Mapping[int, LineServices] | None = None,
    ) -> None:
        """`services`: what the users of the lines had set, as it was kept."""
        begun = beginning or Beginning()
        self._x = Exchange(min(max(lines, 1), MAX_LINES), begun.called_for_help)
        self._kept_callbacks: Helped = dict(begun.called_for_help)
        self._outgoing = Outgoing(self._x, new_id)
        second = SecondCalls(self._x)
        self._waiting = CallWaiting(self._x, second)
        self._pairs = Pairs(self._x, second)
        self._transfers = Transfers(self._x, second, self._pairs)
        self._features = Features(self._x, self._outgoing, second, self._waiting, self._pairs, self._transfers)
        self._diversion = Diversion(self._x, self._outgoing, self._pairs)
        self._incoming = Incoming(self._x, self._waiting, self._diversion)
        self._services = UserServices(self._x, self._outgoing, self._features, services or {})
        self._accounts = Accounts(self._x, uniform, begun)
        self._trials = Trials(self._x)
        self._updates = Updates(self._x)
        self._unlocking = Unlocking(self._x)
        self._records = Records(self._x, self._accounts.paths)
        self._stop_ends_ms: int | None = None
        self._finished = False

    @property
    def call_count(self) -> int:
        """How many calls are going on."""
        return sum(call.live for call in self._x.calls.values())

    def records(self) -> list[GatewayRecord]:
        """Every record for an agent that has just connected: card, lines, accounts, calls not yet released."""
        return self._records.all()

    def deadline(self) -> int | None:
        """The boot time at which `Tick` is due; None: never, until something happens."""
        wanted = [
            self._accounts.deadline(),
            self._trials.deadline(),
            self._features.deadline(),
            self._waiting.deadline(),
            self._transfers.deadline(),
            self._diversion.deadline(),
            self._incoming.deadline(),
            self._services.deadline(),
            self._unlocking.deadline(),
            None if self._finished else self._stop_deadline(),
            *(line.deadline() for line in self._x.lines),
            *(call.deadline() for call in self._x.calls.values()),
        ]
        return min((at for at in wanted if at is not None), default=None)

    def handle(self, event: SwitchEvent, now: int) -> list[Action]:
        """Decide what to do about `event`, which happened at `now` (never earlier than the event before)."""
        self._x.begin(now)
        self._pass_time()
        self._hear(event)
        self._pass_time()
        self._services.configured()
        self._pairs.settle()
        self._transfers.settle()
        self._features.settle()
        self._stop_when_free()
        self._outgoing.use_free_slots()
        self._accounts.use_waiting()
        self._accounts.register_due()
        self._accounts.keep_rests()
        self._keep_callbacks()
        self._trials.give_way()
        self._updates.give_way()
        self._services.settle()
        self._x.tidy()
        self._records.publish_changes()
        self._finish()
        return self._x.decided()

    def _keep_callbacks(self) -> None:
        """Let the process remember who may be called back, where that has changed."""
        x = self._x
        if x.configuration is not None:
            x.callbacks.expire(x.now, x.configuration.callback_s * 1000)
        kept = x.callbacks.kept()
        if kept != self._kept_callbacks:
            self._kept_callbacks = kept
            x.act(KeepCallbacks(kept))

    # --- what is heard -----------------------------------------------------------------------------------------------

    def _hear(self, event: SwitchEvent) -> None:
        match event:
            case (
                events.OffHook() | events.OnHook() | events.DigitDialled() | events.HookFlash()
                | events.AnnouncementOver()
            ):  # fmt: skip
                self._hear_line(event)
            case events.CardUp() | events.CardDown():
                self._hear_card(event)
            case events.IncomingInvite() | events.Progress() | events.CallAnswered() | events.CallOver():
                self._hear_call(event)
            case events.Registered() | events.Unregistered() | events.RegistrationFailed():
                self._accounts.heard(event)
            case (
                events.NetworkChanged() | NetworkNews() | events.TargetAnswered() | events.PathProbed()
                | events.RequestSeen()
            ):  # fmt: skip
                self._hear_network(event)
            case events.SipReady() | events.SlotsHeld():
                self._hear_library(event)
            case events.DtmfReceived() | events.MachineHeard() | events.CallSampled() | events.OneWayAudio():
                self._hear_speech(event)
            case (
                events.LineTested() | events.ButtonPressed() | events.UpdateProgressed() | UpdateOrdered()
                | UpdateAbandoned()
            ):  # fmt: skip
                self._hear_technician(event)
            case events.HoldDone() | events.RemoteHold() | events.TransferProgress() | events.MessagesWaiting():
                self._hear_service(event)
            case events.Tick():
                pass
            case Stop():
                self._stop()
            case _:
                self._hear_agent(event)

    def _hear_service(
        self, event: events.HoldDone | events.RemoteHold | events.TransferProgress | events.MessagesWaiting
    ) -> None:
        match event:
            case events.TransferProgress():
                self._transfers.progress(event)
            case events.MessagesWaiting():
                self._services.messages(event)
            case events.HoldDone():
                self._features.hold_done(event)
            case events.RemoteHold():
                self._x.log("info", "remote_hold", "held" if event.held else "resumed", call_id=event.call_id)

    def _hear_library(self, event: events.SipReady | events.SlotsHeld) -> None:
        if isinstance(event, events.SlotsHeld):
            self._x.slots_held = max(0, event.count)
            return
        self._x.sip_up = True
        self._x.max_calls = max(1, event.max_calls)

    def _hear_technician(
        self,
        event: events.LineTested | events.ButtonPressed | events.UpdateProgressed | UpdateOrdered | UpdateAbandoned,
    ) -> None:
        match event:
            case events.LineTested():
                self._trials.tested(event)
            case events.ButtonPressed(held_ms=held_ms):
                self._trials.button(held_ms)
            case _:
                self._updates.hear(event)

    def _hear_network(
        self,
        event: events.NetworkChanged | NetworkNews | events.TargetAnswered | events.PathProbed | events.RequestSeen,
    ) -> None:
        match event:
            case events.RequestSeen(account=account):
                self._accounts.paths.request_seen(account)
            case events.PathProbed(account=account, alive=alive, seen_as=seen_as):
                self._accounts.paths.heard(account, alive=alive, seen_as=seen_as)
            case events.TargetAnswered(call_id="", account=account, target=target):
                self._accounts.paths.better_answered(account, target)
            case events.TargetAnswered(call_id=call_id, account=account, target=target):
                call = self._x.calls.get(call_id)
                if call is not None:
                    call.target_answered(account, target)
            case _:
                self._accounts.network_changed(event.change)

    def _hear_line(
        self,
        event: events.OffHook | events.OnHook | events.DigitDialled | events.HookFlash | events.AnnouncementOver,
    ) -> None:
        line = self._x.line(event.line)
        if line is None:
            return
        call = self._x.call_of(line)
        match event:
            case events.OffHook():
                self._accounts.lifted(line)
                if call is not None and line.ringing:
                    self._answer(line, call)
                else:
                    self._perform(line.lift(self._x.plan, self._x.now))
                    self._services.lifted(line)
            case events.OnHook(at_ms=at_ms):
                self._replaced(line, call, at_ms)
            case events.DigitDialled(digit=digit):
                if digit in _DIGITS:
                    self._dialled(line, call, digit)
            case events.HookFlash():
                if self._features.flash(line):
                    self._services.lifted(line)
            case events.AnnouncementOver(take=take):
                self._x.act(*line.announced(take, self._x.now))

    def _answer(self, line: Line, call: Call) -> None:
        if not self._features.lifted(line):
            self._incoming.lifted(line, call)

    def _replaced(self, line: Line, call: Call | None, at_ms: int) -> None:
        if line.ringing:
            # A handset that lies down is what ringing expects.
            return
        self._features.replaced(line)
        self._x.act(*line.replace())
        if call is not None:
            cause = Cause.CANCELLED if call.answered_ms is None else Cause.NORMAL
            self._x.end(call, cause, Party.LOCAL, at_ms=at_ms)

    def _dialled(self, line: Line, call: Call | None, digit: str) -> None:
        if self._features.digit(line, digit):
            return
        if call is None:
            self._perform(line.dial(digit, self._x.plan, self._x.now))
        elif line.ringing:
            # A digit from a handset that we believe to be down: its off-hook event was lost.
            self._answer(line, call)
        elif self._services.digit(line, call, digit):
            pass
        elif call.answered_ms is not None:
            self._x.act(actions.SendDtmf(call.call_id, digit))

    def _hear_speech(
        self, event: events.DtmfReceived | events.MachineHeard | events.CallSampled | events.OneWayAudio
    ) -> None:
        if isinstance(event, events.DtmfReceived):
            self._hear_key(event)
            return
        if not isinstance(event, events.MachineHeard):
            note_quality(self._x, event)
            return
        line = self._x.line(event.line)
        if line is not None and line.machine_heard():
            self._x.log("info", "machine_in_call", line=line.index, call_id=line.call_id)
            if line.call_id:
                self._x.act(actions.SpeakPlainly(line.call_id))

    def _hear_key(self, event: events.DtmfReceived) -> None:
        """A key of the far end reaches the handset as the sound it is: answering machines and door openers listen."""
        call = self._x.calls.get(event.call_id)
        if call is None or call.line is None or call.answered_ms is None or event.digit not in _DIGITS:
            return
        line = self._x.line(call.line)
        if call.live and line is not None and line.call_id == call.call_id:
            self._x.act(actions.PlayDtmf(line.index, event.digit))

    def _hear_card(self, event: events.CardUp | events.CardDown) -> None:
        x = self._x
        if isinstance(event, events.CardDown):
            self._lose_card()
            if x.card.up:
                x.expect_card()
            x.card = CardState(up=False, reason=event.reason[:1024])
            return
        self._lose_card()
        x.card = CardState(
            up=True, lines=max(0, event.lines), firmware=event.firmware[:128], line_test=event.line_test,
            firmware_update=event.firmware_update,
        )  # fmt: skip
        for line in event.off_hook:
            self._hear_line(events.OffHook(line))
        self._incoming.card_is_back()

    def _lose_card(self) -> None:
        """The card has stopped whatever it did: nobody can speak in these calls, and perhaps nobody can end them."""
        held = [call for call in self._x.calls.values() if call.live and call.lines]
        self._x.forget_lines()
        self._records.forget_lamps()
        self._services.forget_lamps()
        for call in held:
            self._x.end(call, Cause.CARD_LOST, Party.SYSTEM, sip_code=480)

    def _hear_call(
        self, event: events.IncomingInvite | events.Progress | events.CallAnswered | events.CallOver
    ) -> None:
        if isinstance(event, events.IncomingInvite):
            self._incoming.invited(event)
            return
        call = self._x.calls.get(event.call_id)
        if call is None:
            if isinstance(event, events.CallAnswered):
                self._x.act(actions.HangUp(event.call_id))
            return
        match event:
            case events.Progress(code=code, early_media=early_media):
                self._x.carry_out(call, call.progress(code, self._x.now, early_media=early_media))
                self._diversion.progressed(call)
            case events.CallAnswered(at_ms=at_ms):
                self._x.carry_out(call, call.answered(at_ms))
                self._diversion.progressed(call)
            case events.CallOver():
                if call.unheard(event):
                    self._accounts.paths.unanswered(call.account, call.tried[-1].target)
                self._x.carry_out(call, call.over(event, self._x.now, self._outgoing.ways_on(call, event)))

    def _hear_agent(
        self, event: Configure | Decide | End | Exercise | Release | WallClock | Unlocked | AgentUp | AgentDown
    ) -> None:
        match event:
            case Configure():
                self._accounts.configure(event)
            case Decide():
                self._outgoing.decide(event)
            case End():
                self._outgoing.end(event)
            case Exercise():
                self._trials.exercise(event)
            case WallClock():
                self._x.wall_clock = event
            case Unlocked():
                self._unlocking.answered(event)
            case Release():
                self._release(event)
            case AgentUp():
                self._x.agent_up = True
                self._x.log("info", "agent_connected")
            case AgentDown():
                self._x.agent_up = False
                self._x.log("warning", "agent_lost")
                self._outgoing.agent_gone()

    def _release(self, order: Release) -> None:
        call = self._x.calls.get(order.call_id)
        if call is not None and call.finished:
            self._x.released.add(call.call_id)

    # --- time and end ------------------------------------------------------------------------------------------------

    def _pass_time(self) -> None:
        x = self._x
        for line in x.lines:
            self._perform(line.tick(x.plan, x.now))
        self._trials.tick()
        self._features.tick()
        self._waiting.tick()
        self._transfers.tick()
        self._diversion.tick()
        self._incoming.tick()
        self._services.tick()
        self._unlocking.tick()
        for call in list(x.calls.values()):
            x.carry_out(call, call.tick(x.now))
        for registration in x.registrations.values():
            registration.tick(x.now)

    def _perform(self, decisions: Sequence[LineDecision]) -> None:
        for decision in decisions:
            match decision:
                case Dialled():
                    self._dialled_number(decision)
                case CodeDialled(line=index, code=code) if unlock_code(code):
                    self._unlocking.dialled(self._x.lines[index], code)
                case CodeDialled(line=index, code=code):
                    self._services.code(self._x.lines[index], code)
                case Misdialled(line=index):
                    self._x.log("info", "number_impossible", line=index)
                case _:
                    self._x.act(decision)

    def _dialled_number(self, dialled: Dialled) -> None:
        if dialled.emergency:
            self._features.make_way(self._x.lines[dialled.line])
            self._outgoing.dialled(dialled)
        else:
            self._outgoing.dialled(*self._services.number(dialled))

    def _stop(self) -> None:
        """The first time: as soon as no emergency call goes on. The second time: now."""
        x = self._x
        if x.stop_latest_ms is not None:
            x.stop_latest_ms = min(x.now, x.stop_latest_ms)
            return
        x.stop_latest_ms = x.now + EMERGENCY_PATIENCE_MS
        if self._emergency_live():
            x.log("warning", "stop_put_off", "an emergency call goes on; a second signal stops at once")

    def _emergency_live(self) -> bool:
        return any(call.live and call.emergency for call in self._x.calls.values())

    def _stop_when_free(self) -> None:
        x = self._x
        if x.stop_latest_ms is None or (self._emergency_live() and not x.closing):
            return
        if not x.stopping:
            x.stopping = True
            x.log("info", "stopping", f"{self.call_count} calls")
            self._stop_ends_ms = x.now + STOP_PATIENCE_MS
            self._end_all()
            self._accounts.leave()
        elif self._emergency_live():
            # It began while the others were ending.
            self._stop_ends_ms = x.now + STOP_PATIENCE_MS
            self._end_all()

    def _end_all(self) -> None:
        for call in list(self._x.calls.values()):
            if call.live:
                self._x.end(call, Cause.SHUTDOWN, Party.SYSTEM, sip_code=480)

    def _stop_deadline(self) -> int | None:
        return self._x.stop_latest_ms if self._emergency_live() else self._stop_ends_ms

    def _finish(self) -> None:
        if self._stop_ends_ms is None or self._finished:
            return
        if self._emergency_live():
            # Its record gets the same patience, from the moment at which it ends.
            self._stop_ends_ms = self._x.now + STOP_PATIENCE_MS
            return
        waiting = self._accounts.any_registered() or any(not call.finished for call in self._x.calls.values())
        if not waiting or self._x.now >= self._stop_ends_ms:
            self._finished = True
            self._x.act(Finished())
