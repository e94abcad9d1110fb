"""112 goes through whatever is wrong with processes, operator, money or the household's own settings.

What is wrong with lines, slots and calls is listed in `tests/unit/gateway/test_switch_emergency.py`, which is quicker.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest

from agent.clock import wall
from agent.core.announcement import Announcement, Language
from agent.core.terms import CallKind, Cause, Tone
from agent.lab.scene import OWN_NUMBERS, SWEDEN_DIALLED

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WORLD = {"pause": lambda _crashes: 0.2}

TROUBLES: list[Callable[[Any], AbstractAsyncContextManager[None]]] = []
"""Whoever thinks of something else that can go wrong adds it here."""


def trouble(function: Callable[[Any], AsyncIterator[None]]) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    made = contextlib.asynccontextmanager(function)
    TROUBLES.append(made)
    return made


@contextlib.asynccontextmanager
async def subscribed(home, change: dict[str, object], back: dict[str, object], what: str, seen) -> AsyncIterator[None]:
    await home.world.order("/lab/subscription", change)
    await home.reload()
    await home.sees(what, seen)
    try:
        yield
    finally:
        await home.world.order("/lab/subscription", back)
        await home.reload()


async def as_soon_as_there_is_a_dial_tone(home) -> None:
    """Whoever hears none does not dial."""
    await home.lift_for_dial_tone(1)
    await home.hang_up(1)


def numbers(**given_up: str) -> list[dict[str, object]]:
    return [
        {"number": own, "registration": f"line{index + 1}", "lines": [index], **given_up}
        for index, own in enumerate(OWN_NUMBERS)
    ]


@trouble
async def no_agent(home):
    async with home.without_agent():
        yield


@trouble
async def an_agent_that_neither_reads_nor_answers(home):
    home.world.agent.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        home.world.agent.signal(signal.SIGCONT)


@trouble
async def a_configuration_that_cannot_be_used(home):
    async with home.misconfigured_agent():
        yield


@trouble
async def a_gateway_that_has_just_crashed(home):
    words = home.mark()
    home.world.gateway.signal(signal.SIGKILL)
    await home.hears("gateway", "process", words, what="ended with signal SIGKILL")
    await as_soon_as_there_is_a_dial_tone(home)
    yield


@trouble
async def a_card_that_has_just_restarted(home):
    await asyncio.to_thread(home.world.card.reset)
    await as_soon_as_there_is_a_dial_tone(home)
    yield


@trouble
async def a_cap_that_is_reached(home):
    reached = {"limits": {"month": "0"}}
    async with subscribed(home, reached, {"limits": {}}, "the cap", lambda status: status["money"].get("caps")):
        await home.lift_for_dial_tone(0)
        home.phone(0).dial(SWEDEN_DIALLED, 40, 40)
        await home.plays_tone(0, Tone.SPECIAL)
        await home.hang_up(0)
        yield


@trouble
async def an_inactive_subscription(home):
    def seen(status):
        return not status["subscription"]["active"]

    async with subscribed(home, {"active": False}, {"active": True}, "an inactive subscription", seen):
        yield


@trouble
async def an_ended_subscription(home):
    last_day = (wall() - timedelta(days=3)).date().isoformat()

    def seen(status):
        return status["subscription"]["ended"] and not any(one["registered"] for one in status["accounts"])

    change, back = {"numbers": numbers(last_day=last_day)}, {"numbers": numbers()}
    async with subscribed(home, change, back, "the subscription's end", seen):
        yield


@trouble
async def an_operator_that_refuses_the_device(home):
    await home.world.order("/lab/faults", {"blocked": True})
    await home.reload()
    try:
        yield
    finally:
        await home.world.order("/lab/faults", {})
        await home.reload()


@trouble
async def a_household_that_wants_no_calls_and_sends_them_elsewhere(home):
    for code in ("*26#", "*21*99887766#"):
        await home.lift_for_dial_tone(1) if code == "*26#" else home.phone(1).off_hook()
        home.phone(1).dial(code, 40, 40)
        await home.plays_tone(1, Tone.CONFIRM)
        await home.hang_up(1)
    # The gateway believes it when it is certain that it was no recall.
    await home.sees("the line at rest", lambda status: not any(line["off_hook"] for line in status["lines"]))
    try:
        yield
    finally:
        for code in ("#26#", "#21#"):
            home.phone(1).off_hook()
            home.phone(1).dial(code, 40, 40)
            await home.plays_tone(1, Tone.CONFIRM)
            await home.hang_up(1)


@trouble
async def a_neighbour_in_conversation(home):
    await home.call(0, SWEDEN_DIALLED)
    try:
        yield
    finally:
        await home.hang_up(0)


@pytest.mark.parametrize("wrong", TROUBLES, ids=lambda one: one.__name__)
async def test_112_goes_through_whatever_is_wrong(home, wrong) -> None:
    since = len(await home.received())
    async with wrong(home):
        # Nobody waits for a dial tone.
        home.phone(1).off_hook()
        home.phone(1).pause(300)
        home.phone(1).dial("112", 60, 60)
        await home.speech(1)
        await home.hang_up(1)
    record = await home.record(since, number="112", line=1, kind=CallKind.EMERGENCY)
    assert (record.cause, record.price, record.unpriced) == (Cause.NORMAL, None, "")
    assert record.duration_ms > 0


async def test_who_has_called_for_help_is_called_back_although_he_wants_no_calls(home) -> None:
    async with a_household_that_wants_no_calls_and_sends_them_elsewhere(home):
        await home.kari_calls(OWN_NUMBERS[1])
        await home.phone_shows(1, "ringing", lambda: home.phone(1).ringing)
        home.phone(1).off_hook()
        await home.speech(1)
        await home.hang_up(1)


async def test_a_telephone_that_reaches_only_112_says_so(home) -> None:
    def seen(status):
        return not status["subscription"]["active"]

    async with subscribed(home, {"active": False}, {"active": True}, "an inactive subscription", seen):
        with home.listening(0) as heard:
            home.phone(0).off_hook()
            await home.plays_tone(0, Tone.SPECIAL)
        await home.hang_up(0)
        assert await home.announcements(heard) == [(Language.NB, Announcement.EMERGENCY_ONLY)]
