"""May this call start: every refusal has its reason, and emergency numbers meet none of them."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from agent.core.admission import CallRequest, Grant, RateFound, Refusal, RefusalCode, admit, refuse
from agent.core.announcement import Announcement
from agent.core.catalogue import Entitlement, LineFact, NumberFact, SubscriptionFacts, entitle
from agent.core.terms import CallKind, Tone
from agent.data import load_products

OWN = "+4722334455"
SWEDEN = "+4681234567"
NOW = 5_000_000


def entitlement(*, active: bool = True, ended: bool = False) -> Entitlement:
    privat = load_products().find("privat", dt.date(2019, 1, 1))
    assert privat is not None
    return entitle(privat, SubscriptionFacts((LineFact(0, OWN),), (NumberFact(OWN, (0,)),), active, ended))


def call(number: str = SWEDEN, *, line: int = 0, own: str = OWN, kind: CallKind = CallKind.ORDINARY) -> CallRequest:
    return CallRequest(kind, line, own, number)


def test_a_call_with_a_rate_is_granted_until_the_products_longest_call_and_warned_before():
    assert admit(call(), entitlement(), RateFound.FOUND, now_ms=NOW) == Grant(
        NOW + 12 * 3600 * 1000, NOW + 12 * 3600 * 1000 - 60_000
    )


@pytest.mark.parametrize(
    ("request_", "facts", "rate", "code", "tone"),
    [
        (call(), None, RateFound.FOUND, RefusalCode.NO_SUBSCRIPTION, Tone.CONGESTION),
        (call(), entitlement(active=False), RateFound.FOUND, RefusalCode.SUBSCRIPTION_INACTIVE, Tone.SPECIAL),
        (call(), entitlement(ended=True), RateFound.FOUND, RefusalCode.SUBSCRIPTION_ENDED, Tone.SPECIAL),
        (call(line=2), entitlement(), RateFound.FOUND, RefusalCode.LINE_NOT_IN_PLAN, Tone.SPECIAL),
        (call(own="+4722000009"), entitlement(), RateFound.FOUND, RefusalCode.NUMBER_NOT_IN_PLAN, Tone.SPECIAL),
        (call(), entitlement(), RateFound.NO_RATE, RefusalCode.NO_RATE, Tone.SPECIAL),
        (call(), entitlement(), RateFound.IMPOSSIBLE_NUMBER, RefusalCode.IMPOSSIBLE_NUMBER, Tone.SPECIAL),
        (call(), entitlement(), RateFound.BLOCKED, RefusalCode.BLOCKED_DESTINATION, Tone.SPECIAL),
        (call(), entitlement(), RateFound.NO_PRICE_LIST, RefusalCode.NO_PRICE_LIST, Tone.CONGESTION),
    ],
)
def test_each_refusal_has_its_code_tone_and_announcement(request_, facts, rate, code, tone):
    answer = admit(request_, facts, rate, now_ms=NOW)
    assert isinstance(answer, Refusal)
    assert (answer.code, answer.tone) == (code, tone)
    assert answer.announcement in Announcement


@pytest.mark.parametrize(("ends_in_ms", "until", "warn"), [(90_000, 90_000, 30_000), (20_000, 20_000, 0), (-5, 0, 0)])
def test_a_call_does_not_outlast_the_subscription(ends_in_ms, until, warn):
    answer = admit(call(), entitlement(), RateFound.FOUND, now_ms=NOW, ends_in_ms=ends_in_ms)
    assert answer == Grant(NOW + until, NOW + warn)
    assert admit(call("112"), entitlement(), RateFound.FOUND, now_ms=NOW, ends_in_ms=ends_in_ms) == Grant()


@pytest.mark.parametrize("dialled", ["110", "112", "113", "1412", "118", "anything"])
@pytest.mark.parametrize(
    ("facts", "rate"),
    list(itertools.product([None, entitlement(active=False), entitlement(ended=True), entitlement()], RateFound)),
)
def test_an_emergency_call_is_granted_without_limit_whatever_is_wrong(dialled, facts, rate):
    kind = CallKind.EMERGENCY if dialled == "anything" else CallKind.ORDINARY
    request = call(dialled, line=7, own="", kind=kind)
    assert admit(request, facts, rate, now_ms=NOW, extra_emergency=frozenset({"118"})) == Grant(None, None)


def test_extra_emergency_numbers_only_add():
    assert admit(call("118"), None, RateFound.FOUND, now_ms=NOW) == refuse(RefusalCode.NO_SUBSCRIPTION)
    assert admit(call("112"), None, RateFound.NO_RATE, now_ms=NOW, extra_emergency=frozenset({"118"})) == Grant()


def test_only_a_found_rate_grants():
    granted = [rate for rate in RateFound if isinstance(admit(call(), entitlement(), rate, now_ms=NOW), Grant)]
    assert granted == [RateFound.FOUND]


def test_every_refusal_code_has_a_tone_that_a_caller_can_tell_from_busy():
    assert {refuse(code).tone for code in RefusalCode} <= {Tone.SPECIAL, Tone.CONGESTION}
