"""`iplink-agent lab`: the main job on an embedded operator, live in the terminal, with a score at the end."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console

from agent import clock
from agent.lab.process import LabProcessError, Message
from agent.lab.screen import Screen, sentence
from agent.lab.story import StepFailedError, Story, Summary
from agent.lab.world import World, free_port
from firmware_bridge.simulator import TranscriptEntry

_PAGE_PORT = 8080
_PAUSE_S = 8.0
_CALL_TAKES_S = 12.0
"""No new call is begun when less than this is left."""
_FEWEST_CALLS = 2
"""One out and one in: without them the main job has not run."""
_LOOK_S = 0.25

EXIT_OK = 0
EXIT_FAILED = 1


def main(*, seconds: int | None, json: bool, keep: Path | None) -> int:
    """Run the lab for `seconds` (None: until Ctrl-C); 0 only if every step happened. `keep`: where its files stay."""
    console = Console(stderr=json)
    with contextlib.ExitStack() as stack:
        if keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iplink-lab-")))
        else:
            folder = keep
            folder.mkdir(parents=True, exist_ok=True)
        screen = stack.enter_context(Screen(console, quiet=json))
        try:
            summary = asyncio.run(_run(folder, screen, seconds))
        except LabProcessError as error:
            console.print(f"The lab could not start: {error}", markup=False)
            return EXIT_FAILED
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(summary)).decode() + "\n")
    else:
        _print_summary(console, summary)
    return EXIT_OK if summary.ok else EXIT_FAILED


async def _run(folder: Path, screen: Screen, seconds: int | None) -> Summary:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)

    def hear(who: str, message: Message) -> None:
        screen.say(sentence(who, message))

    screen.say("Starting an operator, its subscribers, a line card, the gateway and the agent …")
    async with World(folder, hear, page_port=free_port(_PAGE_PORT)) as world:
        screen.serve(world.scene.page)
        world.card.observe(_on_loop(loop, lambda entry: screen.phone(entry.line, entry.what)))
        watching = asyncio.create_task(_watch(world, screen))
        story = Story(world, screen.say)
        playing = asyncio.create_task(_play(story, seconds))
        stopping = asyncio.create_task(ended.wait())
        await asyncio.wait((playing, stopping), return_when=asyncio.FIRST_COMPLETED)
        for task in (playing, stopping, watching):
            task.cancel()
        await asyncio.gather(playing, stopping, watching, return_exceptions=True)
        return await story.summary()


def _on_loop(
    loop: asyncio.AbstractEventLoop, call: Callable[[TranscriptEntry], None]
) -> Callable[[TranscriptEntry], None]:
    """Bring what the card's thread says onto the event loop."""

    def heard(entry: TranscriptEntry) -> None:
        loop.call_soon_threadsafe(call, entry)

    return heard


async def _play(story: Story, seconds: int | None) -> None:
    deadline = clock.boot_ms() + seconds * 1000 if seconds is not None else None
    try:
        await story.begin()
        while True:
            for scene in (story.call_sweden, story.kari_calls, story.call_busy):
                if story.calls >= _FEWEST_CALLS and _is_late(deadline):
                    await asyncio.sleep(_left(deadline))
                    return
                await scene()
            await asyncio.sleep(min(_PAUSE_S, _left(deadline)))
    except (StepFailedError, LabProcessError):
        # The step itself is in the score, with its reason; nothing after it would mean anything.
        return


def _is_late(deadline: int | None) -> bool:
    return _left(deadline) < _CALL_TAKES_S


def _left(deadline: int | None) -> float:
    """Seconds until the end; without one, for ever."""
    return math.inf if deadline is None else max(0.0, (deadline - clock.boot_ms()) / 1000)


async def _watch(world: World, screen: Screen) -> None:
    while True:
        screen.show(await world.status())
        await asyncio.sleep(_LOOK_S)


def _print_summary(console: Console, summary: Summary) -> None:
    for step in summary.steps:
        mark = "[green]ok  [/green]" if step.ok else "[red]FAIL[/red]"
        took = f"{step.ms} ms" if step.ms is not None else ""
        console.print(f"{mark} {step.name:28} {took:>9}  {step.detail}", highlight=False)
    verdict = "[green]Everything happened.[/green]" if summary.ok else "[red]Not everything happened.[/red]"
    console.print(
        f"{summary.calls} calls, {summary.records} records, {summary.acknowledged} acknowledged. {verdict}",
        highlight=False,
    )
