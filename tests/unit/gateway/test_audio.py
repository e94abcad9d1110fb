"""Speech between the two clocks: what is said comes out, drift costs single frames in silence, nothing grows."""

import heapq
from array import array
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.terms import LineProfile
from agent.gateway.daemon.audio import LineAudio
from agent.gateway.daemon.buffer_plan import CARD_FRAME, DATA, MEDIA_FRAME, SPEECH
from agent.gateway.daemon.conceal import SILENT_FRAME, is_silent
from firmware_bridge.g711 import decode_alaw, encode_alaw
from firmware_bridge.tonemeter import level_dbm0, tone

SILENT_PCM = bytes(MEDIA_FRAME)
CARD_US, MEDIA_US = 10_000, 20_000


def alaw(code):
    return bytes([code]) * CARD_FRAME


class Clock:
    """Boot time in microseconds, as the test says."""

    def __init__(self):
        self.us = 1_000_000

    def __call__(self):
        return self.us


class Telephone:
    """A line and a call with clocks of their own: what each end says, and what the other hears of it."""

    def __init__(self, profile=LineProfile.PHONE):
        self.clock = Clock()
        self.line = LineAudio(self.clock)
        self.line.use(profile)
        self.line.open()
        self.at_card, self.at_sip = [], []

    def run(self, seconds, *, card_ppm=0, media_ppm=0, card_at=0, media_at=0, mouth=None, far=None, late=None):
        """`mouth(n)` and `far(n)`: the frames said; `late(n)`: microseconds by which the card's thread is late."""
        end = self.clock.us + round(seconds * 1e6)
        card_step, media_step = CARD_US * (1 - card_ppm / 1e6), MEDIA_US * (1 - media_ppm / 1e6)
        begin = self.clock.us
        due = [(begin + card_at, 0, 0), (begin + media_at, 1, 0)]
        busy_until = begin
        while due[0][0] < end:
            at, who, n = heapq.heappop(due)
            if who == 0:
                busy_until = max(busy_until, at + (late(n) if late else 0))
                if busy_until > at and due and busy_until > due[0][0]:
                    heapq.heappush(due, (busy_until, 2, n))
                else:
                    self._card(max(at, busy_until), n, mouth)
                heapq.heappush(due, (begin + card_at + (n + 1) * card_step, 0, n + 1))
            elif who == 2:
                self._card(at, n, mouth)
            else:
                self.clock.us = max(self.clock.us, round(at))
                self.line.media_put(far(n) if far else SILENT_PCM)
                self.at_sip.append(self.line.media_get())
                heapq.heappush(due, (begin + media_at + (n + 1) * media_step, 1, n + 1))

    def _card(self, at, n, mouth):
        self.clock.us = max(self.clock.us, round(at))
        self.at_card.append(self.line.card_frame(mouth(n) if mouth else SILENT_FRAME))


def steepest(pcm):
    return max(abs(b - a) for a, b in pairwise(pcm))


def counters(phone):
    stats = phone.line.stats
    return stats.to_network, stats.to_line


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def line(clock):
    audio = LineAudio(clock)
    audio.open()
    return audio


def test_a_closed_line_says_and_hears_nothing(clock):
    audio = LineAudio(clock)
    audio.media_put(tone(1004, 20, -10))
    assert audio.card_frame(alaw(0x2A)) is None
    assert audio.media_get() == SILENT_PCM
    audio.open()
    assert audio.card_frame(alaw(0x2A)) == SILENT_FRAME


def test_what_each_end_says_reaches_the_other_whole_and_in_order():
    phone = Telephone()
    phone.run(1, media_at=3_000, mouth=lambda n: alaw(n % 0x50), far=lambda n: decode_alaw(alaw(n) * 2))
    heard = [encode_alaw(pcm)[at] for pcm in phone.at_sip for at in (0, CARD_FRAME) if pcm != SILENT_PCM]
    assert heard == [encode_alaw(decode_alaw(alaw((heard[0] + n) % 0x50)))[0] for n in range(len(heard))]
    played = [frame[0] for frame in phone.at_card if frame != SILENT_FRAME]
    assert played == [code for n in range(50) for code in (n, n)][: len(played)]
    assert len(heard) > 90
    assert len(played) > 90


def test_a_tone_reaches_both_ends_at_its_level():
    spoken = tone(1004, 1000, -10)
    coded = encode_alaw(spoken)
    phone = Telephone()
    phone.run(
        1, mouth=lambda n: coded[80 * n : 80 * n + 80], far=lambda n: spoken[MEDIA_FRAME * n : MEDIA_FRAME * (n + 1)]
    )
    assert level_dbm0(b"".join(phone.at_sip[10:40]), 1004) == pytest.approx(-10, abs=0.3)
    assert level_dbm0(decode_alaw(b"".join(phone.at_card[20:80])), 1004) == pytest.approx(-10, abs=0.3)


@given(
    card_ppm=st.integers(-50, 50), media_ppm=st.integers(-50, 50), card_at=st.integers(0, 9_999),
    media_at=st.integers(0, 19_999),
)  # fmt: skip
@settings(max_examples=8, deadline=None)
def test_a_minute_with_clocks_of_50_ppm_passes_every_frame_without_a_slip(card_ppm, media_ppm, card_at, media_at):
    phone = Telephone()
    phone.run(60, card_ppm=card_ppm, media_ppm=media_ppm, card_at=card_at, media_at=media_at)
    for way in counters(phone):
        assert (way.slips, way.inserts, way.underruns, way.concealed) == (0, 0, 0, 0)
        assert way.frames >= 5_990


@given(ppm=st.sampled_from([-700, -300, 300, 700]), media_at=st.integers(0, 19_999))
@settings(max_examples=6, deadline=None)
def test_drift_is_followed_in_silence_one_frame_at_a_time(ppm, media_at):
    """A talker with pauses: what has to be left out or put in lies in the pauses, and speech stays whole."""
    loud = alaw(0x2A)

    def talks(n):
        return loud if n % 300 < 200 else SILENT_FRAME

    phone = Telephone()
    phone.run(
        60, card_ppm=ppm, media_at=media_at, mouth=talks,
        far=lambda n: decode_alaw(loud * 2) if n % 150 < 100 else SILENT_PCM,
    )  # fmt: skip
    frames_of_drift = abs(ppm) * 60 / 1e4
    for way, sign in zip(counters(phone), (1, -1), strict=True):
        moved = way.slips if ppm * sign > 0 else way.inserts
        assert frames_of_drift - 3 <= moved <= frames_of_drift + 1
        assert (way.slips + way.inserts - moved, way.forced, way.underruns, way.concealed) == (0, 0, 0, 0)


def test_a_talker_without_pauses_is_cut_softly_when_the_buffer_is_full():
    phone = Telephone()
    spoken = encode_alaw(tone(150, 1000, -10))
    phone.run(60, card_ppm=2000, mouth=lambda n: spoken[80 * (n % 100) : 80 * (n % 100) + 80])
    way = phone.line.stats.to_network
    assert way.forced == way.slips > 0
    pcm = array("h", b"".join(phone.at_sip[10:]))
    assert steepest(pcm) < 2 * steepest(array("h", tone(150, 100, -10)))


def test_a_late_thread_is_ridden_out_by_the_slack():
    """8 ms late now and then: less than what the buffer begins with."""
    phone = Telephone()
    phone.run(20, media_at=5_000, late=lambda n: 8_000 if n % 50 == 0 else 0, mouth=lambda n: alaw(0x2A))
    assert phone.line.stats.to_network.underruns == 0


def test_a_long_hold_up_is_concealed_and_then_fades_to_silence():
    phone = Telephone()
    spoken = encode_alaw(tone(400, 1000, -10))
    phone.run(
        3, mouth=lambda n: spoken[80 * (n % 100) : 80 * (n % 100) + 80], late=lambda n: 300_000 if n == 100 else 0
    )
    way = phone.line.stats.to_network
    assert way.underruns == 1
    assert 6 <= way.concealed <= 8
    pcm = array("h", b"".join(phone.at_sip))
    assert max(map(abs, pcm[-8000:])) > 5000, "speech is back"
    assert steepest(pcm[800:]) < 2 * steepest(array("h", tone(400, 100, -10))), "nothing clicks"


def test_a_frame_that_the_card_lost_is_made_up_where_it_was():
    phone = Telephone()
    spoken = encode_alaw(tone(400, 1000, -10))
    phone.run(2, mouth=lambda n: None if n == 100 else spoken[80 * (n % 100) : 80 * (n % 100) + 80])
    stats = phone.line.stats
    assert (stats.lost, stats.to_network.concealed, stats.to_network.underruns) == (1, 1, 0)
    frames = [pcm[at : at + 160] for pcm in phone.at_sip[10:] for at in (0, 160)]
    assert min(level_dbm0(frame, 400) for frame in frames) > -11.5, "no hole"


def test_a_digit_is_muted_with_what_had_not_been_sent_of_it(clock):
    audio = LineAudio(clock)
    audio.open()
    loud, sent = alaw(0x2A), []
    # The key goes down at frame 40, and the card knows it at frame 43.
    for n in range(80):
        audio.card_frame(loud, dtmf=43 <= n < 52)
        clock.us += CARD_US
        if n % 2:
            sent.append(audio.media_get())
    frames = [pcm[at : at + 160] for pcm in sent for at in (0, 160)]
    silent = sum(frame == bytes(160) or is_silent(encode_alaw(frame)) for frame in frames[20:])
    assert silent >= 10, "nine frames of the key, and at least one of those before"
    assert audio.stats.digits_muted == 1


def test_the_tone_of_a_fax_machine_ends_all_that_changes_its_sound():
    phone = Telephone()
    answer = encode_alaw(tone(2100, 1000, -15))
    phone.run(2, mouth=lambda n: answer[80 * (n % 100) : 80 * (n % 100) + 80])
    assert phone.line.stats.data
    slips = phone.line.stats.to_network.slips
    phone.run(20, card_ppm=300, mouth=lambda n: SILENT_FRAME)
    assert phone.line.stats.to_network.slips == slips


def test_a_machine_at_the_far_end_counts_as_well_and_a_voice_does_not():
    answer = tone(2100, 1000, -15)
    for pcm, data in ((answer, True), (tone(300, 1000, -15), False), (tone(2000, 1000, -15), False)):
        phone = Telephone()
        phone.run(2, far=lambda n, pcm=pcm: pcm[MEDIA_FRAME * (n % 50) : MEDIA_FRAME * (n % 50 + 1)])
        assert phone.line.stats.data is data


@pytest.mark.parametrize("profile", [LineProfile.FAX, LineProfile.ALARM, LineProfile.CARD_TERMINAL])
def test_a_machines_line_has_a_deeper_buffer_that_leaves_every_frame_alone(profile):
    phone = Telephone(profile)
    phone.run(60, card_ppm=-100, media_ppm=100)
    for way in counters(phone):
        assert (way.slips, way.inserts, way.concealed) == (0, 0, 0)
    assert DATA.begin_us > SPEECH.begin_us


@pytest.mark.parametrize("frame", [b"", b"\x00", bytes(MEDIA_FRAME - 2), bytes(MEDIA_FRAME + 2), bytes(10_000)])
def test_an_odd_frame_from_sip_is_not_played(line, frame):
    for _ in range(10):
        line.media_put(frame)
    assert line.card_frame(SILENT_FRAME) == SILENT_FRAME
    assert line.stats.to_line.slips == 0


@pytest.mark.parametrize("frame", [b"", bytes(CARD_FRAME - 1), bytes(1000)])
def test_an_odd_frame_from_the_card_is_counted_and_answered(line, frame):
    assert line.card_frame(frame) == SILENT_FRAME
    assert line.stats.bad_frames == 1


def test_opening_again_starts_afresh_and_opening_twice_does_not(line):
    line.card_frame(None)
    line.open()
    assert line.stats.lost == 1
    line.close()
    assert line.stats.lost == 1
    line.open()
    assert line.stats.lost == 0
    assert line.media_get() == SILENT_PCM


@given(st.lists(st.tuples(st.sampled_from(["card", "put", "get", "lost"]), st.integers(0, 40_000)), max_size=300))
def test_whatever_the_clocks_do_every_answer_is_a_whole_frame(steps):
    clock = Clock()
    audio = LineAudio(clock)
    audio.open()
    for step, passed_us in steps:
        clock.us += passed_us
        if step == "put":
            audio.media_put(tone(1004, 20, -10))
        elif step == "get":
            assert len(audio.media_get()) == MEDIA_FRAME
        else:
            assert len(audio.card_frame(alaw(0x10) if step == "card" else None)) == CARD_FRAME
    stats = audio.stats
    for way in (stats.to_network, stats.to_line):
        assert way.forced <= way.slips + way.inserts
        assert way.concealed <= way.frames


def test_a_gap_too_long_to_be_told_is_counted_whole(line):
    line.card_frame(None, skipped=40)
    line.card_frame(None)
    assert line.stats.lost == 42
