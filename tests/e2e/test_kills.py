"""Agent, gateway or both are killed at random moments of short calls: afterwards every call is there, once, priced."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import sys
from dataclasses import dataclass, field

import pytest

from agent.core.cdr import Cdr
from agent.core.terms import Direction, Tone
from agent.lab.scene import SWEDEN, SWEDEN_DIALLED
from agent.paths import data_dir
from agent.rating.cli_rate import rate_report

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

WORLD = {"pause": lambda _crashes: 0.05}

_INVITE_AFTER_MS = 3_000
"""From the asked call to the INVITE at the far end, in a world this busy."""
_SLACK_MS = 400
"""Between the two ends' views of an answer or a hang-up."""


@dataclass
class FarCall:
    """One call as Stockholm saw it, in boot milliseconds."""

    own_number: str
    invited_ms: int
    answered_ms: int | None = None
    ended_ms: int | None = None

    @property
    def duration_ms(self) -> int:
        """Speech, as Stockholm counts it; after a kill it goes on until Stockholm gives up."""
        return 0 if self.answered_ms is None or self.ended_ms is None else self.ended_ms - self.answered_ms


@dataclass
class Account:
    """What became of the calls."""

    kills: int = 0
    records: int = 0
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    money_micro: int = 0
    recovered: int = 0

    def __str__(self) -> str:
        return (
            f"kills {self.kills}, records {self.records} ({self.recovered} recovered), missing {len(self.missing)}, "
            f"extra {len(self.extra)}, wrong durations {len(self.wrong)}, money difference {self.money_micro} micro-NOK"
        )


def far_calls(home) -> list[FarCall]:
    found: dict[str, FarCall] = {}
    for _, who, message in home.said:
        if who != "subscribers":
            continue
        if message["event"] == "invite" and message["user"] == "stockholm":
            found[message["call"]] = FarCall(message["caller"], message["at_ms"])
        elif message["event"] == "answered" and message["call"] in found:
            found[message["call"]].answered_ms = message["at_ms"]
        elif message["event"] == "bye" and message["call"] in found:
            found[message["call"]].ended_ms = message["at_ms"]
    return list(found.values())


async def lives(home, line: int, draw: random.Random, enough: asyncio.Event) -> None:
    """Somebody who calls Sweden again and again, and hangs up when it is finished, fails, or becomes boring."""
    phone = home.phone(line)
    while not enough.is_set():
        phone.off_hook()
        phone.dial(SWEDEN_DIALLED, 40, 40)
        await asyncio.to_thread(phone.wait_script, 5)
        await asyncio.to_thread(phone.wait_for, lambda: phone.audio_open or home.plays(line, Tone.CONGESTION), 1)
        bored = draw.uniform(0.0, 1.8)
        await asyncio.to_thread(phone.wait_for, lambda: phone.audio_open is False, bored)
        phone.on_hook()
        # Whoever lifts sooner has pressed R.
        phone.pause(home.tones.analogue.hook.flash_max_ms + 200)
        await asyncio.to_thread(phone.wait_script, 5)


async def kills(home, count: int, draw: random.Random) -> int:
    """The reaper: waits for both to be there, then a random moment. How many processes it killed."""
    victims = ([home.world.gateway], [home.world.agent], [home.world.gateway, home.world.agent])
    killed = rounds = 0
    while killed < count:
        await home.until("both processes running", both_running(home))
        # Now and then before anything is ready again, mostly in the middle of a call.
        if draw.random() < 0.6:
            words = home.mark()
            await home.until("somebody in Stockholm being called", anybody_called(home, words), 20)
        await asyncio.sleep(draw.uniform(0.0, 1.0))
        doomed = draw.choice(victims) if rounds >= len(victims) else victims[rounds]
        rounds += 1
        for victim in doomed:
            victim.signal(signal.SIGKILL)
            killed += 1
        if home.world.gateway in doomed:
            # Whoever hears nothing any more hangs up; the lab's subscribers would wait for ever.
            await home.world.subscribers.tell({"hangup": "all"})
    return killed


def both_running(home):
    async def look() -> bool:
        return home.world.gateway.pid is not None and home.world.agent.pid is not None

    return look


def anybody_called(home, words: int):
    async def look() -> bool:
        return home.heard("subscribers", "invite", words) is not None

    return look


def settle(home, kept: list[Cdr], received: list[Cdr], account: Account) -> None:
    """Match what Stockholm saw with what was recorded, and count the money three ways."""
    account.records = len(received)
    account.recovered = sum(cdr.recovered for cdr in kept)
    account.missing += [f"at the operator: {cdr.id}" for cdr in kept if cdr.id not in {one.id for one in received}]
    account.extra += [f"at the operator: {cdr.id}" for cdr in received if cdr.id not in {one.id for one in kept}]
    account.extra += [
        f"twice: {cdr_id}" for cdr_id, same in itertools.groupby(sorted(cdr.id for cdr in received))
        if len(list(same)) > 1
    ]  # fmt: skip
    unmatched = {cdr.id: cdr for cdr in received if cdr.direction is Direction.OUTGOING}
    recall_ms = home.tones.analogue.hook.flash_max_ms
    for call in far_calls(home):
        mine = [
            cdr for cdr in unmatched.values()
            if cdr.own_number == call.own_number and 0 <= call.invited_ms - cdr.began_ms <= _INVITE_AFTER_MS
        ]  # fmt: skip
        if not mine:
            account.missing.append(f"no record of {call}")
            continue
        cdr = unmatched.pop(max(mine, key=lambda one: one.began_ms).id)
        short = 0 if cdr.recovered else call.duration_ms - cdr.duration_ms
        # The far end hears of a hang-up once it is certain that it was no recall.
        if cdr.duration_ms > call.duration_ms + _SLACK_MS or short > recall_ms + _SLACK_MS:
            account.wrong.append(f"{cdr.duration_ms} ms recorded of {call}: {cdr}")
    account.extra += [f"nobody was called: {cdr}" for cdr in unmatched.values() if cdr.duration_ms]
    prices = data_dir() / "price-lists"
    for cdr in received:
        charged = cdr.price.amount_micro if cdr.price is not None else 0
        due = rate_report(SWEDEN, "privat", -(-cdr.duration_ms // 1000), prices).amount_micro if cdr.duration_ms else 0
        account.money_micro += abs(charged - due)


async def reap(home, count: int, seed: int) -> Account:
    draw = random.Random(seed)
    enough = asyncio.Event()
    callers = [asyncio.create_task(lives(home, line, random.Random(seed + line), enough)) for line in range(2)]
    account = Account()
    try:
        account.kills = await kills(home, count, draw)
    finally:
        enough.set()
        await asyncio.gather(*callers)
    for line in range(2):
        # A gateway that has died so often takes its time to register, unless somebody wants to telephone.
        await home.lift_for_dial_tone(line)
        await home.hang_up(line)
    await home.ready()
    await home.quiet()
    await home.all_acknowledged(60)
    kept = [one.cdr for one in await home.world.records(10_000)]
    received = await home.received()
    settle(home, kept, received, account)
    rows = [row for month in {cdr.began_at[:7] for cdr in kept} for row in await home.stored_usage(month)]
    charged = sum(cdr.price.amount_micro for cdr in received if cdr.price is not None)
    account.money_micro += abs(sum(row.amount_micro for row in rows) - charged)
    return account


def checked(account: Account, seed: int) -> None:
    sys.stderr.write(f"\n{account} (seed {seed})\n")
    assert (account.missing, account.extra, account.wrong, account.money_micro) == ([], [], [], 0), f"seed {seed}"
    assert account.recovered > 0, "no kill met a call"


async def test_twenty_kills_lose_double_and_invent_nothing(household) -> None:
    seed = int(os.environ.get("KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
    checked(await reap(household, 20, seed), seed)


@pytest.mark.slow
@pytest.mark.timeout(890)
async def test_two_hundred_kills_lose_double_and_invent_nothing(household) -> None:
    seed = random.SystemRandom().randrange(1, 1 << 31)
    checked(await reap(household, 200, seed), seed)
