"""What the gateway has said of itself and of all that it owns: whole records, the newest of each, and their views."""

from __future__ import annotations

from datetime import datetime, timedelta

from agent.card_view import SeenTrials
from agent.clock import Moment
from agent.gateway.card_records import LineTestState, UpdateState
from agent.gateway.protocol import AccountState, CardState, Hello, LineState
from agent.status import snapshot as page


class SeenGateway:
    """What the gateway has said of itself, its card, its lines and its accounts; whole records, the newest each."""

    def __init__(self) -> None:
        self.hello: Hello | None = None
        self.card = CardState(up=False)
        self.lines: dict[int, LineState] = {}
        self.accounts: dict[str, AccountState] = {}
        self.trials = SeenTrials()
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
        self.accounts.clear()
        self.trials.forget()

    def note(self, record: CardState | LineState | AccountState | LineTestState | UpdateState) -> None:
        """Keep the newest word about an object."""
        match record:
            case CardState():
                self.card = record
            case LineState():
                self.lines[record.line] = record
            case AccountState():
                self.accounts[record.account] = record
            case LineTestState() | UpdateState():
                self.trials.note(record)


def account_view(state: AccountState, now: Moment) -> page.AccountView:
    """A registration as the page shows it."""
    return page.AccountView(
        account=state.account, registered=state.registered, since=_wall(state.since_ms or None, now), code=state.code,
        reason=state.reason, on_wire=state.on_wire, attempts=state.attempts,
        next_attempt_s=seconds_until(state.next_attempt_ms, now), status=state.status.value,
        alive=_wall(state.alive_ms, now),
    )  # fmt: skip


def seconds_until(at_ms: int | None, now: Moment) -> int | None:
    """Whole seconds until a moment of the boot clock; None where there is no such moment."""
    return max(0, at_ms - now.boot_ms) // 1000 if at_ms is not None else None


def _wall(at_ms: int | None, now: Moment) -> datetime | None:
    """The wall time of a moment of the boot clock that is past."""
    return now.wall - timedelta(milliseconds=max(0, now.boot_ms - at_ms)) if at_ms is not None else None
