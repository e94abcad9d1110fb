"""The serial port and the thread that serves it; the only importer of pyserial and the bridge's only clock."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import selectors
import struct
import termios
import threading
import time
from typing import Protocol

import serial
from msgspec import Struct, structs

from firmware_bridge.link_events import LinkEvent
from firmware_bridge.rates import BASE_RATE
from firmware_bridge.session import HostLink

_READ_BYTES = 4096
_BACKOFF_FIRST_MS = 100
_BACKOFF_MAX_MS = 2000
_GOODBYE_MS = 200


_log = logging.getLogger(__name__)


_TIOCGICOUNT = getattr(termios, "TIOCGICOUNT", 0x545D)
_COUNTERS = struct.Struct("24x5i36x")
"""`struct serial_icounter_struct` of linux/serial.h: after six line and byte counters frame, overrun, parity, break and
buffer overrun, then nine words of reserve."""
_COUNT_EVERY_MS = 1000


class UartErrors(Struct, frozen=True):
    """Bytes that the UART or its driver has lost or found damaged."""

    overruns: int = 0
    """The UART's own buffer was full: the processor came too late."""
    buffer_overruns: int = 0
    """The driver's was full: we came too late."""
    framing: int = 0
    parity: int = 0

    def since(self, before: UartErrors) -> UartErrors:
        """What has been added since `before`; a counter that began anew counts from there."""
        return UartErrors(
            *(
                now - was if now >= was else now
                for now, was in zip(structs.astuple(self), structs.astuple(before), strict=True)
            )
        )

    def plus(self, other: UartErrors) -> UartErrors:
        """The sum of both."""
        return UartErrors(
            *(one + more for one, more in zip(structs.astuple(self), structs.astuple(other), strict=True))
        )


class PortError(Exception):
    """The port cannot be opened, or is gone; the text is a sentence for a technician."""


def boot_ms() -> int:
    """Milliseconds of CLOCK_BOOTTIME."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class SerialPort:
    """An open serial device: exclusive, non-blocking, with low latency where the driver has it."""

    def __init__(self, path: str) -> None:
        """Open `path` at BASE_RATE. Raises PortError."""
        self._path = path
        self.rate = BASE_RATE
        self._serial = serial.Serial()
        self._serial.port = path
        self._serial.baudrate = BASE_RATE
        self._serial.exclusive = True
        self._serial.timeout = 0
        # Set before opening, so that boards which wire DTR and RTS to reset see no edge after it.
        self._serial.dtr = True
        self._serial.rts = True
        try:
            self._serial.open()
            self.fd: int = self._serial.fileno()
            self._keep_lines_on_close()
        except (OSError, ValueError, termios.error) as error:
            self.close()
            raise PortError(f"cannot open {path}: {_cause(error)}") from error
        # A pseudo-terminal and many USB drivers have no such mode; the link works without it.
        with contextlib.suppress(OSError, ValueError, AttributeError, NotImplementedError):
            self._serial.set_low_latency_mode(True)

    def _keep_lines_on_close(self) -> None:
        attributes = termios.tcgetattr(self.fd)
        attributes[2] &= ~termios.HUPCL
        termios.tcsetattr(self.fd, termios.TCSANOW, attributes)

    def set_rate(self, rate: int) -> None:
        """Speak at `rate` from now on. A driver that cannot is left as it is."""
        self.rate = rate
        # Waiting for output to drain may last for ever on a dead USB device; at the other rate it is worthless anyway.
        # Where the driver refuses the rate, the link notices that nobody answers, and goes back.
        with contextlib.suppress(OSError, ValueError, termios.error):
            self._serial.reset_output_buffer()
            self._serial.baudrate = rate

    def read(self) -> bytes:
        """What has arrived; empty: nothing. Raises PortError where the device is gone."""
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise PortError(f"{self._path} is gone: {error.strerror}") from error
        if not data:
            raise PortError(f"{self._path} is gone: end of file")
        return data

    def write(self, data: bytes) -> int:
        """How much of `data` the driver took. Raises PortError where the device is gone."""
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise PortError(f"{self._path} is gone: {error.strerror}") from error

    def errors(self) -> UartErrors | None:
        """What the driver has counted since it was loaded; None where it does not count, like a pseudo-terminal."""
        try:
            counted = fcntl.ioctl(self.fd, _TIOCGICOUNT, bytes(_COUNTERS.size))
        except OSError:
            return None
        frame, overrun, parity, _breaks, buffer = _COUNTERS.unpack(counted)
        return UartErrors(overruns=overrun, buffer_overruns=buffer, framing=frame, parity=parity)

    def close(self) -> None:
        """Close the device; a device that is gone makes no difference."""
        with contextlib.suppress(OSError, termios.error):
            self._serial.close()


def _cause(error: Exception) -> str:
    """What a technician can do about a port that does not open."""
    number = getattr(error, "errno", None)
    if "lock" in str(error) or number in (errno.EBUSY, errno.EAGAIN):
        return "another program has it open"
    if number == errno.EACCES:
        return "permission denied; this user must be in the device's group"
    if number == errno.ENOENT:
        return "there is no such device; is the card plugged in?"
    return str(error)


class PortOwner(Protocol):
    """Who uses the link. Every method is called on the port's thread and must not block."""

    def link_event(self, link: HostLink, event: LinkEvent) -> None:
        """Something came from the link."""

    def woken(self, link: HostLink) -> None:
        """`PortThread.wake` was called, or something else happened: send what waits."""

    def deadline(self) -> int | None:
        """When it wants to be woken at the latest, in milliseconds of `boot_ms`; None: by events only."""

    def leaving(self, link: HostLink) -> None:
        """The thread was told to stop: send the last words."""

    def port_lost(self, reason: str) -> None:
        """The port could not be opened or is gone."""


class PortThread:
    """A thread with a selector around a HostLink; reopens the port by its path for ever, with backoff."""

    def __init__(self, path: str, link: HostLink, owner: PortOwner) -> None:
        self._path = path
        self._link = link
        self._owner = owner
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._wake_lock = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="line-card", daemon=True)
        self.opens = 0
        self.open_failures = 0
        self.losses = 0
        self.errors = UartErrors()
        """What the driver has counted while the port was ours."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop the thread and close the port. Does not wait when called on the thread itself."""
        self._stopping = True
        self.wake()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """Let the thread call its owner's `woken`; from any thread, at any time."""
        with self._wake_lock:
            if self._wake_fd >= 0:
                os.eventfd_write(self._wake_fd, 1)

    def _run(self) -> None:
        backoff = _BACKOFF_FIRST_MS
        while not self._stopping:
            try:
                port = SerialPort(self._path)
            except PortError as error:
                self.open_failures += 1
                self._owner.port_lost(str(error))
                self._pause(backoff)
                backoff = min(2 * backoff, _BACKOFF_MAX_MS)
                continue
            self.opens += 1
            backoff = _BACKOFF_FIRST_MS
            try:
                self._serve(port)
            except PortError as error:
                self.losses += 1
                self._owner.port_lost(str(error))
                self._close_link()
                self._pause(backoff)
            except Exception as error:  # noqa: BLE001 -- a telephone must not fall silent for ever over our own mistake
                _log.exception("the thread of the line card failed; the port is opened again")
                self._owner.port_lost(f"internal error: {type(error).__name__}")
                self._close_link()
                self._pause(_BACKOFF_MAX_MS)
            finally:
                port.close()
        self._close_link()
        with self._wake_lock:
            os.close(self._wake_fd)
            self._wake_fd = -1

    def _pause(self, ms: int) -> None:
        """Wait; commands that arrive meanwhile are thrown away by the owner, a stop ends the wait."""
        until = boot_ms() + ms
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_fd, selectors.EVENT_READ)
            while not self._stopping and (left := until - boot_ms()) > 0:
                if selector.select(left / 1000):
                    self._drain_wake()
                    self._owner.woken(self._link)

    def _drain_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake_fd)

    def _close_link(self) -> None:
        self._link.close(boot_ms())
        self._deliver()

    def _deliver(self) -> None:
        while (event := self._link.next_event()) is not None:
            self._owner.link_event(self._link, event)

    def _serve(self, port: SerialPort) -> None:
        link, owner = self._link, self._owner
        link.start(boot_ms())
        unsent = b""
        count_ms, before = boot_ms(), port.errors()
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_fd, selectors.EVENT_READ)
            selector.register(port.fd, selectors.EVENT_READ)
            wants_write = False
            while not self._stopping:
                owner.woken(link)
                now = boot_ms()
                unsent = self._write(port, unsent, now)
                if bool(unsent) is not wants_write:
                    wants_write = bool(unsent)
                    mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if wants_write else 0)
                    selector.modify(port.fd, mask)
                due = min((at for at in (link.next_timer(), owner.deadline()) if at is not None), default=None)
                timeout = None if due is None else max(0, due - now) / 1000
                for key, mask in selector.select(timeout):
                    if key.fd == self._wake_fd:
                        self._drain_wake()
                    elif mask & selectors.EVENT_READ:
                        link.receive(port.read(), boot_ms())
                if before is not None and now >= count_ms:
                    count_ms = now + _COUNT_EVERY_MS
                    before = self._count(port, before)
                # After reading, so that a late thread does not take its own delay for the card's silence.
                link.on_timer(boot_ms())
                self._deliver()
            owner.leaving(link)
            self._say_goodbye(port, selector, unsent)

    def _say_goodbye(self, port: SerialPort, selector: selectors.BaseSelector, unsent: bytes) -> None:
        """Write the last words; where the window is full, they wait a moment for what makes room."""
        link = self._link
        selector.modify(port.fd, selectors.EVENT_READ)
        until = boot_ms() + _GOODBYE_MS
        while True:
            unsent = self._write(port, unsent, boot_ms())
            left = until - boot_ms()
            if not link.unsent or left <= 0:
                return
            for key, _ in selector.select(left / 1000):
                if key.fd == port.fd:
                    link.receive(port.read(), boot_ms())
                else:
                    self._drain_wake()

    def _count(self, port: SerialPort, before: UartErrors) -> UartErrors | None:
        counted = port.errors()
        if counted is not None:
            self.errors = self.errors.plus(counted.since(before))
        return counted

    def _write(self, port: SerialPort, unsent: bytes, now: int) -> bytes:
        """Write until there is nothing more to say or the driver is full; what the driver did not take."""
        while data := unsent or self._next_data(port, now):
            unsent = data[port.write(data) :]
            if unsent:
                break
        return unsent

    def _next_data(self, port: SerialPort, now: int) -> bytes:
        if port.rate != self._link.rate:
            port.set_rate(self._link.rate)
        return self._link.data_to_send(now)
