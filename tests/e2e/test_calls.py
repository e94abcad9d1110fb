"""Calls in both directions, as the household, its friends and the operator see them."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from agent.core.terms import CallKind, Cause, Direction, Party, Tone
from agent.lab.scene import BUSY_DIALLED, KARI, NEAR_TONE_HZ, OWN_NUMBERS, SWEDEN, SWEDEN_DIALLED

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

CARDS = ("python", "c")


async def price_at_the_keyboard(number: str, seconds: int) -> int:
    """What the command line says a call costs, in micro-units."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent", "rate", number, "--product", "privat", "--duration", str(seconds), "--json",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0
    return int(json.loads(out)["amount_micro"])


async def test_both_lines_are_registered_and_the_page_says_so(home) -> None:
    status = await home.ready()
    assert sorted(account["account"] for account in status["accounts"]) == ["line1", "line2"]
    for user in ("line1", "line2"):
        assert home.heard("operator", "registered", user=user)[1]["contacts"] == 1
    assert status["card"]["lines"] == 2
    assert status["problems"] == []


async def test_a_call_to_sweden_is_heard_recorded_and_priced(home) -> None:
    since, words = len(await home.received()), home.mark()
    await home.call(0, SWEDEN_DIALLED)
    # The subscriber in Sweden has heard the household, too.
    await home.hears("subscribers", "heard", words, hz=NEAR_TONE_HZ)
    await home.sees("the running price", lambda status: status["calls"] and status["calls"][0]["amount_micro"])
    await home.sees("how it sounds", lambda status: status["calls"] and status["calls"][0]["heard"])
    await home.hang_up(0)
    cdr = await home.record(since, line=0)
    assert (cdr.number, cdr.own_number, cdr.direction) == (SWEDEN, OWN_NUMBERS[0], Direction.OUTGOING)
    assert (cdr.cause, cdr.released_by, cdr.recovered, cdr.unpriced) == (Cause.NORMAL, Party.LOCAL, False, "")
    assert home.lasted(cdr, words)
    assert cdr.price.billed_s == -(-cdr.duration_ms // 1000)
    assert cdr.price.amount_micro == await price_at_the_keyboard("4681234567", cdr.price.billed_s) > 0
    assert cdr.quality.rx_packets > 40
    assert cdr.quality.tx_packets > 40
    assert (cdr.quality.one_way, cdr.quality.codec) == (None, "PCMA/8000")
    assert 100 <= cdr.quality.heard_mos_centi <= 440
    await home.all_acknowledged()


async def test_kari_calls_and_hangs_up(home) -> None:
    since, words = len(await home.received()), home.mark()
    await home.kari_calls(OWN_NUMBERS[1])
    phone = home.phone(1)
    await home.phone_shows(1, "ringing", lambda: phone.ringing)
    await home.phone_shows(1, "the caller", lambda: phone.display == KARI.removeprefix("+47"))
    # The operator has told the adapter the time, and the adapter the telephone.
    civil = datetime.now(UTC).astimezone(ZoneInfo("Europe/Oslo"))
    assert phone.shows.month_day_time in {f"{civil - timedelta(minutes=ago):%m%d%H%M}" for ago in range(2)}
    assert not home.phone(0).ringing
    phone.off_hook()
    await home.speech(1)
    assert not phone.ringing
    await home.world.subscribers.tell({"hangup": "all"})
    # Norwegian exchanges send congestion or busy tone to whoever stays on the line.
    await home.plays_tone(1, Tone.CONGESTION)
    cdr = await home.record(since, line=1)
    assert (cdr.direction, cdr.number, cdr.own_number) == (Direction.INCOMING, KARI, OWN_NUMBERS[1])
    assert (cdr.cause, cdr.released_by, cdr.price) == (Cause.NORMAL, Party.REMOTE, None)
    assert cdr.duration_ms > 500
    assert home.heard("subscribers", "bye", words)[1]["code"] == 200


async def test_a_caller_who_gives_up_stops_the_ringing(home) -> None:
    since, words = len(await home.received()), home.mark()
    await home.kari_calls(OWN_NUMBERS[0])
    await home.phone_shows(0, "ringing", lambda: home.phone(0).ringing)
    _, calling = await home.hears("subscribers", "calling", words)
    await home.world.subscribers.tell({"hangup": calling["call"]})
    await home.phone_shows(0, "silence", lambda: not home.phone(0).ringing)
    cdr = await home.record(since, direction=Direction.INCOMING)
    assert (cdr.cause, cdr.released_by, cdr.duration_ms) == (Cause.CANCELLED, Party.REMOTE, 0)
    await home.lift_for_dial_tone(0)


async def test_a_caller_of_a_lifted_telephone_gets_busy(home) -> None:
    since, words = len(await home.received()), home.mark()
    await home.lift_for_dial_tone(1)
    await home.kari_calls(OWN_NUMBERS[1])
    _, bye = await home.hears("subscribers", "bye", words)
    assert bye["code"] == 486
    assert not home.phone(1).ringing
    cdr = await home.record(since, direction=Direction.INCOMING)
    assert (cdr.cause, cdr.sip_code, cdr.price) == (Cause.NO_LINE_FREE, 486, None)


async def test_a_busy_friend_gives_busy_tone_and_r_dial_tone(home) -> None:
    since = len(await home.received())
    await home.lift_for_dial_tone(0)
    home.phone(0).dial(BUSY_DIALLED, 40, 40)
    await home.plays_tone(0, Tone.BUSY)
    await home.hears_tone(0, Tone.BUSY)
    home.phone(0).flash()
    await home.plays_tone(0, Tone.DIAL)
    await home.hang_up(0)
    cdr = await home.record(since, line=0)
    assert (cdr.cause, cdr.duration_ms, cdr.price) == (Cause.BUSY, 0, None)


@pytest.mark.parametrize(
    ("digits", "refusal"), [("0069912345678#", "no_rate"), ("008831234567#", "blocked_destination")]
)
async def test_a_destination_without_a_price_is_refused_before_anybody_is_called(home, digits, refusal) -> None:
    since, words = len(await home.received()), home.mark()
    await home.lift_for_dial_tone(0)
    home.phone(0).dial(digits, 40, 40)
    await home.plays_tone(0, Tone.SPECIAL)
    await home.hang_up(0)
    cdr = await home.record(since, line=0)
    assert (cdr.cause, cdr.refusal, cdr.duration_ms, cdr.price) == (Cause.REFUSED, refusal, 0, None)
    assert home.heard("operator", "invite", words) is None


async def test_both_telephones_speak_at_once(home) -> None:
    since = len(await home.received())
    await asyncio.gather(home.call(0, SWEDEN_DIALLED), home.call(1, KARI.removeprefix("+47")))
    await asyncio.gather(home.echo(0), home.echo(1))
    await asyncio.gather(home.hang_up(0), home.hang_up(1))
    abroad, at_home = await asyncio.gather(home.record(since, line=0), home.record(since, line=1))
    assert abroad.price.prefix == "46"
    assert at_home.price.amount_micro == 0
    assert at_home.price.prefix.startswith("47")


async def test_112_is_sent_with_its_third_digit(home) -> None:
    since, words = len(await home.received()), home.mark()
    await home.lift_for_dial_tone(0)
    home.phone(0).dial("112", 40, 40)
    _, invite = await home.hears("subscribers", "invite", words, user="emergency")
    _, routed = await home.hears("operator", "invite", words, callee="emergency")
    assert routed["emergency"] is True
    pressed = [entry for entry in home.world.card.transcript if entry.line == 0 and "2" in entry.what]
    assert 0 <= invite["at_ms"] - pressed[-1].at_ms < 500, f"{invite} after {pressed[-1]}"
    await home.speech(0)
    await home.hang_up(0)
    cdr = await home.record(since, line=0)
    assert (cdr.kind, cdr.number, cdr.price, cdr.unpriced) == (CallKind.EMERGENCY, "112", None, "")
    assert cdr.duration_ms > 500


async def test_household_and_operator_count_the_same(home) -> None:
    since = len(await home.received())
    await home.call(0, SWEDEN_DIALLED)
    await home.sees("the running price", lambda status: status["calls"] and status["calls"][0]["amount_micro"])
    await home.hang_up(0)
    await home.record(since, line=0)
    await home.all_acknowledged()
    received = await home.received()
    months = {cdr.began_at[:7] for cdr in received}
    assert len(months) == 1, "the suite ran across the end of a month"
    month = months.pop()
    rows = await home.stored_usage(month)
    outgoing = [cdr for cdr in received if cdr.direction is Direction.OUTGOING and cdr.duration_ms]
    operator = await home.world.operator_sees(f"/v1/usage?month={month}")
    spent = sum(cdr.price.amount_micro for cdr in outgoing if cdr.price is not None)
    assert spent > 0
    assert sum(row.amount_micro for row in rows) == spent == operator["amount_micro"]
    assert sum(row.calls for row in rows) == len(outgoing) == operator["calls"]
    status = await home.world.status()
    assert status["money"]["month_micro"] == spent
