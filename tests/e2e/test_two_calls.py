"""More than one call on a line, and calls that go elsewhere: each costs what it costs, and has a record."""

from __future__ import annotations

import pytest

from agent.core.terms import Cause, Direction, Tone
from agent.lab.scene import KARI, OWN_NUMBERS, SWEDEN, SWEDEN_DIALLED

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

KARI_DIALLED = KARI.removeprefix("+47")


async def _press_r(home, line: int, digits: str = "") -> None:
    home.phone(line).flash()
    await home.plays_tone(line, Tone.RECALL)
    if digits:
        home.phone(line).dial(digits, 40, 40)


async def test_two_calls_on_one_line_are_priced_by_themselves_also_the_one_on_hold(home) -> None:
    await home.ready()
    since = len(await home.received())
    await home.call(0, SWEDEN_DIALLED)
    await _press_r(home, 0, KARI_DIALLED)
    await home.speech(0)
    seen = await home.sees("one call on hold", lambda status: [one["held"] for one in status["calls"]].count(True) == 1)
    assert len(seen["calls"]) == 2
    assert {one["line"] for one in seen["calls"]} == {0}

    await _press_r(home, 0, "2")
    await home.sees("the other one on hold", lambda status: any(
        one["held"] and KARI[-2:] in one["number"] for one in status["calls"]
    ))  # fmt: skip
    await home.still_speaks(0)
    await home.hang_up(0)
    sweden = await home.record(since, number=SWEDEN)
    phone = home.phone(0)
    await home.phone_shows(0, "ringing for who is on hold", lambda: phone.ringing)
    phone.off_hook()
    await home.still_speaks(0)
    await home.hang_up(0)

    kari = await home.record(since, number=KARI)
    assert (sweden.line, kari.line) == (0, 0)
    for cdr in (sweden, kari):
        assert (cdr.cause, cdr.unpriced, cdr.direction) == (Cause.NORMAL, "", Direction.OUTGOING)
        assert cdr.price.billed_s == -(-cdr.duration_ms // 1000)
    assert sweden.price.amount_micro > 0
    assert sweden.began_ms + sweden.setup_ms < kari.began_ms < sweden.began_ms + sweden.setup_ms + sweden.duration_ms
    await home.all_acknowledged()


async def test_a_forwarded_call_is_the_households_own_call_to_sweden(home) -> None:
    await home.ready()
    since = len(await home.received())
    await home.lift_for_dial_tone(0)
    home.phone(0).dial(f"*21*{SWEDEN_DIALLED}", 40, 40)
    seen = await home.sees("what has been set", lambda status: status["lines"][0]["services"])
    assert [one["key"] for one in seen["lines"][0]["services"]] == ["forward_all"]
    assert SWEDEN.strip("+") not in str(seen)
    await home.hang_up(0)

    await home.kari_calls(OWN_NUMBERS[0])
    await home.sees("both of its calls answered", lambda status: (
        [one["phase"] for one in status["calls"]] == ["answered", "answered"]
    ))  # fmt: skip
    assert not home.phone(0).ringing
    await home.sees("its running price", lambda status: any(one["amount_micro"] for one in status["calls"]))
    await home.world.subscribers.tell({"hangup": "all"})
    onward = await home.record(since, direction=Direction.OUTGOING)
    arrived = await home.record(since, direction=Direction.INCOMING)
    assert (onward.number, onward.own_number, onward.cause) == (SWEDEN, OWN_NUMBERS[0], Cause.NORMAL)
    assert onward.price.amount_micro > 0
    assert (arrived.number, arrived.price, arrived.cause) == (KARI, None, Cause.NORMAL)

    home.phone(0).off_hook()
    await home.plays_tone(0, Tone.RECALL)
    home.phone(0).dial("#21#", 40, 40)
    await home.sees("nothing set any more", lambda status: not status["lines"][0]["services"])
    await home.hang_up(0)
    await home.all_acknowledged()
