"""A list of codecs, and what the library has of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.codecs import G711, KNOWN, available, choose, plain, with_g711

WHEEL = ("speex/16000/1", "speex/8000/1", "iLBC/8000/1", "GSM/8000/1", "PCMU/8000/1", "PCMA/8000/1", "G722/16000/1",
         "L16/44100/2")  # fmt: skip
HAVING = ("PCMA", "PCMU", "G722")


def test_of_a_library_only_what_is_worth_a_telephones_while_can_be_listed():
    assert available(WHEEL) == HAVING
    assert available([*WHEEL, "opus/48000/2"]) == KNOWN


@pytest.mark.parametrize(
    ("wanted", "codecs", "refused", "added"),
    [
        (["PCMA", "PCMU"], ("PCMA", "PCMU"), (), False),
        (["G722", "PCMU"], ("G722", "PCMU"), (), False),
        (["pcmu", "g722"], ("PCMU", "G722"), (), False),
        (["PCMA", "PCMA"], ("PCMA",), (), False),
        (["opus", "PCMA"], ("PCMA",), ("opus",), False),
        (["iLBC", "GSM", "PCMA", "GSM"], ("PCMA",), ("iLBC", "GSM"), False),
        (["G722"], ("G722", "PCMA"), (), True),
        (["opus"], ("PCMA",), ("opus",), True),
        ([], ("PCMA",), (), True),
    ],
)
def test_the_order_is_the_operators_and_what_is_not_to_be_had_is_named(wanted, codecs, refused, added):
    chosen = choose(wanted, HAVING)
    assert (chosen.codecs, chosen.refused, chosen.added) == (codecs, refused, added)


@given(st.lists(st.text(max_size=32), max_size=16))
def test_any_list_leaves_a_telephone_with_g711(wanted):
    codecs = choose(wanted, HAVING).codecs
    assert set(codecs) & set(G711)
    assert len(set(codecs)) == len(codecs)


def test_a_machine_has_g711_only_and_a_call_for_help_has_both_forms_of_it():
    assert plain(("G722", "PCMU", "PCMA")) == ("PCMU", "PCMA")
    assert with_g711(("G722", "PCMU")) == ("G722", "PCMU", "PCMA")
