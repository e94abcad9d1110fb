"""What a telephone's display is told, by the country's custom."""

from __future__ import annotations

import pytest

import firmware_bridge as bridge
from agent.core.caller import CallerId, Presentation
from agent.gateway.analogue import CallerDisplay, DisplayMethod, DisplayMoment
from agent.gateway.daemon.display import announcement, waiting_announcement
from firmware_bridge.caller_id import read_message

KARI = CallerId("22334455", "Kari Nordmann")
WITHHELD = CallerId("22334455", "Kari Nordmann", Presentation.WITHHELD)
UNKNOWN = CallerId(presentation=Presentation.UNAVAILABLE)


@pytest.mark.parametrize(
    ("caller", "when", "seen"),
    [
        (KARI, "11291830", bridge.Caller("22334455", "Kari Nordmann", "11291830")),
        (KARI, "", bridge.Caller("22334455", "Kari Nordmann")),
        (WITHHELD, "11291830", bridge.Caller(bridge.Absence.WITHHELD, None, "11291830")),
        (UNKNOWN, "", bridge.Caller(bridge.Absence.UNAVAILABLE)),
        (CallerId("olga@example.net"), "", bridge.Caller(bridge.Absence.UNAVAILABLE)),
    ],
)
def test_norways_telephones_are_told_by_modem_after_the_first_ring(caller, when, seen):
    standard, placement, message = announcement(CallerDisplay(), caller, when)
    assert (standard, placement) == (bridge.CidStandard.ETSI_FSK, bridge.CidPlacement.AFTER_FIRST_RING)
    assert read_message(message).caller == seen
    assert waiting_announcement(CallerDisplay(), caller, when) == message


@pytest.mark.parametrize(("caller", "keys"), [(KARI, b"A22334455C"), (WITHHELD, b"B10C"), (UNKNOWN, b"B00C")])
def test_others_are_told_by_keys_before_it(caller, keys):
    display = CallerDisplay(method=DisplayMethod.DTMF, moment=DisplayMoment.BEFORE_RING)
    assert announcement(display, caller, "11291830") == (
        bridge.CidStandard.DTMF, bridge.CidPlacement.BEFORE_RING, keys
    )  # fmt: skip


def test_and_some_not_at_all():
    display = CallerDisplay(method=DisplayMethod.OFF)
    assert announcement(display, KARI, "") is None
    assert waiting_announcement(display, KARI, "") is None


def test_and_some_not_in_a_conversation():
    display = CallerDisplay(in_calls=False)
    assert announcement(display, KARI, "") is not None
    assert waiting_announcement(display, KARI, "") is None
