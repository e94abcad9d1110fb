"""A rate sheet becomes a deck, or is refused with file, row, column, value and what to do: never a guess."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.rating.deck import parse
from agent.rating.errors import MAX_PROBLEMS, DeckError, Problem
from agent.rating.importing.build import Built, Phase, build
from agent.rating.importing.choices import ALLOWED, Choice, Choices, Status, read_choice, read_mapping
from agent.rating.importing.fields import Field

DECKS = Path(__file__).parents[2] / "data" / "decks"
FACTS = {
    "price_list": "carrier", "product": "carrier", "currency": "NOK", "vat": "excluded", "version": "7",
    "valid_from": "2026-11-01", "rounding": "half_up", "decimals": "4", "seconds": "up",
}  # fmt: skip
HEAD = "Prefix,Destination,Rate,Increment"


def made(text: str | bytes, *, mapping: Choices | None = None, currency: str = "NOK", **chosen: str) -> Built:
    data = text.encode() if isinstance(text, str) else text
    base = mapping or Choices()
    choices = Choices(
        base.columns, {**base.made, **{Choice(key): value for key, value in chosen.items()}}, base.statuses
    )
    return build(data, "rates.csv", {**FACTS, "currency": currency}, choices)


def rows(built: Built) -> list[str]:
    """The canonical rows under the column line."""
    lines = [line for line in built.text.splitlines() if not line.startswith("#")]
    return lines[1:]


def refused(text: str | bytes, **chosen: str) -> str:
    with pytest.raises(DeckError) as error:
        made(text, **chosen)
    return str(error.value)


def file(name: str, **options: str) -> Built:
    return made((DECKS / name).read_bytes(), **options)


# --- layouts of the trade ------------------------------------------------------------------------------------------


def test_a_telnyx_sheet_is_built_once_its_origin_rows_are_left_out():
    told = refused((DECKS / "telnyx.csv").read_bytes(), currency="USD")
    assert told == (
        "rates.csv, row 3, column Origination Prefixes, '47': this price is for some callers only: "
        "leave such rows out with --choose origins=skip"
    )
    built = file("telnyx.csv", currency="USD", origins="skip")
    assert rows(built) == [
        "46,Sweden,0,0.0123,60,60,60:0.0123/60/1,,",
        "4610,Sweden,0,0.0123,60,60,60:0.0123/60/1,,",
        "46112,Sweden Emergency,0.5,0,60,60,,,exact",
        "467,Sweden Mobile,0,0.0321,60,60,60:0.0321/60/1,,",
        "4670,Sweden Mobile,0,0.0321,60,60,60:0.0321/60/1,,",
        "49152,Germany Mobile,0,0.01,60,1,,,",
        "49162,Germany Mobile,0,0.01,60,1,,,",
    ]
    assert (built.account.rows, built.account.left_out) == (5, 1)


def test_a_tcxc_sheet_bars_the_forbidden_and_ends_the_discontinued():
    assert rows(file("tcxc.csv")) == [
        "3712,Latvia Mobile,0,0.4,60,1,,,,2026-12-30",
        "3712,Latvia Mobile,,blocked,,,,,2026-12-31,",
        "474,Norway Mobile,0,0.1,60,60,60:0.05/60/6,,,",
        "47810,Norway Shared Cost,0,0.3,60,1,,,,",
        "53,Cuba,,blocked,,,,,,",
    ]


def test_a_twt_sheet_has_preamble_decimal_commas_peak_hours_asap_and_a_footnote():
    told = refused((DECKS / "twt.csv").read_bytes())
    assert "rates.csv, row 6: the sheet does not say in which seconds" in told
    assert "row 3 seems to say 60/1" in told
    told = refused((DECKS / "twt.csv").read_bytes(), increments="60/1")
    assert "row 7, column Peak, '0,2500': this differs from Off peak: say when it holds" in told
    assert "row 8, column Effective, 'ASAP': no day" in told
    built = file("twt.csv", increments="60/1", asap="2026-12-01", peak="mon-fri 08:00-18:00")
    assert rows(built) == [
        "33607,France,0,0.18,60,60,60:0.18/60/1,,,2026-12-01",
        "39,Italy,0,0.123,60,60,60:0.123/60/1,,,",
        "393,Italy Mobile,0,0.25,60,60,60:0.25/60/1,,mon-fri 08:00-18:00,",
        "393,Italy Mobile,0,0.2,60,60,60:0.2/60/1,,,",
    ]
    assert [row for row, _ in built.account.notes] == [1, 2, 3, 9]
    assert ("decimal", "comma") in built.account.readings
    assert ("dates", "day-first") in built.account.readings
    assert ("Peak", Field.PEAK_RATE) in built.account.columns


def test_a_tab_separated_sheet_with_a_range_and_plus_and_00():
    found = rows(file("codes.txt", currency="USD", increments="1/1"))
    assert [row.partition(",")[0] for row in found] == ["44", "4420", *(f"44740{last}" for last in range(10))]
    assert "the price list is in NOK" in refused((DECKS / "codes.txt").read_bytes(), increments="1/1")


def test_a_sheet_by_charge_code_says_that_prefixes_are_missing():
    told = refused((DECKS / "gamma.csv").read_bytes())
    assert "row 1" in told
    assert "no column holds prefixes; a list by charge code or name needs its code list" in told


def test_a_magnus_sheet_counts_30_and_6_from_the_end_of_the_first():
    assert rows(file("magnus.csv")) == [
        "55,Brazil,0,0.02,60,30,30:0.02/60/6,",
        "5511,Brazil Sao Paulo,0.01,0.015,60,30,30:0.015/60/6,",
    ]


def test_unknown_columns_need_a_mapping():
    told = refused((DECKS / "npanxx.csv").read_bytes(), currency="USD")
    assert "row 1, column Wireless: unknown column: name it in a --mapping file" in told
    assert "column Land Line" in told
    mapping = read_mapping(DECKS / "npanxx.toml")
    assert rows(file("npanxx.csv", currency="USD", mapping=mapping))[0] == "1201200,USA,0,0.0042,60,6,,"


def test_country_and_area_in_two_columns_and_a_price_that_changes():
    told = refused((DECKS / "two_columns.csv").read_bytes())
    assert "row 3, column New Price, '0.0120': Current Price and New Price differ" in told
    found = rows(file("two_columns.csv", prices="both"))
    assert found[3:] == [
        '4420,"United Kingdom, London and Guernsey",0,0.009,60,1,,,,2026-11-30',
        '4420,"United Kingdom, London and Guernsey",0,0.012,60,1,,,2026-12-01,',
        '4470,"United Kingdom, Personal",,blocked,,,,,,',
    ]
    assert found[0] == '44,"United Kingdom, Fixed",0,0.008,60,1,,,,'
    assert "0.012" not in "".join(rows(file("two_columns.csv", prices="current")))


def test_headings_in_another_language_need_a_mapping():
    assert "no row of headings" in refused((DECKS / "vorwahl.csv").read_bytes())
    mapping = read_mapping(DECKS / "vorwahl.toml")
    assert mapping.header == {"currency": "EUR"}
    assert rows(file("vorwahl.csv", currency="EUR", mapping=mapping)) == [
        "43,Österreich,0,0.1234,60,60,60:0.1234/60/1,",
        "436,Österreich Mobil,0,0.25,60,60,60:0.25/60/1,",
    ]


# --- cells that are read, and cells that are refused ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "prefixes"),
    [
        ("46", ["46"]), ("+46", ["46"]), ("0046", ["46"]), ('"49152, 49162"', ["49152", "49162"]),
        ("447400-447402", ["447400", "447401", "447402"]), ("336 07", ["33607"]), ("'46", ["46"]),
        ('"=""46"""', ["46"]),
        ("1 242", ["1242"]),
    ],
)  # fmt: skip
def test_codes_that_can_be_read_in_one_way(code: str, prefixes: list[str]):
    assert [row.split(",")[0] for row in rows(made(f"{HEAD}\n{code},X,0.5,1/1\n"))] == prefixes


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("93-70", "a range from 93 to 70, or the one code 9370? --choose hyphen=range or hyphen=join"),
        ("44-7400", "--choose hyphen="), ("20-21", "--choose hyphen="), ('"355,356"', "--choose lists=codes"),
        ("49152 49162", "--choose spaces=join"), ("46 47 48", "--choose spaces="), ("4.47E+11", "as text"),
        ("4415.0", "as text"), ("373000000000", "a spreadsheet has rounded this code"), ("046", "trunk zero"),
        ("46x", "digits only"), ("4681234567890123", "15 digits"), ('"46,,47"', "an empty place"),
        ("٤٦", "digits only"),
    ],
)  # fmt: skip
def test_codes_that_stop(code: str, advice: str):
    told = refused(f"{HEAD}\n{code},X,0.5,1/1\n")
    assert told.startswith("rates.csv, row 2, column Prefix, '")
    assert advice in told


@pytest.mark.parametrize(
    ("code", "choice", "prefixes"),
    [
        ("93-70", {"hyphen": "join"}, ["9370"]), ("20-21", {"hyphen": "range"}, ["20", "21"]),
        ('"355,356"', {"lists": "codes"}, ["355", "356"]), ('"355,356"', {"lists": "number"}, ["355356"]),
        ("49152 49162", {"spaces": "list"}, ["49152", "49162"]), ("46 47", {"spaces": "join"}, ["4647"]),
    ],
)  # fmt: skip
def test_a_choice_settles_it(code: str, choice: dict[str, str], prefixes: list[str]):
    assert [row.split(",")[0] for row in rows(made(f"{HEAD}\n{code},X,0.5,1/1\n", **choice))] == prefixes


def test_an_area_that_begins_like_its_country_is_asked_about():
    text = "Country Code,Area Code,Destination,Rate,Increment\n49,4921,X,0.5,1/1\n"
    assert "does 4921 begin with the country code 49, or does it stand behind it? --choose area=full" in refused(text)
    assert rows(made(text, area="full"))[0].startswith("4921,")
    assert rows(made(text, area="rest"))[0].startswith("494921,")


@pytest.mark.parametrize(
    ("price", "rate"),
    [
        ("0.5", "0.5"), ('"0,5"', "0.5"), ("kr 0.5", "0.5"), ("NOK 0.39", "0.39"), ("1e-05", "0.00001"), (".5", "0.5"),
        ('"1 000,00"', "1000"), ('"1,000.00"', "1000"), ("0.12300", "0.123"), ("0", "0"),
    ],
)  # fmt: skip
def test_prices_that_can_be_read_in_one_way(price: str, rate: str):
    assert rows(made(f"{HEAD}\n46,X,{price},1/1\n"))[0].split(",")[3] == rate


@pytest.mark.parametrize(
    ("price", "advice"),
    [
        ('"1,234"', "thousands or decimals? no other price tells: --choose decimal=point or decimal=comma"),
        ("-0.5", "a price below zero"), ("(0.5)", "a price below zero"), ("$-0.5", "the price list is in NOK"),
        ("$0.5", "the price list is in NOK"), ("0.1234567", "more than six decimals"), ("5000.5", "more than 1000"),
        ("N/A", "this is no price"), ("", "there is no price"), ("0.5.1", "decimal"),
        ("1e-99", "more than six decimals"),
    ],
)  # fmt: skip
def test_prices_that_stop(price: str, advice: str):
    told = refused(f"{HEAD}\n46,X,{price},1/1\n")
    assert told.startswith("rates.csv, row 2, column Rate")
    assert advice in told


def test_another_price_of_the_sheet_settles_the_decimal_sign():
    assert [row.split(",")[3] for row in rows(made(f'{HEAD}\n46,X,"1,234",1/1\n47,Y,"0,12",1/1\n'))] == [
        "1.234",
        "0.12",
    ]
    told = refused(f'{HEAD}\n46,X,"0,12",1/1\n48,Y,0.34,1/1\n')
    assert "'0.34' has a decimal point, '0,12' a decimal comma" in told
    assert "row 2, column Rate" in told


def test_prices_in_cents_and_per_second_as_the_heading_says():
    built = made("Prefix,Destination,Rate (cents/min),Increment\n46,X,12.5,1/1\n")
    assert rows(built) == ["46,X,0,0.125,60,1,,"]
    assert ("amounts", "hundredths, by the headings") in built.account.readings
    assert rows(made("Prefix,Destination,Rate per second,Increment\n46,X,0.01,1\n")) == ["46,X,0,0.01,1,1,,"]
    assert "EUR, the price list is in NOK" in refused("Prefix,Destination,Rate (EUR),Increment\n46,X,1,1/1\n")


@pytest.mark.parametrize(
    ("cell", "advice"),
    [("60/0", "an increment lasts"), ("soon", "such as 60/1"), ("60/60/1", "such as 60/1"), ("", "increments=60/1")],
)
def test_increments_that_stop(cell: str, advice: str):
    told = refused(f"{HEAD}\n46,X,0.5,{cell}\n")
    assert "row 2, column Increment" in told
    assert advice in told


@pytest.mark.parametrize(
    ("day", "since"),
    [
        ("2026-12-24", "2026-12-24"), ("20261224", "2026-12-24"), ("24.12.2026", "2026-12-24"),
        ("12/24/2026", "2026-12-24"), ("24-Dec-2026", "2026-12-24"), ("24. desember 2026", "2026-12-24"),
        ("12/12/2026", "2026-12-12"), ("2026-12-24 00:00:00", "2026-12-24"), ('"Dec 24, 2026"', "2026-12-24"),
        ("2026-01-01", ""),
    ],
)  # fmt: skip
def test_days_that_can_be_read_in_one_way(day: str, since: str):
    row = rows(made(f"{HEAD},Effective\n46,X,0.5,1/1,{day}\n"))[0]
    assert row == (f"46,X,0,0.5,60,1,,,{since}" if since else "46,X,0,0.5,60,1,,")


@pytest.mark.parametrize(
    ("day", "advice"),
    [
        ("03/04/2026", "day or month first? no date of the sheet tells: --choose dates=day-first"),
        ("03.04.2026", "--choose dates="), ("ASAP", "--choose asap=2026-01-01"), ("24/12/26", "four digits"),
        ("46010", "spreadsheet's count of days"), ("31/31/2026", "no such day"), ("2026-02-30", "no such day"),
        ("next week", "this is no day"),
    ],
)  # fmt: skip
def test_days_that_stop(day: str, advice: str):
    told = refused(f"{HEAD},Effective\n46,X,0.5,1/1,{day}\n")
    assert "row 2, column Effective" in told
    assert advice in told


def test_dates_that_contradict_each_other_stop():
    told = refused(f"{HEAD},Effective\n46,X,0.5,1/1,24/12/2026\n48,Y,0.5,1/1,12/24/2026\n")
    assert "row 3, column Effective" in told
    assert "mixes orders" in told


@pytest.mark.parametrize("word", ["Closed", "BLOCKED", "discontinued"])
def test_a_closed_code_is_blocked_not_left_to_a_shorter_one(word: str):
    assert rows(made(f"{HEAD},Status\n46,X,0.5,1/1,\n467,Y,,,{word}\n")) == ["46,X,0,0.5,60,1,,", "467,Y,,blocked,,,,"]


def test_an_unknown_status_is_asked_about():
    text = f"{HEAD},Status\n46,X,0.5,1/1,Pending\n48,Y,0.5,1/1,Active\n"
    assert "row 2, column Status, 'Pending': unknown status: name it in a --mapping file" in refused(text)
    built = made(text, mapping=Choices(statuses={"pending": Status.SKIP}))
    assert rows(built) == ["48,Y,0,0.5,60,1,,"]


def test_a_code_with_two_prices_is_shown_with_both_rows():
    told = refused(f"{HEAD}\n46,X,0.5,1/1\n48,Y,0.1,1/1\n46,X,0.6,1/1\n")
    assert (
        "row 4, column Prefix, '46': row 2 has this code at 0.5/60 s in 1 s, this row at 0.6/60 s in 1 s: keep one"
        in told
    )
    assert "as 'X', this row as 'Z'" in refused(f"{HEAD}\n46,X,0.5,1/1\n46,Z,0.5,1/1\n")
    assert made(f"{HEAD}\n46,X,0.5,1/1\n46,X,0.50,1/1\n").account.repeated == 1


def test_of_several_days_each_price_holds_until_the_next():
    head = f"{HEAD},Effective\n"
    built = made(f"{head}46,X,0.6,1/1,2026-12-01\n46,X,0.5,1/1,2026-10-01\n46,X,0.4,1/1,2026-01-01\n")
    assert rows(built) == ["46,X,0,0.5,60,1,,,,2026-11-30", "46,X,0,0.6,60,1,,,2026-12-01,"]
    assert built.account.superseded == 1
    assert "or give both rows their first day" in refused(f"{head}46,X,0.5,1/1,\n46,X,0.6,1/1,2026-12-01\n")


@pytest.mark.parametrize(
    ("head", "cells", "expected"),
    [
        ("Price Per Call", "0.9", "0.9,0,60,60,,"), ("Price Per Call", "0", "0,0.5,60,1,,"),
        ("Connect Fee", "0.9", "0.9,0.5,60,1,,"), ("Minimum Charge", "0.9", "0,0.5,60,1,,0.9"),
    ],
)  # fmt: skip
def test_charges_beside_the_rate(head: str, cells: str, expected: str):
    rate = "0" if expected.startswith("0.9,0,") else "0.5"
    assert rows(made(f"{HEAD},{head}\n46,X,{rate},1/1,{cells}\n")) == [f"46,X,{expected}"]


@pytest.mark.parametrize(
    ("head", "cell", "advice"),
    [
        ("Price Per Call", "0.9", "a price per call and one for time"),
        ("Price Per Call", "1", "--choose per_call=flag"),
        ("disconnectcharge", "0.1", "hanging up"), ("minimal_time_charge", "10", "do shorter calls cost nothing"),
        ("Exact Match", "perhaps", "yes or no"), ("Currency", "USD", "the price list is in NOK"),
    ],
)  # fmt: skip
def test_charges_that_stop(head: str, cell: str, advice: str):
    told = refused(f"{HEAD},{head}\n46,X,0.5,1/1,{cell}\n")
    assert f"row 2, column {head}, '{cell}'" in told
    assert advice in told


def test_a_flag_makes_the_rate_a_price_per_call():
    assert rows(made(f"{HEAD},Per Call\n46,X,0.5,,Yes\n48,Y,0.5,1/1,No\n"))[0] == "46,X,0.5,0,60,60,,"


@pytest.mark.parametrize(
    ("head", "cells"),
    [
        ("Per Call", ""), ("Rate,Per Call", ",0"), ("Rate,Per Call", ",no"), ("Rate,Per Call", ",yes"),
        ("New Price", ""), ("Current Price,New Price", ","), ("Peak,Off Peak", "0.5,"), ("Price 1,Price N", "0.5,"),
        ("Rate", ""),
    ],
)  # fmt: skip
def test_an_empty_price_is_never_a_free_call(head: str, cells: str):
    told = refused(f"Prefix,Destination,Increment,{head}\n46,X,1/1,{cells}\n")
    assert "rates.csv, row 2, column " in told
    assert "there is no price" in told


@pytest.mark.parametrize(
    ("head", "advice"),
    [
        ("Peak", "off_peak_rate, is missing"), ("Price N", "first_rate, is missing"),
        ("Rate,Peak,Off Peak", "another kind"), ("Rate,Current Price", "another kind"),
        ("Rate 1,Rate N,New Rate", "another kind"),
    ],
)  # fmt: skip
def test_price_columns_that_do_not_go_together_stop(head: str, advice: str):
    assert advice in refused(f"Prefix,Destination,Increment,{head}\n46,X,1/1,{'1,' * head.count(',')}1\n")


def test_a_second_sheet_in_the_file_stops_but_repeated_headings_do_not():
    built = made(f"{HEAD}\n46,X,0.5,1/1\n\n{HEAD}\n48,Y,0.3,1/1\n")
    assert len(rows(built)) == 2
    told = refused(f"{HEAD}\n46,X,0.5,1/1\nPrefix,Destination,Increment,Rate\n48,Y,1/1,0.3\n")
    assert "row 3, 'Prefix Destination Increment Rate': other headings: a second sheet begins here" in told


def test_words_below_the_prices_may_contradict_the_currency():
    assert "row 3, 'All prices in EUR': this says EUR" in refused(f"{HEAD}\n46,X,0.5,1/1\nAll prices in EUR,,,\n")


def test_a_status_without_a_code_is_not_taken_for_words():
    told = refused(f"{HEAD},Status\n46,X,0.5,1/1,\n,Cuba,,,Blocked\n")
    assert "row 3, column Prefix: there is no code" in told


def test_a_last_day_before_the_first_stops():
    told = refused(f"{HEAD},Valid from,Valid until\n46,X,0.5,1/1,2026-12-01,2026-11-30\n")
    assert "column Valid until, '2026-11-30': this is before the first day" in told


def test_thousands_do_not_begin_with_zero():
    assert "this sheet has a decimal comma" in refused(f"{HEAD}\n46,X,0.500,1/1\n", decimal="comma")


# --- the file itself -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (b"PK\x03\x04rest", "export the one sheet with the prices as CSV"), (b"", "the file is empty"),
        (b" \r\n\r\n", "the file is empty"),
        (b"46,Sverige,0.29,1/1\n", "row 1, '46 Sverige 0.29 1/1': no row of headings"),
        (b"\xd0\xcf\x11\xe0rest", "old Excel workbook"), (b"%PDF-1.7", "a PDF"),
        (f"{HEAD}\n46,Gr\xf8nland,1,1/1\n".encode("cp1252"), "'Gr\xf8nland': byte 39 of the file is not UTF-8"),
        (f"{HEAD}\n46,X\n".encode(), "the row has 2 cells, the headings 4: is it cut off?"),
        (f"{HEAD}\n46,X\0,1,1/1\n".encode(), "zero byte"), (f'{HEAD}\n46,"X,1,1/1\n'.encode(), "quotation marks"),
        (f"{HEAD}\n".encode(), "no prices stand under the headings"),
        (f"{HEAD}\n46,X,0,1230,1/1\n".encode(), "a decimal comma must stand in quotes"),
        (b"Prefix,Code,Destination,Rate,Increment\n46,46,X,1,1/1\n", "a column of prefix, too"),
        (b"Prefix,Destination\n46,X\n", "no column holds prices"),
        (b"All prices in EUR\n" + HEAD.encode() + b"\n46,X,1,1/1\n", "this says EUR, the price list is in NOK"),
    ],
)  # fmt: skip
def test_files_that_stop(data: bytes, advice: str):
    assert advice in refused(data)


@pytest.mark.parametrize("error", ["#REF!", "#N/A", "#NAME?", "#VALUE!", "#DIV/0!", "#NUM!", "########", "#I/T"])
@pytest.mark.parametrize(
    ("line", "column"), [("{},X,1,1/1", "Prefix"), ("46,{},1,1/1", "Destination"), ("46,X,{},1/1", "Rate")]
)
def test_an_error_of_the_spreadsheet_is_neither_name_nor_price(error: str, line: str, column: str):
    told = refused(f"{HEAD}\n{line.format(error)}\n")
    assert f"row 2, column {column}, '{error}': the spreadsheet has an error here" in told


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ("46,X,1,1/1\n46,X,2,1/1", "row 3, column Vorwahl, '46'"),
        ("47,X,0,1/1", "row 2, column Vorwahl, '47'"),
        ("46,X,1,1/1\n46,Y,1,1/1", "row 3, column Vorwahl, '46'"),
        (f"46,{'X' * 101},1,1/1", f"row 2, column Ziel, '{'X' * 40}"),
    ],
)
def test_a_fault_that_shows_later_names_the_column_of_the_sheet(tmp_path: Path, lines: str, place: str):
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('[columns]\nprefix = "Vorwahl"\ndestination = "Ziel"\n', encoding="utf-8")
    with pytest.raises(DeckError) as error:
        build(f"Vorwahl,Ziel,Rate,Increment\n{lines}\n".encode(), "x.csv", FACTS, read_mapping(mapping))
    assert place in str(error.value)


def test_encodings_that_say_what_they_are():
    text = f"{HEAD}\n299,Grønland,1,1/1\n"
    expected = ["299,Grønland,0,1,60,1,,"]
    assert rows(made(text.encode("utf-8-sig"))) == expected
    assert rows(made(text.encode("utf-16"))) == expected
    assert rows(made(text.replace("\n", "\r\n"))) == expected
    assert rows(made(text.encode("cp1252"), encoding="cp1252")) == expected


def test_a_free_country_code_of_norway_is_refused_at_the_row_of_the_sheet():
    told = refused(f"Some words\n{HEAD}\n46,X,0.5,1/1\n47,Norge,0,1/1\n")
    assert "rates.csv, row 4, column Prefix, '47': a free row that covers premium numbers" in told


def test_the_facts_of_the_header_are_checked_first():
    with pytest.raises(DeckError) as error:
        build(f"{HEAD}\n46,X,1,1/1\n".encode(), "r.csv", {**FACTS, "currency": "kroner"})
    assert (error.value.problems[0].column, error.value.problems[0].row) == ("currency", 0)


def test_the_same_sheet_makes_the_same_deck():
    first, second = (file("tcxc.csv") for _ in range(2))
    assert first.text == second.text
    assert parse(first.text, "deck").rates == parse(second.text, "deck").rates
    assert "# note: built from rates.csv, SHA-256 " in first.text


def test_all_faults_are_told_but_not_endlessly():
    with pytest.raises(DeckError) as error:
        made(HEAD + "\n" + "46,X,-1,1/1\n" * 100)
    assert len(error.value.problems) == MAX_PROBLEMS


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("[colums]\n", "unknown table"), ("[columns]\nprice = 'x'\n", "unknown field"),
        ("columns = 1\n", "write a table"),
        ("[columns]\nrate = ['a', 'b']\n", "one heading"), ("[columns]\nrate = 'a'\nprefix = 'a'\n", "already rate"),
        ("[choices]\ndates = 'us'\n", "use day-first or month-first"),
        ("[choices]\ncolour = 'x'\n", "unknown choice"),
        ("[choices]\npeak = 'noon'\n", "write days"), ("[status]\nx = 'maybe'\n", "use one of"),
        ("[header]\nname = 'x'\n", "unknown header key"), ("[header]\nversion = 3\n", "in quotation marks"),
        ("[columns\n", "not valid TOML"),
    ],
)  # fmt: skip
def test_a_mapping_that_is_wrong_is_refused(tmp_path: Path, text: str, advice: str):
    path = tmp_path / "map.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DeckError) as error:
        read_mapping(path)
    assert str(error.value).startswith("map.toml")
    assert advice in str(error.value)


@given(st.binary(max_size=200) | st.text(max_size=80).map(lambda text: f"[choices]\n{text}\n[columns]\n".encode()))
def test_any_mapping_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    path = tmp_path_factory.getbasetemp() / "map.toml"
    path.write_bytes(data)
    problems: tuple[Problem, ...] = ()
    try:
        assert isinstance(read_mapping(path), Choices)
    except DeckError as error:
        problems = error.problems
    assert all(problem.advice and problem.file == "map.toml" for problem in problems)


def test_a_mapping_for_another_sheet_is_told():
    told = ""
    with pytest.raises(DeckError) as error:
        made(f"{HEAD}\n46,X,1,1/1\n", mapping=Choices(columns={"Vorwahl": Field.PREFIX}))
    told = str(error.value)
    assert "column Vorwahl: the mapping calls this prefix, the sheet has it not" in told


def test_a_choice_is_key_and_value():
    assert read_choice("dates=day-first", "--choose") == (Choice.DATES, "day-first")
    for text in ("dates", "dates=maybe", "x=y", "unit=7"):
        with pytest.raises(DeckError):
            read_choice(text, "--choose")


# --- nothing gets through ------------------------------------------------------------------------------------------

SHEETS = [path.read_bytes() for path in sorted(DECKS.glob("*.csv"))] + [(DECKS / "codes.txt").read_bytes()]
CELLS = st.sampled_from(
    ["46", "+47 8", "49152, 49162", "93-70", "447400-447409", "0.5", "0,5", "1,234", "-1", "1e-05", "60/1", "ASAP",
     "yes", "03/04/2026", "24/12/2026", "Closed", "", "X", "$1", "NaN", "inf", "1e99", "٤٦", "\u2028", '"',
     "999999999999999"]
)  # fmt: skip
HEADINGS = st.sampled_from(
    ["Prefix", "Country Code", "Destination", "Country", "Rate", "New Price", "Current Price", "Peak", "Off peak",
     "Weekend", "Price 1", "Price N", "Increment", "Interval 1", "Interval N", "Effective", "Status", "Forbidden",
     "Exact Match", "Price Per Call", "Connect Fee", "Min Length", "Currency", "NPANXX", "Comment",
     "minimal_time_charge"]
)  # fmt: skip
CHOSEN = st.fixed_dictionaries(
    {}, optional={choice: st.sampled_from(answers) for choice, answers in ALLOWED.items() if choice != Choice.DELIMITER}
)


def built_or_refused(data: bytes, made_choices: dict[Choice, str]) -> None:
    try:
        built = build(data, "x.csv", FACTS, Choices(made=made_choices))
    except DeckError as error:
        problems = error.problems
    else:
        problems = ()
        assert parse(built.text, "x.csv").rates
        assert len(built.source_rows) == len(built.deck.rates)
    assert len(problems) <= MAX_PROBLEMS
    assert all(problem.advice and problem.row > 0 and problem.file == "x.csv" for problem in problems)


@given(st.binary(max_size=300), CHOSEN)
def test_no_bytes_can_do_more_than_be_refused(data: bytes, chosen: dict[Choice, str]):
    built_or_refused(data, chosen)


@given(st.sampled_from(SHEETS), st.data())
def test_a_sheet_with_a_changed_place_is_read_or_refused(sheet: bytes, data: st.DataObject):
    at = data.draw(st.integers(0, len(sheet)))
    piece = data.draw(st.binary(max_size=5) | st.sampled_from([b",", b'"', b"\n", b"-", b"E+11", b"\xff", b"0" * 9]))
    built_or_refused(sheet[:at] + piece + sheet[at + data.draw(st.integers(0, 8)) :], data.draw(CHOSEN))


@given(st.lists(HEADINGS, min_size=2, max_size=8), st.data())
@example(["Prefix", "Rate"], None)
def test_any_cells_under_any_headings_are_read_or_refused(headings: list[str], data: st.DataObject | None):
    lines = [headings]
    for _ in range(3 if data is not None else 0):
        assert data is not None
        lines.append([data.draw(CELLS) for _ in headings])
    text = "\n".join(";".join(cells) for cells in lines)
    built_or_refused(text.encode(), {Choice.INCREMENTS: "60/1"} if data is None else data.draw(CHOSEN))


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_built_in_bounded_memory_with_progress():
    sheet = io.StringIO()
    sheet.write(f"{HEAD},Effective\n")
    for number in range(100_000):
        sheet.write(f"{3_000_000 + number},Somewhere {number % 997},0.{number % 2_977 + 1:04d},60/1,15/10/2026\n")
    data = sheet.getvalue().encode()
    seen: list[tuple[Phase, int]] = []
    built = build(data, "rates.csv", FACTS, progress=lambda phase, rows: seen.append((phase, rows)))
    assert len(built.deck.rates) == 100_000
    assert list(dict.fromkeys(phase for phase, _ in seen)) == list(Phase)
    for phase in Phase:
        told = [rows for one, rows in seen if one is phase]
        assert told == sorted(told)
        assert told[-1] >= 95_000
    del built
    tracemalloc.start()
    build(data[: len(data) // 10], "rates.csv", FACTS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000 * 2_000
