"""A customer who has given up every number: the adapter leaves the registrar, bars all calls, and still reaches 112."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agent.clock import wall
from agent.core.terms import CallKind, Cause, Tone
from agent.lab.scene import OWN_NUMBERS, SWEDEN_DIALLED

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


def numbers(**given_up: str) -> list[dict[str, object]]:
    return [
        {"number": own, "registration": f"line{index + 1}", "lines": [index], **given_up}
        for index, own in enumerate(OWN_NUMBERS)
    ]


async def test_an_ended_subscription_deregisters_and_bars_all_but_emergency(home) -> None:
    since = len(await home.received())
    last_day = (wall() - timedelta(days=3)).date().isoformat()
    await home.world.order("/lab/subscription", {"numbers": numbers(last_day=last_day)})
    await home.reload()
    status = await home.sees("its end", lambda status: status["subscription"]["ended"])
    assert status["subscription"]["last_day"] == last_day
    assert [problem["key"] for problem in status["problems"]] == ["problem.subscription_ended"]
    await home.sees("no registration", lambda status: not any(one["registered"] for one in status["accounts"]))

    # No dial tone promises a call: what is lifted hears that only emergency numbers work.
    home.phone(0).off_hook()
    await home.plays_tone(0, Tone.SPECIAL)
    home.phone(0).dial(SWEDEN_DIALLED, 40, 40)
    await home.phone_shows(0, "the end of the special tone", lambda: not home.plays(0, Tone.SPECIAL))
    await home.plays_tone(0, Tone.SPECIAL)
    await home.hang_up(0)
    refused = await home.record(since, line=0)
    assert (refused.cause, refused.refusal) == (Cause.REFUSED, "subscription_ended")

    home.phone(0).off_hook()
    home.phone(0).pause(300)
    home.phone(0).dial("112", 60, 60)
    await home.speech(0)
    await home.hang_up(0)
    emergency = await home.record(since, line=0, kind=CallKind.EMERGENCY)
    assert (emergency.price, emergency.unpriced) == (None, "")
    assert emergency.duration_ms > 0

    await home.world.order("/lab/subscription", {"numbers": numbers()})
    await home.reload()
    await home.ready()
