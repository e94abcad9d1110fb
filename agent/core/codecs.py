"""Which speech codecs a registration uses: what its operator lists, as far as this adapter can, and G.711 always."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

PCMA: Final = "PCMA"
PCMU: Final = "PCMU"
G711: Final = (PCMA, PCMU)
"""ITU-T G.711: what a machine's line uses, and nothing else; every gateway to the telephone network has it."""
OPUS: Final = "opus"
KNOWN: Final = (PCMA, PCMU, "G722", OPUS)
"""Encoding names (RFC 3551 §6, RFC 7587) of what is worth a telephone's while. Whatever else a library brings is off:
each codec is a parser that strangers feed."""


class Chosen(Struct, frozen=True):
    """`codecs`: in order of preference, as `KNOWN` writes them; `refused`: names that are not to be had here.

    `added`: G.711 was not listed (or could not be had), and was put last: emergency calls and machines need it.
    """

    codecs: tuple[str, ...]
    refused: tuple[str, ...] = ()
    added: bool = False


def available(library: Iterable[str]) -> tuple[str, ...]:
    """The known codecs among the identifiers of a library, such as `G722/16000/1`, in the order of `KNOWN`."""
    names = {identifier.partition("/")[0].casefold() for identifier in library}
    return tuple(name for name in KNOWN if name.casefold() in names)


def choose(wanted: Sequence[str], having: Sequence[str]) -> Chosen:
    """What of an ordered list can be used where `having` is available; the names are not case-sensitive (RFC 4855)."""
    by_name = {name.casefold(): name for name in having}
    found = dict.fromkeys(by_name[name.casefold()] for name in wanted if name.casefold() in by_name)
    refused = tuple(dict.fromkeys(name for name in wanted if name.casefold() not in by_name))
    added = not any(name in found for name in G711)
    return Chosen((*found, *((PCMA,) if added else ())), refused, added)


def plain(codecs: Sequence[str]) -> tuple[str, ...]:
    """What of a list a machine's line uses."""
    return tuple(name for name in codecs if name in G711)


def with_g711(codecs: Sequence[str]) -> tuple[str, ...]:
    """The list of an emergency call: no call for help fails because two lists have nothing in common."""
    return tuple(dict.fromkeys((*codecs, *G711)))
