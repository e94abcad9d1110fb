"""Maps that other adapters use, pasted as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.dialplan import DialPlanError, Outcome, compile_plan
from agent.core.foreign_map import MAX_MAP, MAX_RULES, Dialect, Note, read_map


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("(xx.)", ["x."]),
        ("(9xx.S2)", ["9x.S2"]),
        ("(01.)", ["0S4", "01.S4"]),
        ("(01.2S3)", ["02S3", "01.2S3"]),
        ("(<9:00>[1-9]xxxxS0)", ["<9:00>[1-9]xxxx"]),
        ("(<:22>XXXXXX | 90012345!)", ["<:22>xxxxxx", "90012345!"]),
        ("(2xxT)", ["2xxS4"]),
        ("( 22-33-44-55 )", ["22334455"]),
        ("{ x+ }", ["x."]),
        ("{x+|xx.|[3-5]11|<2=011>xxx}", ["x.", "xx.", "[3-5]11", "<2:011>xxx"]),
        ("{ ^900x+ | 9xxxxxxx }", ["900x.!", "9xxxxxxx"]),
        ("2xx|3x.S3|<9:>4xx", ["2xx", "3x.S3", "<9:>4xx"]),
        ("(2xx|2xx)", ["2xx"]),
    ],
)
def test_a_rule_means_here_what_it_means_there(text, patterns):
    assert list(read_map(text).patterns) == patterns


def test_what_goes_without_saying_is_left_out_and_named():
    found = read_map("(*xx|9,xxxxxxx|2xxxxxxx)")

    assert found.dialect is Dialect.SIPURA
    assert [(one.rule, one.why) for one in found.left_out] == [(1, Note.SERVICE_CODE), (2, Note.SECOND_DIAL_TONE)]
    assert found.patterns == ("9xxxxxxx", "2xxxxxxx")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("(2xx", r"begins with '\('"),
        ("{2xx)", "begins with '{'"),
        ("", "rule 1 is empty"),
        ("(2xx||3xx)", "rule 2 is empty"),
        ("(2xx|P5<:22334455>)", "rule 2 .*warm line"),
        ("(.2)", "rule 1 .*'.' must follow"),
        ("(2x..)", "must follow"),
        ("(<2:3>.)", "must follow"),
        ("(S4)", "matches no digit"),
        ("(<:22>)", "matches no digit"),
        ("(2xxS99)", "S0 to S30"),
        ("(<2=3>x)", "<12:34>"),
        ("{<2:3>x}", "<12=34>"),
        ("(<0:+47>2x)", "write 00 in place of"),
        ("(<2:3)", "<12:34>"),
        ("(01.23.)", "two elements that may be missing"),
        ("(2x+)", "found '\\+'"),
        ("{2x,3}", "found ','"),
        ("(" + "1" * MAX_MAP + ")", f"at most {MAX_MAP} are"),
        ("(" + "|".join("2x" for _ in range(MAX_RULES + 1)) + ")", f"at most {MAX_RULES} are"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_rule(text, sentence):
    with pytest.raises(DialPlanError, match=sentence):
        read_map(text)


def test_grandstreams_own_default_dials_after_a_pause_and_emergency_at_once():
    plan = compile_plan(read_map("{ x+ }").patterns, ["112"])

    assert plan.match("22334455").timer_ms == 4000
    assert plan.match("112").emergency


@given(st.text(alphabet="0123456789xX[]-.S<:=>|(){}^!+,*#TPL ", max_size=40))
def test_any_text_is_read_and_compiled_or_refused(text):
    try:
        plan = compile_plan(read_map(text).patterns, ["112"])
    except DialPlanError:
        return
    assert plan.match("112").outcome is Outcome.COMPLETE
