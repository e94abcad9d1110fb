"""The file in which DNS answers outlive the process: without it a restart without DNS would end the telephone."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from agent.files import write_whole
from agent.net.answers import MAX_ANSWERS, Answer
from agent.net.names import MAX_RECORDS, Address, Kind, Naptr, Question, Rdata, Srv

_MAX_FILE: Final = 1 << 20

_Name = Annotated[str, Meta(max_length=1024)]
_Word = Annotated[int, Meta(ge=0, le=65_535)]


class _Record(Struct, frozen=True, omit_defaults=True):
    name: _Name = ""
    numbers: Annotated[list[_Word], Meta(max_length=3)] = []
    flags: _Name = ""
    service: _Name = ""


class _Kept(Struct, frozen=True):
    name: _Name
    kind: Kind
    since_s: float
    ttl_s: Annotated[int, Meta(ge=0, le=86_400)]
    records: Annotated[list[_Record], Meta(max_length=MAX_RECORDS)]


class _File(Struct, frozen=True):
    seed: Annotated[int, Meta(ge=0, lt=2**62)]
    answers: Annotated[list[_Kept], Meta(max_length=MAX_ANSWERS)] = []


class Memory:
    """Answers, and the seed of this adapter's own order among servers of equal priority."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seed = random.SystemRandom().getrandbits(61)

    def load(self) -> list[Answer]:
        """What was kept; nothing where there is no usable file."""
        try:
            with self._path.open("rb") as file:
                kept = msgspec.json.decode(file.read(_MAX_FILE), type=_File)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return []
        self._seed = kept.seed
        return [
            Answer(Question(one.name, one.kind), tuple(_rdata(one.kind, record) for record in one.records),
                   one.since_s, one.ttl_s)
            for one in kept.answers
        ]  # fmt: skip

    def save(self, answers: Iterable[Answer]) -> None:
        """Replace the file, whole or not at all. Raises OSError."""
        kept = [
            _Kept(one.question.name, one.question.kind, one.since_s, one.ttl_s,
                  [_record(rdata) for rdata in one.records[:MAX_RECORDS]])
            for one in answers
        ]  # fmt: skip
        write_whole(self._path, msgspec.json.encode(_File(self._seed, kept[-MAX_ANSWERS:])))

    def draw(self, name: str) -> float:
        """The number of a name, 0 ≤ u < 1: for one adapter the same for life."""
        return random.Random(f"{self._seed} {name}").random()  # noqa: S311  spreads load; nothing secret


def _record(rdata: Rdata) -> _Record:
    match rdata:
        case Address(ip):
            return _Record(ip)
        case Srv(priority, weight, port, host):
            return _Record(host, [priority, weight, port])
        case Naptr(order, preference, flags, service, replacement):
            return _Record(replacement, [order, preference], flags, service)


def _rdata(kind: Kind, record: _Record) -> Rdata:
    numbers = [*record.numbers, 0, 0, 0]
    match kind:
        case Kind.SRV:
            return Srv(numbers[0], numbers[1], numbers[2], record.name)
        case Kind.NAPTR:
            return Naptr(numbers[0], numbers[1], record.flags, record.service, record.name)
        case Kind.A | Kind.AAAA:
            return Address(record.name)
