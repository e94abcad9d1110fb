"""`iplink-agent dialplan …` as a person meets it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from agent import cli
from agent.texts import TextError, Texts


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["dialplan", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (["22334455"], "Calls +4722334455 (fixed)."),
        (["22 33 44 55 66"], "Calls +4722334455 (fixed). The rest (66) is not taken: the number ended before it."),
        (["112", "--lang", "nb"], "Ringer 112 (emergency)."),
        (["1945"], "Calls 1945 (short) after 3 s without more digits, or with #."),
        (["01"], "This becomes no number: no rule fits."),
        (["*21*22334455#"], "This is a service code, not a number."),
        (["2233", "--lang", "nb"], "Dette er ikke et helt nummer ennå"),
        (["911", "--map", "(<911:112>|2xxxxxxx)"], "Calls 112 (emergency)."),
        (["82012345", "--map", "{ [2-9]xxxxxxx | ^82xxxxxx }"], "The digit map bars this number."),
    ],
)
def test_the_last_line_says_what_becomes_of_a_number(arguments, last):
    result = run("explain", *arguments)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].startswith(last)


def test_each_digit_is_explained_until_the_number_is_whole():
    lines = run("explain", "1129").output.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["1", "11", "112"]
    assert "emergency number; dials at once, asks nobody" in lines[2]
    assert "[1-9]" not in lines[2]


def test_json_holds_the_same():
    found = json.loads(run("explain", "194", "--json").output)
    assert found == {
        "taken": "194", "outcome": "need_more", "pattern": "19x.S3", "number": "194", "number_class": "short",
        "wait_ms": 3000, "left_over": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["explain", "olga"], "NUMBER: found 'olga'"),
        (["explain", "1" * 65], "1 to 64"),
        (["explain", "22", "--map", "(2xx"], "--map: the map begins with '('"),
        (["explain", "22", "--map", "2xx|2x"], "the digit map cannot be used: 20 is a whole number by"),
        (["explain", "22", "--config", "/nowhere/agent.toml"], "/nowhere/agent.toml"),
        (["check", "(1!)"], "bars 1: emergency number"),
        (["check", "(P5<:1>)"], "MAP: rule 1"),
    ],
)
def test_what_cannot_be_used_ends_with_a_sentence_and_code_2(arguments, sentence):
    result = run(*arguments)
    assert result.exit_code == 2
    assert sentence in result.output


@pytest.mark.parametrize("command", [["explain", "22345678"], ["check", "(2xxxxxxx)"]])
def test_a_broken_catalogue_of_sentences_is_bad_input_as_everywhere(command, monkeypatch):
    def broken() -> Texts:
        raise TextError("texts.toml: 3: a sentence lacks nb")

    monkeypatch.setattr(Texts, "load", broken)
    result = run(*command)
    assert (result.exit_code, result.stderr) == (2, "iplink-agent: texts.toml: 3: a sentence lacks nb\n")


def test_a_good_map_is_shown_as_this_adapter_has_it():
    output = run("check", "(*xx|<9:00>[1-9]xxxx.|[2-8]xxxxxxx)").output.splitlines()
    assert output[0].startswith("Read as sipura: 2 patterns,")
    assert output[1:3] == ["  <9:00>[1-9]xxx.", "  [2-8]xxxxxxx"]
    assert "service codes are known by their shape" in output[-1]


def test_the_configured_map_is_explained(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_text(
        '[operator]\nurl = "https://api.example.net"\ndevice_id = "a"\ncredential_file = "/x"\n'
        '[dialling]\nmap = "(<8:22>33xxxx)"\n'
    )
    assert run("explain", "8334455", "--config", path).output.splitlines()[-1] == "Calls +4722334455 (fixed)."


@pytest.mark.parametrize(
    ("dialled", "last"),
    [
        ("*31*22334455", "Calls +4722334455 (fixed)."),
        ("*31*112", "Calls 112 (emergency)."),
        ("*21*22334455#", "This is a service code, not a number."),
        ("*24*", "This is a service code, not a number."),
    ],
)
def test_codes_of_services_are_known(dialled, last):
    assert run("explain", dialled).output.splitlines()[-1] == last
