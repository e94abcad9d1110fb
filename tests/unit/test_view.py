"""Every sentence that the page may have to say is in the catalogue, with the fields that the agent fills in."""

from __future__ import annotations

import pytest

from agent.operator.trouble import Trouble
from agent.texts import Language, Texts
from agent.view import _TROUBLES, _WITH_REASON


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts.load()


@pytest.mark.parametrize("trouble", list(Trouble))
@pytest.mark.parametrize("lang", list(Language))
def test_every_trouble_with_the_operator_has_a_sentence(texts: Texts, trouble: Trouble, lang: Language) -> None:
    assert texts.say(trouble.value, lang).endswith(".")


@pytest.mark.parametrize("key", sorted({*_TROUBLES.values(), "problem.operator_away"}))
def test_a_problem_is_filled_in_with_what_its_sentence_asks_for(texts: Texts, key: str) -> None:
    assert set(texts.fields(key)) == ({"reason"} if key in _WITH_REASON else set())
