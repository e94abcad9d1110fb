"""Distinctive ringing: which named ringing the words of an INVITE's Alert-Info ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_URN: Final = "urn:alert:"


def ring_name(words: Sequence[str], rings: Mapping[str, Sequence[str]]) -> str:
    """The first of `rings` (names with the words that ask for them) that the INVITE asks for; empty: the usual ringing.

    A URN that is more special than ours asks for it too: labels are dropped from its end (RFC 7462 §11.1).
    """
    wanted = {word.lower(): name for name, asked_by in reversed(list(rings.items())) for word in asked_by}
    for word in words:
        for one in _less_and_less_special(word.lower()):
            if one in wanted:
                return wanted[one]
    return ""


def _less_and_less_special(word: str) -> Sequence[str]:
    if not word.startswith(_URN):
        return (word,)
    labels = word.split(":")
    return [":".join(labels[:count]) for count in range(len(labels), 2, -1)]
