"""How the command line tells what becomes of dialled digits."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from agent.core.dialplan import Match, Outcome, Step
from agent.core.numbers import classify, normalise
from agent.core.services import CodeTable
from agent.data import Numbering
from agent.texts import Language, Texts

_SHOWN_PATTERNS = 4


class Explained(Struct, frozen=True, kw_only=True):
    """What a number becomes. `outcome` is that of the last digit taken; `number` in E.164 or short; waits in ms."""

    taken: str
    outcome: str
    pattern: str
    number: str = ""
    number_class: str = ""
    wait_ms: int | None = None
    left_over: str = ""


def as_json_text(found: Explained) -> str:
    """The same as JSON."""
    return msgspec.json.format(msgspec.json.encode(found)).decode()


def explained(steps: tuple[Step, ...], digits: str, numbering: Numbering, codes: CodeTable) -> Explained:
    """What becomes of `digits` when they are dialled; `steps` must not be empty.

    A number behind a code that is for one call only (`*31*`) is told without it.
    """
    last = steps[-1]
    called = ""
    if last.match.number and last.match.outcome is not Outcome.SERVICE_CODE:
        numbers = numbering.numbers
        number = last.match.number
        read = codes.read(number) if number[0] in "*#" else None
        called = normalise(
            read.digits if read is not None else number,
            country_code=numbers.country_code,
            international_prefix=numbers.international_prefix,
        )
    pattern = next(iter(last.patterns), "") if last.digits[0] not in "*#" else ""
    return Explained(
        taken=last.digits, outcome=last.match.outcome.name.lower(), pattern=pattern, number=called,
        number_class=classify(called).value if called else "", wait_ms=last.match.timer_ms,
        left_over=digits[len(last.digits) :],
    )  # fmt: skip


def sentence(step: Step, lang: Language, texts: Texts) -> str:
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


def conclusion(found: Explained, match: Match, lang: Language, texts: Texts) -> str:
    """What becomes of a number, in a sentence."""
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
