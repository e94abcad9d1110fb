"""Which way an emergency call goes: the first target that lives, the line's own account before any other."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.race import RACE_MS
from agent.gateway.fake import RegistrarMood

HOME_1, HOME_2, OTHER = ("home", 0), ("home", 1), ("other", 0)


def _first_way(gateway):
    return gateway.legs[-1].account, gateway.legs[-1].target


@pytest.mark.parametrize("mood", list(RegistrarMood))
def test_a_dead_first_target_costs_an_emergency_call_nothing(gateway, mood):
    gateway.registrar = mood
    gateway.mute_targets = {HOME_1}
    before = gateway.now
    gateway.call_number("112")
    assert _first_way(gateway) == HOME_2
    assert gateway.now - before < 1_000  # three keys


def test_the_lines_own_account_tells_who_calls_so_it_goes_before_a_quicker_other(gateway):
    gateway.mute_targets = {HOME_1, HOME_2}
    gateway.call_number("112")
    assert gateway.legs == []
    gateway.advance(RACE_MS)
    assert _first_way(gateway) == OTHER


def test_where_nobody_answers_the_call_goes_out_after_half_a_second_anyway(gateway):
    gateway.mute_targets = {HOME_1, HOME_2, OTHER}
    gateway.call_number("112")
    assert gateway.legs == []
    gateway.advance(RACE_MS // 2)
    assert gateway.legs == []
    gateway.advance(RACE_MS // 2)
    assert _first_way(gateway) == HOME_1


def test_the_silent_ones_are_tried_after_the_living(gateway):
    gateway.mute_targets = {HOME_1, HOME_2}
    gateway.call_number("112")
    gateway.advance(RACE_MS)
    ways = [_first_way(gateway)]
    for _ in range(2):
        gateway.peer_refuses(gateway.legs[-1].call_id, 503)
        ways.append(_first_way(gateway))
    assert ways == [OTHER, HOME_1, HOME_2]


def test_a_handset_put_down_during_the_race_calls_nobody(gateway):
    gateway.mute_targets = {HOME_1, HOME_2, OTHER}
    gateway.call_number("112")
    gateway.hang_up()
    gateway.advance(5_000)
    assert gateway.legs == []


def test_with_one_way_only_nothing_is_asked_and_nothing_waited_for(gateway, configuration):
    account = msgspec.structs.replace(configuration.accounts[0], targets=configuration.accounts[0].targets[:1])
    gateway.send(msgspec.structs.replace(configuration, revision="2", accounts=[account]))
    gateway.mute_targets = {HOME_1}
    gateway.call_number("112")
    assert _first_way(gateway) == HOME_1


def test_an_ordinary_call_asks_no_target(gateway):
    gateway.mute_targets = {HOME_1, HOME_2, OTHER}
    gateway.call_number("22334455")
    gateway.advance(RACE_MS)
    assert gateway.legs == []
