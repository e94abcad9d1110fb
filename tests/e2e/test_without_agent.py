"""The telephone without its business half: 112, incoming calls and hanging up go on, and no record is lost."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import AsyncIterator

import pytest

from agent.core.terms import CallKind, Cause, Direction, Tone
from agent.lab.scene import OWN_NUMBERS, SWEDEN_DIALLED
from agent.store.folder import DATABASE

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WORLD = {"pause": lambda _crashes: 0.2}


@contextlib.asynccontextmanager
async def stopped(home) -> AsyncIterator[None]:
    """It neither reads nor answers, and the gateway can't know."""
    home.world.agent.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        home.world.agent.signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def gone(home) -> AsyncIterator[None]:
    """It was killed, and nobody starts it."""
    async with home.without_agent():
        yield


@contextlib.asynccontextmanager
async def misconfigured(home) -> AsyncIterator[None]:
    """Its configuration is broken."""
    async with home.misconfigured_agent():
        yield


@pytest.mark.parametrize("away", [stopped, gone, misconfigured])
async def test_the_telephone_works_without_its_agent(home, away) -> None:
    since, words = len(await home.received()), home.mark()
    async with away(home):
        # An ordinary call may not start: nobody could charge for it.
        await home.lift_for_dial_tone(0)
        home.phone(0).dial(SWEDEN_DIALLED, 40, 40)
        await home.plays_tone(0, Tone.CONGESTION)
        await home.hang_up(0)
        assert home.heard("operator", "invite", words) is None
        # 112 from one telephone while the other is called.
        await home.lift_for_dial_tone(0)
        home.phone(0).dial("112", 40, 40)
        await home.kari_calls(OWN_NUMBERS[1])
        await home.phone_shows(1, "ringing", lambda: home.phone(1).ringing)
        home.phone(1).off_hook()
        await asyncio.gather(home.speech(0), home.speech(1))
        assert home.heard("operator", "invite", words, callee="emergency")[1]["emergency"] is True
        ended = home.mark()
        await asyncio.gather(home.hang_up(0), home.hang_up(1))
        await home.hears("operator", "bye", ended, by_caller=True)
        await home.hears("operator", "bye", ended, by_caller=False)
        assert len(await home.received()) == since
    refused, emergency, incoming = await asyncio.gather(
        home.record(since, line=0, kind=CallKind.ORDINARY),
        home.record(since, line=0, kind=CallKind.EMERGENCY),
        home.record(since, direction=Direction.INCOMING),
    )
    assert (refused.cause, refused.duration_ms, refused.price) == (Cause.AGENT_UNAVAILABLE, 0, None)
    assert (emergency.cause, emergency.number, emergency.price) == (Cause.NORMAL, "112", None)
    assert (incoming.cause, incoming.price) == (Cause.NORMAL, None)
    assert emergency.duration_ms > 500
    assert incoming.duration_ms > 500
    await home.all_acknowledged()
    await home.ready()


async def test_a_gateway_that_starts_alone_reaches_112(home) -> None:
    since, words = len(await home.received()), home.mark()
    async with gone(home):
        restarted = home.mark()
        home.world.gateway.signal(signal.SIGKILL)
        await asyncio.gather(
            home.hears("operator", "registered", restarted, user="line1"),
            home.hears("operator", "registered", restarted, user="line2"),
        )
        await home.lift_for_dial_tone(1)
        home.phone(1).dial("113", 40, 40)
        await home.speech(1)
        assert home.heard("operator", "invite", words, callee="emergency", caller="line2") is not None
        await home.hang_up(1)
    cdr = await home.record(since, line=1)
    assert (cdr.kind, cdr.number, cdr.price, cdr.recovered) == (CallKind.EMERGENCY, "113", None, False)
    await home.all_acknowledged()


async def test_a_hanging_disk_delays_no_emergency_call(home) -> None:
    since, words = len(await home.received()), home.mark()
    with contextlib.closing(sqlite3.connect(home.world.scene.agent_folder / DATABASE, isolation_level=None)) as disk:
        disk.execute("BEGIN EXCLUSIVE")
        await asyncio.gather(home.lift_for_dial_tone(0), home.lift_for_dial_tone(1))
        home.phone(0).dial(SWEDEN_DIALLED, 40, 40)
        await asyncio.to_thread(home.phone(0).wait_script, 5)
        # The agent now waits for a commit that does not come.
        home.phone(1).dial("112", 40, 40)
        _, invite = await home.hears("subscribers", "invite", words, user="emergency")
        pressed = [entry for entry in home.world.card.transcript if entry.line == 1 and entry.what == "digit 2"]
        assert 0 <= invite["at_ms"] - pressed[-1].at_ms < 500
        await home.speech(1)
        await home.plays_tone(0, Tone.CONGESTION)
        assert home.heard("subscribers", "invite", words, user="stockholm") is None
        await asyncio.gather(home.hang_up(0), home.hang_up(1))
        await home.sees("that the store does not work", lambda status: not status["store"]["working"])
        assert len(await home.received()) == since
        disk.execute("ROLLBACK")
    refused, emergency = await asyncio.gather(
        home.record(since, 30, line=0), home.record(since, 30, kind=CallKind.EMERGENCY)
    )
    assert (refused.cause, refused.price) == (Cause.AGENT_UNAVAILABLE, None)
    assert emergency.duration_ms > 500
    await home.all_acknowledged()
    await home.sees("a working store", lambda status: status["store"]["working"])
