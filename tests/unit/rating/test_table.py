"""A table finds the most specific row, and a file that is not this table is refused with its reason."""

from __future__ import annotations

import gc
import hashlib
import os
import random
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.paths import data_dir
from agent.rating.deck import Deck, parse
from agent.rating.errors import TableError
from agent.rating.layout import open_parts
from agent.rating.packing import encode
from agent.rating.table import RateTable, build, open_or_build, rating_key

Write = Callable[..., str]
SMALL = parse((data_dir() / "price-lists" / "privat.csv").read_bytes(), "privat.csv")


@pytest.fixture
def deck(deck_text: Write) -> Deck:
    return parse(deck_text(), "privat.csv")


@pytest.fixture
def path(tmp_path: Path, deck: Deck) -> Path:
    target = tmp_path / "privat.table"
    build(deck, target)
    return target


@pytest.mark.parametrize(
    ("number", "prefix"),
    [
        ("+4681234567", "46"),
        ("+46701234567", "467"),
        ("+4722334455", "472"),
        ("+4741234567", "474"),
        ("+4781569060", "47815"),
        ("+4782012345", "47820"),
        ("02800", "470"),
        ("1881", "4718"),
        ("+18035551234", "1803"),
        ("+12125551234", "1"),
        ("1803", "4718"),  # a Norwegian short number, not South Carolina
        ("+4791234567", None),
        ("+33123456789", None),
        ("+472233445", None),  # one digit short: no such number
        ("+47223344556", None),
        ("+4702800123", None),
        ("anonymous", None),
        ("", None),
    ],
)
def test_the_most_specific_entry_applies(deck: Deck, path: Path, number: str, prefix: str | None) -> None:
    for table in (RateTable.of(deck), RateTable.open(path)):
        rate = table.find(number)
        assert (rate.prefix if rate else None) == prefix


def test_a_row_comes_back_whole(deck: Deck, path: Path) -> None:
    table = RateTable.open(path, deck_sha256=deck.sha256)
    assert len(table) == len(deck.rates)
    assert table.rules == deck.header.rules
    for rate in deck.rates:
        assert table.look_up(rate.prefix) == rate


def test_a_customer_looks_up_a_prefix(deck: Deck) -> None:
    table = RateTable.of(deck)
    found = table.look_up("47815")
    assert found is not None
    assert found.destination == "Bedriftsnummer"
    assert table.look_up("4") is None


def test_short_numbers_stand_behind_the_country_code() -> None:
    assert rating_key("1881") == "471881"
    assert rating_key("02800") == "4702800"
    assert rating_key("+18035551234") == "18035551234"
    assert rating_key("12345") is None


def test_the_table_agrees_with_probing_every_prefix_of_a_big_list(deck_text: Write) -> None:
    random.seed(4711)
    prefixes = sorted({str(random.randint(1, 10 ** random.randint(1, 9))) for _ in range(20_000)})
    rows = [f"{prefix},D{int(prefix) % 97},0,{int(prefix) % 7 + 1}.25,60,1,," for prefix in prefixes]
    deck = parse(deck_text(*rows), "big.csv")
    table = RateTable.of(deck)
    known = {rate.prefix: rate for rate in deck.rates}
    for _ in range(5_000):
        digits = str(random.randint(10**9, 10**12))
        expected = next((known[digits[:n]] for n in range(len(digits), 0, -1) if digits[:n] in known), None)
        assert table.look_up(digits) == expected


def test_prices_and_destinations_are_stored_once(deck_text: Write) -> None:
    def size(count: int) -> int:
        return len(encode(parse(deck_text(*(f"46{i:05d},Sverige,0,0.29,60,1,," for i in range(count))), "x")))

    assert size(10_000) - size(5_000) < 5_000 * 3


def test_a_new_version_takes_over_and_a_call_in_progress_keeps_its_price(deck_text: Write, path: Path) -> None:
    old = RateTable.open(path)
    build(parse(deck_text("46,Sverige,0,9.99,60,1,,", version="8"), "privat.csv"), path)
    new = RateTable.open(path)
    gc.collect()
    assert [table.rules.version for table in (old, new)] == ["7", "8"]
    rates = [table.find("+4681234567") for table in (old, new)]
    assert [rate and rate.tariff.intervals[0].rate_micro for rate in rates] == [290_000, 9_990_000]


def test_nothing_is_left_beside_the_table(path: Path) -> None:
    assert [entry.name for entry in path.parent.iterdir()] == ["privat.table"]


def test_a_table_is_on_the_disk_before_it_gets_its_name_and_so_is_the_name(
    deck: Deck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def watched_replace(source: Path, target: Path) -> Path:
        done.append("rename")
        return replace(source, target)

    monkeypatch.setattr("os.fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    build(deck, tmp_path / "privat.table")
    assert done == ["file", "rename", "folder"]


def test_a_disk_that_refuses_leaves_the_old_table(deck: Deck, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TableError, match="No space left"):
        build(deck, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["privat.table"]


def resealed(data: bytes) -> bytes:
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: b"", "0 bytes"),
        (lambda data: data[:40], "40 bytes"),
        (lambda data: b"SQLite format 3\0" + data[16:], "no rate table"),
        (lambda data: data[:8] + b"\x63\x00" + data[10:], "format 99"),
        (lambda data: data[:-1], "checksum"),
        (lambda data: data[: len(data) // 2], "checksum"),
        (lambda data: data + b"\0", "checksum"),
        (lambda data: data[:700] + bytes([data[700] ^ 1]) + data[701:], "checksum"),
        (lambda data: resealed(data[:12] + b"\xff\xff\xff\xff" + data[16:]), "head cannot be read"),
        (lambda data: resealed(data.replace(b'"deck"', b'"d\xb7ck"')), "head cannot be read"),
        (lambda data: resealed(data[:-64] + data[-32:]), "do not fill"),
        (lambda data: resealed(data.replace(b'"prefixes":12', b'"prefixes":11')), "do not fit"),
        (lambda data: resealed(data.replace(b"We love Marisa.", b"We love Nobody.")), "trie cannot be read"),
        (lambda data: resealed(data.replace(b'"decimals":"4"', b'"decimals":"9"')), "describes no price list"),
        (lambda data: resealed(data.replace(f'"{sys.byteorder}"'.encode(), b'"middle"')), "another kind of machine"),
    ],
)
def test_a_foreign_or_damaged_file_is_refused(path: Path, change: Callable[[bytes], bytes], reason: str) -> None:
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(TableError, match=reason) as refused:
        RateTable.open(path)
    assert "privat.table" in str(refused.value)


def test_a_missing_table_and_one_of_another_list_are_refused(tmp_path: Path, path: Path) -> None:
    with pytest.raises(TableError, match="No such file"):
        RateTable.open(tmp_path / "none.table")
    with pytest.raises(TableError, match="another price list"):
        RateTable.open(path, deck_sha256="0" * 64)


def test_a_damaged_cache_is_built_again(tmp_path: Path, deck_text: Write, path: Path) -> None:
    source = tmp_path / "privat.csv"
    source.write_text(deck_text(version="9"), encoding="utf-8")
    for damage in (b"", b"junk" * 100):
        path.write_bytes(damage)
        assert open_or_build(source, path).rules.version == "9"
    kept = path.stat().st_ino
    assert open_or_build(source, path).rules.version == "9"
    assert path.stat().st_ino == kept


@given(st.binary(max_size=300))
def test_no_bytes_can_do_more_than_be_refused(data: bytes) -> None:
    with pytest.raises(TableError):
        RateTable(data, "x.table")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_sealed_table_of_nonsense_is_refused_or_finds_something(deck: Deck, data: st.DataObject) -> None:
    """The checksum is right, as after a bug in the program that built the table; the trie is marisa's own affair."""
    good = encode(deck)
    _, parts = open_parts(memoryview(good), "x")
    first = len(good) - 32 - sum(part.nbytes for name, part in parts.items() if name != "trie")
    body = bytearray(good[:-32])
    head_end = first - parts["trie"].nbytes - 1
    places = st.integers(8, head_end) | st.integers(first, len(body) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=4)):
        body[place] = value
    try:
        table = RateTable(resealed(bytes(body) + bytes(32)), "x.table")
    except TableError:
        return
    for rate in deck.rates:
        assert all(row.prefix for row in table.candidates(rate.prefix.ljust(10, "1")))


@given(st.integers(8, 2000))
def test_a_table_cut_short_and_sealed_again_is_refused(cut: int) -> None:
    good = encode(SMALL)
    with pytest.raises(TableError):
        RateTable(resealed(good[:-32][: -min(cut, len(good) - 64)] + bytes(32)), "x.table")


def test_all_that_a_row_can_say_comes_back_from_the_table(deck_text: Write) -> None:
    columns = "prefix,destination,connect_fee,rate,unit_s,increment_s,next,minimum,maximum,when,from,until,length"
    rows = (
        "46,Sverige,0.10,0.59,60,30,30:0.59/60/6,1,25 free,mon-fri 08:00-17:00,2026-02-01,2026-12-31,8-12",
        "46,Sverige,0,0.39,60,1,,,30 disconnect,,2026-02-01,2026-12-31,8-12",
        "4670,Sverige mobil,0,0.89,60,1,,,,,,,",
        "4702800,Kundeservice,0,0,60,1,,,,,,,exact",
        "881,Satellitt,,blocked,,,,,,,,,",
    )
    deck = parse(deck_text(*rows, columns=columns), "x.csv")
    table = RateTable.of(deck)
    assert table.candidates("4681234567") == deck.rates[:2]
    assert table.candidates("46701234567") == (deck.rates[2],)
    assert table.candidates("4702800") == (deck.rates[3],)
    assert table.candidates("88112345678") == (deck.rates[4],)
    unnumbered = table.candidates("4681234567", numbered=False)
    assert [rate.row for rate in unnumbered] == [0, 0]
    assert [rate.tariff for rate in unnumbered] == [rate.tariff for rate in deck.rates[:2]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
@given(st.integers(0, 2**32), st.integers(250, 1_500), st.integers(3, 6))
def test_each_row_knows_its_line_however_the_prefixes_nest(deck_text: Write, seed: int, count: int, depth: int) -> None:
    dice = random.Random(seed)
    prefixes = {str(dice.randint(1, 10 ** dice.randint(1, depth))) for _ in range(count)}
    rows = [f"{prefix},D,0,{len(prefix)},60,1,," for prefix in sorted(prefixes)]
    deck = parse(deck_text(*rows), "x.csv")
    table = RateTable.of(deck)
    assert [table.look_up(rate.prefix) for rate in deck.rates] == list(deck.rates)
