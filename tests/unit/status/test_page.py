"""What people read on the page, in both languages, from a sample adapter."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from msgspec import structs

from agent.core.announcement import Announcement
from agent.core.terms import CallKind, CallPhase, Cause, Direction, Tone
from agent.status.masking import masked
from agent.status.page import SECTIONS
from agent.status.sample import ABROAD, FIRST, OTHER, SECOND, healthy_snapshot, sample_snapshot
from agent.status.snapshot import (
    CardView,
    ConfigurationView,
    GatewayView,
    LineTestView,
    LiveCallView,
    Notice,
    ServiceView,
    Snapshot,
    StoreView,
    UnlockView,
    UpdateView,
)

WHEN = datetime(2026, 11, 29, 12, tzinfo=UTC)


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


@pytest.mark.parametrize(
    ("unlock", "fact"),
    [
        (UnlockView(unlock_code="271828", code_until=WHEN), "*99*271828"),
        (UnlockView(locked_until=WHEN), "Too many wrong codes: none is accepted before"),
        (UnlockView(unlock_code="1", code_until=WHEN, unlocked_until=WHEN), "The technician is admitted until"),
    ],
)
def test_the_technicians_code_is_shown_to_be_dialled(page, unlock, fact):
    assert fact in text(page.whole(masked(structs.replace(sample_snapshot(), unlock=unlock)), "en"))


def test_what_a_caller_is_told_stands_beside_the_line(page):
    snapshot = sample_snapshot()
    lines = [structs.replace(line, announcement=Announcement.NO_SUCH_NUMBER) for line in snapshot.lines]
    seen = text(page.whole(masked(structs.replace(snapshot, lines=lines)), "en"))
    assert "«The number is not in use.»" in seen


def test_norwegian_page_tells_everything_a_technician_asks(page):
    seen = text(page.whole(masked(sample_snapshot()), "nb"))
    for fact in (
        "Ikke registrert hos operatøren (1 av 2)",
        "Registrert siden 10:30",
        "Ikke registrert siden 13:18",
        "Operatøren svarte: 403 Forbidden",
        "abonnementet kan være sperret",
        "Røret er løftet – sperretone",
        "3:07",
        "1,98 kr",
        "om 25 min",
        "14,37 kr",
        "212,05 kr",
        "inkl. mva.",
        "operatøren har avvist: 1.",
        "+46 7••••••67",
        "12:35",
        "12,39 kr",
        "113",
        "2026-03",
        "Privat gir 2 linjer",
        "Operatøren er opptatt",
        "adapter-0001",
        "3 d 5 t",
        "1.4.2",
    ):
        assert fact in seen, fact


@pytest.mark.parametrize(
    ("lang", "written", "seen"),
    [
        ("nb", "2026-03-01", "01.03.2026"),
        ("en", "2026-03-01", "2026-03-01"),
        ("nb", "with the spring", "with the spring"),
    ],
)
def test_price_lists_first_day_is_written_as_the_reader_writes_days(page, lang, written, seen):
    snapshot = sample_snapshot()
    snapshot = structs.replace(snapshot, price_list=structs.replace(snapshot.price_list, valid_from=written))
    assert f"<dd>{seen}</dd>" in page.fragments(masked(snapshot), lang)["service"]


def test_english_page_says_the_same_in_english(page):
    html = page.whole(masked(sample_snapshot()), "en")
    seen = text(html)
    assert '<html lang="en">' in html
    for fact in (
        "Not registered with the operator (1 of 2)",
        "The registrar said: 403 Forbidden",
        "NOK 1.98",
        "In a call",
        "Off hook – congestion tone",
        "2026-03-13 17:30",
    ):
        assert fact in seen, fact
    assert not re.search(r"[æøåÆØÅ]", seen)


@pytest.mark.parametrize("lang", ["nb", "en"])
def test_no_number_is_ever_whole(page, lang):
    html = page.whole(masked(sample_snapshot()), lang)
    for number in (FIRST, SECOND, OTHER, ABROAD):
        assert number not in html
        assert number[3:] not in html
    assert "+47 4•• •• •12" in html


def test_caller_name_cannot_bring_script(page):
    attack = '<script>alert("x")</script>'
    snapshot = sample_snapshot()
    call = structs.replace(snapshot.calls[0], number=attack)
    account = structs.replace(snapshot.accounts[1], reason=attack, account=f'"><img src=x onerror={attack}>')
    refused = structs.replace(
        snapshot.subscription,
        customer=attack,
        refused=[Notice(key="excess.too_many_lines", values={"product": attack})],
    )
    snapshot = structs.replace(snapshot, calls=[call], accounts=[account], subscription=refused)
    html = page.whole(masked(snapshot), "nb")
    assert "<script>" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_page_obeys_its_own_policy_no_inline_script_or_style(page):
    html = page.whole(masked(sample_snapshot()), "nb")
    assert re.findall(r"<script[^>]*>", html) == ['<script src="/static/live.js" defer>']
    assert "<style" not in html
    assert " style=" not in html
    assert not re.search(r"\son[a-z]+=", html)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", html)


class Outline(HTMLParser):
    VOID = frozenset({"meta", "link", "br", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_markup_is_balanced_with_landmarks_and_unique_ids(page):
    outline = Outline()
    outline.feed(page.whole(masked(sample_snapshot()), "nb"))
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert set(SECTIONS) <= set(outline.ids)
    assert {"header", "nav", "main", "footer"} <= set(outline.tags)
    assert outline.tags.count("caption") == outline.tags.count("table")


def test_page_reloads_itself_without_javascript(page):
    assert '<noscript><meta http-equiv="refresh"' in page.whole(masked(sample_snapshot()), "nb")


def test_quiet_day_is_green_and_has_no_problem_list(page):
    fragments = page.fragments(masked(healthy_snapshot()), "nb")
    assert "Alt virker" in fragments["headline"]
    assert fragments["problems"] == ""
    assert 'data-state="bad"' not in "".join(fragments.values())


@pytest.mark.parametrize(
    ("change", "headline"),
    [
        ({"gateway": GatewayView()}, "Telefondelen svarer ikke"),
        ({"card": CardView(reason="no answer to HELLO")}, "Linjekortet er nede"),
        ({"store": StoreView(working=False, reason="disk full")}, "noe må ses på"),
        ({"accounts": []}, "ikke tildelt noen registrering"),
    ],
)
def test_headline_names_the_worst(page, change, headline):
    fragments = page.fragments(masked(structs.replace(healthy_snapshot(), **change)), "nb")
    assert headline in fragments["headline"]


def test_card_and_store_tell_their_reason(page):
    snapshot = structs.replace(
        healthy_snapshot(),
        card=CardView(reason="no answer to HELLO"),
        store=StoreView(working=False, reason="disk full"),
    )
    fragments = page.fragments(masked(snapshot), "en")
    assert "no answer to HELLO" in fragments["lines"]
    assert "disk full" in fragments["problems"]


def test_last_good_configuration_is_told(page):
    broken = ConfigurationView(source="kept copy", error="agent.toml: page.port: found 99999")
    fragments = page.fragments(masked(structs.replace(healthy_snapshot(), configuration=broken)), "en")
    assert "page.port: found 99999" in fragments["problems"]


def test_empty_adapter_is_a_page_too(page):
    snapshot = Snapshot(at=sample_snapshot().at)
    seen = text(page.whole(masked(snapshot), "nb"))
    assert "Ingen prisliste er hentet" in seen
    assert "Abonnementet er ikke hentet ennå" in seen


def test_unknown_sentence_or_missing_value_never_costs_the_page(page):
    notices = [Notice(key="problem.from_a_newer_agent"), Notice(key="excess.too_many_lines")]
    fragments = page.fragments(masked(structs.replace(healthy_snapshot(), problems=notices)), "nb")
    assert "problem.from_a_newer_agent" in fragments["problems"]
    assert "Linje – virker ikke" in fragments["problems"]


@pytest.mark.parametrize("lang", ["nb", "en"])
def test_every_word_of_the_telephone_is_in_the_catalogue(texts, lang):
    for section, words in (("phase", CallPhase), ("cause", Cause), ("direction", Direction), ("kind", CallKind)):
        for word in words:
            assert texts.say(f"{section}.{word.value}", lang)
    for tone in Tone:
        assert texts.say(f"page.tone_{tone.value}", lang)


def test_emergency_call_is_shown_as_free(page):
    call = LiveCallView(
        id="e", direction=Direction.OUTGOING, phase=CallPhase.ANSWERED, kind=CallKind.EMERGENCY, line=0, number="112"
    )
    calls = page.fragments(masked(structs.replace(sample_snapshot(), calls=[call])), "nb")["calls"]
    assert "112" in calls
    assert "gratis" in calls


@pytest.mark.parametrize(("lang", "words"), [("nb", "1200 av 100000 sendt"), ("en", "1200 of 100000 sent")])
def test_a_backlog_says_how_far_it_has_come(page, lang, words):
    snapshot = sample_snapshot()
    without = page.fragments(masked(snapshot), lang)["service"]
    upload = structs.replace(snapshot.upload, backlog_done=1200, backlog_total=100_000)
    assert words in text(page.fragments(masked(structs.replace(snapshot, upload=upload)), lang)["service"])
    assert words not in text(without)


def _with_test(verdict, summary, *findings):
    snapshot = healthy_snapshot()
    test = LineTestView(
        at=snapshot.at, verdict=verdict, summary=Notice(key=summary), findings=[Notice(key=key) for key in findings]
    )
    return structs.replace(snapshot, lines=[structs.replace(snapshot.lines[0], test=test)])


def test_the_last_line_test_stands_at_its_line_in_the_readers_language(page):
    snapshot = masked(_with_test("bad", "linetest.faulty", "linetest.resistive_fault_ground"))
    assert "Siste måling 13:30" in text(page.whole(snapshot, "nb"))
    assert "En tråd har kontakt med jord" in text(page.whole(snapshot, "nb"))
    seen = page.whole(snapshot, "en")
    assert "A wire touches ground" in text(seen)
    assert 'data-line-test="bad"' in seen


@pytest.mark.parametrize(
    ("update", "seen"),
    [
        (UpdateView(version="1.1.0", phase="sending", percent=37), "sending 37 %"),
        (
            UpdateView(version="1.1.0", phase="aborted", over=True, outcome=Notice(key="update.aborted_line_needed")),
            "Somebody lifted a receiver, or a call came.",
        ),
        (
            UpdateView(
                version="1.1.0", phase="done", over=True, good=True,
                outcome=Notice(key="update.done", values={"version": "1.1.0"}),
            ),
            "The line card now runs version 1.1.0.",
        ),
    ],
)  # fmt: skip
def test_a_firmware_update_is_followed_at_the_card(page, update, seen):
    snapshot = healthy_snapshot()
    snapshot = structs.replace(snapshot, card=structs.replace(snapshot.card, update=update))
    assert f"Firmware 1.1.0 for the line card: {seen}" in text(page.whole(masked(snapshot), "en"))


@pytest.mark.parametrize(("lang", "words"), [("nb", "brudd i talen: 4 %"), ("en", "gaps in the speech: 4 %")])
def test_a_call_with_holes_in_its_speech_says_so_and_one_with_few_does_not(page, lang, words):
    snapshot = sample_snapshot()
    call = snapshot.cdrs[0]
    for sent, heard, told in ((30_200, 100, True), (0, 33_000, True), (0, 1_000, False), (0, 0, False)):
        holed = structs.replace(call, sent_gaps_ms=sent, heard_gaps_ms=heard)
        seen = text(page.whole(masked(structs.replace(snapshot, cdrs=[holed])), lang))
        assert (words in seen) is told
    short = structs.replace(call, duration_ms=1_000, heard_gaps_ms=60)
    assert words[:9] not in text(page.whole(masked(structs.replace(snapshot, cdrs=[short])), lang))


def test_the_last_press_of_the_button_is_told(page):
    snapshot = healthy_snapshot()
    snapshot = structs.replace(snapshot, card=structs.replace(snapshot.card, button_at=snapshot.at, button_held_s=4))
    assert "Knappen ble sist trykket 13:30, i 4 s" in text(page.whole(masked(snapshot), "nb"))


@pytest.mark.parametrize(
    ("lang", "sentence", "upload"), [("nb", "ingenting sendes", "Levert"), ("en", "nothing is sent", "Delivered")]
)
def test_a_plain_adapter_shows_no_price_and_no_upload(page, lang, sentence, upload):
    seen = page.whole(masked(structs.replace(sample_snapshot(), plain=True, subscription=None)), lang)
    assert sentence in text(seen)
    assert "data-plain" in seen
    assert "data-pending" not in seen
    assert "data-sum" not in seen
    assert upload not in text(seen)
    assert "data-pending" in page.whole(masked(sample_snapshot()), lang)


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("nb", ["Alle anrop viderekobles til +47 2•• •• •55", "Ikke forstyrr: telefonen ringer ikke"]),
        ("en", ["All calls are forwarded to +47 2•• •• •55", "Do not disturb: the telephone does not ring"]),
    ],
)
def test_what_a_user_has_set_is_told_with_its_number_masked(page, lang, words):
    services = [ServiceView(key="forward_all", number="+4722334455"), ServiceView(key="do_not_disturb")]
    lines = [structs.replace(sample_snapshot().lines[0], services=services)]
    html = page.fragments(masked(structs.replace(sample_snapshot(), lines=lines)), lang)["lines"]
    for sentence in words:
        assert sentence in text(html)
    assert "22334455" not in html


def test_a_call_on_hold_says_so(page):
    call = LiveCallView(id="h", direction=Direction.OUTGOING, phase=CallPhase.ANSWERED, line=0, held=True)
    assert "På vent" in page.fragments(masked(structs.replace(sample_snapshot(), calls=[call])), "nb")["calls"]
