"""Prefixes as sheets write them: lists, ranges, spaces, `+` and `00`, a country code in a column of its own."""

from __future__ import annotations

import re
from typing import Final

from agent.rating.cells import MAX_PREFIX, CellError
from agent.rating.importing.choices import Choice, Choices, advise

MAX_CODES: Final = 1_000
"""So many prefixes may stand in one cell."""

_AS_TEXT: Final = "format the column as text in the spreadsheet and export it again"
_FORMULA = re.compile(r'="?([0-9+ ,;-]+)"?|\'([0-9+ ,;-]+)')
_FLOAT = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+|[0-9]+\.[0-9]+")
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+")
_LIST = re.compile(r"[,;\n|]")
_RANGE = re.compile(r"(\S+?)\s*[-–]\s*(\S+)")
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_MANGLED = re.compile(r"[0-9]*0{7}", re.ASCII)


def read_codes(column: str, text: str, choices: Choices) -> list[str]:
    """Return the prefixes of a cell, without `+` and `00`. Raises CellError."""
    if text.isdecimal() and text.isascii() and text[0] != "0":
        return [_checked(column, text, text)]
    if not text:
        raise CellError(column, text, "there is no code: write the prefix, or remove the row")
    wrapped = _FORMULA.fullmatch(text)
    bare = (wrapped[1] or wrapped[2]) if wrapped else text
    if _FLOAT.fullmatch(bare):
        raise CellError(column, text, f"a spreadsheet has made a decimal number of this code: {_AS_TEXT}")
    if _GROUPED.fullmatch(bare):
        match choices.get(Choice.LISTS):
            case "number":
                bare = bare.replace(",", "")
            case "":
                raise CellError(
                    column, text, f"one code with thousands separators, or several codes? {advise(Choice.LISTS)}"
                )
    codes: list[str] = []
    for part in _LIST.split(bare):
        codes += _read_part(column, part.strip(), text, choices)
        if len(codes) > MAX_CODES:
            raise CellError(column, text, f"more than {MAX_CODES} codes in one cell: split it into rows")
    return codes


def _read_part(column: str, part: str, text: str, choices: Choices) -> list[str]:
    if not part:
        raise CellError(column, text, "an empty place in a list of codes: remove the separator, or fill it")
    pair = _RANGE.fullmatch(part)
    if pair is not None:
        return _read_pair(column, _strip(pair[1]), _strip(pair[2]), text, choices)
    words = part.split()
    if len(words) > 1 and all(_DIGITS.fullmatch(_strip(word)) for word in words):
        chosen = choices.get(Choice.SPACES)
        if not chosen and _may_be_codes(words):
            raise CellError(column, text, f"one code with spaces, or several codes? {advise(Choice.SPACES)}")
        if chosen == "list":
            return [_checked(column, _strip(word), text) for word in words]
    return [_checked(column, _strip("".join(words)), text)]


def _read_pair(column: str, first: str, last: str, text: str, choices: Choices) -> list[str]:
    chosen = choices.get(Choice.HYPHEN)
    if not chosen and _is_surely_a_range(first, last):
        chosen = "range"
    if chosen == "join":
        return [_checked(column, first + last, text)]
    if not chosen:
        advice = f"a range from {first} to {last}, or the one code {first}{last}? {advise(Choice.HYPHEN)}"
        raise CellError(column, text, advice)
    _checked(column, first, text)
    _checked(column, last, text)
    if len(first) != len(last) or last < first:
        raise CellError(column, text, "a range has two codes of the same length, the smaller first: write both in full")
    if int(last) - int(first) >= MAX_CODES:
        raise CellError(column, text, f"a range of more than {MAX_CODES} codes: write the shorter codes that it covers")
    return [str(code) for code in range(int(first), int(last) + 1)]


def _is_surely_a_range(first: str, last: str) -> bool:
    """Two codes that differ in their last two digits at most: joined they would say the same digits twice."""
    shared = len(first) - 2
    return shared >= 2 and len(first) == len(last) and first < last and first[:shared] == last[:shared]


def _may_be_codes(words: list[str]) -> bool:
    """Whether each word could be a code of its own: same length, none begins with zero, or same country."""
    if any(word.startswith("0") for word in words):
        return False
    same_length = len({len(word) for word in words}) == 1
    same_country = len(words[0]) > 2 and all(word[:2] == words[0][:2] for word in words)
    return same_length or same_country


def _strip(code: str) -> str:
    if code.startswith("+"):
        return code[1:]
    return code.removeprefix("00")


def _checked(column: str, code: str, text: str) -> str:
    if not _DIGITS.fullmatch(code):
        raise CellError(column, text, "a prefix has digits only, from the country code on")
    if code.startswith("0"):
        raise CellError(column, text, "no country code begins with 0: remove the trunk zero and write the country code")
    if len(code) > 9 and _MANGLED.fullmatch(code):
        raise CellError(
            column, text, f"a run of zeros: a spreadsheet has rounded this code, ask for the real one and {_AS_TEXT}"
        )
    if len(code) > MAX_PREFIX:
        raise CellError(column, text, f"no number has more than {MAX_PREFIX} digits")
    return code
