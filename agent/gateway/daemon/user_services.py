"""What a user sets by codes on the telephone's keys, and what follows from it while nobody telephones.

Codes are data of the operator's profile. A service that the platform performs is passed on to it: its code is called
like a number. What is set belongs to the adapter: it is kept over restarts, told to the agent, and goes with the
product that had it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from msgspec import structs

from agent.core.actions import ShowMessages
from agent.core.announcement import Announcement
from agent.core.call import Call
from agent.core.dialplan import Outcome
from agent.core.events import MessagesWaiting
from agent.core.line import Dialled, Line
from agent.core.services import Answer, Ask, CodeRead, CodeTable, LineServices, Service, ServiceMode, operate
from agent.core.terms import Tone
from agent.gateway.daemon.actions import KeepServices
from agent.gateway.daemon.exchange import Exchange
from agent.gateway.daemon.features import Features
from agent.gateway.daemon.outgoing import Outgoing

_MAX_LINES: Final = 8
MAX_EMERGENCY: Final = 16
"""Digits of an emergency number, at most."""


class UserServices:
    """Codes, settings, hotline and waiting messages of every line."""

    def __init__(
        self, exchange: Exchange, outgoing: Outgoing, features: Features, kept: Mapping[int, LineServices]
    ) -> None:
        self._x = exchange
        self._outgoing = outgoing
        self._features = features
        exchange.settings.update({line: one for line, one in kept.items() if 0 <= line < _MAX_LINES})
        self._kept = dict(exchange.settings)
        self._table = CodeTable(exchange.profile)
        self._messages: dict[str, bool] = {}
        self._lamps: dict[int, bool] = {}
        self._hotline_ms: dict[int, int] = {}
        self._hot: dict[int, tuple[str, str]] = {}
        """Calls that a hotline has begun, by line, and what has been dialled since."""

    def deadline(self) -> int | None:
        """When `tick` wants to be called."""
        return min(self._hotline_ms.values(), default=None)

    # --- codes -------------------------------------------------------------------------------------------------------

    def configured(self) -> None:
        """The configuration may be another: other codes, and settings of services that it does not have go."""
        x = self._x
        if x.configuration is None:
            return
        if self._table.profile is not x.profile:
            self._table = CodeTable(x.profile)
        if x.plan.codes is not self._table:
            x.plan = dataclasses.replace(x.plan, codes=self._table)
        for line, one in list(x.settings.items()):
            served = x.serves(line)
            self._set(line, one.reduced(x.profile) if served else LineServices())

    def code(self, line: Line, code: str) -> None:
        """A whole code has been dialled: do it, pass it on, or say that nobody knows it."""
        x = self._x
        read = self._table.read(code) if x.serves(line.index) else None
        if read is None:
            x.log("info", "service_code_unknown", line=line.index)
            x.act(*line.reorder(Tone.SPECIAL, x.now, Announcement.NO_SUCH_SERVICE))
        elif read.mode is ServiceMode.PLATFORM:
            self._outgoing.pass_on(line, code)
        else:
            settings = x.settings_of(line.index)
            if read.ask is Ask.QUERY and settings.withhold is None:
                entry = x.entry(line.index)
                settings = structs.replace(settings, withhold=entry is not None and entry.clir)
            self._answer(line, read, operate(read, settings, x.profile, self._target))

    def number(self, dialled: Dialled) -> tuple[Dialled, str]:
        """A dialled number without the code before it, and what goes before it to the platform."""
        read = self._table.read(dialled.number) if dialled.number[:1] in ("*", "#") else None
        if read is None or read.whole:
            return dialled, ""
        if read.service is Service.CALL_AS:
            return structs.replace(dialled, number=read.digits, own_number=read.own_number), ""
        if read.mode is ServiceMode.PLATFORM:
            return structs.replace(dialled, number=read.digits), read.prefix
        return structs.replace(dialled, number=read.digits, withhold=read.service is Service.WITHHOLD_ONCE), ""

    def _answer(self, line: Line, read: CodeRead, answer: Answer) -> None:
        x = self._x
        if read.ask is not Ask.QUERY:
            self._set(line.index, answer.settings)
        outcome = "refused" if not answer.taken else read.ask.name.lower()
        x.log("info", f"service_code_{outcome}", read.service, line=line.index)
        tone = Tone.CONFIRM if answer.taken and answer.on is not False else Tone.BUSY if answer.taken else Tone.SPECIAL
        on = read.ask is Ask.ON if answer.on is None else answer.on
        told = Announcement.SERVICE_ON if on else Announcement.SERVICE_OFF
        x.act(*line.reorder(tone, x.now, told if answer.taken else Announcement.SERVICE_REFUSED))

    def _target(self, dialled: str) -> str:
        """A number that a service may call: one that could be dialled, and no emergency number (ekomloven § 2-6)."""
        x = self._x
        match = x.plan.match(dialled)
        if match.emergency or match.barred or not match.number or match.outcome is Outcome.IMPOSSIBLE:
            return ""
        number = x.number(match.number)
        own = {entry.number for entry in x.configuration.lines} if x.configuration is not None else set()
        return "" if number in own or number in x.emergency_numbers else number

    def _set(self, line: int, settings: LineServices) -> None:
        if settings == LineServices():
            self._x.settings.pop(line, None)
        else:
            self._x.settings[line] = settings

    # --- hotline -----------------------------------------------------------------------------------------------------

    def lifted(self, line: Line) -> None:
        """A handset was lifted: a hotline's number is called in a moment, unless something is dialled."""
        x = self._x
        hotline = x.settings_of(line.index).hotline
        if hotline and x.serves(line.index) and line.awaits_first_digit and line.tone is line.dial_tone:
            self._hotline_ms[line.index] = x.now + x.profile.hotline_s * 1000

    def tick(self) -> None:
        """Time has passed: call the hotlines that are due."""
        x = self._x
        for index, at_ms in list(self._hotline_ms.items()):
            line = x.lines[index]
            if not line.awaits_first_digit:
                del self._hotline_ms[index]
            elif x.now >= at_ms:
                del self._hotline_ms[index]
                x.act(*line.hear(None))
                self._outgoing.dialled(line.dials(x.settings_of(index).hotline))
                self._hot[index] = (line.call_id, "")

    def digit(self, line: Line, call: Call, digit: str) -> bool:
        """One digit while a hotline's number is being called: nobody who dials 112 reaches somebody else."""
        x = self._x
        call_id, typed = self._hot.get(line.index, ("", ""))
        if call_id != call.call_id or call.answered_ms is not None:
            return False
        typed = (typed + digit)[-MAX_EMERGENCY:]
        self._hot[line.index] = (call_id, typed)
        number = next((one for one in x.emergency_numbers if typed.endswith(one)), "")
        if number:
            self._features.emergency(line, number)
        return bool(number)

    # --- messages, and what the dial tone says -----------------------------------------------------------------------

    def messages(self, event: MessagesWaiting) -> None:
        """The operator tells of voice messages."""
        self._messages[event.account] = event.new > 0

    def settle(self) -> None:
        """Keep what has been set, and let dial tone and message lamp say what there is."""
        x = self._x
        self.tick()
        for index, (call_id, typed) in list(self._hot.items()):
            call = x.calls.get(call_id)
            if call is None or not call.live:
                del self._hot[index]
                started = any(number.startswith(typed) for number in x.emergency_numbers)
                x.lines[index].listen(typed if started else "")
        for line in x.lines:
            entry = x.entry(line.index)
            waiting = (
                entry is not None and x.serves(line.index) and x.profile.performs(Service.MESSAGES)
                and self._messages.get(entry.account, False)
            )  # fmt: skip
            line.stutter = waiting or bool(x.settings_of(line.index).forward_all)
            if x.card.up and line.index < x.card.lines and self._lamps.get(line.index, False) is not waiting:
                self._lamps[line.index] = waiting
                x.act(ShowMessages(line.index, waiting))
        if x.settings != self._kept:
            self._kept = dict(x.settings)
            x.act(KeepServices(self._kept))

    def forget_lamps(self) -> None:
        """The card has restarted: its message lamps are dark."""
        self._lamps.clear()
