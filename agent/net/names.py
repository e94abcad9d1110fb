"""From a target as the operator writes it to IP targets, best first (RFC 3263 §4, RFC 2782): pure.

`expand` never asks anybody: it says which questions it still needs answered, and is called again.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from msgspec import Struct

from agent.core.place import uri_host
from agent.core.transports import Transport

MAX_TARGETS: Final = 8
"""What the gateway keeps of one registration."""
MAX_RECORDS: Final = 16
MAX_ADDRESSES: Final = 4
"""Of one name and family: a name with dozens would crowd every other server out."""
DEFAULT_TRANSPORTS: Final = (Transport.UDP,)
"""What is used, preferred first, where neither the target nor the DNS nor the operator says which."""

_SPEC: Final = re.compile(
    r"(?:(?P<name>[^@:;\[\]\s/]{1,253})@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:;\[\]\s/@]{1,253})(?::(?P<port>\d{1,5}))?"
    r"(?:;transport=(?P<transport>[A-Za-z]+))?"
)
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_SERVICE: Final = {Transport.UDP: "_sip._udp", Transport.TCP: "_sip._tcp", Transport.TLS: "_sips._tcp"}
_NAPTR_SERVICE: Final = {"SIP+D2U": Transport.UDP, "SIP+D2T": Transport.TCP, "SIPS+D2T": Transport.TLS}
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


class Question(Struct, frozen=True):
    """One question; `name` in lower case, without the last dot."""

    name: str
    kind: Kind


class Naptr(Struct, frozen=True):
    """RFC 3403 §4.1; `replacement` as a Question's name."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(Struct, frozen=True):
    """RFC 2782; an empty `host`: the service is decidedly not there."""

    priority: int
    weight: int
    port: int
    host: str


class Address(Struct, frozen=True):
    """An A or AAAA record, as text in its shortest form."""

    ip: str


Rdata = Naptr | Srv | Address
Known = Mapping[Question, Sequence[Rdata]]
"""Questions that have been answered; with nothing, where there is nothing."""


class Spec(Struct, frozen=True):
    """A target as the operator writes it: `[name@]host[:port][;transport=udp]`; a name with tls to an address only."""

    host: str
    port: int | None
    transport: Transport | None
    name: str = ""
    """Whom the certificate must name, where the host is the address that this server has."""

    @property
    def address(self) -> str:
        """The IP address that the host is, in its shortest form; empty: it is a name."""
        try:
            return str(ipaddress.ip_address(self.host))
        except ValueError:
            return ""


class Expansion(Struct, frozen=True):
    """What is known so far: IP targets best first, and the questions whose answers may add to them."""

    targets: tuple[str, ...] = ()
    wanted: frozenset[Question] = frozenset()


def parse_spec(text: str) -> Spec:
    """Read a target. Raises TargetError for a form, port, host or transport that cannot be."""
    match = _SPEC.fullmatch(text)
    if match is None:
        raise TargetError(f"target {text!r} is not of the form [name@]host:port;transport=udp")
    transport = _transport(match["transport"], text) if match["transport"] else None
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port <= _MAX_PORT:
        raise TargetError(f"target {text!r} has port {port}, which does not exist")
    host = match["host"].strip("[]").rstrip(".").lower()
    spec = Spec(host, port, transport, (match["name"] or "").rstrip(".").lower())
    if not spec.address and not _is_name(host):
        raise TargetError(f"target {text!r} has a host that is neither an IP address nor a name")
    if match["name"] and not (transport is Transport.TLS and spec.address and _is_name(spec.name)):
        raise TargetError(f"target {text!r} has a name before @, which only tls to an IP address has")
    return spec


def _transport(word: str, text: str) -> Transport:
    try:
        return Transport(word.lower())
    except ValueError:
        raise TargetError(
            f"target {text!r} asks for transport {word}; this adapter speaks {', '.join(Transport)}"
        ) from None


def _is_name(text: str) -> bool:
    return all(_LABEL.fullmatch(label) for label in text.split("."))


def expand(
    spec: Spec, known: Known, draw: Callable[[str], float], transports: Sequence[Transport] = DEFAULT_TRANSPORTS
) -> Expansion:
    """Follow the records as far as they are known. `draw` gives each name its number, 0 ≤ u < 1, always the same one:

    the weights of a fleet are kept, and one adapter's order does not change from day to day. `transports` are used in
    their order where neither the target nor a NAPTR record names one.
    """
    return _Expander(spec, known, draw, transports).expand()


def merge(expansions: Sequence[Expansion]) -> Expansion:
    """Several targets in the operator's order, each address once, at most MAX_TARGETS."""
    targets = dict.fromkeys(target for one in expansions for target in one.targets)
    wanted = frozenset(question for one in expansions for question in one.wanted)
    return Expansion(tuple(targets)[:MAX_TARGETS], wanted)


class _Expander:
    def __init__(self, spec: Spec, known: Known, draw: Callable[[str], float], transports: Sequence[Transport]) -> None:
        self._spec = spec
        self._known = known
        self._draw = draw
        self._transports = (spec.transport,) if spec.transport else tuple(transports)
        self._wanted: set[Question] = set()

    def expand(self) -> Expansion:
        return Expansion(tuple(self._targets())[:MAX_TARGETS], frozenset(self._wanted))

    def _targets(self) -> list[str]:
        spec = self._spec
        first = self._transports[0]
        if spec.address:
            # A port belongs to one transport; without one every transport has its own.
            ones = self._transports if spec.port is None else (first,)
            return [self._written(spec.address, spec.port or one.default_port, one) for one in ones]
        if spec.port is not None:
            return self._addresses(spec.host, spec.port, first)
        if spec.transport:
            return self._service(spec.host)
        naptrs = self._ask(spec.host, Kind.NAPTR, Naptr)
        if naptrs is None:
            return []
        chosen = sorted(
            (one for one in naptrs if one.service.upper() in _NAPTR_SERVICE and one.replacement),
            key=lambda one: (one.order, one.preference),
        )
        found = [target for one in chosen for target in self._replacement(one)]
        return found or (self._service(spec.host) if not self._wanted else [])

    def _replacement(self, naptr: Naptr) -> list[str]:
        transport = _NAPTR_SERVICE[naptr.service.upper()]
        if naptr.flags.lower() == "a":
            return self._addresses(naptr.replacement, transport.default_port, transport)
        return self._servers(naptr.replacement, transport) or [] if naptr.flags.lower() == "s" else []

    def _service(self, host: str) -> list[str]:
        """SRV for each transport; the name's own addresses where there is no SRV at all (RFC 3263 §4.2)."""
        answers = [self._servers(f"{_SERVICE[transport]}.{host}", transport) for transport in self._transports]
        if any(answer is not None for answer in answers):
            return [target for answer in answers for target in answer or []]
        if self._wanted:
            return []
        return [
            target for transport in self._transports
            for target in self._addresses(host, transport.default_port, transport)
        ]  # fmt: skip

    def _servers(self, name: str, transport: Transport) -> list[str] | None:
        """The targets of an SRV name in order; None: it has no SRV record, or not yet."""
        records = self._ask(name, Kind.SRV, Srv)
        if not records:
            return None
        ordered = order(records, lambda one: self._draw(f"{name} {one.host}:{one.port}"))
        return [
            target for one in ordered if one.host and one.port > 0
            for target in self._addresses(one.host, one.port, transport)
        ]  # fmt: skip

    def _addresses(self, host: str, port: int, transport: Transport) -> list[str]:
        # IPv4 first: in a home it is the older of the two, and the one that fails less.
        found = [self._ask(host, kind, Address) or [] for kind in (Kind.A, Kind.AAAA)]
        # Servers turn their addresses round with every answer; what counts is that this adapter's order stays.
        ordered = [sorted(family, key=lambda one: self._draw(one.ip)) for family in found]
        return [self._written(one.ip, port, transport) for family in ordered for one in family[:MAX_ADDRESSES]]

    def _written(self, address: str, port: int, transport: Transport) -> str:
        """With tls after the name that the operator wrote: what a record leads to proves nothing (RFC 5922 §7.3)."""
        host = uri_host(address)
        name = self._spec.name or ("" if self._spec.address else self._spec.host)
        return f"{f'{name}@' if name and transport is Transport.TLS else ''}{host}:{port};transport={transport}"

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
