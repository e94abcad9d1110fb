"""The header that tells the far end how the call sounded."""

from __future__ import annotations

from agent.core.quality import Counters
from agent.gateway.daemon.sip.rtp_stat import NAME, value


def test_the_fields_are_those_that_others_read():
    totals = Counters(
        received=1490, received_octets=238_400, lost=10, discarded=2, jitter_us=3125, sent=1500, sent_octets=240_000,
        reports=6, far_lost=4, far_jitter_us=500, rtt_us=41_800,
    )  # fmt: skip
    assert NAME == "X-RTP-Stat"
    assert value(totals, "PCMA/8000", setup_ms=1234, talk_ms=30_400, mos_centi=437) == (
        "CS=1234;CD=30;PS=1500;OS=240000;PR=1490;OR=238400;PL=10,4;PD=2;JI=25.0,4.0;LA=41;EN=PCMA/8000;DE=PCMA/8000;"
        "MOS=4.37"
    )


def test_what_the_far_end_never_told_is_left_out():
    totals = Counters(received=50, received_octets=8000, sent=50, sent_octets=8000)
    found = value(totals, "", setup_ms=0, talk_ms=999, mos_centi=0)
    assert found == "CS=0;CD=0;PS=50;OS=8000;PR=50;OR=8000;PL=0;PD=0;JI=0.0"
