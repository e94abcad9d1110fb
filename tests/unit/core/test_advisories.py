"""Which advisories apply to a version: by what it was released from, and never by guessing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.advisories import Advisory, Feature, InBoth, Reached, parse_release, standing
from agent.data import load_advisories

BOTH = InBoth("noe", "something")
LIST = [
    Advisory("never", BOTH, BOTH, Reached.NO, None),
    Advisory("in-2.16", BOTH, BOTH, Reached.MITIGATED, (2, 16)),
    Advisory("in-2.17", BOTH, BOTH, Reached.YES, (2, 17)),
]


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("2.15.1", (2, 15, 1)), ("2.15.1.post1", (2, 15, 1)), ("2.17", (2, 17)), ("2.17-dev", (2, 17)),
        ("2.17.0", (2, 17)), ("v2.17", (2, 17)), ("2.17-r0", (2, 17)), ("2.17+dfsg1", (2, 17)), (" 2.9 ", (2, 9)),
        ("", None), ("svn", None), ("2", None), ("two.seventeen", None), ("the system's own", None), ("2.17;x", None),
        ("2.17.1.1.1.1", None), ("2..17", None), ("99999.1", None),
    ],
)  # fmt: skip
def test_a_version_is_the_release_that_it_was_made_from(text, release):
    assert parse_release(text) == release


@pytest.mark.parametrize(
    ("version", "open_"),
    [
        ("2.9", ["in-2.17", "in-2.16", "never"]),
        ("2.15.1", ["in-2.17", "in-2.16", "never"]),
        ("2.15.1.post1", ["in-2.17", "in-2.16", "never"]),
        ("2.16", ["in-2.17", "never"]),
        ("2.16-dev", ["in-2.17", "never"]),
        ("2.17-dev", ["never"]),
        ("2.17", ["never"]),
        ("2.17.1", ["never"]),
        ("3.0", ["never"]),
    ],
)
def test_what_is_open_is_told_reached_ones_first(version, open_):
    found = standing(LIST, version)
    assert found.known
    assert [one.id for one in found.open] == open_


def test_of_an_unknown_version_nothing_is_claimed():
    found = standing(LIST, "the system's own")
    assert (found.known, found.open) == (False, ())


def test_open_ones_are_counted_by_how_they_are_reached():
    found = standing(LIST, "2.15.1")
    assert [found.count(reached) for reached in Reached] == [1, 1, 1]


def test_what_is_turned_on_is_reached_and_comes_first():
    one = Advisory("keys", BOTH, BOTH, Reached.MITIGATED, None, when=Feature.SRTP)
    off, on = standing([*LIST, one], "2.15.1"), standing([*LIST, one], "2.15.1", {Feature.SRTP})
    assert [found.id for found in off.open if found.reached is Reached.YES] == ["in-2.17"]
    assert [found.id for found in on.open if found.reached is Reached.YES] == ["in-2.17", "keys"]
    assert standing([one], "2.15.1", {Feature.OPUS}).count(Reached.YES) == 0


def test_the_shipped_list_says_of_the_wheel_what_is_reached_and_of_2_17_that_much_is_gone():
    wheel, newer = standing(load_advisories(), "2.15.1.post1"), standing(load_advisories(), "2.17")
    assert {"CVE-2026-41416", "CVE-2026-33069", "iplink-media-sockets"} <= {
        one.id for one in wheel.open if one.reached is Reached.YES
    }
    assert {one.id for one in newer.open} < {one.id for one in wheel.open}
    assert "CVE-2026-28799" not in {one.id for one in newer.open}
    assert len({one.id for one in load_advisories()}) == len(load_advisories())


@given(st.text(max_size=80))
def test_any_text_is_a_release_or_none(text):
    found = parse_release(text)
    assert found is None or all(0 <= number <= 9999 for number in found)
