"""The way to the operator is cut, and comes back: the lines register by themselves, and telephone again."""

from __future__ import annotations

import pytest

from agent.core.registration import Status

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp", "ip", "nft", "conntrack", "nsenter")]

SHORT_S = 10
"""The shortest grant of the registrar: a binding that outlives the outage would show nothing."""


def test_a_cable_that_was_pulled_and_put_back_is_noticed_at_once(village):
    house = village(expires_s=SHORT_S)
    house.net.house.ip("link set eth0 down")
    assert house.unregistered()
    begun = len(house.operator.log.lines)
    house.net.house.ip("link set eth0 up")
    house.net.house.ip("route add default via 192.168.77.1")
    assert house.logged("network_changed")
    assert house.renewed(begun)
    assert house.registered()
    house.hangs_up(*house.calls())
    house.is_called()


def test_a_call_survives_a_cut_of_a_few_seconds(village):
    house = village()
    peer, call = house.calls()
    house.net.rules("drop")
    assert house.adapter.hears_no(900)
    house.net.rules()
    assert house.adapter.hears(900)
    ended = house.hangs_up(peer, call)
    assert ended.stats.rx_packets > 0


@pytest.mark.slow  # five attempts that time out take a minute
def test_after_a_long_outage_the_lines_come_back_within_their_own_patience(village):
    house = village(expires_s=SHORT_S)
    house.net.rules("drop")
    agent = house.adapter.agent
    assert house.unregistered()
    assert house.says(Status.ERROR_NETWORK)
    assert agent.wait(lambda: all(one.attempts >= 5 for one in agent.accounts.values()), 150)
    house.net.rules()
    # After five failures an attempt waits for 32 s at most, and takes 6 s to fail.
    assert house.registered(timeout=60)
    house.is_called()
    house.hangs_up(*house.calls())
