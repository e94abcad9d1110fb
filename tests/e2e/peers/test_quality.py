"""How calls sound, and in which codec, through Kamailio: what SIPp reads in a BYE, fax offers, one-way audio."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.media import Way
from agent.core.terms import CallPhase

pytestmark = [pytest.mark.e2e, pytest.mark.peer("kamailio", "sipp")]

VOICE_HZ = 1000


@pytest.fixture(scope="module")
def shared_adapter(shared_adapter):
    """The BYEs of this one say how the call sounded."""
    agent = shared_adapter.agent
    agent.configure(msgspec.structs.replace(agent.configuration, revision="telling", rtp_stat=True))
    assert agent.wait(lambda: any(log.detail == "telling" for log in agent.logs))
    return shared_adapter


def test_the_far_end_reads_in_our_bye_how_the_call_sounded(adapter, callee):
    peer = callee("answer_and_read_statistics", "22000071")
    phone = adapter.dial("22000071")
    call = adapter.agent.call(phase=CallPhase.ANSWERED)
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ)
    assert adapter.agent.wait(lambda: call.call_id in adapter.agent.quality)
    assert adapter.agent.wait(lambda: adapter.agent.quality[call.call_id].heard is not None)
    phone.on_hook()
    peer.finish()
    stats = adapter.agent.call(call_id=call.call_id, phase=CallPhase.ENDED).stats
    assert (stats.rx_lost, stats.one_way, stats.codec) == (0, None, "PCMA/8000")
    assert stats.heard_mos_centi > 400


def test_a_fax_offer_gets_488_and_speech_goes_on(adapter, callee):
    peer = callee("answer_and_offer_fax", "22000072")
    phone = adapter.dial("22000072")
    call = adapter.agent.call(phase=CallPhase.ANSWERED)
    phone.speak(VOICE_HZ)
    assert adapter.hears(VOICE_HZ)
    assert peer.sees("SIP/2.0 488")
    phone.speak(1300)
    assert adapter.hears(1300)
    assert adapter.agent.wait(lambda: any(log.event == "sip_fax_refused" for log in adapter.agent.logs))
    phone.on_hook()
    peer.finish()
    assert adapter.agent.call(call_id=call.call_id, phase=CallPhase.ENDED).stats.codec == "PCMA/8000"


def test_a_far_end_without_a_sound_is_told_to_the_agent(adapter, callee):
    peer = callee("answer_mute", "22000073")
    phone = adapter.dial("22000073")
    call = adapter.agent.call(one_way=Way.HEARD)
    assert 0 <= call.one_way_since_ms - call.answered_ms < 1000, "since the answer, as it was looked at first"
    assert [log.level for log in adapter.agent.logs if log.event == "one_way_audio"] == ["warning"]
    phone.on_hook()
    peer.finish()
    ended = adapter.agent.call(call_id=call.call_id, phase=CallPhase.ENDED)
    assert (ended.one_way, ended.stats.one_way) == (None, Way.HEARD)
    assert ended.stats.one_way_ms >= 3000
    assert (ended.stats.heard_mos_centi, ended.stats.rx_packets) == (0, 0)
