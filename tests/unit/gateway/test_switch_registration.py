"""When the telephone registers: at start, when the network changes, with other targets, with a refused credential."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from agent.core.beginning import Beginning
from agent.core.registration import REFUSED_DELAY_MS, Status
from agent.core.terms import NetworkChange
from agent.gateway.fake import FakeGateway, RegistrarMood
from agent.gateway.protocol import AccountState, Configure, Decide, NetworkNews


def _state(gateway: FakeGateway, account: str = "home") -> AccountState:
    found = [one for one in gateway.records if isinstance(one, AccountState) and one.account == account]
    return found[-1]


def _cold(configuration: Configure, **fields: object) -> FakeGateway:
    gateway = FakeGateway(beginning=Beginning(cold=True))
    gateway.connect()
    gateway.send(msgspec.structs.replace(configuration, boot_spread_s=30, **fields))
    return gateway


def test_after_a_power_cut_a_street_of_adapters_does_not_come_back_in_step(configuration):
    gateway = _cold(configuration)
    assert _state(gateway).status is Status.INITIALIZING
    due = [_state(gateway, name).next_attempt_ms for name in ("home", "other")]
    assert due[0] != due[1]
    assert all(gateway.now < at <= gateway.now + 30_000 for at in due)
    gateway.advance(30_000)
    assert [at for at, _ in gateway.registers] == sorted(due)
    assert _state(gateway).registered


def test_who_lifts_a_handset_after_a_power_cut_is_registered_at_once(configuration):
    gateway = _cold(configuration)
    gateway.lift(0)
    assert _state(gateway).registered
    assert not _state(gateway, "other").registered


def test_another_configuration_after_the_start_waits_for_nothing(configuration):
    gateway = _cold(configuration)
    account = msgspec.structs.replace(configuration.accounts[0], password="corrected")
    gateway.send(msgspec.structs.replace(configuration, revision="2", accounts=[account, configuration.accounts[1]]))
    assert _state(gateway).registered


@pytest.mark.parametrize("change", list(NetworkChange))
def test_when_the_network_is_back_the_registration_is_too(gateway, change):
    gateway.registrar = RegistrarMood.SILENT
    gateway.advance(3_600_000)
    assert _state(gateway).status is Status.ERROR_NETWORK
    gateway.advance(10_000)
    gateway.registrar = RegistrarMood.ACCEPTS
    gateway.send(NetworkNews(change=change))
    gateway.advance(5_000)
    assert _state(gateway).status is Status.UP


def test_lines_that_share_a_refused_credential_ask_once_in_twenty_minutes_and_take_turns(configuration):
    gateway = FakeGateway()
    gateway.registrar = RegistrarMood.REFUSES
    shared = [msgspec.structs.replace(one, auth_user="same", password="wrong") for one in configuration.accounts]
    gateway.connect()
    gateway.send(msgspec.structs.replace(configuration, accounts=shared))
    begun = len(gateway.registers)
    gateway.advance(REFUSED_DELAY_MS * 6)
    later = gateway.registers[begun:]
    assert 4 <= len(later) <= 6
    assert {name for _, name in later} == {"home", "other"}
    assert all(second - first >= REFUSED_DELAY_MS for (first, _), (second, _) in itertools.pairwise(later))


def test_a_registered_line_is_refreshed_while_the_other_ones_credential_rests(configuration):
    gateway = FakeGateway()
    shared = [msgspec.structs.replace(one, auth_user="same", password="same") for one in configuration.accounts]
    gateway.connect()
    gateway.send(msgspec.structs.replace(configuration, accounts=shared))
    gateway.refused = {"other"}
    gateway.advance(REFUSED_DELAY_MS)
    assert _state(gateway, "other").status is Status.ERROR_REGISTRATION
    assert _state(gateway).status is Status.UP


def test_other_targets_in_another_order_leave_a_registration_alone(gateway, configuration):
    first, second = configuration.accounts
    before = len(gateway.registers)
    turned = msgspec.structs.replace(first, targets=["192.0.2.9:5060;transport=udp", *first.targets])
    gateway.send(msgspec.structs.replace(configuration, revision="2", accounts=[turned, second]))
    gateway.advance(6_000)
    assert len(gateway.registers) == before
    assert (_state(gateway).registered, _state(gateway).target) == (True, 1)

    elsewhere = msgspec.structs.replace(first, targets=["192.0.2.9:5060;transport=udp"])
    gateway.send(msgspec.structs.replace(configuration, revision="3", accounts=[elsewhere, second]))
    gateway.advance(6_000)
    assert len(gateway.registers) == before + 1
    assert (_state(gateway).registered, _state(gateway).target) == (True, 0)


def test_other_targets_wait_for_a_call_that_is_being_set_up_but_not_for_one_that_goes_on(gateway, configuration):
    call_id = gateway.call_number("22334455")
    first, second = configuration.accounts
    turned = msgspec.structs.replace(first, targets=["192.0.2.9:5060;transport=udp", *first.targets])
    gateway.send(Decide(call_id=call_id, granted=True))
    gateway.send(msgspec.structs.replace(configuration, revision="2", accounts=[turned, second]))
    assert gateway.kept.revision == "1"
    gateway.peer_answers(call_id)
    assert gateway.kept.revision == "2"


# --- the ways to the targets -----------------------------------------------------------------------------------------


def _watched(gateway: FakeGateway, configuration: Configure, **fields: object) -> FakeGateway:
    gateway.send(msgspec.structs.replace(configuration, revision="watched", options_s=30, **fields))
    return gateway


def test_a_way_that_dies_is_left_for_another_port_and_each_death_counts_anew(gateway, configuration):
    _watched(gateway, configuration)
    for deaths in (1, 2):
        gateway.path_dead = False
        gateway.advance(60_000)
        assert _state(gateway).alive_ms is not None
        before = len(gateway.registers)
        gateway.path_dead = True
        gateway.advance(45_000)
        assert sorted(gateway.new_ports) == sorted(["home", "other"] * deaths)
        assert len(gateway.registers) >= before + 2
        assert (_state(gateway).target, _state(gateway).registered) == (0, True)


def test_where_another_port_does_not_help_another_target_has_its_turn(gateway, configuration):
    _watched(gateway, configuration)
    gateway.advance(60_000)
    gateway.path_dead = True
    gateway.registrar = RegistrarMood.SILENT
    while not gateway.new_ports or _state(gateway).target == 0:
        gateway.advance(1_000)
    gateway.registrar = RegistrarMood.ACCEPTS
    gateway.advance(10_000)
    assert (_state(gateway).target, _state(gateway).status) == (1, Status.UP)


def test_a_way_that_has_moved_is_registered_at_once_though_it_answers(gateway, configuration):
    gateway.seen_as = "192.0.2.9:4711"
    _watched(gateway, configuration)
    gateway.send(NetworkNews(change=NetworkChange.LINK_UP))
    gateway.advance(60_000)
    before = len(gateway.registers)
    gateway.seen_as = "192.0.2.9:4712"
    gateway.advance(32_000)
    assert sorted(account for _, account in gateway.registers[before:]) == ["home", "other"]
    assert (gateway.new_ports, gateway.moves) == ([], 0)


def test_a_way_that_never_said_where_it_saw_us_has_not_moved(gateway, configuration):
    _watched(gateway, configuration)
    gateway.advance(60_000)
    before = len(gateway.registers)
    gateway.seen_as = "192.0.2.9:4712"
    gateway.advance(32_000)
    assert len(gateway.registers) == before


def test_a_call_is_moved_along_to_another_public_address_once_for_all_accounts(gateway, configuration):
    gateway.seen_as = "192.0.2.9:4711"
    _watched(gateway, configuration)
    gateway.send(NetworkNews(change=NetworkChange.LINK_UP))
    call_id = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call_id, granted=True))
    gateway.peer_answers(call_id)
    gateway.advance(60_000)
    before = len(gateway.registers)
    gateway.seen_as = "192.0.2.10:4711"
    gateway.advance(32_000)
    assert sorted(account for _, account in gateway.registers[before:]) == ["home", "other"]
    assert gateway.moves == 1


def test_no_options_are_sent_unless_they_are_asked_for(gateway):
    gateway.advance(600_000)
    assert _state(gateway).alive_ms is None


def test_the_first_target_is_gone_back_to_when_it_answers_again(gateway, configuration):
    gateway.registrar = RegistrarMood.SILENT
    gateway.send(NetworkNews(change=NetworkChange.LINK_UP))
    while _state(gateway).target != 1:
        gateway.advance(1_000)
    gateway.registrar = RegistrarMood.ACCEPTS
    gateway.mute_targets = {("home", 0)}
    gateway.advance(20_000)
    assert (_state(gateway).registered, _state(gateway).target) == (True, 1)
    gateway.advance(900_000)
    assert _state(gateway).target == 1
    gateway.mute_targets.clear()
    gateway.advance(120_000)
    assert (_state(gateway).registered, _state(gateway).target) == (True, 0)


def test_another_address_of_our_own_is_moved_to(gateway):
    gateway.send(NetworkNews(change=NetworkChange.ADDRESS))
    assert gateway.moves == 1


def test_a_restart_does_not_ask_again_with_a_refused_credential(gateway):
    gateway.refused = {"home"}
    gateway.advance(300_000)
    refused_at = [at for at, name in gateway.registers if name == "home"][-1]
    for _ in range(5):
        gateway.crash()
        gateway.connect()
        gateway.advance(60_000)
    assert [at for at, name in gateway.registers if name == "home"][-1] == refused_at
    assert _state(gateway, "other").registered
    assert _state(gateway).next_attempt_ms >= refused_at + REFUSED_DELAY_MS
    gateway.refused = set()
    gateway.advance(REFUSED_DELAY_MS)
    assert _state(gateway).registered
    gateway.crash()
    gateway.connect()
    assert _state(gateway).registered


def test_a_registration_says_when_the_operator_last_reached_us(gateway):
    assert _state(gateway).request_ms is None
    gateway.advance(5_000)
    gateway.operator_asks("home")
    assert _state(gateway).request_ms == gateway.now
    gateway.operator_asks("nobody of ours")
    assert _state(gateway, "other").request_ms is None
