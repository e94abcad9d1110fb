"""A thousand registrations at one server, in virtual time: how many come at once, and that all of them come back."""

from __future__ import annotations

import pytest

from tests.bench.street import BACK_MS, OURS, REFUSED_FOR_MS, back, outage, peak, power_cut, refusal

STREET = 1000
PER_ATTEMPT = 2
"""A REGISTER, and its repetition with the answer to the challenge."""


@pytest.mark.parametrize("seed", [1, 2])
def test_after_an_outage_of_ten_minutes_they_come_back_one_by_one(seed):
    street = outage(OURS, STREET, seed)
    # 300 s of full jitter on 1000 adapters are 3.3 a second; those that were just retransmitting come first.
    assert peak(street.server.arrived, BACK_MS) <= 60
    assert back(street, BACK_MS, 1.0) <= 310
    assert back(street, BACK_MS, 0.5) <= 120
    assert len(street.server.in_vain) <= 50 * STREET


def test_when_all_links_return_in_the_same_instant_they_take_ten_seconds():
    street = outage(OURS, STREET, links=True)
    assert PER_ATTEMPT * STREET / 10 <= peak(street.server.arrived, BACK_MS) <= 400
    assert back(street, BACK_MS, 1.0) <= 11


def test_after_a_power_cut_the_boot_spread_is_what_divides_them():
    together, apart = power_cut(OURS, 0, STREET), power_cut(OURS, 60, STREET)
    assert peak(together.server.arrived) == PER_ATTEMPT * STREET
    assert peak(apart.server.arrived) <= 80
    assert back(apart, 0, 1.0) <= 61


def test_a_server_that_drops_most_of_them_at_first_has_them_all_in_the_end():
    street = power_cut(OURS, 0, STREET, capacity=100)
    assert peak(street.server.served) <= 101
    assert back(street, 0, 1.0) <= 60


def test_refused_credentials_cost_the_platform_three_attempts_an_hour_each():
    street = refusal(OURS, STREET)
    hour = [at for at in street.server.arrived if BACK_MS <= at < BACK_MS + REFUSED_FOR_MS]
    assert len(hour) <= 3 * PER_ATTEMPT * STREET
    assert peak(hour) <= 60
    assert back(street, BACK_MS + REFUSED_FOR_MS, 1.0) <= 20 * 60 + 310
