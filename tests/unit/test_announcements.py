"""The shipped recordings say what the catalogue says, in every language, and fit a small box."""

from __future__ import annotations

import math
import shutil
import struct
import tomllib

import pytest

from agent import speaking
from agent.announcements import AnnouncementsError, check_folder
from agent.config import ConfigError, parse
from agent.core.announcement import Announcement, Language, known
from agent.core.budget import Cap
from agent.core.spoken import BY_LIMIT, UNHEARD, at_the_end, before_the_end
from agent.core.terms import Cause
from agent.gateway.recording import RATE, read_recording, write_recording
from agent.paths import data_dir
from agent.settings import try_out
from agent.texts import Texts
from firmware_bridge.g711 import decode_alaw

SHIPPED = data_dir() / "announcements"
SPOKEN = tomllib.loads((SHIPPED / speaking.MANIFEST).read_text(encoding="utf-8"))
EVERY = [(language, announcement) for language in Language for announcement in Announcement]


@pytest.mark.parametrize(("language", "announcement"), EVERY)
def test_each_sentence_is_spoken_as_it_stands_in_the_catalogue(language, announcement):
    assert SPOKEN[language][announcement] == Texts.load().say(f"announcement.{announcement}", language), (
        "the sentence has changed; run: make announcements"
    )
    alaw = read_recording((SHIPPED / language / f"{announcement}.wav").read_bytes())
    assert 1 < len(alaw) / RATE < 6
    loud = [sample for (sample,) in struct.iter_unpack("<h", decode_alaw(alaw)) if abs(sample) > 200]
    level = 20 * math.log10(math.sqrt(sum(one * one for one in loud) / len(loud)) / (32767 / math.sqrt(2))) + 3.14
    assert level == pytest.approx(speaking.LEVEL_DBM0, abs=1.5)


def test_nothing_else_is_shipped_and_all_of_it_is_small():
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert len(files) == len(EVERY) + 1
    assert max(path.stat().st_size for path in files) < 50_000
    assert sum(path.stat().st_size for path in files) < 2_500_000


@pytest.mark.peer("espeak-ng")
def test_speaking_again_gives_the_same_bytes(tmp_path):
    sentence = Texts.load().say("announcement.no_such_number", "nb")
    once = write_recording(speaking.speak(sentence, Language.NB))
    assert write_recording(speaking.speak(sentence, Language.NB)) == once
    shipped = (SHIPPED / "nb" / "no_such_number.wav").read_bytes()
    if speaking.version() == SPOKEN["program"]:
        assert once == shipped
    else:
        assert len(once) == pytest.approx(len(shipped), rel=0.25)


def test_what_a_telephone_cannot_carry_is_taken_out_and_the_rest_keeps_its_level():
    def sine(hz):
        return tuple(round(8000 * math.sin(2 * math.pi * hz * n / 22_050)) for n in range(11_025))

    def rms(samples):
        middle = samples[500:-500]
        return math.sqrt(sum(one * one for one in middle) / len(middle))

    kept = speaking._resampled(sine(1000), 22_050)
    assert len(kept) == 4000
    assert rms(kept) == pytest.approx(8000 / math.sqrt(2), rel=0.01)
    assert rms(speaking._resampled(sine(5000), 22_050)) < 60


def test_without_espeak_the_developer_is_told_what_to_run(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(speaking.SpeakingError, match="make peers"):
        speaking.speak("hei", Language.NB)


# --- which is said when ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_that_a_caller_can_meet_has_words_or_needs_none(cause):
    assert (at_the_end(cause) is None) == (cause in UNHEARD | {Cause.REFUSED}), "a refusal brings its own"


def test_every_limit_has_its_words_before_the_end_and_at_it():
    assert BY_LIMIT.keys() == frozenset(Cap)
    assert {cap: before_the_end(cap) for cap in Cap if before_the_end(cap) is Announcement.TIME_UP_SOON} == {
        Cap.PRICE_LIST: Announcement.TIME_UP_SOON,
        Cap.LEASE: Announcement.TIME_UP_SOON,
    }
    assert at_the_end(Cause.LIMIT_REACHED, limit="month") is Announcement.LIMIT_MONTH
    assert at_the_end(Cause.LIMIT_REACHED, limit="news of a later version") is Announcement.TIME_UP


def test_a_name_of_a_later_version_is_nothing():
    assert (known("no_answer"), known("../../etc/passwd"), known("")) == (Announcement.NO_ANSWER, None, None)


# --- an operator's own -----------------------------------------------------------------------------------------------


def test_a_folder_of_ones_own_may_hold_any_part(tmp_path):
    check_folder(tmp_path)
    (tmp_path / "nb").mkdir()
    shutil.copy(SHIPPED / "nb" / "no_answer.wav", tmp_path / "nb")
    check_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "body", "sentence"),
    [
        ("nb/no_answer.wav", b"ID3", "nb/no_answer.wav: it is no WAV file"),
        (
            "en/no_anser.wav",
            b"",
            "no_anser.wav: no announcement has this name; the names, each with .wav: not_ready",
        ),
        ("en/no_answer.mp3", b"", "en/no_answer.mp3: no announcement has this name"),
    ],
)
def test_a_file_that_would_not_be_heard_is_refused_with_the_setting(tmp_path, name, body, sentence):
    path = tmp_path / "own" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(body)
    with pytest.raises(AnnouncementsError) as refusal:
        check_folder(tmp_path / "own")
    assert sentence in str(refusal.value)

    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    config = parse(
        f"""
        [plain]
        user = "u"
        domain = "example.net"
        number = "+4722334455"
        password_file = "{tmp_path}/password"
        [general]
        announcements = "{tmp_path}/own"
        """.encode(),
        "agent.toml",
    )
    with pytest.raises(ConfigError) as refused:
        try_out(config)
    assert str(refused.value).startswith(f"general.announcements: {path}: ")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AnnouncementsError, match="there is no such folder"):
        check_folder(tmp_path / "nowhere")
