"""docs/tones.md says what the code does."""

from __future__ import annotations

import re
import tomllib

import pytest

from agent.core.terms import Tone
from agent.core.tonescript import read_cadence, read_tone
from agent.data import load_tones
from agent.gateway.analogue import CallerDisplay, Feed, HookTimes


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "tones.md").read_text(encoding="utf-8")


def test_every_script_on_the_page_is_one(page):
    scripts = re.findall(r"`([0-9@,\-]+; [^`]+)`", page) + re.findall(r"^    ([0-9]+@.*)$", page, re.MULTILINE)
    assert len(scripts) >= 6
    for script in scripts:
        read_tone(script)


def test_every_tone_is_on_the_page(page):
    for tone in Tone:
        assert f"| `{tone.value}` |" in page


def test_the_example_of_a_ringing_is_the_shipped_one(page):
    (example,) = tomllib.loads(page.partition("```toml\n")[2].partition("```")[0])["ring"]
    shipped = next(ring for ring in load_tones().analogue.rings if ring.name == example["name"])
    assert (list(read_cadence(example["cadence"])), example["alert"]) == (shipped.cadence_ms, shipped.alert)


def test_every_setting_of_the_wires_is_on_the_page(page):
    hidden = {"debounce_ms"}
    for section in (Feed, HookTimes, CallerDisplay):
        for field in section.__struct_fields__:
            assert field in hidden or f"`{field}`" in page, field
