"""What the gateway has said of itself and of all that it owns: whole records, the newest of each, and their views."""

from __future__ import annotations

from datetime import datetime

from agent.card_view import SeenTrials
from agent.clock import Moment
from agent.core.media import WayFigures
from agent.core.services import LineServices
from agent.gateway.card_records import LineTestState, UpdateState
from agent.gateway.protocol import AccountState, CallQuality, CardState, Hello, LineSettings, LineState, StunState
from agent.status import snapshot as page


class SeenGateway:
    """What the gateway has said of itself, its card, its lines and its accounts; whole records, the newest each."""

    def __init__(self) -> None:
        self.hello: Hello | None = None
        self.card = CardState(up=False)
        self.lines: dict[int, LineState] = {}
        self.settings: dict[int, LineServices] = {}
        """What the users of the lines have set."""
        self.accounts: dict[str, AccountState] = {}
        self.trials = SeenTrials()
        self.quality: dict[str, CallQuality] = {}
        """How the answered calls sound, by call id."""
        self.stun = StunState()
        self.configuration = ""
        self.since: datetime | None = None

    def greet(self, hello: Hello, now: Moment) -> None:
        """A gateway has connected; what an earlier one said no longer holds."""
        self.forget()
        self.hello, self.configuration, self.since = hello, hello.configuration, now.wall

    def forget(self) -> None:
        """The gateway has gone."""
        self.hello, self.since, self.configuration = None, None, ""
        self.card = CardState(up=False)
        self.lines.clear()
        self.settings.clear()
        self.accounts.clear()
        self.quality.clear()
        self.stun = StunState()
        self.trials.forget()

    def call_over(self, call_id: str) -> None:
        """A call sounds no more."""
        self.quality.pop(call_id, None)

    def note(
        self,
        record: (
            CardState | LineState | LineSettings | AccountState | CallQuality | LineTestState | UpdateState | StunState
        ),
    ) -> None:
        """Keep the newest word about an object."""
        match record:
            case CardState():
                self.card = record
            case LineState():
                self.lines[record.line] = record
            case LineSettings():
                self.settings[record.line] = record.services
            case AccountState():
                self.accounts[record.account] = record
            case CallQuality():
                self.quality[record.call_id] = record
            case StunState():
                self.stun = record
            case LineTestState() | UpdateState():
                self.trials.note(record)


def account_view(state: AccountState, now: Moment) -> page.AccountView:
    """A registration as the page shows it."""
    return page.AccountView(
        account=state.account, registered=state.registered, since=_wall(state.since_ms or None, now), code=state.code,
        reason=state.reason, on_wire=state.on_wire, attempts=state.attempts,
        next_attempt_s=seconds_until(state.next_attempt_ms, now), status=state.status.value,
        alive=_wall(state.alive_ms, now), reached=_wall(state.request_ms, now),
    )  # fmt: skip


def stun_view(state: StunState) -> page.StunView | None:
    """The STUN server as the page shows it; None where none is asked."""
    if not state.server:
        return None
    return page.StunView(server=state.server, answers=state.answers, outside=state.outside, refusal=state.refusal)


def sound_view(way: WayFigures | None) -> page.SoundView | None:
    """One direction of a running call as the page shows it."""
    if way is None:
        return None
    return page.SoundView(loss_permille=way.loss_permille, jitter_ms=way.jitter_ms, mos_centi=way.mos_centi)


def seconds_until(at_ms: int | None, now: Moment) -> int | None:
    """Whole seconds until a moment of the boot clock; None where there is no such moment."""
    return max(0, at_ms - now.boot_ms) // 1000 if at_ms is not None else None


def _wall(at_ms: int | None, now: Moment) -> datetime | None:
    """The wall time of a moment of the boot clock that is past."""
    return now.wall_at(min(at_ms, now.boot_ms)) if at_ms is not None else None
