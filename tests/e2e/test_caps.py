"""What the customer may spend: refused, warned and cut by the telephone itself, whoever is alive."""

from __future__ import annotations

import asyncio
import signal

import pytest

from agent.core.money import parse_amount
from agent.core.terms import Cause, Tone
from agent.lab.scene import OWN_NUMBERS, SWEDEN, SWEDEN_DIALLED
from agent.texts import Texts

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WORLD = {"pause": lambda _crashes: 0.2}

CAP = "0.04"
"""Some nine seconds to Sweden at 0.29 a minute, by the second, rounded to 0.01."""
LONGEST_MS = 10_000


async def order(home, **limits: str) -> None:
    """The operator sets the customer's caps, and the agent asks for them."""
    await home.world.order("/lab/subscription", {"limits": limits})
    await home.reload()
    await home.sees(
        "the caps",
        lambda status: (
            {cap["cap"]: cap["limit_micro"] for cap in status["money"].get("caps", [])}
            == {name: parse_amount(amount) for name, amount in limits.items()}
        ),
    )
    await home.ready()


def heard_while_talking(home, line: int) -> list[str]:
    """What the card did on a line in its last conversation, behind which an announcement has said why it ended."""
    done = [entry.what for entry in home.world.card.transcript if entry.line == line]
    begun = [at + 1 for at, what in enumerate(done) if what == "speech begins"][-2]
    return done[begun : begun + done[begun:].index("speech ends")]


async def test_a_call_is_warned_and_ended_at_its_cap_and_costs_no_more(home) -> None:
    since = len(await home.received())
    await order(home, call=CAP)
    await asyncio.gather(home.call(0, SWEDEN_DIALLED), home.call(1, SWEDEN_DIALLED))
    for line in (0, 1):
        await home.plays_tone(line, Tone.CONGESTION)
    for cdr in await asyncio.gather(home.record(since, line=0), home.record(since, line=1)):
        assert (cdr.cause, cdr.limit) == (Cause.LIMIT_REACHED, "call")
        assert 0 < cdr.price.amount_micro <= parse_amount(CAP)
        assert cdr.duration_ms < LONGEST_MS
        assert "tone begins" in heard_while_talking(home, cdr.line), "the caller was warned"
    status = await home.sees("why the call ended", lambda status: status["cdrs"][0].get("limit") == "call")
    assert [cap["limit_micro"] for cap in status["money"]["caps"]] == [parse_amount(CAP)]
    await order(home)


async def test_the_telephone_ends_the_call_in_time_although_the_agent_was_killed(home) -> None:
    since, words = len(await home.received()), home.mark()
    await order(home, month="100", call=CAP)
    await home.call(0, SWEDEN_DIALLED)
    home.world.agent.hold()
    home.world.agent.signal(signal.SIGKILL)
    await home.agent_ends(words, "signal SIGKILL")
    try:
        await home.plays_tone(0, Tone.CONGESTION)
        assert len(await home.received()) == since
    finally:
        home.world.agent.let_go()
    cdr = await home.record(since, line=0)
    assert (cdr.cause, cdr.limit, cdr.recovered) == (Cause.LIMIT_REACHED, "call", False)
    assert 0 < cdr.price.amount_micro <= parse_amount(CAP)
    await home.hang_up(0)
    await home.ready()
    await order(home)


async def test_a_call_for_which_nothing_is_left_is_refused_and_the_page_says_why(home) -> None:
    since, words = len(await home.received()), home.mark()
    await order(home, month="0")
    await home.lift_for_dial_tone(0)
    home.phone(0).dial(SWEDEN_DIALLED, 40, 40)
    await home.plays_tone(0, Tone.SPECIAL)
    await home.hang_up(0)
    assert home.heard("operator", "invite", words) is None
    cdr = await home.record(since, line=0, number=SWEDEN)
    assert (cdr.cause, cdr.refusal, cdr.price) == (Cause.REFUSED, "limit_month", None)
    status = await home.sees("the refusal", lambda status: status["cdrs"][0].get("refusal") == "limit_month")
    sentence = Texts.load().say(f"refusal.{status['cdrs'][0]['refusal']}", "nb")
    assert "Beløpsgrensen for måneden" in sentence
    # Emergency and incoming calls are no matter of money.
    await home.lift_for_dial_tone(0)
    home.phone(0).dial("112", 40, 40)
    await home.kari_calls(OWN_NUMBERS[1])
    await home.phone_shows(1, "ringing", lambda: home.phone(1).ringing)
    home.phone(1).off_hook()
    await asyncio.gather(home.speech(0), home.speech(1))
    await asyncio.gather(home.hang_up(0), home.hang_up(1))
    await asyncio.gather(home.record(since, line=0, number="112"), home.record(since, line=1))
    await order(home)


async def test_a_minute_pack_pays_the_call_and_the_operator_counts_its_seconds(home) -> None:
    since = len(await home.received())
    pack = {"id": "norden", "name": {"nb": "Norden", "en": "Nordic"}, "prefixes": ["46"], "seconds": 3600}
    await home.world.order("/lab/subscription", {"packs": [pack]})
    await home.reload()
    await home.sees("the pack", lambda status: status["money"].get("packs"))
    await home.ready()
    await home.call(0, SWEDEN_DIALLED)
    await home.hang_up(0)
    cdr = await home.record(since, line=0, number=SWEDEN)
    assert (cdr.price.amount_micro, cdr.price.paid_s) == (0, 0)
    (take,) = cdr.price.packs
    assert take.pack == "norden"
    assert take.seconds == cdr.price.pack_s == -(-cdr.duration_ms // 1000)
    usage = await home.world.operator_sees(f"/v1/usage?month={take.month}")
    assert usage["packs"] == [{"pack": "norden", "seconds": take.seconds}]
    await home.sees("what is used", lambda status: status["money"]["packs"][0].get("used_s") == take.seconds)
    await home.world.order("/lab/subscription", {"packs": []})
    await home.reload()
