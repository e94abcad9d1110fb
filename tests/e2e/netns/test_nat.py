"""Routers as they are: one that forgets, one that is stuck, and one whose SIP helper rewrites what passes."""

from __future__ import annotations

import re

import pytest

from agent.core.terms import Cause
from firmware_bridge.g711 import encode_alaw
from firmware_bridge.tonemeter import tone
from tests.e2e.netns.conftest import HOUSE, PUBLIC
from tests.e2e.peers.capture import write_speech

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp", "ip", "nft", "conntrack", "nsenter")]

HUM_HZ = 1400


def port_of(contact):
    return int(re.search(r"@[\d.]+:(\d+)", contact)[1])


def test_one_binding_at_the_routers_address_tells_nobody_whose_it_is_and_a_crash_leaves_no_other(village):
    house = village()
    assert house.alone(), house.operator.contacts(house.user)
    before = house.operator.contacts(house.user)
    user, _, place = before[0].partition("@")
    assert place.startswith("203.0.113.2:")
    assert re.fullmatch(r"sip:x[0-9a-f]{20}", user), "neither number nor account"
    begun = len(house.operator.log.lines)
    house.adapter.crash_and_restart()
    house.adapter.ready()
    assert house.renewed(begun)
    assert house.operator.contacts(house.user) == before, "the router knows the same port again"
    house.is_called()


def test_a_router_that_forgets_and_gives_another_port_is_noticed_within_an_options_period(village):
    house = village(options_s=2, expires_s=600)
    house.net.nat("masquerade random,fully-random")
    house.net.forget()
    # The next OPTIONS makes another binding: it is answered, and still nobody could call the house.
    assert house.logged("path_moved")
    before = house.operator.contacts(house.user)
    assert house.only_another(before)
    house.is_called()


@pytest.mark.slow  # three OPTIONS that time out take half a minute
def test_a_router_that_is_stuck_with_a_port_is_left_for_another_port(village):
    house = village(options_s=2, expires_s=600)
    assert house.answered()
    (before,) = house.operator.contacts(house.user)
    # What leaves by this port goes nowhere any more; any other port works.
    house.net.rules(f"iifname lan udp sport {port_of(before)} drop")
    assert house.logged("path_dead", timeout=60)
    assert house.only_another([before])
    house.is_called()
    house.hangs_up(*house.calls())


def test_the_kernels_own_sip_helper_may_rewrite_all_it_likes(village):
    house = village(options_s=2, helped=True)
    # It has seen the REGISTERs: it expects the calls that the binding leads to.
    expected = house.net.router.run("conntrack", "-L", "expect")
    assert "helper=sip" in expected, expected
    (contact,) = house.operator.contacts(house.user)
    assert "@203.0.113.2:" in contact
    house.hangs_up(*house.calls())
    house.is_called()
    house.net.forget()
    assert house.answered_again(), "an OPTIONS has made another binding in the router"
    house.is_called()


def test_behind_a_router_we_are_answered_registered_and_heard_where_our_packets_come_from(village):
    house = village(scattered=True, options_s=2)
    user, adapter = house.user, house.adapter
    # The router gives each way out another port than ours, and speech a way in that nobody has asked for.
    house.net.forward(*adapter.rtp_ports)
    (contact,) = house.operator.contacts(user)
    seen = re.search(rf"from={user} .* by={PUBLIC}:(\d+) ", house.operator.registers(user)[-1])[1]
    own = re.search(r";p=(\d+)", contact)[1]
    assert seen != own
    assert f"@{PUBLIC}:{seen};" in contact
    answers = [one.text for one in adapter.messages() if not one.sent and "REGISTER" in one.text and user in one.text]
    via = re.search(r"^Via: (.*)$", answers[0], re.MULTILINE)[1].rstrip()
    assert via.startswith(f"SIP/2.0/UDP {HOUSE}:{own};"), "the first REGISTER knows no better"
    assert {f"rport={seen}", f"received={PUBLIC}"} <= set(via.split(";"))
    house.is_called()

    # The far end is behind another router: it sends from a place that its SDP does not name, and is spoken to there.
    write_speech(adapter.folder / "first_words.pcap", encode_alaw(tone(HUM_HZ, 600, -13.0)))
    peer, call = house.calls("22000102", "behind_a_router")
    ended = house.hangs_up(peer, call)
    assert (ended.cause, ended.one_way) == (Cause.NORMAL, None)
