"""The lab on a terminal: lines, the running call, the last records, and what just happened. Plain lines elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agent.core.money import format_amount
from agent.lab.process import Message

_SHOWN_NEWS = 12
_SHOWN_CDRS = 5

_NEWS: dict[str, Callable[[Message], str]] = {
    "registered": lambda m: f"{m['user']} is registered",
    "unregistered": lambda m: f"{m['user']} is no longer registered",
    "invite": lambda m: f"call {m['call']}: INVITE to {m['number']}" if "number" in m else "",
    "ringing": lambda m: f"call {m['call']}: {m['code']}",
    "answered": lambda m: f"call {m['call']}: answered" if isinstance(m.get("call"), int) else "",
    "refused": lambda m: f"call {m['call']}: refused with {m['code']}",
    "bye": lambda m: f"call {m['call']}: ended" if isinstance(m.get("call"), int) else "",
    "heard": lambda m: f"hears {m['hz']} Hz at {m['level']} dBm0",
    "cdr": lambda m: f"record …{m['id'][-6:]} {m['verdict']}",
    "process": lambda m: m["what"],
    "trouble": lambda m: m["message"],
}


def sentence(who: str, message: Message) -> str:
    """What a process said, for a person; empty where it is nothing worth a line."""
    say = _NEWS.get(str(message.get("event")))
    told = say(message) if say is not None else ""
    return f"{who}: {told}" if told else ""


class Screen:
    """Shows the lab while it runs. Without a terminal it prints the news, a line each, and `quiet` prints nothing."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._news: deque[str] = deque(maxlen=_SHOWN_NEWS)
        self._status: Message | None = None
        self._digits: dict[int, str] = {}
        self._page = ""
        self._live: Live | None = None
        if console.is_terminal and not quiet:
            self._live = Live(console=console, get_renderable=self.render, refresh_per_second=8, screen=False)

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def serve(self, page: str) -> None:
        """Name the address of the status page."""
        self._page = page
        self.say(f"Status page: {page}")

    def say(self, news: str) -> None:
        """One line of news."""
        if not news:
            return
        self._news.append(news)
        if self._live is None and not self._quiet:
            self._console.print(news, markup=False, highlight=False)

    def phone(self, line: int, what: str) -> None:
        """Something happened at a telephone: hook, digit, ringing, tone."""
        if what.startswith("digit "):
            self._digits[line] = self._digits.get(line, "") + what.removeprefix("digit ")
            return
        dialled = self._digits.pop(line, "") if what != "tone ends" else ""
        if dialled:
            self.say(f"phone {line + 1}: dialled {dialled}")
        self.say(f"phone {line + 1}: {what}")

    def show(self, status: Message | None) -> None:
        """Take what the status page says now."""
        self._status = status

    # --- the picture -------------------------------------------------------------------------------------------------

    def render(self) -> RenderableType:
        """Draw the whole screen."""
        parts: list[RenderableType] = [self._lines(), self._calls(), self._records()]
        news = Text("\n".join(self._news), overflow="ellipsis", no_wrap=True)
        return Group(
            Panel(
                Group(*parts), title="iplink-agent lab · operator, gateway and agent on this machine", padding=(0, 1)
            ),
            Panel(news, title="What happens", height=_SHOWN_NEWS + 2, padding=(0, 1)),
            Text(f" Status page {self._page}   Ctrl-C ends", style="bold"),
        )

    def _lines(self) -> RenderableType:
        table = Table(expand=True, box=None, pad_edge=False)
        for title in ("Line", "Number", "Registered", "Phone", "Dialled"):
            table.add_column(title)
        status = self._status or {}
        registered = {account["account"]: account["registered"] for account in status.get("accounts", [])}
        for line in status.get("lines", []):
            up = registered.get(line["account"], False)
            table.add_row(
                str(line["line"] + 1),
                line["number"],
                Text("yes", style="green") if up else Text("no", style="red"),
                _handset(line),
                self._digits.get(line["line"], ""),
            )
        return table

    def _calls(self) -> RenderableType:
        calls = (self._status or {}).get("calls", [])
        if not calls:
            return Text("\nNo call just now.", style="dim")
        table = Table(expand=True, box=None, pad_edge=False, title="Calls now", title_justify="left")
        for title in ("Line", "Direction", "With", "State", "Seconds", "Price so far"):
            table.add_column(title)
        for call in calls:
            table.add_row(
                str(call["line"] + 1) if call["line"] is not None else "–",
                call["direction"],
                call["number"],
                call["phase"],
                str(call["seconds"]),
                Text(_money(call), style="bold yellow"),
            )
        return table

    def _records(self) -> RenderableType:
        table = Table(expand=True, box=None, pad_edge=False, title="Last call records", title_justify="left")
        for title in ("Began", "Direction", "With", "Seconds", "Cause", "Price", "Operator"):
            table.add_column(title)
        for cdr in (self._status or {}).get("cdrs", [])[:_SHOWN_CDRS]:
            delivered = cdr["upload"] == "acknowledged"
            table.add_row(
                datetime.fromisoformat(cdr["began_at"]).astimezone().strftime("%H:%M:%S"),
                cdr["direction"],
                cdr["number"],
                f"{cdr['duration_ms'] / 1000:.1f}",
                cdr["cause"],
                _money(cdr),
                Text(cdr["upload"], style="green" if delivered else "yellow"),
            )
        return table


def _handset(line: dict[str, Any]) -> Text:
    if line["ringing"]:
        return Text("rings", style="bold yellow")
    if line["announcement"]:
        return Text(f"off-hook, told {line['announcement']}", style="green")
    if line["off_hook"]:
        return Text(f"off-hook, {line['tone']} tone" if line["tone"] else "off-hook", style="green")
    return Text("on-hook", style="dim")


def _money(entry: dict[str, Any]) -> str:
    amount = entry["amount_micro"]
    if amount is None:
        return "free" if entry.get("seconds") or entry.get("duration_ms") else "–"
    return format_amount(amount, entry["currency"], "en")
