"""What a simulated card does about its own firmware: boot loader, reception, trial. Time is an argument.

A body that begins with `#mute` is firmware whose link does not work, one that begins with `#crash` does not get that
far; any other one works.
"""

from __future__ import annotations

from collections.abc import Callable

from firmware_bridge import ed25519
from firmware_bridge import messages as m
from firmware_bridge.image import PRODUCT, ImageError, ImageHeader, parse_header
from firmware_bridge.simulator.flash import CONFIRMED, PAGE, ROLLED_BACK, Flash, PowerCut
from firmware_bridge.vocabulary import TRIAL_MS, FirmwareError, FirmwareState, Status

_VERIFY_MS = 50
_CRASH_MS = 500
_STATES = {CONFIRMED: FirmwareState.CONFIRMED, ROLLED_BACK: FirmwareState.ROLLED_BACK}


class SimulatedFirmware:
    """`made_with`: what the firmware of slot 0 calls itself. `key`: whose signature is asked for; None: not checked."""

    def __init__(
        self, flash: Flash, made_with: str, hardware: str, *, key: bytes | None = None, trial_ms: int = TRIAL_MS
    ) -> None:
        self.flash = flash
        self._made_with, self._hardware, self._key, self._trial_ms = made_with, hardware, key, trial_ms
        self.running = made_with
        """What the firmware that runs calls itself."""
        self.mute = False
        """Whether the firmware that runs does not talk."""
        self._slot = 0
        self._state, self._error = FirmwareState.IDLE, FirmwareError.NONE
        self._received = 0
        self._erase_next = 0
        self._erase_end = 0
        self._pending: bytes = b""
        self._due_ms = 0
        self._trial_ends_ms: int | None = None
        self._crash_ms: int | None = None

    # --- starting ---

    def boot(self, now: int) -> None:
        """Choose the firmware to run, as a boot loader does. A power cut in the middle of that only repeats it."""
        while True:
            try:
                self._boot()
            except PowerCut:
                continue
            break
        self._received = self._erase_next = self._erase_end = 0
        self._pending = b""
        header, body = self.flash.header(self._slot), self.flash.body(self._slot)
        self.running = self._made_with if header is None else f"sim-{header.version}"
        self.mute = body.startswith((b"#mute", b"#crash"))
        on_trial = self._slot != self.flash.record().active
        self._trial_ends_ms = now + self._trial_ms if on_trial else None
        self._crash_ms = now + _CRASH_MS if on_trial and body.startswith(b"#crash") else None

    def _boot(self) -> None:
        flash, record = self.flash, self.flash.record()
        self._error = record.error
        self._state = _STATES.get(record.outcome, FirmwareState.IDLE)
        self._slot = record.active
        if record.trial == 1 and flash.whole(1 - record.active):
            # Noted before it is started: whatever ends the trial early, the next start goes back.
            flash.change_record(trial=2)
            self._slot = 1 - record.active
            self._state = FirmwareState.TRIAL
        elif record.trial:
            flash.change_record(trial=0, outcome=ROLLED_BACK, error=FirmwareError.NOT_CONFIRMED)
            self._state, self._error = FirmwareState.ROLLED_BACK, FirmwareError.NOT_CONFIRMED

    @property
    def receiving(self) -> bool:
        """Whether some of an image has come, and not all of it."""
        return self._state is FirmwareState.RECEIVING and self._received > 0

    @property
    def on_trial(self) -> bool:
        """Whether the firmware that runs has yet to be confirmed."""
        return self._trial_ends_ms is not None

    # --- living ---

    def tick(self, now: int) -> bool:
        """Live through 10 ms; true: the card restarts now. Raises PowerCut."""
        if self._crash_ms is not None and now >= self._crash_ms:
            return True
        if self._trial_ends_ms is not None and now >= self._trial_ends_ms:
            return True
        if self._state is FirmwareState.ERASING:
            self._erase_one()
        elif self._state is FirmwareState.VERIFYING and now >= self._due_ms:
            self._verify()
        return False

    def _erase_one(self) -> None:
        other = 1 - self._slot
        if self._erase_next < self._erase_end:
            self.flash.erase_page(other, self._erase_next)
            self._erase_next += 1
            return
        if self._pending:
            self.flash.write_signed(other, self._pending)
            self._pending = b""
        self._state = FirmwareState.RECEIVING

    def _verify(self) -> None:
        other = 1 - self._slot
        signed = self.flash.signed(other)
        if not self.flash.whole(other):
            self._fail(FirmwareError.HASH)
        elif self._key is not None and not ed25519.verify(self._key, signed[:128], signed[128:]):
            self._fail(FirmwareError.SIGNATURE)
        else:
            self._state = FirmwareState.VERIFIED

    def _fail(self, error: FirmwareError) -> None:
        self._state, self._error = FirmwareState.FAILED, error

    # --- commands ---

    def order(
        self, command: object, now: int, in_use: Callable[[], Status]
    ) -> tuple[Status, m.FirmwareProgress | None, bool]:
        """Do what the host wants: status, result, and whether the card restarts now. Raises PowerCut."""
        match command:
            case m.FirmwareStatus():
                return Status.OK, self.progress(now), False
            case m.FirmwareActivate(confirm=True):
                return self._confirm(), None, False
            case _ if (status := in_use()) is not Status.OK:
                return status, None, False
            case _ if self._trial_ends_ms is not None:
                # The other slot holds the only firmware that is known to work.
                return Status.FAILED, None, False
            case m.FirmwareBegin():
                self._begin(command)
                return Status.OK, self.progress(now), False
            case m.FirmwareData():
                return self._data(command), None, False
            case m.FirmwareVerify():
                return self._begin_verify(now), None, False
            case m.FirmwareActivate() if self._state is FirmwareState.VERIFIED:
                self.flash.change_record(trial=1, outcome=0, error=FirmwareError.NONE)
                return Status.OK, None, True
            case _:
                return Status.INVALID, None, False

    def progress(self, now: int) -> m.FirmwareProgress:
        """How far an update has come."""
        left = 0 if self._trial_ends_ms is None else max(0, self._trial_ends_ms - now)
        return m.FirmwareProgress(self._state, self._error, self._received, self.flash.capacity, self.running, left)

    def _confirm(self) -> Status:
        if self._trial_ends_ms is None:
            return Status.INVALID
        self.flash.change_record(active=self._slot, trial=0, outcome=CONFIRMED, error=FirmwareError.NONE)
        self._trial_ends_ms = None
        self._state = FirmwareState.CONFIRMED
        return Status.OK

    def _begin(self, command: m.FirmwareBegin) -> None:
        other = 1 - self._slot
        signed = command.header + command.signature
        try:
            header = parse_header(command.header)
        except ImageError:
            self._fail(FirmwareError.HEADER)
            return
        error = self._why_not(header)
        if error is not FirmwareError.NONE:
            self._fail(error)
        elif signed == self.flash.signed(other) and self._state is not FirmwareState.FAILED and self._resume(header):
            self._error = FirmwareError.NONE
        else:
            self._state, self._error, self._received = FirmwareState.ERASING, FirmwareError.NONE, 0
            self._erase_next, self._erase_end = 0, 1 + -(-header.length // PAGE)
            self._pending = signed

    def _why_not(self, header: ImageHeader) -> FirmwareError:
        if header.product != PRODUCT:
            return FirmwareError.PRODUCT
        if header.hardware != self._hardware:
            return FirmwareError.HARDWARE
        return FirmwareError.TOO_LARGE if header.length > self.flash.capacity else FirmwareError.NONE

    def _resume(self, header: ImageHeader) -> bool:
        """Go on with the image that is in the other slot; false where that is damaged."""
        if self._state in (FirmwareState.RECEIVING, FirmwareState.VERIFIED, FirmwareState.ERASING):
            return True
        other = 1 - self._slot
        if self.flash.whole(other):
            self._received, self._state = header.length, FirmwareState.RECEIVING
            return True
        received = self.flash.marked(other)
        if received >= header.length:
            return False
        # What follows the last full page may be half written.
        self._received, self._state = received, FirmwareState.ERASING
        self._erase_next, self._erase_end = 1 + received // PAGE, 1 + -(-header.length // PAGE)
        self._pending = b""
        return True

    def _data(self, command: m.FirmwareData) -> Status:
        header = self.flash.header(1 - self._slot)
        end = command.offset + len(command.data)
        if self._state is not FirmwareState.RECEIVING or header is None or command.offset > self._received:
            return Status.INVALID
        if end > header.length:
            return Status.INVALID
        if end > self._received:
            fresh = command.data[self._received - command.offset :]
            self.flash.write_body(1 - self._slot, self._received, fresh)
            self._received = end
        return Status.OK

    def _begin_verify(self, now: int) -> Status:
        header = self.flash.header(1 - self._slot)
        if self._state is not FirmwareState.RECEIVING or header is None:
            return Status.INVALID
        if self._received != header.length:
            self._fail(FirmwareError.LENGTH)
            return Status.OK
        self._state, self._due_ms = FirmwareState.VERIFYING, now + _VERIFY_MS
        return Status.OK
