"""Subscribers of the lab: real SIP telephones without a line card, in a process of their own.

`python -m agent.lab.subscriber config.json` registers the subscribers of the file, behaves as it says, writes what
happens as JSON lines to stdout and takes JSON commands from stdin: `{"call": {"from": user, "to": number}}`,
`{"hangup": call id or "all"}`, `{"press": {"call": call id, "digit": key}}`, `{"quit": true}`; the end of stdin means
quit. One process holds at most eight subscribers and the library's four calls; for more, run several.
"""

from __future__ import annotations

import enum
import itertools
import json
import queue
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from agent.clock import boot_ms
from agent.core import actions, events
from agent.core.codecs import G711
from agent.gateway import protocol
from agent.gateway.daemon.sip import MAX_ACCOUNTS, SipError, SipStack
from agent.gateway.record import Short
from agent.lab.tones import ToneLine

_LINES = 4
_POLL_MS = 100
_RETRY_MS = 1000
_MAX_RETRIES = 15
_SC_BUSY = 486
_SC_UNAVAILABLE = 480
_MAX_COMMAND = 4096
_LISTEN_HZ = (350, 425, 697, 800, 941, 1004, 1209, 1300, 1400, 1633, 1700, 2000, 2100, 2600, 3000)


class Behaviour(enum.StrEnum):
    """What a subscriber does when it is called."""

    ECHO_TONE = "echo_tone"
    """Ring, answer after `answer_ms`, play the tone, then echo."""
    BUSY = "busy"
    """Refuse with 486."""
    RING = "ring"
    """Ring for ever."""
    NO_ANSWER = "no_answer"
    """Ring for `answer_ms`, then give up with 480."""


class Subscriber(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One subscriber; `target` is `ip:port;transport=udp`, times are milliseconds."""

    user: Short
    domain: Short
    password: str
    target: Short
    auth_user: Short = ""
    behaviour: Behaviour = Behaviour.ECHO_TONE
    answer_ms: Annotated[int, Meta(ge=0, le=600_000)] = 200
    tone_hz: Annotated[int, Meta(ge=0, le=3400)] = 1004
    tone_ms: Annotated[int, Meta(ge=0, le=600_000)] = 2000
    """0: for ever."""
    expires_s: Annotated[int, Meta(ge=10, le=86_400)] = 300
    codecs: Annotated[list[Short], Meta(max_length=16)] = msgspec.field(default_factory=lambda: list(G711))


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The process: where it listens (0: any port) and who lives in it."""

    subscribers: Annotated[list[Subscriber], Meta(min_length=1, max_length=MAX_ACCOUNTS)]
    bind: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    rtp_port: Annotated[int, Meta(ge=1024, le=65_000)] = 30_000
    listen_hz: tuple[Annotated[int, Meta(ge=100, le=3800)], ...] = _LISTEN_HZ


class CallCommand(Struct, frozen=True, forbid_unknown_fields=True, rename={"caller": "from"}):
    """Call `to` from the subscriber `from`."""

    caller: Short
    to: Short


class KeyCommand(Struct, frozen=True, forbid_unknown_fields=True):
    """Press a key in a call."""

    call: Short
    digit: Annotated[str, Meta(pattern="^[0-9*#A-D]$")]


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of stdin: exactly one of its fields is used."""

    call: CallCommand | None = None
    hangup: Short | None = None
    press: KeyCommand | None = None
    quit: bool = False


class SubscriberProcess:
    """The loop of the process: events of the stack, deadlines, commands."""

    def __init__(self, config: Config) -> None:
        self._by_user = {subscriber.user: subscriber for subscriber in config.subscribers}
        self._unregistered = set(self._by_user)
        self._retries = dict.fromkeys(self._by_user, 0)
        self._lines = [ToneLine(config.listen_hz) for _ in range(_LINES)]
        self._line_of: dict[str, int] = {}
        self._owner_of: dict[str, str] = {}
        self._due: list[tuple[int, actions.SipAction]] = []
        self._events: queue.SimpleQueue[events.TelephoneEvent] = queue.SimpleQueue()
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._running = True
        ids = itertools.count(1)
        self._stack = SipStack(
            bind=config.bind, port=config.port, rtp_port=config.rtp_port, audio=self._lines, post=self._events.put,
            new_call_id=lambda: f"call-{next(ids)}", clock=boot_ms, log=self._log,
        )  # fmt: skip

    def run(self) -> None:
        """Serve until told to quit. Raises SipError where SIP cannot start."""
        self._stack.start()
        threading.Thread(target=self._read_commands, daemon=True).start()
        self._stack.configure([_account(subscriber) for subscriber in self._by_user.values()])
        for user in self._by_user:
            self._stack.perform(actions.Register(user))
        while self._running:
            self._stack.poll(self._wait())
            self._drain()
        self._stack.close()
        self._drain()
        _say("quit")

    def _wait(self) -> int:
        now = boot_ms()
        return min([_POLL_MS, *(max(0, at - now) for at, _ in self._due)])

    def _drain(self) -> None:
        while not self._events.empty():
            self._handle(self._events.get())
        while not self._commands.empty():
            self._obey(self._commands.get())
        now = boot_ms()
        due = [action for at, action in self._due if at <= now]
        self._due = [(at, action) for at, action in self._due if at > now]
        for action in due:
            self._stack.perform(action)
        for call_id, line in self._line_of.items():
            heard = self._lines[line].heard()
            if heard is not None:
                _say("heard", call=call_id, hz=heard.hz, level=heard.level)

    def _handle(self, event: events.TelephoneEvent) -> None:
        match event:
            case events.SipReady(local_port=port, version=version):
                _say("listening", port=port, version=version)
            case events.Registered(account=user):
                self._registered(user)
            case events.RegistrationFailed():
                self._not_registered(event)
            case events.IncomingInvite():
                self._invited(event)
            case events.Progress(call_id, code, early_media):
                _say("progress", call=call_id, code=code, early_media=early_media)
            case events.CallAnswered(call_id):
                _say("answered", call=call_id)
            case events.DtmfReceived(call_id, digit):
                _say("digit", call=call_id, digit=digit)
            case events.CallOver():
                self._over(event)

    def _registered(self, user: str) -> None:
        self._retries[user] = 0
        if user not in self._unregistered:
            return
        self._unregistered.discard(user)
        _say("registered", user=user)
        if not self._unregistered:
            _say("ready", subscribers=sorted(self._by_user))

    def _not_registered(self, event: events.RegistrationFailed) -> None:
        _say("registration_failed", user=event.account, code=event.code, reason=event.reason, on_wire=event.on_wire)
        self._retries[event.account] += 1
        if not event.on_wire and self._retries[event.account] <= _MAX_RETRIES:
            self._due.append((boot_ms() + _RETRY_MS, actions.Register(event.account)))

    def _invited(self, event: events.IncomingInvite) -> None:
        call_id = event.call_id
        _say(
            "invite",
            call=call_id,
            user=event.account,
            caller=event.caller.number,
            called=event.called,
            source=event.source,
        )
        subscriber = self._by_user[event.account]
        line = self._free_line()
        if subscriber.behaviour is Behaviour.BUSY or line is None:
            self._stack.perform(actions.Reject(call_id, _SC_BUSY))
            return
        self._stack.perform(actions.Ringing(call_id))
        at = boot_ms() + subscriber.answer_ms
        if subscriber.behaviour is Behaviour.ECHO_TONE:
            self._begin(call_id, subscriber, line)
            self._due.append((at, actions.Answer(call_id, line)))
        elif subscriber.behaviour is Behaviour.NO_ANSWER:
            self._due.append((at, actions.Reject(call_id, _SC_UNAVAILABLE)))

    def _begin(self, call_id: str, subscriber: Subscriber, line: int) -> None:
        self._line_of[call_id] = line
        self._lines[line].lift(subscriber.tone_hz, subscriber.tone_ms)

    def _free_line(self) -> int | None:
        taken = set(self._line_of.values())
        return next((line for line in range(_LINES) if line not in taken), None)

    def _over(self, event: events.CallOver) -> None:
        self._line_of.pop(event.call_id, None)
        self._due = [(at, action) for at, action in self._due if getattr(action, "call_id", "") != event.call_id]
        stats = msgspec.to_builtins(event.stats) if event.stats is not None else None
        _say("bye", call=event.call_id, code=event.code, reason=event.reason, remote=event.remote,
             on_wire=event.on_wire, stats=stats)  # fmt: skip

    def _obey(self, command: Command | None) -> None:
        if command is None or command.quit:
            self._running = False
        elif command.call is not None:
            self._call(command.call)
        elif command.press is not None:
            self._stack.perform(actions.SendDtmf(command.press.call, command.press.digit))
        elif command.hangup is not None:
            for call_id in tuple(self._line_of) if command.hangup == "all" else (command.hangup,):
                self._stack.perform(actions.HangUp(call_id))

    def _call(self, command: CallCommand) -> None:
        subscriber, line = self._by_user.get(command.caller), self._free_line()
        if subscriber is None or line is None:
            _say("refused", reason="no such subscriber" if subscriber is None else "all lines are taken")
            return
        call_id = f"out-{command.caller}-{boot_ms()}"
        self._begin(call_id, subscriber, line)
        _say("calling", call=call_id, user=command.caller, to=command.to)
        self._stack.perform(actions.Invite(call_id, command.caller, command.to, line))

    def _read_commands(self) -> None:
        for line in iter(lambda: sys.stdin.readline(_MAX_COMMAND), ""):
            try:
                self._commands.put(msgspec.json.decode(line, type=Command))
            except msgspec.DecodeError as error:
                _say("bad_command", reason=str(error))
            self._stack.wake()
        self._commands.put(None)
        self._stack.wake()

    def _log(self, level: str, event: str, detail: str) -> None:
        print(json.dumps({"level": level, "event": event, "detail": detail}), file=sys.stderr, flush=True)  # noqa: T201


def _account(subscriber: Subscriber) -> protocol.Account:
    return protocol.Account(
        id=subscriber.user, user=subscriber.user, domain=subscriber.domain, password=subscriber.password,
        auth_user=subscriber.auth_user or subscriber.user, targets=[subscriber.target], expires_s=subscriber.expires_s,
        codecs=list(subscriber.codecs),
    )  # fmt: skip


def _say(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, "at_ms": boot_ms(), **fields}) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run the process of one configuration file; returns 0, 1 (SIP could not start) or 2 (bad configuration)."""
    if len(arguments) != 1:
        print("usage: python -m agent.lab.subscriber CONFIG.json", file=sys.stderr)  # noqa: T201
        return 2
    try:
        config = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Config)
    except (OSError, msgspec.DecodeError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)  # noqa: T201
        return 2
    sys.setswitchinterval(0.001)
    try:
        SubscriberProcess(config).run()
    except SipError as error:
        print(str(error), file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
