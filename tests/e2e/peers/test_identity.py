"""Who calls, as the operator asserts it and as the caller wants it: on the display, and in the record."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from agent.core.terms import CallPhase, Direction
from firmware_bridge.caller_id import Absence
from tests.e2e.peers.play import Caller

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

ASSERTED = 'P-Asserted-Identity: "Kari Nordmann" <sip:+4791111111@peers.example>'
DIVERTED = "Diversion: <sip:+4722000009@peers.example>;reason=unconditional"
HISTORY = (
    "History-Info: <sip:+4722000008@peers.example>;index=1, "
    "<sip:+4722000007@peers.example?Reason=SIP%3Bcause%3D302>;index=1.1"
)
_serial = itertools.count(1)


@pytest.fixture
def caller_says(adapter, operator, sipp, tmp_path):
    """Somebody calls the first telephone and gives up as soon as it rings: the telephone and the call's record."""

    def call(*headers, trusted):
        agent = adapter.agent
        accounts = [msgspec.structs.replace(one, trust_identity=trusted) for one in agent.configuration.accounts]
        revision = f"identity {next(_serial)}"
        agent.configure(msgspec.structs.replace(agent.configuration, revision=revision, accounts=accounts))
        assert agent.wait(lambda: any(log.detail == revision for log in agent.logs))
        steps = Caller(*headers).hears_ringing().is_answered().leaves(300)
        number = adapter.subscribers[0].number
        peer = sipp(steps.write(tmp_path, f"caller-{next(_serial)}"), "-s", number, f"127.0.0.1:{operator.port}")
        phone = adapter.phones[0]
        assert phone.wait_for(lambda: phone.ringing, 10)
        assert phone.wait_for(lambda: phone.shows is not None, 10), "the display is told between the first two rings"
        shown = phone.shows
        phone.off_hook()
        record = agent.call(direction=Direction.INCOMING, phase=CallPhase.ENDED)
        peer.finish()
        return shown, record

    return call


def test_a_trusted_operator_names_the_caller_and_whom_he_called_first(caller_says):
    shown, record = caller_says(ASSERTED, DIVERTED, trusted=True)
    assert (shown.number, shown.name) == ("91111111", "Kari Nordmann")
    assert (record.number, record.diverted_from) == ("+4791111111", "+4722000009")


def test_history_info_names_whom_the_caller_called_first(caller_says):
    _, record = caller_says(HISTORY, trusted=True)
    assert (record.number, record.diverted_from) == ("+4722000099", "+4722000008")


def test_what_an_untrusted_platform_passes_on_is_not_believed(caller_says):
    shown, record = caller_says(ASSERTED, DIVERTED, HISTORY, trusted=False)
    assert (shown.number, record.number, record.diverted_from) == ("22000099", "+4722000099", "")


@pytest.mark.parametrize("trusted", [True, False])
def test_a_caller_who_wants_to_be_hidden_is_not_shown_and_still_recorded(caller_says, trusted):
    shown, record = caller_says(ASSERTED, "Privacy: id", trusted=trusted)
    assert (shown.number, shown.name) == (Absence.WITHHELD, None)
    assert record.number == ("+4791111111" if trusted else "+4722000099")
