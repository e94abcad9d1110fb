"""`iplink-agent line …`: what a technician does with the line card of a running gateway."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from agent.cli_base import (
    PATH,
    CliError,
    Exit,
    Group,
    json_option,
    lang_option,
    leave,
    load_texts,
    state_option,
)
from agent.core.announcement import Language

if TYPE_CHECKING:
    from agent.gateway.card_records import LineTestState, LineTestStep, LineTestValue, UpdateState
    from agent.gateway.control import Answer, Order
    from agent.texts import Texts

DEFAULT_CONTROL: Final = Path("/run/iplink-gateway/control.sock")
_TEST_PATIENCE_S: Final = 15.0
_UPDATE_PATIENCE_S: Final = 120.0
"""A card that starts firmware which does not talk is heard of again after more than a minute."""

_control_option = click.option(
    "--control", metavar="PATH", type=PATH, default=DEFAULT_CONTROL, help="The gateway's socket for technicians."
)


@click.group("line", cls=Group)
def line_group() -> None:
    """The line card and its serial link."""


@line_group.command("test")
@click.argument(
    "line", metavar="LINE", type=click.IntRange(1, 8), help="The line, counted from 1 as on the status page."
)
@json_option
@lang_option
@_control_option
def run_test(line: int, as_json: bool, lang: Language, control: Path) -> None:
    """Measure the wires of an idle line: receiver off the hook, voltages, insulation, ringers (GR-909).

    A call or a lifted handset ends it. Exit code 1 where a test failed or could not be done.
    """
    from agent.gateway.card_records import LineTestState
    from agent.gateway.protocol import Exercise

    texts = load_texts()
    order = Exercise(line=line - 1, what="test", request=uuid.uuid4().hex)
    shown = 0
    for state in _answers(control, order, _TEST_PATIENCE_S):
        if not isinstance(state, LineTestState):
            continue
        over = state.phase.value != "running"
        if as_json:
            if over:
                import msgspec

                click.echo(json.dumps(msgspec.to_builtins(state), indent=1))
        else:
            for step in state.steps[shown:]:
                click.echo("\n".join(_step_lines(step, texts, lang)))
            shown = len(state.steps)
            if over:
                click.echo(_conclusion(state, texts, lang))
        if over:
            leave(None if state.passed else Exit.FAILED)
            return


@line_group.command("update")
@click.argument("image", metavar="IMAGE", type=PATH, help="A signed firmware image for the line card.")
@click.option("--force", is_flag=True, help="Also an older version, or the same again.")
@lang_option
@_control_option
def update(image: Path, force: bool, lang: Language, control: Path) -> None:
    """Give the line card new firmware while nobody telephones.

    A call, a lifted handset or Ctrl-C ends it without harm, up to the restart of the card; the same command goes on
    where it stopped. The card keeps its old firmware until the new one has proved itself.
    """
    from agent.gateway.card_records import UpdateState
    from agent.gateway.control import UpdateCard, regular_file

    texts = load_texts()
    try:
        file = image.open("rb")
        regular_file(file.fileno())
    except OSError as error:
        raise CliError(f"{image}: {error.strerror or error}", Exit.BAD_INPUT) from error
    order = UpdateCard(request=uuid.uuid4().hex, forced=force)
    with file:
        last = _follow(
            (
                state
                for state in _answers(control, order, _UPDATE_PATIENCE_S, file.fileno())
                if isinstance(state, UpdateState)
            ),
            texts,
            lang,
        )
    if last.phase.value == "done":
        click.echo(texts.say("update.done", lang, version=last.version))
        return
    sentence = texts.say(f"update.{last.phase.value}", lang, reason=update_reason(last, texts, lang))
    raise CliError(sentence, Exit.BAD_INPUT if last.reason == "refused_image" else Exit.FAILED)


def _follow(states: Iterator[UpdateState], texts: Texts, lang: str) -> UpdateState:
    """Draw the progress; the last state."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        for state in states:
            if state.phase.over:
                if state.phase.value == "done":
                    bar.update(task, completed=state.total, total=state.total)
                return state
            phase = texts.say(f"update.phase_{state.phase.value}", lang)
            bar.update(task, description=phase, completed=state.sent, total=state.total or None)
    raise CliError("the gateway has ended", Exit.FAILED)


def update_reason(state: UpdateState, texts: Texts, lang: str) -> str:
    """Why an update ended, in a sentence, with what the card or the image's reader said."""
    key = f"update.{state.reason}"
    sentence = texts.say(key, lang) if key in texts else state.reason
    return f"{sentence} ({state.detail})" if state.detail else sentence


def _answers(control: Path, order: Order, patience_s: float, file: int | None = None) -> Iterator[Answer]:
    from agent.gateway.control import ControlError, converse

    try:
        yield from converse(control, order, patience_s=patience_s, file=file)
    except ControlError as error:
        raise CliError(str(error), Exit.FAILED) from error


def _step_lines(step: LineTestStep, texts: Texts, lang: str) -> Iterator[str]:
    verdict = texts.say(f"linetest.verdict_{step.verdict.value}", lang)
    yield f"{texts.say(f'linetest.test_{step.test.value}', lang)}: {verdict}"
    for value in step.values:
        mark = " " if value.good else "!"
        between = texts.say(f"linetest.between_{value.between.value}", lang)
        yield f"  {mark} {between} {amount(value)}   [{limits(value)}]"
    yield f"    {texts.say(f'linetest.{step.meaning}', lang)}"


def _conclusion(state: LineTestState, texts: Texts, lang: str) -> str:
    from agent.gateway.card_records import conclusion

    if state.phase.value == "done":
        return texts.say(f"linetest.{conclusion(state)}", lang)
    key = f"linetest.{state.reason}"
    reason = texts.say(key, lang) if key in texts else state.reason
    return texts.say(f"linetest.{state.phase.value}", lang, reason=reason)


_UNITS: Final = {"mv_dc": ("V DC", 1000), "mv_rms": ("V AC", 1000), "milli_ren": ("REN", 1000), "permille": ("%", 10)}


def amount(value: LineTestValue, number: int | None = None) -> str:
    """A measured value (or `number` of its unit) as a technician reads it: `12.5 V AC`, `150 kΩ`."""
    size = value.value if number is None else number
    if value.unit.value == "ohm":
        return f"{size} Ω" if abs(size) < 10_000 else f"{round(size / 1000)} kΩ"
    unit, scale = _UNITS[value.unit.value]
    return f"{size / scale:.3g} {unit}"


def limits(value: LineTestValue) -> str:
    """What a value must keep to, and the rule."""
    parts = [f"≥ {amount(value, value.lowest)}"] if value.lowest is not None else []
    parts += [f"≤ {amount(value, value.highest)}"] if value.highest is not None else []
    return f"{', '.join(parts)}; {value.source}"


@line_group.command("trace")
@state_option
def line_trace(state: Path) -> None:
    """Print the last frames of the line card's link, without digits or numbers.

    The gateway writes them when a session with the card is lost, and at once on SIGUSR1
    (systemctl kill -s USR1 iplink-gateway).
    """
    path = state / "line-trace.txt"
    try:
        with path.open("rb") as file:
            text = file.read(1 << 20).decode("utf-8", "replace")
    except FileNotFoundError as error:
        raise CliError(
            f"{path}: there is no trace; the link was never lost. Ask the running gateway for one with SIGUSR1",
            Exit.FAILED,
        ) from error
    except OSError as error:
        raise CliError(f"{path}: {error.strerror or error}; run this as the gateway's user", Exit.BAD_INPUT) from error
    click.echo(text, nl=False)
