"""What the customer has, put to work: the gateway's configuration, admission of each call, and its price.

The subscription, catalogue, numbering and price list are given; nothing is read or asked here. A subscription that
holds more than its product allows works as far as it goes, and `refused` says what does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo

import msgspec
import structlog
from msgspec import Struct

from agent import records
from agent.calls import Judgement
from agent.clock import FLOOR, Moment
from agent.core.admission import CallRequest, Grant, RateFound, admit
from agent.core.announcement import Language
from agent.core.catalogue import (
    Catalogue,
    Entitlement,
    LineFact,
    Name,
    NumberFact,
    NumberRefusal,
    Refused,
    SubscriptionFacts,
    entitle,
)
from agent.core.cdr import Basis, HeldPack, OpenCall, Price
from agent.core.charge import Terms
from agent.core.codecs import G711
from agent.core.migration import HeldNumber, Holding, Standing, Term, day_of, end_of, term_on
from agent.core.money import parse_amount
from agent.core.packs import Pack, PackBalance, PackError, validate_pack
from agent.core.services import ServiceProfile
from agent.core.terms import LineService
from agent.data import Numbering, Tones
from agent.gateway.protocol import Account, CallState, Configure, Decide, Line, NumberFormat, Route
from agent.operator.api import Registration, ServiceSettings, Subscription
from agent.rating.errors import NoRate, NoRateReason, PriceListError
from agent.rating.rater import find_rate
from agent.rating.splitting import ListInForce, rate_over, terms_over
from agent.rating.table import RateTable, rating_key
from agent.service_plan import is_platform_code, services_of

MAX_ACCOUNTS = 8
"""What every known SIP library carries at once, until the gateway has told what its own does."""

_DAY_S = 86_400
_CODE_LASTS_MS = 120_000
"""Longer than any platform talks to whoever has dialled a service code; a handset left off the hook is cut off then."""
_MAX_LATER = 8
_log = structlog.get_logger("plan")

_RATES = {
    NoRateReason.NO_MATCH: RateFound.NO_RATE,
    NoRateReason.IMPOSSIBLE_NUMBER: RateFound.IMPOSSIBLE_NUMBER,
    NoRateReason.BLOCKED: RateFound.BLOCKED,
    NoRateReason.WRONG_PRODUCT: RateFound.NO_PRICE_LIST,
}


class Shipped(Struct, frozen=True):
    """The data that the adapter brings along."""

    catalogue: Catalogue
    numbering: Numbering
    tones: Tones
    extra_emergency: frozenset[str] = frozenset()
    services: ServiceProfile = msgspec.field(default_factory=ServiceProfile)
    language: Language = Language.NB
    """What announcements are spoken in."""
    announcements: str = ""
    """Folder of recordings in place of the shipped ones; empty: none."""
    callback_s: int = 300
    """How long after an emergency call its line takes every call."""


class Plan:
    """The customer's plan as it stands; admission and price of `agent.calls`.

    `old_table` finds the table of a price list that is no longer in force, by digest; it raises PriceListError.
    `kept_tables` tells all that are kept, with their digests.
    `targets` gives the IP targets of a registration, best first; one without any carries nothing.
    """

    plain = False
    """Whether there is no operator of ours, and no plan either."""

    def __init__(
        self,
        shipped: Shipped,
        zone: tzinfo,
        old_table: Callable[[str], RateTable],
        targets: Callable[[Registration], Sequence[str]] = lambda registration: registration.targets,
        *,
        kept_tables: Callable[[], Iterable[tuple[RateTable, str]]] = tuple,
    ) -> None:
        self._shipped = shipped
        self._targets = targets
        self._zone = zone
        self._old_table = old_table
        self._kept_tables = kept_tables
        self._day: date | None = None
        self.subscription: Subscription | None = None
        self.term: Term | None = None
        """How the subscription stands on the day of the last `turn`."""
        self.entitlement: Entitlement | None = None
        self.table: RateTable | None = None
        self.table_sha256 = ""
        self._next: tuple[RateTable, str] | None = None
        self.unknown_product = ""
        self._packs: tuple[Pack, ...] = ()
        self.max_accounts = MAX_ACCOUNTS
        """How many registrations the gateway carries, as it last said."""

    def use_subscription(self, subscription: Subscription, now: Moment) -> None:
        """Take a subscription; what its product does not allow is refused, what it allows works."""
        self.subscription, self._day = subscription, None
        self._packs = tuple(_packs(subscription))
        self.turn(now)

    def turn(self, now: Moment) -> bool:
        """Take the civil day of `now`, on which the product may be another or the subscription over; true if it is."""
        day = self._today(now)
        if self._next is not None and self._next[0].header.valid_from <= day:
            self.use_table(*self._next)
        if self.subscription is None or day == self._day:
            return False
        before, self._day = self.term, day
        term = self.term = self.term_on(day)
        product = term.product if term is not None else None
        self.unknown_product = "" if product is not None else self.subscription.product
        self.entitlement = entitle(product, _facts(self.subscription, term)) if term and product else None
        return before != term

    def _today(self, now: Moment) -> date:
        return day_of(_instant(now), self._zone)

    def term_on(self, day: date) -> Term | None:
        """How the subscription stands on a civil day, as far as is known today; None without a subscription."""
        if self.subscription is None:
            return None
        return term_on(self._shipped.catalogue, _holding(self.subscription), day)

    @property
    def product(self) -> str:
        """Id of the product in force; the operator's own word where this version does not know it, or empty."""
        if self.term is not None and self.term.product is not None:
            return self.term.product.id
        return self.subscription.product if self.subscription is not None else ""

    @property
    def former(self) -> Name | None:
        """Name of the product that the operator named, where it has ended and another is in force."""
        if self.term is None or len(self.term.history) < 2:
            return None
        named = self.term.history[0]
        return next((one.name for one in reversed(self._shipped.catalogue.products) if one.id == named), None)

    @property
    def ended(self) -> bool:
        """Whether the subscription's last day is over: only emergency calls go on."""
        return self.term is not None and self.term.standing is Standing.ENDED

    def use_table(self, table: RateTable, sha256: str) -> None:
        """Take a price list; calls in progress keep the one they began with."""
        self.table, self.table_sha256 = table, sha256
        self._next = None

    def offer_table(self, table: RateTable, sha256: str, now: Moment) -> bool:
        """Take a price list on the day from which it is valid; whether that has come."""
        if table.header.valid_from <= self._today(now):
            self.use_table(table, sha256)
            return True
        self._next = (table, sha256)
        return False

    def offer_earlier_table(self, table: RateTable, sha256: str, now: Moment) -> bool:
        """Take an earlier list of the product until the next one's day; false where it does not fit or is not valid."""
        waiting = self._next
        if self.product not in table.header.products or table.header.valid_from > self._today(now):
            return False
        self.use_table(table, sha256)
        self._next = waiting
        return True

    @property
    def refused(self) -> tuple[Refused, ...]:
        """What of the subscription its product does not allow."""
        return self.entitlement.refused if self.entitlement is not None and not self.ended else ()

    # --- admission and price: the port of agent.calls ----------------------------------------------------------------

    def basis(self) -> tuple[str, str]:
        """Product and price-list digest in force now."""
        return (self.product, self.table_sha256)

    def on_its_day(self, call: OpenCall, duration_ms: int, *, version: str = "") -> OpenCall:
        """A call whose beginning has become known, with what prices it on that day and those after it.

        Of two lists that are valid from the same day it keeps its own: by digest, or (a record) by `version`.
        """
        answered = records.answered_at(call.began_at, call.began_ms, call.answered_ms)
        day = day_of(answered, self._zone)
        last = day_of(answered + timedelta(milliseconds=duration_ms), self._zone)
        kept = list(self._kept_tables())
        own = {call.price_list_sha256} | {sha256 for table, sha256 in kept if table.rules.version == version}
        first = before = self.basis_on(day, kept, own)
        later: list[Basis] = []
        while day < last and len(later) < _MAX_LATER:
            day += timedelta(days=1)
            basis = self.basis_on(day, kept, own)
            if basis != before:
                before = basis
                later.append(Basis(from_day=day.isoformat(), product=basis[0], price_list_sha256=basis[1]))
        return msgspec.structs.replace(call, product=first[0], price_list_sha256=first[1], later=later)

    def basis_on(
        self, day: date, kept: Iterable[tuple[RateTable, str]] = (), own: Collection[str] = ()
    ) -> tuple[str, str]:
        """Product and price-list digest of another civil day, among the lists at hand and those `kept`.

        Where none of them was valid then, the list in force now: the price says which it is. `own`: digests that are
        preferred to lists valid from the same day.
        """
        term = self.term_on(day)
        product = term.product.id if term is not None and term.product is not None else self.product
        here = [(self.table, self.table_sha256)] if self.table is not None else []
        ahead = [self._next] if self._next is not None else []
        fitting = [
            (table, sha256) for table, sha256 in (*here, *ahead, *kept)
            if product in table.header.products and table.header.valid_from <= day
        ]  # fmt: skip
        if not fitting:
            return product, self.table_sha256
        return product, max(fitting, key=lambda one: (one[0].header.valid_from, one[1] in own))[1]

    def judge(self, state: CallState, now: Moment) -> Judgement:
        """May this call start, until when, and if not why: under the product of the day on which it starts."""
        self.turn(now)
        code = self.is_platform_code(state.number)
        request = CallRequest(
            kind=state.kind, line=state.line if state.line is not None else 0,
            own_number=state.own_number, number=state.number,
        )  # fmt: skip
        answer = admit(
            request, self.entitlement,
            RateFound.FOUND if code else self._rate_found(state.number, now),
            now_ms=now.boot_ms,
            ends_in_ms=_CODE_LASTS_MS if code else self._ends_in_ms(now),
            extra_emergency=self._shipped.extra_emergency,
        )  # fmt: skip
        if isinstance(answer, Grant):
            decision = Decide(
                call_id=state.call_id, granted=True, until_ms=answer.until_ms, warn_at_ms=answer.warn_at_ms
            )
        else:
            decision = Decide(
                call_id=state.call_id, granted=False, refusal=answer.code.value, tone=answer.tone,
                announcement=answer.announcement.value,
            )  # fmt: skip
        return Judgement(decision, *self.basis(), self.later(now), self.held_packs(state.number))

    def until(self, asked_ms: int, now: Moment) -> int | None:
        """The moment until which a call that was asked for at `asked_ms` may last under its product; None: unknown."""
        if self.entitlement is None:
            return None
        until_ms = asked_ms + self.entitlement.product.limits.call_max_s * 1000
        ends_in_ms = self._ends_in_ms(now)
        return until_ms if ends_in_ms is None else min(until_ms, now.boot_ms + max(0, ends_in_ms))

    def later(self, now: Moment) -> list[Basis]:
        """What is known to price a call that begins now from a later midnight on, as long as it may last."""
        if self.entitlement is None or self.table is None:
            return []
        today, before = self._today(now), self.basis()
        found: list[Basis] = []
        for ahead in range(1, self.entitlement.product.limits.call_max_s // _DAY_S + 2):
            day = today + timedelta(days=ahead)
            term = self.term_on(day)
            if term is None or term.product is None or term.standing is not Standing.IN_FORCE:
                break
            basis = self._basis_ahead(term.product.id, day)
            if basis is not None and basis != before:
                before = basis
                found.append(Basis(from_day=day.isoformat(), product=basis[0], price_list_sha256=basis[1]))
        return found[:_MAX_LATER]

    def _basis_ahead(self, product: str, day: date) -> tuple[str, str] | None:
        """Product and list that will price on a day; None where the list is not known yet."""
        if self._next is not None:
            table, sha256 = self._next
            if table.header.valid_from <= day and product in table.header.products:
                return product, sha256
        if self.table is not None and product in self.table.header.products:
            return product, self.table_sha256
        info = self.subscription.next_price_list if self.subscription is not None else None
        return (product, info.sha256) if info is not None else None

    @property
    def extra_emergency(self) -> frozenset[str]:
        """Emergency numbers beside those of the law."""
        return self._shipped.extra_emergency

    @property
    def packs(self) -> tuple[Pack, ...]:
        """The customer's minute packs; one that contradicts itself is left out."""
        return self._packs

    def held_packs(self, number: str) -> list[HeldPack]:
        """The packs that hold for a canonical number, each by the beginning that does."""
        digits = rating_key(number) or ""
        return [
            HeldPack(
                id=pack.id, prefix=max((one for one in pack.prefixes if digits.startswith(one)), key=len),
                seconds=pack.seconds, increment_s=pack.increment_s, connect_fee_micro=pack.connect_fee_micro,
                order=pack.order, first_month=pack.first_month, last_month=pack.last_month,
            )
            for pack in self._packs if pack.covers(digits)
        ]  # fmt: skip

    def _ends_in_ms(self, now: Moment) -> int | None:
        if self.term is None or self.term.last_day is None:
            return None
        return (end_of(self.term.last_day, self._zone) - now.wall) // timedelta(milliseconds=1)

    def _rate_found(self, number: str, now: Moment) -> RateFound:
        if self.table is None or self.subscription is None:
            return RateFound.NO_PRICE_LIST
        try:
            find_rate(self.table, number, self.product, start=_instant(now), zone=self._zone)
        except NoRate as error:
            return _RATES[error.reason]
        return RateFound.FOUND

    def price(self, call: OpenCall, duration_ms: int, packs: Iterable[PackBalance] = ()) -> tuple[Price | None, str]:
        """The price by the lists the call began with, or a sentence for the operator about why there is none.

        `packs`: what is left of those that held for the number when it began.
        """
        if self.is_platform_code(call.number):
            return None, "a service code, passed on to the operator"
        if not call.price_list_sha256:
            return None, "no price list was installed when the call began"
        try:
            lists = self._lists(call)
            start = records.answered_at(call.began_at, call.began_ms, call.answered_ms)
            return rate_over(lists, call.number, duration_ms, start=start, zone=self._zone, packs=packs), ""
        except (NoRate, PriceListError) as error:
            return None, str(error)[:128]

    def terms(self, call: OpenCall, start: datetime, packs: Iterable[PackBalance] = ()) -> Terms:
        """All that prices a call answered at `start` but its duration. Raises NoRate, PriceListError."""
        return terms_over(self._lists(call), call.number, start=start, zone=self._zone, packs=packs)

    def _lists(self, call: OpenCall) -> list[ListInForce]:
        lists = [ListInForce(self._table(call.price_list_sha256), call.product)]
        for basis in call.later:
            day = date.fromisoformat(basis.from_day)
            try:
                table = self._table(basis.price_list_sha256)
            except (PriceListError, OSError):
                # It was never fetched, or cannot be read now: the list of the beginning goes on, as without any other.
                break
            lists.append(ListInForce(table, basis.product, day))
        return lists

    def _table(self, sha256: str) -> RateTable:
        known = [(self.table, self.table_sha256), *([self._next] if self._next is not None else [])]
        found = next((table for table, digest in known if table is not None and digest == sha256), None)
        return found if found is not None else self._old_table(sha256)

    # --- the gateway's configuration ---------------------------------------------------------------------------------

    def configuration(self) -> Configure | None:
        """What the telephone needs to work alone; None where there is no subscription yet."""
        if self.subscription is None:
            return None
        subscription, shipped = self.subscription, self._shipped
        carried = subscription.registrations[: self.max_accounts]
        reachable = {one.id: list(self._targets(one)) for one in carried}
        registrations = [one for one in carried if reachable[one.id]]
        known = {registration.id for registration in registrations}
        outgoing = {line.line: line for line in subscription.lines}
        calls_from = {line.line: line.registration for line in subscription.lines}
        arrives_on = {number.number: number.registration for number in subscription.numbers}
        # Under a product that this version does not know, calls are refused one by one; the telephone still rings.
        facts = self.entitlement if self.entitlement is not None else _facts(subscription, self.term)
        emergency = [
            *shipped.numbering.digit_map.emergency,
            *sorted(shipped.extra_emergency - set(shipped.numbering.digit_map.emergency)),
        ]
        configuration = Configure(
            revision="",
            accounts=[
                Account(
                    id=one.id, user=one.user, domain=one.domain, auth_user=one.auth_user, password=one.password,
                    targets=reachable[one.id], expires_s=one.expires_s, register=not self.ended, srtp=one.srtp,
                    codecs=list(one.codecs or subscription.profile.codecs or G711),
                    trust_identity=subscription.profile.trust_identity, session_s=subscription.profile.session_s,
                    mailbox=subscription.profile.mailbox,
                )
                for one in registrations
            ],
            lines=[
                Line(
                    line=one.line, account=calls_from[one.line], number=one.number, profile=outgoing[one.line].profile,
                    send_gain_ddb=outgoing[one.line].send_gain_ddb,
                    receive_gain_ddb=outgoing[one.line].receive_gain_ddb, clir=outgoing[one.line].clir,
                    service=self._line_service(subscription),
                )
                for one in facts.lines if calls_from[one.line] in known
            ],
            routes=[
                Route(number=one.number, account=arrives_on[one.number], lines=list(one.lines))
                for one in facts.numbers if arrives_on[one.number] in known
            ] + self._refused_routes(known),
            digit_map=msgspec.structs.replace(shipped.numbering.digit_map, emergency=emergency),
            tones=shipped.tones.tones,
            ring_cadence_ms=list(shipped.tones.ring_cadence_ms),
            analogue=shipped.tones.analogue,
            numbers=_format(shipped.numbering.numbers, subscription),
            services=self._services(),
            language=shipped.language,
            announcements=shipped.announcements,
            rtp_timeout_s=subscription.profile.rtp_timeout_s,
            callback_s=shipped.callback_s,
            options_s=subscription.profile.options_s,
            boot_spread_s=subscription.profile.boot_spread_s,
            rtp_stat=subscription.profile.rtp_stat,
            signalling_ranges=subscription.profile.signalling_ranges,
            media_ranges=subscription.profile.media_ranges,
            stun_server=subscription.profile.stun_server,
        )  # fmt: skip
        digest = hashlib.sha256(msgspec.json.encode(configuration, order="sorted")).hexdigest()
        return msgspec.structs.replace(configuration, revision=digest[:16])

    def _services(self) -> ServiceProfile:
        told = self.subscription.profile.services if self.subscription is not None else ServiceSettings()
        product = self.entitlement.product if self.entitlement is not None else None
        services = services_of(self._shipped.services, told, product)
        return msgspec.structs.replace(services, call_as=self._call_as())

    def _call_as(self) -> dict[str, str]:
        """The codes that choose another own number for one call, and those numbers; of two the same code the first."""
        found: dict[str, str] = {}
        for one in self.subscription.numbers if self.subscription is not None else ():
            if one.code and (self.entitlement is None or self.entitlement.number_allowed(one.number)):
                found.setdefault(one.code, one.number)
        return found

    def is_platform_code(self, number: str) -> bool:
        """Whether what was dialled is the code of a service that the operator's platform performs."""
        return is_platform_code(self._services(), number)

    def _refused_routes(self, known: Collection[str]) -> list[Route]:
        """What still arrives for numbers that the product does not allow, or that were given up, rings nowhere."""
        if self.subscription is None or self.entitlement is None or self.ended:
            return []
        held = frozenset(self.term.numbers) if self.term is not None else frozenset()
        listed = {one.number: one.registration for one in self.subscription.numbers}
        return [
            Route(
                number=number, account=account, lines=[],
                refused=NumberRefusal.OVER_LIMIT if number in held else NumberRefusal.ENDED,
            )
            for number, account in listed.items()
            if account in known and not self.entitlement.number_allowed(number)
        ]  # fmt: skip

    def _line_service(self, subscription: Subscription) -> LineService:
        if self.ended:
            return LineService(subscription.profile.ended_line.value)
        return LineService.FULL if subscription.active else LineService.EMERGENCY_ONLY

    def surplus_registrations(self) -> list[str]:
        """Names of the registrations that the SIP library can't carry."""
        if self.subscription is None:
            return []
        return [one.id for one in self.subscription.registrations[self.max_accounts :]]


def _packs(subscription: Subscription) -> Iterator[Pack]:
    for one in subscription.packs:
        pack = Pack(
            one.id, tuple(one.prefixes), one.seconds, one.increment_s, tuple(one.excluded),
            parse_amount(one.connect_fee), one.order, one.first_month or "", one.last_month or "",
        )  # fmt: skip
        try:
            validate_pack(pack)
        except PackError as error:
            _log.error("minute_pack_refused", detail=str(error))
        else:
            yield pack


def _instant(now: Moment) -> datetime:
    """The wall time; a clock that was never set says at least that the adapter has been made."""
    return now.wall if now.trusted else max(now.wall, FLOOR)


def _facts(subscription: Subscription, term: Term | None) -> SubscriptionFacts:
    held = frozenset(term.numbers) if term is not None else frozenset()
    return SubscriptionFacts(
        lines=tuple(LineFact(line.line, line.number) for line in subscription.lines),
        numbers=tuple(NumberFact(one.number, tuple(one.lines)) for one in subscription.numbers if one.number in held),
        active=subscription.active,
        ended=term is not None and term.standing is Standing.ENDED,
    )


def _holding(subscription: Subscription) -> Holding:
    return Holding(
        product=subscription.product,
        numbers=tuple(HeldNumber(one.number, one.notice, one.last_day) for one in subscription.numbers),
        notice=subscription.notice,
        last_day=subscription.last_day,
    )


def _format(shipped: NumberFormat, subscription: Subscription) -> NumberFormat:
    return msgspec.structs.replace(shipped, outgoing=subscription.profile.number_format)
