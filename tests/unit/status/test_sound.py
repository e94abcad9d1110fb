"""How calls sound, on the page: figures while they run, a word afterwards, one-way audio in a sentence."""

from __future__ import annotations

import re

import pytest
from msgspec import structs

from agent.core.media import Way
from agent.core.terms import LineProfile
from agent.status.masking import masked
from agent.status.sample import sample_snapshot
from agent.status.snapshot import Snapshot


def section(page, name: str, lang: str, snapshot: Snapshot) -> str:
    html = page.fragments(masked(snapshot), lang)[name]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def with_call(**fields) -> Snapshot:
    snapshot = sample_snapshot()
    return structs.replace(snapshot, calls=[structs.replace(snapshot.calls[0], **fields)])


def with_cdr(**fields) -> Snapshot:
    snapshot = sample_snapshot()
    return structs.replace(snapshot, cdrs=[structs.replace(snapshot.cdrs[0], **fields)])


@pytest.mark.parametrize(
    ("lang", "heard", "sent", "rtt"),
    [
        ("nb", "Lyd hit god lyd · MOS 4,3 · tap 0,4 % · variasjon 3 ms", "Lyd dit god lyd · MOS 4,1 · tap 2,8 %",
         "Tur og retur 46 ms"),
        ("en", "Sound to here good sound · MOS 4.3 · loss 0.4 % · jitter 3 ms",
         "Sound to there good sound · MOS 4.1 · loss 2.8 %", "Round trip 46 ms"),
    ],
)  # fmt: skip
def test_a_running_call_shows_both_directions(page, lang, heard, sent, rtt):
    seen = section(page, "calls", lang, sample_snapshot())
    assert heard in seen
    assert sent in seen
    assert rtt in seen


@pytest.mark.parametrize(("lang", "sentence"), [("nb", "Lyd dit ikke målt ennå"), ("en", "there not measured yet")])
def test_what_the_far_end_does_not_report_is_not_made_up(page, lang, sentence):
    assert sentence in section(page, "calls", lang, with_call(sent=None))


@pytest.mark.parametrize(
    ("lang", "way", "sentence"),
    [
        ("nb", Way.HEARD, "Enveis lyd: Det kommer ingen lyd fra den andre siden (7 s)."),
        ("nb", Way.SENT, "Enveis lyd: Lyden herfra kommer ikke fram til den andre siden (7 s)."),
        ("en", Way.HEARD, "One-way audio: no sound arrives from the other side (7 s)."),
        ("en", Way.SENT, "One-way audio: the sound from here does not reach the other side (7 s)."),
    ],
)
def test_one_way_audio_is_said_with_its_direction(page, lang, way, sentence):
    assert sentence in section(page, "calls", lang, with_call(one_way=way, one_way_s=7))


def test_a_call_with_sound_both_ways_raises_no_alarm(page):
    assert "One-way" not in section(page, "calls", "en", with_call(one_way=None))


@pytest.mark.parametrize(
    ("fields", "nb", "en"),
    [
        ({"heard_mos_centi": 437, "sent_mos_centi": 0}, "god lyd", "good sound"),
        ({"heard_mos_centi": 437, "sent_mos_centi": 352}, "middels lyd", "fair sound"),
        ({"heard_mos_centi": 220, "sent_mos_centi": 440}, "dårlig lyd", "bad sound"),
        ({"heard_mos_centi": 0, "sent_mos_centi": 440, "one_way": Way.HEARD}, "enveis lyd", "one-way audio"),
        ({"heard_mos_centi": 0, "sent_mos_centi": 0, "one_way": Way.HEARD}, "enveis lyd", "one-way audio"),
    ],
)
def test_an_ended_call_has_its_sound_in_a_word(page, fields, nb, en):
    assert nb in section(page, "cdrs", "nb", with_cdr(**fields))
    assert en in section(page, "cdrs", "en", with_cdr(**fields))


def test_a_call_that_nobody_measured_has_no_word(page):
    seen = section(page, "cdrs", "en", with_cdr(heard_mos_centi=0, sent_mos_centi=0))
    assert "sound" not in seen


def test_the_figures_stand_behind_the_word(page):
    html = page.fragments(masked(with_cdr(heard_mos_centi=437, sent_mos_centi=0, worst_mos_centi=271)), "en")["cdrs"]
    assert 'title="MOS (4.4 is best): to here 4.3, to there –, worst five seconds 2.7"' in html


@pytest.mark.parametrize(
    ("lang", "sentence"),
    [
        ("nb", "Faks på denne linjen. Faksen går som lyd gjennom samtalen (G.711); T.38 avslås"),
        ("en", "A fax on this line. The fax goes through the call as sound (G.711); T.38 is refused"),
    ],
)
def test_a_fax_line_says_how_the_fax_travels(page, lang, sentence):
    snapshot = sample_snapshot()
    fax = structs.replace(snapshot.lines[0], profile=LineProfile.FAX)
    alarm = structs.replace(snapshot.lines[1], profile=LineProfile.ALARM)
    assert sentence in section(page, "lines", lang, structs.replace(snapshot, lines=[fax]))
    assert "T.38" not in section(page, "lines", lang, structs.replace(snapshot, lines=[alarm]))
    assert "T.38" not in section(page, "lines", lang, snapshot)
