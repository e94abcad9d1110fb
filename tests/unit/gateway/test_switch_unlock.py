"""A technician's code on a handset: asked of the agent, heard by the technician, seen by nobody else."""

from __future__ import annotations

import pytest

from agent.core.announcement import Announcement
from agent.core.dialplan import Outcome, compile_plan, unlock_code
from agent.core.terms import Tone
from agent.gateway.protocol import (
    UNLOCK_PATIENCE_MS,
    Log,
    Unlock,
    Unlocked,
    decode_agent_record,
    decode_gateway_record,
    encode,
)


def asked(gateway) -> list[Unlock]:
    return [record for record in gateway.records if isinstance(record, Unlock)]


@pytest.mark.parametrize(
    ("digits", "code"),
    [("*99*123456", "123456"), ("*99*123456#", "123456"), ("*99*12345#", ""), ("*99*1234567", ""), ("99123456", "")],
)
def test_what_a_code_is(digits, code):
    assert unlock_code(digits) == code
    if code:
        assert compile_plan([], ["112"]).match(digits).outcome is Outcome.SERVICE_CODE


@pytest.mark.parametrize(
    ("accepted", "said", "tone"),
    [(True, Announcement.CODE_ACCEPTED, Tone.CONFIRM), (False, Announcement.CODE_REFUSED, Tone.SPECIAL)],
)
@pytest.mark.parametrize("dialled", ["*99*123456", "*99*123456#"])
def test_the_agent_is_asked_once_and_the_handset_hears_its_answer(make_gateway, dialled, accepted, said, tone):
    gateway = make_gateway(recordings=True)
    gateway.lift(0)
    gateway.dial(dialled, 0)
    assert [(one.line, one.code) for one in asked(gateway)] == [(0, "123456")]
    assert (gateway.phones[0].tone, gateway.phones[0].told) == (None, [])

    gateway.send(Unlocked(line=0, accepted=accepted))
    assert gateway.phones[0].announcement is said
    gateway.announcement_over()
    assert gateway.phones[0].tone is tone
    assert (gateway.calls(), gateway.legs) == ([], [])


def test_an_agent_that_says_nothing_is_not_waited_for_and_its_late_word_is_nothing(gateway):
    gateway.lift(0)
    gateway.dial("*99*123456", 0, gap_ms=0)
    gateway.advance(UNLOCK_PATIENCE_MS)
    assert (gateway.phones[0].told, gateway.phones[0].tone) == ([Announcement.UNAVAILABLE], Tone.CONGESTION)
    gateway.send(Unlocked(line=0, accepted=True))
    assert gateway.phones[0].tone is Tone.CONGESTION


def test_without_an_agent_nobody_is_asked(make_gateway):
    gateway = make_gateway(agent=False)
    gateway.lift(0)
    gateway.dial("*99*123456", 0)
    assert asked(gateway) == []
    assert gateway.phones[0].told == [Announcement.UNAVAILABLE]


def test_whoever_hangs_up_and_calls_somebody_hears_nothing_of_it(gateway):
    gateway.lift(0)
    gateway.dial("*99*123456", 0)
    gateway.hang_up(0)
    call_id = gateway.call_number("22334455", 0)
    gateway.send(Unlocked(line=0, accepted=True))
    assert gateway.call(call_id).cause is None
    assert gateway.phones[0].told == []


def test_each_line_has_its_own_answer(gateway):
    for line in (0, 1):
        gateway.lift(line)
        gateway.dial(f"*99*00000{line}", line, gap_ms=0)
    gateway.send(Unlocked(line=1, accepted=True))
    assert [phone.told for phone in gateway.phones] == [[], [Announcement.CODE_ACCEPTED]]
    gateway.send(Unlocked(line=7, accepted=True))
    gateway.send(Unlocked(line=0, accepted=False))
    assert gateway.phones[0].told == [Announcement.CODE_REFUSED]


def test_112_behind_a_refused_code_goes_through(gateway):
    gateway.lift(0)
    gateway.dial("*99*123456", 0)
    gateway.send(Unlocked(line=0, accepted=False))
    gateway.advance(2_500)
    gateway.dial("112", 0)
    assert gateway.legs[-1].emergency


def test_the_code_is_in_no_log_and_in_no_printed_record(gateway):
    gateway.lift(0)
    gateway.dial("*99*271828", 0)
    [record] = asked(gateway)
    assert "271828" not in f"{record!r} {record}"
    told = [one for one in gateway.records if isinstance(one, Log)]
    assert any(one.event == "technician_code_dialled" for one in told)
    assert not any("271828" in encode(one).decode() for one in gateway.records if not isinstance(one, Unlock))


def test_both_records_cross_the_socket():
    unlock, answer = Unlock(line=1, code="012345", at_ms=5), Unlocked(line=1, accepted=True)
    assert decode_gateway_record(encode(unlock)) == unlock
    assert decode_agent_record(encode(answer)) == answer
