"""An address changes, the adapter's own or the router's: registered at once, and a call that goes on is heard again."""

from __future__ import annotations

import pytest

from agent.core.terms import CallPhase, Cause, Party

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp", "ip", "nft", "conntrack", "nsenter")]

NEW_HOUSE, NEW_PUBLIC = "192.168.77.3", "203.0.113.3"
VOICE_HZ = 900


def test_a_new_address_of_the_adapter_is_registered_at_once_and_the_call_goes_on(village):
    house = village()
    peer, call = house.calls(scenario="answer_again_and_hang_up")
    begun = len(house.operator.log.lines)
    net = house.net.house
    net.ip(f"addr add {NEW_HOUSE}/24 dev eth0")
    net.ip("addr del 192.168.77.2/24 dev eth0")
    net.ip(f"addr replace {NEW_HOUSE}/24 dev eth0")
    net.ip("route replace default via 192.168.77.1")
    assert house.logged("network_changed")
    assert house.renewed(begun)
    # Once from where it is, and once more with where the registrar has seen it.
    assert house.operator.log.wait("INVITE", "to=peer", since=begun, count=2), house.adapter.story()
    assert house.adapter.hears(VOICE_HZ), house.adapter.story()
    peer.finish()
    ended = house.adapter.agent.call(call_id=call.call_id, phase=CallPhase.ENDED)
    assert (ended.cause, ended.released_by) == (Cause.NORMAL, Party.REMOTE), "its BYE came through the router"
    house.replaces()
    house.is_called()
    assert house.alone(), house.operator.contacts(house.user)


def renumber(router):
    """Another public address, as the provider gives it at night."""
    router.ip(f"addr add {NEW_PUBLIC}/24 dev wan")
    router.ip("addr del 203.0.113.2/24 dev wan")
    router.ip(f"addr replace {NEW_PUBLIC}/24 dev wan")


def test_a_new_public_address_of_the_router_is_noticed_by_the_answers(village):
    house = village(options_s=2)
    begun = len(house.operator.log.lines)
    renumber(house.net.router)
    assert house.renewed(begun)
    assert house.operator.log.wait("REGISTER", f"by={NEW_PUBLIC}", since=begun)
    house.is_called()
    assert house.alone(), house.operator.contacts(house.user)


def test_a_call_goes_on_when_the_router_has_a_new_public_address(village):
    house = village(options_s=2)
    peer, call = house.calls(scenario="answer_again")
    begun = len(house.operator.log.lines)
    renumber(house.net.router)
    assert house.renewed(begun)
    assert house.operator.log.wait("INVITE", "to=peer", since=begun), house.adapter.story()
    assert house.adapter.hears(VOICE_HZ), house.adapter.story()
    assert house.hangs_up(peer, call).cause is Cause.NORMAL
    house.is_called()
