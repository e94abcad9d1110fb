"""`iplink-agent deck …` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent import cli
from agent.cli_deck import _Progress
from agent.paths import data_dir
from agent.rating.deck import load
from agent.rating.importing.build import Phase
from agent.rating.importing.choices import Choice

DECKS = Path(__file__).parents[1] / "data" / "decks"
FACTS = (
    "--product", "carrier", "--currency", "USD", "--vat", "excluded", "--version", "1", "--valid-from", "2026-11-01",
    "--today", "2026-11-22",
)  # fmt: skip


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["deck", *map(str, arguments)])


def build(sheet: Path, deck: Path, *more: str) -> Result:
    return run("build", sheet, "-o", deck, *FACTS, *more)


def test_build_tells_how_it_read_the_sheet_and_writes_a_sound_deck(tmp_path: Path):
    result = build(DECKS / "codes.txt", tmp_path / "deck.csv", "--choose", "increments=1/1")
    assert result.exit_code == 0, result.output
    for line in (
        "  CODES = prefix",
        "  delimiter = tab",
        "  increments = 1/1",
        "  currency = USD",
        "  rounding = half_up",
    ):
        assert line in result.stdout.splitlines()
    assert result.stdout.endswith("deck.csv: 12 prefixes from 3 rows\n")
    assert len(load(tmp_path / "deck.csv").rates) == 12
    assert [path.name for path in tmp_path.iterdir()] == ["deck.csv"]
    assert "rows read" not in result.stderr


def test_build_refuses_with_the_place_and_writes_nothing(tmp_path: Path):
    result = build(DECKS / "codes.txt", tmp_path / "deck.csv")
    assert result.exit_code == cli.Exit.BAD_INPUT
    assert result.stdout == ""
    assert result.stderr.startswith("iplink-agent: codes.txt, row 2: the sheet does not say in which seconds")
    assert list(tmp_path.iterdir()) == []


def test_build_asks_for_the_header_by_its_options(tmp_path: Path):
    result = run("build", DECKS / "codes.txt", "-o", tmp_path / "d", "--currency", "dollars", "--product", "carrier")
    assert result.exit_code == cli.Exit.BAD_INPUT
    assert "--currency dollars: use three capital letters" in result.stderr
    assert "--valid-from: give this option, or valid_from under [header] in the mapping" in result.stderr


def test_a_mapping_brings_columns_choices_and_header(tmp_path: Path):
    facts = [word for word in FACTS if word not in {"--currency", "USD"}]
    result = run("build", DECKS / "npanxx.csv", "-o", tmp_path / "d", "--mapping", DECKS / "npanxx.toml", *facts)
    assert result.exit_code == 0, result.output
    assert load(tmp_path / "d").header.rules.currency == "USD"
    result = run("build", DECKS / "npanxx.csv", "-o", tmp_path / "d", "--mapping", tmp_path / "absent", *facts)
    assert (result.exit_code, "there is no such file" in result.stderr) == (cli.Exit.BAD_INPUT, True)


def test_a_slip_and_an_old_sheet_stop_until_they_are_accepted(tmp_path: Path):
    sheet = tmp_path / "rates.csv"
    sheet.write_text(
        "Prefix,Destination,Rate,Increment,Effective\n46,Sweden,0.29,1/1,2026-01-01\n467,Mobile,0.0029,1/1,2026-01-01\n",
        encoding="utf-8",
    )
    result = build(sheet, tmp_path / "deck.csv")
    assert result.exit_code == cli.Exit.BAD_INPUT
    assert "rates.csv: The latest day of the list is 2026-01-01" in result.stderr
    assert "rates.csv, row 3, column Rate: 467 Mobile: USD 0.0029/min is far below USD 0.29/min" in result.stderr
    assert "--accept slip" in result.stderr
    assert not (tmp_path / "deck.csv").exists()
    result = build(sheet, tmp_path / "deck.csv", "--accept", "slip", "--accept", "stale")
    assert result.exit_code == 0, result.output
    assert "note: rates.csv, row 3, column Rate: 467 Mobile" in result.stderr


def test_of_many_doubts_only_the_first_are_shown(tmp_path: Path):
    sheet = tmp_path / "rates.csv"
    lines = (f"46{n},Sweden,{'0.01' if n < 140 else '0.29'},1/1" for n in range(110, 190))
    sheet.write_text("\n".join(("Prefix,Destination,Rate,Increment", *lines, "")), encoding="utf-8")
    result = build(sheet, tmp_path / "deck.csv")
    assert (result.stderr.count("a slip?"), "… and 10 more" in result.stderr) == (20, True)
    result = build(sheet, tmp_path / "deck.csv", "--accept", "slip")
    assert result.exit_code == 0, result.output
    assert (result.stderr.count("note: rates.csv"), "note: … and 10 more" in result.stderr) == (20, True)


def test_progress_is_one_line_that_is_emptied(capsys: pytest.CaptureFixture[str]):
    progress = _Progress()
    progress(Phase.READING, 5_000)
    progress.end()
    assert capsys.readouterr().err == "\r\x1b[K5000 rows read \r\x1b[K"


def test_the_help_names_every_choice():
    text = run("build", "--help").stdout
    assert [choice for choice in Choice if choice not in text] == []


def test_the_help_says_how_it_ends():
    text = " ".join(run("--help").stdout.split())
    assert "Exit codes: 0 done; 1 check found something, find found nothing, or the disk refused; 2 a file" in text


def test_build_twice_writes_the_same_bytes(tmp_path: Path):
    for name in ("one", "two"):
        assert build(DECKS / "magnus.csv", tmp_path / name).exit_code == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_files_that_cannot_be_read_or_written(tmp_path: Path):
    result = build(tmp_path / "absent.csv", tmp_path / "deck.csv")
    assert (result.exit_code, "the rate sheet cannot be read" in result.stderr) == (cli.Exit.BAD_INPUT, True)
    result = build(DECKS / "magnus.csv", tmp_path / "absent" / "deck.csv")
    assert (result.exit_code, "the price list cannot be written" in result.stderr) == (cli.Exit.FAILED, True)


def test_check_ends_with_1_where_there_is_a_doubt(tmp_path: Path):
    deck = data_dir() / "price-lists" / "privat.csv"
    good = run("check", deck, "--today", "2019-02-01")
    assert (good.exit_code, "nothing to remark" in good.stdout) == (0, True)
    old = run("check", deck, "--today", "2026-01-01", "--lang", "nb")
    assert old.exit_code == cli.Exit.FAILED
    assert "privat.csv: stale: Siste dato i listen er 2019-01-01" in old.stdout
    found = json.loads(run("check", deck, "--today", "2026-01-01", "--json").stdout)
    assert [(it["kind"], it["row"]) for it in found] == [("stale", 0)]
    (tmp_path / "bad.csv").write_text("junk\n", encoding="utf-8")
    bad = run("check", tmp_path / "bad.csv")
    assert (bad.exit_code, "bad.csv, row 1" in bad.stderr) == (cli.Exit.BAD_INPUT, True)


def test_diff_is_readable_in_both_languages_and_as_json(tmp_path: Path):
    new = tmp_path / "new.csv"
    text = (data_dir() / "price-lists" / "privat.csv").read_text(encoding="utf-8")
    new.write_text(
        text.replace("\n20,Egypt (eksempelpris),0,2.49", "\n20,Egypt (eksempelpris),0,2.61"), encoding="utf-8"
    )
    old = data_dir() / "price-lists" / "privat.csv"
    lines = run("diff", old, new).stdout.splitlines()
    assert lines[0] == "Dearer (1):"
    assert lines[1] == "  20 Egypt (eksempelpris): NOK 2.49/min, 1/1 s → NOK 2.61/min, 1/1 s (+4.8 %)"
    assert "2,61 kr/min, 1/1 s (+4,8 %)" in run("diff", old, new, "--lang", "nb").stdout
    found = json.loads(run("diff", old, new, "--json").stdout)["differences"]
    assert [(it["prefix"], it["change"], it["percent"]) for it in found] == [("20", "dearer", "400/83")]


def test_codes_of_one_destination_and_price_share_a_line():
    folder = data_dir() / "price-lists"
    lines = run("diff", folder / "privat.csv", folder / "bedrift.csv").stdout.splitlines()
    assert any("… (+" in line and "0.00/min" in line and "0.15/min" in line for line in lines)


def test_find_shows_each_step_as_the_operator_tells_it():
    lines = run("find", "4781569", "--product", "privat").stdout.splitlines()
    assert lines[0].endswith("the most specific entry applies.")
    assert lines[1:3] == [
        "4781569: no result. Remove a digit from the end.",
        "478156: no result. Remove a digit from the end.",
    ]
    assert lines[3].startswith("47815: Norge, felles bedriftsnummer")
    assert lines[3].endswith("It applies to all numbers that begin with 47815.")
    norwegian = run("find", "47815", "--product", "privat", "--lang", "nb").stdout
    assert "Gjelder alle numre som begynner med 47815." in norwegian


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [
        ("999", cli.Exit.FAILED, "no entry for 999: it cannot be called"), ("4781", cli.Exit.FAILED, "2 more specific"),
        ("22334455", cli.Exit.FAILED, "type 47 first"), ("Sverige", cli.Exit.BAD_INPUT, "digits only"),
    ],
)  # fmt: skip
def test_find_without_a_result(typed: str, code: cli.Exit, told: str):
    result = run("find", typed, "--product", "privat")
    assert result.exit_code == code
    assert told in result.output


def test_find_for_a_product_without_a_list():
    result = run("find", "47", "--product", "nothing")
    assert (result.exit_code, "no price list belongs" in result.stderr) == (cli.Exit.BAD_INPUT, True)
    assert "known are bedrift, iplink-" in result.stderr


def test_find_in_a_folder_without_lists(tmp_path: Path):
    result = run("find", "47", "--product", "privat", "--prices", tmp_path / "absent")
    assert (result.exit_code, "absent: there is no such folder" in result.stderr) == (cli.Exit.BAD_INPUT, True)
    result = run("find", "47", "--product", "privat", "--prices", tmp_path)
    assert (result.exit_code, "put its list (NAME.csv) there" in result.stderr) == (cli.Exit.BAD_INPUT, True)


def test_find_as_json():
    found = json.loads(run("find", "467", "--product", "privat", "--json").stdout)
    assert found["tried"] == ["467"]
    assert found["rows"][0]["rate"] == "0.89"
