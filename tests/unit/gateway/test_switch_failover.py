"""Ordinary calls whose target fails go on by the next one: one call, one record, and never past somebody's decision."""

from __future__ import annotations

import msgspec
import pytest

from agent.core.quality import Figures
from agent.core.redirect import MAX_HOPS, Elsewhere
from agent.core.registration import CALM_MS, HURRY_MS
from agent.core.terms import CallPhase, Cause, Party, Tone
from agent.gateway.fake import RegistrarMood
from agent.gateway.protocol import CallState, Decide, Log

DIALLED = "+4722334455"


@pytest.fixture
def call(gateway):
    """A granted call whose INVITE has left for the first of two targets."""
    call_id = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call_id, granted=True))
    return call_id


def ways(gateway):
    """The targets that were tried, with what was dialled there."""
    return [(leg.target, leg.user) for leg in gateway.legs]


def ended(gateway, call_id):
    state = gateway.call(call_id)
    return state.phase, state.cause, state.released_by, state.sip_code


@pytest.mark.parametrize("code", [500, 501, 502, 503, 504, 580])
def test_a_target_that_fails_is_left_for_the_next_one(gateway, call, code):
    gateway.peer_refuses(call, code)

    assert ways(gateway) == [(0, DIALLED), (1, DIALLED)]
    assert gateway.phones[0].tone is None
    gateway.peer_answers(call)
    assert gateway.call(call).phase is CallPhase.ANSWERED
    gateway.hang_up()
    assert ended(gateway, call) == (CallPhase.ENDED, Cause.NORMAL, Party.LOCAL, 200)
    records = {record.call_id for record in gateway.records if isinstance(record, CallState)}
    assert records == {call}, "one record, one id"


def test_a_silent_target_is_left_for_the_next_one(gateway, call):
    gateway.peer_is_silent(call)
    assert ways(gateway) == [(0, DIALLED), (1, DIALLED)]


def test_a_target_that_answers_no_invite_is_asked_at_once_whether_it_takes_registers(gateway, call):
    before = len(gateway.registers)
    gateway.peer_is_silent(call)
    gateway.registrar = RegistrarMood.SILENT
    gateway.advance(CALM_MS + HURRY_MS)
    assert [account for _, account in gateway.registers[before:]][:1] == ["home"]
    assert [log.event for log in gateway.records if isinstance(log, Log)].count("target_silent") == 1


def test_a_target_that_refuses_an_invite_lives_and_its_registration_stays(gateway, call):
    before = len(gateway.registers)
    gateway.peer_refuses(call, 503)
    gateway.advance(CALM_MS + HURRY_MS)
    assert len(gateway.registers) == before


def test_a_silent_target_that_is_not_the_registrations_says_nothing_of_it(gateway, call):
    gateway.peer_refuses(call, 503)
    before = len(gateway.registers)
    gateway.peer_is_silent(call)
    gateway.advance(CALM_MS + HURRY_MS)
    assert len(gateway.registers) == before


def test_a_target_that_says_trying_and_no_more_is_left_after_twenty_seconds(gateway, call):
    gateway.peer_tries(call)
    gateway.advance(19_999)
    assert len(gateway.legs) == 1
    gateway.advance(1)
    assert ways(gateway) == [(0, DIALLED), (1, DIALLED)]


def test_when_all_targets_have_failed_the_last_one_tells_why(gateway, call):
    gateway.peer_is_silent(call)
    gateway.peer_refuses(call, 503)

    assert ended(gateway, call) == (CallPhase.ENDED, Cause.NETWORK_FAILURE, Party.SYSTEM, 503)
    assert len(gateway.legs) == 2
    assert gateway.phones[0].tone is Tone.CONGESTION


@pytest.mark.parametrize("code", [403, 404, 408, 480, 484, 486, 487, 600, 603])
def test_what_somebody_has_decided_is_not_tried_elsewhere(gateway, call, code):
    gateway.peer_refuses(call, code)
    assert len(gateway.legs) == 1
    assert ended(gateway, call)[0] is CallPhase.ENDED


@pytest.mark.parametrize("code", [180, 181, 182, 183])
@pytest.mark.parametrize("failure", [503, None])
def test_a_call_that_has_got_somewhere_is_not_tried_elsewhere(gateway, call, code, failure):
    gateway.peer_progresses(call, code)
    gateway.peer_refuses(call, failure) if failure else gateway.peer_is_silent(call)
    assert len(gateway.legs) == 1
    assert ended(gateway, call)[1] is Cause.NETWORK_FAILURE


def test_a_grant_that_runs_out_on_the_way_ends_the_call(gateway):
    call_id = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call_id, granted=True, until_ms=gateway.now + 5_000))
    gateway.advance(4_900)
    assert ended(gateway, call_id)[1] is Cause.LIMIT_REACHED
    assert len(gateway.legs) == 1


# --- redirections ----------------------------------------------------------------------------------------------------


def test_the_same_number_at_another_target_of_the_account_is_followed(gateway, call):
    gateway.peer_refuses(call, 302, Elsewhere("22334455", "192.0.2.2", 5060))

    assert ways(gateway) == [(0, DIALLED), (1, DIALLED)]
    gateway.peer_answers(call)
    assert gateway.call(call).phase is CallPhase.ANSWERED


@pytest.mark.parametrize("kind", [300, 301, 302, 305, 380])
@pytest.mark.parametrize(
    "contact",
    [
        Elsewhere("+4782000000", "192.0.2.2", 5060),
        Elsewhere("+4782000000", "example.net"),
        Elsewhere(DIALLED, "198.51.100.7"),
        Elsewhere(DIALLED, "192.0.2.1", 5060),
        Elsewhere(DIALLED, "192.0.2.3", 5060),
    ],
)
def test_any_other_redirection_ends_the_call_with_a_cause_of_its_own(gateway, call, kind, contact):
    gateway.peer_refuses(call, kind, contact)

    assert ended(gateway, call) == (CallPhase.ENDED, Cause.REDIRECTED, Party.REMOTE, kind)
    assert ways(gateway) == [(0, DIALLED)]
    assert gateway.phones[0].tone is Tone.CONGESTION


def test_two_targets_that_send_the_call_to_each_other_end_it(gateway, call):
    for _ in range(2):
        gateway.peer_refuses(call, 302, Elsewhere(DIALLED, "192.0.2.1"), Elsewhere(DIALLED, "192.0.2.2"))

    assert ended(gateway, call)[1] is Cause.REDIRECTED
    assert ways(gateway) == [(0, DIALLED), (1, DIALLED)]


def test_a_call_is_redirected_five_times_at_most(gateway, configuration):
    home = msgspec.structs.replace(configuration.accounts[0], targets=[f"192.0.2.{at}:5060" for at in range(1, 9)])
    gateway.send(msgspec.structs.replace(configuration, revision="2", accounts=[home]))
    call_id = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call_id, granted=True))
    for _ in range(MAX_HOPS + 1):
        gateway.peer_refuses(call_id, 302, Elsewhere(DIALLED, "example.net"))

    assert ended(gateway, call_id)[1] is Cause.REDIRECTED
    assert [target for target, _ in ways(gateway)] == list(range(MAX_HOPS + 1))


def test_a_redirected_emergency_call_goes_on_to_its_next_way_whatever_the_contact(gateway):
    call_id = gateway.call_number("112")
    gateway.advance(1_000)
    gateway.peer_refuses(call_id, 302, Elsewhere("+4782000000", "198.51.100.7"))

    assert [leg.user for leg in gateway.legs] == ["112", "112"]
    assert gateway.call(call_id).cause is None


# --- ends of their own -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "cause"), [(408, Cause.SESSION_EXPIRED), (500, Cause.NETWORK_FAILURE)])
def test_a_conversation_that_the_library_ends_has_its_cause(gateway, call, code, cause):
    gateway.peer_answers(call)
    gateway.library_ends(call, code)
    assert ended(gateway, call)[1:3] == (cause, Party.SYSTEM)
    assert gateway.phones[0].tone is Tone.CONGESTION


@pytest.mark.parametrize(("timeout_s", "cause"), [(30, Cause.MEDIA_LOST), (60, None), (0, None)])
def test_a_far_end_that_is_not_heard_any_more_ends_the_call(gateway, configuration, timeout_s, cause):
    gateway.send(msgspec.structs.replace(configuration, revision="2", rtp_timeout_s=timeout_s))
    call_id = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call_id, granted=True))
    gateway.peer_answers(call_id)
    for silent_ms in (0, 29_000, 30_000, 31_000):
        gateway.sounds(call_id, Figures(), silent_ms=silent_ms)
    assert gateway.call(call_id).cause is cause
    if cause is not None:
        assert ended(gateway, call_id)[2] is Party.SYSTEM
        assert gateway.phones[0].tone is Tone.CONGESTION
        assert [log.event for log in gateway.records if isinstance(log, Log)].count("media_lost") == 1


def test_an_emergency_call_is_not_ended_because_nothing_is_heard(gateway):
    call_id = gateway.call_number("112")
    gateway.advance(1_000)
    gateway.peer_answers(call_id)
    gateway.sounds(call_id, Figures(), silent_ms=120_000)
    assert gateway.call(call_id).phase is CallPhase.ANSWERED


def test_whom_a_diverted_caller_called_first_is_in_the_record(gateway):
    call_id = gateway.incoming("+4722000001", diverted_from="22000009")
    assert gateway.call(call_id).diverted_from == "+4722000009"
    assert gateway.call(gateway.incoming("+4722000002")).diverted_from == ""


def test_a_redirection_to_a_tls_server_is_followed_by_the_name_that_its_target_has(gateway, configuration):
    secure = msgspec.structs.replace(
        configuration.accounts[0],
        targets=["one.example.net@192.0.2.1:5061;transport=tls", "two.example.net@192.0.2.2:5061;transport=tls"],
    )
    gateway.send(msgspec.structs.replace(configuration, revision="2", accounts=[secure, *configuration.accounts[1:]]))
    call_id = gateway.call_number("22334455")
    gateway.send(Decide(call_id=call_id, granted=True))
    gateway.peer_refuses(call_id, 302, Elsewhere(DIALLED, "two.example.net", 5061))
    assert ways(gateway) == [(0, DIALLED), (1, DIALLED)]
