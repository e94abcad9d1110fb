"""Two servers behind the SRV records of a name: the adapter is at the preferred one, and lives without it."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from agent.core.call import SILENT_TARGET_MS
from agent.core.terms import Cause, Direction, Party
from tests.e2e.peers.conftest import DOMAIN, Subscriber, eventually
from tests.e2e.peers.named_servers import Dnsmasq, NamedAdapter, NamedOperator

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp", "dnsmasq")]

VOICE_HZ, OTHER_HZ = 900, 1300
SUBSCRIBER = Subscriber("4721080001", "secret-001", "+4721080001")
SOON_S = 30
"""Seconds of silence, the pauses of the registration, and what a busy machine adds."""
_numbers = itertools.count(22000401)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """The operator and the adapter of the module."""
    operator = NamedOperator(tmp_path_factory.mktemp("operator"))
    with contextlib.closing(operator), contextlib.closing(Dnsmasq(operator.servers)) as dns:
        operator.know(SUBSCRIBER)
        with contextlib.closing(NamedAdapter(tmp_path_factory.mktemp("adapter"), SUBSCRIBER, dns)) as adapter:
            yield operator, dns, adapter


@pytest.fixture
def operator(named):
    """Both servers live, and the adapter is registered at the first."""
    operator, _, adapter = named
    operator.revive()
    assert registered_at(operator.first), adapter.story()
    return operator


@pytest.fixture
def adapter(named):
    return named[2]


@pytest.fixture
def callee(operator, sipp):
    """Make somebody who answers one call and sends every sound back; and the number to dial."""

    def make():
        number = str(next(_numbers))
        peer = sipp("answer")
        operator.route(f"+47{number}", peer.uri)
        return peer, number

    return make


def registered_at(server):
    return eventually(lambda: len(server.contacts(SUBSCRIBER.user)) == 1, SOON_S)


def invites(server, number):
    return len(server.log.holding("INVITE", f"to=+47{number} "))


def is_called_through(server, adapter, sipp):
    """Somebody calls the telephone by way of this server, and hears himself."""
    peer = sipp("call", "-s", SUBSCRIBER.number, f"{server.address}:{server.port}")
    phone = adapter.phone
    assert phone.wait_for(lambda: phone.ringing, 10), f"{peer.story()}\n{adapter.story()}"
    phone.off_hook()
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ), adapter.story()
    cdr = adapter.hangs_up()
    peer.finish()
    assert (cdr.direction, cdr.cause, cdr.released_by) == (Direction.INCOMING, Cause.NORMAL, Party.LOCAL)


def calls(adapter, number):
    adapter.dial(number)
    adapter.phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ, timeout=20), adapter.story()


def test_a_domain_is_enough_to_register_at_the_preferred_server(operator, named, adapter, callee, sipp):
    _, dns, _ = named
    assert dns.log.holding(f"query[SRV] _sip._udp.{DOMAIN}")
    assert operator.second.contacts(SUBSCRIBER.user) == []
    peer, number = callee()
    calls(adapter, number)
    adapter.hangs_up()
    peer.finish()
    assert [invites(server, number) for server in operator.servers] == [2, 0], "each INVITE is challenged once"
    is_called_through(operator.first, adapter, sipp)


def test_the_preferred_server_dies_before_a_call_and_comes_back(operator, adapter, callee, sipp):
    peer, number = callee()
    operator.first.kill()
    calls(adapter, number)
    cdr = adapter.hangs_up()
    peer.finish()
    assert (cdr.cause, cdr.released_by) == (Cause.NORMAL, Party.LOCAL)
    assert cdr.setup_ms < SILENT_TARGET_MS
    assert invites(operator.second, number) == 2
    assert registered_at(operator.second), adapter.story()
    assert not adapter.gateway_log.holding("EBUSY"), "one REGISTER at a time"
    is_called_through(operator.second, adapter, sipp)
    operator.revive()
    assert registered_at(operator.first), adapter.story()
    assert adapter.gateway_log.holding("target_preferred")
    is_called_through(operator.first, adapter, sipp)


def test_the_preferred_server_dies_during_a_call(operator, adapter, callee, sipp):
    _, number = callee()
    calls(adapter, number)
    operator.first.kill()
    adapter.phone.speak(OTHER_HZ)
    assert adapter.hears(OTHER_HZ), "speech goes past the servers"
    cdr = adapter.hangs_up()
    assert (cdr.cause, cdr.released_by) == (Cause.NORMAL, Party.LOCAL)
    peer, number = callee()
    calls(adapter, number)
    adapter.hangs_up()
    peer.finish()
    assert invites(operator.second, number) == 2
    assert registered_at(operator.second), adapter.story()
    is_called_through(operator.second, adapter, sipp)
