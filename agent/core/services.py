"""Supplementary services of a line as data: which codes call them, who performs them, and what a user has set.

A code is written as it is dialled, `N` standing for a number: `*21*N#`, `#21#`, `*31*N`. `CodeTable` tells what dialled
digits mean, `operate` what an accepted code changes. Sources: 3GPP TS 22.030 §6.5 and ETSI ETS 300 738 for the shape,
the operators' own pages for the codes (see `config/services.toml`).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta, Struct, structs

from agent.core.dialplan import DialPlan, Match, Outcome, match_code_shape

MAX_FORWARD_DIGITS: Final = 20


class Service(enum.StrEnum):
    """What a line can do beyond one call."""

    HOLD = "hold"
    """Hold, retrieve and swap."""
    CALL_WAITING = "call_waiting"
    THREE_WAY = "three_way"
    TRANSFER = "transfer"
    FORWARD_ALL = "forward_all"
    FORWARD_NO_ANSWER = "forward_no_answer"
    FORWARD_BUSY = "forward_busy"
    WITHHOLD = "withhold"
    """The line's number is not shown (CLIR), until switched off."""
    WITHHOLD_ONCE = "withhold_once"
    SHOW_ONCE = "show_once"
    HOTLINE = "hotline"
    DO_NOT_DISTURB = "do_not_disturb"
    CALL_AS = "call_as"
    """One call from another of the customer's numbers."""
    MESSAGES = "messages"
    """Dial tone and lamp tell of waiting voice messages."""


FORWARDING: Final = (Service.FORWARD_ALL, Service.FORWARD_BUSY, Service.FORWARD_NO_ANSWER)


class ServiceMode(enum.StrEnum):
    """Who performs a service: we, the operator's platform (its codes are dialled there), or nobody."""

    LOCAL = "local"
    PLATFORM = "platform"
    OFF = "off"


Code = Annotated[str, Meta(pattern=r"^[*#][0-9*#]{1,16}N?#?$")]


class ServiceCodes(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One service of the operator's profile: who performs it, and the codes that switch it on and off and ask."""

    mode: ServiceMode = ServiceMode.LOCAL
    on: Annotated[list[Code], Meta(max_length=4)] = []
    off: Annotated[list[Code], Meta(max_length=4)] = []
    query: Annotated[list[Code], Meta(max_length=4)] = []


class ServiceProfile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The supplementary services of an operator. What is not named is off."""

    codes: dict[Service, ServiceCodes] = msgspec.field(default_factory=dict)
    no_answer_s: Annotated[int, Meta(ge=5, le=120)] = 20
    """Ringing before a call goes on to the number of `forward_no_answer`."""
    waiting_s: Annotated[int, Meta(ge=5, le=180)] = 30
    """How long a call waits beside a conversation."""
    recall_s: Annotated[int, Meta(ge=5, le=180)] = 60
    """How long the telephone rings for a call on hold whose user has replaced the handset."""
    hotline_s: Annotated[int, Meta(ge=0, le=30)] = 5
    """Dial tone before the hotline's number is called; 0: at once."""
    max_diversions: Annotated[int, Meta(ge=1, le=10)] = 5
    """A call that has been sent on this often, by whomever, is sent on no more."""
    call_as: Annotated[dict[Code, Annotated[str, Meta(max_length=32)]], Meta(max_length=64)] = {}
    """Codes before a number (`*71*N`), and the own number (E.164) that the call is then from."""
    platform_bills: bool = False
    """Whether calls that the platform places for us (302, REFER) are billed by it, and the customer agreed to that.
    Otherwise every leg of a forwarded or transferred call is a call of this adapter: priced, capped and recorded."""

    def mode(self, service: Service) -> ServiceMode:
        """Who performs `service`."""
        codes = self.codes.get(service)
        return codes.mode if codes is not None else ServiceMode.OFF

    def performs(self, service: Service) -> bool:
        """Whether we perform `service`."""
        return self.mode(service) is ServiceMode.LOCAL


class LineServices(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the user of a line has set. Numbers are canonical (`agent.core.numbers`); empty: the service is not set."""

    forward_all: Annotated[str, Meta(max_length=32)] = ""
    forward_no_answer: Annotated[str, Meta(max_length=32)] = ""
    forward_busy: Annotated[str, Meta(max_length=32)] = ""
    call_waiting: bool = True
    withhold: bool | None = None
    """None: as the subscription says."""
    hotline: Annotated[str, Meta(max_length=32)] = ""
    do_not_disturb: bool = False

    def is_set(self, service: Service) -> bool:
        """Whether the user has `service` switched on."""
        return bool(getattr(self, service.value, False))

    def number_of(self, service: Service) -> str:
        """The number that `service` is switched on with, one of those that have one; empty: it is not."""
        return str(getattr(self, service.value))

    def reduced(self, profile: ServiceProfile) -> LineServices:
        """These settings without those of services that we do not perform under `profile`."""
        gone = [one for one in _SETTINGS if not profile.performs(one)]
        return structs.replace(self, **{one.value: _UNSET[one] for one in gone})


_UNSET: Final[Mapping[Service, object]] = {
    Service.FORWARD_ALL: "",
    Service.FORWARD_NO_ANSWER: "",
    Service.FORWARD_BUSY: "",
    Service.CALL_WAITING: True,
    Service.WITHHOLD: None,
    Service.HOTLINE: "",
    Service.DO_NOT_DISTURB: False,
}
_SETTINGS: Final = tuple(_UNSET)
_WITH_NUMBER: Final = frozenset({*FORWARDING, Service.HOTLINE})
"""Services that are switched on with a number."""


class Ask(enum.Enum):
    """What a code wants."""

    ON = enum.auto()
    OFF = enum.auto()
    QUERY = enum.auto()


class CodeRead(Struct, frozen=True):
    """A dialled code: the service it is for, who performs that, what is wanted, and the digits in the place of `N`.

    `prefix`: what stands before them. `whole`: nothing follows the code, it is no beginning of a call.
    """

    service: Service
    mode: ServiceMode
    ask: Ask
    digits: str
    prefix: str
    whole: bool
    own_number: str = ""
    """Of `CALL_AS`: which of the customer's numbers the call is from."""


class _Template(Struct, frozen=True):
    service: Service
    mode: ServiceMode
    ask: Ask
    prefix: str
    numbered: bool
    ended: bool
    """Whether `#` ends the number."""
    own_number: str = ""


class CodeTable:
    """The codes of a profile, as `agent.core.dialplan` asks for them."""

    def __init__(self, profile: ServiceProfile) -> None:
        self.profile = profile
        found = [
            _template(service, codes.mode, ask, text)
            for service, codes in profile.codes.items() if codes.mode is not ServiceMode.OFF
            for ask, texts in ((Ask.ON, codes.on), (Ask.OFF, codes.off), (Ask.QUERY, codes.query))
            for text in texts
        ]  # fmt: skip
        found += [
            structs.replace(_template(Service.CALL_AS, ServiceMode.LOCAL, Ask.ON, text), own_number=number)
            for text, number in profile.call_as.items()
        ]
        self._templates = sorted(found, key=lambda one: (one.numbered, -len(one.prefix)))

    def match(self, digits: str, plan: DialPlan) -> Match:
        """What digits that begin with `*` or `#` mean. A number behind a prefix is whole where `plan` says so."""
        unfinished = False
        for one in self._templates:
            if not one.numbered and digits == one.prefix:
                return Match(Outcome.SERVICE_CODE, digits)
            if one.prefix.startswith(digits):
                unfinished = True
            elif one.numbered and digits.startswith(one.prefix):
                found = self._numbered(one, digits[len(one.prefix) :], digits, plan)
                if found.outcome is not Outcome.IMPOSSIBLE or not one.ended:
                    return found
        return Match(Outcome.NEED_MORE) if unfinished else match_code_shape(digits)

    def _numbered(self, one: _Template, rest: str, digits: str, plan: DialPlan) -> Match:
        if one.ended:
            number, ended = (rest[:-1], True) if rest.endswith("#") else (rest, False)
            if len(number) > MAX_FORWARD_DIGITS or not re.fullmatch("[0-9]+" if ended else "[0-9]*", number):
                return Match(Outcome.IMPOSSIBLE)
            return Match(Outcome.SERVICE_CODE, digits) if ended else Match(Outcome.NEED_MORE)
        if not rest[:1].isdigit():
            return Match(Outcome.IMPOSSIBLE)
        match = plan.match(rest)
        return (
            match if match.emergency or not match.number else structs.replace(match, number=one.prefix + match.number)
        )

    def read(self, digits: str) -> CodeRead | None:
        """The code that these digits are, or begin with; None: no service of the profile."""
        for one in self._templates:
            if not one.numbered:
                if digits == one.prefix:
                    return CodeRead(one.service, one.mode, one.ask, "", one.prefix, whole=True)
            elif digits.startswith(one.prefix):
                rest = digits[len(one.prefix) :]
                number = rest.removesuffix("#") if one.ended else rest
                if number.isdigit() and one.ended is rest.endswith("#"):
                    return CodeRead(
                        one.service, one.mode, one.ask, number, one.prefix, whole=one.ended, own_number=one.own_number
                    )
        return None


class TargetReader(Protocol):
    """How a number that a user dials behind a code is read."""

    def __call__(self, dialled: str) -> str:
        """The canonical number; empty: nobody may be called there by a service."""


class Answer(Struct, frozen=True):
    """What becomes of a code: taken or refused; `on` answers a question; `settings` are those from now on."""

    taken: bool
    settings: LineServices
    on: bool | None = None


def operate(code: CodeRead, settings: LineServices, profile: ServiceProfile, target: TargetReader) -> Answer:
    """What the code of a service that we perform does to a line's settings."""
    service = code.service
    if service not in _UNSET or not profile.performs(service):
        return Answer(False, settings)
    if code.ask is Ask.QUERY:
        return Answer(True, settings, settings.is_set(service))
    if service not in _WITH_NUMBER:
        return Answer(True, structs.replace(settings, **{service.value: code.ask is Ask.ON}))
    if code.ask is Ask.OFF:
        return Answer(True, structs.replace(settings, **{service.value: ""}))
    number = target(code.digits)
    if not number:
        return Answer(False, settings)
    return Answer(True, structs.replace(settings, **{service.value: number}))


def _template(service: Service, mode: ServiceMode, ask: Ask, text: str) -> _Template:
    prefix, numbered, tail = text.partition("N")
    return _Template(service, mode, ask, prefix, bool(numbered), ended=tail == "#")
