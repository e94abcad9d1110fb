"""Words that others have written, made fit for a log, a record or a page."""

from __future__ import annotations

import re

MAX_PHRASE = 200
_NUMBER = re.compile(r"\d(?:[ \t\u00a0-]?\d){4,}")
_KEPT_DIGITS = 4


def one_line(text: str, limit: int = MAX_PHRASE) -> str:
    """Foreign words for a log, a record or a page: one line of at most `limit` characters that can be encoded."""
    clean = text[:limit].encode("utf-8", "replace").decode()
    return "".join(character if character.isprintable() else " " for character in clean)


def phrase(text: str, limit: int = MAX_PHRASE) -> str:
    """A reason phrase, or the library's own words: one line without the telephone numbers in it."""
    return one_line(mask_numbers(one_line(text, limit)), limit)


def mask_numbers(text: str) -> str:
    """The text with all but the last four digits of every number of five or more hidden, also where it is written in
    groups (`41 23 45 12`).
    """
    return _NUMBER.sub(_masked, text)


def _masked(number: re.Match[str]) -> str:
    characters = list(number[0])
    places = [at for at, character in enumerate(characters) if character.isdecimal()]
    for at in places[:-_KEPT_DIGITS]:
        characters[at] = "*"
    return "".join(characters)
