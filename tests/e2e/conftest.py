"""A household with an adapter, its operator and its friends, all real processes on loopback; one per test module."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import shutil
import signal
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import pytest_asyncio

from agent.clock import boot_ms
from agent.core.announcement import Announcement, Language
from agent.core.cdr import Cdr
from agent.core.terms import Tone
from agent.data import load_tones
from agent.gateway.recording import read_recording
from agent.lab.process import Message
from agent.lab.scene import FAR_TONE_HZ, NEAR_TONE_HZ, Manners
from agent.lab.world import World
from agent.paths import data_dir, kept_configuration
from agent.store.records import UsageRow
from agent.store.store import Store
from firmware_bridge.g711 import decode_alaw
from firmware_bridge.messages import ToneProgram, ToneSegment
from firmware_bridge.reference import ReferenceCard
from firmware_bridge.simulator.ear import which_tone
from firmware_bridge.simulator.interface import Phone
from firmware_bridge.tonemeter import find, level_dbm0

PATIENCE_S = 30.0
"""Longer than the adapter waits for an operator that has fallen silent (15 s): then it tries again by itself."""

T = TypeVar("T")

HEARD_DBM0 = -30.0
"""Louder than this is heard, and nothing else on these lines is."""
BRISK = Manners(answer_ms=250, tone_ms=600)
_FAR_TONE_MS = 5_000
"""So far back the tone behind an answer is looked for."""
_BEGINNINGS = ("off-hook", "speech begins")
_WINDOW_BYTES = 2 * 8 * 200
"""200 ms of sound."""
SILENCE_DBM0 = -50.0
_CLOCKS_MS = 300
"""What two processes on a busy machine may see apart."""
_TAIL_LINES = 40
_EVERY_RECORD = 100_000
_LOOK_AGAIN_S = 0.03


class Household:
    """What the tests do to a World and see of it. Every wait has a deadline and fails with a sentence."""

    def __init__(self, folder: Path, **world: Any) -> None:
        self.folder = folder
        self.said: list[tuple[int, str, Message]] = []
        self.world = World(folder, self._hear, manners=BRISK, **world)
        self.tones = load_tones()
        self._tones = self.tones.tones
        self.programs = {
            tone.value: ToneProgram(
                spec.level_dbm0, tuple(ToneSegment(tuple(one.frequencies), one.ms) for one in spec.segments), spec.once
            )
            for tone, spec in self._tones.items()
        }
        """The tones by name, for an ear: `firmware_bridge.simulator.ear.which_tone`."""

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

    async def hears_tone(self, line: int, tone: Tone, within_s: float = PATIENCE_S) -> None:
        """Wait until somebody with the handset at his ear knows the tone, by rhythm and frequencies alone."""
        phone = self.phone(line)
        await self.phone_hears(
            line, f"the {tone} tone", lambda: which_tone(phone.recording(), self.programs) == tone, within_s
        )

    async def phone_hears(self, line: int, what: str, check: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
        """The same as `phone_shows` for what takes long to tell."""
        if not await asyncio.to_thread(self.phone(line).wait_to_hear, check, within_s):
            pytest.fail(f"within {within_s:g} s not heard on telephone {line + 1}: {what}", pytrace=False)

    def far_tone_heard(self, line: int) -> bool:
        """Whether the far end's tone has been heard in this call: it sounds for a moment only, and we may look late."""
        last = [one for one in self.world.card.transcript if one.line == line and one.what in _BEGINNINGS][-1:]
        if not last or last[0].what == "off-hook":
            return False
        pcm = self.phone(line).recording(min(boot_ms() - last[0].at_ms, _FAR_TONE_MS))
        return any(
            level_dbm0(pcm[at : at + _WINDOW_BYTES], FAR_TONE_HZ) > HEARD_DBM0
            for at in range(len(pcm) - _WINDOW_BYTES, -1, -_WINDOW_BYTES // 2)
        )

    @contextlib.contextmanager
    def listening(self, line: int) -> Iterator[bytearray]:
        """Everything that comes to this telephone as speech meanwhile, as 16-bit PCM; what does not come is silence."""
        pcm = bytearray()
        self.phone(line).converse(None, lambda _now, alaw: pcm.extend(decode_alaw(alaw) if alaw else bytes(160)))
        try:
            yield pcm
        finally:
            self.phone(line).converse(None, None)

    async def announcements(self, pcm: bytearray) -> list[tuple[Language, Announcement]]:
        """Which of all shipped announcements are in what was heard, whole, in order of time.

        To be asked when the telephone has fallen silent: telling them apart keeps this process busy for seconds.
        """

        def compare() -> list[tuple[Language, Announcement]]:
            heard = bytes(pcm)
            found = {name: find(heard, words, at_least=0.6) for name, words in self._words.items()}
            told: list[tuple[Language, Announcement]] = []
            # Some sentences differ by a word: of those that could be there at one time it is the most like.
            for name in sorted(found, key=lambda name: -found[name][0]):
                (likeness, at), samples = found[name], len(self._words[name]) // 2
                if likeness and not any(
                    at < found[other][1] + len(self._words[other]) // 2 and found[other][1] < at + samples
                    for other in told
                ):
                    told.append(name)
            return sorted(told, key=lambda name: found[name][1])

        return await asyncio.to_thread(compare)

    @functools.cached_property
    def _words(self) -> dict[tuple[Language, Announcement], bytes]:
        files = {
            (language, name): data_dir() / "announcements" / language / f"{name}.wav"
            for language in Language for name in Announcement
        }  # fmt: skip
        return {name: decode_alaw(read_recording(path.read_bytes())) for name, path in files.items()}

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
        await self.phone_hears(line, "the far end's tone", lambda: self.far_tone_heard(line), within_s)
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
        """Replace the handset; the gateway knows it then, since it has taken away what was to be heard."""
        phone = self.phone(line)
        phone.on_hook()
        await self.phone_shows(
            line, "the handset down", lambda: not (phone.is_off_hook or phone.audio_open or phone.tone is not None)
        )

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

    def lasted(self, cdr: Cdr, since: int) -> bool:
        """Whether a call that a handset ended was as long for the far end as its record says.

        The far end hears of it once it is certain that this was no recall; what counts is when the handset went down.
        """
        answered, ended = (self.heard("subscribers", event, since) for event in ("answered", "bye"))
        assert answered is not None
        assert ended is not None
        late_ms = ended[1]["at_ms"] - answered[1]["at_ms"] - cdr.duration_ms
        return -_CLOCKS_MS < late_ms < self.tones.analogue.hook.flash_max_ms + _CLOCKS_MS

    async def stored_usage(self, month: str) -> list[UsageRow]:
        reader = await Store.open_reader(self.world.scene.agent_folder)
        async with reader:
            return await reader.usage(month)

    async def all_acknowledged(self, within_s: float = PATIENCE_S) -> None:
        """Every record that the adapter has is at the operator, exactly once, with the same words."""

        async def look() -> bool:
            # A call that has just ended may get its record between the two.
            kept = await self.world.records(_EVERY_RECORD)
            received = await self.received()
            assert len({cdr.id for cdr in received}) == len(received)
            acknowledged = bool(kept) and all(one.state.value == "acknowledged" for one in kept)
            return acknowledged and {one.cdr.id: one.cdr for one in kept} == {cdr.id: cdr for cdr in received}

        await self.until("every record acknowledged, and the operator's the same as ours", look, within_s)

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

    @contextlib.asynccontextmanager
    async def without_agent(self) -> AsyncIterator[None]:
        """The agent was killed, and nobody starts it."""
        words = self.mark()
        self.world.agent.hold()
        self.world.agent.signal(signal.SIGKILL)
        await self.agent_ends(words, "signal SIGKILL")
        try:
            yield
        finally:
            self.world.agent.let_go()

    @contextlib.asynccontextmanager
    async def misconfigured_agent(self) -> AsyncIterator[None]:
        """The agent's configuration is broken and no good one is kept: it ends with code 2 as often as it starts."""
        file = self.world.scene.agent_config
        good = file.read_text()
        kept = self.world.scene.agent_folder / kept_configuration().name
        assert kept.exists()
        file.write_text(good.replace("[operator]", "[operator"))
        kept.unlink()
        words = self.mark()
        self.world.agent.signal(signal.SIGKILL)
        await self.agent_ends(words, "exit code 2")
        try:
            yield
        finally:
            file.write_text(good)

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
        return "\n".join([*parts, "--- said", spoken, "--- card", card, "--- page", self._page()])

    def _page(self) -> str:
        """What the page says of lines and calls, quality included; asked without the test's loop, which has failed."""
        try:
            with urllib.request.urlopen(f"{self.world.scene.page}api/status.json", timeout=3) as answer:
                status = json.load(answer)
        except (OSError, ValueError) as error:
            return str(error)
        return json.dumps({name: status[name] for name in ("lines", "calls", "accounts")})


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
