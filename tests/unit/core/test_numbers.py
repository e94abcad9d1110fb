"""A number means the same however it is written, and is never shown whole where it must not be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.numbers import EMERGENCY, NumberClass, classify, is_short, mask, normalise, render, split_country_code


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("22334455", "+4722334455"),
        ("4722334455", "+4722334455"),
        ("+4722334455", "+4722334455"),
        ("004722334455", "+4722334455"),
        ("+47 22 33 44 55", "+4722334455"),
        ("412 34 567", "+4741234567"),
        ("47123456", "+4747123456"),  # a mobile number in 47x, not a country code
        ("46812345", "+4746812345"),  # eight digits are Norwegian
        ("4681234567", "+4681234567"),
        ("+4681234567", "+4681234567"),
        ("004681234567", "+4681234567"),
        ("+46 8-123 45 67", "+4681234567"),
        ("581234567890", "+47581234567890"),  # M2M, twelve digits
        ("+582121234567", "+582121234567"),  # Venezuela, with its plus
        ("02800", "02800"),
        ("+4702800", "02800"),
        ("4702800", "02800"),
        ("1881", "1881"),
        ("+471881", "1881"),
        ("471881", "1881"),
        ("116117", "116117"),
        ("112", "112"),
        ("0047112", "112"),
        ("1412", "1412"),
        ("+18035551234", "+18035551234"),
        ("18035551234", "+18035551234"),
        ("1945", "1945"),
        ("195", "195"),
    ],
)
def test_one_number_whatever_way_it_is_written(typed: str, canonical: str) -> None:
    assert normalise(typed) == canonical


@pytest.mark.parametrize(
    "text", ["", "anonymous", "*21*22334455#", "00", "+", "+0123456789", "12345", "12345678", "0123", "0012a"]
)
def test_what_is_no_number_stays_as_it_is(text: str) -> None:
    assert normalise(text) == text


def test_arabic_digits_are_not_digits() -> None:
    assert classify(normalise("٢٢٣٣٤٤٥٥")) is NumberClass.UNKNOWN


@given(st.text(max_size=40))
def test_no_text_can_stop_it(text: str) -> None:
    number = normalise(text)
    classify(number)
    mask(number)
    for form in ("plus", "digits", "national"):
        render(number, form)


@given(st.text(alphabet="0123456789+ -", max_size=20))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.from_regex(r"\+(47[2-79][0-9]{7}|46[1-9][0-9]{8}|1[2-9][0-9]{9})", fullmatch=True))
def test_every_rendering_is_read_back_as_the_same_number(number: str) -> None:
    for form in ("plus", "national"):
        assert normalise(render(number, form)) == number
    assert normalise("+" + render(number, "digits")) == number


def test_rendering() -> None:
    assert render("+4722334455", "plus") == "+4722334455"
    assert render("+4722334455", "digits") == "4722334455"
    assert render("+4722334455", "national") == "22334455"
    assert render("+4681234567", "national") == "004681234567"
    assert [render("112", form) for form in ("plus", "digits", "national")] == ["112"] * 3
    with pytest.raises(ValueError, match="loud"):
        render("+4722334455", "loud")


@pytest.mark.parametrize(
    ("number", "number_class"),
    [
        ("+4722334455", NumberClass.FIXED),
        ("+4779021234", NumberClass.FIXED),
        ("+4741234567", NumberClass.MOBILE),
        ("+4791234567", NumberClass.MOBILE),
        ("+4759123456", NumberClass.M2M),
        ("+47581234567890", NumberClass.M2M),
        ("+4758123456", NumberClass.UNKNOWN),
        ("+4780012345", NumberClass.TOLL_FREE),
        ("+4781012345", NumberClass.SHARED_COST),
        ("+4781569060", NumberClass.UNIVERSAL),
        ("+4782012345", NumberClass.PREMIUM),
        ("+4782912345", NumberClass.PREMIUM),
        ("+4785012345", NumberClass.VOIP),
        ("+4788012345", NumberClass.PERSONAL),
        ("+4787812345", NumberClass.SPECIAL),
        ("02800", NumberClass.UNIVERSAL),
        ("1881", NumberClass.DIRECTORY),
        ("116117", NumberClass.SOCIAL),
        ("175", NumberClass.SHORT),
        ("110", NumberClass.EMERGENCY),
        ("112", NumberClass.EMERGENCY),
        ("113", NumberClass.EMERGENCY),
        ("1412", NumberClass.EMERGENCY),
        ("+4681234567", NumberClass.INTERNATIONAL),
        ("+18035551234", NumberClass.INTERNATIONAL),
        ("+472233445", NumberClass.UNKNOWN),
        ("+47223344556", NumberClass.UNKNOWN),
        ("+12345", NumberClass.UNKNOWN),
        ("+1234567890123456", NumberClass.UNKNOWN),
        ("12345", NumberClass.UNKNOWN),
        ("alice", NumberClass.UNKNOWN),
    ],
)
def test_class_of_a_number(number: str, number_class: NumberClass) -> None:
    assert classify(number) is number_class


def test_an_operator_can_add_emergency_numbers_but_not_take_one_away() -> None:
    assert classify("911", emergency=frozenset({"911"})) is NumberClass.EMERGENCY
    assert classify("112", emergency=frozenset()) is NumberClass.EMERGENCY


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+4741234512", "+47 4•• •• •12"),
        ("+4681234567", "+46 8•••••67"),
        ("+18035551234", "+1 8•••••••34"),
        ("+358401234567", "+358 4••••••67"),
        ("112", "112"),
        ("1881", "1881"),
        ("02800", "02800"),
        ("116117", "116117"),
        ("4123456", "4••••56"),
        ("anonymous", "anonymous"),
        ("*21*22334455#", "*••*••••••••#"),
        ("", ""),
    ],
)
def test_masked_number(number: str, shown: str) -> None:
    assert mask(number) == shown


@given(st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True))
def test_a_masked_number_cannot_be_called(number: str) -> None:
    assert mask(number).count("•") >= 2
    assert number[1:] not in mask(number)


def test_country_codes() -> None:
    assert split_country_code("+4722334455") == ("47", "22334455")
    assert split_country_code("+79161234567") == ("7", "9161234567")
    assert split_country_code("+3726123456") == ("372", "6123456")


def test_emergency_numbers_are_short_numbers() -> None:
    assert all(is_short(number) and normalise(number) == number for number in EMERGENCY)
