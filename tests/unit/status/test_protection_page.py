"""The page's words about the packet filter and the SIP library's advisories, in both languages."""

import re
from pathlib import Path

import pytest
from msgspec import structs

from agent.data import load_advisories
from agent.protection import Protection
from agent.status.masking import masked
from agent.status.metrics import Metrics
from agent.status.sample import sample_snapshot
from agent.status.snapshot import FilterStanding, FilterView


def text(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def seen(page, lang, version="2.15.1", **filter_fields):
    library = Protection(Path("/nonexistent"), load_advisories()).library(version)
    snapshot = structs.replace(sample_snapshot(), library=library, packet_filter=FilterView(**filter_fields))
    return page.fragments(masked(snapshot), lang)["system"]


@pytest.mark.parametrize(
    ("lang", "standing", "words"),
    [
        ("en", "in_force", "In force for 3 address ranges."),
        ("nb", "in_force", "I kraft for 3 adresseområder."),
        ("en", "kept", "An earlier filter holds for 3 address ranges; the new one was refused: too wide"),
        ("nb", "kept", "Et tidligere filter gjelder for 3 adresseområder; det nye ble avvist: too wide"),
        ("en", "refused", "No packet filter, it was refused: too wide"),
        ("nb", "refused", "Ikke noe pakkefilter, det ble avvist: too wide"),
        ("en", "old", "Was in force for 3 address ranges, but nobody has looked for long."),
        ("nb", "old", "Var i kraft for 3 adresseområder, men det er lenge siden noen så etter."),
        ("en", "sockets", "takes SIP from the operator&#39;s servers and 3 address ranges alone"),
        ("nb", "sockets", "tar bare imot SIP fra operatørens tjenere og 3 adresseområder"),
        ("en", "none", "the SIP software answers anybody&#39;s OPTIONS and MESSAGE."),
        ("nb", "none", "SIP-programvaren svarer hvem som helst på OPTIONS og MESSAGE."),
    ],
)
def test_the_packet_filter_is_told_as_it_stands(page, lang, standing, words):
    html = seen(page, lang, standing=FilterStanding(standing), signalling=3, media=1, error="too wide")
    assert words in text(html)


def test_a_filter_that_leaves_speech_alone_says_so(page):
    with_speech = seen(page, "en", standing=FilterStanding.IN_FORCE, signalling=1, media=1)
    without = seen(page, "en", standing=FilterStanding.IN_FORCE, signalling=1)
    sentence = "The speech ports are open"
    assert (sentence in with_speech, sentence in without) == (False, True)


def test_a_sentence_about_a_refused_filter_brings_no_markup(page):
    html = seen(page, "en", standing=FilterStanding.KEPT, error="<script>x</script>")
    assert "<script>" not in html


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        (
            "en",
            ["of which", "Show known advisories", "CVE-2026-41416", "Reached: Reached by anybody", "Fixed in 2.17."],
        ),
        ("nb", ["hvorav", "Vis kjente sårbarheter", "CVE-2026-41416", "Nås: Nås av enhver", "Rettet i 2.17."]),
    ],
)
def test_the_advisories_are_a_folded_list_with_what_and_why(page, lang, words):
    html = seen(page, lang)
    assert "<details>" in html
    assert "<details open" not in html
    for word in words:
        assert word in text(html)


def test_a_version_nobody_knows_says_so_and_lists_nothing(page):
    html = seen(page, "en", version="own build")
    assert "The version own build is not known, so nobody can tell." in text(html)
    assert "<details>" not in html


def test_the_metrics_count_the_advisories_by_version_and_how_they_are_reached():
    protection = Protection(Path("/nonexistent"), load_advisories())
    metrics = Metrics()
    snapshot = structs.replace(
        sample_snapshot(), library=protection.library("2.15.1"),
        packet_filter=FilterView(standing=FilterStanding.IN_FORCE),
    )  # fmt: skip
    body = metrics.render(snapshot).decode()
    count = int(float(re.search(r'advisories\{reached="yes",version="2.15.1"\} (\S+)', body)[1]))
    assert count == sum(one.reached == "yes" for one in protection.library("2.15.1").advisories) > 5
    assert "iplink_packet_filter_in_force 1.0" in body
    body = metrics.render(
        structs.replace(snapshot, library=protection.library("odd"), packet_filter=FilterView())
    ).decode()
    assert 'advisories{reached="yes",version="odd"} -1.0' in body
    assert 'version="2.15.1"' not in body
    assert "iplink_packet_filter_in_force 0.0" in body
