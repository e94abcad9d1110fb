"""Included minutes are used up first, in their order, month by month, and never on what is free."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from agent.core.charge import Charge, Terms, max_duration, price_by
from agent.core.civil import parse_window
from agent.core.money import Rounding
from agent.core.packs import Pack, PackBalance, PackError, PackUse, after, covering, validate_pack
from agent.core.tariff import Interval, PriceRules, Rate, Tariff, TariffError, Vat

OSLO = ZoneInfo("Europe/Oslo")
RULES = PriceRules("privat", "1", "NOK", Vat.NOT_STATED, Rounding.HALF_UP, 6)
TARIFF = Tariff(500_000, (Interval(0, 60_000, 60, 1),), 2_000_000)
PACK = Pack("nordic", ("45", "46"), 600, 60)


def call(seconds: float, *packs: PackBalance, start: str = "2026-11-23 12:00:00", tariff: Tariff = TARIFF) -> Charge:
    at = datetime.fromisoformat(start).replace(tzinfo=OSLO)
    return price_by(Terms((Rate("46", "Sverige", tariff, 1),), RULES, at, OSLO, packs), round(seconds * 1000))


def test_a_call_within_the_pack_costs_nothing_in_the_packs_own_increments() -> None:
    charge = call(61, PackBalance(PACK))
    assert (charge.amount_micro, charge.billed_s, charge.pack_s, charge.paid_s) == (0, 120, 120, 0)
    assert charge.pack_uses == (PackUse("nordic", "2026-11", 120),)
    assert [step.key for step in charge.steps][-2:] == ["price.pack", "price.free"]


def test_what_the_pack_does_not_cover_goes_on_at_the_normal_price_without_connect_fee() -> None:
    charge = call(700, PackBalance(PACK))
    assert (charge.pack_s, charge.paid_s, charge.amount_micro) == (600, 100, 100_000)


def test_an_empty_pack_is_as_good_as_none() -> None:
    assert call(60, PackBalance(PACK, (("2026-11", 600),))) == call(60)
    assert call(60, PackBalance(PACK, (("2026-11", 9_000),))).amount_micro == 2_000_000


def test_a_rest_smaller_than_an_increment_is_not_begun() -> None:
    assert call(30, PackBalance(PACK, (("2026-11", 541),))).pack_s == 0
    assert call(30, PackBalance(PACK, (("2026-11", 540),))).pack_s == 60


def test_unanswered_calls_take_nothing_from_a_pack() -> None:
    charge = call(0, PackBalance(PACK))
    assert (charge.pack_s, charge.pack_uses) == (0, ())


def test_a_pack_is_not_spent_on_what_is_free() -> None:
    charge = call(600, PackBalance(PACK), tariff=Tariff(0, (Interval(0, 0, 60, 1),)))
    assert (charge.amount_micro, charge.pack_s) == (0, 0)


def test_a_pack_may_have_a_connect_fee_in_place_of_the_lists() -> None:
    packs = PackBalance(structs.replace(PACK, connect_fee_micro=10_000))
    assert call(10, packs).amount_micro == 10_000
    # The list has a price per call here; what the pack takes is no such price.
    per_call = call(10, packs, tariff=Tariff(500_000, (Interval(0, 0, 60, 1),)))
    assert "price.connect_fee" in [step.key for step in per_call.steps]


def test_over_the_end_of_a_month_each_month_gives_its_own_seconds() -> None:
    charge = call(240, PackBalance(PACK, (("2026-11", 480),)), start="2026-11-30 23:58:00")
    assert charge.pack_uses == (PackUse("nordic", "2026-11", 120), PackUse("nordic", "2026-12", 120))
    # November's pack is empty after a minute; December begins with a full one.
    charge = call(240, PackBalance(PACK, (("2026-11", 540),)), start="2026-11-30 23:58:00")
    assert (charge.pack_s, charge.paid_s, charge.amount_micro) == (180, 60, 60_000)


def test_an_increment_belongs_to_the_month_in_which_it_began() -> None:
    charge = call(60, PackBalance(PACK), start="2026-11-30 23:59:59")
    assert charge.pack_uses == (PackUse("nordic", "2026-11", 60),)


def test_a_call_that_began_without_pack_keeps_its_fee_when_the_new_month_has_one() -> None:
    charge = call(120, PackBalance(PACK, (("2026-11", 600),)), start="2026-11-30 23:59:00")
    assert (charge.amount_micro, charge.pack_s, charge.paid_s) == (2_000_000, 60, 60)


def test_the_month_is_the_civil_one() -> None:
    assert call(60, PackBalance(PACK), start="2026-12-01 00:00:00").pack_uses[0].month == "2026-12"


def test_a_pack_that_has_ended_or_not_begun_gives_nothing() -> None:
    ended, later = structs.replace(PACK, last_month="2026-10"), structs.replace(PACK, first_month="2026-12")
    for pack in (ended, later):
        assert call(60, PackBalance(pack)).pack_s == 0
    assert call(120, PackBalance(later), start="2026-11-30 23:59:00").pack_uses == (PackUse("nordic", "2026-12", 60),)


def test_several_packs_are_used_in_the_order_they_name() -> None:
    small = Pack("b", ("46",), 60, order=1)
    tie = Pack("a", ("46",), 60, order=2)
    last = Pack("c", ("46",), 60, order=2)
    packs = covering([PackBalance(last), PackBalance(tie), PackBalance(small)], "4681234567")
    assert [balance.pack.id for balance in packs] == ["b", "a", "c"]
    charge = call(150, *packs)
    assert charge.pack_uses == (
        PackUse("b", "2026-11", 60), PackUse("a", "2026-11", 60), PackUse("c", "2026-11", 30),
    )  # fmt: skip


def test_the_most_specific_prefix_says_whether_a_pack_holds() -> None:
    fixed_only = Pack("p", ("46", "46702"), 60, excluded=("467",))
    for digits, held in (("4681234567", True), ("46701234567", False), ("46702123456", True), ("4712345678", False)):
        assert bool(covering([PackBalance(fixed_only)], digits)) is held


def test_a_sum_and_a_pack_together_give_the_longest_call() -> None:
    at = datetime(2026, 11, 23, 12, tzinfo=OSLO)
    terms = Terms((Rate("46", "Sverige", TARIFF, 1),), RULES, at, OSLO, (PackBalance(PACK),))
    assert max_duration(terms, 0) == 600_000
    assert max_duration(terms, 10_000) == 610_000


def test_a_pack_needs_to_know_the_month() -> None:
    with pytest.raises(TariffError, match="when the call was answered"):
        price_by(Terms((Rate("46", "x", TARIFF, 1),), RULES, packs=(PackBalance(PACK),)), 1000)


def test_what_was_used_is_counted() -> None:
    balances = (PackBalance(PACK, (("2026-10", 5),)), PackBalance(structs.replace(PACK, id="other")))
    counted = after(balances, [PackUse("nordic", "2026-11", 60), PackUse("nordic", "2026-11", 60)])
    assert counted[0].left_s("2026-11") == 480
    assert counted[0].left_s("2026-10") == 595
    assert counted[1] == balances[1]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": ""}, "id"), ({"prefixes": ()}, "prefixes"), ({"prefixes": ("+46",)}, "prefixes"),
        ({"excluded": ("046",)}, "excluded"), ({"increment_s": 0}, "increment_s"), ({"seconds": 0}, "seconds"),
        ({"seconds": 601}, "seconds"), ({"connect_fee_micro": -1}, "connect_fee"),
        ({"first_month": "2026-13"}, "first_month"), ({"last_month": "26-1"}, "last_month"),
    ],
)  # fmt: skip
def test_a_pack_that_contradicts_itself_is_refused(changes: dict[str, object], field: str) -> None:
    with pytest.raises(PackError, match=field):
        validate_pack(structs.replace(PACK, **changes))


def test_the_shipped_shape_of_a_pack_is_right() -> None:
    validate_pack(PACK)


@given(
    st.integers(1, 100_000), st.integers(0, 700), st.integers(0, 86_400 * 3), st.sampled_from([1, 7, 60]),
    st.sampled_from(["", "08:00-17:00", "sat+sun"]),
)  # fmt: skip
def test_packs_never_make_a_call_dearer_and_no_second_is_lost(
    seconds: int, used: int, later: int, increment: int, when: str
) -> None:
    start = datetime(2026, 11, 29, tzinfo=OSLO) + timedelta(seconds=later)
    free = Tariff(0, (Interval(0, 0, 60, 1),))
    rates = (Rate("46", "x", free, 1, parse_window(when)),) if when else ()
    rates = (*rates, Rate("46", "x", TARIFF, 2))
    balance = PackBalance(
        structs.replace(PACK, seconds=600 // increment * increment, increment_s=increment), (("2026-11", used),)
    )
    bare = price_by(Terms(rates, RULES, start, OSLO), seconds * 1000, explain=False)
    packed = price_by(Terms(rates, RULES, start, OSLO, (balance,)), seconds * 1000, explain=False)
    assert packed.amount_micro <= bare.amount_micro
    assert seconds <= packed.billed_s < seconds + 60
    assert packed.pack_s == sum(use.seconds for use in packed.pack_uses)
    for use in packed.pack_uses:
        assert use.seconds <= balance.left_s(use.month)
