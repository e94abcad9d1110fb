"""Tones written in a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.tonescript import MAX_SCRIPT, MAX_SEGMENTS, Segment, ToneProgram, ToneScriptError, read_tone


@pytest.mark.parametrize(
    ("script", "level", "segments", "once"),
    [
        ("425@-10; *(*/0/1)", -10, [((425,), 0)], False),
        ("425@-10;*(1/4/1)", -10, [((425,), 1000), ((), 4000)], False),
        ("350@-19,440@-19;10(*/0/1+2)", -19, [((350, 440), 10_000)], True),
        (
            "950@-12,1400@-12,1800@-12;*(.33/0/1,.33/0/2,.33/1/3)", -12,
            [((950,), 330), ((1400,), 330), ((1800,), 330), ((), 1000)], False,
        ),
        ("1400@-16; .6(.2/.2/1)", -16, [((1400,), 200), ((), 200), ((1400,), 200)], True),
        ("425@-10; .8(.2/.2/1)", -10, [((425,), 200), ((), 200), ((425,), 200)], True),
        (
            "425@-10; .3(.1/.1/1); *(*/0/1)", -10,
            [((425,), 100), ((), 100), ((425,), 100), ((425,), 0)], True,
        ),
        ("425@-10; *(1/0/0,1/0/1)", -10, [((), 1000), ((425,), 1000)], False),
    ],
)  # fmt: skip
def test_a_script_says_what_the_card_plays(script, level, segments, once):
    expected = ToneProgram(level, tuple(Segment(*segment) for segment in segments), once)
    assert read_tone(script) == expected


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("", "found '' where a frequency stands"),
        ("425", "found '425' where a frequency stands"),
        ("425@-10", "the tone has no rhythm"),
        ("99@-10;*(*/0/1)", "found 99 Hz"),
        ("425@3;*(*/0/1)", "found a level of 3"),
        ("350@-13,440@-19;*(*/0/1+2)", "different levels"),
        ("425@-10;*(1/4)", "found '1/4' where a part stands"),
        ("425@-10;*(1/4/2)", "frequencies 1 to 1"),
        ("425@-10;*(1/4/0+1)", "frequencies 1 to 1"),
        ("425@-10;*(0/0/1)", "lasts no time"),
        ("425@-10;0(1/1/1)", "lasts no time"),
        ("425@-10;*(61/1/1)", "at most 60"),
        ("425@-10;*(a/1/1)", "found 'a' where seconds stand"),
        ("425@-10;*(*/0/1,1/1/1)", "never heard"),
        ("425@-10;*(1/1/1);*(*/0/1)", "never ends"),
        ("425@-10;1(1/1/1);*(1/1/1)", "only a last part without end"),
        ("425@-10;nonsense", "where a rhythm stands"),
        ("425@-10;60(.1/.1/1)", f"the card takes {MAX_SEGMENTS}"),
        ("425@-10;*(" + ",".join(["1/1/1"] * 7) + ")", "at most 6 are allowed"),
        (",".join(["425@-10"] * 7) + ";*(*/0/1)", "at most 6 are allowed"),
        (",".join(["425@-10"] * 5) + ";*(*/0/1+2+3+4+5)", "at most 4 frequencies together"),
        ("4" * (MAX_SCRIPT + 1), "characters"),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_sentence(script, sentence):
    with pytest.raises(ToneScriptError, match=sentence.replace("+", r"\+")):
        read_tone(script)


@given(st.text(alphabet="0123456789@-,;*()/+. ", max_size=60))
def test_any_text_is_read_or_refused(script):
    try:
        tone = read_tone(script)
    except ToneScriptError:
        return
    assert 1 <= len(tone.segments) <= MAX_SEGMENTS
    assert all(0 <= segment.ms <= 60_000 for segment in tone.segments)
