"""Codes as data: what dialled digits mean, and what a code does to a line's settings."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.dialplan import Outcome, compile_plan
from agent.core.numbers import EMERGENCY
from agent.core.services import (
    Ask,
    CodeTable,
    LineServices,
    Service,
    ServiceCodes,
    ServiceMode,
    ServiceProfile,
    operate,
)
from agent.data import load_numbering, load_services

SHIPPED = load_services()
TABLE = CodeTable(SHIPPED)
PLAN = dataclasses.replace(compile_plan(load_numbering().digit_map.patterns, sorted(EMERGENCY)), codes=TABLE)
_digits = st.text("0123456789*#", max_size=24)


def _number(dialled: str) -> str:
    return f"+47{dialled}" if len(dialled) == 8 else ""


def test_every_shipped_service_is_ours_and_its_codes_are_told_apart():
    # Which other number to call from is the customer's own matter, and its codes are.
    assert set(SHIPPED.codes) == set(Service) - {Service.CALL_AS}
    assert {codes.mode for codes in SHIPPED.codes.values()} == {ServiceMode.LOCAL}
    texts = [text for codes in SHIPPED.codes.values() for text in (*codes.on, *codes.off, *codes.query)]
    assert len(texts) == len(set(texts))
    for text in texts:
        read = TABLE.read(text.replace("N", "22334455"))
        assert read is not None
        assert text in (
            *SHIPPED.codes[read.service].on,
            *SHIPPED.codes[read.service].off,
            *SHIPPED.codes[read.service].query,
        )


@pytest.mark.parametrize(
    ("digits", "outcome"),
    [
        ("*", Outcome.NEED_MORE),
        ("*21*2233", Outcome.NEED_MORE),
        ("*21*22334455#", Outcome.SERVICE_CODE),
        ("*21*#", Outcome.SERVICE_CODE),
        ("*24*", Outcome.SERVICE_CODE),
        ("*31*", Outcome.NEED_MORE),
        ("*31*22334455", Outcome.COMPLETE),
        ("*31*01", Outcome.IMPOSSIBLE),
        ("#31#", Outcome.NEED_MORE),
        ("#31#112", Outcome.COMPLETE),
        ("*98#", Outcome.SERVICE_CODE),
        ("*x", Outcome.IMPOSSIBLE),
    ],
)
def test_what_digits_mean(digits, outcome):
    assert PLAN.match(digits).outcome is outcome


def test_a_number_behind_a_prefix_waits_like_any_other_and_ends_with_a_hash():
    assert PLAN.match("*31*0046812345").timer_ms == 4000
    assert PLAN.match("*31*0046812345#").number == "*31*0046812345"
    assert (PLAN.match("*31*112").number, PLAN.match("*31*112").emergency) == ("112", True)


@given(_digits)
def test_no_code_hides_an_emergency_number(digits):
    """Whatever else is dialled, 112 alone is 112, and what is behind a prefix is no less of an emergency."""
    match = PLAN.match(digits)
    if match.emergency:
        assert match.number in EMERGENCY
    assert PLAN.match("112").emergency
    TABLE.read(digits)


@given(_digits)
def test_digits_that_are_a_code_were_the_beginning_of_one_all_the_time(digits):
    if PLAN.match(digits).outcome is Outcome.SERVICE_CODE:
        for end in range(1, len(digits)):
            assert PLAN.match(digits[:end]).outcome is Outcome.NEED_MORE


def test_what_is_off_has_no_codes_and_nothing_set():
    profile = msgspec.structs.replace(
        SHIPPED, codes=dict(SHIPPED.codes) | {Service.DO_NOT_DISTURB: ServiceCodes(mode=ServiceMode.OFF, on=["*26#"])}
    )
    assert CodeTable(profile).read("*26#") is None
    everything = LineServices(
        forward_all="+4722334455", forward_busy="+4722334455", forward_no_answer="+4722334455", call_waiting=False,
        withhold=True, hotline="+4722334455", do_not_disturb=True,
    )  # fmt: skip
    assert everything.reduced(SHIPPED) == everything
    assert everything.reduced(profile) == msgspec.structs.replace(everything, do_not_disturb=False)
    assert everything.reduced(ServiceProfile()) == LineServices()


def test_a_code_changes_what_it_names_and_nothing_else():
    before = LineServices(hotline="+4791234567")
    read = TABLE.read("*67*22334455#")
    assert (read.service, read.ask, read.digits, read.whole) == (Service.FORWARD_BUSY, Ask.ON, "22334455", True)
    answer = operate(read, before, SHIPPED, _number)
    assert answer.taken
    assert answer.settings == msgspec.structs.replace(before, forward_busy="+4722334455")


def test_a_number_that_nobody_may_be_sent_to_changes_nothing():
    before = LineServices()
    answer = operate(TABLE.read("*21*123#"), before, SHIPPED, _number)
    assert (answer.taken, answer.settings) == (False, before)


@pytest.mark.parametrize("code", ["21#", "*21N*#", "*N21#", "*2a#", "*" * 30, "N#"])
def test_a_code_that_no_telephone_can_dial_is_refused(code):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"codes": {"hotline": {"on": [code]}}}, ServiceProfile)
