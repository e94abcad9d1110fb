"""What a trial of the SIP library has told before it died."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gateway.daemon.sip.capacity import MOST_ACCOUNTS, CapacityError, counted


@pytest.mark.parametrize(("told", "count"), [("1\n2\n3\n", 3), ("noise\n1\n2\n", 2), ("1\n2\nAssertion", 2)])
def test_the_last_account_that_was_made_counts(told, count):
    assert counted(told, -6) == count


@pytest.mark.parametrize("told", ["", "\n", "noise", "0\n", "99\n"])
def test_a_trial_that_made_none_tells_nothing(told):
    with pytest.raises(CapacityError, match="ended with -9 before its first account"):
        counted(told, -9)


@given(st.text())
def test_no_output_is_taken_for_too_much(told):
    try:
        assert 1 <= counted(told, 0) <= MOST_ACCOUNTS
    except CapacityError:
        pass
