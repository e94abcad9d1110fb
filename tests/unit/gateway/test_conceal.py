"""What is heard where frames did not come: no hole, no click, no babble."""

from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.daemon.buffer_plan import CARD_FRAME, MUTE_AFTER
from agent.gateway.daemon.conceal import SILENT_FRAME, Concealer, blend, is_silent
from firmware_bridge.g711 import decode_alaw, encode_alaw
from firmware_bridge.tonemeter import level_dbm0, mix, tone


def frames(pcm):
    coded = encode_alaw(pcm)
    return [coded[at : at + CARD_FRAME] for at in range(0, len(coded), CARD_FRAME)]


def power(frame):
    return sum(sample * sample for sample in array("h", decode_alaw(frame))) / CARD_FRAME


def steepest(coded):
    return max(abs(b - a) for a, b in pairwise(array("h", decode_alaw(coded))))


def play(spoken, missing):
    concealer = Concealer()
    return [concealer.lost() if n in missing else concealer.good(frame) for n, frame in enumerate(spoken)]


@pytest.mark.parametrize("hz", [100, 133, 150, 200, 250, 400, 700])
def test_one_missing_frame_of_a_voiced_sound_leaves_no_hole_and_no_click(hz):
    spoken = frames(mix((hz, 2 * hz, 3 * hz), 8000, -18))
    played = play(spoken, {40})
    assert power(played[40]) == pytest.approx(power(spoken[40]), rel=0.35)
    assert steepest(b"".join(played[38:43])) < 1.6 * steepest(b"".join(spoken[38:43]))


def test_a_longer_gap_fades_to_silence_and_speech_comes_back_softly():
    spoken = frames(tone(200, 1000, -10))
    gap = range(40, 50)
    played = play(spoken, gap)
    levels = [power(played[n]) for n in gap]
    assert levels == sorted(levels, reverse=True)
    assert all(frame == SILENT_FRAME for frame in played[40 + MUTE_AFTER : 50])
    assert steepest(b"".join(played[38:53])) < 1.6 * steepest(b"".join(spoken[38:53]))
    assert level_dbm0(decode_alaw(b"".join(played[51:60])), 200) == pytest.approx(-10, abs=0.5)


def test_nothing_is_made_up_out_of_silence():
    assert play([SILENT_FRAME] * 10, {5, 6}) == [SILENT_FRAME] * 10 or is_silent(play([SILENT_FRAME] * 10, {5, 6})[5])


@given(st.lists(st.one_of(st.none(), st.binary(min_size=CARD_FRAME, max_size=CARD_FRAME)), max_size=40))
def test_whatever_comes_whole_frames_go_out_and_good_ones_untouched(said):
    concealer = Concealer()
    before = True
    for frame in said:
        out = concealer.lost() if frame is None else concealer.good(frame)
        assert len(out) == CARD_FRAME
        if frame is not None and before:
            assert out == frame
        before = frame is not None


def test_a_frame_is_silent_below_the_level_of_speech():
    assert is_silent(frames(tone(1000, 10, -50))[0])
    assert not is_silent(frames(tone(1000, 10, -38))[0])


def test_a_blend_begins_as_one_and_ends_as_the_other():
    first, second = frames(tone(200, 10, -10))[0], SILENT_FRAME
    blended = array("h", decode_alaw(blend(first, second)))
    original = array("h", decode_alaw(first))
    assert abs(blended[5] - original[5]) < 0.15 * max(map(abs, original))
    assert abs(blended[-1]) < 0.05 * max(map(abs, original))
