"""`iplink-agent dialplan …`: what the telephone makes of dialled digits, and whether a map of one's own can be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli_base import CliError, Exit
from agent.texts import Language

if TYPE_CHECKING:
    from agent.core.dialplan import DialPlan
    from agent.core.digit_pattern import Pattern
    from agent.data import Numbering
    from agent.texts import Texts

MAX_ASKED = 64

dialplan_app = typer.Typer(no_args_is_help=True, help="Dialled digits: explain a number, check a digit map.")

MapOption = Annotated[
    str, typer.Option("--map", metavar="MAP", help="Another digit map: (..|..), {..|..} or patterns with | between.")
]
MapConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="PATH", help="Take the map from this configuration.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LangOption = Annotated[Language, typer.Option("--lang", help="Language of the answer.")]


@dialplan_app.command("explain")
def explain_number(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="Digits as dialled: 0-9, * and #.")],
    own_map: MapOption = "",
    config: MapConfigOption = None,
    as_json: JsonOption = False,
    lang: LangOption = Language.EN,
) -> None:
    """Show digit by digit when a number is whole, what waits for what, and what is called in the end."""
    from agent.cli_dialplan_show import as_json_text, conclusion, explained, sentence
    from agent.core.dialplan import explain

    digits = number.translate(str.maketrans("", "", " -()"))
    if not digits or len(digits) > MAX_ASKED or set(digits) - set("0123456789*#ABCD"):
        raise CliError(
            f"NUMBER: found {number[:MAX_ASKED]!r}; a telephone dials 1 to {MAX_ASKED} of 0-9, *, #, A-D (00 for +)",
            Exit.BAD_INPUT,
        )
    numbering, plan, patterns = _compiled(_numbering(own_map, config))
    steps = explain(plan, patterns, digits)
    if as_json:
        typer.echo(as_json_text(explained(steps, digits, numbering)))
        return
    texts = _texts()
    for step in steps:
        typer.echo(f"{step.digits:<20} {sentence(step, lang, texts)}")
    typer.echo(conclusion(explained(steps, digits, numbering), steps[-1].match, lang, texts))


@dialplan_app.command("check")
def check_map(
    own_map: Annotated[str, typer.Argument(metavar="MAP", help="A digit map, in quotes.")],
    lang: LangOption = Language.EN,
) -> None:
    """Check a digit map: read it, look for numbers that would reach somebody else, show it as this adapter has it."""
    from agent.core.dialplan import DialPlanError
    from agent.core.foreign_map import read_map

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
    from agent.config import ConfigError, load
    from agent.core.dialplan import DialPlanError
    from agent.data import DataError, load_numbering

    try:
        configured = load(config).dialling.map if config is not None else ""
        return load_numbering().with_map(own_map or configured)
    except DialPlanError as error:
        raise CliError(f"--map: {error}", Exit.BAD_INPUT) from error
    except (ConfigError, DataError) as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error


def _compiled(numbering: Numbering) -> tuple[Numbering, DialPlan, list[Pattern]]:
    from agent.core.dialplan import DialPlanError, compile_plan
    from agent.core.digit_pattern import read_patterns
    from agent.core.numbers import EMERGENCY

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


def _texts() -> Texts:
    from agent.texts import TextError, Texts

    try:
        return Texts.load()
    except TextError as error:
        raise CliError(str(error), Exit.MISSING_PART) from error
