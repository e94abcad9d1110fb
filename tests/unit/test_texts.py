"""Every sentence is there in both languages with the same fields, and every code that people meet has one."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.calls import StoreRefusal
from agent.core.admission import RefusalCode, refuse
from agent.core.announcement import Announcement
from agent.core.catalogue import Excess, Feature, NumberRefusal
from agent.core.estimate import ItemKind
from agent.core.migration import Standing
from agent.core.support import SupportKind
from agent.core.tariff import Vat
from agent.core.terms import CallKind, CallPhase, Cause, Direction, Party
from agent.texts import Language, TextError, Texts

SHIPPED = Texts.load()


def load(tmp_path: Path, text: str | bytes, name: str = "texts.toml") -> Texts:
    (tmp_path / "texts.toml").touch()
    (tmp_path / "texts.d").mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return Texts.load(tmp_path)


@pytest.mark.parametrize("key", list(SHIPPED))
def test_every_sentence_can_be_said_in_both_languages(key):
    values = dict.fromkeys(SHIPPED.fields(key), "«value»")
    said = [SHIPPED.say(key, language, **values) for language in Language]
    for sentence in said:
        assert sentence.strip() == sentence
        assert sentence
        assert ("«value»" in sentence) == bool(values)


CODES: list[tuple[str, Iterable[enum.StrEnum]]] = [
    ("refusal", [*RefusalCode, *StoreRefusal, *NumberRefusal]),
    ("cause", Cause), ("excess", Excess), ("feature", Feature), ("phase", CallPhase),
    ("direction", Direction), ("kind", CallKind), ("party", Party), ("vat", Vat),
    ("announcement", Announcement),
    ("standing", Standing), ("item", ItemKind), ("support", SupportKind),
]  # fmt: skip


@pytest.mark.parametrize(("section", "codes"), CODES)
def test_every_code_has_a_sentence_and_no_sentence_is_left_over(section, codes):
    assert {key for key in SHIPPED if key.startswith(f"{section}.")} == {f"{section}.{code}" for code in codes}


@pytest.mark.parametrize("code", list(RefusalCode))
def test_the_announcement_of_a_refusal_is_a_sentence_without_fields(code):
    assert SHIPPED.fields(f"announcement.{refuse(code).announcement}") == frozenset()


def test_what_is_refused_of_a_subscription_is_said_with_its_product_and_limit():
    sentence = SHIPPED.say("excess.too_many_numbers", "nb", number="+47 2•• •• •44", product="Bedrift", limit=4)
    assert sentence == "Nummeret +47 2•• •• •44 virker ikke: Bedrift gir høyst 4 numre."
    english = SHIPPED.say("excess.too_many_lines", "en", line=3, product="Private", limit=2)
    assert english == "Line 3 does not work: Private includes 2 lines."


def test_a_value_is_text_and_nothing_else(tmp_path: Path):
    texts = load(tmp_path, '[a.b]\nnb = "{{x}} {name}"\nen = "{name}"\n')
    assert texts.say("a.b", "nb", name="{evil.__class__}") == "{x} {evil.__class__}"
    assert texts.say("a.b", "en", name=3, unused=1) == "3"


def test_a_missing_sentence_field_or_language_is_named():
    for call, sentence in (
        (lambda: SHIPPED.say("cause.nothing", "nb"), "cause.nothing: there is no such sentence"),
        (lambda: SHIPPED.say("excess.too_few_numbers", "nb", limit=1), "no value was given for product"),
        (lambda: SHIPPED.say("cause.busy", "sv"), "no language 'sv'"),
    ):
        with pytest.raises(TextError, match=sentence):
            call()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[a.b]\nnb = "x"\n', "texts.toml: a.b: exactly nb and en"),
        ('[a.b]\nnb = "x"\nen = "y"\nsv = "z"\n', "texts.toml: a.b: exactly nb and en"),
        ('[a.b]\nnb = "{x}"\nen = "{y}"\n', "a.b: both languages must have the same fields; only one has x, y"),
        ('[a.b]\nnb = "{x.y}"\nen = "{x.y}"\n', "a.b.nb: a field is {name} in lower case"),
        ('[a.b]\nnb = "{x!r}"\nen = "{x}"\n', "a.b.nb: a field is {name}"),
        ('[a.b]\nnb = "{x:>9999}"\nen = "{x}"\n', "a.b.nb: a field is {name}"),
        ('[a.b]\nnb = "{}"\nen = "{}"\n', "a.b.nb: a field is {name}"),
        ('[a.b]\nnb = "{"\nen = "x"\n', "a.b.nb: a brace is not closed"),
        ('[a.b]\nnb = ""\nen = "x"\n', "a.b.nb: it must be text"),
        ('[a.b]\nnb = 3\nen = "x"\n', "a.b.nb: it must be text"),
        ("a = 3\n", "texts.toml: a: found a single value"),
        ("[a]\nb = 3\n", "a.b: exactly nb and en"),
        ('[a."B b"]\nnb = "x"\nen = "x"\n', "keys are lower-case"),
        ("[a.b\n", "texts.toml: not valid TOML: .*line 1"),
    ],
)
def test_a_malformed_sentence_is_refused_with_file_and_key(tmp_path: Path, text, sentence):
    with pytest.raises(TextError, match=sentence):
        load(tmp_path, text)


def test_files_of_texts_d_join_and_may_not_repeat_a_sentence(tmp_path: Path):
    one = '[a.b]\nnb = "x"\nen = "x"\n'
    load(tmp_path, one)
    assert list(load(tmp_path, one.replace("a.b", "a.c"), "texts.d/more.toml")) == ["a.b", "a.c"]
    with pytest.raises(TextError, match=r"more\.toml: a\.b: another file has this sentence"):
        load(tmp_path, one, "texts.d/more.toml")


def test_a_missing_catalogue_is_named(tmp_path: Path):
    with pytest.raises(TextError, match=r"texts\.toml: there is no such file"):
        Texts.load(tmp_path)


@given(st.text(max_size=60), st.text(max_size=60))
def test_random_templates_are_accepted_or_refused_and_then_can_be_said(tmp_path_factory, nb, en):
    folder = tmp_path_factory.mktemp("texts")
    body = "[a.b]\n" + "".join(f"{name} = {quoted(text)}\n" for name, text in (("nb", nb), ("en", en)))
    with contextlib.suppress(TextError):
        texts = load(folder, body)
        for language in Language:
            texts.say("a.b", language, **dict.fromkeys(texts.fields("a.b"), "v"))


def quoted(text: str) -> str:
    """A TOML basic string."""
    return '"' + "".join(f"\\U{ord(letter):08x}" for letter in text if not 0xD800 <= ord(letter) < 0xE000) + '"'
