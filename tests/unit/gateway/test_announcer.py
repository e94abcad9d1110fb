"""Recordings are found, read when they are to be heard, and whatever is wrong with one leaves the tone."""

from __future__ import annotations

import os
import threading

import pytest

from agent.core.actions import Announce, CloseAudio, StopAnnouncement
from agent.core.announcement import Announcement, Language
from agent.core.events import AnnouncementOver
from agent.gateway.daemon.announcer import PATIENCE_FRAMES, Announcer, Playback
from agent.gateway.daemon.audio import LineAudio
from agent.gateway.daemon.buffer_plan import MEDIA_FRAME
from agent.gateway.daemon.card import Card
from agent.gateway.daemon.conceal import SILENT_FRAME
from agent.gateway.recording import write_recording
from firmware_bridge import SpeechFrame
from firmware_bridge.g711 import encode_alaw
from firmware_bridge.tonemeter import tone

WORDS = bytes(range(80)) + bytes(range(100, 180))
OTHER_WORDS = bytes(range(50, 130))
NAME = Announcement.NO_SUCH_NUMBER


class Waiting(Playback):
    """A playback that tells when it has been given its recording."""

    def __init__(self, take=1):
        super().__init__(take)
        self.came = threading.Event()

    def give(self, alaw):
        super().give(alaw)
        self.came.set()

    def all(self):
        assert self.came.wait(10)
        heard = b""
        while not self.over:
            frame = self.next(b"")
            heard += frame
        return heard


@pytest.fixture
def shipped(tmp_path):
    for language in Language:
        (tmp_path / "shipped" / language).mkdir(parents=True)
    (tmp_path / "shipped" / "nb" / f"{NAME}.wav").write_bytes(write_recording(WORDS))
    return tmp_path / "shipped"


@pytest.fixture
def said():
    return []


@pytest.fixture
def announcer(shipped, said):
    made = Announcer(shipped, lambda level, event, detail: said.append((level, event, detail)))
    yield made
    made.stop()


def fetched(announcer, name=NAME):
    playback = Waiting()
    announcer.fetch(name, playback)
    return playback.all()


def test_the_shipped_recording_is_heard_in_the_households_language(announcer, shipped, said):
    assert fetched(announcer) == WORDS
    (shipped / "en" / f"{NAME}.wav").write_bytes(write_recording(OTHER_WORDS))
    announcer.use(Language.EN, "")
    assert fetched(announcer) == OTHER_WORDS
    assert said == []


def test_the_operators_own_comes_first_and_what_it_lacks_is_the_shipped_one(announcer, tmp_path, said):
    own = tmp_path / "own"
    (own / "nb").mkdir(parents=True)
    announcer.use(Language.NB, str(own))
    assert fetched(announcer) == WORDS
    (own / "nb" / f"{NAME}.wav").write_bytes(write_recording(OTHER_WORDS))
    assert fetched(announcer) == OTHER_WORDS
    assert said == []


def test_one_that_is_no_recording_is_named_once_and_the_shipped_one_heard(announcer, tmp_path, said):
    own = tmp_path / "own"
    (own / "nb").mkdir(parents=True)
    (own / "nb" / f"{NAME}.wav").write_bytes(b"MP3")
    announcer.use(Language.NB, str(own))
    assert fetched(announcer) == WORDS
    assert fetched(announcer) == WORDS
    [(level, event, detail)] = said
    assert (level, event) == ("warning", "announcement_unusable")
    assert f"own/nb/{NAME}.wav: it is no WAV file" in detail


def test_where_there_is_none_the_tone_follows_and_the_log_says_so_once(announcer, said):
    assert fetched(announcer, Announcement.REJECTED) == b""
    assert fetched(announcer, Announcement.REJECTED) == b""
    [(_, _, detail)] = said
    assert detail.endswith("nb/rejected.wav: there is no such recording; only the tone is heard")


def test_a_disk_that_hangs_holds_up_neither_the_caller_nor_memory(announcer, shipped):
    """A FIFO that nobody writes to is a file whose reading never ends."""
    stuck = shipped / "nb" / f"{Announcement.REJECTED}.wav"
    os.mkfifo(stuck)
    first = Waiting()
    announcer.fetch(Announcement.REJECTED, first)
    later = [Waiting() for _ in range(40)]
    for playback in later:
        announcer.fetch(NAME, playback)
    refused = [playback for playback in later if playback.came.is_set()]
    assert len(refused) >= 20
    assert all(playback.all() == b"" for playback in refused)
    assert not first.came.is_set()

    stuck.write_bytes(b"")
    assert first.all() == b""
    assert [playback.all() for playback in later if playback not in refused] == [WORDS] * (40 - len(refused))


def test_an_unread_recording_is_waited_for_in_silence_and_not_for_ever():
    playback = Playback(1)
    frames = [playback.next(SILENT_FRAME) for _ in range(PATIENCE_FRAMES)]
    assert playback.over
    assert set(frames) == {SILENT_FRAME}


def test_stopping_before_anything_was_said_is_nothing(announcer):
    announcer.stop()


# --- on the line -----------------------------------------------------------------------------------------------------


def test_a_closed_line_hears_the_words_and_says_nothing_to_the_network():
    audio = LineAudio(lambda: 0)
    playback = Playback(7)
    audio.announce(playback)
    playback.give(WORDS)

    assert [audio.card_frame(OTHER_WORDS), audio.announced()] == [WORDS[:80], None]
    assert [audio.card_frame(OTHER_WORDS), audio.announced()] == [WORDS[80:], 7]
    assert audio.announced() is None
    assert audio.media_get() == bytes(MEDIA_FRAME)
    audio.announce(None)
    assert audio.card_frame(OTHER_WORDS) is None


def test_a_warning_takes_the_far_ends_place_and_gives_it_back():
    clock = [0]
    audio = LineAudio(lambda: clock[0])
    audio.open()
    far = tone(1000, 20, -10)
    heard = []

    def pass_time(frames):
        for _ in range(frames):
            if clock[0] % 20_000 == 0:
                audio.media_put(far)
            heard.append(audio.card_frame(SILENT_FRAME))
            clock[0] += 10_000

    pass_time(10)
    playback = Playback(0, wait_frames=4)
    playback.give(WORDS)
    audio.announce(playback)
    pass_time(10)
    spoken = encode_alaw(far)
    assert heard[14:16] == [WORDS[:80], WORDS[80:]]
    assert all(frame in (spoken[:80], spoken[80:]) for frame in heard[10:14] + heard[16:])
    assert audio.stats.to_line.underruns == 0


def test_hanging_up_ends_a_warning_with_the_call():
    audio = LineAudio(lambda: 0)
    audio.open()
    audio.announce(Playback(0))
    audio.close()
    assert audio.card_frame(SILENT_FRAME) is None


def test_the_end_is_posted_once_for_the_line_and_silence_comes_on_order(announcer):
    posted = []
    audio = [LineAudio(lambda: 0), LineAudio(lambda: 0)]
    card = Card("/nonexistent", audio, posted.append, announcer=announcer)
    card.perform(Announce(1, NAME, take=3))
    frame = SpeechFrame(1, OTHER_WORDS)
    heard = []
    for _ in range(PATIENCE_FRAMES + 2):
        heard.append(card._speech(frame))
        if posted:
            break
        threading.Event().wait(0.01)
    assert posted == [AnnouncementOver(1, 3)]
    assert heard[-2:] == [WORDS[:80], WORDS[80:]]
    card.perform(StopAnnouncement(1))
    card.perform(CloseAudio(1))
    assert card._speech(frame) is None
    assert len(posted) == 1


def test_a_card_without_announcer_hears_only_tones():
    posted = []
    card = Card("/nonexistent", [LineAudio(lambda: 0)], posted.append)
    card.perform(Announce(0, NAME, take=1))
    assert card._speech(SpeechFrame(0, OTHER_WORDS)) == SILENT_FRAME
    assert posted == [AnnouncementOver(0, 1)]
