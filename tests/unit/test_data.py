"""The shipped data loads, and a wrong file is named with its key."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.numbers import EMERGENCY
from agent.core.terms import Tone
from agent.data import DataError, load_advisories, load_numbering, load_products, load_services, load_tones
from agent.paths import data_dir

LOADERS = {
    "products.toml": load_products, "numbering.toml": load_numbering, "tones.toml": load_tones,
    "advisories.toml": load_advisories, "services.toml": load_services,
}  # fmt: skip


def test_every_product_has_its_price_list_among_the_shipped_ones():
    lists = {path.stem for path in (data_dir() / "price-lists").glob("*.csv")}
    assert {product.price_list for product in load_products().products} <= lists


def test_the_numbering_plan_knows_every_emergency_number():
    numbering = load_numbering()
    assert set(numbering.digit_map.emergency) == EMERGENCY
    assert (numbering.numbers.country_code, numbering.numbers.international_prefix) == ("47", "00")


def test_every_tone_is_there_and_ringing_has_a_cadence():
    tones = load_tones()
    assert set(tones.tones) == set(Tone)
    assert tones.ring_cadence_ms == (1000, 4000)
    assert tones.tones[Tone.DIAL].segments[0].frequencies == [425]


@pytest.mark.parametrize("country", ["se", "dk", "fi", "gb"])
def test_other_countries_have_every_tone_of_their_own(country):
    tones = load_tones(country=country)
    assert set(tones.tones) == set(Tone)
    assert tones != load_tones()


def test_a_file_of_ones_own_may_bring_the_tones(tmp_path: Path):
    text = (data_dir() / "tones.toml").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(text.replace("425@-10; *(*/0/1)", "400@-12; *(*/0/1)"), encoding="utf-8")
    dial = load_tones(country=str(tmp_path / "mine.toml")).tones[Tone.DIAL]
    assert (dial.level_dbm0, dial.segments[0].frequencies) == (-12, [400])


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("products.toml", 'monthly_fee = "149"', "monthly_fee = 149", "products[0].monthly_fee: Expected `str`"),
        ("products.toml", '"ring_group", ', '"ring_grup", ', "products[2].features[4]: Invalid enum value 'ring_grup'"),
        ("products.toml", "lines_max = 2", "lines_min = 2", "products[0].limits: Object contains unknown field"),
        ("products.toml", 'id = "bedrift"', 'id = "privat"', "product privat is there twice"),
        ("products.toml", "effective_from = 2019-01-01", 'effective_from = "soon"', "effective_from: Invalid"),
        ("numbering.toml", '"1412"]', '""]\nextra = 1', "digit_map: Object contains unknown field"),
        (
            "advisories.toml",
            'reached = "yes"',
            'reached = "perhaps"',
            "advisory[1].reached: Invalid enum value 'perhaps'",
        ),
        (
            "advisories.toml",
            'fixed = "2.17"',
            'fixed = "soon"',
            "CVE-2026-28799: fixed: 'soon' is no release; 2.17 is one",
        ),
        ("services.toml", "[codes.hotline]", "[codes.hot_line]", "Invalid enum value 'hot_line' - at `key`"),
        ("services.toml", '"*21*N#"', '"21N#"', "codes[...].on[0]: Expected `str` matching regex"),
        ("services.toml", "no_answer_s = 20", "no_answer_s = 2", "no_answer_s: Expected `int` >= 5"),
        ("services.toml", "recall_s", "recalls_s", "the file: Object contains unknown field `recalls_s`"),
        ("tones.toml", "howler =", "growler =", "tones"),
        ("tones.toml", "*(.5/.5/1)", "*(.5/.5/2)", "tones.busy: part '.5/.5/2': there are frequencies 1 to 1"),
        ("tones.toml", "ring_cadence_ms = [1000, 4000]", "ring_cadence_ms = [1000, 0]", "ring_cadence_ms[1]: Expected"),
    ],
)
def test_a_wrong_entry_is_named_with_file_and_key(tmp_path: Path, name, old, new, sentence):
    text = (data_dir() / name).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        LOADERS[name](tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert sentence in str(caught.value)


def test_a_tone_that_lacks_is_named(tmp_path: Path):
    lines = (data_dir() / "tones.toml").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("warning")]
    (tmp_path / "tones.toml").write_text("\n".join(kept), encoding="utf-8")
    with pytest.raises(DataError, match="tones: warning not there"):
        load_tones(tmp_path)


@pytest.mark.parametrize("name", list(LOADERS))
def test_a_missing_or_undecodable_file_is_named(tmp_path: Path, name):
    with pytest.raises(DataError, match="there is no such file"):
        LOADERS[name](tmp_path)
    (tmp_path / name).write_bytes(b"\xff")
    with pytest.raises(DataError, match="not UTF-8"):
        LOADERS[name](tmp_path)


@pytest.mark.parametrize("name", list(LOADERS))
def test_another_folder_may_take_the_place_of_the_shipped_one(tmp_path: Path, name):
    shutil.copy(data_dir() / name, tmp_path / name)
    assert LOADERS[name](tmp_path) == LOADERS[name]()


@given(st.sampled_from(sorted(LOADERS)), st.integers(0, 6000), st.binary(min_size=1, max_size=4))
def test_a_file_with_changed_bytes_loads_or_is_refused(tmp_path_factory, name, position, change):
    folder = tmp_path_factory.mktemp("data")
    body = (data_dir() / name).read_bytes()
    position %= len(body)
    (folder / name).write_bytes(body[:position] + change + body[position + len(change) :])
    with contextlib.suppress(DataError):
        LOADERS[name](folder)


def test_a_map_of_ones_own_takes_the_place_of_the_patterns_and_leaves_emergency_and_timers():
    shipped = load_numbering()
    own = shipped.with_map("(2xxxxxxx|00xx.)")

    assert own.digit_map.patterns == ["2xxxxxxx", "00x."]
    assert (own.digit_map.emergency, own.digit_map.timer_ms) == (
        shipped.digit_map.emergency, shipped.digit_map.timer_ms
    )  # fmt: skip
    assert shipped.with_map("") is shipped
