"""Redirected calls: the same number by another way of the operator's, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.numbers import normalise
from agent.core.race import Attempt
from agent.core.redirect import Elsewhere, ways_on
from agent.core.target import usable

TARGETS = [
    usable(text)
    for text in (
        "192.0.2.1:5060", "192.0.2.2:5060", "192.0.2.2:5062;transport=tcp", "192.0.2.3:5061;transport=tls",
        "sip.lab.example@192.0.2.4:5061;transport=tls", "no target at all", "192.0.2.5:5060;transport=tls",
    )
]  # fmt: skip
DIALLED = "+4722000001"
FIRST = Attempt("home", 0, DIALLED)


def read(user):
    return normalise(user, country_code="47", international_prefix="00")


def ways(*contacts, tried=(FIRST,)):
    found = ways_on(contacts, FIRST, tried, domain="lab.example", targets=TARGETS, read=read)
    assert all((one.account, one.user) == ("home", DIALLED) for one in found), "what was dialled, as it was dialled"
    return [one.target for one in found]


@pytest.mark.parametrize(
    ("contact", "targets"),
    [
        (Elsewhere(DIALLED, "192.0.2.2"), [1]),
        (Elsewhere(DIALLED, "192.0.2.2", 5062), [2]),
        (Elsewhere("22000001", "192.0.2.2", 5060), [1]),
        (Elsewhere("004722000001", "192.0.2.2"), [1]),
        (Elsewhere(DIALLED, "lab.example"), [1]),
        (Elsewhere(DIALLED, "LAB.example", 5080), [1]),
        (Elsewhere(DIALLED, "192.0.2.3"), [3]),
        (Elsewhere(DIALLED, "192.0.2.3", 5060), []),
        (Elsewhere(DIALLED, "SIP.lab.example"), [4]),
        (Elsewhere(DIALLED, "sip.lab.example", 5061), [4]),
        (Elsewhere(DIALLED, "sip.lab.example", 5060), []),
        (Elsewhere(DIALLED, "192.0.2.4"), []),
        (Elsewhere(DIALLED, "192.0.2.5"), []),
        (Elsewhere(DIALLED, "192.0.2.5", 5060), [6]),
        (Elsewhere(DIALLED, "192.0.2.1"), []),
        (Elsewhere(DIALLED, "192.0.2.2", 5099), []),
        (Elsewhere(DIALLED, "198.51.100.7"), []),
        (Elsewhere("+4782000000", "192.0.2.2"), []),
        (Elsewhere("+4722000002", "lab.example"), []),
        (Elsewhere("+472200000", "lab.example"), []),
        (Elsewhere("", "192.0.2.2"), []),
    ],
)
def test_only_the_dialled_number_at_another_target_of_the_account_is_tried(contact, targets):
    assert ways(contact) == targets


def test_several_contacts_are_tried_in_their_order_each_target_once():
    assert ways(Elsewhere(DIALLED, "192.0.2.2", 5062), Elsewhere(DIALLED, "lab.example"),
                Elsewhere(DIALLED, "192.0.2.2"), Elsewhere("+4782000000", "lab.example")) == [2, 1]  # fmt: skip


def test_a_target_that_was_tried_is_not_tried_again():
    tried = (FIRST, Attempt("home", 1, DIALLED))
    assert ways(Elsewhere(DIALLED, "192.0.2.2"), tried=tried) == []
    assert ways(Elsewhere(DIALLED, "lab.example"), tried=tried) == [2]


def test_what_another_account_tried_does_not_count():
    assert ways(Elsewhere(DIALLED, "192.0.2.2"), tried=(FIRST, Attempt("office", 1, DIALLED))) == [1]


_texts = st.text(max_size=20) | st.sampled_from([DIALLED, "22000001", "lab.example", "192.0.2.2", "+4782000000"])


@given(st.lists(st.builds(Elsewhere, _texts, _texts, st.integers(0, 70_000)), max_size=12))
def test_nothing_in_a_contact_leads_to_another_number_or_to_a_target_twice(contacts):
    targets = ways(*contacts)
    assert len(targets) == len(set(targets))
    assert 0 not in targets
    assert not targets or any(read(one.user) == DIALLED for one in contacts)
