"""What the Switch tells of how its calls sound: figures each second, a dead direction, and the whole at the end."""

from __future__ import annotations

import msgspec
from msgspec import structs

from agent.core.media import MediaStats, Way, WayFigures, WorstSpell
from agent.core.quality import Figures
from agent.gateway.fake import FakeGateway
from agent.gateway.protocol import CallQuality, Decide, Log

FIGURES = Figures(WayFigures(12, 3, 434), WayFigures(0, 2, 438), 41)


def _answered(gateway: FakeGateway) -> str:
    call = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call, granted=True))
    gateway.peer_answers(call)
    gateway.records.clear()
    return call


def _of(gateway: FakeGateway, kind: type) -> list:
    return [record for record in gateway.records if isinstance(record, kind)]


def test_figures_go_to_the_agent_as_a_record_of_their_own(gateway):
    call = _answered(gateway)
    gateway.sounds(call, FIGURES)
    assert gateway.records == [
        CallQuality(
            call_id=call, heard=WayFigures(loss_permille=12, jitter_ms=3, mos_centi=434),
            sent=WayFigures(loss_permille=0, jitter_ms=2, mos_centi=438), rtt_ms=41,
        )
    ]  # fmt: skip


def test_figures_that_have_not_changed_are_not_told_again(gateway):
    call = _answered(gateway)
    gateway.sounds(call, FIGURES)
    gateway.sounds(call, FIGURES)
    assert len(gateway.records) == 1


def test_an_agent_that_connects_hears_them_at_once(gateway):
    call = _answered(gateway)
    gateway.sounds(call, FIGURES)
    gateway.disconnect()
    assert [one.call_id for one in gateway.connect() if isinstance(one, CallQuality)] == [call]


def test_figures_end_with_the_call(gateway):
    call = _answered(gateway)
    gateway.sounds(call, FIGURES)
    gateway.hang_up()
    gateway.records.clear()
    gateway.sounds(call, Figures())
    gateway.disconnect()
    gateway.connect()
    assert not _of(gateway, CallQuality)


def test_a_dead_direction_is_in_the_calls_record_and_in_the_log_until_sound_comes(gateway):
    call = _answered(gateway)
    gateway.advance(3000)
    gateway.goes_silent(call, Way.HEARD)
    assert (gateway.call(call).one_way, gateway.call(call).one_way_since_ms) == (Way.HEARD, gateway.now)
    gateway.goes_silent(call, None)
    assert (gateway.call(call).one_way, gateway.call(call).one_way_since_ms) == (None, None)
    assert [(log.level, log.event, log.call_id) for log in _of(gateway, Log)] == [
        ("warning", "one_way_audio", call), ("info", "one_way_audio_over", call)
    ]  # fmt: skip


def test_a_call_that_is_over_is_not_one_way(gateway):
    call = _answered(gateway)
    gateway.goes_silent(call, Way.SENT)
    gateway.hang_up()
    assert gateway.call(call).one_way is None


def test_nobodys_figures_are_nobodys(gateway):
    gateway.records.clear()
    gateway.sounds("unknown", FIGURES)
    gateway.goes_silent("unknown", Way.SENT)
    assert gateway.records == []


def test_the_whole_is_told_with_the_end_of_the_call(gateway):
    gateway.stats = structs.replace(
        gateway.stats, heard_mos_centi=431, sent_mos_centi=420, rx_discarded=2, tx_jitter_ms=4, one_way=Way.SENT,
        one_way_ms=4000, worst=WorstSpell(Way.HEARD, 7000, 40, 12, 41, 380),
    )  # fmt: skip
    call = _answered(gateway)
    gateway.peer_hangs_up(call)
    stats = gateway.call(call).stats
    assert (stats.heard_mos_centi, stats.sent_mos_centi, stats.rx_discarded, stats.tx_jitter_ms) == (431, 420, 2, 4)
    assert (stats.one_way, stats.one_way_ms) == (Way.SENT, 4000)
    assert stats.worst == WorstSpell(
        way=Way.HEARD, from_ms=7000, loss_permille=40, jitter_ms=12, rtt_ms=41, mos_centi=380
    )  # fmt: skip


def test_a_codec_of_a_name_beyond_measure_is_cut_so_that_the_record_can_be_read(gateway):
    gateway.stats = structs.replace(gateway.stats, codec="x" * 129)
    call = _answered(gateway)
    gateway.peer_hangs_up(call)
    stats = gateway.call(call).stats
    assert stats.codec == "x" * 128
    assert msgspec.json.decode(msgspec.json.encode(stats), type=MediaStats) == stats


def test_a_machine_that_is_heard_in_a_call_takes_it_to_g711(gateway):
    call = _answered(gateway)
    assert not gateway.leg(call).plain
    gateway.machine()
    assert gateway.leg(call).plain
