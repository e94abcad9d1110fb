from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from agent.core.cdr import Quality
from agent.core.media import Way
from agent.core.terms import Cause, Direction
from agent.status.metrics import Metrics
from agent.status.sample import healthy_snapshot, sample_snapshot


def values(body: bytes) -> dict[tuple, float]:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_counters_and_gauges_say_what_happened():
    metrics = Metrics()
    metrics.count_call(Direction.OUTGOING, Cause.BUSY, 1500)
    metrics.count_refusal("no_rate")
    metrics.count_upload(3)
    metrics.count_upload_error()
    metrics.count_quality(Quality(sent_concealed_ms=30, clock_corrections=2))
    metrics.count_request("/", 200)
    found = values(metrics.render(sample_snapshot(), watchers=2, refused_connections=5))
    assert found["iplink_calls_total", ("cause", "busy"), ("direction", "outgoing")] == 1
    assert found["iplink_calls_total", ("cause", "normal"), ("direction", "outgoing")] == 0
    assert found["iplink_call_seconds_total", ("direction", "outgoing")] == 1.5
    assert found["iplink_refused_calls_total", ("code", "no_rate")] == 1
    assert found["iplink_uploaded_records_total",] == 3
    assert found["iplink_upload_errors_total",] == 1
    assert found["iplink_speech_concealed_seconds_total", ("way", "sent")] == 0.03
    assert found["iplink_speech_concealed_seconds_total", ("way", "heard")] == 0
    assert found["iplink_speech_clock_corrections_total",] == 2
    assert found["iplink_page_requests_total", ("route", "/"), ("status", "200")] == 1
    assert found["iplink_live_calls", ("phase", "answered")] == 1
    assert found["iplink_registered", ("registration", "1")] == 1
    assert found["iplink_registered", ("registration", "2")] == 0
    assert found["iplink_registration_code", ("registration", "2")] == 403
    assert found["iplink_pending_records",] == 1
    assert found["iplink_price_list_age_seconds",] == 9 * 86_400
    assert found["iplink_page_watchers",] == 2
    assert found["iplink_page_refused_connections",] == 5


def test_how_calls_sounded_is_counted_and_how_they_sound_is_told():
    metrics = Metrics()
    metrics.count_quality(
        Quality(rx_packets=1000, rx_lost=20, tx_packets=990, tx_lost=5, heard_mos_centi=350, one_way=Way.SENT)
    )
    found = values(metrics.render(sample_snapshot()))
    assert found["iplink_rtp_packets_total", ("way", "heard")] == 1000
    assert found["iplink_rtp_lost_packets_total", ("way", "heard")] == 20
    assert found["iplink_rtp_lost_packets_total", ("way", "sent")] == 5
    assert found["iplink_call_mos_bucket", ("le", "3.1"), ("way", "heard")] == 0
    assert found["iplink_call_mos_bucket", ("le", "3.6"), ("way", "heard")] == 1
    # What nobody told is no bad call.
    assert ("iplink_call_mos_count", ("way", "sent")) not in found
    assert found["iplink_one_way_calls_total", ("way", "sent")] == 1
    assert found["iplink_live_mos", ("way", "heard")] == 4.37
    assert found["iplink_live_one_way_calls",] == 1
    quiet = values(metrics.render(healthy_snapshot()))
    assert ("iplink_live_mos", ("way", "heard")) not in quiet
    assert quiet["iplink_live_one_way_calls",] == 0


def test_no_label_holds_a_number():
    body = Metrics().render(sample_snapshot()).decode()
    assert not re.search(r'="[^"]*[0-9]{5,}', body)


def test_registries_do_not_share_counts():
    first, second = Metrics(), Metrics()
    first.count_upload_error()
    assert values(second.render(sample_snapshot()))["iplink_upload_errors_total",] == 0
