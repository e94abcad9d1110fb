"""A line that loses packets, or delays them: calls are set up all the same, and the record says how it sounded."""

from __future__ import annotations

import pytest

from agent.core.terms import CallPhase, Cause
from tests.e2e.netns.conftest import VOICE_HZ, Wire

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp", "ip", "nft", "conntrack", "nsenter")]

CALLS = 10


def lossy(port, every):
    """Rules that lose one in so many of what a UDP port sends, and of what it gets: the same ones in each run."""
    return [f"udp {way} {port} numgen inc mod {every} < 1 counter drop" for way in ("sport", "dport")]


@pytest.mark.slow
def test_with_a_twentieth_of_the_signalling_lost_every_call_is_set_up(village):
    house = village()
    house.net.rules(*lossy(house.operator.port, 20))
    for count in range(CALLS):
        if count % 2:
            ended = house.is_called()
        else:
            ended = house.hangs_up(*house.calls(f"220002{count:02d}"))
        assert (ended.cause, ended.phase) == (Cause.NORMAL, CallPhase.ENDED)
    assert house.net.dropped() > 0
    house.net.rules()


def test_lost_speech_is_counted_in_the_record(village):
    house = village()
    peer, call = house.calls()
    # One in ten of what comes to the house.
    house.net.rules(f"udp sport {peer.media_port} numgen inc mod 10 < 1 counter drop")
    assert house.net.has_dropped(20)
    assert house.adapter.hears(VOICE_HZ)
    ended = house.hangs_up(peer, call)
    # A packet that nothing follows any more is not missed, nor is one that was under way when the call ended.
    assert house.net.dropped() - 4 <= ended.stats.rx_lost <= house.net.dropped()
    assert ended.stats.rx_lost < ended.stats.rx_packets
    assert 0 < ended.stats.heard_mos_centi < 430


def test_a_slow_and_unsteady_line_carries_calls_both_ways(village):
    house = village(Wire(delay_ms=150, jitter_ms=60))
    ended = house.hangs_up(*house.calls())
    assert (ended.cause, ended.stats.rx_lost) == (Cause.NORMAL, 0)
    assert ended.stats.rx_jitter_ms > 0
    assert house.is_called().cause is Cause.NORMAL
