"""The host's end of a firmware update: what to tell the card next, and what its answers mean. Pure.

The card always has a firmware that runs: the new one is written beside it, started on trial, and kept only when the
host, after some seconds of a good session with it, says so. Whoever owns the link tells of sessions and answers,
sends what `wanted` gives, and calls `tick` when `deadline` is due. `now` is milliseconds of a monotonic clock.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from firmware_bridge import messages as m
from firmware_bridge.image import FirmwareImage, version_of
from firmware_bridge.vocabulary import Capability, FirmwareError, FirmwareState, Status

BLOCK: Final = 128
"""One FIRMWARE_DATA: 1.4 ms of wire at 921600 baud, so that whatever is urgent waits for one at most."""
WINDOW: Final = 3
"""Blocks under way; the link itself has room for four frames, one stays free for what is urgent."""
STABLE_MS: Final = 3_000
"""A session with firmware on trial that lasted this long is a good one."""
PATIENCE_MS: Final = 60_000
"""How long nothing may come of it: the card erases, checks or is away."""
RESTART_PATIENCE_MS: Final = 100_000
"""The same for a restart: firmware that does not talk is on trial for TRIAL_MS before the card goes back."""
_POLL_MS: Final = 200
_MOST_BEGINS: Final = 32
_MOST_RESTARTS: Final = 2


class Phase(enum.StrEnum):
    """How far an update has come; the words are those that people are told."""

    PREPARING = "preparing"
    SENDING = "sending"
    INTERRUPTED = "interrupted"
    VERIFYING = "verifying"
    RESTARTING = "restarting"
    CONFIRMING = "confirming"
    DONE = "done"
    ABORTED = "aborted"
    FAILED = "failed"
    REFUSED = "refused"


_OVER: Final = frozenset({Phase.DONE, Phase.ABORTED, Phase.FAILED, Phase.REFUSED})
_BEFORE_RESTART: Final = frozenset({Phase.PREPARING, Phase.SENDING, Phase.INTERRUPTED, Phase.VERIFYING})
_NOT_TRIED: Final = frozenset(
    {FirmwareState.IDLE, FirmwareState.ERASING, FirmwareState.RECEIVING, FirmwareState.VERIFIED}
)
_IN_USE: Final = frozenset({Status.OFF_HOOK, Status.BUSY})


class Progress(Struct, frozen=True):
    """An update as it stands, in bytes of the body. `reason` is a fixed word, `detail` what the card said."""

    phase: Phase
    request: str
    version: str
    sent: int
    total: int
    reason: str = ""
    detail: str = ""


class Order(Struct, frozen=True):
    """An image that is to be written; `forced`: also where the card has this or a later version."""

    image: FirmwareImage
    request: str
    forced: bool = False


class Updater:
    """At most one update at a time. `tell` hears of every step, and of every per cent that was sent.

    Firmware that it finds on trial in any session is confirmed, whoever began that update: a session that holds is
    all that the trial asks for, and a host that was restarted must not undo what it has forgotten.
    """

    def __init__(self, tell: Callable[[Progress], None]) -> None:
        self._tell = tell
        self._order: Order | None = None
        self._phase = Phase.DONE
        self._able = False
        self._firmware = self._hardware = ""
        self._since_ms: int | None = None
        self._give_up_ms: int | None = None
        self._told_permille = -1
        self._begins = self._restarts = 0
        self._forget_session()

    def _forget_session(self) -> None:
        self._asked: object | None = None
        self._next: object | None = None
        self._at_ms: int | None = None
        self._offset = self._done = self._flying = 0
        self._stumbled = False

    @property
    def active(self) -> bool:
        """Whether an update is going on."""
        return self._order is not None

    @property
    def interruptible(self) -> bool:
        """Whether it can still be ended without a restart of the card."""
        return self._order is not None and self._phase in _BEFORE_RESTART

    # --- what happens ---

    def order(self, order: Order, now: int) -> None:
        """Begin to write an image, or say why not."""
        if self._order is not None:
            self._say(order, Phase.REFUSED, "refused_updating")
            return
        reason = self._why_not(order)
        if reason:
            self._say(order, Phase.REFUSED, reason, self._firmware)
            return
        self._order, self._begins, self._restarts, self._told_permille = order, 0, 0, -1
        # An answer that is still on its way belongs to an earlier order.
        self._forget_session()
        self._move(Phase.PREPARING, now)
        self._want(m.FirmwareStatus(), now)

    def refuse(self, order: Order, reason: str) -> None:
        """Say of an order that its owner does not want it now."""
        self._say(order, Phase.REFUSED, reason)

    def session(self, card: m.HelloAck, now: int) -> None:
        """A session with the card has begun."""
        self._forget_session()
        self._firmware, self._hardware = card.firmware, card.hardware
        self._able = Capability.FIRMWARE_UPDATE in Capability(card.capabilities)
        self._since_ms = now
        if self._able:
            self._want(m.FirmwareStatus(), now)
        elif self._order is not None:
            self._end(Phase.FAILED, "refused_unable")

    def lost(self, now: int) -> None:
        """The session has ended; what was asked in it will not be answered."""
        was_here = self._since_ms is not None
        self._forget_session()
        self._since_ms = None
        if self._order is not None and was_here and self._phase in _BEFORE_RESTART:
            self._move(Phase.INTERRUPTED, now)

    def abort(self, reason: str) -> None:
        """Stop writing: the card keeps what it has, and the same image goes on from there another time."""
        if self.interruptible:
            self._end(Phase.ABORTED, reason)

    def answered(self, command: object, status: Status, result: object, now: int) -> bool:
        """The card has answered a command; false where that command was none of an update."""
        match command:
            case m.FirmwareData(data=data):
                if self._flying:
                    self._flying -= 1
                    self._written(len(data), status, now)
            case m.FirmwareBegin() | m.FirmwareStatus() | m.FirmwareVerify() | m.FirmwareActivate():
                if command is self._asked:
                    self._asked = None
                    self._heard(command, status, result, now)
            case _:
                return False
        return True

    def deadline(self) -> int | None:
        """When `tick` or `wanted` has something new to say."""
        due = [at for at in (self._at_ms if self._next is not None else None, self._give_up_ms) if at is not None]
        return min(due, default=None)

    def tick(self, now: int) -> None:
        """Time has passed: what has not moved for PATIENCE_MS is given up."""
        if self._give_up_ms is not None and now >= self._give_up_ms:
            self._end(Phase.FAILED, f"timeout_{self._phase.value}")

    # --- what is sent ---

    def wanted(self, now: int) -> object | None:
        """The next command for the card; `sent` must be called when it is on its way."""
        if self._since_ms is None:
            return None
        if self._asked is None and self._next is not None and self._at_ms is not None and now >= self._at_ms:
            return self._next
        order = self._order
        if order is None or self._phase is not Phase.SENDING or self._stumbled or self._flying >= WINDOW:
            return None
        data = order.image.body[self._offset : self._offset + BLOCK]
        return m.FirmwareData(self._offset, data) if data else None

    def sent(self, command: object) -> None:
        """What `wanted` gave is on its way."""
        if isinstance(command, m.FirmwareData):
            self._offset += len(command.data)
            self._flying += 1
        else:
            self._asked, self._next, self._at_ms = command, None, None

    # --- inside ---

    def _why_not(self, order: Order) -> str:
        header = order.image.header
        if self._since_ms is None:
            return "refused_no_card"
        if not self._able:
            return "refused_unable"
        if header.hardware != self._hardware:
            return "refused_hardware"
        running = version_of(self._firmware)
        if order.forced:
            return ""
        if running is None:
            return "refused_unknown_version"
        if header.version < running:
            return "refused_older"
        return "refused_same" if header.version == running else ""

    def _want(self, command: object, at_ms: int) -> None:
        self._next, self._at_ms = command, at_ms

    def _heard(self, command: object, status: Status, result: object, now: int) -> None:
        if status is not Status.OK:
            self._refused(command, status, now)
        elif isinstance(result, m.FirmwareProgress):
            self._card_says(command, result, now)
        elif isinstance(command, m.FirmwareActivate) and not command.confirm:
            return  # It restarts: the next thing to hear is a session.
        elif isinstance(command, m.FirmwareVerify | m.FirmwareActivate):
            self._want(m.FirmwareStatus(), now)

    def _refused(self, command: object, status: Status, now: int) -> None:
        if self._order is None:
            return
        if self._phase is Phase.RESTARTING and not (isinstance(command, m.FirmwareActivate) and not command.confirm):
            # On trial or back again: what it says of itself counts, not one refused question.
            self._want(m.FirmwareStatus(), now + _POLL_MS)
        elif status in _IN_USE:
            self._end(Phase.ABORTED, "aborted_line_needed")
        else:
            self._end(Phase.FAILED, "refused_by_card", f"{type(command).__name__}: {status.name}")

    def _card_says(self, command: object, card: m.FirmwareProgress, now: int) -> None:
        self._firmware = card.running or self._firmware
        if card.state is FirmwareState.TRIAL:
            self._on_trial(now)
        elif self._order is not None:
            if self._phase in (Phase.RESTARTING, Phase.CONFIRMING):
                self._after_restart(self._order, card, now)
            elif isinstance(command, m.FirmwareStatus) and self._phase in (Phase.PREPARING, Phase.INTERRUPTED):
                self._begin_or_wait(self._order, card, now)
            else:
                self._go_on(self._order, card, now)

    def _on_trial(self, now: int) -> None:
        if self._order is not None and self._phase is Phase.RESTARTING:
            self._move(Phase.CONFIRMING, now)
        stable = (self._since_ms if self._since_ms is not None else now) + STABLE_MS
        self._want(m.FirmwareActivate(confirm=True), max(now, stable))

    def _after_restart(self, order: Order, card: m.FirmwareProgress, now: int) -> None:
        wished = str(order.image.header.version)
        if card.state is FirmwareState.CONFIRMED and str(version_of(card.running)) == wished:
            self._end(Phase.DONE)
        elif card.state in _NOT_TRIED and self._restarts < _MOST_RESTARTS:
            # It lost its power before it could begin the trial.
            self._move(Phase.PREPARING, now)
            self._begin_or_wait(order, card, now)
        else:
            self._end(Phase.FAILED, "rolled_back", f"{card.running}, {card.error.name}")

    def _begin_or_wait(self, order: Order, card: m.FirmwareProgress, now: int) -> None:
        """The card is idle, or still has the erasing of a BEGIN of ours to do."""
        if card.state is FirmwareState.ERASING and self._begins:
            self._want(m.FirmwareStatus(), now + _POLL_MS)
            return
        self._begins += 1
        if self._begins > _MOST_BEGINS:
            self._end(Phase.FAILED, "too_many_interruptions")
            return
        self._want(m.FirmwareBegin(order.image.header_bytes, order.image.signature), now)

    def _go_on(self, order: Order, card: m.FirmwareProgress, now: int) -> None:
        """The answer to our BEGIN, or to a question that followed it."""
        match card.state:
            case FirmwareState.ERASING | FirmwareState.VERIFYING:
                self._want(m.FirmwareStatus(), now + _POLL_MS)
            case FirmwareState.RECEIVING if (
                card.received <= order.image.header.length and self._phase is not Phase.VERIFYING
            ):
                self._offset = self._done = card.received
                self._flying, self._stumbled = 0, False
                self._move(Phase.SENDING, now)
                self._check_whole(order, now)
            case FirmwareState.VERIFIED:
                self._restarts += 1
                self._move(Phase.RESTARTING, now)
                self._want(m.FirmwareActivate(), now)
            case FirmwareState.FAILED:
                self._end(Phase.FAILED, f"card_{card.error.name.lower()}")
            case _:
                self._end(Phase.FAILED, "refused_by_card", card.state.name)

    def _written(self, size: int, status: Status, now: int) -> None:
        order = self._order
        if order is None or self._phase is not Phase.SENDING:
            return
        if status in _IN_USE:
            self._end(Phase.ABORTED, "aborted_line_needed")
            return
        self._stumbled |= status is not Status.OK
        if self._stumbled:
            if not self._flying:
                # It has lost the thread, or its flash fails: BEGIN tells from where to go on, or why not.
                self._move(Phase.PREPARING, now)
                self._begin_or_wait(order, _UNKNOWN, now)
            return
        self._done += size
        self._give_up_ms = now + PATIENCE_MS
        permille = 1000 * self._done // order.image.header.length
        if permille // 10 != self._told_permille // 10:
            self._told_permille = permille
            self._say(order, self._phase)
        self._check_whole(order, now)

    def _check_whole(self, order: Order, now: int) -> None:
        if self._done >= order.image.header.length and not self._flying:
            self._move(Phase.VERIFYING, now)
            self._want(m.FirmwareVerify(), now)

    def _move(self, phase: Phase, now: int) -> None:
        self._give_up_ms = now + (RESTART_PATIENCE_MS if phase is Phase.RESTARTING else PATIENCE_MS)
        changed = phase is not self._phase or phase is Phase.PREPARING
        self._phase = phase
        if changed and self._order is not None:
            self._say(self._order, phase)

    def _end(self, phase: Phase, reason: str = "", detail: str = "") -> None:
        order, self._order = self._order, None
        self._phase = phase
        self._give_up_ms = None
        if not (isinstance(self._next, m.FirmwareActivate) and self._next.confirm):
            self._next = self._at_ms = None
        if order is not None:
            self._say(order, phase, reason, detail)

    def _say(self, order: Order, phase: Phase, reason: str = "", detail: str = "") -> None:
        total = order.image.header.length
        sent = total if phase is Phase.DONE else self._done
        self._tell(Progress(phase, order.request, str(order.image.header.version), sent, total, reason, detail))


_UNKNOWN: Final = m.FirmwareProgress(FirmwareState.IDLE, FirmwareError.NONE, 0, 0, "")
