"""Whatever a line test or a firmware update may come to has its sentence in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import firmware_bridge.update as host_update
from agent.core import linetest, linetest_run
from agent.core.linetest import Conductors, LineTestEnding, LineTestKind, Verdict
from agent.core.linetest_run import RunPhase
from agent.core.update import UpdatePhase
from agent.gateway.daemon import card, control, trials, updates
from agent.texts import Texts
from firmware_bridge.vocabulary import FirmwareError

TEXTS = Texts.load()
_REASON = re.compile(r'"((?:refused|aborted|timeout|rolled|too_many|image)_[a-z_]+)"')


def _reasons(*modules):
    found = {reason for module in modules for reason in _REASON.findall(Path(module.__file__).read_text())}
    assert found, "the modules name their reasons as words"
    return found


def test_every_reason_of_an_update_has_a_sentence():
    wanted = _reasons(host_update, updates, control, card)
    wanted |= {f"card_{error.name.lower()}" for error in FirmwareError}
    wanted |= {f"timeout_{phase.value}" for phase in UpdatePhase if not phase.over}
    wanted |= {f"phase_{phase.value}" for phase in UpdatePhase}
    assert {reason for reason in wanted if f"update.{reason}" not in TEXTS} == set()


def test_every_word_of_a_line_test_has_a_sentence():
    wanted = _reasons(trials) | _reasons_of_run()
    wanted |= {f"test_{test.value}" for test in LineTestKind}
    wanted |= {f"verdict_{verdict.value}" for verdict in Verdict}
    wanted |= {f"between_{pair.value}" for pair in Conductors}
    wanted |= {phase.value for phase in RunPhase if phase is not RunPhase.DONE} | {"all_good", "faulty", "incomplete"}
    assert {reason for reason in wanted if f"linetest.{reason}" not in TEXTS} == set()


def _reasons_of_run():
    assert "ending_" in Path(linetest.__file__).read_text()
    endings = {f"ending_{ending.value}" for ending in LineTestEnding if ending is not LineTestEnding.DONE}
    return endings | _reasons(linetest_run)


def test_the_phases_of_both_halves_are_the_same_words():
    assert {phase.value for phase in host_update.Phase} == {phase.value for phase in UpdatePhase}
