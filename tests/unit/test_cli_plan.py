"""`iplink-agent plan`: what a technician asks of a subscription on a day."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from agent import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["plan", *(str(argument) for argument in arguments)])


def answer(*arguments: object) -> dict[str, object]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_same_question_gets_the_same_bytes():
    for product in (["--product", "privat"], []):
        code = "from agent.cli import main; main()"
        command = [sys.executable, "-c", code, "plan", *product, "--at", "2026-11-01", "--json"]
        said = {
            subprocess.run(command, capture_output=True, check=True, env={"PYTHONHASHSEED": seed}).stdout
            for seed in "123"
        }
        assert len(said) == 1


@pytest.mark.parametrize(
    ("numbers", "given_up", "product"), [(4, 0, "bedrift"), (5, 0, "sentralbord"), (6, 2, "bedrift")]
)
def test_what_bedrift_plus_becomes_by_the_number_of_numbers(numbers, given_up, product):
    given = ("--given-up", given_up, "--notice", "2018-12-20") if given_up else ()
    found = answer("--product", "iplink-bedrift-pluss", "--numbers", numbers, *given, "--at", "2019-01-01")
    assert found["standing"] == "in_force"
    assert found["history"] == ["iplink-bedrift-pluss", product]
    assert found["numbers"] == numbers - given_up


def test_notice_by_the_31st_ends_it_with_the_year():
    asked = ("--product", "iplink-norge", "--notice", "2018-12-31", "--at")
    assert answer(*asked, "2018-12-31")["standing"] == "in_force"
    ended = answer(*asked, "2019-01-01")
    assert (ended["standing"], ended["last_day"], ended["support"]) == ("ended", "2018-12-31", [])


def test_the_answer_reads_in_both_languages_and_samples_call_themselves_so():
    old = run("--product", "iplink-topp", "--at", "2018-12-31", "--lang", "nb").stdout
    assert "iplink-topp: iplink Topp, 199,00 kr (eksempelpris) i måneden (mva. ikke oppgitt)" in old
    assert "Eksempelverdier, ikke operatørens egne: effective_from, monthly_fee" in old
    new = run("--product", "iplink-topp", "--at", "2019-01-15").stdout
    assert "The product has changed: iplink-topp → privat." in new
    assert "NOK 149.00 a month (VAT not stated)" in new
    assert "Price: NOK 1,190.00 an hour (VAT not stated)." in new
    assert "A visit by a fitter or technician comes on top." in new


def test_an_agreement_makes_advanced_support_cheaper_and_immediate():
    asked = ("--product", "bedrift", "--at", "2019-01-15")
    plain, agreed = (
        next(tier for tier in answer(*asked, *more)["support"] if tier["kind"] == "advanced")
        for more in ((), ("--agreement",))
    )
    assert (plain["hourly"], plain.get("days_max")) == ("950", 2)
    assert (agreed["hourly"], agreed.get("days_max", 0)) == ("475", 0)


def test_without_a_product_all_that_are_in_effect_are_listed():
    assert [line.partition(":")[0] for line in run("--at", "2019-01-01").stdout.splitlines()] == [
        "privat", "bedrift", "sentralbord",
    ]  # fmt: skip
    assert len(run("--at", "2018-12-31").stdout.splitlines()) == 7
    assert [product["id"] for product in answer("--at", "2019-01-01")] == ["privat", "bedrift", "sentralbord"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--product", "gold"), "there is no such product; known are privat"),
        (("--product", "privat", "--given-up", "1"), "give --notice with it"),
        (("--product", "privat", "--given-up", "2", "--notice", "2019-01-01"), "no more numbers than --numbers"),
        (("--zone", "Mars/Olympus"), "no zone of the IANA database"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_sentence(arguments, sentence):
    result = run(*arguments)
    assert result.exit_code == cli.Exit.BAD_INPUT
    assert result.stdout == ""
    assert sentence in result.stderr
