"""A table of every prefix in use on earth is small, and finds what a plain dictionary finds."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest

from agent.core.charge import price
from agent.rating.deck import Deck, parse
from agent.rating.packing import encode
from agent.rating.table import RateTable

pytestmark = pytest.mark.thorough  # some ten seconds to build

BENCH = Path(__file__).parents[2] / "bench"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCH / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def world() -> ModuleType:
    pytest.importorskip("phonenumbers")
    return load("world")


@pytest.fixture(scope="module")
def deck(world: ModuleType) -> Deck:
    return parse(world.deck_text(), "world.csv")


@pytest.fixture(scope="module")
def table(deck: Deck) -> RateTable:
    return RateTable.of(deck)


def test_a_prefix_takes_four_and_a_half_bytes_at_most(deck: Deck, table: RateTable) -> None:
    assert len(table) > 300_000
    assert len(encode(deck)) / len(table) <= 4.5


def test_each_number_is_found_and_priced_as_a_plain_dictionary_would(
    deck: Deck, table: RateTable, world: ModuleType
) -> None:
    by_dict = load("rivals").DictRater(deck)
    rows = {rate.prefix: rate for rate in deck.rates}
    for digits in world.numbers(5_000):
        expected = next(rows[digits[:length]] for length in range(len(digits), 0, -1) if digits[:length] in rows)
        assert table.candidates(digits) == (expected,)
        charge = price(expected, 125_001, table.rules, explain=False)
        amount, _, billed_s = by_dict.price(digits, 125_001)
        assert (charge.amount_micro, charge.billed_s) == (amount * 10**6, billed_s)


def test_each_row_is_found_on_its_line(deck: Deck, table: RateTable) -> None:
    dice = random.Random(3)
    edges = [deck.rates[0], deck.rates[-1], *(rate for rate in deck.rates if len(rate.prefix) <= 3)]
    for rate in [*edges, *dice.sample(deck.rates, 2_000)]:
        assert table.look_up(rate.prefix) == rate


def test_what_no_prefix_begins_is_not_found(table: RateTable) -> None:
    assert table.candidates("0") == ()
    assert table.longest("9990000000") is None
