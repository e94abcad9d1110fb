"""When a call that has been sent on stays where it is."""

from __future__ import annotations

import pytest

from agent.core.diversion import Diverted, stays_because

A, B, C = "+4722000001", "+4722000002", "+4722000003"


def _stays(*past, here=A, target=B, most=5):
    return stays_because(past, here=here, target=target, most=most, read=lambda user: f"+47{user}"[-11:])


@pytest.mark.parametrize(
    ("past", "why"),
    [
        ([], ""),
        ([Diverted(C)], ""),
        ([Diverted(C, count=4)], ""),
        ([Diverted(C, count=5)], "it has been diverted 5 times"),
        ([Diverted(""), Diverted(C, count=4)], "it has been diverted 5 times"),
        ([Diverted(C), Diverted(B)], "it has come from there"),
        ([Diverted("22000002")], "it has come from there"),
        ([Diverted(C), Diverted(A)], "it has been diverted from here before"),
    ],
)
def test_a_call_is_sent_on_unless_it_goes_round_or_has_come_too_far(past, why):
    assert _stays(*past) == why


def test_a_number_that_nobody_knows_is_no_circle():
    assert _stays(Diverted("", host=""), here="") == ""
    assert _stays(most=1) == ""
    assert _stays(Diverted(""), most=1) == "it has been diverted 1 times"
