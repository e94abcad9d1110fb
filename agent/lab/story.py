"""What happens in the lab: a call to Sweden, a call from a friend, and again; and whether each step did happen."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from msgspec import Struct

from agent import clock
from agent.core.cdr import Cdr
from agent.core.terms import Cause, Direction
from agent.lab.process import LabProcessError, Message
from agent.lab.scene import BUSY_DIALLED, DIAL_TONE, FAR_TONE_HZ, NEAR_TONE_HZ, PRODUCT, SWEDEN, SWEDEN_DIALLED
from agent.lab.world import World
from agent.store.records import OutboxState, StoredCdr
from firmware_bridge.simulator.interface import Phone

_AUDIBLE_DBM0 = -30.0
_PATIENCE_S = 10.0
_START_PATIENCE_S = 60.0
"""A first start compiles every module, on a slow machine beside four other processes that do the same."""
_TALK_S = 4.0
_POLL_S = 0.1
_BUSY_TONE_HZ = 425


class StepFailedError(Exception):
    """A step of the story did not happen in time; the message says which."""


class Step(Struct, frozen=True, kw_only=True):
    """One thing that had to happen. `ms` is how long it took, where that means something."""

    name: str
    ok: bool
    ms: int | None = None
    detail: str = ""


class Summary(Struct, frozen=True, kw_only=True):
    """The whole lab in one object: what `--json` prints."""

    ok: bool
    steps: list[Step]
    calls: int
    records: int
    acknowledged: int
    adapter_amount_micro: int
    operator_amount_micro: int
    page: str


class Story:
    """Plays the calls in a world and keeps the score. `tell` gets a sentence for the screen now and then."""

    def __init__(self, world: World, tell: Callable[[str], None]) -> None:
        self._world, self._tell = world, tell
        self.steps: list[Step] = []
        self.calls = 0

    # --- the score ---------------------------------------------------------------------------------------------------

    def _did(self, name: str, ms: int | None = None, detail: str = "") -> None:
        self.steps.append(Step(name=name, ok=True, ms=ms, detail=detail))

    @asynccontextmanager
    async def _step(self, name: str) -> AsyncIterator[None]:
        """Note how long the body took; a failure in it is the step's failure and ends the story."""
        began = clock.boot_ms()
        try:
            yield
        except (StepFailedError, LabProcessError) as error:
            self.steps.append(Step(name=name, ok=False, ms=clock.boot_ms() - began, detail=str(error)))
            raise StepFailedError(f"{name}: {error}") from error
        self._did(name, clock.boot_ms() - began)

    async def _phone(self, phone: Phone, what: str, predicate: Callable[[], bool]) -> None:
        if not await asyncio.to_thread(phone.wait_for, predicate, _PATIENCE_S):
            raise StepFailedError(f"phone {phone.line + 1}: {what} within {_PATIENCE_S:g} s")

    async def _until(self, what: str, look: Callable[[], Awaitable[bool]], patience_s: float = _PATIENCE_S) -> None:
        """Look again and again: the only way to watch a page or a file."""
        deadline = clock.boot_ms() + round(patience_s * 1000)
        while not await look():
            if clock.boot_ms() > deadline:
                raise StepFailedError(f"{what} within {patience_s:g} s")
            await asyncio.sleep(_POLL_S)

    # --- the story ---------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Wait for both lines to register. Raises StepFailedError."""
        for user in self._world.scene.operator.subscription.registrations:
            async with self._step(f"registered_{user}"):
                await self._world.operator.wait_for(_event("registered", user=user), _START_PATIENCE_S)
        async with self._step("page_answers"):
            await self._until("the status page answers", self._page_is_ready, _START_PATIENCE_S)

    async def _page_is_ready(self) -> bool:
        status = await self._world.status()
        return status is not None and sum(account["registered"] for account in status["accounts"]) == len(
            self._world.scene.operator.subscription.registrations
        )

    async def call_sweden(self) -> None:
        """Phone 1 calls Sweden: both hear each other, the price runs, the record arrives, the price is right."""
        world, phone = self._world, self._world.phones[0]
        self.calls += 1
        self._tell("Phone 1 calls a number in Sweden.")
        heard_before, invited_before = len(world.subscribers.said), len(world.operator.said)
        async with self._step("dial_tone"):
            phone.off_hook()
            await self._phone(phone, "a dial tone", lambda: phone.hears(DIAL_TONE) > _AUDIBLE_DBM0)
        phone.speak(NEAR_TONE_HZ)
        phone.dial(SWEDEN_DIALLED)
        await world.operator.wait_for(_event("invite"), _PATIENCE_S, invited_before)
        dialled = [entry.at_ms for entry in world.card.transcript if entry.what.startswith("digit")]
        self._did("invite_after_last_digit", clock.boot_ms() - dialled[-1])
        async with self._step("answered"):
            await self._phone(phone, "speech", lambda: phone.audio_open)
        async with self._step("tone_at_phone"):
            await self._phone(phone, "the far end's tone", lambda: phone.hears(FAR_TONE_HZ) > _AUDIBLE_DBM0)
        async with self._step("tone_at_far_end"):
            await world.subscribers.wait_for(_event("heard", hz=NEAR_TONE_HZ), _PATIENCE_S, heard_before)
        async with self._step("echo_at_phone"):
            await self._phone(phone, "its own voice", lambda: phone.hears(NEAR_TONE_HZ) > _AUDIBLE_DBM0)
        async with self._step("price_runs_on_the_page"):
            await self._until("a running price on the page", self._price_runs)
        await asyncio.sleep(_TALK_S)
        known = {stored.cdr.id for stored in await world.records()}
        phone.on_hook()
        phone.speak(None)
        cdr = await self._recorded(known, Direction.OUTGOING)
        async with self._step("price_equals_rate"):
            await self._same_price(cdr)

    async def _price_runs(self) -> bool:
        status = await self._world.status()
        return status is not None and any(call["amount_micro"] for call in status["calls"])

    async def _recorded(self, known: set[str], direction: Direction) -> Cdr:
        found: list[StoredCdr] = []

        async def look() -> bool:
            found[:] = [
                stored
                for stored in await self._world.records()
                if stored.cdr.id not in known and stored.cdr.direction is direction
            ]
            return bool(found)

        async def acknowledged() -> bool:
            return await look() and found[0].state is OutboxState.ACKNOWLEDGED

        async with self._step(f"recorded_{direction.value}"):
            await self._until("a call record", look)
        async with self._step(f"acknowledged_{direction.value}"):
            await self._until("the operator's acknowledgement", acknowledged)
        cdr = found[0].cdr
        self._tell(f"The record of the {direction.value} call is with the operator.")
        return cdr

    async def _same_price(self, cdr: Cdr) -> None:
        if cdr.price is None:
            raise StepFailedError("the call has no price")
        seconds = -(-cdr.duration_ms // 1000)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent", "rate", SWEDEN, "--product", PRODUCT, "--duration", str(seconds), "--json",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        told, _ = await process.communicate()
        amount = json.loads(told)["amount_micro"]
        if amount != cdr.price.amount_micro:
            raise StepFailedError(f"the record says {cdr.price.amount_micro}, the command line {amount} millionths")

    async def kari_calls(self) -> None:
        """Phone 2 is called, answers, and is hung up on."""
        world, phone = self._world, self._world.phones[1]
        self.calls += 1
        self._tell("Kari calls phone 2.")
        heard_before = len(world.subscribers.said)
        number = world.scene.operator.subscription.lines[1].number
        async with self._step("phone_2_rings"):
            await world.subscribers.tell({"call": {"from": "kari", "to": number}})
            await self._phone(phone, "ringing", lambda: phone.ringing)
        async with self._step("phone_2_answers"):
            phone.speak(NEAR_TONE_HZ)
            phone.off_hook()
            await world.subscribers.wait_for(_event("answered"), _PATIENCE_S, heard_before)
        async with self._step("kari_hears_phone_2"):
            await world.subscribers.wait_for(_event("heard", hz=NEAR_TONE_HZ), _PATIENCE_S, heard_before)
        await asyncio.sleep(_TALK_S / 2)
        known = {stored.cdr.id for stored in await world.records()}
        await world.subscribers.tell({"hangup": "all"})
        async with self._step("phone_2_hears_the_end"):
            await self._phone(phone, "a tone", lambda: phone.tone is not None)
        phone.on_hook()
        phone.speak(None)
        await self._recorded(known, Direction.INCOMING)

    async def call_busy(self) -> None:
        """Phone 2 calls somebody who is busy."""
        phone = self._world.phones[1]
        self.calls += 1
        self._tell("Phone 2 calls somebody who is busy.")
        known = {stored.cdr.id for stored in await self._world.records()}
        phone.off_hook()
        await self._phone(phone, "a dial tone", lambda: phone.hears(DIAL_TONE) > _AUDIBLE_DBM0)
        phone.dial(BUSY_DIALLED)
        async with self._step("busy_tone"):
            await self._phone(
                phone, "busy tone", lambda: phone.tone is not None and phone.hears(_BUSY_TONE_HZ) > _AUDIBLE_DBM0
            )
        phone.on_hook()
        cdr = await self._recorded(known, Direction.OUTGOING)
        if cdr.cause is not Cause.BUSY:
            self.steps.append(Step(name="recorded_as_busy", ok=False, detail=cdr.cause.value))
            raise StepFailedError(f"the record of the busy call says {cdr.cause.value}")

    async def summary(self) -> Summary:
        """Compare both sides' totals and close the score."""
        stored = await self._world.records()
        ours = sum(one.cdr.price.amount_micro for one in stored if one.cdr.price is not None)
        theirs, known = await self._operator_totals()
        self.steps.append(
            Step(name="totals_equal", ok=ours == theirs and known == len(stored),
                 detail=f"{len(stored)} records here, {known} there")
        )  # fmt: skip
        return Summary(
            ok=all(step.ok for step in self.steps),
            steps=self.steps,
            calls=self.calls,
            records=len(stored),
            acknowledged=sum(one.state is OutboxState.ACKNOWLEDGED for one in stored),
            adapter_amount_micro=ours,
            operator_amount_micro=theirs,
            page=self._world.scene.page,
        )

    async def _operator_totals(self) -> tuple[int, int]:
        ledger = await self._world.operator_sees("/lab/cdrs")
        records = [one["record"] for one in ledger["records"]] if ledger is not None else []
        return sum(record["price"]["amount_micro"] for record in records if record.get("price")), len(records)


def _event(name: str, **fields: object) -> Callable[[Message], bool]:
    def wanted(message: Message) -> bool:
        return message.get("event") == name and all(message.get(key) == value for key, value in fields.items())

    return wanted
