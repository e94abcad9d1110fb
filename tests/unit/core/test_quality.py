"""Loss, jitter and delay become a score; a direction without sound is told, and a pause of the talker is not."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from agent.core.media import Way, WayFigures
from agent.core.quality import MACHINE_PATIENCE_MS, Counters, Grade, Meter, grade, mos_centi

SECOND = Counters(received=50, received_octets=8000, sent=50, sent_octets=8000)
ANSWER = 10_000


class Call:
    """A call whose stream counts a second at a time."""

    def __init__(self, **at_the_answer):
        self.meter, self.now = Meter(), ANSWER
        self.counters = Counters(**at_the_answer)
        self.figures = self.meter.sample(self.counters, self.now)

    def second(self, *, held=False, patience_ms=3000, step=1000, **fields):
        """A second passes; the named counters grow by these values, jitter, round trip and flags become them."""
        before = self.counters
        grown = {
            name: getattr(before, name) + value if name not in ("jitter_us", "far_jitter_us", "rtt_us", "far_talks")
            else value for name, value in fields.items()
        }  # fmt: skip
        self.counters = structs.replace(before, **grown)
        self.now += step
        self.figures = self.meter.sample(self.counters, self.now, held=held, patience_ms=patience_ms)
        return self.meter.watch.silent

    def seconds(self, count, **fields):
        return [self.second(**fields) for _ in range(count)]

    def another_stream(self):
        self.meter.stream_ended(self.counters, self.now)
        self.counters = Counters()


BOTH_WAYS = {"received": 50, "received_octets": 8000, "sent": 50, "sent_octets": 8000}
ONLY_SENT = {"sent": 50, "sent_octets": 8000}


@pytest.mark.parametrize(
    ("loss_permille", "jitter_ms", "rtt_ms", "score"),
    [
        # E = 10: R = 92.95.
        (0, 0, 0, 440),
        # E = 20 + 4 + 10 = 34: R = 92.35, less 2.5 = 89.85.
        (10, 2, 40, 434),
        # Where the two branches meet: E = 160, R = 89.2 by both.
        (0, 0, 300, 432),
        # E = 250 + 40 + 10 = 300: R = 75.2, less 7.5 = 67.7.
        (30, 20, 500, 349),
        # 20 % lost: R = 42.95.
        (200, 0, 0, 221),
        (1000, 0, 0, 100),
        (0, 0, 10_000, 100),
    ],
)
def test_the_score_is_the_e_models(loss_permille, jitter_ms, rtt_ms, score):
    assert mos_centi(loss_permille, jitter_ms, rtt_ms) == score


@given(st.floats(0, 1000), st.floats(0, 10_000), st.floats(0, 100_000))
def test_the_score_is_between_1_and_4_4_and_never_better_for_more_loss(loss, jitter, rtt):
    score = mos_centi(loss, jitter, rtt)
    assert 100 <= score <= 440
    assert mos_centi(min(1000, loss + 10), jitter, rtt) <= score


@pytest.mark.parametrize(
    ("score", "word"), [(0, None), (100, Grade.BAD), (309, Grade.BAD), (310, Grade.FAIR), (360, Grade.GOOD)]
)
def test_a_score_has_a_word(score, word):
    assert grade(score) is word


def test_a_good_call_has_good_figures_and_no_alarm():
    call = Call()
    assert call.seconds(10, **BOTH_WAYS, jitter_us=1500, rtt_us=20_000) == [None] * 10
    assert call.figures.heard == WayFigures(0, 2, 440)
    assert call.figures.rtt_ms == 20
    assert call.figures.sent is None
    totals = call.meter.totals
    assert (totals.received, totals.sent, totals.lost, totals.jitter_us) == (500, 500, 0, 1500)
    assert call.meter.overall(Way.SENT) == 0


def test_the_live_loss_is_that_of_the_last_five_seconds_and_the_worst_is_kept():
    call = Call()
    call.seconds(5, **BOTH_WAYS)
    call.second(received=25, lost=25, sent=50)
    assert call.figures.heard.loss_permille == 100
    call.seconds(5, **BOTH_WAYS)
    assert call.figures.heard.loss_permille == 0
    worst = call.meter.worst
    assert (worst.way, worst.loss_permille, worst.mos_centi) == (Way.HEARD, 100, mos_centi(100, 0, 0))
    assert worst.from_ms == 1000
    assert call.meter.overall(Way.HEARD) == mos_centi(45, 0, 0)


def test_packets_that_came_too_late_are_as_good_as_lost():
    call = Call()
    call.seconds(5, received=50, discarded=5, sent=50)
    assert call.figures.heard.loss_permille == round(1000 * 25 / 275)


def test_a_call_of_less_than_five_seconds_has_figures_but_no_worst_spell():
    call = Call()
    call.seconds(3, **BOTH_WAYS)
    assert call.figures.heard == WayFigures(0, 0, 440)
    assert call.meter.worst is None


def test_what_the_far_end_reports_is_the_other_direction():
    call = Call()
    call.seconds(4, **BOTH_WAYS)
    call.second(**BOTH_WAYS, reports=1, far_lost=25, far_jitter_us=4000, rtt_us=60_000)
    assert call.figures.sent == WayFigures(100, 4, mos_centi(100, 4, 60))
    call.seconds(4, **BOTH_WAYS)
    call.second(**BOTH_WAYS, reports=1, far_jitter_us=1000)
    assert call.figures.sent == WayFigures(0, 1, mos_centi(0, 1, 60))
    worst = call.meter.worst
    assert (worst.way, worst.from_ms, worst.loss_permille, worst.rtt_ms) == (Way.SENT, 0, 100, 60)
    assert call.meter.overall(Way.SENT) == mos_centi(50, 2.5, 60)


def test_a_far_end_that_counts_packets_twice_reports_a_negative_loss():
    call = Call()
    call.seconds(4, **BOTH_WAYS)
    call.second(**BOTH_WAYS, reports=1, far_lost=(1 << 24) - 3)
    assert call.figures.sent.loss_permille == 0
    assert call.meter.totals.far_lost == 0


def test_sound_before_the_answer_is_not_the_calls():
    call = Call(received=400, lost=100, sent=500)
    call.seconds(5, **BOTH_WAYS)
    assert call.figures.heard.loss_permille == 0
    assert call.meter.worst.loss_permille == 0


def test_a_re_invite_begins_new_counters_and_nothing_is_counted_twice():
    call = Call()
    call.seconds(5, **BOTH_WAYS, jitter_us=1000)
    call.another_stream()
    call.seconds(5, **BOTH_WAYS, jitter_us=3000)
    call.another_stream()
    totals = call.meter.totals
    assert (totals.received, totals.received_octets, totals.sent, totals.jitter_us) == (500, 80_000, 500, 2000)
    assert call.meter.streams == 2
    assert call.meter.worst.loss_permille == 0


@pytest.mark.parametrize(("goes_on", "told"), [(True, 300 + 25), (False, 25)])
def test_losses_of_an_earlier_stream_are_not_counted_again_where_the_far_end_goes_on_counting(goes_on, told):
    call = Call()
    for _ in range(12):
        call.second(**BOTH_WAYS)
    call.second(**BOTH_WAYS, reports=1, far_lost=300)
    call.another_stream()
    call.seconds(4, **BOTH_WAYS)
    # 25 of this stream's 250.
    assert call.second(**BOTH_WAYS, reports=1, far_lost=told) is None
    assert call.figures.sent.loss_permille == 100
    assert call.meter.totals.far_lost == 325
    call.another_stream()
    assert (call.meter.totals.far_lost, call.meter.watch.first) == (325, None)


# --- one-way audio ---------------------------------------------------------------------------------------------------


def test_nothing_heard_is_told_three_seconds_after_the_answer_and_not_before():
    call = Call(received=200, sent=200)
    assert call.seconds(3, **ONLY_SENT) == [None, None, Way.HEARD]
    assert call.meter.watch.since_ms == ANSWER


def test_it_is_over_when_sound_comes_and_the_record_keeps_how_long_it_was():
    call = Call()
    call.seconds(6, **ONLY_SENT)
    assert call.second(**BOTH_WAYS) is None
    call.another_stream()
    assert (call.meter.watch.first, call.meter.watch.silent_ms) == (Way.HEARD, 7000)


def test_a_single_packet_of_comfort_noise_is_a_sign_of_life():
    call = Call()
    assert call.second(received=1, sent=50) is None
    assert call.seconds(20, **ONLY_SENT) == [None] * 20


def test_where_we_send_nothing_either_nobody_is_to_blame():
    assert Call().seconds(10) == [None] * 10


def test_a_first_look_that_was_held_up_costs_no_second_more():
    call = Call()
    # The answer was looked at some milliseconds late, the looks that follow were not.
    assert call.second(**ONLY_SENT, step=960) is None
    assert call.second(**ONLY_SENT) is None
    assert call.second(**ONLY_SENT) is Way.HEARD
    assert call.meter.watch.since_ms == ANSWER


def test_a_held_call_is_silent_by_intention():
    call = Call()
    assert call.seconds(10, **ONLY_SENT, held=True) == [None] * 10
    # The three seconds begin when it is taken back.
    assert call.seconds(4, **ONLY_SENT) == [None, None, None, Way.HEARD]
    assert call.meter.watch.since_ms == ANSWER + 11_000
    assert call.second(**ONLY_SENT, held=True) is None


def test_a_machines_line_is_given_time():
    call = Call()
    silent = call.seconds(10, **ONLY_SENT, patience_ms=MACHINE_PATIENCE_MS)
    assert silent == [None] * 9 + [Way.HEARD]


def test_the_far_end_misses_everything():
    call = Call()
    call.seconds(2, **BOTH_WAYS)
    # A report that was made half a second before it is looked at.
    assert call.second(**BOTH_WAYS, reports=1, far_lost=125) is Way.SENT
    assert call.meter.watch.since_ms == ANSWER
    call.seconds(4, **BOTH_WAYS)
    assert call.second(**BOTH_WAYS, reports=1, far_lost=10) is None
    assert (call.meter.watch.first, call.meter.watch.silent_ms) == (Way.SENT, 8000)


def test_the_far_end_stops_hearing_in_mid_call():
    call = Call()
    call.seconds(4, **BOTH_WAYS)
    assert call.second(**BOTH_WAYS, reports=1) is None
    call.seconds(4, **BOTH_WAYS)
    assert call.second(**BOTH_WAYS, reports=1, far_lost=230) is Way.SENT
    assert call.meter.watch.since_ms == ANSWER + 5000


def test_heavy_loss_is_not_one_way_audio():
    call = Call()
    call.seconds(4, **BOTH_WAYS)
    assert call.second(**BOTH_WAYS, reports=1, far_lost=150) is None


def test_a_far_end_that_speaks_rtcp_and_has_nothing_to_say_of_us_hears_nothing():
    call = Call()
    assert call.seconds(2, **BOTH_WAYS) == [None, None]
    assert call.second(**BOTH_WAYS, far_talks=True) is Way.SENT
    assert call.second(**BOTH_WAYS, far_talks=True, reports=1) is None


def test_rtcp_that_came_before_it_could_have_heard_anything_proves_nothing_for_two_intervals():
    call = Call()
    silent = call.seconds(12, **BOTH_WAYS, far_talks=True)
    assert silent == [None] * 11 + [Way.SENT]


def test_a_far_end_without_rtcp_is_never_accused():
    assert Call().seconds(30, **BOTH_WAYS) == [None] * 30


@given(st.lists(st.tuples(*[st.integers(0, 1 << 25)] * 6, st.booleans(), st.booleans()), max_size=30))
@example(
    # A far end that takes back losses which it had told of the stream before.
    [(0, 0, sent, reports, far_lost, jitter, False, ends) for sent, reports, far_lost, jitter, ends in [
        (0, 0, 0, 0, False), (0, 1, 0, 788, False), (236, 2, 236, 33_554_431, True), (34_180, 0, 34_172, 0, True),
        (0, 1, 0, 639, False), (872, 2, 373_301, 973, True), (0, 1, 379_034, 87, False), (34_524, 0, 743, 0, True),
        (0, 1, 0, 1051, False), (0, 0, 0, 0, True), (0, 1, 0, 6359, False),
    ]]
)  # fmt: skip
def test_no_counters_of_a_foreign_machine_break_it(steps):
    meter, now = Meter(), ANSWER
    for received, lost, sent, reports, far_lost, jitter, held, ends in steps:
        counters = Counters(
            received=received, lost=lost, sent=sent, reports=reports, far_lost=far_lost, jitter_us=jitter,
            far_jitter_us=jitter, rtt_us=jitter,
        )  # fmt: skip
        figures = meter.sample(counters, now, held=held)
        now += 1000
        for one in (figures.heard, figures.sent):
            assert one is None or (0 <= one.loss_permille <= 1000 and 100 <= one.mos_centi <= 440)
        if ends:
            meter.stream_ended(counters, now)
    assert 0 <= meter.overall(Way.SENT) <= 440
    assert meter.watch.silent_ms >= 0
