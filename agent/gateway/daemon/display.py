"""What a telephone's display is told of a caller, in the words of the line card."""

from __future__ import annotations

from typing import Final

import firmware_bridge as bridge
from agent.core.caller import CallerId, Presentation
from agent.gateway.analogue import CallerDisplay, DisplayMethod, DisplayMoment

_ABSENT: Final = {
    Presentation.WITHHELD: bridge.Absence.WITHHELD,
    Presentation.UNAVAILABLE: bridge.Absence.UNAVAILABLE,
}


def shown(caller: CallerId, when: str) -> bridge.Caller:
    """What of a caller may be seen; `when`: `MMDDhhmm`, empty where nobody knows the time."""
    number = caller.shown_number or _ABSENT.get(caller.presentation, bridge.Absence.UNAVAILABLE)
    return bridge.Caller(number, caller.shown_name or None, when)


def announcement(
    display: CallerDisplay, caller: CallerId, when: str
) -> tuple[bridge.CidStandard, bridge.CidPlacement, bytes] | None:
    """How the call that is about to ring is announced; None: not at all."""
    before = display.moment is DisplayMoment.BEFORE_RING
    placement = bridge.CidPlacement.BEFORE_RING if before else bridge.CidPlacement.AFTER_FIRST_RING
    match display.method:
        case DisplayMethod.FSK:
            return bridge.CidStandard.ETSI_FSK, placement, bridge.call_setup(shown(caller, when))
        case DisplayMethod.DTMF:
            return bridge.CidStandard.DTMF, placement, bridge.dtmf(shown(caller, when)).encode("ascii")
        case DisplayMethod.OFF:
            return None


def waiting_announcement(display: CallerDisplay, caller: CallerId, when: str) -> bytes | None:
    """The same of a call that waits while another goes on; telephones that show it understand V.23 only."""
    shows = display.in_calls and display.method is not DisplayMethod.OFF
    return bridge.call_setup(shown(caller, when)) if shows else None
