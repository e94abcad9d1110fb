"""`iplink-agent dialplan …`: what the telephone makes of dialled digits, and whether a map of one's own can be used."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli_base import PATH, CliError, Exit, Group, json_option, lang_option, load_texts
from agent.core.announcement import Language

if TYPE_CHECKING:
    from agent.core.dialplan import DialPlan
    from agent.core.digit_pattern import Pattern
    from agent.core.services import CodeTable
    from agent.data import Numbering

MAX_ASKED = 64


@click.group("dialplan", cls=Group)
def dialplan_group() -> None:
    """Dialled digits: explain a number, check a digit map."""


@dialplan_group.command("explain")
@click.argument("number", metavar="NUMBER", help="Digits as dialled: 0-9, * and #.")
@click.option(
    "--map",
    "own_map",
    metavar="MAP",
    default="",
    show_default=False,
    help="Another digit map: (..|..), {..|..} or patterns with | between.",
)
@click.option("--config", metavar="PATH", type=PATH, help="Take the map from this configuration.")
@json_option
@lang_option
def explain_number(number: str, own_map: str, config: Path | None, as_json: bool, lang: Language) -> None:
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
    codes = _codes()
    steps = explain(dataclasses.replace(plan, codes=codes), patterns, digits)
    if as_json:
        click.echo(as_json_text(explained(steps, digits, numbering, codes)))
        return
    texts = load_texts()
    for step in steps:
        click.echo(f"{step.digits:<20} {sentence(step, lang, texts)}")
    click.echo(conclusion(explained(steps, digits, numbering, codes), steps[-1].match, lang, texts))


@dialplan_group.command("check")
@click.argument("own_map", metavar="MAP", help="A digit map, in quotes.")
@lang_option
def check_map(own_map: str, lang: Language) -> None:
    """Check a digit map: read it, look for numbers that would reach somebody else, show it as this adapter has it."""
    from agent.core.dialplan import DialPlanError
    from agent.core.foreign_map import read_map

    try:
        found = read_map(own_map)
    except DialPlanError as error:
        raise CliError(f"MAP: {error}", Exit.BAD_INPUT) from error
    _, plan, _ = _compiled(_numbering(own_map, None))
    texts = load_texts()
    patterns = len(found.patterns)
    click.echo(texts.say("dialplan.read", lang, dialect=found.dialect, patterns=patterns, places=plan.states))
    for pattern in found.patterns:
        click.echo(f"  {pattern}")
    for one in found.left_out:
        click.echo(texts.say(f"dialplan.left_out_{one.why}", lang, rule=one.rule, text=one.text))


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


def _codes() -> CodeTable:
    from agent.core.services import CodeTable
    from agent.data import DataError, load_services

    try:
        return CodeTable(load_services())
    except DataError as error:
        raise CliError(str(error), Exit.BAD_INPUT) from error
