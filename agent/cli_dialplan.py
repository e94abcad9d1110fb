"""`iplink-agent dialplan …`: what the telephone makes of dialled digits, and whether a map of one's own can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from msgspec import Struct

from agent.core.dialplan import DialPlan, Match, Outcome, Step, compile_plan, explain
from agent.core.digit_pattern import DialPlanError, Pattern, read_patterns
from agent.core.foreign_map import read_map
from agent.core.numbers import EMERGENCY, classify, normalise
from agent.texts import Language

if TYPE_CHECKING:
    from agent.data import Numbering
    from agent.texts import Texts

MAX_ASKED = 64
_SHOWN_PATTERNS = 4

dialplan_app = typer.Typer(no_args_is_help=True, help="Dialled digits: explain a number, check a digit map.")

MapOption = Annotated[
    str, typer.Option("--map", metavar="MAP", help="Another digit map: (..|..), {..|..} or patterns with | between.")
]
MapConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="PATH", help="Take the map from this configuration.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LangOption = Annotated[Language, typer.Option("--lang", help="Language of the answer.")]


class Explained(Struct, frozen=True, kw_only=True):
    """What a number becomes. `outcome` is that of the last digit taken; `number` in E.164 or short; waits in ms."""

    taken: str
    outcome: str
    pattern: str
    number: str = ""
    number_class: str = ""
    wait_ms: int | None = None
    left_over: str = ""


@dialplan_app.command("explain")
def explain_number(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="Digits as dialled: 0-9, * and #.")],
    own_map: MapOption = "",
    config: MapConfigOption = None,
    as_json: JsonOption = False,  # noqa: FBT002 - typer makes a flag of it
    lang: LangOption = Language.EN,
) -> None:
    """Show digit by digit when a number is whole, what waits for what, and what is called in the end."""
    from agent.cli import CliError, Exit

    digits = number.translate(str.maketrans("", "", " -()"))
    if not digits or len(digits) > MAX_ASKED or set(digits) - set("0123456789*#ABCD"):
        raise CliError(
            f"NUMBER: found {number[:MAX_ASKED]!r}; a telephone dials 1 to {MAX_ASKED} of 0-9, *, #, A-D (00 for +)",
            Exit.BAD_INPUT,
        )
    numbering, plan, patterns = _compiled(_numbering(own_map, config))
    steps = explain(plan, patterns, digits)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(_explained(steps, digits, numbering))).decode())
        return
    texts = _texts()
    for step in steps:
        typer.echo(f"{step.digits:<20} {_sentence(step, lang, texts)}")
    typer.echo(_conclusion(_explained(steps, digits, numbering), steps[-1].match, lang, texts))


@dialplan_app.command("check")
def check_map(
    own_map: Annotated[str, typer.Argument(metavar="MAP", help="A digit map, in quotes.")],
    lang: LangOption = Language.EN,
) -> None:
    """Check a digit map: read it, look for numbers that would reach somebody else, show it as this adapter has it."""
    from agent.cli import CliError, Exit

    try:
        found = read_map(own_map)
    except DialPlanError as error:
        raise CliError(f"MAP: {error}", Exit.BAD_INPUT) from error
    _, plan, _ = _compiled(_numbering(own_map, None))
    texts = _texts()
    patterns = len(found.patterns)
    typer.echo(texts.say("dialplan.read", lang, dialect=found.dialect, patterns=patterns, places=plan.states))
    for pattern in found.patterns:
        typer.echo(f"  {pattern}")
    for one in found.left_out:
        typer.echo(texts.say(f"dialplan.left_out_{one.why}", lang, rule=one.rule, text=one.text))


def _numbering(own_map: str, config: Path | None) -> Numbering:
    from agent.cli import CliError, Exit
    from agent.config import ConfigError, load
    from agent.data import DataError, load_numbering

    try:
        configured = load(config).dialling.map if config is not None else ""
        return load_numbering().with_map(own_map or configured)
    except DialPlanError as error:
        raise CliError(f"--map: {error}", Exit.BAD_INPUT) from error
    except (ConfigError, DataError) as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error


def _compiled(numbering: Numbering) -> tuple[Numbering, DialPlan, list[Pattern]]:
    from agent.cli import CliError, Exit

    digits, prefix = numbering.digit_map, numbering.numbers.international_prefix
    emergency = [*sorted(EMERGENCY), *digits.emergency]
    try:
        plan = compile_plan(
            digits.patterns, emergency, timer_ms=digits.timer_ms, first_digit_ms=digits.first_digit_ms,
            international_prefix=prefix,
        )  # fmt: skip
        read = read_patterns(digits.patterns, emergency, timer_ms=digits.timer_ms, international_prefix=prefix)
    except DialPlanError as error:
        raise CliError(f"the digit map cannot be used: {error}", Exit.BAD_INPUT) from error
    return numbering, plan, read


def _explained(steps: tuple[Step, ...], digits: str, numbering: Numbering) -> Explained:
    last = steps[-1]
    called = ""
    if last.match.number and last.match.outcome is not Outcome.SERVICE_CODE:
        numbers = numbering.numbers
        called = normalise(
            last.match.number, country_code=numbers.country_code, international_prefix=numbers.international_prefix
        )
    pattern = next(iter(last.patterns), "") if last.digits[0] not in "*#" else ""
    return Explained(
        taken=last.digits, outcome=last.match.outcome.name.lower(), pattern=pattern, number=called,
        number_class=classify(called).value if called else "", wait_ms=last.match.timer_ms,
        left_over=digits[len(last.digits) :],
    )  # fmt: skip


def _sentence(step: Step, lang: Language, texts: Texts) -> str:
    """One step in words, with the patterns that still fit."""
    patterns = () if step.digits[0] in "*#" else step.patterns
    shown = ", ".join(patterns[:_SHOWN_PATTERNS])
    if len(patterns) > _SHOWN_PATTERNS:
        shown += f" (+{len(patterns) - _SHOWN_PATTERNS})"
    told = texts.say(f"dialplan.{_key(step.match)}", lang, seconds=_seconds(step.match.timer_ms))
    return f"{told}  {shown}".rstrip() if step.match.outcome is not Outcome.IMPOSSIBLE else told


def _key(match: Match) -> str:
    if match.emergency:
        return "emergency"
    if match.barred:
        return "barred"
    if match.outcome is Outcome.NEED_MORE and match.timer_ms is not None:
        return "waits"
    return match.outcome.name.lower()


def _seconds(ms: int | None) -> str:
    return f"{(ms or 0) / 1000:g}"


def _conclusion(found: Explained, match: Match, lang: Language, texts: Texts) -> str:
    if found.number and match.outcome is Outcome.NEED_MORE:
        key = "ends_waiting"
    elif found.number:
        key = "ends_called"
    else:
        key = f"ends_{_key(match)}"
    told = texts.say(
        f"dialplan.{key}", lang, number=found.number, number_class=found.number_class,
        seconds=_seconds(found.wait_ms),
    )  # fmt: skip
    if found.left_over:
        told += " " + texts.say("dialplan.left_over", lang, digits=found.left_over)
    return told


def _texts() -> Texts:
    from agent.cli import CliError, Exit
    from agent.texts import TextError, Texts

    try:
        return Texts.load()
    except TextError as error:
        raise CliError(str(error), Exit.MISSING_PART) from error
