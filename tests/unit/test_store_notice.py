"""The page says of a damaged store what was done, and never hides that something may be missing."""

from __future__ import annotations

import pytest

from agent.problems import store_notice
from agent.store import Repair, StoreDamaged
from agent.texts import Language, Texts


@pytest.mark.parametrize("lang", list(Language))
def test_a_store_that_is_whole_again_is_no_alarm(lang: Language) -> None:
    notice = store_notice(StoreDamaged("it was cut", None, Repair(replayed=7)))
    assert notice.key == "problem.store_repaired"
    assert Texts.load().say(notice.key, lang, **notice.values)


@pytest.mark.parametrize("lang", list(Language))
def test_what_may_be_missing_is_said_with_numbers(lang: Language) -> None:
    repair = Repair(replayed=7, salvaged=2, bad_lines=3, maybe_missing=True)
    notice = store_notice(StoreDamaged("it was cut", None, repair))
    said = Texts.load().say(notice.key, lang, **notice.values)
    assert "9" in said
    assert "3" in said


def test_a_store_that_nobody_repaired_is_not_called_whole() -> None:
    assert store_notice(StoreDamaged("it was cut")).key == "problem.store_incomplete"
