"""Accounts that never register: a subscription that has ended still carries emergency calls."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.terms import CallPhase, Cause, Tone
from agent.gateway.fake import FakeGateway
from agent.gateway.protocol import AccountState, Configure, Decide


@pytest.fixture
def ended(configuration: Configure) -> Configure:
    accounts = [msgspec.structs.replace(account, register=False) for account in configuration.accounts]
    return msgspec.structs.replace(configuration, revision="2", accounts=accounts, routes=[])


def registered(gateway: FakeGateway) -> dict[str, bool]:
    states = [record for record in gateway.records if isinstance(record, AccountState)]
    return {state.account: state.registered for state in states}


def test_the_accounts_of_an_ended_subscription_leave_the_registrar_and_stay_away(gateway, ended):
    assert registered(gateway) == {"home": True, "other": True}
    gateway.send(ended)
    assert registered(gateway) == {"home": False, "other": False}
    gateway.advance(4 * 3_600_000)
    assert registered(gateway) == {"home": False, "other": False}


def test_112_goes_out_through_an_account_that_never_registers(ended):
    gateway = FakeGateway()
    gateway.connect()
    gateway.send(ended)
    emergency = gateway.call_number("112", 0)
    assert gateway.call(emergency).invited_ms == gateway.call(emergency).asked_ms
    assert not gateway.leg(emergency).over


def test_another_call_is_still_asked_for_so_that_the_caller_hears_why_not(gateway, ended):
    gateway.send(ended)
    call_id = gateway.call_number("22334455", 0)
    assert gateway.call(call_id).phase is CallPhase.ASKED
    gateway.send(Decide(call_id=call_id, granted=False, refusal="subscription_ended", tone=Tone.SPECIAL))
    assert (gateway.call(call_id).cause, gateway.call(call_id).refusal) == (Cause.REFUSED, "subscription_ended")
    assert gateway.phones[0].tone is Tone.SPECIAL


def test_a_call_in_progress_keeps_its_account_until_it_ends(gateway, ended):
    call_id = gateway.call_number("22334455", 0)
    gateway.send(Decide(call_id=call_id, granted=True))
    gateway.peer_answers(call_id)
    gateway.send(ended)
    assert registered(gateway)["home"]
    gateway.peer_hangs_up(call_id)
    assert registered(gateway) == {"home": False, "other": False}


def test_a_subscription_that_comes_back_registers_again(gateway, configuration, ended):
    gateway.send(ended)
    gateway.send(configuration)
    assert registered(gateway) == {"home": True, "other": True}
