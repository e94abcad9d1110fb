"""Calls with other people's telephones through Kamailio, both ways: each end hums, and the other hears it."""

from __future__ import annotations

import itertools

import pytest

from agent.core.terms import CallPhase, Cause, Direction, Party
from tests.e2e.peers.far_ends import Baresip, Linphone

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio")]

HUM_HZ = 1000
VOICE_HZ = 1700
_numbers = itertools.count(22000201)


@pytest.fixture(params=[pytest.param(Baresip, marks=pytest.mark.peer("baresip")),
                        pytest.param(Linphone, marks=pytest.mark.peer("linphonec"))])  # fmt: skip
def far_end(request, operator, tmp_path):
    """A telephone of another make, and the national number that it is called by."""
    number = str(next(_numbers))
    user = f"far{number}"
    operator.route(f"+47{number}", f"aor:{user}")
    made = request.param(tmp_path, operator, user, HUM_HZ)
    yield made, number
    made.close()


def test_a_call_to_another_make_is_heard_both_ways_and_ends_with_our_bye(adapter, far_end):
    other, number = far_end
    phone = adapter.dial(number)
    call = adapter.agent.call(phase=CallPhase.ANSWERED)
    phone.speak(VOICE_HZ)
    assert adapter.hears(HUM_HZ, ms=1000), other.log.lines[-20:]
    phone.on_hook()
    ended = adapter.agent.call(call_id=call.call_id, phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by) == (Cause.NORMAL, Party.LOCAL)
    assert other.hears(VOICE_HZ), other.log.lines[-20:]


def test_a_call_from_another_make_is_heard_both_ways_and_ends_with_its_bye(adapter, far_end):
    other, _ = far_end
    other.dial(adapter.subscribers[0].number)
    phone = adapter.phones[0]
    assert phone.wait_for(lambda: phone.ringing, 10), other.log.lines[-20:]
    phone.off_hook()
    call = adapter.agent.call(direction=Direction.INCOMING, phase=CallPhase.ANSWERED)
    phone.speak(VOICE_HZ)
    assert adapter.hears(HUM_HZ, ms=1000), other.log.lines[-20:]
    other.hang_up()
    ended = adapter.agent.call(call_id=call.call_id, phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by) == (Cause.NORMAL, Party.REMOTE)
    assert other.hears(VOICE_HZ), other.log.lines[-20:]
