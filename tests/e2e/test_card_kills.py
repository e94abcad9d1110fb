"""`kill -9` of the line card in mid-call, here the reference device in C; the telephone comes back by itself."""

from __future__ import annotations

import asyncio

import pytest

from agent.core.terms import Cause, Party, Tone
from agent.lab.scene import OWN_NUMBERS, SWEDEN_DIALLED
from firmware_bridge.simulator import Mischief

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

CARDS = ("c",)


async def test_a_card_that_dies_in_a_call_ends_it_and_serves_the_next(home) -> None:
    since, words = len(await home.received()), home.mark()
    await home.call(0, SWEDEN_DIALLED)
    await asyncio.to_thread(home.world.card.kill)
    await home.sees("the card gone", lambda status: not status["card"]["up"])
    await home.hears("subscribers", "bye", words)
    cdr = await home.record(since, line=0, cause=Cause.CARD_LOST, released_by=Party.SYSTEM)
    answered, ended = home.heard("subscribers", "answered", words)[1], home.heard("subscribers", "bye", words)[1]
    assert abs(cdr.duration_ms - (ended["at_ms"] - answered["at_ms"])) < 300
    assert cdr.price.billed_s == -(-cdr.duration_ms // 1000)
    await asyncio.to_thread(home.world.card.start)
    await home.sees("the card back", lambda status: status["card"]["up"])
    # The handset lay beside the telephone all the while.
    assert home.phone(0).is_off_hook
    await home.hang_up(0)
    await home.call(0, SWEDEN_DIALLED)
    await home.hang_up(0)
    await home.record(since, line=0, cause=Cause.NORMAL)
    await home.all_acknowledged()


async def test_a_call_that_comes_while_the_card_starts_rings_as_soon_as_it_is_there(home) -> None:
    await asyncio.to_thread(home.world.card.kill)
    await home.sees("the card gone", lambda status: not status["card"]["up"])
    await home.kari_calls(OWN_NUMBERS[1])
    await asyncio.to_thread(home.world.card.start)
    await home.phone_shows(1, "ringing", lambda: home.phone(1).ringing)
    await home.world.subscribers.tell({"hangup": "all"})
    await home.phone_shows(1, "silence", lambda: not home.phone(1).ringing)


async def test_a_card_that_restarts_while_it_rings_is_silent_when_the_caller_gives_up(home) -> None:
    await home.kari_calls(OWN_NUMBERS[1])
    await home.phone_shows(1, "ringing", lambda: home.phone(1).ringing)
    await asyncio.to_thread(home.world.card.reset)
    await home.sees("the card up", lambda status: status["card"]["up"])
    await home.world.subscribers.tell({"hangup": "all"})
    await home.phone_shows(1, "silence", lambda: not home.phone(1).ringing)
    await home.lift_for_dial_tone(1)


async def test_a_call_goes_through_on_a_wire_that_loses_repeats_and_damages(home) -> None:
    since = len(await home.received())
    wrong = Mischief(loss=0.01, repeat=0.01, cut=0.005, flip=0.0001, noise=0.01, delay_ms=1, jitter_ms=5)
    home.world.card.unkind(wrong, 5)
    try:
        await home.lift_for_dial_tone(0)
        home.phone(0).dial(SWEDEN_DIALLED, 60, 60)
        await home.phone_shows(0, "answer", lambda: home.phone(0).audio_open)
        await home.echo(0)
        assert not home.phone(0).ringing
        assert not home.plays(0, Tone.CONGESTION)
    finally:
        home.world.card.unkind(None)
    await home.hang_up(0)
    cdr = await home.record(since, line=0)
    assert cdr.number == "+4681234567"
    assert cdr.duration_ms > 300
    await home.all_acknowledged()
