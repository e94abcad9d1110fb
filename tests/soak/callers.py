"""What people do on a line, one call after the other: calls of every kind, as chance has it."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from house import House, Sipp, until

from agent.core.terms import Cause

VOICE_HZ = 900
DIAL_HZ = 425
PATIENCE_S = 20.0
"""Longer than a silent callee costs, on a busy machine."""

ANSWERS, HANGS_UP, EARLY, BUSY, RINGS, SILENT = (f"2200030{at}" for at in range(6))
DROPPED, DEAD, UNKNOWN, EMERGENCY = "22000310", "22000311", "22000312", "112"
FAR_ENDS = {
    f"+47{ANSWERS}": "answer", f"+47{HANGS_UP}": "answer_and_hang_up", f"+47{EARLY}": "early_media",
    f"+47{BUSY}": "busy", f"+47{RINGS}": "ring", f"+47{SILENT}": "silent", EMERGENCY: "answer",
}  # fmt: skip


class CallerError(Exception):
    """A call did not go as it should; the sentence says how."""


class GaveWayError(Exception):
    """A call came to nothing for a reason that is as it should be: no slot, somebody who calls 112, a fault."""


class Caller:
    """Whoever uses one line, on a thread of its own."""

    def __init__(self, house: House, line: int, seed: int, turn: Callable[[int], Any]) -> None:
        self.calls_in: list[Sipp] = []
        self.wrong: list[str] = []
        self.made: Counter[str] = Counter()
        """By kind."""
        self.gave_way: Counter[str] = Counter()
        """By cause."""
        self._house = house
        self._line = line
        self._phone = house.phones[line]
        self._chance = random.Random(seed)
        self._turn = turn
        self._deck: list[str] = []
        self._deaths = 0
        """Of the operator, when the incoming call began that goes on."""
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"line {line + 1}")
        self._kinds: dict[str, tuple[int, Callable[[], None]]] = {
            "answered": (6, lambda: self._talk(ANSWERS)),
            "far end hangs up": (3, self._let_hang_up),
            "early media": (2, lambda: self._talk(EARLY)),
            "busy": (2, lambda: self._fails(BUSY)),
            "cancelled": (3, self._give_up),
            "silent callee": (1, lambda: self._fails(SILENT)),
            "silent operator": (1, lambda: self._fails(DROPPED)),
            "silent operator, hung up": (1, self._leave_dead),
            "dead target": (1, lambda: self._fails(DEAD)),
            "unknown number": (1, lambda: self._fails(UNKNOWN)),
            "emergency": (1, lambda: self._talk(EMERGENCY)),
            "incoming": (4, lambda: self._answer("call")),
            "incoming, caller hangs up": (3, lambda: self._answer("call_and_hang_up")),
            "incoming, cancelled": (2, self._ignore),
        }

    def start(self) -> None:
        """Begin to telephone."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the call that goes on."""
        self._ends.set()

    def join(self) -> None:
        """Wait until the line is idle."""
        self._thread.join()

    def _run(self) -> None:
        while not self._ends.is_set():
            with self._turn(self._line):
                self.play()
            self._ends.wait(self._chance.uniform(0.05, 0.6))

    def play(self, kind: str = "") -> None:
        """One call, by chance where the kind is not named."""
        kind = kind or self._choose()
        self.made[kind] += 1
        try:
            (self._without if kind.startswith("no ") else self._kinds[kind][1])()
        except GaveWayError as error:
            self.gave_way[str(error)] += 1
        except CallerError as error:
            self.wrong.append(f"line {self._line + 1}, {kind}: {error}")
        finally:
            self._phone.speak(None)
            self._phone.on_hook()
            if not until(lambda: not self._phone.is_off_hook and not self._phone.ringing, PATIENCE_S):
                self.wrong.append(f"line {self._line + 1}, {kind}: the telephone did not come to rest")

    def _choose(self) -> str:
        if not self._house.operator_up:
            return "no operator"
        if not self._house.agent_up:
            return "no agent"
        if not self._deck:
            # A deck, not a die: each kind has its turn, however short the run.
            self._deck = [name for name, (count, _) in self._kinds.items() for _ in range(count)]
            self._chance.shuffle(self._deck)
        if self._deck[-1].startswith("incoming") and not self._house.reachable:
            self._deck.insert(0, self._deck.pop())
            return "answered"
        return self._deck.pop()

    @contextlib.contextmanager
    def _setting_up(self, *, incoming: bool = False) -> Iterator[None]:
        """Let no operator die under it, unless he has died before it began. Raises GaveWayError."""
        with self._house.gate.passing():
            if not (self._house.reachable if incoming else self._house.operator_up):
                raise GaveWayError("operator_away")
            yield

    # --- outgoing ----------------------------------------------------------------------------------------------------

    def _dial(self, digits: str) -> str:
        """The id of the call."""
        self._phone.off_hook()
        if not self._phone.wait_for(lambda: self._phone.hears(DIAL_HZ, 100) > -20, PATIENCE_S):
            raise CallerError("no dial tone")
        mark = self._house.events.mark()
        self._phone.dial(digits, 50, 50)
        event = self._house.events.wait("call_", mark, PATIENCE_S, line=self._line)
        if event is None:
            raise CallerError("the call did not begin")
        return str(event["call_id"])

    def _expect(self, event: str, call_id: str) -> dict[str, Any]:
        found = self._house.events.wait(event, 0, PATIENCE_S, call_id=call_id)
        if found is None:
            events = self._house.events.of_calls().get(call_id, [])
            self._excuse(events)
            raise CallerError(f"no {event} of {call_id}, only {[one['event'] for one in events]}")
        return found

    def _excuse(self, events: list[dict[str, Any]]) -> None:
        """Raise GaveWayError where one of these calls had to give way."""
        for one in events:
            for cause in (Cause.PREEMPTED, Cause.NO_CALL_SLOT):
                if one["event"] == "call_ended" and cause.value in one.get("detail", "").split():
                    raise GaveWayError(cause.value)

    def _speak(self) -> None:
        self._phone.speak(VOICE_HZ)
        if not self._phone.wait_for(lambda: self._phone.hears(VOICE_HZ) > -20, PATIENCE_S):
            raise CallerError("the far end's echo was not heard")
        self._ends.wait(self._chance.uniform(0.1, 2))

    def _hang_up(self, call_id: str) -> None:
        self._phone.speak(None)
        self._phone.on_hook()
        self._expect("call_ended", call_id)

    def _talk(self, digits: str) -> None:
        with self._setting_up():
            call_id = self._dial(digits)
            if not self._granted(call_id):
                return
            self._expect("call_answered", call_id)
        self._speak()
        self._hang_up(call_id)

    def _let_hang_up(self) -> None:
        with self._setting_up():
            call_id = self._dial(HANGS_UP)
            self._granted(call_id)
            self._expect("call_ended", call_id)

    def _fails(self, digits: str) -> None:
        with self._setting_up():
            call_id = self._dial(digits)
            ended = self._expect("call_ended", call_id)
        if any(one["event"] == "call_answered" for one in self._house.events.of_calls()[call_id]):
            raise CallerError(f"a call that nobody takes was answered: {ended}")

    def _leave_dead(self) -> None:
        """Hang up on an operator that has said nothing: no CANCEL may be sent, and the call slot stays held."""
        with self._setting_up():
            since = len(self._house.operator.log.lines)
            call_id = self._dial(DROPPED)
            if self._granted(call_id):
                self._house.operator.log.wait("INVITE", f"to=+47{DROPPED} ", since=since, timeout=PATIENCE_S)
            self._hang_up(call_id)

    def _give_up(self) -> None:
        with self._setting_up():
            call_id = self._dial(RINGS)
            if self._granted(call_id):
                self._expect("call_ringing", call_id)
            self._hang_up(call_id)

    def _without(self) -> None:
        """While the operator or the agent is away: it ends, by itself, and nothing comes of it."""
        self._expect("call_ended", self._dial(UNKNOWN))

    def _granted(self, call_id: str) -> bool:
        """Whether the agent let the call go out; when it was killed just then the call is refused."""
        for _ in range(int(PATIENCE_S * 10)):
            names = {one["event"] for one in self._house.events.of_calls().get(call_id, [])}
            if names & {"call_granted", "call_ringing", "call_answered"}:
                return True
            if "call_ended" in names:
                return False
            self._house.events.wait("call_granted", 0, 0.1, call_id=call_id)
        raise CallerError(f"the call {call_id} was neither granted nor refused")

    # --- incoming ----------------------------------------------------------------------------------------------------

    def _ringing(self, scenario: str) -> tuple[Sipp, int]:
        mark, self._deaths = self._house.events.mark(), self._house.operator_deaths
        peer = self._house.call_in(scenario, self._line)
        self.calls_in.append(peer)
        if not self._phone.wait_for(lambda: self._phone.ringing, PATIENCE_S):
            self._excuse(self._house.events.seen[mark:])
            raise CallerError(f"the telephone did not ring: {peer.story()[-2000:]}")
        return peer, mark

    def _answer(self, scenario: str) -> None:
        with self._setting_up(incoming=True):
            peer, mark = self._ringing(scenario)
            self._phone.off_hook()
            event = self._house.events.wait("call_answered", mark, PATIENCE_S, line=self._line)
            if event is None:
                raise CallerError("the call was not answered")
        if scenario == "call":
            self._speak()
            self._hang_up(event["call_id"])
        else:
            self._expect("call_ended", event["call_id"])
        self._finish(peer)

    def _ignore(self) -> None:
        with self._setting_up(incoming=True):
            peer, _ = self._ringing("call_and_cancel")
            if not self._phone.wait_for(lambda: not self._phone.ringing, PATIENCE_S):
                raise CallerError("the telephone rings on after a CANCEL")
        self._finish(peer)

    def _finish(self, peer: Sipp) -> None:
        """The caller's side must have seen the call as written, unless the operator has died since it began."""
        try:
            peer.finish(PATIENCE_S)
        except AssertionError as error:
            # What is sent while he is dead is sent again for half a minute; we do not wait so long.
            if self._house.operator_deaths == self._deaths:
                raise CallerError(f"SIPp: {error}") from None
        finally:
            peer.close()
            with contextlib.suppress(OSError):
                for path in self._house.folder.glob(f"*-{peer.port}-*.log"):
                    path.unlink()
