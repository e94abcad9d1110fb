"""Which ringing an INVITE asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.alerting import ring_name

RINGS = {
    "internal": ["alert-internal", "Bellcore-dr2", "urn:alert:source:internal"],
    "priority": ["bellcore-dr3", "urn:alert:priority:high"],
}


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ((), ""),
        (("bellcore-dr2",), "internal"),
        (("http://127.0.0.1/bellcore-dr9", "bellcore-dr9"), ""),
        (("http://127.0.0.1/bellcore-dr3", "bellcore-dr3", "alert-internal"), "priority"),
        (("urn:alert:source:internal:vip@example",), "internal"),
        (("urn:alert:source:external",), ""),
        (("urn:alert:source",), ""),
        (("ALERT-INTERNAL",), "internal"),
    ],
)
def test_words_ask_for_a_ringing(words, name):
    assert ring_name(words, RINGS) == name


def test_where_two_ringings_have_the_same_word_the_first_has_it():
    assert ring_name(("x",), {"first": ["x"], "second": ["x"]}) == "first"


@given(st.lists(st.text(max_size=40), max_size=8))
def test_any_words_ask_for_a_ringing_that_there_is_or_for_none(words):
    assert ring_name(words, RINGS) in ("", *RINGS)
