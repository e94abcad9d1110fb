"""Counters and gauges for Prometheus, in a registry of their own. No number and no name of a person is a label."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from agent.core.advisories import Reached
from agent.core.cdr import Quality
from agent.core.media import Way
from agent.core.terms import CallPhase, Cause, Direction
from agent.status.snapshot import FilterStanding, Snapshot

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_MOS_BUCKETS: Final = (1.5, 2.1, 2.6, 3.1, 3.6, 4.0, 4.3)
"""The borders of ITU-T G.107 Annex B, and three more where calls are."""


class Metrics:
    """What the agent counts. The composition root calls `count_*`; gauges are taken from the snapshot when asked."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._calls = Counter("iplink_calls", "Ended calls.", ("direction", "cause"), registry=registry)
        self._refusals = Counter("iplink_refused_calls", "Calls that were refused.", ("code",), registry=registry)
        self._seconds = Counter("iplink_call_seconds", "Answered time.", ("direction",), registry=registry)
        self._concealed = Counter(
            "iplink_speech_concealed_seconds", "Speech made up for what was late or lost inside the adapter.", ("way",),
            registry=registry,
        )  # fmt: skip
        self._corrections = Counter(
            "iplink_speech_clock_corrections", "Frames left out or inserted to follow the drift of two clocks.",
            registry=registry,
        )  # fmt: skip
        self._packets = Counter(
            "iplink_rtp_packets", "Packets of calls that are over: received, or sent.", ("way",), registry=registry
        )
        self._lost = Counter(
            "iplink_rtp_lost_packets", "Of those the ones that were lost; `sent`: as the far ends have told.", ("way",),
            registry=registry,
        )  # fmt: skip
        self._mos = Histogram(
            "iplink_call_mos", "Mean opinion score of calls that are over, by the simplified E-model.", ("way",),
            buckets=_MOS_BUCKETS, registry=registry,
        )  # fmt: skip
        self._one_way = Counter(
            "iplink_one_way_calls", "Calls in which one direction was found dead.", ("way",), registry=registry
        )
        self._live_mos = Gauge(
            "iplink_live_mos", "Lowest mean opinion score among running calls; absent: not known.", ("way",),
            registry=registry,
        )  # fmt: skip
        self._live_one_way = Gauge(
            "iplink_live_one_way_calls", "Running calls of which one direction is dead.", registry=registry
        )
        self._upload_errors = Counter("iplink_upload_errors", "Failed deliveries of records.", registry=registry)
        self._uploaded = Counter("iplink_uploaded_records", "Acknowledged records.", registry=registry)
        self._requests = Counter(
            "iplink_page_requests", "Answers of the status page.", ("route", "status"), registry=registry
        )
        self._live = Gauge("iplink_live_calls", "Calls in progress.", ("phase",), registry=registry)
        self._registered = Gauge(
            "iplink_registered", "1 where a registration stands.", ("registration",), registry=registry
        )
        self._code = Gauge(
            "iplink_registration_code", "Last final response; 0: none received.", ("registration",), registry=registry
        )
        self._advisories = Gauge(
            "iplink_sip_library_advisories", "Open advisories of the SIP library; -1: the version is not known.",
            ("version", "reached"), registry=registry,
        )  # fmt: skip
        self._single = {
            name: Gauge(f"iplink_{name}", text, registry=registry)
            for name, text in (
                ("gateway_connected", "1 while the gateway process is connected."),
                ("packet_filter_in_force", "1 while the packet filter is known to be in force."),
                ("stun_answers", "1 while the STUN server answers, 0 while it does not; -1: none is asked."),
                ("card_up", "1 while the line card answers."),
                ("store_working", "1 while the store takes records."),
                ("store_free_bytes", "Room on the store's disk; -1: not known."),
                ("store_low_space", "1 while room on the store's disk runs low."),
                ("journal_working", "1 while each record is written down twice."),
                ("usage_differences", "Counts of the month in which the operator disagrees with what it acknowledged."),
                ("usage_difference_micro", "Millionths of the currency that this is about."),
                ("pending_records", "Records that wait for the operator."),
                ("quarantined_records", "Records that the operator does not take."),
                ("price_list_installed", "1 where a price list is installed."),
                ("price_list_age_seconds", "Since the price list in force was installed."),
                ("last_good_configuration", "1 while an older configuration stands in for a broken one."),
                ("time_trusted", "1 where somebody vouches for the wall clock."),
                ("problems", "Problems that the page shows."),
                ("uptime_seconds", "Since the agent began."),
                ("page_watchers", "Browsers that watch the page."),
                ("page_refused_connections", "Connections that were one too many."),
            )
        }
        for direction in Direction:
            for cause in Cause:
                self._calls.labels(direction.value, cause.value)

    def count_call(self, direction: Direction, cause: Cause, duration_ms: int) -> None:
        """Count one ended call."""
        self._calls.labels(direction.value, cause.value).inc()
        self._seconds.labels(direction.value).inc(duration_ms / 1000)

    def count_quality(self, quality: Quality) -> None:
        """Count what happened to the speech of one ended call."""
        self._concealed.labels("sent").inc(quality.sent_concealed_ms / 1000)
        self._concealed.labels("heard").inc(quality.heard_concealed_ms / 1000)
        self._corrections.inc(quality.clock_corrections)
        self._packets.labels(Way.HEARD.value).inc(quality.rx_packets)
        self._packets.labels(Way.SENT.value).inc(quality.tx_packets)
        self._lost.labels(Way.HEARD.value).inc(quality.rx_lost)
        self._lost.labels(Way.SENT.value).inc(quality.tx_lost)
        for way, score in ((Way.HEARD, quality.heard_mos_centi), (Way.SENT, quality.sent_mos_centi)):
            if score:
                self._mos.labels(way.value).observe(score / 100)
        if quality.one_way is not None:
            self._one_way.labels(quality.one_way.value).inc()

    def count_refusal(self, code: str) -> None:
        """Count one refused call by the code of its refusal."""
        self._refusals.labels(code).inc()

    def count_upload(self, acknowledged: int) -> None:
        """Count records that the operator has taken."""
        self._uploaded.inc(acknowledged)

    def count_upload_error(self) -> None:
        """Count one delivery that failed."""
        self._upload_errors.inc()

    def count_request(self, route: str, status: int) -> None:
        """Count one answer of the page; `route` is a fixed path or `other`."""
        self._requests.labels(route, str(status)).inc()

    def render(self, snapshot: Snapshot, *, watchers: int = 0, refused_connections: int = 0) -> bytes:
        """All metrics in the text format (`CONTENT_TYPE`)."""
        for phase in CallPhase:
            self._live.labels(phase.value).set(sum(call.phase is phase for call in snapshot.calls))
        self._live_one_way.set(sum(call.one_way is not None for call in snapshot.calls))
        self._live_mos.clear()
        for way, sounds in (
            (Way.HEARD, [call.heard for call in snapshot.calls]), (Way.SENT, [call.sent for call in snapshot.calls])
        ):  # fmt: skip
            scores = [sound.mos_centi for sound in sounds if sound is not None]
            if scores:
                self._live_mos.labels(way.value).set(min(scores) / 100)
        self._registered.clear()
        self._code.clear()
        for position, account in enumerate(snapshot.accounts, start=1):
            self._registered.labels(str(position)).set(account.registered)
            self._code.labels(str(position)).set(account.code if account.on_wire else 0)
        self._advisories.clear()
        for reached in Reached:
            count = sum(one.reached == reached for one in snapshot.library.advisories)
            labels = (snapshot.library.version, reached.value)
            self._advisories.labels(*labels).set(count if snapshot.library.known else -1)
        installed = snapshot.price_list.installed_at if snapshot.price_list else None
        values: dict[str, float] = {
            "gateway_connected": snapshot.gateway.connected,
            "packet_filter_in_force": snapshot.packet_filter.standing is FilterStanding.IN_FORCE,
            "stun_answers": -1 if snapshot.stun is None else snapshot.stun.answers,
            "card_up": snapshot.card.up,
            "store_working": snapshot.store.working,
            "store_free_bytes": -1 if snapshot.store.free_bytes is None else snapshot.store.free_bytes,
            "store_low_space": snapshot.store.low_space,
            "journal_working": snapshot.store.journal_working,
            "usage_differences": snapshot.usage_differences,
            "usage_difference_micro": snapshot.usage_difference_micro,
            "pending_records": snapshot.upload.pending,
            "quarantined_records": snapshot.upload.quarantined,
            "price_list_installed": snapshot.price_list is not None,
            "price_list_age_seconds": (snapshot.at - installed).total_seconds() if installed else 0,
            "last_good_configuration": bool(snapshot.configuration.error),
            "time_trusted": snapshot.time_trusted,
            "problems": len(snapshot.problems),
            "uptime_seconds": snapshot.uptime_s,
            "page_watchers": watchers,
            "page_refused_connections": refused_connections,
        }
        for name, value in values.items():
            self._single[name].set(value)
        return generate_latest(self._registry)
