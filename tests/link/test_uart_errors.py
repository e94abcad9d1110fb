"""Bytes that the serial driver lost are counted, where it tells."""

import errno
import struct

import pytest

from firmware_bridge import CardUp, LineCard
from firmware_bridge import port as port_module
from firmware_bridge.port import UartErrors

COUNTERS = struct.Struct("20i")


def test_a_pseudo_terminal_counts_nothing_and_the_link_works(line_card, owner):
    assert owner.wait_event(CardUp(lines=2, firmware="sim-1.0.0"))
    assert (line_card.stats().uart_overruns, line_card.stats().uart_framing_errors) == (0, 0)


def test_what_the_driver_counts_is_shown_since_the_port_was_opened(pty_card, owner, monkeypatch):
    """The counters of a driver count since it was loaded, and other programs have used the port before."""
    asked = []

    def ioctl(fd, request, argument):
        if request != port_module._TIOCGICOUNT:
            raise OSError(errno.ENOTTY, "not asked for here")
        asked.append(len(argument))
        lost = 100 + 3 * (len(asked) > 1)
        # cts dsr rng dcd rx tx, then frame overrun parity brk buf_overrun, then nine of reserve
        return COUNTERS.pack(0, 0, 0, 0, 5000, 6000, 7 + (len(asked) > 1), lost, 0, 9, 2 * (len(asked) > 1), *[0] * 9)

    monkeypatch.setattr(port_module.fcntl, "ioctl", ioctl)
    client = LineCard(pty_card.path, on_event=owner.on_event, on_audio=owner.on_audio)
    client.start()
    try:
        assert pty_card.wait_for(lambda: client.stats().uart_overruns == 5, 10)
        assert client.stats().uart_framing_errors == 1
    finally:
        client.stop()
    assert set(asked) == {COUNTERS.size}


@pytest.mark.parametrize(
    ("now", "before", "added"),
    [
        (UartErrors(5, 1, 0, 2), UartErrors(3, 1, 0, 0), UartErrors(2, 0, 0, 2)),
        (UartErrors(1), UartErrors(900), UartErrors(1)),
    ],
    ids=["counted on", "the driver was loaded anew"],
)
def test_counters_are_compared_one_by_one(now, before, added):
    assert now.since(before) == added
