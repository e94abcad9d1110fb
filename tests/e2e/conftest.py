"""A household with an adapter, its operator and its friends, all real processes on loopback; one per test module."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import pytest_asyncio

from agent.clock import boot_ms
from agent.core.cdr import Cdr
from agent.core.events import Tone
from agent.data import load_tones
from agent.lab.process import Message
from agent.lab.scene import FAR_TONE_HZ, NEAR_TONE_HZ, Manners
from agent.lab.world import World
from agent.store.records import UsageRow
from agent.store.store import Store
from firmware_bridge.reference import ReferenceCard
from firmware_bridge.simulator.interface import Phone

PATIENCE_S = 30.0
"""Longer than the adapter waits for an operator that has fallen silent (15 s): then it tries again by itself."""

T = TypeVar("T")

HEARD_DBM0 = -30.0
"""Louder than this is heard, and nothing else on these lines is."""
BRISK = Manners(answer_ms=250, tone_ms=600)
SILENCE_DBM0 = -50.0
_TAIL_LINES = 40
_EVERY_RECORD = 100_000
_LOOK_AGAIN_S = 0.03


class Household:
    """What the tests do to a World and see of it. Every wait has a deadline and fails with a sentence."""

    def __init__(self, folder: Path, **world: Any) -> None:
        self.folder = folder
        self.said: list[tuple[int, str, Message]] = []
        self.world = World(folder, self._hear, manners=BRISK, **world)
        self._tones = load_tones().tones

    def _hear(self, who: str, message: Message) -> None:
        self.said.append((boot_ms(), who, message))

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def until(self, what: str, look: Callable[[], Awaitable[T | None]], within_s: float = PATIENCE_S) -> T:
        """What `look` returns as soon as it is something; `what` names it in the failure."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    found = await look()
                    if found:
                        return found
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            pytest.fail(f"within {within_s:g} s not seen: {what}", pytrace=False)

    async def sees(self, what: str, check: Callable[[Any], Any], within_s: float = PATIENCE_S) -> Any:
        """The status page's JSON once `check(status)` is true."""

        async def look() -> Any:
            status = await self.world.status()
            return status if status is not None and check(status) else None

        return await self.until(f"a status page with {what}", look, within_s)

    def mark(self) -> int:
        """A place in everything that the processes say."""
        return len(self.said)

    def heard(self, who: str, event: str, since: int = 0, **fields: Any) -> tuple[int, Message] | None:
        """The first such message since a mark, and the boot time in ms at which it came."""
        for at, name, message in self.said[since:]:
            if name == who and message.get("event") == event and fields.items() <= message.items():
                return at, message
        return None

    async def hears(
        self, who: str, event: str, since: int, within_s: float = PATIENCE_S, **fields: Any
    ) -> tuple[int, Message]:
        """Wait for what `heard` looks for."""

        async def look() -> tuple[int, Message] | None:
            return self.heard(who, event, since, **fields)

        return await self.until(f"{who} says {event} {fields or ''}", look, within_s)

    # --- telephones --------------------------------------------------------------------------------------------------

    def phone(self, line: int) -> Phone:
        return self.world.phones[line]

    async def phone_shows(self, line: int, what: str, check: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
        if not await asyncio.to_thread(self.phone(line).wait_for, check, within_s):
            pytest.fail(f"within {within_s:g} s not on telephone {line + 1}: {what}", pytrace=False)

    def plays(self, line: int, tone: Tone) -> bool:
        """Whether the telephone is being played this very tone."""
        playing, wanted = self.phone(line).tone, self._tones[tone].segments
        if playing is None:
            return False
        return [(tuple(one.frequencies), one.ms) for one in playing.segments] == [
            (tuple(one.frequencies), one.ms) for one in wanted
        ]

    async def plays_tone(self, line: int, tone: Tone, within_s: float = PATIENCE_S) -> None:
        """Wait for a tone, in the card's program and in the ear."""
        hz = next(segment.frequencies[0] for segment in self._tones[tone].segments if segment.frequencies)
        await self.phone_shows(line, f"{tone} tone", lambda: self.plays(line, tone), within_s)
        await self.phone_shows(line, f"{hz} Hz to be heard", lambda: self.phone(line).hears(hz, 100) > HEARD_DBM0, 3)

    async def lift_for_dial_tone(self, line: int) -> None:
        self.phone(line).off_hook()
        await self.plays_tone(line, Tone.DIAL)

    async def echo(self, line: int, within_s: float = PATIENCE_S) -> None:
        """Both directions carry speech: what this telephone says comes back from the far end."""
        phone = self.phone(line)
        phone.speak(NEAR_TONE_HZ)
        await self.phone_shows(
            line, "its own voice, echoed by the far end", lambda: phone.hears(NEAR_TONE_HZ, 200) > HEARD_DBM0, within_s
        )

    async def speech(self, line: int, within_s: float = PATIENCE_S) -> None:
        """An answered call: the far end's tone is heard, then the own voice from there."""
        phone = self.phone(line)
        await self.phone_shows(line, "answer", lambda: phone.audio_open, within_s)
        await self.phone_shows(line, "the far end's tone", lambda: phone.hears(FAR_TONE_HZ, 200) > HEARD_DBM0, within_s)
        await self.echo(line)

    async def still_speaks(self, line: int) -> None:
        """Falls silent, hears that, speaks again and is echoed: the speech path works now, not some time ago."""
        phone = self.phone(line)
        phone.speak(None)
        await self.phone_shows(line, "silence", lambda: phone.hears(NEAR_TONE_HZ, 200) < SILENCE_DBM0)
        await self.echo(line)

    async def call(self, line: int, digits: str) -> None:
        """Lift, hear dial tone, dial, and speak."""
        await self.lift_for_dial_tone(line)
        self.phone(line).dial(digits, 40, 40)
        await self.speech(line)

    async def hang_up(self, line: int) -> None:
        self.phone(line).on_hook()
        await self.phone_shows(line, "the handset down", lambda: not self.phone(line).is_off_hook)

    async def kari_calls(self, number: str) -> None:
        await self.world.subscribers.tell({"call": {"from": "kari", "to": number}})

    # --- records and money -------------------------------------------------------------------------------------------

    async def received(self) -> list[Cdr]:
        """Every record that the operator has, in order of arrival."""
        body = await self.world.operator_sees("/lab/cdrs")
        assert body is not None, "the operator does not answer"
        return [msgspec.convert(one["record"], Cdr) for one in body["records"]]

    async def record(self, since: int, within_s: float = PATIENCE_S, **fields: Any) -> Cdr:
        """The one record with these fields that the operator got after its first `since` ones."""

        async def look() -> list[Cdr]:
            return [
                cdr for cdr in (await self.received())[since:]
                if all(getattr(cdr, name) == value for name, value in fields.items())
            ]  # fmt: skip

        found = await self.until(f"a record at the operator with {fields}", look, within_s)
        assert len(found) == 1, f"more than one record with {fields}: {found}"
        return found[0]

    async def stored_usage(self, month: str) -> list[UsageRow]:
        reader = await Store.open_reader(self.world.scene.agent_folder)
        async with reader:
            return await reader.usage(month)

    async def all_acknowledged(self, within_s: float = PATIENCE_S) -> None:
        """Every record that the adapter has is at the operator, exactly once, with the same words."""

        async def look() -> bool:
            kept = await self.world.records(_EVERY_RECORD)
            return bool(kept) and all(one.state.value == "acknowledged" for one in kept)

        await self.until("every record acknowledged", look, within_s)
        kept = {one.cdr.id: one.cdr for one in await self.world.records(_EVERY_RECORD)}
        received = await self.received()
        assert len({cdr.id for cdr in received}) == len(received)
        assert {cdr.id: cdr for cdr in received} == kept

    # --- the adapter's own life --------------------------------------------------------------------------------------

    async def ready(self, within_s: float = 25) -> Message:
        """Everything is up: gateway, card, both registrations, subscription and price list."""
        return await self.sees(
            "both lines registered and a price list",
            lambda status: (
                status["gateway"]["connected"] and status["card"]["up"] and status["price_list"] and status["accounts"]
                and all(account["registered"] for account in status["accounts"])
            ),
            within_s,
        )  # fmt: skip

    async def agent_ends(self, since: int, what: str, within_s: float = PATIENCE_S) -> None:
        """Wait for the supervisor's word about how the agent ended."""
        await self.hears("agent", "process", since, within_s, what=f"ended with {what}")

    async def reload(self) -> None:
        """Tell the agent to read its configuration again, and with it the operator's word."""
        since = self._log_size()
        self.world.agent.signal(signal.SIGHUP)

        async def look() -> bool:
            with self.world.agent_log.open("rb") as log:
                log.seek(since)
                words = log.read()
            return b'"configuration_refused"' in words or words.rfind(b'"agent_ready"') > 0

        await self.until("the agent to take SIGHUP", look)

    def _log_size(self) -> int:
        return self.world.agent_log.stat().st_size

    async def quiet(self) -> None:
        """Everybody has hung up and every fault is over."""
        for line in range(2):
            self.phone(line).speak(None)
            self.phone(line).on_hook()
        with contextlib.suppress(Exception):
            await self.world.subscribers.tell({"hangup": "all"})
        await self.world.order("/lab/faults", {})
        await self.sees("no call in progress", lambda status: not status["calls"], 15)
        for line in range(2):
            await self.phone_shows(line, "silence", lambda line=line: not self.phone(line).is_off_hook)

    def tail(self) -> str:
        """The last words of every process, for a failure."""
        parts = []
        for path in sorted((self.folder / "logs").glob("*.log")):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
            parts.append(f"--- {path.name}\n" + "\n".join(lines))
        spoken = "\n".join(f"{at} {who}: {message}" for at, who, message in self.said[-_TAIL_LINES:])
        card = "\n".join(
            f"{entry.at_ms} line {entry.line}: {entry.what}" for entry in self.world.card.transcript[-_TAIL_LINES:]
        )
        return "\n".join([*parts, "--- said", spoken, "--- card", card])


def leftovers(folder: Path) -> list[str]:
    """Command lines of processes that still run with files of this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(folder) in command:
                    found.append(f"{entry.name} {command}")
    return found


@contextlib.asynccontextmanager
async def household_in(folder: Path, **world: Any) -> AsyncIterator[Household]:
    """A whole world in `folder`; when it has ended, nothing of it may still run."""
    home = Household(folder, **world)
    async with home.world:
        try:
            yield home
        finally:
            at_end = len(home.said)
    assert leftovers(folder) == []
    assert home.heard("operator", "stopped", at_end) is not None, "the operator did not end by itself"


@pytest.fixture(scope="session")
def worlds() -> Callable[..., contextlib.AbstractAsyncContextManager[Household]]:
    """`household_in`, for a module that prepares its world's folder itself."""
    return household_in


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module that says `CARDS = (...)` is done on each of these far ends of the serial link: `python`, `c`."""
    cards = getattr(metafunc.module, "CARDS", None)
    if cards and "household" in metafunc.fixturenames:
        needs = {"c": [pytest.mark.peer("gcc", "make")]}
        kinds = [pytest.param(card, marks=needs.get(card, [])) for card in cards]
        metafunc.parametrize("household", kinds, indirect=True, scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def household(
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    reference_device: Callable[[str], Path],
) -> Any:
    """The module's world. A module may say `WORLD = {...}`: arguments of World; and `CARDS`, see above."""
    folder = tmp_path_factory.mktemp("world")
    arguments = dict(getattr(request.module, "WORLD", {}))
    if getattr(request, "param", "python") == "c":
        program = reference_device("all")
        arguments["make_card"] = lambda path: ReferenceCard(program, lines=2, link_path=path)
    async with household_in(folder, **arguments) as home:
        await home.ready()
        yield home
    shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope="module")
async def home(household: Household) -> AsyncIterator[Household]:
    """The module's world, everything on hook and in order before the test and after it."""
    await household.ready()
    yield household
    await household.quiet()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failure shows what the processes said last."""
    report: pytest.TestReport = yield
    if report.failed and call.excinfo is not None:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Household):
                report.sections.append(("the world", value.tail()))
                break
    return report
