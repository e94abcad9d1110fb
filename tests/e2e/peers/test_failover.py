"""An operator with two servers, of which the first fails a call: it goes on by the second, or ends with its cause."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from agent.core.announcement import Announcement
from agent.core.terms import CallPhase, Cause, Party, Tone

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

VOICE_HZ = 900
_numbers = itertools.count(22000101)


@pytest.fixture(scope="module")
def two_servers(operator, shared_adapter):
    """The module's adapter, with both ports of the operator as targets of its accounts."""
    agent = shared_adapter.agent
    targets = [operator.target, operator.other_target]
    accounts = [msgspec.structs.replace(one, targets=targets) for one in agent.configuration.accounts]
    agent.configure(msgspec.structs.replace(agent.configuration, revision="two", accounts=accounts))
    assert agent.wait(lambda: any(log.detail == "two" for log in agent.logs))
    assert agent.registered()
    return shared_adapter


@pytest.fixture
def adapter(two_servers, operator):
    """At rest, with an operator whose servers work."""
    two_servers.rest()
    yield two_servers
    operator.feels(None)
    two_servers.rest()


@pytest.fixture
def number():
    return str(next(_numbers))


def invites(operator, number, together=2):
    """Ours to a number by their way: how many came to the first and to the second server, digest and all."""
    # The operator's log comes to us later than his answer to the adapter.
    assert operator.log.wait("INVITE", f"to=+47{number} ", count=together)
    return [
        len(operator.log.holding("INVITE", f"to=+47{number} ", f"at={port}"))
        for port in (operator.port, operator.other_port)
    ]


@pytest.mark.parametrize("mood", ["503", "503 30", "500", "drop", pytest.param("trying", marks=pytest.mark.slow)])
def test_a_server_that_fails_costs_the_caller_some_seconds_and_not_the_call(operator, adapter, callee, number, mood):
    operator.feels(mood)
    peer = callee("answer", number)
    phone = adapter.dial(number)
    call = adapter.agent.call(phase=CallPhase.ANSWERED, timeout=25)
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ)
    phone.on_hook()
    peer.finish()
    ended = adapter.agent.call(call_id=call.call_id, phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by) == (Cause.NORMAL, Party.LOCAL)
    assert list(adapter.agent.calls) == [call.call_id], "one call, one record"
    first, second = invites(operator, number)
    assert (first >= 2, second) == (True, 2), "each INVITE is challenged once"


def test_a_callee_who_is_busy_is_not_called_again_by_the_other_way(operator, adapter, callee, number):
    peer = callee("busy", number)
    adapter.dial(number)
    assert adapter.agent.call(phase=CallPhase.ENDED).cause is Cause.BUSY
    peer.finish()
    assert adapter.plays(Tone.BUSY)
    assert invites(operator, number) == [2, 0]


def test_two_servers_that_fail_give_congestion(operator, adapter, number):
    operator.feels("503")
    operator.feels("500", operator.other_port)
    adapter.dial(number)
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    operator.feels(None, operator.other_port)
    assert (ended.cause, ended.sip_code) == (Cause.NETWORK_FAILURE, 500)
    assert adapter.plays(Tone.CONGESTION)
    assert invites(operator, number, 4) == [2, 2]


def test_the_same_number_at_the_other_server_is_followed(operator, adapter, callee, number):
    operator.feels(f"sip:+47{number}@127.0.0.1:{operator.other_port}")
    peer = callee("answer", number)
    phone = adapter.dial(number)
    adapter.agent.call(phase=CallPhase.ANSWERED)
    phone.on_hook()
    peer.finish()
    assert adapter.agent.call(phase=CallPhase.ENDED).cause is Cause.NORMAL
    assert invites(operator, number, 4) == [2, 2]


@pytest.mark.parametrize("place", ["127.0.0.1:{other}", "peers.example", "127.0.0.1:{first}"])
@pytest.mark.parametrize("user", ["+4782000000", "82000000"])
def test_another_number_is_not_followed_wherever_it_is(operator, adapter, number, user, place):
    place = place.format(other=operator.other_port, first=operator.port)
    operator.feels(f"sip:{user}@{place}")
    adapter.dial(number)
    ended = adapter.agent.call(phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by, ended.sip_code) == (Cause.REDIRECTED, Party.REMOTE, 302)
    assert adapter.agent.wait(lambda: adapter.agent.lines[0].announcement == Announcement.REJECTED)
    assert invites(operator, number) == [2, 0]
    assert not operator.log.holding("INVITE", "82000000")


def test_a_server_that_redirects_to_itself_ends_the_call(operator, adapter, number):
    operator.feels(f"sip:+47{number}@127.0.0.1:{operator.port}")
    adapter.dial(number)
    assert adapter.agent.call(phase=CallPhase.ENDED).cause is Cause.REDIRECTED
    assert invites(operator, number) == [2, 0]
