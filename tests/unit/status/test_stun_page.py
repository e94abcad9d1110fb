"""What the page says of the STUN server: nothing where none is asked, else from where we are seen."""

from __future__ import annotations

import re

import pytest
from msgspec import structs

from agent.gateway.protocol import StunState
from agent.seen import SeenGateway, stun_view
from agent.status.masking import masked
from agent.status.metrics import Metrics
from agent.status.sample import sample_snapshot
from agent.status.snapshot import StunView

SERVER = "192.0.2.1:3478"


def words(page, lang, view):
    html = page.fragments(masked(structs.replace(sample_snapshot(), stun=view)), lang)["accounts"]
    found = re.search(r'data-stun="(\w+)">([^<]*)<', html)
    return found.groups() if found else None


@pytest.mark.parametrize(
    ("lang", "view", "level", "sentence"),
    [
        ("nb", StunView(server=SERVER, answers=True, outside="198.51.100.7"), "good",
         "Sett utenfra som 198.51.100.7; STUN-serveren 192.0.2.1:3478 svarer."),
        ("en", StunView(server=SERVER, answers=True, outside="198.51.100.7"), "good",
         "Seen from outside as 198.51.100.7; the STUN server 192.0.2.1:3478 answers."),
        ("nb", StunView(server=SERVER, outside="198.51.100.7"), "bad",
         "Sist sett utenfra som 198.51.100.7; STUN-serveren 192.0.2.1:3478 svarer ikke, og samtaler går uten den."),
        ("en", StunView(server=SERVER), "bad",
         "The STUN server 192.0.2.1:3478 does not answer; calls go without it."),
        ("nb", StunView(server=SERVER), "bad",
         "STUN-serveren 192.0.2.1:3478 svarer ikke; samtaler går uten den."),
        ("en", StunView(server="[2001:db8::1]:3478", refusal="stun_server is not asked: no IPv6"), "bad",
         "stun_server is not asked: no IPv6"),
    ],
)  # fmt: skip
def test_the_technician_reads_where_the_fault_is(page, lang, view, level, sentence):
    assert words(page, lang, view) == (level, sentence)


def test_without_a_server_there_is_no_such_line(page):
    assert words(page, "en", None) is None


@pytest.mark.parametrize(
    ("view", "value"),
    [(None, "-1.0"), (StunView(server=SERVER), "0.0"), (StunView(server=SERVER, answers=True), "1.0")],
)
def test_the_metric_tells_silence_from_nobody_asked(view, value):
    text = Metrics().render(structs.replace(sample_snapshot(), stun=view)).decode()
    assert f"\niplink_stun_answers {value}\n" in text


def test_what_the_gateway_said_is_what_the_page_shows_until_it_is_gone():
    seen = SeenGateway()
    assert stun_view(seen.stun) is None
    seen.note(StunState(server=SERVER, answers=True, outside="198.51.100.7"))
    assert stun_view(seen.stun) == StunView(server=SERVER, answers=True, outside="198.51.100.7")
    seen.note(StunState())
    assert stun_view(seen.stun) is None
    seen.note(StunState(server=SERVER, refusal="no IPv6"))
    assert stun_view(seen.stun) == StunView(server=SERVER, refusal="no IPv6")
    seen.forget()
    assert stun_view(seen.stun) is None
