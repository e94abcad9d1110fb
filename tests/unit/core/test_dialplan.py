"""When is a dialled number whole? The Norwegian map, the syntax, and what a map may not contain."""

from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.dialplan import (
    MAX_DIGITS,
    MAX_PATTERN,
    DialPlan,
    DialPlanError,
    Match,
    Outcome,
    compile_plan,
    explain,
)
from agent.core.digit_pattern import read_patterns
from agent.paths import data_dir

COMPLETE, MORE, NO, CODE = Outcome.COMPLETE, Outcome.NEED_MORE, Outcome.IMPOSSIBLE, Outcome.SERVICE_CODE


def _norway() -> DialPlan:
    data = tomllib.loads((data_dir() / "numbering.toml").read_text(encoding="utf-8"))["digit_map"]
    return compile_plan(data["patterns"], data["emergency"], timer_ms=data["timer_ms"])


NORWAY = _norway()


@pytest.mark.parametrize(
    ("digits", "outcome", "timer_ms"),
    [
        ("", MORE, None),
        ("1", MORE, None),
        ("11", MORE, None),
        ("116", MORE, None),
        ("116117", COMPLETE, None),
        ("117", COMPLETE, None),
        ("141", MORE, None),
        ("1411", COMPLETE, None),
        ("180", MORE, None),
        ("1881", COMPLETE, None),
        ("194", MORE, 3000),
        ("1945", MORE, 3000),
        ("194#", COMPLETE, None),
        ("02800", COMPLETE, None),
        ("01", NO, None),
        ("2233445", MORE, None),
        ("22334455", COMPLETE, None),
        ("41234567", COMPLETE, None),
        ("59123456", COMPLETE, None),
        ("58123456", MORE, None),
        ("581234567890", COMPLETE, None),
        ("80012345", COMPLETE, None),
        ("004722334455", COMPLETE, None),
        ("004702800", COMPLETE, None),
        ("00471881", COMPLETE, None),
        ("0047194", MORE, 3000),
        ("0047581234567890", COMPLETE, None),
        ("004612", MORE, None),
        ("0046812", MORE, 4000),
        ("0046812345#", COMPLETE, None),
        ("004681#", NO, None),
        ("22#", NO, None),
        ("22*", NO, None),
        ("A", NO, None),
    ],
)
def test_a_number_dials_as_soon_as_it_is_whole(digits, outcome, timer_ms):
    match = NORWAY.match(digits)

    assert (match.outcome, match.timer_ms) == (outcome, timer_ms)
    if outcome is COMPLETE:
        assert match.number == digits.removesuffix("#")


@pytest.mark.parametrize(
    ("dialled", "number"),
    [("110", "110"), ("112", "112"), ("113", "113"), ("1412", "1412"), ("0047112", "112"), ("00471412", "1412")],
)
def test_emergency_dials_on_its_last_digit(dialled, number):
    assert NORWAY.match(dialled) == Match(COMPLETE, number, emergency=True)
    for end in range(len(dialled)):
        assert NORWAY.match(dialled[:end]).outcome is MORE


def test_only_00_01_and_19_are_not_dialled_without_waiting_among_all_three_digit_prefixes():
    def reaches_a_number_at_once(prefix: str) -> bool:
        found = {prefix}
        for _ in range(12):
            following = {f"{digits}{digit}" for digits in list(found)[:4] for digit in "05"}
            outcomes = {digits: NORWAY.match(digits) for digits in found | following}
            if any(m.outcome is COMPLETE for m in outcomes.values()):
                return True
            found = {digits for digits in following if outcomes[digits].outcome is MORE}
        return False

    prefixes = [f"{value:03}" for value in range(1000)]
    waiting = {p for p in prefixes if p[:2] in ("00", "01", "19")}
    emergency = {p for p in prefixes if NORWAY.match(p).emergency}
    for prefix in prefixes:
        outcome = NORWAY.match(prefix)
        if prefix.startswith("01") or prefix == "000":
            assert outcome.outcome is NO
        elif prefix in waiting:
            assert outcome.outcome is MORE
        else:
            assert outcome.outcome is COMPLETE or reaches_a_number_at_once(prefix), prefix
    assert emergency == {"110", "112", "113"}


@pytest.mark.parametrize(
    ("digits", "outcome"),
    [
        ("*", MORE), ("#", MORE), ("**", MORE), ("*#", MORE), ("*2", MORE), ("*21*", MORE), ("*21*2233", MORE),
        ("*21*22334455#", CODE), ("#21#", CODE), ("*#21#", CODE), ("*43#", CODE), ("**61*22334455**20#", CODE),
        ("***", NO), ("*A", NO), ("*##", NO), ("*" + "1" * 39, NO),
    ],
)  # fmt: skip
def test_service_codes_are_known_by_their_shape(digits, outcome):
    assert NORWAY.match(digits).outcome is outcome


def test_no_number_is_longer_than_e164_allows():
    longest = "0044" + "1" * (MAX_DIGITS - 4)

    assert NORWAY.match(longest[:-1]).outcome is MORE
    assert NORWAY.match(longest).outcome is COMPLETE
    assert NORWAY.match(longest + "1").outcome is NO


def test_sets_ranges_repeats_and_timers_mean_what_the_syntax_says():
    plan = compile_plan(["1[02-4]x", "2x.S5", "3x.", "4S2", "4xx"], ["112"], timer_ms=6000)

    assert plan.match("110").outcome is NO
    assert plan.match("139").outcome is COMPLETE
    assert plan.match("2") == Match(MORE)
    assert plan.match("2999").timer_ms == 5000
    assert plan.match("31").timer_ms == 6000
    assert plan.match("4").timer_ms == 2000
    assert plan.match("455").outcome is COMPLETE
    assert plan.match("112").emergency


def test_what_is_dialled_is_replaced_and_what_is_barred_is_not_called():
    plan = compile_plan(["<9:00>[1-35-8]xxxx.S2", "2<34:>5", "<:22>6xxx", "9[04]x.", "94xx!"], ["112"])

    assert plan.match("913812#") == Match(COMPLETE, "0013812")
    assert plan.match("2345").number == "25"
    assert plan.match("6123").number == "226123"
    assert plan.match("9412") == Match(NO, barred=True)
    assert plan.match("90123#").number == "90123"


def test_what_is_replaced_by_an_emergency_number_is_one():
    plan = compile_plan(["<911:112>", "9[02-9]xxxxxx"], ["112"])

    assert plan.match("911") == Match(COMPLETE, "112", emergency=True)


def test_a_bar_never_takes_an_emergency_number():
    plan = compile_plan(["11x!", "0047<national>", "004711x!"], ["112"])

    assert plan.match("112").emergency
    assert plan.match("0047112").emergency
    assert plan.match("113").barred


def test_an_explanation_names_the_patterns_that_still_fit_and_stops_where_the_telephone_does():
    patterns = ["2xx", "3x.S3", "21x!"]
    steps = explain(compile_plan(patterns, ["112"]), read_patterns(patterns, ["112"]), "2199")

    assert [(step.digits, step.match.outcome, step.patterns) for step in steps] == [
        ("2", MORE, ("2xx", "21x!")),
        ("21", MORE, ("2xx", "21x!")),
        ("219", NO, ("2xx", "21x!")),
    ]
    assert steps[-1].match.barred


@pytest.mark.parametrize(
    ("patterns", "emergency", "sentence"),
    [
        (["12x", "123"], ["112"], "123 fits both '12x' and '123'"),
        (["12", "12x"], ["112"], "12 is a whole number by '12' and the beginning of one by '12x'"),
        (["9xxxxxxx"], ["911"], "911 is a whole number by '911' and the beginning of one by '9xxxxxxx'"),
        (["14x"], ["1412"], "141 is a whole number by '14x' and the beginning of one by '1412'"),
        (["19x.S3", "1945"], ["112"], "1945 fits both '19x.S3' and '1945'"),
        (["00xxx.S4", "0047<national>", "2xx"], ["112"], "fits both"),
        ([], ["11", "112"], "11 is a whole number by '11'"),
        ([], ["1x"], "emergency number '1x' is no number"),
        ([], [""], "emergency number '' is no number"),
        ([""], ["112"], "matches no digit"),
        (["S3"], ["112"], "matches no digit"),
        (["1[2"], ["112"], "character 2: '[' without ']'"),
        (["1[]"], ["112"], "character 2: [] holds no digit"),
        (["1[3-1]"], ["112"], "rising ranges"),
        (["1[a]"], ["112"], "rising ranges"),
        ([".1"], ["112"], "character 1: '.' must follow"),
        (["1.."], ["112"], "character 3: '.' must follow"),
        (["12S99"], ["112"], "S1 to S30 are allowed"),
        (["12S0"], ["112"], "S1 to S30 are allowed"),
        (["1y"], ["112"], "character 2: found 'y'"),
        (["x<national>"], ["112"], "must follow digits"),
        (["1" * (MAX_DIGITS + 1)], ["112"], f"no number has more than {MAX_DIGITS}"),
        (["1" * (MAX_PATTERN + 1)], ["112"], f"at most {MAX_PATTERN} are allowed"),
        (["12<3"], ["112"], "character 3: '<' begins a substitution"),
        (["12<:>"], ["112"], "character 3: '<' begins a substitution"),
        (["1x.<2:3>"], ["112"], "character 4: a substitution must stand before '.'"),
        (["1<2:3>."], ["112"], "character 7: '.' must follow"),
        (["!"], ["112"], "matches no digit"),
        (["1!"], ["112"], "'1!' bars 1: emergency number '112' begins so"),
        (["11x!"], ["1123"], "'11x!' bars 112: emergency number '1123' begins so"),
        (["0x", "0047<national>"], ["112"], "ends inside the international prefix 00"),
    ],
)
def test_a_map_that_would_reach_somebody_else_is_refused_with_a_sentence(patterns, emergency, sentence):
    with pytest.raises(DialPlanError, match=re.escape(sentence)):
        compile_plan(patterns, emergency)


def test_a_map_that_would_eat_the_memory_is_refused():
    fixed = [(place, digit) for place in range(11) for digit in "123456789"]
    patterns = [f"{'x' * place}{digit}{'x' * (12 - place)}{end:02}" for end, (place, digit) in enumerate(fixed)]

    with pytest.raises(DialPlanError, match="too large"):
        compile_plan(patterns, [])


@given(st.lists(st.text(alphabet="0123456789x[]-.S<national>*# :!", max_size=12), max_size=6))
@settings(max_examples=300, deadline=None)
def test_any_text_is_compiled_or_refused_never_worse(patterns):
    try:
        plan = compile_plan(patterns, ["112"])
    except DialPlanError:
        return
    assert plan.match("112").emergency


@given(st.text(alphabet="0123456789*#ABCD", max_size=45))
@settings(max_examples=500, deadline=None)
def test_what_is_whole_was_never_whole_or_impossible_before_its_last_digit(digits):
    match = NORWAY.match(digits)
    for end in range(len(digits)):
        before = NORWAY.match(digits[:end])
        if match.outcome is not NO:
            # "That was all" behind a number that was whole already means that number.
            said_twice = digits[end:] == "#" and (before.outcome, before.number) == (match.outcome, match.number)
            assert before.outcome is MORE or said_twice
    if match.outcome is MORE:
        assert len(digits) < 40
