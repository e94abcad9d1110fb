"""Nothing free swallows a Norwegian class of numbers that is not free, in the shipped lists or in any other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core.numbers import NumberClass, classify, normalise
from agent.paths import data_dir
from agent.rating.cli_rate import find_deck, rate_report
from agent.rating.deck import parse
from agent.rating.errors import DeckError, NoRate
from agent.rating.rater import rate_call
from agent.rating.table import RateTable

Write = Callable[..., str]
PRIVATE, BUSINESS = ("privat", "iplink-norge"), ("bedrift", "sentralbord", "iplink-bedrift", "iplink-bedrift-pluss")
LISTS = data_dir() / "price-lists"
TABLES = {name: RateTable.of(find_deck(name, LISTS)) for name in (*PRIVATE, *BUSINESS)}
TOLL_FREE = {NumberClass.TOLL_FREE, NumberClass.SOCIAL, NumberClass.EMERGENCY}
FREE = dict.fromkeys(PRIVATE, TOLL_FREE | {NumberClass.FIXED, NumberClass.MOBILE}) | dict.fromkeys(BUSINESS, TOLL_FREE)
SAMPLES = {
    "fixed 2": ("22334455", NumberClass.FIXED), "fixed 3": ("33445566", NumberClass.FIXED),
    "fixed 5": ("55443322", NumberClass.FIXED), "fixed 6": ("66778899", NumberClass.FIXED),
    "fixed 7": ("77665544", NumberClass.FIXED), "mobile 4": ("41234567", NumberClass.MOBILE),
    "mobile 9": ("91234567", NumberClass.MOBILE), "machine 58": ("581234567890", NumberClass.M2M),
    "machine 59": ("59123456", NumberClass.M2M), "premium 820": ("82012345", NumberClass.PREMIUM),
    "premium 829": ("82912345", NumberClass.PREMIUM), "other 82": ("82512345", NumberClass.SPECIAL),
    "shared cost": ("81012345", NumberClass.SHARED_COST), "815": ("81569060", NumberClass.UNIVERSAL),
    "five digits": ("02800", NumberClass.UNIVERSAL), "85": ("85012345", NumberClass.VOIP),
    "880": ("88012345", NumberClass.PERSONAL), "directory": ("1881", NumberClass.DIRECTORY),
    "116": ("116117", NumberClass.SOCIAL), "800": ("80012345", NumberClass.TOLL_FREE),
}  # fmt: skip

norwegian = (
    st.from_regex(r"[2-9][0-9]{7}", fullmatch=True)
    | st.from_regex(r"58[0-9]{10}", fullmatch=True)
    | st.from_regex(r"0[2-9][0-9]{3}", fullmatch=True)
    | st.from_regex(r"1[0-9]{2,5}", fullmatch=True)
    | st.from_regex(r"8[0-9]{7}", fullmatch=True)
)


@pytest.mark.parametrize("product", TABLES)
@pytest.mark.parametrize("name", SAMPLES)
def test_each_class_is_what_it_is_and_is_free_only_where_the_list_says_so(product: str, name: str) -> None:
    typed, expected = SAMPLES[name]
    number = normalise(typed)
    assert classify(number) is expected
    amount = rate_call(TABLES[product], number, 60_000, product).amount_micro
    assert (amount == 0) is (expected in FREE[product])


@pytest.mark.parametrize("product", TABLES)
@given(typed=norwegian)
def test_any_norwegian_number_is_free_by_its_class_or_paid_or_refused(product: str, typed: str) -> None:
    number = normalise(typed)
    number_class = classify(number)
    try:
        priced = rate_call(TABLES[product], number, 3_600_000, product)
    except NoRate:
        assert number_class not in FREE[product]
        return
    assert (priced.amount_micro == 0) is (number_class in FREE[product])


@pytest.mark.parametrize(
    ("free", "swallowed"),
    [
        ("47", "premium"), ("478", "premium"), ("4782", "premium"), ("47820", "premium"), ("47829", "premium"),
        ("471", "premium"), ("4718", "premium"), ("475", "4758"), ("4781", "47810"), ("4788", "47880"),
        ("4711", "47116"), ("4", "premium"),
    ],
)  # fmt: skip
def test_a_free_row_from_which_a_class_would_inherit_is_refused(deck_text: Write, free: str, swallowed: str) -> None:
    with pytest.raises(DeckError, match=swallowed) as refused:
        parse(deck_text(f"{free},Norge,0,0,60,1,,"), "privat.csv")
    assert f"column prefix, '{free}'" in str(refused.value)


GUARDED = ("470", "47116", "4718", "4758", "4759", "47810", "47815", "47820", "47829", "4785", "47880")


@pytest.mark.parametrize(
    ("guarded", "free"), [(code, code[:length]) for code in GUARDED for length in range(1, len(code))]
)  # fmt: skip
def test_nothing_free_swallows_a_class_that_has_no_row_though_all_others_have(
    deck_text: Write, guarded: str, free: str
) -> None:
    rows = {code: f"{code},Annet,0,1,60,1,," for code in GUARDED if code != guarded}
    rows[free] = f"{free},Norge,0,0,60,1,,"
    with pytest.raises(DeckError) as refused:
        parse(deck_text(*(rows[code] for code in sorted(rows))), "privat.csv")
    assert f"column prefix, '{free}'" in str(refused.value)


@pytest.mark.parametrize("guarded", ["47820", "47829", "4718"])
def test_premium_and_directory_are_never_free_themselves(deck_text: Write, guarded: str) -> None:
    with pytest.raises(DeckError, match="a free row that covers premium numbers"):
        parse(deck_text(f"{guarded},Norge,0,0,60,1,,"), "privat.csv")


@pytest.mark.parametrize("typed", ["110", "112", "113", "1412", "+47112", "0047 113"])
@pytest.mark.parametrize("product", ["privat", "no such product"])
def test_emergency_calls_cost_nothing_without_any_price_list(tmp_path: Path, typed: str, product: str) -> None:
    (tmp_path / "broken.csv").write_text("junk", encoding="utf-8")
    for folder in (tmp_path, tmp_path / "absent", LISTS):
        price = rate_report(typed, product, 3600, folder)
        assert (price.amount_micro, price.exact, price.billed_s) == (0, "0/1", 0)
        assert [step.key for step in price.steps] == ["price.emergency"]


@pytest.mark.parametrize(
    "rows",
    [
        ("475,Norge,0,0,60,1,,,22:00-24:00,", "475,Norge,0,1,60,1,,,,"),  # free at night only
        ("475,Norge,0,0,60,1,,,,", "4758,Maskin,0,1,60,1,,,,2027-01-01", "4759,Maskin,0,1,60,1,,,,"),  # not yet priced
    ],
)
def test_a_class_inherits_nothing_free_at_any_time(deck_text: Write, rows: tuple[str, ...]) -> None:
    columns = "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,when,from"
    with pytest.raises(DeckError, match="numbers in 4758 would inherit"):
        parse(deck_text(*rows, columns=columns), "privat.csv")


def test_a_free_row_for_one_number_gives_no_class_away(deck_text: Write) -> None:
    columns = "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,length"
    deck = parse(deck_text("47,Alle,0,1,60,1,,,", "4755443322,Vakt,0,0,60,1,,,exact", columns=columns), "privat.csv")
    table = RateTable.of(deck)
    assert [rate_call(table, number, 60_000, "privat").amount_micro for number in ("+4755443322", "+4755443323")] == [
        0, 1_000_000,
    ]  # fmt: skip


def test_a_free_row_beside_classes_with_rows_of_their_own_is_good(deck_text: Write) -> None:
    rows = ("475,Norge,0,0,60,1,,", "4758,Maskin,0,1,60,1,,", "4759,Maskin,0,0,60,1,,")
    table = RateTable.of(parse(deck_text(*rows), "privat.csv"))
    assert rate_call(table, "+4755443322", 60_000, "privat").amount_micro == 0
    assert rate_call(table, "+47581234567890", 60_000, "privat").amount_micro == 1_000_000
    assert rate_call(table, "+4759123456", 60_000, "privat").amount_micro == 0  # stated, so not inherited


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(st.from_regex(r"47[0-9]{0,3}", fullmatch=True), st.sampled_from(["0", "0.50"]), min_size=1),
    norwegian,
)
def test_no_accepted_list_gives_a_guarded_class_away_by_a_shorter_prefix(
    deck_text: Write, prices: dict[str, str], typed: str
) -> None:
    rows = [f"{prefix},Norge,0,{price},60,1,," for prefix, price in sorted(prices.items())]
    table = None
    with contextlib.suppress(DeckError):
        table = RateTable.of(parse(deck_text(*rows), "x.csv"))
    if table is None:
        return
    number = normalise(typed)
    try:
        priced = rate_call(table, number, 60_000, "privat")
    except NoRate:
        return
    if classify(number) in (NumberClass.PREMIUM, NumberClass.DIRECTORY):
        assert priced.amount_micro > 0 or len(priced.prefix) > 4
    if classify(number) in (NumberClass.SHARED_COST, NumberClass.PERSONAL) or number.startswith("+47815"):
        assert priced.amount_micro > 0 or len(priced.prefix) >= 5
    if classify(number) is NumberClass.M2M:
        assert priced.amount_micro > 0 or len(priced.prefix) >= 4
    if classify(number) is NumberClass.UNIVERSAL and len(number) == 5:
        assert priced.amount_micro > 0 or len(priced.prefix) >= 3
