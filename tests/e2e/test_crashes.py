"""`kill -9` in the middle of calls: the telephone comes back, and every call is recorded once with its true length."""

from __future__ import annotations

import asyncio
import signal

import pytest

from agent.core.terms import Cause, Direction, Party, Tone
from agent.lab.scene import OWN_NUMBERS, SWEDEN_DIALLED

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


async def both_lines_register_again(home, since: int) -> int:
    """Boot time at which the operator has both lines again."""
    first, second = await asyncio.gather(
        home.hears("operator", "registered", since, 10, user="line1"),
        home.hears("operator", "registered", since, 10, user="line2"),
    )
    return max(first[0], second[0])


async def test_a_killed_gateway_is_back_within_seconds_and_its_call_is_recorded(home) -> None:
    since, words = len(await home.received()), home.mark()
    await home.call(0, SWEDEN_DIALLED)
    answered = home.heard("subscribers", "answered", words)[1]["at_ms"]
    killed = home.mark()
    home.world.gateway.signal(signal.SIGKILL)
    died, _ = await home.hears("gateway", "process", killed, what="ended with signal SIGKILL")
    registered = await both_lines_register_again(home, killed)
    assert registered - died < 15_000, "at once: no back-off, only what a start and a busy machine take"
    cdr = await home.record(since, line=0)
    assert (cdr.cause, cdr.released_by, cdr.recovered) == (Cause.GATEWAY_LOST, Party.SYSTEM, True)
    assert abs(cdr.duration_ms - (died - answered)) < 1_000
    assert cdr.price.billed_s == -(-cdr.duration_ms // 1000)
    # The handset is still off the hook when the gateway is back: whoever replaces it can call again.
    await home.ready()
    await home.hang_up(0)
    await home.call(0, SWEDEN_DIALLED)
    await home.hang_up(0)
    second = await home.record(since, line=0, cause=Cause.NORMAL)
    assert second.id != cdr.id
    await home.all_acknowledged()


async def test_who_calls_for_help_when_the_gateway_dies_is_called_back_although_he_wants_no_calls(home) -> None:
    await home.lift_for_dial_tone(1)
    home.phone(1).dial("*26#", 40, 40)
    await home.plays_tone(1, Tone.CONFIRM)
    await home.hang_up(1)
    await home.lift_for_dial_tone(1)
    home.phone(1).dial("112", 40, 40)
    await home.speech(1)
    killed = home.mark()
    home.world.gateway.signal(signal.SIGKILL)
    await both_lines_register_again(home, killed)
    await home.ready()
    await home.sees("the handset that is still lifted", lambda status: status["lines"][1]["off_hook"])
    await home.hang_up(1)
    await home.sees("it replaced", lambda status: not status["lines"][1]["off_hook"])
    await home.kari_calls(OWN_NUMBERS[1])
    await home.phone_shows(1, "ringing", lambda: home.phone(1).ringing)
    home.phone(1).off_hook()
    await home.speech(1)
    await home.hang_up(1)
    await home.lift_for_dial_tone(1)
    home.phone(1).dial("#26#", 40, 40)
    await home.plays_tone(1, Tone.CONFIRM)
    await home.hang_up(1)
    await home.all_acknowledged()


async def test_a_killed_agent_does_not_interrupt_the_conversation(home) -> None:
    since, words = len(await home.received()), home.mark()
    await home.call(0, SWEDEN_DIALLED)
    first = home.world.agent.pid
    home.world.agent.signal(signal.SIGKILL)
    await home.agent_ends(words, "signal SIGKILL")
    await home.still_speaks(0)
    await home.ready()
    assert home.world.agent.pid != first
    status = await home.sees("the call that goes on", lambda status: status["calls"])
    assert status["calls"][0]["phase"] == "answered"
    await home.still_speaks(0)
    await home.hang_up(0)
    cdr = await home.record(since, line=0)
    assert (cdr.cause, cdr.recovered) == (Cause.NORMAL, False)
    assert home.lasted(cdr, words)
    assert cdr.price.billed_s == -(-cdr.duration_ms // 1000)
    assert cdr.price.amount_micro > 0
    await home.all_acknowledged()


async def test_a_call_that_ends_while_the_agent_is_away_is_recorded_when_it_is_back(home) -> None:
    since, words = len(await home.received()), home.mark()
    await home.call(1, SWEDEN_DIALLED)
    home.world.agent.hold()
    home.world.agent.signal(signal.SIGKILL)
    await home.agent_ends(words, "signal SIGKILL")
    await home.hang_up(1)
    await home.hears("subscribers", "bye", words)
    home.world.agent.let_go()
    cdr = await home.record(since, line=1)
    assert (cdr.cause, cdr.released_by, cdr.recovered) == (Cause.NORMAL, Party.LOCAL, False)
    assert home.lasted(cdr, words)
    await home.all_acknowledged()


async def test_both_killed_at_once_leave_a_record_that_says_so(home) -> None:
    since, words = len(await home.received()), home.mark()
    await home.call(0, SWEDEN_DIALLED)
    await home.kari_calls(OWN_NUMBERS[1])
    await home.phone_shows(1, "ringing", lambda: home.phone(1).ringing)
    home.phone(1).off_hook()
    await home.sees("two calls", lambda status: [call["phase"] for call in status["calls"]] == ["answered"] * 2)
    answered = home.heard("subscribers", "answered", words)[1]["at_ms"]
    killed = home.mark()
    home.world.agent.signal(signal.SIGKILL)
    home.world.gateway.signal(signal.SIGKILL)
    died, _ = await home.hears("gateway", "process", killed, what="ended with signal SIGKILL")
    outgoing, incoming = await asyncio.gather(
        home.record(since, direction=Direction.OUTGOING), home.record(since, direction=Direction.INCOMING)
    )
    assert outgoing.recovered
    assert incoming.recovered
    assert (outgoing.cause, incoming.cause) == (Cause.GATEWAY_LOST, Cause.GATEWAY_LOST)
    # The truth is not known: never more than it, and no more than a heartbeat less.
    assert outgoing.duration_ms <= died - answered
    assert died - answered - outgoing.duration_ms <= 11_000
    await home.all_acknowledged()
