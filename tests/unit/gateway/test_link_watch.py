"""What a look at our own addresses says."""

from __future__ import annotations

from agent.core.target import Target
from agent.core.terms import NetworkChange
from agent.gateway.daemon.link_watch import Seen

HOME, AWAY = Target("192.0.2.1", 5060), Target("192.0.2.2", 5060)


def _says(*looks: dict[Target, str]) -> list[NetworkChange | None]:
    seen = Seen()
    return [seen.look(one) for one in looks]


def test_a_link_that_comes_back_is_told_and_one_that_goes_is_not():
    assert _says({HOME: "10.0.0.2"}, {HOME: ""}, {HOME: "10.0.0.2"}) == [None, None, NetworkChange.LINK_UP]


def test_a_machine_that_came_up_without_a_network_is_told_when_there_is_one():
    assert _says({HOME: ""}, {HOME: "10.0.0.2"}) == [None, NetworkChange.LINK_UP]


def test_another_address_is_told_also_after_a_time_without_any():
    assert _says({HOME: "10.0.0.2"}, {HOME: "10.0.0.3"}) == [None, NetworkChange.ADDRESS]
    assert _says({HOME: "10.0.0.2"}, {HOME: ""}, {HOME: "10.0.0.3"})[-1] is NetworkChange.ADDRESS


def test_what_stays_as_it_was_and_what_is_new_is_no_news():
    assert _says({HOME: "10.0.0.2"}, {HOME: "10.0.0.2"}) == [None, None]
    assert _says({HOME: "10.0.0.2"}, {HOME: "10.0.0.2", AWAY: "10.0.0.9"}) == [None, None]
    assert _says({HOME: "10.0.0.2"}, {}, {HOME: "10.0.0.3"}) == [None, None, None]
