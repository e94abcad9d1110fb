"""Which tone, and which announcement, somebody hears."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.data import load_tones
from firmware_bridge.g711 import decode_alaw, encode_alaw
from firmware_bridge.messages import ToneProgram, ToneSegment
from firmware_bridge.simulator.ear import likeness, which_announcement, which_tone
from firmware_bridge.simulator.player import SILENT_TICK, TonePlayer
from firmware_bridge.tonemeter import tone


def programs(country):
    return {
        name.value: ToneProgram(
            spec.level_dbm0, tuple(ToneSegment(tuple(part.frequencies), part.ms) for part in spec.segments), spec.once
        )
        for name, spec in load_tones(country=country).tones.items()
    }


def played(program, seconds, *, skip_ms=0):
    player = TonePlayer(program, 0)
    pcm = b"".join(player.tick() for _ in range(int(seconds * 100)))
    return decode_alaw(encode_alaw(pcm[skip_ms * 16 :]))


COUNTRIES = ["no", "se", "dk", "fi", "gb"]


@pytest.mark.parametrize("country", COUNTRIES)
def test_every_tone_of_a_country_is_told_from_every_other(country):
    tones = programs(country)
    for name, program in tones.items():
        length = sum(segment.ms for segment in program.segments) / 1000
        pcm = SILENT_TICK * 20 + played(program, max(2.0, 2.3 * length))
        heard = which_tone(pcm, tones)
        assert heard is not None, name
        assert tones[heard].segments == program.segments, name


@pytest.mark.parametrize("name", ["ringback", "busy", "special", "call_waiting", "recall"])
def test_a_tone_is_recognised_whenever_one_begins_to_listen(name):
    tones = programs("no")
    length = sum(segment.ms for segment in tones[name].segments)
    for part in range(4):
        pcm = played(tones[name], 3.6 * length / 1000, skip_ms=part * length // 4)
        assert which_tone(pcm, tones) == name, part


def test_neither_silence_nor_speech_nor_half_a_rhythm_is_a_tone():
    tones = programs("no")
    chance = random.Random(1)
    noise = b"".join(chance.randrange(-3000, 3000).to_bytes(2, "little", signed=True) for _ in range(16_000))
    assert which_tone(b"", tones) is None
    assert which_tone(SILENT_TICK * 300, tones) is None
    assert which_tone(noise, tones) is None
    assert which_tone(played(tones["busy"], 0.9), tones) is None
    assert which_tone(tone(500, 2000, -10), tones) is None


def voice(seed, seconds=2):
    """Something as unsteady as speech."""
    chance = random.Random(seed)
    return b"".join(tone(chance.randrange(200, 1200), chance.randrange(40, 160), chance.randrange(-30, -8))
                    for _ in range(10 * seconds))  # fmt: skip


def test_an_announcement_is_known_by_its_sound_wherever_it_begins():
    recordings = {"no_such_number": voice(1), "limit": voice(2), "refused": voice(3)}
    for name, recording in recordings.items():
        through_the_net = decode_alaw(encode_alaw(b"\0" * 7_778 + recording))
        assert which_announcement(through_the_net, recordings) == name
        assert likeness(through_the_net, recording) > 0.9


def test_a_tone_or_another_voice_is_no_announcement():
    recordings = {"no_such_number": voice(1), "limit": voice(2)}
    assert which_announcement(tone(425, 2000, -10), recordings) is None
    assert which_announcement(voice(9), recordings) is None
    assert which_announcement(b"", recordings) is None
    assert which_announcement(bytes(32_000), recordings) is None


@settings(deadline=None, max_examples=25)
@given(st.binary(max_size=6000))
def test_any_sound_is_listened_to_without_harm(pcm):
    tones = programs("no")
    assert which_tone(pcm, tones) in {None, *tones}
    assert which_announcement(pcm, {"x": pcm[:3000]}) in {None, "x"}
