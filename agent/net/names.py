"""From a target as the operator writes it to IP targets, best first (RFC 3263 §4, RFC 2782): pure.

`expand` never asks anybody: it says which questions it still needs answered, and is called again.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

MAX_TARGETS: Final = 8
"""What the gateway keeps of one registration."""
MAX_RECORDS: Final = 16
MAX_ADDRESSES: Final = 4
"""Of one name and family: a name with dozens would crowd every other server out."""
TRANSPORTS: Final = ("udp",)
"""What the gateway speaks, preferred first."""

_SPEC: Final = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:;\[\]\s/@]{1,253})(?::(?P<port>\d{1,5}))?(?:;transport=(?P<transport>[A-Za-z]+))?"
)
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_SERVICE: Final = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
_NAPTR_SERVICE: Final = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_DEFAULT_PORT: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}
_MAX_PORT: Final = 65_535


_R = TypeVar("_R", "Naptr", "Srv", "Address")


class TargetError(ValueError):
    """A target that nobody can be reached by; the message names it and says why."""


class Kind(enum.StrEnum):
    """What is asked of the DNS."""

    NAPTR = "NAPTR"
    SRV = "SRV"
    A = "A"
    AAAA = "AAAA"


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `name` in lower case, without the last dot."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Naptr:
    """RFC 3403 §4.1; `replacement` as a Question's name."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """RFC 2782; an empty `host`: the service is decidedly not there."""

    priority: int
    weight: int
    port: int
    host: str


@dataclass(frozen=True, slots=True)
class Address:
    """An A or AAAA record, as text in its shortest form."""

    ip: str


Rdata = Naptr | Srv | Address
Known = Mapping[Question, Sequence[Rdata]]
"""Questions that have been answered; with nothing, where there is nothing."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A target as the operator writes it: `host[:port][;transport=udp]`."""

    host: str
    port: int | None
    transport: str

    @property
    def address(self) -> str:
        """The IP address that the host is, in its shortest form; empty: it is a name."""
        try:
            return str(ipaddress.ip_address(self.host))
        except ValueError:
            return ""


@dataclass(frozen=True, slots=True)
class Expansion:
    """What is known so far: IP targets best first, and the questions whose answers may add to them."""

    targets: tuple[str, ...] = ()
    wanted: frozenset[Question] = frozenset()


def parse_spec(text: str) -> Spec:
    """Read a target. Raises TargetError for a form, port, host or transport that cannot be."""
    match = _SPEC.fullmatch(text)
    if match is None:
        raise TargetError(f"target {text!r} is not of the form host:port;transport=udp")
    transport = (match["transport"] or "").lower()
    if transport and transport not in TRANSPORTS:
        raise TargetError(
            f"target {text!r} asks for transport {transport}; this adapter speaks {', '.join(TRANSPORTS)}"
        )
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port <= _MAX_PORT:
        raise TargetError(f"target {text!r} has port {port}, which does not exist")
    host = match["host"].strip("[]").rstrip(".").lower()
    spec = Spec(host, port, transport)
    if not spec.address and not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise TargetError(f"target {text!r} has a host that is neither an IP address nor a name")
    return spec


def expand(spec: Spec, known: Known, draw: Callable[[str], float]) -> Expansion:
    """Follow the records as far as they are known. `draw` gives each name its number, 0 ≤ u < 1, always the same one:

    the weights of a fleet are kept, and one adapter's order does not change from day to day.
    """
    return _Expander(known, draw).expand(spec)


def merge(expansions: Sequence[Expansion]) -> Expansion:
    """Several targets in the operator's order, each address once, at most MAX_TARGETS."""
    targets = dict.fromkeys(target for one in expansions for target in one.targets)
    wanted = frozenset(question for one in expansions for question in one.wanted)
    return Expansion(tuple(targets)[:MAX_TARGETS], wanted)


class _Expander:
    def __init__(self, known: Known, draw: Callable[[str], float]) -> None:
        self._known = known
        self._draw = draw
        self._wanted: set[Question] = set()

    def expand(self, spec: Spec) -> Expansion:
        return Expansion(tuple(self._targets(spec))[:MAX_TARGETS], frozenset(self._wanted))

    def _targets(self, spec: Spec) -> list[str]:
        transport = spec.transport or TRANSPORTS[0]
        if spec.address:
            return [_written(spec.address, spec.port or _DEFAULT_PORT[transport], transport)]
        if spec.port is not None:
            return self._addresses(spec.host, spec.port, transport)
        if spec.transport:
            return self._service(spec.host, [spec.transport])
        naptrs = self._ask(spec.host, Kind.NAPTR, Naptr)
        if naptrs is None:
            return []
        chosen = sorted(
            (one for one in naptrs if _NAPTR_SERVICE.get(one.service.upper()) in TRANSPORTS and one.replacement),
            key=lambda one: (one.order, one.preference),
        )
        found = [target for one in chosen for target in self._replacement(one)]
        return found or (self._service(spec.host, list(TRANSPORTS)) if not self._wanted else [])

    def _replacement(self, naptr: Naptr) -> list[str]:
        transport = _NAPTR_SERVICE[naptr.service.upper()]
        if naptr.flags.lower() == "a":
            return self._addresses(naptr.replacement, _DEFAULT_PORT[transport], transport)
        return self._servers(naptr.replacement, transport) or [] if naptr.flags.lower() == "s" else []

    def _service(self, host: str, transports: list[str]) -> list[str]:
        """SRV for each transport; the name's own addresses where there is no SRV at all (RFC 3263 §4.2)."""
        answers = [self._servers(f"{_SERVICE[transport]}.{host}", transport) for transport in transports]
        if any(answer is not None for answer in answers):
            return [target for answer in answers for target in answer or []]
        if self._wanted:
            return []
        return self._addresses(host, _DEFAULT_PORT[transports[0]], transports[0])

    def _servers(self, name: str, transport: str) -> list[str] | None:
        """The targets of an SRV name in order; None: it has no SRV record, or not yet."""
        records = self._ask(name, Kind.SRV, Srv)
        if not records:
            return None
        ordered = order(records, lambda one: self._draw(f"{name} {one.host}:{one.port}"))
        return [
            target for one in ordered if one.host and one.port > 0
            for target in self._addresses(one.host, one.port, transport)
        ]  # fmt: skip

    def _addresses(self, host: str, port: int, transport: str) -> list[str]:
        # IPv4 first: in a home it is the older of the two, and the one that fails less.
        found = [self._ask(host, kind, Address) or [] for kind in (Kind.A, Kind.AAAA)]
        # Servers turn their addresses round with every answer; what counts is that this adapter's order stays.
        ordered = [sorted(family, key=lambda one: self._draw(one.ip)) for family in found]
        return [_written(one.ip, port, transport) for family in ordered for one in family[:MAX_ADDRESSES]]

    def _ask(self, name: str, kind: Kind, record: type[_R]) -> list[_R] | None:
        question = Question(name, kind)
        records = self._known.get(question)
        if records is None:
            self._wanted.add(question)
            return None
        return [one for one in records if isinstance(one, record)][:MAX_RECORDS]


def order(records: Sequence[Srv], draw: Callable[[Srv], float]) -> list[Srv]:
    """Priorities from low to high; within one, at random by weight (RFC 2782), with `draw`'s numbers.

    The exponential race gives the same probabilities as the RFC's running sums, and each record a number of its own:
    a server that comes or goes leaves the order of the others as it was.
    """

    def key(one: Srv) -> tuple[int, int, float]:
        luck = 1.0 - draw(one)
        # Weight 0 is tried after every other one of its priority.
        return (one.priority, 1, luck) if one.weight == 0 else (one.priority, 0, luck ** (1.0 / one.weight) * -1.0)

    return sorted(records, key=key)


def _written(address: str, port: int, transport: str) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{port};transport={transport}"
